"""A scene as metric depth and masks show it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.frame_geometry import FrameGeometry, Located
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.copies import bad_question
from smolrgpt_core.scene.spatial_scene import Placed, touches_border

MASK_EDGE_STD_PX = 2.0
"""Standard deviation of the column of a mask's center."""

HEIGHT_STD_M = 0.03
"""Standard deviation of the height of a center and of a vertical extent."""

CAMERA_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Right, forward and up of a level camera, where no floor tells better."""


class MeasuredScene:
    """Implements `SpatialScene` with the geometry of a frame.

    Args:
        geometry: of the frame; measures a region when it is first asked for.
    """

    def __init__(self, geometry: FrameGeometry) -> None:
        self._geometry = geometry

    @property
    def regions(self) -> RegionSet:
        """The regions of the frame."""
        return self._geometry.frame.regions

    @property
    def camera_height(self) -> float:
        """Above the floor, metres; 0 where no floor is seen."""
        plane = self._geometry.plane
        return plane.camera_height if plane else 0.0

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows (3, 3): right, forward, up; those of a level camera where no floor is seen."""
        plane = self._geometry.plane
        return plane.axes if plane else CAMERA_AXES

    @property
    def middle_column(self) -> float:
        """Column of the optical axis, pixels."""
        return self._geometry.frame.intrinsics.cx

    @property
    def column_std(self) -> float:
        """Of the center of a mask, pixels."""
        return MASK_EDGE_STD_PX

    def place(self, id: int) -> Placed:
        """Where a region is.

        Raises:
            SpatialError: UNKNOWN_REGION; NO_VALID_DEPTH; CANNOT_TELL for a zone off the floor.
        """
        located = self._geometry.locate(id)
        center = located.centre @ self.axes.T + [0.0, 0.0, self.camera_height]
        box = located.box
        if located.footprint is None or box is None:
            return _surface_only(center, located)
        size_std = np.append(located.size_std, HEIGHT_STD_M)
        return Placed(
            center=center,
            yaw=located.footprint.yaw,
            size=np.append(located.footprint.size, box.top - box.bottom),
            center_std=np.append(located.size_std / 2, HEIGHT_STD_M),
            size_std=size_std,
            cargo=located.cargo,
            whole=not touches_border(self.regions[id], self.regions.image_size),
        )

    def depth_at(self, column: int, row: int) -> float:
        """Depth along the optical axis at a pixel, metres; NaN without a reading.

        Raises:
            SpatialError: BAD_QUESTION outside of the image.
        """
        depth = self._geometry.frame.depth
        height, width = depth.shape
        if not (0 <= column < width and 0 <= row < height):
            raise bad_question(
                f"pixel ({column}, {row}) lies outside of the image of {width} x {height}"
            )
        return float(depth[row, column])


def _surface_only(center: NDArray[np.float64], located: Located) -> Placed:
    nothing = np.zeros(3)
    return Placed(center, 0.0, nothing, np.full(3, located.std), nothing, has_footprint=False)
