"""The one protocol behind every answer: where each region is, how large, and how sure that is.

Measured geometry and the simulator's truth both implement it, so one interpreter gives the
geometric answer to a question and the true one.

Floor frame: right, forward, height in meters. Forward is the viewing direction along the floor,
height is above the floor; the camera is at (0, 0, camera_height).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status, bad_question
from smolrgpt_core.geometry.fronts import Front
from smolrgpt_core.regions import Region, RegionSet

COLORS = (
    "black", "white", "gray", "red", "orange", "yellow", "green", "blue", "purple", "pink", "brown",
)  # fmt: skip
"""The names of colors: the basic color terms of English."""

HUES = (
    ("red", "pink"), ("orange", "yellow", "brown"), ("green",), ("blue",), ("purple",),
)  # fmt: skip
"""Colors that light and shade may turn into each other."""

MIXED_HUE, MIXED_LIGHT = 0.15, 0.25
"""Fractions of a hue, and of white and gray together, from which they are more than a label, a
strip of steel or the wood under a load."""


MOST_NAMED = 3
"""At most this many colors of a region are named."""

MIN_NAMED = 0.1
"""Colors of smaller fractions are not named."""


@dataclass(frozen=True, eq=False)
class SeenColors:
    """The colors of one region.

    Attributes:
        fractions: (11,), fractions of what is seen of it, by the place of the name in `COLORS`; the
            sum is 1.
        weights: (11,) how likely each name is the one for the region; the sum is 1.
    """

    fractions: NDArray[np.float64]
    weights: NDArray[np.float64]

    def in_words(self) -> str:
        """The largest fractions, such as "55 % black and 30 % yellow"."""
        order = np.argsort(-self.fractions)[:MOST_NAMED]
        named = [
            f"{self.fractions[i]:.0%} {COLORS[i]}" for i in order if self.fractions[i] >= MIN_NAMED
        ]
        *head, last = named or ["of many colors"]
        return f"{', '.join(head)} and {last}" if head else last

    @property
    def is_mixed(self) -> bool:
        """Whether it has several colors, as cartons in film; black may be shadow or rubber."""
        hues = [self._fraction(names) >= MIXED_HUE for names in HUES]
        is_light = self._fraction(("white", "gray")) >= MIXED_LIGHT
        return sum(hues) + is_light > 1

    def _fraction(self, names: Iterable[str]) -> float:
        return float(sum(self.fractions[COLORS.index(name)] for name in names))

    @classmethod
    def only(cls, name: str) -> SeenColors:
        """The colors of a region that has only this one.

        Raises:
            ValueError: there is no such name.
        """
        weights = np.zeros(len(COLORS))
        weights[COLORS.index(name)] = 1.0
        return cls(weights, weights)


@dataclass(frozen=True, eq=False)
class Choices:
    """The sizes that a region may have, where it has one of several.

    Attributes:
        weights: (S,) how likely each is; the sum is 1.
        outward: (S, 3, 2) how far each face lies farther out then, low and high by axis, meters.
        shift_std, face_std: as those of `Placed`, of a region of one of these sizes, meters.
    """

    weights: NDArray[np.float64]
    outward: NDArray[np.float64]
    shift_std: NDArray[np.float64]
    face_std: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Placed:
    """The own box of one region: upright, on the floor frame.

    Attributes:
        center: (3,) right, forward, height of the middle of the box, meters.
        yaw: angle of the first side from right towards forward, radians.
        size: (3,) extent along the first side, across it, and upwards, meters; 0 height for a zone.
        shift_std: (3,) standard deviations of the place of the whole box along its sides and
            upwards, meters.
        face_std: (3, 2) standard deviations of each face for itself, low and high by axis, on top
            of that, meters: one that is hidden is not known though the others are.
        cargo: id of the region that a transporter carries if it is loaded; None where that is none.
        loaded: probability that a transporter carries anything.
        has_footprint: False where only the visible surface was measured: no size, no floor.
        unsized: why no size is known, and what to do about it, to follow a name; "" where it
            can.
        notes: what was assumed, such as "from a box, not a mask".
        visible_fraction: visible fraction of the object, 0 to 1; 1 where it is not known.
        choices: what the standard deviations are made up of; None: nothing but them is known.
    """

    center: NDArray[np.float64]
    yaw: float
    size: NDArray[np.float64]
    shift_std: NDArray[np.float64]
    face_std: NDArray[np.float64]
    cargo: int | None = None
    loaded: float = 0.0
    has_footprint: bool = True
    unsized: str = ""
    notes: tuple[str, ...] = ()
    visible_fraction: float = 1.0
    choices: Choices | None = None

    @property
    def size_std(self) -> NDArray[np.float64]:
        """(3,) standard deviations of the size, meters."""
        return np.asarray(np.linalg.norm(self.face_std, axis=1))

    @property
    def center_std(self) -> NDArray[np.float64]:
        """(3,) standard deviations of the center along the sides and upwards, meters."""
        return np.hypot(self.shift_std, self.size_std / 2)


class SpatialScene(Protocol):
    """What is known of one frame. Implementations measure a region when it is first asked for."""

    @property
    def regions(self) -> RegionSet:
        """The regions of the frame."""

    @property
    def camera_height(self) -> float:
        """Of the optical center above the floor, meters; 0 where no floor is seen."""

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows (3, 3): right, forward and up as unit vectors in the optical frame."""

    @property
    def middle_column(self) -> float:
        """Column of the optical axis in the image, pixels."""

    @property
    def column_std(self) -> float:
        """Standard deviation of the column of a mask's center, pixels."""

    def expect(self, ids: Sequence[int]) -> None:
        """Get ready for regions that are likely placed next: together they may take less time."""

    def place(self, id: int) -> Placed:
        """Where a region is.

        Raises:
            SpatialError: NO_VALID_DEPTH or CANNOT_TELL, with the reason.
        """

    def point_at(self, column: int, row: int) -> NDArray[np.float64]:
        """(3,) what a pixel of the image shows, meters, optical frame; NaN without a reading.

        Raises:
            SpatialError: BAD_QUESTION for a scene without image.
        """

    def depth_std(self, column: int, row: int) -> float:
        """Standard deviation of the depth at a pixel with a reading, meters."""

    def colors(self, id: int) -> SeenColors:
        """What colors a region has.

        Raises:
            SpatialError: UNKNOWN_REGION; CANNOT_TELL, with the reason; BAD_QUESTION for a scene of
                which no colors are known.
        """

    def front(self, id: int) -> Front:
        """Where the front of a region points.

        Raises:
            SpatialError: UNKNOWN_REGION; BAD_QUESTION for what has no front; CANNOT_TELL, with the
                reason, where it has one.
        """


def mask_column(region: Region) -> float:
    """Mean column of the pixels of a mask, in pixels of the image."""
    columns = np.count_nonzero(region.mask, axis=0)
    return region.box.x + float(np.average(np.arange(len(columns)), weights=columns))


def no_front(name: str) -> SpatialError:
    """The refusal of a question about the front of what has none.

    Args:
        name: of the region.
    """
    return bad_question(
        f"{name} has no front and faces nowhere; only transporters with a mast and forks have one, "
        "the end away from their load"
    )


def touches_border(region: Region, image_size: tuple[int, int]) -> bool:
    """Whether the border of the image (height, width) may cut a region."""
    height, width = image_size
    box = region.box
    return min(box.x, box.y) == 0 or box.x + box.width == width or box.y + box.height == height


def cannot_tell(reason: str) -> SpatialError:
    """The refusal of what is clear as a question, and not decided by what is seen."""
    return SpatialError(Status.CANNOT_TELL, reason)
