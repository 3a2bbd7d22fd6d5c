"""From recorded demonstrations of a person to a checkpoint: the same selection and distillation without a simulation."""
