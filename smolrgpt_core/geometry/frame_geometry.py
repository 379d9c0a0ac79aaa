"""Everything geometric about one frame: the floor, and where each region is on it.

Results are computed on first use and cached, so a frame costs one fit per region
however many questions are asked about it. A region painted on the floor (a buffer) is a rectangle
in the floor; any other region is an upright cuboid.

Where a box is less sure than the visible surface alone, as for a small thing of no
known class, the latter is reported, with a note. So it is without a visible floor, and then no
answer is given about what stands where.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from threading import RLock

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.box_fitting import BoxFitter, MeasuredSize, OrientedBox, look_at
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle
from smolrgpt_core.geometry.fronts import Front, find_front
from smolrgpt_core.geometry.ground_plane import (
    MAX_TILT_DEG,
    MOUNTING_HEIGHT_STD_M,
    GroundPlane,
    find_floor,
    find_ground_plane,
)
from smolrgpt_core.geometry.input_doubts import (
    ENOUGH_BOXES,
    MAX_SCALE_ERROR,
    MIN_BOX_PX,
    MIN_SIZED,
    REACHED,
    MaskDoubt,
    ScaleDoubt,
    are_standard,
    box_doubt,
    calibration_doubt,
    extent_doubt,
    mask_doubt,
    scale_doubt,
)
from smolrgpt_core.geometry.loads import (
    FITS,
    MAY_CARRY,
    NO_LOAD,
    NOTHING_IN_PART,
    NOTHING_WHOLE,
    TAKEN,
    UNLABELED_IN_PART,
    UNLABELED_M2,
    UNLABELED_WHOLE,
    Load,
    UnlabeledSurface,
    fork_areas,
)
from smolrgpt_core.geometry.masks import with_border_moved
from smolrgpt_core.geometry.object_pixels import (
    ObjectPixels,
    find_object_pixels,
    floor_pixels,
    is_box,
)
from smolrgpt_core.geometry.order_statistics import fraction_of, median, quantile, quantiles
from smolrgpt_core.geometry.size_priors import SIZE_PRIORS, SizePrior, is_cuboid
from smolrgpt_core.geometry.surface import Edge, Surface, measure_surface
from smolrgpt_core.geometry.turned_view import WIDTH
from smolrgpt_core.geometry.visible_surface import VisibleExtent, visible_extent
from smolrgpt_core.geometry.zones import fit_zone, free_floor
from smolrgpt_core.object_classes import CARGO, is_cargo, is_carrier, is_zone, size_class
from smolrgpt_core.regions import Region

CARGO_MISFIT_M = 0.5
"""A pallet that fits this well to the end of a truck is on its forks."""

SURE_MISFIT_M = 0.2
"""One that fits worse than this is reported as assumed to be its load: others may stand so by
chance. So is one at an end of a truck where another one may be on its forks too."""

MAY_CARRY_M, MAY_CARRY_MISFIT_M = 0.6, 1.0
"""A pallet whose middle is this close to what is seen of a truck, and that fits this well to its
end, each within its standard deviation, may be on its forks: noise turns what little is seen of
it."""

RAISED_M, LEVEL_M = 0.1, 0.15
"""So may a pallet whose lower face is this far above the floor, and this close to the height at
which a carrier ends."""

LIFTED_STD_M, CARRIED_M = 0.05, 1.5
"""Standard deviation of the lower face of a pallet that seems to stand on the floor, but is about
as far away as a carrier that it overlaps in the image: forks lift it by some centimeters."""

BOX_DOUBT = 0.15
"""Standard deviation that is added when a region came as a box, relative to its longest side."""

ZONE_BOX_DOUBT = 0.25
"""Standard deviation of the sides of a zone that came as a box, relative to its longer side."""

DISAGREEMENT = 0.3
"""Standard deviation that is added to a box of no known class, relative to how far its center is
from that of the visible surface."""

CUT_FRACTION, OCCLUDED_FRACTION = 0.03, 0.25
"""Fraction of an outline at the border of the image, or behind something, from which it is cut."""

SPARSE_BELOW = 0.05
"""Fraction of a mask's pixels with readings below which an answer mentions it."""

VERTICAL_STD_M = 0.03
"""Standard deviation of the height of a fitted box's center."""

UNIT_CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)])
"""Corners (8, 3) of a cube with sides of 2."""

