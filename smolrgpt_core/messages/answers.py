"""Answers from messages, of whatever library."""

from __future__ import annotations

import numpy as np

from smolrgpt_core.answer import Agreement, Side, SpatialAnswer
from smolrgpt_core.errors import Status
from smolrgpt_core.messages.types import Message
from smolrgpt_core.question import Category

LATENCY_STAGES = ("wait", "convert", "answer", "transform", "total")
"""Stages of `msg/SpatialAnswer`, each in a field `latency_STAGE`."""


def answer_from_message(message: Message) -> SpatialAnswer:
    """The answer that a `msg/SpatialAnswer` holds."""
    frame = message.centres_frame
    centres = [(point.x, point.y, point.z) for point in message.centres]
    return SpatialAnswer(
        status=Status(message.status),
        category=Category(message.category) if message.category else None,
        message=message.message,
        text=message.text,
        value=message.value if message.has_value else None,
        region_id=message.region_id if message.has_region else None,
        side=Side(message.side),
        confidence=message.confidence,
        geometric_value=_known(message.geometric_value),
        model_value=_known(message.model_value),
        agreement=Agreement(message.agreement),
        region_ids=tuple(int(id) for id in message.region_ids),
        centres=np.array(centres, dtype=np.float64).reshape(-1, 3),
        centres_frame="" if frame == message.header.frame_id else frame,
        valid_depth=np.array(message.valid_depth, dtype=np.float64),
        latency_s={stage: getattr(message, f"latency_{stage}") for stage in LATENCY_STAGES},
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else value
