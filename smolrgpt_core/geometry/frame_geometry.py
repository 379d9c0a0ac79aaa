"""Everything geometric about one frame: the floor, and where each region is on it.

Results are computed when they are first asked for and kept, so a frame costs one fit per region
however many questions are asked about it. A region painted on the floor (a buffer) is a rectangle
in the floor; any other region is an upright cuboid.

Without a visible floor, centres are those of the visible surface, and nothing is said about what
stands where.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.box_fitting import BoxFitConfig, OrientedBox, fit_box
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle
from smolrgpt_core.geometry.ground_plane import GroundPlane, GroundPlaneConfig, find_ground_plane
from smolrgpt_core.geometry.object_classes import is_cargo, is_carrier, is_zone
from smolrgpt_core.geometry.size_priors import SIZE_PRIORS, SizePrior
from smolrgpt_core.geometry.surface import Surface, SurfaceConfig, measure_surface
from smolrgpt_core.geometry.zones import ZoneFitConfig, fit_zone, free_floor
from smolrgpt_core.question.vocabulary import concept_of
from smolrgpt_core.regions import Region

CARGO_MISFIT_M = 0.5
"""A pallet that fits this well to the end of a truck is on its forks."""

VISIBLE_SURFACE_STD_M = 0.5
"""Standard deviation of a centre that is only the middle of the visible surface."""


@dataclass(frozen=True)
class GeometryConfig:
    """How a frame is measured.

    Attributes:
        ground_plane: search for the floor.
        surface: choice of points under a mask.
        box: fit of objects.
        zone: fit of painted zones.
        size_priors: standard sizes by class of object.
    """

    ground_plane: GroundPlaneConfig = field(default_factory=GroundPlaneConfig)
    surface: SurfaceConfig = field(default_factory=SurfaceConfig)
    box: BoxFitConfig = field(default_factory=BoxFitConfig)
    zone: ZoneFitConfig = field(default_factory=ZoneFitConfig)
    size_priors: Mapping[str, SizePrior] = field(default_factory=lambda: dict(SIZE_PRIORS))


@dataclass(frozen=True, eq=False)
class Located:
    """Where one region is.

    Attributes:
        centre: (3,), metres, optical frame.
        std: standard deviation of the centre, metres.
        footprint: on the floor; None where the frame shows too little floor.
        cargo: id of the region that a transporter carries, None without one.
    """

    centre: NDArray[np.float64]
    std: float
    footprint: FloorRectangle | None
    cargo: int | None = None


class FrameGeometry:
    """The geometry of one frame; safe to use from several threads.

    Args:
        frame: with its regions.
        config: how to measure.
    """

    def __init__(self, frame: RGBDFrame, config: GeometryConfig | None = None) -> None:
        self.frame = frame
        self._config = config or GeometryConfig()
        self._lock = RLock()
        self._located: dict[int, Located] = {}
        self._plane: GroundPlane | None = None
        self._plane_searched = False
        self._free: NDArray[np.bool_] | None = None

    @property
    def plane(self) -> GroundPlane | None:
        """The floor; None where the frame shows too little of it."""
        self.find_floor()
        return self._plane

    def find_floor(self) -> None:
        """Look for the floor now; else the first who asks for it waits for that."""
        with self._lock:
            if not self._plane_searched:
                self._plane = find_ground_plane(self.frame, self._config.ground_plane)
                self._plane_searched = True

    def is_zone(self, id: int) -> bool:
        """Whether a region is a painted zone."""
        return is_zone(self.frame.regions[id])

    def locate(self, id: int) -> Located:
        """Where a region is.

        Raises:
            SpatialError: UNKNOWN_REGION; NO_VALID_DEPTH; CANNOT_TELL for a painted zone that is
                not on the floor.
        """
        with self._lock:
            if id not in self._located:
                self._located[id] = self._locate(id)
            return self._located[id]

    def footprint(self, id: int) -> FloorRectangle:
        """The rectangle that a region covers on the floor.

        Raises:
            SpatialError: as `locate`, and CANNOT_TELL when the floor is not visible.
        """
        footprint = self.locate(id).footprint
        if footprint is None:
            raise SpatialError(
                Status.CANNOT_TELL,
                f"too little floor is seen to tell where {self.frame.regions[id].name} stands; let "
                "the camera see the floor around the objects, and check that depth is aligned to "
                "RGB",
            )
        return footprint

    def depth_inside(self, id: int, zone_id: int) -> float:
        """How far the middle of a region's footprint is inside another's, metres; < 0 outside.

        Raises:
            SpatialError: as `footprint`.
        """
        return float(self.footprint(zone_id).depth_inside(self.footprint(id).centre))

    def _locate(self, id: int) -> Located:
        region, plane = self.frame.regions[id], self.plane
        if plane is not None and is_zone(region):
            zone, std = fit_zone(
                self.frame, region, plane, self._free_floor(plane), self._config.zone
            )
            return Located(plane.from_floor(np.append(zone.centre, 0.0)), std, zone)
        noise = plane.noise if plane else 0.0
        surface = measure_surface(self.frame, region, self._config.surface, noise)
        if plane is None:
            return Located(np.median(surface.points, axis=0), VISIBLE_SURFACE_STD_M, None)
        return self._locate_object(id, surface, plane)

    def _free_floor(self, plane: GroundPlane) -> NDArray[np.bool_]:
        if self._free is None:
            objects = np.zeros(self.frame.depth.shape, dtype=bool)
            for region in self.frame.regions:
                if not is_zone(region):
                    objects[region.box.slices] |= region.mask
            self._free = free_floor(self.frame, plane, objects)
        return self._free

    def _locate_object(self, id: int, surface: Surface, plane: GroundPlane) -> Located:
        region = self.frame.regions[id]
        prior = self._config.size_priors.get(concept_of(region.label))
        box = fit_box(surface, plane, self.frame, prior, self._config.box)
        cargo = self._find_cargo(region, box) if is_carrier(region) else None
        if cargo is not None:
            footprint = self.footprint(cargo)
            box = fit_box(surface, plane, self.frame, prior, self._config.box, footprint)
        std = float(np.linalg.norm(box.size_std)) / 2
        return Located(plane.from_floor(box.centre), std, box.footprint, cargo)

    def _find_cargo(self, carrier: Region, box: OrientedBox) -> int | None:
        """The pallet that stands on a carrier, or straight at an end of one seen in part.

        A pallet on the forks of a truck hides them, so it seems to stand beside the truck. One
        without enough depth cannot be judged and does not count.
        """
        fits: list[tuple[bool, float, int]] = []
        for region in self.frame.regions:
            if not is_cargo(region) or not boxes_touch(region, carrier):
                continue
            other = self._footprint_if_measured(region.id)
            if other is None:
                continue
            beside = float(box.footprint.depth_inside(other.centre)) <= 0
            misfit = box.footprint.misfit_at_end(other)
            if not beside or (box.in_part and misfit < CARGO_MISFIT_M):
                fits.append((beside, misfit, region.id))
        return min(fits)[2] if fits else None

    def _footprint_if_measured(self, id: int) -> FloorRectangle | None:
        try:
            return self.footprint(id)
        except SpatialError as error:
            if error.status is not Status.NO_VALID_DEPTH:
                raise
            return None


def boxes_touch(region: Region, other: Region, margin_px: int = 10) -> bool:
    """Whether the boxes of two regions overlap in the image, or almost."""
    a, b = region.box, other.box
    return (
        max(a.x, b.x) < min(a.x + a.width, b.x + b.width) + margin_px
        and max(a.y, b.y) < min(a.y + a.height, b.y + b.height) + margin_px
    )