LOWEST_FRACTION, SUNK_M = 0.98, 0.1
"""An object with this fraction of its readings above a level, and the rest so far below, is
lower."""

SIZED_PALLETS, MAX_CUT = 6, 0.2
"""Pallets that are compared with the standard sizes, the largest masks, and how much of the edge of
one may be hidden."""

FLAT_M, FLAT_FRACTION = 0.03, 0.9
"""An object with this fraction of its readings so close to the floor, the middle one closer than
half of it, is flat."""

HEIGHT_STDS = 3.0
"""Standard deviations by which the floor must be off the height of the camera to be doubted."""

FROM_BOX = "from a box, not a mask"
SURFACE_ONLY = "from the visible surface only"
NO_FLOOR = "no floor seen"
MOUNTED_FLOOR = "no floor seen: it is assumed where the mounting of the camera puts it"
FLAT = "as flat as the floor; is its label correct, and is its mask in the right place?"


@dataclass(frozen=True, eq=False)
class Located:
    """Where one region is.

    Attributes:
        center: (3,), meters, optical frame.
        std: standard deviation of the center, meters.
        footprint: on the floor; None where the frame shows too little floor.
        load: what a transporter carries.
        box: in floor coordinates; None where the frame shows too little floor.
        size: (3,), meters along `axes`: length, width, height of a box; across, along and up as
            the camera looks at it where only the visible surface is known. NaN where unknown.
        axes: (3, 3), rows are unit vectors in the optical frame.
        center_std: (3,), standard deviation of the center along the optical axes, meters.
        size_std: (3,), standard deviation of the size, meters.
        notes: what was assumed, such as "from a box, not a mask".
        cut: whether the border of the image or something nearer hides much of it.
    """

    center: NDArray[np.float64]
    std: float
    footprint: FloorRectangle | None
    load: Load = NO_LOAD
    box: OrientedBox | None = None
    size: NDArray[np.float64] = field(default_factory=lambda: np.full(3, np.nan))
    axes: NDArray[np.float64] = field(default_factory=lambda: np.eye(3))
    center_std: NDArray[np.float64] = field(default_factory=lambda: np.full(3, np.nan))
    size_std: NDArray[np.float64] = field(default_factory=lambda: np.full(3, np.nan))
    notes: tuple[str, ...] = ()
    cut: bool = False


class _Seen:
    """What is seen of one region.

    Args:
        pixels: that show its object.
        surface: of these.

    Attributes:
        pixels, surface: the arguments.
    """

    def __init__(self, pixels: ObjectPixels, surface: Surface) -> None:
        self.pixels, self.surface = pixels, surface
        self._fitter: BoxFitter | None = None

    def fitter(self, plane: GroundPlane, frame: RGBDFrame, is_cuboid: bool) -> BoxFitter:
        """Fits boxes that stand on a plane; the same as long as the plane is."""
        if self._fitter is None or self._fitter.plane is not plane:
            self._fitter = BoxFitter(self.surface, plane, frame, is_cuboid)
        return self._fitter


