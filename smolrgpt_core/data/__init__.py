"""Data sets: the layout of their files, and readers that give samples of any layout."""
