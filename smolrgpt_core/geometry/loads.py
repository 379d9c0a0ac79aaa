"""Whether a carrier is loaded, and how sure that is.

A load that a detector missed has no region, and forks that are hidden may carry one. How often a
carrier is loaded then was counted on 412 simulated transporters (halls of seeds 3 and 20261201).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle, turn
from smolrgpt_core.geometry.ground_plane import GroundPlane

FITS, TAKEN, MAY_CARRY = 0.99, 0.85, 0.77
"""Probability of a load: a pallet that fits (239 of 240), one that is taken for the load (33 of
38), and one that hidden forks may carry (22 of 28)."""

UNLABELED_WHOLE, UNLABELED_IN_PART = 0.85, 0.75
"""Something without a region stands on a carrier that is seen as a whole (4 of 4), or where forks
may be of one that is seen in part (8 of 10)."""

NOTHING_WHOLE, NOTHING_IN_PART = 0.02, 0.13
"""No sign of a load on a carrier that is seen as a whole (5 of 196), or in part (10 of 75)."""

UNLABELED_M2 = 0.15
"""Visible surface without a region above a carrier that is no noise: of empty ones that are seen as
a whole it was 0.10 at most."""

ABOVE_M, BELOW_M, INSIDE_M = 0.08, 3.0, 0.05
"""Heights above the floor between which a load is looked for, and how far inside the footprint."""

MAX_READINGS = 80_000
"""Of a larger image, every second reading, every third, ... of a row and a column is used."""

FORKS_M, FORKS_WIDTH_M = 1.1, 0.8
"""Length and width of the area at an end of a truck's body under which forks may be."""


@dataclass(frozen=True)
class Load:
    """What a carrier carries.

    Attributes:
        probability: that it carries anything.
        cargo: id of the region that it carries then; None: of none.
        notes: what was assumed.
    """

    probability: float = 0.0
    cargo: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_under_cargo(self) -> bool:
        """Whether the carrier is taken to reach under its cargo."""
        return self.cargo is not None and self.probability >= TAKEN


NO_LOAD = Load()
"""Of what is no carrier."""


@dataclass(frozen=True, eq=False)
class UnlabeledSurface:
    """What depth shows above the floor where no region of an object is.

    Attributes:
        places: (N, 2), right and forward on the floor, meters.
        pixel_m2: (N,), surface that each stands for, facing the camera.
    """

    places: NDArray[np.float64]
    pixel_m2: NDArray[np.float64]

    @classmethod
    def of(
        cls, frame: RGBDFrame, plane: GroundPlane, objects: NDArray[np.bool_]
    ) -> UnlabeledSurface:
        """Of a frame.

        Args:
            frame: with depth.
            plane: the floor.
            objects: (H, W), where regions of objects are.
        """
        step = math.ceil(math.sqrt(frame.depth.size / MAX_READINGS))
        depth = np.where(objects, np.nan, frame.depth)[::step, ::step]
        rows, columns = np.nonzero(np.isfinite(depth))
        depth = depth[rows, columns]
        rays = pixel_rays(rows * step, columns * step, frame.intrinsics)
        points = plane.to_floor(rays * depth[:, None])
        raised = (points[:, 2] > ABOVE_M) & (points[:, 2] < BELOW_M)
        focal_px2 = frame.intrinsics.fx * frame.intrinsics.fy
        return cls(points[raised, :2], (step * depth[raised]) ** 2 / focal_px2)

    def most(self, areas: Iterable[FloorRectangle]) -> float:
        """The most of it above one of some areas of the floor, m2."""
        return max(
            float(self.pixel_m2[area.depth_inside(self.places) > INSIDE_M].sum()) for area in areas
        )


def fork_areas(body: FloorRectangle) -> list[FloorRectangle]:
    """Where the forks of a truck may be, at each side of its body."""
    areas = []
    for axis in (0, 1):
        size = np.minimum(body.size, FORKS_WIDTH_M)
        size[axis] = FORKS_M
        for sign in (-1, 1):
            offset = np.zeros(2)
            offset[axis] = sign * (body.size[axis] + FORKS_M) / 2
            areas.append(FloorRectangle(body.center + turn(offset, -body.yaw), body.yaw, size))
    return areas
