"""Names among the models that are no checkpoint and no URL; imports nothing."""

GUESS = "guess"
"""What guessing gives."""

GEOMETRIC, FUSED, PACKAGED = "geometric", "fused", "nano"
"""Answerers of this package: geometry, geometry with the packaged model, that model alone."""
