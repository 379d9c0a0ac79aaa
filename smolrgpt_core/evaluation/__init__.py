"""Scores as the challenge computes them, answerers measured on a data set, and reports."""

from smolrgpt_core.evaluation.answer_files import score_files
from smolrgpt_core.evaluation.challenge_scores import challenge_scores

__all__ = ["challenge_scores", "score_files"]
