"""Regions, depth and words from images alone, by models that were trained elsewhere."""
