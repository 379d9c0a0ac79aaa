"""What comes back for a question: one typed answer, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import Category, SpatialQuestion
from smolrgpt_core.language.marks import Mark, MarkKind

UNITS = {Category.DISTANCE: "m", Category.COUNT: "objects"}
"""Unit of `SpatialAnswer.value` by category, where the category says it."""


class Agreement(IntEnum):
    """Whether model and geometry agree. Values equal AGREEMENT_* of `msg/SpatialAnswer`."""

    UNKNOWN = 0
    AGREE = 1
    DISAGREE = 2


class Side(IntEnum):
    """A side of the image, as the camera sees it. Values equal SIDE_* of `msg/SpatialAnswer`."""

    NONE = 0
    LEFT = 1
    RIGHT = 2


@dataclass(frozen=True, eq=False)
class SpatialAnswer:
    """The answer to one question about one frame.

    Attributes:
        status: OK, or why there is no answer.
        message: for a person: what to do when the status is not OK; otherwise what is to be known
            about the answer, such as that geometry says otherwise, and mostly empty.
        category: what was asked.
        text: the answer as a sentence; empty when there is none.
        value: of a distance, count or quantity, in `unit`; None for the other categories.
        unit: of `value`: "m", "m2", "m3", "deg", "h" (of a clock), "objects", "share", or empty.
        region_id: the chosen region (mcq); None for the other categories.
        answer_ids: the regions of a list or a count, in order; the chosen one of a choice.
        side: the side (left_right); NONE for the other categories.
        truth: whether it is so, for a yes or no question; else None.
        relation: "left", "right", "front", "behind", "above", "below", "inside" or "outside".
        vector: (3,) position, what a pixel shows whose depth was asked for, or size, in metres, or
            unit vector of a direction; None for the others.
        option: letter of the option of a multiple choice; else empty.
        understood: the question as a canonical sentence; empty where only a model reads it.
        steps: how the answer was found, a sentence each.
        confidence: probability that the answer is right, 0 to 1; NaN where it is not known.
        confidence_limit: that no calibration may raise it above; below 1 where the inputs of the
            frame are doubted. Does not leave the process.
        geometric_value: what metric depth says to a question with a value; None if unknown.
        model_value: what the model says to a question with a value; None if unknown.
        agreement: of the model's answer with geometry.
        region_ids: the regions that the answer is about, in the order of the question.
        centers: float64 (len(region_ids), 3), metres; NaN where depth is missing.
        centers_frame: the frame that centers are in; empty = the optical frame of the image.
        valid_depth: float64 (len(region_ids),), share of mask pixels with a depth reading.
        marks: what a picture of the answer shows beside the regions; empty where only a model
            answers, and in an answer from a message.
        latency_s: seconds by stage.
    """

    status: Status
    category: Category | None
    message: str = ""
    text: str = ""
    value: float | None = None
    unit: str = ""
    region_id: int | None = None
    answer_ids: tuple[int, ...] = ()
    side: Side = Side.NONE
    truth: bool | None = None
    relation: str = ""
    vector: NDArray[np.float64] | None = None
    option: str = ""
    understood: str = ""
    steps: tuple[str, ...] = ()
    confidence: float = float("nan")
    confidence_limit: float = 1.0
    geometric_value: float | None = None
    model_value: float | None = None
    agreement: Agreement = Agreement.UNKNOWN
    region_ids: tuple[int, ...] = ()
    centers: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))
    centers_frame: str = ""
    valid_depth: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    marks: tuple[Mark, ...] = ()
    latency_s: Mapping[str, float] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether there is an answer."""
        return self.status is Status.OK

    @property
    def shown_marks(self) -> tuple[Mark, ...]:
        """`marks`; of a distance that came without, the line between its centers."""
        ids = self.region_ids
        if self.marks or not self.ok or self.category is not Category.DISTANCE:
            return self.marks
        if len(ids) not in (1, 2) or self.centers_frame:
            return ()
        from_camera = (None,) * (2 - len(ids))
        points = np.concatenate([np.zeros((len(from_camera), 3)), self.centers])
        label = f"{self.value:.2f} {self.unit}"
        return (Mark(MarkKind.LINE, points, label, (*from_camera, *ids)),)

    @classmethod
    def refusal(cls, error: SpatialError, question: SpatialQuestion | None = None) -> SpatialAnswer:
        """The answer that says why there is none."""
        return cls(
            status=error.status,
            category=question.category if question else None,
            message=error.message,
            region_ids=question.region_ids if question else (),
            centers=np.full((len(question.region_ids) if question else 0, 3), np.nan),
            valid_depth=np.full(len(question.region_ids) if question else 0, np.nan),
        )
