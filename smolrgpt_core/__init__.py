"""Spatial question answering about the regions of an RGB-D frame. Knows nothing of ROS."""
