"""Public spatial benchmarks: read as published, scored as their authors and others score them.

Scoring knows no model: it puts answers beside the truth. `running` has a model answer the questions
first. `registry` has the benchmarks by name.
"""
