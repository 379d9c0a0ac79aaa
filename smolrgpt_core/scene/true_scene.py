"""A scene as the simulator knows it, with margins for what is a matter of taste. Never for answering."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.copies import bad_question
from smolrgpt_core.scene.spatial_scene import Placed, cannot_tell
from smolrgpt_core.sim.truth import SceneTruth


class TrueScene:
    """Implements `SpatialScene` with the truth of a simulated frame.

    Args:
        truth: of the frame.
        regions: of the same frame.
        intrinsics: of its camera.
        center_std_m: how far centers may be moved before an answer counts as clear, metres.
        size_std_m: the same for sizes.
        column_std_px: the same for mask centers.
    """

    def __init__(
        self,
        truth: SceneTruth,
        regions: RegionSet,
        intrinsics: CameraIntrinsics,
        center_std_m: float = 0.0,
        size_std_m: float = 0.0,
        column_std_px: float = 0.0,
    ) -> None:
        self._truth = truth
        self._regions = regions
        self._intrinsics = intrinsics
        self._stds = (center_std_m, size_std_m)
        self.column_std = column_std_px
        self._objects = {item.id: item for item in truth.objects}

    @property
    def regions(self) -> RegionSet:
        """The regions of the frame."""
        return self._regions

    @property
    def camera_height(self) -> float:
        """Above the floor, metres."""
        return self._truth.camera_height

    @property
    def axes(self) -> NDArray[np.float64]:
        """Rows (3, 3): right, forward, up as unit vectors in the optical frame."""
        up = self._truth.up
        right = np.array([1.0, 0.0, 0.0]) - up[0] * up
        right /= np.linalg.norm(right)
        return np.stack([right, np.cross(up, right), up])

    @property
    def middle_column(self) -> float:
        """Column of the optical axis, pixels."""
        return self._intrinsics.cx

    def place(self, id: int) -> Placed:
        """Where a region is.

        Raises:
            SpatialError: UNKNOWN_REGION; CANNOT_TELL for a region of which nothing is known.
        """
        region = self._regions[id]
        if id not in self._objects:
            raise cannot_tell(f"nothing is known of {region.name}")
        item = self._objects[id]
        side = self.axes @ item.rotation[:, 0]
        center_std, size_std = self._stds
        return Placed(
            center=self.axes @ item.centre + [0.0, 0.0, self.camera_height],
            yaw=float(np.arctan2(side[1], side[0])),
            size=np.asarray(item.size, dtype=np.float64),
            center_std=np.array([center_std, center_std, size_std]),
            size_std=np.array([size_std, size_std, size_std]),
            cargo=item.cargo_id,
        )

    def depth_at(self, column: int, row: int) -> float:
        """There is no image in the truth.

        Raises:
            SpatialError: BAD_QUESTION, always.
        """
        raise bad_question("the depth at a pixel is not part of the truth of a scene")
