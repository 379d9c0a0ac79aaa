"""The typed answer to a question, or the reason why there is none."""

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
"""Unit of `SpatialAnswer.value` for categories with a fixed unit."""


class Agreement(IntEnum):
    """Whether model and geometry agree. Values equal AGREEMENT_* of `msg/SpatialAnswer`."""

    UNKNOWN = 0
    AGREE = 1
    DISAGREE = 2


class Side(IntEnum):
    """A side of the image, as seen by the camera. Values equal SIDE_* of `msg/SpatialAnswer`."""

    NONE = 0
    LEFT = 1
    RIGHT = 2


@dataclass(frozen=True, eq=False)
class SpatialAnswer:
    """The answer to one question about one frame.

    Attributes:
        status: OK, or why there is no answer.
        message: for a person: what to do if the status is not OK; otherwise remarks on the answer,
            such as that geometry disagrees, or between which values it likely is.
        category: kind of answer asked for.
        text: the answer as a sentence; empty if there is none.
        value: of a distance, count or quantity, in `unit`; None for the other categories.
        unit: of `value`: "m", "m2", "m3", "deg", "h" (of a clock), "objects", "share", or empty.
        region_id: the chosen region (mcq); None for the other categories.
        answer_ids: the regions of a list or a count, in order; the chosen one of a choice.
        side: the side (left_right); NONE for the other categories.
        truth: True for yes, False for no, for a yes/no question; otherwise None.
        relation: "left", "right", "front", "behind", "above", "below", "inside" or "outside";
            of a color its name.
        vector: (3,) position, 3-D point at a pixel, or size, in meters, or unit vector of a
            direction; None for the others.
        option: letter of the multiple-choice option; otherwise empty.
        understood: canonical sentence for the question; empty if only a model interprets it.
        steps: intermediate results, one sentence each.
        confidence: probability that the answer is correct, 0 to 1; NaN if unknown.
        confidence_limit: upper bound for any calibration; below 1 if the inputs of the frame are
            doubtful. Not published.
        unclear_colors: whether it rests on colors that the image does not show clearly. Not
            published.
        geometric_value: value from geometry; None if it has none.
        model_value: value from the model; None if it has none.
        agreement: of the model's answer with geometry.
        region_ids: the regions that the answer is about, in the order of the question.
        centers: float64 (len(region_ids), 3), meters; NaN where depth is missing.
        centers_frame: frame of the centers; empty = the optical frame of the image.
        valid_depth: float64 (len(region_ids),), fraction of mask pixels with a depth reading.
        marks: drawn on the annotated image in addition to the regions; empty if only a model
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
    unclear_colors: bool = False
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
        """`marks`; for a distance without marks, the line between its centers."""
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
        """The answer for an error: its status and message, without a value."""
        return cls(
            status=error.status,
            category=question.category if question else None,
            message=error.message,
            region_ids=question.region_ids if question else (),
            centers=np.full((len(question.region_ids) if question else 0, 3), np.nan),
            valid_depth=np.full(len(question.region_ids) if question else 0, np.nan),
        )
