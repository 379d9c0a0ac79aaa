"""What is true of a frame, and what is too close to call.

Margins leave out questions whose answer is a matter of taste (two pallets almost equally far, a
pallet on the edge of a buffer) or cannot be seen. They never change an answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.regions import Region, RegionSet


class ObjectFacts(Protocol):
    """What is known of one object; `sim.ObjectTruth` and `facts_from_geometry` have it."""

    @property
    def id(self) -> int:
        """As in the frame's regions."""

    @property
    def label(self) -> str:
        """As in the frame's regions."""

    @property
    def centre(self) -> NDArray[np.float64]:
        """(3,) middle of the object, metres, optical frame."""

    @property
    def visible_share(self) -> float:
        """Visible share of the object, 0 to 1; 1 where it is not known."""

    @property
    def buffer_ids(self) -> tuple[int, ...]:
        """The buffers in which the middle of the object's footprint lies."""

    @property
    def buffer_margin(self) -> float:
        """Metres from the middle of the footprint to the nearest edge of a buffer.

        Positive inside; NaN for buffers and shelves, and where there is no buffer.
        """

    @property
    def loaded(self) -> bool:
        """Whether this is a transporter that carries a pallet."""


class FrameFacts(Protocol):
    """What is known of one frame: `sim.SceneTruth`, or what `facts_from_geometry` returns."""

    @property
    def objects(self) -> Sequence[ObjectFacts]:
        """Of regions of the frame; one that is left out is not asked about."""


@dataclass(frozen=True)
class AmbiguityMargins:
    """When a question is left out. Shares are between 0 and 1.

    Attributes:
        min_visible_pixels: smallest mask of an object that is asked about.
        min_visible_share: smallest visible share of an object that is asked about.
        min_buffer_visible_share: the same for a buffer, which is seen between what stands in it.
        min_column_separation: smallest distance of mask centres for left and right, as a share of
            the image width; the true centres must lie in the same order.
        min_distance_ratio: by how much nearest and next nearest must differ, as a share of the
            larger distance.
        min_distance_gap_m: the same in metres; both must hold.
        min_edge_distance_m: smallest distance of the middle of a footprint from the edge of a
            buffer, for questions about what stands in it.

    Raises:
        ValueError: for a negative margin or a share above 1.
    """

    min_visible_pixels: int = 40
    min_visible_share: float = 0.35
    min_buffer_visible_share: float = 0.2
    min_column_separation: float = 0.02
    min_distance_ratio: float = 0.1
    min_distance_gap_m: float = 0.25
    min_edge_distance_m: float = 0.25

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            largest = 1 if item.name.endswith(("share", "separation", "ratio")) else np.inf
            if not 0 <= value <= largest:
                raise ValueError(f"{item.name} must be between 0 and {largest}, got {value}")


class SceneFacts:
    """Facts about the regions of one frame, with the margins in force.

    Args:
        frame: what is known of it.
        regions: of the same frame.
        margins: what is too close to call.
    """

    def __init__(self, frame: FrameFacts, regions: RegionSet, margins: AmbiguityMargins) -> None:
        self.regions = regions
        self._margins = margins
        self._objects = {item.id: item for item in frame.objects if item.id in regions}
        self._columns = {id: mask_column(regions[id]) for id in self._objects}

    def __getitem__(self, id: int) -> ObjectFacts:
        """What is known of one region."""
        return self._objects[id]

    def seen(self, *labels: str) -> list[int]:
        """Regions with one of these labels that are visible enough to be asked about."""
        return [
            id for id in self._objects if self._objects[id].label in labels and self._visible(id)
        ]

    def whole(self, *labels: str) -> list[int]:
        """Like `seen`, without what the border of the image cuts: its centre is not seen."""
        return [id for id in self.seen(*labels) if not self._cut(self.regions[id])]

    def distance(self, id: int, other: int | None) -> float:
        """Metres between true centres; 0 in the buffer asked about; None: to the camera."""
        if other is None:
            return float(np.linalg.norm(self[id].centre))
        if self.inside(id, other) or self.inside(other, id):
            return 0.0
        return float(np.linalg.norm(self[id].centre - self[other].centre))

    def inside(self, id: int, buffer: int) -> bool:
        """Whether an object stands in a buffer."""
        return buffer in self[id].buffer_ids

    def clear_of_edges(self, ids: Iterable[int]) -> bool:
        """Whether it is beyond doubt for each object which buffer it stands in, if any."""
        margins = np.abs([self[id].buffer_margin for id in ids])
        return not np.any(margins < self._margins.min_edge_distance_m)

    def side(self, id: int, other: int) -> str | None:
        """Side of the other in the image, "left" or "right"; None when it is too close to call.

        By the middle of the masks, which is what an image shows; the true centres must agree.
        """
        separation = self._columns[id] - self._columns[other]
        needed = self._margins.min_column_separation * self.regions.image_size[1]
        if abs(separation) < needed or separation * self._bearing(id, other) <= 0:
            return None
        return "left" if separation < 0 else "right"

    def by_column(self, ids: Sequence[int]) -> list[int] | None:
        """From left to right, or None when the order is too close to call."""
        ordered = sorted(ids, key=self._columns.__getitem__)
        clear = all(self.side(a, b) == "left" for a, b in pairwise(ordered))
        return ordered if clear else None

    def by_distance(self, ids: Sequence[int], other: int | None, rank: int) -> list[int] | None:
        """From near to far, or None when it is too close to call which one has the rank."""
        ordered = sorted(ids, key=lambda id: self.distance(id, other))
        metres = [self.distance(id, other) for id in ordered]
        around = metres[max(rank - 2, 0) : rank + 1]
        clear = all(
            far - near >= max(self._margins.min_distance_gap_m, self._ratio * far)
            for near, far in pairwise(around)
        )
        return ordered if clear else None

    @property
    def _ratio(self) -> float:
        return self._margins.min_distance_ratio

    def _visible(self, id: int) -> bool:
        item = self._objects[id]
        share = self._margins.min_visible_share
        if item.label == "buffer":
            share = self._margins.min_buffer_visible_share
        enough = self.regions[id].area >= self._margins.min_visible_pixels
        return enough and item.visible_share >= share

    def _cut(self, region: Region) -> bool:
        height, width = self.regions.image_size
        box = region.box
        return min(box.x, box.y) == 0 or box.x + box.width == width or box.y + box.height == height

    def _bearing(self, id: int, other: int) -> float:
        """Positive when the true centre of the first is right of the other, as projected."""
        (x, _, z), (other_x, _, other_z) = self[id].centre, self[other].centre
        if min(z, other_z) <= 0:
            return 0.0
        return float(x / z - other_x / other_z)


def mask_column(region: Region) -> float:
    """Mean column of the pixels of a mask, in pixels of the image."""
    columns = np.count_nonzero(region.mask, axis=0)
    return region.box.x + float(np.average(np.arange(len(columns)), weights=columns))
