"""A scene as metric depth and masks show it, and the color image if that may be used."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import bad_question
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.frame_geometry import SURFACE_ONLY, FrameGeometry, Located
from smolrgpt_core.geometry.fronts import MAST_M, ONLY_FORKS_M, Front
from smolrgpt_core.object_classes import CARRIER, size_class
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.colors import ColorImage
from smolrgpt_core.scene.spatial_scene import (
    Choices,
    Placed,
    SeenColors,
    cannot_tell,
    no_front,
    touches_border,
)

MASK_EDGE_STD_PX = 2.0
"""Standard deviation of the column of a mask's center."""

HEIGHT_STD_M = 0.02
"""Standard deviation of the upper end of an object beside what its fit knows of."""

MIN_TALL_M = 0.005
"""What measures less from its bottom to its top is no object, but a sign of wrong inputs."""

ASK_ELSEWHERE = "so its size is unknown; ask again from where all of it is visible"

SIZE_STD_FRACTION = np.array([0.02, 0.02, 0.03])
"""Standard deviation of sizes beside what their fits know of, as a fraction of them."""

HIDDEN_STD_FRACTION = np.array([0.05, 0.05, 0.15])
"""The same of an object of which much is hidden."""

CENTER_STD_M = 0.015
"""What centers are wrong by beside what the fits know of: loads that hang over, calibration."""

READING_STD_M = 0.005
"""Least standard deviation of the depth at a pixel: what is as near is a tie."""

READING_REACH_PX = 2
"""How far around a pixel the scatter of readings shows how far one of them may be off."""

NORMAL_MAD = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""

