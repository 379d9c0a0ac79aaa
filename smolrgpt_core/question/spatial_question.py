"""A question about the regions of one frame, with every reference resolved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

from smolrgpt_core.errors import SpatialError, Status

MASK = "<mask>"
"""Placeholder for a region in the text of a question."""


class Category(IntEnum):
    """Kind of question, as in PhysicalAI-Spatial-Intelligence-Warehouse.

    Values equal the CATEGORY_* constants of `srv/SpatialQuery`.
    """

    DISTANCE = 1
    """Metres between the 3-D centres of two objects; 0 for an object in the buffer asked about."""
    COUNT = 2
    """How many of the targets stand in the anchor buffer; without anchor, how many are seen."""
    LEFT_RIGHT = 3
    """On which side of the anchor the target is in the image, from the camera's view."""
    MCQ = 4
    """Which one of the targets fits the criterion, relative to the anchor."""


CATEGORIES = {category.name.lower(): category for category in Category}
"""Categories by the names that data sets and options use: "left_right", "mcq", ..."""


class Criterion(Enum):
    """What singles out one of several targets."""

    NEAREST = "nearest"
    """Smallest distance to the anchor, or to the camera without one."""
    FARTHEST = "farthest"
    LEFTMOST = "leftmost"
    """Smallest column in the image."""
    RIGHTMOST = "rightmost"
    INSIDE = "inside"
    """Stands in the anchor, a buffer. Only for a choice between targets."""
    CONTAINING = "containing"
    """A buffer that the anchor stands in. Only for a choice between targets."""


class Load(Enum):
    """State of a transporter that a question may require."""

    ANY = "any"
    EMPTY = "empty"
    LOADED = "loaded"


@dataclass(frozen=True)
class Choice:
    """Which single one of several regions is meant, as in "the leftmost buffer".

    Attributes:
        criterion: NEAREST, FARTHEST, LEFTMOST or RIGHTMOST.
        rank: 1 = the nearest (leftmost, ...), 2 = the second, ...
        anchor_ids: the one region that NEAREST and FARTHEST are measured from; empty: the camera.
    """

    criterion: Criterion
    rank: int = 1
    anchor_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class SpatialQuestion:
    """A question with roles: what is asked (targets) relative to what (anchors).

    Attributes:
        category: kind of question.
        text: with one `<mask>` for each entry of `region_ids`.
        region_ids: in `<mask>` order.
        target_ids: the objects in question: both objects of a distance count as one target and
            one anchor; the listed objects of a count; the object of left/right; the candidates of
            a choice. Of a distance or a left/right question more than one only with
            `target_load` or `target_choice`, which must leave one.
        anchor_ids: what the targets are related to; of an object and a buffer in a distance it is
            the buffer, whatever the order in the text. More than one only with `anchor_load` or
            `anchor_choice`, which must leave one. Empty: the camera, or all that is seen.
        criterion: for a choice, else None.
        rank: 1 = the nearest (leftmost, ...), 2 = the second, ...
        target_load, anchor_load: keep only those targets or anchors that are empty or loaded.
        target_choice, anchor_choice: after the load, keep only the one that is meant by "the
            leftmost pallet" or "the buffer closest to the shelf"; None when all remain.
        negated: the question asks for what is *not* so: how many are not in the buffer, which
            one is not in it.
        asked_side: for a left/right question that names a side ("is it to the left of ...?"):
            "left" or "right", else empty.
        has_roles: False where only the text says what is asked, for an answerer that reads it
            itself; all regions are targets then.

    Raises:
        SpatialError: BAD_QUESTION when the placeholders do not match the ids.
    """

    category: Category
    text: str
    region_ids: tuple[int, ...]
    target_ids: tuple[int, ...]
    anchor_ids: tuple[int, ...] = ()
    criterion: Criterion | None = None
    rank: int = 1
    target_load: Load = Load.ANY
    anchor_load: Load = Load.ANY
    negated: bool = False
    asked_side: str = ""
    target_choice: Choice | None = None
    anchor_choice: Choice | None = None
    has_roles: bool = True

    def __post_init__(self) -> None:
        check_placeholders(self.text, self.region_ids)


def check_placeholders(text: str, region_ids: Sequence[int]) -> None:
    """Raise BAD_QUESTION when the number of `<mask>` differs from the number of ids."""
    placeholders = text.count(MASK)
    if placeholders != len(region_ids):
        raise SpatialError(
            Status.BAD_QUESTION,
            f"the question has {placeholders} {MASK} but {len(region_ids)} region ids; "
            f"give one id for each {MASK}, in order",
        )
