"""Which pixels of a mask show the object, and not what is behind, in front of or under it.

A segmenter's mask reaches over the edge by some pixels, and a detector's box by much more. Depth
shows what does not belong: it is split into surfaces where it jumps, and the floor is a surface of
its own. A surface that goes on outside of the mask is not the object's; in a box, the object is the
largest surface about its middle, with all that is as near as it. The sparse readings of a laser
scanner make no surface: the object's are those that are not farther behind each other than an
object of its size is deep.

Limits: without a floor the ground in a box that joins the object's foot stays with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.geometry.ground_plane import GroundPlane
from smolrgpt_core.geometry.masks import AROUND, cut_out, grown_window
from smolrgpt_core.geometry.order_statistics import median
from smolrgpt_core.regions import Box, Region

MIN_SURFACE_PX = 9
"""Readings without as many neighbors on one surface are those of a laser scanner."""

MAX_DEPTH = 2.0
"""Hardly any object is deeper than so many times the larger side of what is seen of it."""

MAX_UPPER = 0.02
"""Fraction of a mask's readings that may lie in the floor above the middle of the mask."""

MARGIN_PX = 12
"""How far around a mask to look where its surfaces go on."""

JUMP_M, JUMP_FRACTION = 0.02, 0.02
"""Neighbors on one surface differ in depth by less than so many meters plus this fraction of their
depth."""

FLOOR_M = 0.02
"""Height up to which a surface counts as floor, without noise: lower than the boards of a
pallet."""

MIN_INSIDE = 0.6
"""Fraction of a surface that must lie within the mask to be the object's."""

MAX_LEAK = 0.35
"""A surface with more than this fraction of the mask's readings is the object's wherever it goes
on."""

MIN_FLOOR = 0.12
"""Fraction of the mask's readings in the floor above which the floor is taken out."""

BOX_MASK_PX = 100
"""Pixels of a mask that fills its box from which it is taken for a detector's: a smaller one may
happen to."""


@dataclass(frozen=True, eq=False)
class ObjectPixels:
    """The pixels of one object.

    Attributes:
        window: in the image, around the region.
        mask: bool (window.height, window.width), pixels that show the object.
        from_box: whether the region came as a box.
        ambiguity_m: how far readings are from those that were chosen, of which sparse ones do not
            tell whether they are the object's instead; root mean square, meters.
    """

    window: Box
    mask: NDArray[np.bool_]
    from_box: bool
    ambiguity_m: float = 0.0


def is_box(region: Region, min_box_px: int = BOX_MASK_PX) -> bool:
    """Whether a mask holds no more information than the box around it."""
    return region.mask.size >= min_box_px and bool(region.mask.all())


def find_object_pixels(
    frame: RGBDFrame,
    region: Region,
    plane: GroundPlane | None,
    in_floor: NDArray[np.bool_],
    others: NDArray[np.bool_],
) -> ObjectPixels:
    """The pixels of a region that show its object.

    Args:
        frame: where the region is.
        region: the object.
        plane: the floor; None where it is not known.
        in_floor: bool (H, W), see `floor_pixels`.
        others: bool (H, W), pixels of other objects, which may be as near as this one.
    """
    window = grown_window(region.box, frame.regions.image_size, MARGIN_PX)
    mask = cut_out(region, window)
    depth, floor = frame.depth[window.slices], in_floor[window.slices]
    surfaces = _surfaces(depth, floor)
    if is_box(region):
        found, ambiguity = _in_box(surfaces, depth, mask, floor, frame.intrinsics)
        pixels = _pixels(frame, region, window, found, from_box=True)
        return replace(pixels, ambiguity_m=ambiguity)
    on_floor = floor & mask
    has_floor = _has_floor(on_floor, np.where(mask, depth, np.float32(np.nan)), plane)
    standing = surfaces if has_floor else np.where(floor, 0, surfaces)
    own = mask & ~_leaked(standing, mask, others[window.slices] & ~mask)
    if has_floor:
        own &= ~on_floor
    near, ambiguity = _as_deep_as_large(surfaces, depth, own, frame.intrinsics)
    pixels = _pixels(frame, region, window, near, from_box=False)
    return replace(pixels, ambiguity_m=ambiguity)


def _pixels(
    frame: RGBDFrame, region: Region, wide: Box, mask: NDArray[np.bool_], from_box: bool
) -> ObjectPixels:
    """What was found in a wide window, in one that is as wide as a surface needs it."""
    window = grown_window(region.box, frame.regions.image_size)
    top, left = window.y - wide.y, window.x - wide.x
    cut = mask[top : top + window.height, left : left + window.width]
    return ObjectPixels(window, np.ascontiguousarray(cut), from_box)


