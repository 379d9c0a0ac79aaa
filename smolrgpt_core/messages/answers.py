"""Answers from messages of any library."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answer import Agreement, Side, SpatialAnswer
from smolrgpt_core.errors import Status
from smolrgpt_core.language import Category
from smolrgpt_core.messages.types import Message

LATENCY_STAGES = ("wait", "convert", "answer", "transform", "total")
"""Stages of `msg/SpatialAnswer`, each in a field `latency_STAGE`."""


def answer_from_message(message: Message) -> SpatialAnswer:
    """The answer in a `msg/SpatialAnswer`."""
    frame = message.centers_frame
    centers = [(point.x, point.y, point.z) for point in message.centers]
    return SpatialAnswer(
        status=Status(message.status),
        category=Category(message.category) if message.category else None,
        message=message.message,
        text=message.text,
        value=message.value if message.has_value else None,
        unit=message.unit,
        region_id=message.region_id if message.has_region else None,
        side=Side(message.side),
        confidence=message.confidence,
        geometric_value=_known(message.geometric_value),
        model_value=_known(message.model_value),
        agreement=Agreement(message.agreement),
        region_ids=tuple(int(id) for id in message.region_ids),
        centers=np.array(centers, dtype=np.float64).reshape(-1, 3),
        centers_frame="" if frame == message.header.frame_id else frame,
        valid_depth=np.array(message.valid_depth, dtype=np.float64),
        truth=message.truth if message.has_truth else None,
        answer_ids=tuple(int(id) for id in message.answer_ids),
        relation=message.relation,
        vector=_vector(message.vector) if message.has_vector else None,
        option=message.option,
        understood=message.understood,
        steps=tuple(message.steps),
        latency_s={stage: getattr(message, f"latency_{stage}") for stage in LATENCY_STAGES},
    )


def _vector(vector: Message) -> NDArray[np.float64]:
    return np.array([vector.x, vector.y, vector.z])


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