CAMERA_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Right, forward and up of a level camera, where no floor is more exact."""


class MeasuredScene:
    """Implements `SpatialScene` with the geometry of a frame.

    Args:
        geometry: of the frame; measures a region when it is first asked for.
        looks: whether it has colors, from the color image.
    """

    def __init__(self, geometry: FrameGeometry, looks: bool = False) -> None:
        self._geometry = geometry
        self._looks = looks

    @property
    def regions(self) -> RegionSet:
        """The regions of the frame."""
        return self._geometry.frame.regions

    @property
    def camera_height(self) -> float:
        """Above the floor, meters; 0 where no floor is seen."""
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

    def expect(self, ids: Sequence[int]) -> None:
        """Get ready for regions that are likely placed next: together they take less time."""
        self._geometry.expect(ids)

    def place(self, id: int) -> Placed:
        """Where a region is.

        Raises:
            SpatialError: UNKNOWN_REGION; NO_VALID_DEPTH; CANNOT_TELL for a zone off the floor.
        """
        located = self._geometry.locate(id)
        box = located.box
        if box is None:
            return _surface_only(located, self.axes, self.camera_height)
        size = np.append(box.footprint.size, box.top - box.bottom)
        stds = box.shift_std, box.side_std, box.bottom_std
        shift_std, face_std = self._stds(id, located, size, *stds)
        return Placed(
            center=located.center @ self.axes.T + [0.0, 0.0, self.camera_height],
            yaw=box.footprint.yaw,
            size=size,
            shift_std=shift_std,
            face_std=face_std,
            cargo=located.load.cargo,
            loaded=located.load.probability,
            unsized=self._why_unsized(id, located),
            notes=located.notes,
            choices=self._choices(id, located, size),
        )

    def _choices(self, id: int, located: Located, size: NDArray[np.float64]) -> Choices | None:
        assert located.box is not None
        choices = located.box.choices
        if choices is None:
            return None
        stds = choices.shift_std, choices.side_std, choices.bottom_std
        return Choices(choices.weights, choices.outward, *self._stds(id, located, size, *stds))

    def _stds(
        self,
        id: int,
        located: Located,
        size: NDArray[np.float64],
        shift_std: NDArray[np.float64],
        side_std: NDArray[np.float64],
        bottom_std: float,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Of the place (3,) and the faces (3, 2), with what is doubted beside the fit, meters.

        Args:
            id: of the region.
            located: where it is.
            size: (3,), of its box, meters.
            shift_std: (2,), of the place of the footprint, meters.
            side_std: (2, 2), of the sides of the footprint, meters.
            bottom_std: of the lower face, meters.
        """
        box = located.box
        assert box is not None
        level_std = self._level_std(located)
        heights_std = np.hypot([bottom_std, np.hypot(HEIGHT_STD_M, box.top_std)], level_std)
        # What makes the box less sure than its fit widens all that the fit is unsure of.
        more = np.sqrt(max((located.std / box.std) ** 2 - 1, 0.0)) if box.std > 0 else 0.0
        sides = np.hypot(side_std, more * box.side_std)
        face_std = np.vstack([sides, np.hypot(1, more) * heights_std])
        if not self._geometry.is_zone(id):
            face_std = _of_uneven(
                face_std, (HIDDEN_STD_FRACTION if located.cut else SIZE_STD_FRACTION) * size
            )
        shift = np.append(np.hypot(shift_std, more * box.shift_std), 0.0)
        return np.hypot(shift, CENTER_STD_M), face_std

    def _level_std(self, located: Located) -> float:
        plane = self._geometry.plane
        return plane.level_std(float(np.linalg.norm(located.center))) if plane else 0.0

    def _why_unsized(self, id: int, located: Located) -> str:
        box = located.box
        if touches_border(self.regions[id], self.regions.image_size):
            return f"is cut off by the border of the image, {ASK_ELSEWHERE}"
        if SURFACE_ONLY in located.notes:
            return f"shows only part of its surface, {ASK_ELSEWHERE}"
        if box is not None and not self._geometry.is_zone(id) and box.top < box.bottom + MIN_TALL_M:
            return (
                f"would end {box.top:.2f} m above the floor and begin at {box.bottom:.2f} m, which "
                "is impossible, so its size is unknown; check the unit of depth, the calibration, "
                "and the position of its mask"
            )
        return ""

    def point_at(self, column: int, row: int) -> NDArray[np.float64]:
        """(3,) what a pixel shows, meters, optical frame; NaN without a reading."""
        frame = self._geometry.frame
        return np.asarray(pixel_rays(row, column, frame.intrinsics) * frame.depth[row, column])

    def depth_std(self, column: int, row: int) -> float:
        """Scatter of the readings around a pixel about its own, meters.

        A reading that its neighbors contradict hangs between two surfaces, or is none.
        """
        top, left = max(row - READING_REACH_PX, 0), max(column - READING_REACH_PX, 0)
        window = self._geometry.frame.depth[
            top : row + READING_REACH_PX + 1, left : column + READING_REACH_PX + 1
        ]
        off = np.abs(window - self._geometry.frame.depth[row, column])
        return max(READING_STD_M, float(NORMAL_MAD * np.nanmedian(off)))

    def colors(self, id: int) -> SeenColors:
        """What colors a region has.

        Raises:
            SpatialError: UNKNOWN_REGION; BAD_QUESTION without color image; CANNOT_TELL where it
                does not show them.
        """
        region = self.regions[id]
        if not self._looks:
            raise bad_question(
                "depth and masks have no colors; use the answerer fused, which looks at the image"
            )
        return self._image.colors(region)

    def front(self, id: int) -> Front:
        """Where the front of a region points.

        Raises:
            SpatialError: as `place`; BAD_QUESTION for what has none; CANNOT_TELL where its forks or
                its load do not show it.
        """
        region = self.regions[id]
        if size_class(region.label) != CARRIER:
            raise no_front(region.name)
        box = self._geometry.locate(id).box
        has_mast = box is not None and box.top >= MAST_M
        if box is not None and ONLY_FORKS_M <= box.top < MAST_M and region.box.y > 0:
            raise no_front(region.name)
        front = self._geometry.front(id) if has_mast else None
        if front is None:
            raise cannot_tell(
                f"which end of {region.name} is its front cannot be seen; ask again from where its "
                "forks, or what lies on them, are in full view"
            )
        return front

    @cached_property
    def _image(self) -> ColorImage:
        return ColorImage(self._geometry.frame.rgb)


def _of_uneven(face_std: NDArray[np.float64], size_std: NDArray[np.float64]) -> NDArray[np.float64]:
    """`face_std` (3, 2) where the size is off by `size_std` (3,) too, at its less known faces."""
    total = np.linalg.norm(face_std, axis=1, keepdims=True)
    fraction = np.divide(face_std, total, out=np.full((3, 2), np.sqrt(0.5)), where=total > 0)
    return np.asarray(np.hypot(face_std, fraction * size_std[:, None]))


def _surface_only(located: Located, axes: NDArray[np.float64], camera_height: float) -> Placed:
    center = located.center @ axes.T + [0.0, 0.0, camera_height]
    stds = np.full(3, located.std)
    return Placed(
        center, 0.0, np.zeros(3), stds, np.zeros((3, 2)), has_footprint=False, notes=located.notes
    )