class FrameGeometry:
    """The geometry of one frame; safe to use from several threads.

    Args:
        frame: with its regions.
        size_priors: standard sizes by class of object.
    """

    def __init__(
        self, frame: RGBDFrame, size_priors: Mapping[str, SizePrior] = SIZE_PRIORS
    ) -> None:
        self.frame = frame
        self._size_priors = size_priors
        self._lock = RLock()
        self._located: dict[int, Located] = {}
        self._seen: dict[int, _Seen] = {}
        self._plane: GroundPlane | None = None
        self._plane_searched = False
        self._free: NDArray[np.bool_] | None = None
        self._objects: NDArray[np.bool_] | None = None
        self._doubts: tuple[str, ...] | None = None
        self._scale_is_hint = False
        self._mask_doubt: MaskDoubt | None = None
        self._unlabeled: UnlabeledSurface | None = None
        self._expected: set[int] = set()

    @property
    def plane(self) -> GroundPlane | None:
        """The floor; None where the frame shows too little of it and does not state where it is."""
        with self._lock:
            if not self._plane_searched:
                self._plane = find_floor(self.frame)
                self._plane_searched = True
            return self._plane

    def prepare(self) -> None:
        """Measure now what every answer needs: the floor and doubts. Else the first one waits."""
        with self._lock:
            _ = self.plane, self.doubts

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why the inputs of the frame may be wrong or not belong together; see `input_doubts`."""
        with self._lock:
            if self._doubts is None:
                scale = self._scale_doubt()
                self._scale_is_hint = scale.is_hint
                reasons = (
                    self.frame.depth_doubt,
                    self.mask_doubt.text,
                    box_doubt([*islice(self._box_reaches(), ENOUGH_BOXES)]),
                    scale.text,
                    self._mounting_doubt(),
                    calibration_doubt(self.frame.intrinsics),
                )
                self._doubts = tuple(doubt for doubt in reasons if doubt)
                for id in self._located.keys() & self._seen.keys():
                    del self._seen[id]
            return self._doubts

    @property
    def mask_doubt(self) -> MaskDoubt:
        """Why the masks of objects may not belong to the depth."""
        with self._lock:
            if self._mask_doubt is None:
                self._mask_doubt = mask_doubt(self.frame)
            return self._mask_doubt

    @property
    def is_distrusted(self) -> bool:
        """Whether there are doubts that the standard deviations of places do not cover."""
        doubts = len(self.doubts)
        only_borders = self.mask_doubt.border_px > 0
        return doubts > only_borders + self._scale_is_hint

    def is_zone(self, id: int) -> bool:
        """Whether a region is a painted zone."""
        return is_zone(self.frame.regions[id])

    def expect(self, ids: Iterable[int]) -> None:
        """Get ready for regions that are likely located next, as together they take less time."""
        with self._lock:
            self._expected |= {*ids} - self._located.keys()

    def locate(self, id: int) -> Located:
        """Where a region is.

        Raises:
            SpatialError: UNKNOWN_REGION; NO_VALID_DEPTH; CANNOT_TELL for a painted zone that is
                not on the floor.
        """
        with self._lock:
            if id not in self._located:
                self._located[id] = self._locate(id)
                if self._doubts is not None:  # else the doubt about sizes may need it
                    self._seen.pop(id, None)
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
                "too little of the floor is visible to tell where "
                f"{self.frame.regions[id].name} stands; let "
                "the camera see the floor around the objects, and check that depth is aligned to "
                "RGB",
            )
        return footprint

    def depth_inside(self, id: int, zone_id: int) -> float:
        """How far the middle of a region's footprint is inside another's, meters; < 0 outside.

        Raises:
            SpatialError: as `footprint`.
        """
        return float(self.footprint(zone_id).depth_inside(self.footprint(id).center))

    def front(self, id: int) -> Front | None:
        """Where the front of a carrier with a mast points; None where that is unknown.

        Raises:
            SpatialError: as `locate`, also of what it may carry.
        """
        with self._lock:
            region, plane, frame = self.frame.regions[id], self.plane, self.frame
            cargo = self.locate(id).load.cargo
            if plane is None or is_box(region):  # of which most is around the carrier
                return None
            rows, columns = np.nonzero(frame.regions.full_mask(id) & np.isfinite(frame.depth))
            rays = pixel_rays(rows, columns, frame.intrinsics)
            points = plane.to_floor(rays * frame.depth[rows, columns, None])
            return find_front(points, None if cargo is None else self.locate(cargo).box)

    def _locate(self, id: int) -> Located:
        region, plane = self.frame.regions[id], self.plane
        if plane is not None and is_zone(region):
            return self._locate_zone(region, plane)
        located = self._measure(region, self._see(region))
        if is_zone(region) or is_box(region):
            return located
        border_px = self.mask_doubt.border_px
        return self._with_unsure_border(located, region, border_px) if border_px else located

    def _with_unsure_border(self, located: Located, region: Region, border_px: float) -> Located:
        """A place whose standard deviation covers a border of the mask that is off.

        One side of the mask that is off moves the center by half of that; a border that is off all
        around shows other readings, by which the object may be elsewhere.
        """
        camera = self.frame.intrinsics
        distance = float(np.linalg.norm(located.center))
        side = border_px * distance / min(camera.fx, camera.fy)
        away, resized = [side / 2], [side]
        others = self._object_mask()
        moved = [with_border_moved(region, pixels, others) for pixels in (-border_px, border_px)]
        # One that is too thin to be shrunk is not seen: `side` is most of it.
        found = [(other, seen) for other in moved if (seen := self._seen_if_measured(other))]
        wanted: dict[BoxFitter, SizePrior | None] = {}
        for changed, seen in found:
            wanted |= self._fitter_of(changed, seen)
        self._look_at(wanted)
        for changed, seen in found:
            other = self._measure(changed, seen)
            away.append(float(np.linalg.norm(other.center - located.center)))
            resized.append(float(np.abs(np.sort(other.size) - np.sort(located.size)).max()))
        return _less_sure(located, max(away), max(resized))

    def _measure(self, region: Region, seen: _Seen) -> Located:
        """An object by the readings under its mask."""
        plane = self.plane
        pixels, surface = seen.pixels, seen.surface
        support = None if is_zone(region) else self._support(surface)
        located = self._locate_object(region, seen, support)
        notes = _notes_of(surface, pixels) + located.notes
        if plane is not None and plane.inlier_fraction == 0:
            notes += (MOUNTED_FLOOR,)
        elif plane is not None and not is_zone(region) and _is_flat(surface, plane):
            notes += (FLAT,)
        doubt = BOX_DOUBT * float(located.size.max()) if pixels.from_box else 0.0
        doubt = float(np.hypot(doubt, pixels.ambiguity_m))
        return replace(_less_sure(located, doubt, doubt), notes=notes, cut=_is_cut(surface))

    def _see(self, region: Region) -> _Seen:
        """The pixels of an object, and its visible surface.

        Raises:
            SpatialError: NO_VALID_DEPTH.
        """
        # By identity: the same region with its border moved is another one.
        is_own = region is self.frame.regions[region.id]
        if is_own and region.id in self._seen:
            return self._seen[region.id]
        noise = self.plane.noise if self.plane else 0.0
        pixels = self._find_pixels(region)
        seen = _Seen(pixels, measure_surface(self.frame, region, noise, pixels))
        if is_own:
            self._seen[region.id] = seen
        return seen

    def _find_pixels(self, region: Region) -> ObjectPixels:
        """The pixels of a region that show its object."""
        return find_object_pixels(
            self.frame, region, self.plane, self._in_floor, self._object_mask()
        )

    @cached_property
    def _sized_pallets(self) -> list[Region]:
        """The pallets whose sizes are compared with the standard ones, largest first."""
        pallets = [
            region for region in self.frame.regions if is_cargo(region) and not is_box(region)
        ]
        return sorted(pallets, key=lambda region: -region.area)[:SIZED_PALLETS]

    def _mounting_doubt(self) -> str:
        """Why what the frame states about its camera may be wrong; empty where depth agrees."""
        up, height = self.frame.up, self.frame.camera_height
        if up is None and height is None:
            return ""
        if self.plane is not None and self.plane.inlier_fraction > 0:
            return "" if height is None else self._height_doubt(self.plane, height)
        free = replace(self.frame, up=None, camera_height=None)
        seen = find_ground_plane(free)
        if seen is None:
            return ""
        apart = np.degrees(np.arccos(np.clip(up @ seen.up, -1, 1))) if up is not None else 0.0
        if apart > MAX_TILT_DEG:
            return (
                f"the floor in the depth image is tilted by {apart:.0f} degrees against the up "
                "direction of tf or the IMU; check how the camera is mounted"
            )
        if height is None:
            return ""
        return _height_apart("largest level surface that depth shows", seen, height)

    def _height_doubt(self, floor: GroundPlane, height: float) -> str:
        """Why the floor that depth shows is not where the mounting puts it; empty where it may be.

        A unit of depth or a focal length that is off by 10 % moves it by as much.
        """
        std = np.hypot(MOUNTING_HEIGHT_STD_M, floor.height_std)
        off = abs(floor.camera_height - height)
        if off < max(MAX_SCALE_ERROR * height, HEIGHT_STDS * std):
            return ""
        return _height_apart("floor that depth shows", floor, height)

    def _box_reaches(self) -> Iterator[float]:
        """Over how much of its box each object reaches, of those inside the image."""
        height, width = self.frame.regions.image_size
        for region in self.frame.regions:
            box = region.box
            is_inside = box.x > 0 and box.y > 0
            is_inside &= box.x + box.width < width and box.y + box.height < height
            if is_inside and is_box(region, MIN_BOX_PX) and not is_zone(region):
                found = self._find_pixels(region)
                across, down = (_reach(found.mask, axis) for axis in (0, 1))
                yield min(1.0, across / box.width, down / box.height)

    def _scale_doubt(self) -> ScaleDoubt:
        prior = self._size_priors.get(CARGO)
        if prior is None:
            return ScaleDoubt()
        sizes: list[MeasuredSize] = []
        pallets = self._size_fitters()
        while some := dict.fromkeys(islice(pallets, MIN_SIZED)):
            self._look_at(some)
            for fitter in some:
                sizes.append(fitter.measure_size())
                if are_standard(sizes, prior):
                    return ScaleDoubt()
        if len(sizes) >= MIN_SIZED:
            return scale_doubt(sizes, prior)
        visible = map(self._seen_if_measured, self._sized_pallets)
        extents = [_extent(seen.surface) for seen in visible if seen]
        return ScaleDoubt(extent_doubt(extents, prior))

    def _size_fitters(self) -> Iterator[BoxFitter]:
        """Measure pallets by themselves, without standard sizes; those of which enough is seen."""
        plane = self.plane
        for pallet in self._sized_pallets if plane is not None else ():
            seen = self._seen_if_measured(pallet)
            if seen and not seen.surface.sparse and seen.surface.outline.cut_fraction <= MAX_CUT:
                assert plane is not None
                yield seen.fitter(plane, self.frame, True)

    def _look_at(self, objects: dict[BoxFitter, SizePrior | None]) -> None:
        """Find what is seen of objects, and in the same pass of those that are needed next.

        Args:
            objects: with the standard sizes of the class of each.
        """
        if all(fitter.seen_with(prior) is not None for fitter, prior in objects.items()):
            return
        sized = islice(self._size_fitters(), MIN_SIZED if self._doubts is None else 0)
        wanted: dict[BoxFitter, SizePrior | None] = {**dict.fromkeys(sized), **objects}
        for id in self._expected - self._located.keys():
            region = self.frame.regions[id]
            seen = None if is_zone(region) else self._seen_if_measured(region)
            wanted |= self._fitter_of(region, seen) if seen else {}
        self._expected.clear()
        wanted = {item: prior for item, prior in wanted.items() if item.seen_with(prior) is None}
        look_at([*wanted], [*wanted.values()])

    def _fitter_of(self, region: Region, seen: _Seen) -> dict[BoxFitter, SizePrior | None]:
        """What fits the box of a region, with its standard sizes; nothing if none is fitted."""
        support, prior = self._support(seen.surface), self._prior(region)
        if support is None or (seen.surface.sparse and prior is None):
            return {}
        return {seen.fitter(support, self.frame, is_cuboid(prior)): prior}

    def _prior(self, region: Region) -> SizePrior | None:
        """Standard sizes of the class of a region."""
        return self._size_priors.get(size_class(region.label))

    def _seen_if_measured(self, region: Region) -> _Seen | None:
        """What is seen of a region; None where it has no usable depth."""
        try:
            return self._see(region)
        except SpatialError as error:
            if error.status is not Status.NO_VALID_DEPTH:
                raise
            return None

    def _locate_zone(self, region: Region, plane: GroundPlane) -> Located:
        zone = fit_zone(self.frame, region, plane, self._free_floor(plane), self.mask_doubt.off_px)
        from_box = is_box(region)
        if from_box:  # its true sides may lie anywhere in it
            doubt = ZONE_BOX_DOUBT * float(zone.footprint.size.max())
            zone = replace(zone, side_std=zone.side_std + doubt, choices=None)
        located = _in_optical_frame(zone, plane)
        return replace(located, notes=(FROM_BOX,)) if from_box else located

    @cached_property
    def _in_floor(self) -> NDArray[np.bool_]:
        """Pixels (H, W) of readings that lie in the floor."""
        return floor_pixels(self.frame, self.plane)

    def _object_mask(self) -> NDArray[np.bool_]:
        """Pixels (H, W) of all regions that are not painted on the floor."""
        if self._objects is None:
            self._objects = np.zeros(self.frame.depth.shape, dtype=bool)
            for region in self.frame.regions:
                if not is_zone(region):
                    self._objects[region.box.slices] |= region.mask
        return self._objects

    def _free_floor(self, plane: GroundPlane) -> NDArray[np.bool_]:
        if self._free is None:
            self._free = free_floor(self.frame, plane, self._object_mask())
        return self._free

    def _locate_object(self, region: Region, seen: _Seen, plane: GroundPlane | None) -> Located:
        surface = seen.surface
        prior = self._prior(region)
        if plane is None:
            return _as_seen(visible_extent(surface, prior=prior), None, (SURFACE_ONLY, NO_FLOOR))
        if surface.sparse and prior is None:
            return self._as_seen(surface, plane, prior)
        fitter = seen.fitter(plane, self.frame, is_cuboid(prior))
        if is_carrier(region):
            self.expect(other.id for other in self._cargo_near(region))
        self._look_at({fitter: prior})
        box = fitter.fit(prior)
        load = self._find_load(region, fitter, box, prior) if is_carrier(region) else NO_LOAD
        if load.is_under_cargo:
            assert load.cargo is not None
            box = fitter.fit(prior, self.footprint(load.cargo))
        if is_cargo(region) and self._is_at_carrier(region, median(surface.depth)):
            box = _may_be_lifted(box)
        located = _in_optical_frame(box, plane)
        if prior is None:
            return self._surer(located, surface, plane)
        if not load.is_under_cargo and _is_elsewhere(located, surface, prior):
            return self._as_seen(surface, plane, prior)
        return self._above_floor(replace(located, load=load, notes=load.notes), plane)

    def _surer(self, fit: Located, surface: Surface, plane: GroundPlane) -> Located:
        """A box of no known class, or the visible surface where that is more exact."""
        seen = visible_extent(surface, plane.noise, plane.up)
        away = float(np.linalg.norm(fit.center - seen.center))
        if fit.std > seen.std or away > 2 * np.hypot(fit.std, seen.std):
            return self._as_seen(surface, plane, None)
        std = float(np.hypot(fit.std, DISAGREEMENT * away))
        return self._above_floor(replace(fit, std=std), plane)

    def _as_seen(self, surface: Surface, plane: GroundPlane, prior: SizePrior | None) -> Located:
        seen = visible_extent(surface, plane.noise, plane.up, prior)
        return self._above_floor(_as_seen(seen, plane, (SURFACE_ONLY,)), plane)

    def _support(self, surface: Surface) -> GroundPlane | None:
        """The level that an object stands on: the floor, or one below it where it is lower.

        An object may stand below the plane that was found, as a chair beside a table that fills the
        view. Where only up is known, the object's lowest point is taken for its level.
        """
        plane, up = self.plane, self.frame.up
        points = surface.some_points(WIDTH)
        if plane is None:
            if up is None:
                return None
            lowest = quantile(-(points @ up), LOWEST_FRACTION)
            return GroundPlane(up, lowest, inlier_fraction=0.0)
        heights = points @ plane.up + plane.camera_height
        sunk = -quantile(heights, 1 - LOWEST_FRACTION)
        away = median(surface.depth)
        blur = 2 * (plane.noise * plane.camera_height * away + plane.level_std(away))
        if sunk < SUNK_M + blur:
            return plane
        return replace(plane, camera_height=plane.camera_height + sunk)

    def _above_floor(self, located: Located, support: GroundPlane) -> Located:
        """A place whose heights are above the object's own level, with heights above the floor."""
        if self.plane is None or located.box is None or support is self.plane:
            return located
        rise = self.plane.camera_height - support.camera_height
        box = located.box
        return replace(located, box=replace(box, bottom=box.bottom + rise, top=box.top + rise))

    def _find_load(
        self, carrier: Region, fitter: BoxFitter, box: OrientedBox, prior: SizePrior | None
    ) -> Load:
        """What a carrier carries.

        Args:
            carrier: its region.
            fitter: of its box.
            box: its box.
            prior: standard sizes of its class.
        """
        short = box
        if prior is not None and prior.of_height(box.top) is not prior:
            # Not made as long as forks are, which may point to either end.
            short = fitter.fit(replace(prior, tall=None))
        cargo = self._find_cargo(carrier, short, box.in_part)
        if cargo is not None:
            return cargo
        areas = [box.footprint, *(fork_areas(fitter.fit().footprint) if box.in_part else ())]
        if self._unlabeled_above(fitter.plane).most(areas) < UNLABELED_M2:
            return Load(NOTHING_IN_PART if box.in_part else NOTHING_WHOLE)
        probability = UNLABELED_IN_PART if box.in_part else UNLABELED_WHOLE
        return Load(
            probability, notes=(f"{carrier.name} seems to carry something that has no region",)
        )

    def _find_cargo(self, carrier: Region, seen: OrientedBox, in_part: bool) -> Load | None:
        """The pallet that stands on a carrier, or straight at an end of one seen in part.

        A pallet on the forks of a truck hides them, so it seems to stand beside the truck. One
        without enough depth cannot be judged and does not count. None where there is none.

        Args:
            carrier: its region.
            seen: its box, not made as long as forks are, which may point to either end.
            in_part: whether what is seen of it is shorter than the forks of its height make it.
        """
        fits: list[tuple[bool, float, int]] = []
        doubtful: list[tuple[float, Region]] = []
        for region in self._cargo_near(carrier):
            other = self._footprint_if_measured(region.id)
            if other is None:
                continue
            away = -float(seen.footprint.depth_inside(other.center))
            beside = away >= 0
            misfit = seen.footprint.misfit_at_end(other)
            if not beside or (seen.in_part and misfit < CARGO_MISFIT_M):
                fits.append((beside, misfit, region.id))
            std = float(np.linalg.norm(self.locate(region.id).center_std))
            near = away < MAY_CARRY_M + std and misfit < MAY_CARRY_MISFIT_M + std
            if near and (in_part or self._is_raised(region.id, seen.top)):
                doubtful.append((misfit, region))
        if fits:
            beside, misfit, cargo = min(fits)
            others = {id for _, _, id in fits} | {region.id for _, region in doubtful}
            if not beside or (misfit < SURE_MISFIT_M and others <= {cargo}):
                return Load(FITS, cargo)
            return Load(TAKEN, cargo, (self._taken_for_cargo(carrier, cargo),))
        if not doubtful:
            return None
        nearest = min(doubtful, key=lambda item: item[0])[1]
        note = f"{carrier.name} is only partly visible and may carry {nearest.name}"
        return Load(MAY_CARRY, nearest.id, (note,))

    def _cargo_near(self, carrier: Region) -> list[Region]:
        """The pallets that a carrier may carry."""
        return [
            region
            for region in self.frame.regions
            if is_cargo(region) and boxes_touch(region, carrier)
        ]

    def _unlabeled_above(self, level: GroundPlane) -> UnlabeledSurface:
        """What no region shows, above the floor, or a level (where only up is known)."""
        if self.plane is None:
            return UnlabeledSurface.of(self.frame, level, self._object_mask())
        if self._unlabeled is None:
            self._unlabeled = UnlabeledSurface.of(self.frame, self.plane, self._object_mask())
        return self._unlabeled

    def _is_at_carrier(self, region: Region, away: float) -> bool:
        """Whether a region `away` meters from the camera may be on a carrier."""
        for other in self.frame.regions:
            if is_carrier(other) and boxes_touch(region, other, margin_px=0):
                readings = self.frame.depth[other.box.slices][other.mask]
                readings = readings[np.isfinite(readings)]
                if len(readings) and abs(median(readings) - away) < CARRIED_M:
                    return True
        return False

    def _taken_for_cargo(self, carrier: Region, cargo: int) -> str:
        name = self.frame.regions[cargo].name
        return f"{name}, which stands at an end of {carrier.name}, is taken for its load"

    def _is_raised(self, id: int, level: float) -> bool:
        """Whether an object seems to stand at a level above the floor, meters."""
        box = self.locate(id).box
        return box is not None and box.bottom > RAISED_M and abs(box.bottom - level) < LEVEL_M

    def _footprint_if_measured(self, id: int) -> FloorRectangle | None:
        try:
            return self.footprint(id)
        except SpatialError as error:
            if error.status is not Status.NO_VALID_DEPTH:
                raise
            return None


