"""What is true of the regions of a question, beside its answer: for the losses of training.

Never for answering; an evaluation reads the answer alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from smolrgpt_core.errors import bad_input

BOX_FIELDS = ("x", "y", "z", "length", "width", "height", "yaw")
"""Of a region: the center of its own upright box in the optical frame, its longer and its shorter
horizontal side and its height (0 for a zone) in meters, and the angle of the longer side from right
towards forward on the floor in radians."""


@dataclass(frozen=True)
class AnswerTruth:
    """What a question is about, as the simulator knows it.

    Attributes:
        kind: name of the kind of answer in lower case, such as "quantity": of a family of tasks,
            the record's `category` does not tell.
        parts: what is measured on the way to the answer, in the order of the text; meters, degrees
            or whatever it is asked in.
        boxes: `BOX_FIELDS` for each `<mask>`, in order; NaN where nothing is known of a region.
    """

    kind: str
    parts: tuple[float, ...] = ()
    boxes: tuple[tuple[float, ...], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, with null for what is not known."""
        boxes = [[None if math.isnan(value) else value for value in box] for box in self.boxes]
        return {"kind": self.kind, "parts": list(self.parts), "boxes": boxes}

    @classmethod
    def from_json(cls, entry: Any) -> AnswerTruth:
        """Read what `to_json` made.

        Raises:
            SpatialError: BAD_INPUT that says what was expected.
        """
        try:
            boxes = tuple(tuple(map(_number, box)) for box in entry["boxes"])
            parts = tuple(map(float, entry["parts"]))
            kind = entry["kind"]
        except (KeyError, TypeError, ValueError) as error:
            raise _bad_truth(entry) from error
        if not isinstance(kind, str) or any(len(box) != len(BOX_FIELDS) for box in boxes):
            raise _bad_truth(entry)
        return cls(kind, parts, boxes)


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _bad_truth(entry: Any) -> Exception:
    found = sorted(entry) if isinstance(entry, Mapping) else entry
    return bad_input(
        f"`truth` of a record must have `kind` (text), `parts` (numbers) and `boxes` "
        f"({', '.join(BOX_FIELDS)} of each mask), got {found!r:.80}; create the data set again "
        "with `smolrgpt simulate`"
    )
