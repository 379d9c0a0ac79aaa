"""Data sets: the layout of their files, and readers that return samples from any layout."""
