"""Answers to questions, as typed values and as sentences."""

from smolrgpt_core.answer.reading import ParsedAnswer, read_answer
from smolrgpt_core.answer.spatial_answer import (
    DISTANCE_TOLERANCE,
    UNITS,
    Agreement,
    Side,
    SpatialAnswer,
    is_near,
)
from smolrgpt_core.errors import Status

__all__ = [
    "DISTANCE_TOLERANCE",
    "UNITS",
    "Agreement",
    "ParsedAnswer",
    "Side",
    "SpatialAnswer",
    "Status",
    "is_near",
    "read_answer",
]
