"""Margins for ambiguous questions: a question is used only if its answer is robust to them.

Margins exclude questions whose answer is debatable (two pallets at almost the same distance, a
pallet on the edge of a buffer) or not visible. They never change an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.fronts import Front
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.spatial_scene import Placed, SeenColors, SpatialScene


@dataclass(frozen=True)
class AmbiguityMargins:
    """When a question is skipped. Fractions are between 0 and 1.

    Standard deviations disturb the copies of a scene at their limits (`SceneCopies.at_limits`), so
    two regions differ by at least twice the margin of one: two distances by 0.25 m and 10 %, two
    columns by 2 % of the image width; a pallet and the edge of a buffer by 0.25 m.

    Attributes:
        min_visible_pixels: smallest mask of an object that is asked about.
        min_visible_fraction: smallest visible fraction of an object that is asked about.
        min_buffer_visible_fraction: the same for a buffer, which is partly covered by its contents.
        max_center_std_m: objects whose centers are measured less precisely are not asked about.
        center_std_m: of centers along the floor, on top of what a measurement has.
        size_std_m: of heights and sizes, on top of what a measurement has.
        ratio_std: of distances and sizes, as a fraction of them.
        column_std: of the middle of masks, as a fraction of the image width.
        min_same_fraction: fraction of the copies that must have the same answer.

    Raises:
        ValueError: for a negative margin or a fraction above 1.
    """

    min_visible_pixels: int = 40
    min_visible_fraction: float = 0.35
    min_buffer_visible_fraction: float = 0.2
    max_center_std_m: float = 0.35
    center_std_m: float = 0.125
    size_std_m: float = 0.03
    ratio_std: float = 0.0527
    column_std: float = 0.01
    min_same_fraction: float = 0.98

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            largest = np.inf if item.name.endswith(("pixels", "_m")) else 1
            if not 0 <= value <= largest:
                raise ValueError(f"{item.name} must be between 0 and {largest}, got {value}")


class WithMargins:
    """Implements `SpatialScene`: a scene with its uncertainties enlarged by margins."""

    def __init__(self, scene: SpatialScene, margins: AmbiguityMargins) -> None:
        self._scene, self._margins = scene, margins
        self._places: dict[int, Placed] = {}

    @property
    def regions(self) -> RegionSet:
        """The regions of the frame."""
        return self._scene.regions

    @property
    def camera_height(self) -> float:
        """Height of the camera above the floor, meters."""
        return self._scene.camera_height

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows (3, 3): right, forward, up."""
        return self._scene.axes

    @property
    def middle_column(self) -> float:
        """The column of the optical axis, pixels."""
        return self._scene.middle_column

    @property
    def column_std(self) -> float:
        """Standard deviation of the middle of a mask, pixels."""
        width = self.regions.image_size[1]
        return max(self._scene.column_std, self._margins.column_std * width)

    def expect(self, ids: Sequence[int]) -> None:
        """As the scene."""
        self._scene.expect([id for id in ids if id not in self._places])

    def place(self, id: int) -> Placed:
        """Where a region is.

        Raises:
            SpatialError: as of the scene.
        """
        if id not in self._places:
            self._places[id] = self._blurred(self._scene.place(id))
        return self._places[id]

    def _blurred(self, placed: Placed) -> Placed:
        along, upwards = self._margins.center_std_m, self._margins.size_std_m
        # Faces that are off by half of the size's margin move the center by as much at most.
        shift = np.maximum(np.array([along, along, upwards]) - upwards / 2, 0.0)
        return replace(
            placed,
            shift_std=placed.shift_std + shift,
            face_std=placed.face_std + upwards / 2,
        )

    def point_at(self, column: int, row: int) -> NDArray[np.float64]:
        """(3,) what a pixel shows, meters, optical frame; NaN without a reading.

        Raises:
            SpatialError: as of the scene.
        """
        return self._scene.point_at(column, row)

    def depth_std(self, column: int, row: int) -> float:
        """That of the scene, meters: questions about pixels have margins of their own."""
        return self._scene.depth_std(column, row)

    def colors(self, id: int) -> SeenColors:
        """The margins of a scene.

        Raises:
            SpatialError: as of the scene.
        """
        return self._scene.colors(id)

    def front(self, id: int) -> Front:
        """Where the front of a region points, as in the scene: no questions are made about it.

        Raises:
            SpatialError: as of the scene.
        """
        return self._scene.front(id)
