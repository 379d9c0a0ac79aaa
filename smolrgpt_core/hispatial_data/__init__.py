"""Converts the shards that HiSpatial's authors released (arXiv 2603.25411) to our layout.

shards.py         records of a tar, member by member; nothing is extracted
unpickling.py     pickles, in a process of their own (`pickled_values.py`)
records.py        a record of each stream: image, depth, calibration, questions
calibrations.py   how each stream writes depth and calibration
questions.py      which questions are drawn, in which format and words
pixels.py         questions about pixels, made from the depth
run.py            the data set
"""
