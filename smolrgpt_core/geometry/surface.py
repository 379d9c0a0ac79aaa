"""What a camera measures of one region: the points of its visible surface, and its outline.

The edges of a mask are where depth lies: flying pixels hang between object and background, and a
segmenter is off by a pixel or two. So points come from the inside of the mask (as far as a thin
mask allows) and must be backed by their neighbors, while the outline keeps the edge pixels as
rays, each marked with whether the object really ends there.

Where readings are sparse, as those of a laser scanner, none has neighbors: then the cluster in
depth that most of them are in is the surface.

Limits: a mask that covers two objects as near as each other yields the surface of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.geometry.back_projection import pixel_rays
from smolrgpt_core.geometry.masks import border_pixels, cut_out, grown_window, paint
from smolrgpt_core.geometry.object_pixels import ObjectPixels
from smolrgpt_core.geometry.order_statistics import fraction_of
from smolrgpt_core.object_classes import is_cargo
from smolrgpt_core.regions import Box, Region

ALL, FIRST, LATER = slice(None), slice(None, -1), slice(1, None)

NEIGHBORS = (
    ((ALL, FIRST), (ALL, LATER)),
    ((FIRST, ALL), (LATER, ALL)),
    ((FIRST, FIRST), (LATER, LATER)),
    ((FIRST, LATER), (LATER, FIRST)),
)
"""Two parts of an image that hold the two pixels of each pair of neighbors."""

FLUSH_M = 0.02
"""What is seen beside an object is as near as it within this, without noise."""

EDGE_PX = 2.0
"""Width of the mask's edge that is skipped: flying pixels hang there. Thinner masks lose at most
half of their half-width."""

JUMP_M, JUMP_FRACTION = 0.03, 0.02
"""Neighbors on one surface differ in depth by less than so many meters plus this fraction of their
depth."""

CLUSTER_GAP_M = 0.4
"""Groups of points are separate when a gap in depth of half the object's extent in the image, at
most of this, lies between them."""

MIN_CLUSTER_FRACTION = 0.03
"""Groups smaller than this fraction are background seen through the mask."""

CLUSTER_REACH, SPARSE_REACH = 1.5, 0.3
"""So are groups farther from the largest one than so many extents of the object; fewer where
readings are sparse, as no neighbors back them."""

SPARSE_FRACTION = 0.25
"""Below this fraction of readings, most of them without neighbors, they are taken for those of a
laser scanner."""

NOISE_VALID_FRACTION, NOISE_NEAR_FRACTION, NOISE_JUMP_FRACTION = 0.75, 0.9, 0.03
"""Where fewer pixels have a reading, a smaller fraction of these lies within the object's extent of
their median, and more of them contradict a neighbor, it is noise."""

MIN_VALID_FRACTION, MIN_POINTS = 0.01, 6
"""Fraction of mask pixels that must have a depth reading, and points that must remain."""


class Edge:
    """Why a mask ends at a pixel of its outline.

    Plain numbers: to compare an array with a member of an enum takes ten times as long.
    """

    OBJECT = 0
    """The object ends: what is seen beside it is behind it or touches it."""
    OCCLUDED = 1
    """Something nearer hides the rest."""
    IMAGE = 2
    """The image ends."""
    TOUCHED = 3
    """A pallet begins at the same depth: it may stand on the object."""


@dataclass(frozen=True, eq=False)
class Outline:
    """The edge of a mask.

    Attributes:
        rays: float64 (M, 3), through the border between inside and outside, z = 1.
        inner_rays: float64 (M, 3), half a pixel further inside, z = 1.
        depth: float64 (M,), of the surface just inside, meters; NaN without a reading.
        edges: int (M,), an `Edge` each.
        step: float64 (M,), how far behind the surface lies what is seen beside it, meters; NaN
            without a reading.
    """

    rays: NDArray[np.float64]
    inner_rays: NDArray[np.float64]
    depth: NDArray[np.float64]
    edges: NDArray[np.int_]
    step: NDArray[np.float64]

    @property
    def flush_fraction(self) -> float:
        """Fraction of the object's edge that lies in the surface beside it, as that of a label."""
        beside = self.step[(self.edges == Edge.OBJECT) & np.isfinite(self.step)]
        return fraction_of(np.abs(beside) < FLUSH_M)

    @property
    def cut_fraction(self) -> float:
        """Fraction of the edge at which the image ends, or something nearer hides the rest."""
        return fraction_of((self.edges == Edge.IMAGE) | (self.edges == Edge.OCCLUDED))


