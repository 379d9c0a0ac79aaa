"""Metric geometry of one RGB-D frame: points, the floor, boxes of objects, painted zones."""