def _has_floor(
    on_floor: NDArray[np.bool_], depth: NDArray[np.float32], plane: GroundPlane | None
) -> bool:
    """Whether a mask reaches into the floor, by its pixels (H, W) on it and all its readings.

    A little of it is what any mask of a thing on the floor has along its foot, and in the openings
    of a pallet; above the middle there is none. Where noise is larger than what counts as floor, it
    puts readings of a low object there: without these, the rest would be too high.
    """
    readings = np.isfinite(depth)
    count, floor_count = int(np.count_nonzero(readings)), int(np.count_nonzero(on_floor))
    if plane is None or floor_count > max(count, 1) / 2 or not count:
        return False
    if plane.noise * plane.camera_height * median(depth[readings]) > FLOOR_M:
        return False
    # Rows of the middle reading, or of the two.
    up_to_row = np.cumsum(np.count_nonzero(readings, axis=1))
    rows = np.searchsorted(up_to_row, [(count - 1) // 2, count // 2], side="right")
    middle = int(rows.sum() / 2)
    upper = on_floor[:middle] if plane.up[1] < 0 else on_floor[middle:]
    upper_count = int(np.count_nonzero(upper))
    return floor_count > MIN_FLOOR * count or upper_count > MAX_UPPER * count


def floor_pixels(frame: RGBDFrame, plane: GroundPlane | None) -> NDArray[np.bool_]:
    """Pixels (H, W) of a frame whose reading lies in the floor; none where it is not known."""
    depth, camera = frame.depth, frame.intrinsics
    if plane is None:
        return np.zeros(depth.shape, dtype=bool)
    y = (np.arange(camera.height, dtype=np.float32) - camera.cy) / camera.fy
    x = (np.arange(camera.width, dtype=np.float32) - camera.cx) / camera.fx
    right, down, forward = plane.up.astype(np.float32)
    # In place: memory that is new for each step takes longer than the steps.
    below = right * x + (down * y + forward)[:, None]
    below *= depth
    tolerance = np.abs(below)
    tolerance *= depth
    tolerance *= 2 * plane.noise
    np.minimum(tolerance, FLOOR_M, out=tolerance)
    tolerance += FLOOR_M
    below += plane.camera_height
    return np.asarray(np.abs(below, out=below) < tolerance)


def _surfaces(depth: NDArray[np.float32], floor: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Number (H, W) of the surface that each pixel shows; 0 at jumps and without a reading."""
    valid = np.isfinite(depth)
    spread = cv2.dilate(np.where(valid, depth, np.float32(0)), AROUND)
    spread -= cv2.erode(np.where(valid, depth, np.float32(np.inf)), AROUND)
    # Where there is no reading, nothing is less than the jump.
    smooth = spread < JUMP_M + JUMP_FRACTION * depth
    count, objects = cv2.connectedComponents((smooth & ~floor).view(np.uint8), connectivity=4)
    objects[smooth & floor] = count
    numbers: NDArray[np.int32] = objects
    return numbers


def _leaked(
    surfaces: NDArray[np.int32], mask: NDArray[np.bool_], others: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Pixels of surfaces that lie mostly outside of the mask, and of the jumps beside them.

    Surfaces without a pixel in the mask are not included.
    """
    nothing = np.zeros(mask.shape, dtype=bool)
    inside = np.bincount(surfaces[mask], minlength=int(surfaces.max()) + 1)
    inside[0] = 0
    foreign = inside < MAX_LEAK * inside.sum()
    foreign[np.argmax(inside)] = foreign[0] = False
    if not inside[foreign].any():
        return nothing
    total = np.bincount(surfaces[~others], minlength=len(inside))
    foreign &= inside < MIN_INSIDE * total
    if not inside[foreign].any():
        return nothing
    leaked = foreign[surfaces]
    beside = cv2.dilate(leaked.view(np.uint8), AROUND) > 0
    spread: NDArray[np.bool_] = leaked | (beside & (surfaces == 0))
    return spread


def _in_box(
    surfaces: NDArray[np.int32],
    depth: NDArray[np.float32],
    box: NDArray[np.bool_],
    floor: NDArray[np.bool_],
    camera: CameraIntrinsics,
) -> tuple[NDArray[np.bool_], float]:
    """Pixels of the object in a detector's box (H, W) of the window; all where nothing stands out.

    Also the `ambiguity_m` of `ObjectPixels`.

    The object is the surface with most pixels, of which those near the middle of the box count
    more, with the other surfaces as near as it. Sparse readings make no surface; then it is the
    nearest stretch of depth, as long as the object is large, that holds most of them.
    """
    rows, columns = np.nonzero(box & np.isfinite(depth) & ~floor)
    if not len(rows):
        return box, 0.0
    all_of_it = np.nonzero(box)
    half_height, half_width = (max(float(np.ptp(places)), 1.0) / 2 for places in all_of_it)
    row, column = (float(np.mean(places)) for places in all_of_it)
    away = np.hypot((rows - row) / half_height, (columns - column) / half_width)
    weights, values = np.exp(-2 * away**2), depth[rows, columns]
    extent = _angular_extent(box, camera)
    numbers = surfaces[rows, columns]
    is_sparse = _is_sparse(numbers, surfaces)
    if is_sparse:
        near, far = _fullest_stretch(values, weights, extent)
    else:
        own = values[numbers == np.argmax(np.bincount(numbers, weights * (numbers > 0)))]
        margin = extent * median(own) / 4
        low, high = np.quantile(own, (0.02, 0.98))
        near, far = low - margin, high + margin
    with np.errstate(invalid="ignore"):
        found = box & (depth >= near) & (depth <= far) & ~floor
    # A pixel without a reading is no edge: scattered ones would open everything away.
    closed = found | (box & ~np.isfinite(depth))
    if is_sparse:
        beyond = np.maximum(np.maximum(near - values, values - far), 0.0)
        return closed, float(np.sqrt(weights @ beyond**2 / weights.sum()))
    solid = cv2.morphologyEx(closed.astype(np.uint8), cv2.MORPH_OPEN, AROUND) > 0
    solid &= found
    return (solid if solid.any() else found), 0.0


def _is_sparse(numbers: NDArray[np.int32], surfaces: NDArray[np.int32]) -> bool:
    """Whether most of the readings with these numbers (N,) of surfaces make no surface."""
    large = np.bincount(surfaces.ravel()) >= MIN_SURFACE_PX
    return bool(np.count_nonzero(large[numbers] & (numbers > 0)) < len(numbers) / 2)


def _angular_extent(mask: NDArray[np.bool_], camera: CameraIntrinsics) -> float:
    """Larger side of a mask (H, W) per meter of its distance."""
    rows, columns = np.nonzero(mask)
    height, width = (max(float(np.ptp(places)), 1.0) for places in (rows, columns))
    return max(width / camera.fx, height / camera.fy)


def _as_deep_as_large(
    surfaces: NDArray[np.int32],
    depth: NDArray[np.float32],
    mask: NDArray[np.bool_],
    camera: CameraIntrinsics,
) -> tuple[NDArray[np.bool_], float]:
    """The mask (H, W) without sparse readings that are too far behind the others, or before them.

    Seen through the windows of a vehicle, or beside an object, the background has readings as well.
    Without neighbors nothing else distinguishes them from the object's.

    Also the `ambiguity_m` of `ObjectPixels`.
    """
    readings = mask & np.isfinite(depth)
    if 2 * np.count_nonzero(readings) > np.count_nonzero(mask):
        return mask, 0.0
    rows, columns = np.nonzero(readings)
    if not len(rows) or not _is_sparse(surfaces[rows, columns], surfaces):
        return mask, 0.0
    values, extent = depth[rows, columns], _angular_extent(mask, camera)
    weights = np.ones(len(values))
    near, far = _fullest_stretch(values, weights, MAX_DEPTH * extent)
    own = (values >= near) & (values <= far)
    found = mask.copy()
    found[rows[~own], columns[~own]] = False
    values, weights = values[own], weights[own]
    near, far = _fullest_stretch(values, weights, extent)
    beyond = np.maximum(np.maximum(near - values, values - far), 0.0)
    lost = float(np.mean(~own)) * extent * near
    return found, float(np.hypot(np.sqrt(np.mean(np.square(beyond))), lost))


def _fullest_stretch(
    depth: NDArray[np.float32], weights: NDArray[np.float64], extent: float
) -> tuple[float, float]:
    """Nearest and farthest depth of the stretch that holds most of the weighted readings (N,).

    Args:
        depth: meters.
        weights: of the readings.
        extent: length of the stretch per meter of its distance.
    """
    order = np.argsort(depth)
    values, total = depth[order], np.append(0.0, np.cumsum(weights[order]))
    ends = np.searchsorted(values, values * (1 + extent), side="right")
    start = int(np.argmax(total[ends] - total[:-1]))
    return float(values[start]), float(values[ends[start] - 1])
