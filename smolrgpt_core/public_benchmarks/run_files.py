"""Names of the files of a run; imports nothing."""

RUN_FILE = "run.json"
"""What the answers follow from."""

ANSWERS_FILE = "predictions.jsonl"
"""A line for each answer."""

RESULT_FILE = "result.json"
"""Figures and verdicts."""

PAGE_FILE = "report.html"
"""The same for people, with wrong answers and their images."""
