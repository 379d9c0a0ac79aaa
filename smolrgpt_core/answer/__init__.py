"""Answers to questions, as typed values and as sentences."""

from smolrgpt_core.answer.reading import ParsedAnswer, read_answer
from smolrgpt_core.answer.scoring import DISTANCE_TOLERANCE
from smolrgpt_core.answer.spatial_answer import UNITS, Agreement, Side, SpatialAnswer
from smolrgpt_core.errors import Status

__all__ = [
    "DISTANCE_TOLERANCE",
    "UNITS",
    "Agreement",
    "ParsedAnswer",
    "Side",
    "SpatialAnswer",
    "Status",
    "read_answer",
]
