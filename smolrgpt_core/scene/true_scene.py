"""A scene as the simulator knows it. Never for answering."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import bad_question
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.fronts import Front
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.spatial_scene import (
    Placed,
    SeenColors,
    cannot_tell,
    no_front,
)
from smolrgpt_core.truth import ObjectTruth, SceneTruth


class TrueScene:
    """Implements `SpatialScene` with the truth of a simulated frame.

    Args:
        truth: of the frame.
        regions: of the same frame.
        intrinsics: of its camera; None: `middle_column` is that of the image, and there are no
            questions about pixels.
        depth: float32 (H, W) meters without noise, for questions about pixels; None: no such ones.
    """

    def __init__(
        self,
        truth: SceneTruth,
        regions: RegionSet,
        intrinsics: CameraIntrinsics | None = None,
        depth: NDArray[np.float32] | None = None,
    ) -> None:
        self._truth = truth
        self._regions = regions
        self._intrinsics = intrinsics
        self._depth = depth
        self._objects = {item.id: item for item in truth.objects}
        self._places: dict[int, Placed] = {}

    @property
    def regions(self) -> RegionSet:
        """The regions of the frame."""
        return self._regions

    @property
    def camera_height(self) -> float:
        """Above the floor, meters."""
        return self._truth.camera_height

    @cached_property
    def axes(self) -> NDArray[np.float64]:
        """Rows (3, 3): right, forward, up as unit vectors in the optical frame."""
        up = self._truth.up
        right = np.array([1.0, 0.0, 0.0]) - up[0] * up
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(up, right), up])

    @property
    def middle_column(self) -> float:
        """Column of the optical axis, pixels."""
        if self._intrinsics is None:
            return (self._regions.image_size[1] - 1) / 2
        return self._intrinsics.cx

    @property
    def column_std(self) -> float:
        """Of the center of a mask: none."""
        return 0.0

    def expect(self, ids: Sequence[int]) -> None:
        """Nothing is to be done."""

    def place(self, id: int) -> Placed:
        """Where a region is.

        Raises:
            SpatialError: UNKNOWN_REGION; CANNOT_TELL for a region of which nothing is known.
        """
        region = self._regions[id]
        if region.id not in self._objects:
            raise cannot_tell(f"nothing is known of {region.name}")
        if id not in self._places:
            self._places[id] = self._placed(self._objects[id])
        return self._places[id]

    def _placed(self, item: ObjectTruth) -> Placed:
        side = self.axes @ item.rotation[:, 0]
        return Placed(
            center=self.axes @ item.center + [0.0, 0.0, self.camera_height],
            yaw=float(np.arctan2(side[1], side[0])),
            size=np.asarray(item.size, dtype=np.float64),
            shift_std=np.zeros(3),
            face_std=np.zeros((3, 2)),
            cargo=item.cargo_id,
            loaded=float(item.cargo_id is not None),
            visible_fraction=item.visible_fraction,
        )

    def point_at(self, column: int, row: int) -> NDArray[np.float64]:
        """(3,) what a pixel shows, meters, optical frame; NaN without a reading.

        Raises:
            SpatialError: BAD_QUESTION where there is no image.
        """
        if self._depth is None or self._intrinsics is None:
            raise bad_question("what is at a pixel is not part of the truth of this scene")
        return np.asarray(pixel_rays(row, column, self._intrinsics) * self._depth[row, column])

    def depth_std(self, column: int, row: int) -> float:
        """None: the depth is true."""
        return 0.0

    def colors(self, id: int) -> SeenColors:
        """The color of a region that has a single one to be known by.

        Raises:
            SpatialError: UNKNOWN_REGION; CANNOT_TELL for what has none, such as a loaded pallet.
        """
        region = self._regions[id]
        item = self._objects.get(region.id)
        if item is None or not item.color:
            raise cannot_tell(f"{region.name} has no single color")
        return SeenColors.only(item.color)

    def front(self, id: int) -> Front:
        """Where the front of a region points.

        Raises:
            SpatialError: UNKNOWN_REGION; BAD_QUESTION for what has none.
        """
        region = self._regions[id]
        item = self._objects.get(region.id)
        if item is None or not item.has_front:
            raise no_front(region.name)
        return Front(self.place(id).yaw)