def _height_apart(surface: str, seen: GroundPlane, height: float) -> str:
    return (
        f"the {surface} is {seen.camera_height:.2f} m below the camera, which its mounting puts "
        f"{height:.2f} m above the floor; check the mounting, the focal length, and the unit "
        "of depth"
    )


def _extent(surface: Surface) -> tuple[float, float]:
    """How far a surface reaches along the rows and the columns of the image, meters."""
    low, high = quantiles(surface.points[:, :2], (0.02, 0.98))
    return float(high[0] - low[0]), float(high[1] - low[1])


def _may_be_lifted(box: OrientedBox) -> OrientedBox:
    """A box whose lower face may be a little above the floor, where it seemed to be on it."""
    if box.bottom_std > 0:
        return box
    choices = box.choices
    if choices is not None:
        choices = replace(choices, bottom_std=LIFTED_STD_M)
    return replace(box, bottom_std=LIFTED_STD_M, choices=choices)


def _less_sure(located: Located, center_std: float, size_std: float) -> Located:
    """A place that may be off by this much more, meters."""
    return replace(
        located,
        std=float(np.hypot(located.std, center_std)),
        center_std=np.hypot(located.center_std, center_std / np.sqrt(3)),
        size_std=np.hypot(located.size_std, size_std),
    )


