"""Training data from plain photographs: image -> depth, regions -> objects -> questions."""
