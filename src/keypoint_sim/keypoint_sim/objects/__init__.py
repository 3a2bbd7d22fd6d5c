"""Things that tasks are made of."""
