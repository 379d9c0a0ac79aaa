"""Names of models and of the files of a run; imports nothing."""

GUESS = "guess"
"""What guessing gives."""

GEOMETRIC, FUSED, PACKAGED = "geometric", "fused", "nano"
"""Answerers of this package: geometry, geometry with the packaged model, that model alone."""

RUN_FILE = "run.json"
"""What the answers follow from."""

ANSWERS_FILE = "predictions.jsonl"
"""A line for each answer."""

RESULT_FILE = "result.json"
"""Figures and verdicts."""

PAGE_FILE = "report.html"
"""The same for people, with wrong answers and their images."""