def _is_elsewhere(fit: Located, surface: Surface, prior: SizePrior) -> bool:
    """Whether a box is farther from what is visible than such an object is long."""
    middle = np.mean(surface.some_points(100), axis=0)
    longest = max(max(pair) for pair in prior.footprints)
    return bool(np.linalg.norm(fit.center - middle) > longest)


def _in_optical_frame(box: OrientedBox, plane: GroundPlane) -> Located:
    """A box in floor coordinates as it is in the optical frame; its longer side is the first."""
    cosine, sine = np.cos(box.footprint.yaw), np.sin(box.footprint.yaw)
    axes = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]]) @ plane.axes
    size = np.array([*box.footprint.size, box.top - box.bottom])
    size_std = np.array([*box.size_std, max(box.bottom_std, VERTICAL_STD_M)])
    along = np.array([*box.center_std, max(box.bottom_std / 2, VERTICAL_STD_M)])
    center_std = np.sqrt(along**2 @ axes**2)
    order = [1, 0, 2] if size[1] > size[0] else [0, 1, 2]
    return Located(
        plane.from_floor(box.center),
        box.std,
        box.footprint,
        box=box,
        size=size[order],
        axes=axes[order],
        center_std=center_std,
        size_std=size_std[order],
    )


def _as_seen(seen: VisibleExtent, plane: GroundPlane | None, notes: tuple[str, ...]) -> Located:
    """The place by the visible surface; on the floor where there is one."""
    box = None
    if plane is not None:
        corners = seen.center + (UNIT_CORNERS * seen.size / 2) @ seen.axes
        floor = plane.to_floor(corners)
        low, high = floor.min(axis=0), floor.max(axis=0)
        footprint = FloorRectangle.from_bounds(0.0, low[:2], high[:2])
        side_std = np.full((2, 2), seen.std)
        box = OrientedBox(footprint, float(low[2]), float(high[2]), np.zeros(2), side_std)
    return Located(
        seen.center,
        seen.std,
        box.footprint if box is not None else None,
        box=box,
        size=seen.size,
        axes=seen.axes,
        center_std=np.sqrt(seen.center_std**2 @ seen.axes**2),
        size_std=seen.size_std,
        notes=notes,
    )


