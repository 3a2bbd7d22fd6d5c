"""Procedural patterns: functions of a random generator that return a field [SIZE, SIZE] float32 in about 0..1."""
