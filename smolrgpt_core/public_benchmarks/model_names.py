"""Names of models that are neither checkpoints nor URLs; imports nothing."""

GUESS = "guess"
"""What guessing gives."""

GEOMETRIC, FUSED, PACKAGED = "geometric", "fused", "nano"
"""Answerers of this package: geometry, geometry with the packaged model, that model alone."""