def _notes_of(surface: Surface, pixels: ObjectPixels) -> tuple[str, ...]:
    notes = [FROM_BOX] if pixels.from_box else []
    if surface.sparse or surface.valid_fraction < SPARSE_BELOW:
        notes.append(f"depth at only {surface.valid_fraction:.1%} of the mask")
    return tuple(notes)


def _is_flat(surface: Surface, plane: GroundPlane) -> bool:
    points = surface.some_points(200)
    heights = points @ plane.up + plane.camera_height
    if abs(median(heights)) > FLAT_M / 2:
        return False
    blur = 2 * plane.noise * plane.camera_height * median(surface.depth)
    return fraction_of(np.abs(heights) < FLAT_M + blur) > FLAT_FRACTION


def _is_cut(surface: Surface) -> bool:
    edges = surface.outline.edges
    return (
        fraction_of(edges == Edge.IMAGE) > CUT_FRACTION
        or fraction_of(edges == Edge.OCCLUDED) > OCCLUDED_FRACTION
    )


def boxes_touch(region: Region, other: Region, margin_px: int = 10) -> bool:
    """Whether the boxes of two regions overlap in the image, or almost.

    Args:
        region: one of them.
        other: the other.
        margin_px: boxes less than this apart overlap almost, pixels.
    """
    a, b = region.box, other.box
    return (
        max(a.x, b.x) < min(a.x + a.width, b.x + b.width) + margin_px
        and max(a.y, b.y) < min(a.y + a.height, b.y + b.height) + margin_px
    )


def _reach(mask: NDArray[np.bool_], axis: int) -> int:
    """Columns (axis 0) or rows (axis 1) of a mask (H, W) from the first full one to the last."""
    counts = np.count_nonzero(mask, axis=axis)
    full = np.flatnonzero(counts > REACHED * counts.max())
    return int(full[-1] - full[0] + 1) if full.size else 0
