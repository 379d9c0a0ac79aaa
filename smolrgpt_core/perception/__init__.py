"""Regions, depth and words from images alone, by pretrained models."""
