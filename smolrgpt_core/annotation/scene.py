"""The scene that questions are generated from: measured geometry of the selected objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from smolrgpt_core.annotation.filters import NO_FLOOR, SkippedError
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import back_project
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.object_classes import is_zone
from smolrgpt_core.scene.measured_scene import MeasuredScene
from smolrgpt_core.scene.spatial_scene import Placed, cannot_tell

FLOOR_QUANTILE = 0.98
"""Where no floor is seen, this fraction of the nearer points lies above what is taken for it."""


MAX_SIZE_DOUBT = 0.2
"""Standard deviation of a side, relative to it, from which an object has no known size: of a
forklift that hides behind a shelf only a corner is measured, whose height looks sure."""

TOO_LITTLE_VISIBLE = "is not visible enough for its size to be known"


class AskedScene(MeasuredScene):
    """A measured scene without objects that are too uncertain to be asked about.

    Some regions cannot be located, and the size of others is unknown.

    They stay in the frame, so questions that count or rank their class have no certain answer and
    are not asked.

    Args:
        geometry: of the frame.
        skipped: reasons by region id.
    """

    def __init__(self, geometry: FrameGeometry, skipped: Mapping[int, str]) -> None:
        super().__init__(geometry)
        self._skipped = skipped

    def place(self, id: int) -> Placed:
        """Where a region is; see `MeasuredScene`.

        Raises:
            SpatialError: also CANNOT_TELL for what is skipped.
        """
        if self._skipped.get(id):
            raise cannot_tell(f"{self.regions[id].name} is skipped: {self._skipped[id]}")
        placed = super().place(id)
        if is_zone(self.regions[id]) or _is_size_known(placed):
            return placed
        return replace(placed, unsized=placed.unsized or TOO_LITTLE_VISIBLE)


def _is_size_known(placed: Placed) -> bool:
    return bool(np.all(placed.size_std <= MAX_SIZE_DOUBT * placed.size))


def measured_geometry(frame: RGBDFrame) -> tuple[FrameGeometry, bool]:
    """The geometry of a frame, and whether its floor is only assumed.

    If only the up direction is known, the floor is assumed at the lowest point of the nearer half
    of the scene: relations between objects are then correct, but not their heights above the floor.

    Raises:
        SkippedError: no floor is visible and the up direction is unknown.
    """
    geometry = FrameGeometry(frame)
    if geometry.plane is not None:
        return geometry, False
    if frame.up is None:
        raise SkippedError(NO_FLOOR, "give the up direction of the camera, if it is known")
    points = back_project(frame.depth, frame.intrinsics)[np.isfinite(frame.depth)]
    nearer = points[points[:, 2] <= np.median(points[:, 2])]
    height = float(np.quantile(-(nearer @ frame.up), FLOOR_QUANTILE))
    if height <= 0:
        raise SkippedError(NO_FLOOR, "all that is seen is above the camera")
    return FrameGeometry(replace(frame, camera_height=height)), True