@dataclass(frozen=True, eq=False)
class Surface:
    """The visible surface of one region.

    Attributes:
        rows, columns: int (N,), of the trusted pixels in the image.
        camera: calibration of the image.
        depth: float64 (N,), meters along the optical axis.
        outline: the edge of the mask.
        valid_fraction: fraction of mask pixels with a depth reading.
        sparse: whether the readings are those of a laser scanner: few, and without neighbors.
        stray_fraction: fraction of the readings that were skipped as too far from the rest.
    """

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    camera: CameraIntrinsics
    depth: NDArray[np.float64]
    outline: Outline
    valid_fraction: float
    sparse: bool = False
    stray_fraction: float = 0.0

    def rays(self, step: int = 1) -> NDArray[np.float64]:
        """Rays (M, 3) through every so many of the pixels, z = 1."""
        return pixel_rays(self.rows[::step], self.columns[::step], self.camera)

    @property
    def points(self) -> NDArray[np.float64]:
        """Points (N, 3) of the surface, meters, optical frame."""
        return self.rays() * self.depth[:, None]

    def some_points(self, count: int) -> NDArray[np.float64]:
        """About `count` of the points at most (N, 3), evenly taken."""
        step = len(self.depth) // count + 1
        return self.rays(step) * self.depth[::step, None]


def valid_depth_fraction(frame: RGBDFrame, region: Region) -> float:
    """Fraction of the region's mask pixels with a depth reading, 0 to 1."""
    readings = np.isfinite(frame.depth[region.box.slices]) & region.mask
    return np.count_nonzero(readings) / region.area


def measure_surface(
    frame: RGBDFrame,
    region: Region,
    noise: float = 0.0,
    pixels: ObjectPixels | None = None,
) -> Surface:
    """Points and outline of a region.

    Args:
        frame: whose depth is used.
        region: whose surface is measured.
        noise: standard deviation of the inverse depth of the camera, 1/m.
        pixels: those of the region that show the object; None: all of its mask.

    Raises:
        SpatialError: NO_VALID_DEPTH when too few mask pixels have a usable reading, or their
            readings are noise.
    """
    fraction = valid_depth_fraction(frame, region)
    if pixels is None:
        window = grown_window(region.box, frame.regions.image_size)
        pixels = ObjectPixels(window, cut_out(region, window), from_box=False)
    window, mask = pixels.window, pixels.mask
    raw = frame.depth[window.slices]
    if fraction < NOISE_VALID_FRACTION:
        _check_coherence(frame, region, pixels.from_box)
    depth, sparse = _trusted_depth(raw, mask)
    reach = SPARSE_REACH if sparse else CLUSTER_REACH
    rows, columns = np.nonzero(np.isfinite(depth))
    values = depth[rows, columns]
    stray = _other_clusters(values, _angular_extent(frame, region), noise, reach)
    if stray.any():
        depth[rows[stray], columns[stray]] = np.nan
        rows, columns, values = rows[~stray], columns[~stray], values[~stray]
    _check_readings(region, fraction, len(rows))
    cargo = _cargo_beside(frame, region, window)
    outline = _trace_outline(frame, mask, depth, cargo, window, noise)
    return Surface(
        rows + window.y,
        columns + window.x,
        frame.intrinsics,
        values.astype(np.float64),
        outline,
        fraction,
        sparse,
        np.count_nonzero(stray) / len(stray),
    )


def _check_readings(region: Region, fraction: float, usable: int) -> None:
    """Refuse a region of which too few pixels have a reading."""
    if fraction < MIN_VALID_FRACTION or usable < MIN_POINTS:
        raise SpatialError(
            Status.NO_VALID_DEPTH,
            f"{region.name} has a depth reading at {fraction:.0%} of its {region.area} mask "
            f"pixels, {usable} of them usable; at least {MIN_VALID_FRACTION:.0%} and "
            f"{MIN_POINTS} are needed. Move the camera, or check that depth is aligned "
            "to RGB and that the surface is not shiny",
        )


def _angular_extent(frame: RGBDFrame, region: Region) -> float:
    """Larger side of the region's box per meter of its distance."""
    camera = frame.intrinsics
    return max(region.box.width / camera.fx, region.box.height / camera.fy)


