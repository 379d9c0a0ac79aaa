"""Public spatial benchmarks: read as published, scored as their authors and others score them.

Knows no model: it puts answers that somebody else computed beside the truth. `registry` has the
benchmarks by name.
"""
