"""The interface between a question and its answer, and its implementations."""

from __future__ import annotations

from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.registry import ANSWERERS, make_answerer

__all__ = ["ANSWERERS", "Answerer", "make_answerer"]