def _check_coherence(frame: RGBDFrame, region: Region, from_box: bool) -> None:
    """Refuse readings that are noise, as of a surface nearer than the camera can measure.

    Many pixels have no reading then, and those that have one contradict each other.
    """
    inside = _middle(region.mask) if from_box else _eroded(region.mask, 2 * EDGE_PX)
    depth = np.where(inside, frame.depth[region.box.slices], np.float32(np.nan))
    readings = depth[np.isfinite(depth)]
    valid = len(readings) / max(int(inside.sum()), 1)
    if not SPARSE_FRACTION <= valid < NOISE_VALID_FRACTION:
        return
    median = float(np.median(readings))
    reach = _angular_extent(frame, region) * median / 2 + 0.05
    near = float(np.mean(np.abs(readings - median) < reach))
    if near < NOISE_NEAR_FRACTION and _jump_fraction(depth) > NOISE_JUMP_FRACTION:
        raise SpatialError(
            Status.NO_VALID_DEPTH,
            f"depth under the mask of {region.name} is noise: {valid:.0%} of its pixels have a "
            f"reading, and {1 - near:.0%} of these are farther from their median ({median:.2f} m) "
            "than the object can reach. Is it too close for the camera, or is it shiny? Move "
            "the camera",
        )


def _middle(box: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The middle half (H, W) of a box, by width and height."""
    height, width = box.shape
    middle = np.zeros_like(box)
    middle[height // 4 : height - height // 4, width // 4 : width - width // 4] = True
    return middle


def _jump_fraction(depth: NDArray[np.float32]) -> float:
    """Fraction of neighboring readings of (H, W) that are not on one surface."""
    jumps = pairs = 0
    tolerance = JUMP_M + JUMP_FRACTION * float(np.nanmedian(depth))
    for axis in (0, 1):
        steps = np.abs(np.diff(depth, axis=axis))
        pairs += int(np.isfinite(steps).sum())
        jumps += int((steps > tolerance).sum())
    return jumps / max(pairs, 1)


def _trusted_depth(
    raw: NDArray[np.float32], mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], bool]:
    """Depth (H, W) of the pixels to be relied on, else NaN; and whether readings are sparse."""
    trusted = _trusted(raw, mask)
    readings = mask & np.isfinite(raw)
    count = np.count_nonzero(readings)
    is_few = count < SPARSE_FRACTION * np.count_nonzero(mask)
    sparse = bool(is_few and np.count_nonzero(trusted) < 0.8 * count)
    return np.where(readings if sparse else trusted, raw, np.float32(np.nan)), sparse


def _cargo_beside(frame: RGBDFrame, region: Region, window: Box) -> NDArray[np.bool_]:
    """Pixels (window.height, window.width) of the pallets other than the region."""
    cargo = np.zeros((window.height, window.width), dtype=bool)
    for other in frame.regions.overlapping(window):
        if other.id != region.id and is_cargo(other):
            paint(cargo, other, window)
    return cargo


def _trace_outline(
    frame: RGBDFrame,
    mask: NDArray[np.bool_],
    depth: NDArray[np.float32],
    cargo: NDArray[np.bool_],
    window: Box,
    noise: float,
) -> Outline:
    """The edge of a mask in its window.

    Args:
        frame: gives the depth of what is beside the mask.
        mask: (H, W) in the window.
        depth: (H, W), of the object alone; NaN elsewhere.
        cargo: (H, W), where pallets are.
        window: in the image.
        noise: standard deviation of the inverse depth, 1/m.
    """
    inside, step = border_pixels(mask)
    (rows, columns), (down, right) = inside.T, step.T
    height, width = mask.shape
    # The window ends beyond the mask everywhere but at the border of the image.
    in_image = (rows + down >= 0) & (rows + down < height)
    in_image &= (columns + right >= 0) & (columns + right < width)
    beside = (rows + down)[in_image], (columns + right)[in_image]
    neighbor = np.full(len(inside), np.nan)
    outside = np.where(mask, np.float32(np.nan), frame.depth[window.slices])
    neighbor[in_image] = _local_depth(outside, 5, *beside)
    density = np.count_nonzero(np.isfinite(depth)) / max(int(np.count_nonzero(mask)), 1)
    own = _local_depth(depth, _neighborhood(density), rows, columns)
    tolerance = JUMP_M + JUMP_FRACTION * own + 2 * noise * own**2
    touched = np.zeros(len(inside), dtype=bool)
    touched[in_image] = cargo[beside]
    touched &= neighbor < own + tolerance
    edges = np.where(touched, Edge.TOUCHED, Edge.OBJECT)
    edges[neighbor < own - tolerance] = Edge.OCCLUDED
    edges[~in_image] = Edge.IMAGE
    rows, columns = rows + window.y, columns + window.x
    both = np.stack([rows, rows + down / 2]), np.stack([columns, columns + right / 2])
    inner_rays, rays = pixel_rays(*both, frame.intrinsics)
    return Outline(rays, inner_rays, own, edges, neighbor - own)


def _neighborhood(density: float) -> int:
    """Side, in pixels, of a square with about ten readings of this density; 7 to 31."""
    return int(np.clip(np.sqrt(10 / max(density, 1e-3)), 7, 31)) | 1


def _local_depth(
    depth: NDArray[np.float32], size: int, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Mean depth (M,) of the readings in the square around pixels; NaN without any.

    One pixel at an edge may be a flying one, so a neighborhood speaks for it.

    Args:
        depth: (H, W), meters, NaN without a reading.
        size: side of the square, pixels.
        rows: (M,), of its middle.
        columns: (M,), of its middle.
    """
    valid, kernel = np.isfinite(depth), (size, size)
    total = cv2.boxFilter(np.where(valid, depth, 0.0), cv2.CV_64F, kernel, normalize=False)
    count = cv2.boxFilter(valid.view(np.uint8), cv2.CV_32S, kernel, normalize=False)
    total, count = total[rows, columns], count[rows, columns]
    total[count == 0] = np.nan
    return np.asarray(total / np.maximum(count, 1))


def _trusted(depth: NDArray[np.float32], mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mask pixels away from the edge whose depth at least three neighbors share.

    Where dropouts leave few neighbors, half of them must agree.
    """
    inside = _eroded(mask, EDGE_PX)
    surface = np.where(mask, depth, np.nan)
    tolerance = JUMP_M + JUMP_FRACTION * surface
    valid = np.isfinite(surface)
    agreeing = np.zeros(mask.shape, dtype=np.uint8)
    for one, other in NEIGHBORS:
        apart = surface[one] - surface[other]
        np.abs(apart, out=apart)
        # Seen as numbers: to add truth values takes twice as long.
        agreeing[one] += (apart < tolerance[one]).view(np.uint8)
        agreeing[other] += (apart < tolerance[other]).view(np.uint8)
    readings = valid.view(np.uint8)
    present = cv2.boxFilter(readings, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT)
    backed = (agreeing >= 3) | ((agreeing >= 1) & (2 * agreeing >= present - readings))
    usable: NDArray[np.bool_] = inside & valid & backed
    return usable


def _eroded(mask: NDArray[np.bool_], edge_px: float) -> NDArray[np.bool_]:
    """The mask without its edge; a thin mask keeps at least the middle half of its width.

    The edge of the image is no edge of the object.
    """
    padded = cv2.copyMakeBorder(mask.view(np.uint8), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    distance = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    eroded: NDArray[np.bool_] = mask & (distance > min(edge_px, float(distance.max()) / 2))
    return eroded


def _other_clusters(
    values: NDArray[np.float32], extent: float, noise: float, reach: float
) -> NDArray[np.bool_]:
    """Which readings (N,) are of groups in depth that cannot be the object's.

    Args:
        values: (N,), meters.
        extent: of the region in the image, per meter of its distance.
        noise: standard deviation of the inverse depth, 1/m.
        reach: groups farther away than so many extents are not the object's.
    """
    if len(values) < 2:
        return np.zeros(len(values), dtype=bool)
    ordered = np.sort(values)
    steps = ordered[1:] - ordered[:-1]
    middle = float((ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]) / 2)
    size = extent * middle
    gap = min(max(size / 2, 0.1), CLUSTER_GAP_M) + 2 * noise * middle**2
    if float(steps.max()) <= gap:
        return np.zeros(len(values), dtype=bool)
    first = np.append(0, np.flatnonzero(steps.astype(np.float64) > gap) + 1)
    counts = np.diff(np.append(first, len(values)))
    low, high = ordered[first], ordered[first + counts - 1]
    main = np.argmax(counts)
    away = np.maximum(low - high[main], low[main] - high)
    is_small = counts < MIN_CLUSTER_FRACTION * len(values)
    is_other: NDArray[np.bool_] = is_small | (away > reach * size + CLUSTER_GAP_M)
    return is_other[np.searchsorted(low, values, side="right") - 1]
