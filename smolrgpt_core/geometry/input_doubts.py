"""Why the inputs of a frame may not belong together, judged by what they show of its objects.

No single input shows that depth is of another moment than color, that masks are shifted,
or that a focal length or a unit is wrong by some percent. Together they contradict each other:
objects end where depth jumps, and pallets have standard sizes.

Limits: sizes need some pallets that are clearly visible, and show nothing about cargo of other
sizes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.geometry.box_fitting import MeasuredSize
from smolrgpt_core.geometry.edge_shift import edge_shift
from smolrgpt_core.geometry.masks import AROUND, grown_window
from smolrgpt_core.geometry.object_pixels import is_box
from smolrgpt_core.geometry.size_priors import SizePrior
from smolrgpt_core.object_classes import is_zone
from smolrgpt_core.regions import Region

MIN_EDGE_FIT = 0.74
"""Fraction of the masks' edges at which depth must jump; less, and masks and depth do not fit."""

MIN_EDGE_PX = 300
"""Edge pixels that a verdict needs."""

MAX_EDGE_PX = 2000
"""Of more edge pixels, every second one, every third, ... is used: neighbors carry the same
information. In 64 simulated frames, most of which have three times as many, the fractions of edges
that fit differ by 0.01 from those of all pixels, and the shift of the masks by 0.1 pixels, root
mean square; in 96, as they are and with depth or masks disturbed in five ways, all doubts were the
same."""

EDGE_REACH_PX = 2
"""How far from the edge of a mask the jump may be."""

_NEAR_EDGE = np.ones((2 * EDGE_REACH_PX + 1,) * 2, np.uint8)

EDGE_JUMP_M, EDGE_JUMP_FRACTION = 0.05, 0.05
"""A jump is larger than this, plus this fraction of the distance."""

PROFILE_PX = 10
"""How far from the edge of a mask, inside and outside, jumps and steps in depth are sought."""

PROFILE_STEP = 0.04
"""The step from one pixel to the next but one is larger than this fraction of the distance."""

OFF_EDGE_PX, MIN_AT_EDGE = 2, 0.38
"""Fraction of such steps that must lie so close to the edge; else the masks are too large or small.
In simulation good masks have 0.40 and more with three times the usual noise, 0.62 with that, 0.66
without any; masks that are grown or shrunk by 4 pixels have 0.27 at most."""

BLUR_PX, BLUR_REACH_PX = 3.0, 12
"""Standard deviation of the blur of a mask whose slope gives the direction of its edge, and how far
it reaches."""

USUAL_OFF_PX = 1.8
"""Masks are shifted or grown where steps in depth show more than this, and may be off by as much
more. In simulation those of 3 % of good frames show more, up to 2.2: the far edge of a deck seen
at a slant is hardly a step."""

MIN_KNOWN = 0.75
"""Fraction of readings around an edge pixel from which on depth without a jump counts."""

SHIFT_PX = np.arange(-40, 41, 2)
"""Shifts along a row by which depth may be beside color, pixels."""

SHIFT_ROWS_PX = np.arange(-8, 9, 4)
"""The same along a column. Above its objects a floor that is seen from the side seems to jump, so
these are no evidence that masks are beside them."""

IN_PLACE_PX, ELSEWHERE_PX = 2, 6
"""Shifts that are none, and those from which on masks are beside their objects."""

IN_PLACE, ELSEWHERE = 1.1, 1.05
"""By how many times more edges depth must jump at masks where they are than at shifted ones to say
that they are in place, and at shifted ones to say that they are not. In simulation the former has
1.11 and more, and depth that is 8 to 32 pixels beside color has 1.09 and more of the latter."""

BOTH_WAYS = 0.45
"""A shift to the other side that gains this fraction of what the best one gains shows masks that
are too large or too small: both of their sides end beside the object. In 208 simulated frames of 16
views, 91 of 96 with masks that are off by 4 to 16 pixels gain more, and 1 of 112 with depth beside
color, or masks beside their objects, does."""

FOOT_FRACTION = 0.4
"""Lower part of a region, where it joins the floor without a jump."""

USUAL_OFF_CENTER = 0.1
"""How far from the middle of the image the principal point of a rectified camera lies at most, as a
share of its size; those of RGB-D cameras that we have images of are within 0.04."""

MIN_SIZED = 3
"""Pallets that must be measured to estimate a factor of their sizes."""

MAX_SCALE_ERROR = 0.07
"""Sizes may be off by this fraction together before it is reported."""

SQUARE_PIXELS = 1.1
"""Ratio of the focal lengths up to which pixels count as square; cameras stay within 2 %."""

MAX_LOAD_OVERHANG = 1.3
"""What stands on pallets may be so many times as wide as the largest of them seen from a corner."""

FAR_TOO_WIDE = 2
"""One of a pallet or two may be something else: these must look so many times wider than that to
say anything, and hardly anything may be left in sight of them."""

MIN_IN_SIGHT = 0.5
"""One pallet of several shows at least this fraction of its shortest side."""

SCALE_EVIDENCE = 5.0
"""By how much a factor must be likelier than none, as a difference of log likelihoods. In 137 good
frames of 36 simulated halls it was 2.7 at most, but for one of 5.3; in 24 of 12 others 4.7."""

SCALE_HINT = 2.5
"""From here on answers mention a factor, and are no less sure. Of 72 frames of 24 simulated halls
with depth times 0.9, 49 have the evidence above and 16 of the others this one; as they are, 1."""

SCALES = np.geomspace(0.05, 20.0, 601)
"""Factors that are tried, 1 % apart; the middle one is 1."""

MIN_BOXES, ENOUGH_BOXES, MIN_BOX_PX = 5, 30, 600
"""Boxes needed to decide whether they are in place, how many are checked, and pixels that
each of them has."""

REACHED = 0.1
"""An object reaches up to the outermost column or row that has this fraction of the pixels of the
fullest one: beyond are strays."""

MIN_REACH = 0.7
"""Objects reach over at least this fraction of their boxes, on average. In 24 simulated frames of
12 halls it was 0.85 and more, and 0.75 with boxes that are wider and higher by a fifth; in 10 real
ones of 5 boxes and more 0.85. With boxes that are off by 40 pixels it was less in 62 to 92 %."""

SIZE_STD_M = 0.04
"""Standard deviation of a measured side beside that of its fit, meters at the factor 1."""

INSET_M = 0.03
"""By how much the sides that are seen of a pallet are shorter than it: loads stay behind its edge,
and the outermost part of what is rough has few readings. A bias would look like a factor."""

ODD_FRACTION = 0.1
"""Fraction of the pallets whose sizes are anything up to 3 m."""


@dataclass(frozen=True)
class ScaleDoubt:
    """Why the focal length or the unit of depth may be wrong.

    Attributes:
        text: the reason; empty where there is none.
        is_hint: whether the evidence is too weak to distrust what is measured.
    """

    text: str = ""
    is_hint: bool = False


@dataclass(frozen=True)
class MaskDoubt:
    """Why the masks of objects may not belong to the depth.

    Attributes:
        text: the reason; empty where they do.
        border_px: how far their borders may be off though they lie where their objects are,
            standard deviation in pixels; 0 where it is not known whether they do.
        off_px: how far all masks are shifted, too large or too small, pixels; 0 where that is no
            more than usual, or not known.
    """

    text: str = ""
    border_px: float = 0.0
    off_px: float = 0.0


def mask_doubt(frame: RGBDFrame) -> MaskDoubt:
    """Whether the masks of objects belong to the depth.

    Objects that are hardly larger than a jump have edges without one. Such masks are in place as
    long as depth jumps more often at their edges than at the same edges anywhere beside; then only
    their borders are doubted.
    """
    edges = _Edges(frame)
    return replace(_mask_doubt(edges), off_px=_off_px(edges))


def _off_px(edges: _Edges) -> float:
    offsets, outward = edges.steps
    if len(offsets) * edges.every < MIN_EDGE_PX:
        return 0.0
    off = float(np.linalg.norm(edge_shift(offsets, outward)))
    return math.hypot(off, USUAL_OFF_PX) if off > USUAL_OFF_PX else 0.0


def _mask_doubt(edges: _Edges) -> MaskDoubt:
    fit, count = edge_fit(edges)
    if count < MIN_EDGE_PX:
        return MaskDoubt()
    (across,) = shifted_edge_fits(edges, np.zeros(1, dtype=np.intp))
    unshifted = float(np.max(across[np.abs(SHIFT_PX) <= IN_PLACE_PX]))
    if np.max(across) > ELSEWHERE * unshifted:
        return MaskDoubt(_beside_edge(edges, across, unshifted))
    offsets, _ = edges.steps
    enough = len(offsets) * edges.every >= MIN_EDGE_PX
    if enough and np.mean(np.abs(offsets) <= OFF_EDGE_PX) < MIN_AT_EDGE:
        return MaskDoubt(_off_edge(float(np.median(offsets))))
    if fit >= MIN_EDGE_FIT:
        return MaskDoubt()
    in_place = enough and unshifted > IN_PLACE * _best_elsewhere(edges)
    return MaskDoubt(
        f"masks and depth do not fit: depth jumps at {fit:.0%} of the masks' edges, expected "
        f"{MIN_EDGE_FIT:.0%}; are they of one moment, is depth registered to RGB, are the masks "
        "exact?",
        float(np.sqrt(np.mean(offsets.astype(float) ** 2))) if in_place else 0.0,
    )


def _beside_edge(edges: _Edges, across: NDArray[np.float64], unshifted: float) -> str:
    """Whether masks that fit better when shifted are beside their objects, or of another size.

    Args:
        edges: of the masks.
        across: (C,), how much of the edges fits at each of `SHIFT_PX`.
        unshifted: the same of masks where they are.
    """
    rows, columns, outside = edge_shift(*edges.steps)
    if abs(outside) > max(float(np.hypot(rows, columns)), USUAL_OFF_PX):
        return _off_edge(float(outside))
    shift, gain = int(SHIFT_PX[np.argmax(across)]), float(np.max(across)) - unshifted
    is_opposite = np.abs(SHIFT_PX + shift) <= IN_PLACE_PX
    if float(np.max(across[is_opposite])) - unshifted > BOTH_WAYS * gain:
        return (
            "masks and depth do not fit: depth jumps at more of the masks' edges when these are "
            f"shifted by some {abs(shift)} pixels, to either side; are the masks too large or too "
            "small?"
        )
    return (
        "masks and depth do not fit: depth jumps at more of the masks' edges when these are "
        f"shifted by {shift} pixels to the right; is depth registered to RGB, and of the same "
        "moment?"
    )


def _off_edge(off: float) -> str:
    size = "small" if off > 0 else "large"
    return (
        f"masks and depth do not fit: depth jumps {abs(off):.0f} pixels "
        f"{'outside' if off > 0 else 'inside'} of the masks' edges; are the masks too {size}, and "
        "is depth registered to RGB?"
    )


class _Edges:
    """The edges of the masks of a frame's objects, for all that is asked of them.

    Boxes are visibly no masks, and zones end where depth goes on. Of the image,
    only H rows take part: those of the edges, and of all that is asked of what is around these.

    Args:
        frame: with its regions.

    Attributes:
        depth: float32 (H, W), of the frame.
        numbers: uint16 (H, W), which object is seen, from 1; 0 for none.
        every: one of so many edge pixels is among them.
        pixels: int (N,) each, rows and columns of the edge pixels that should be at a jump.
        profiles: int (2 `PROFILE_PX` + 1, P), places in the flattened image across those edges that
            are not too near the border of the image, from inside outwards.
        owners: int (P,), the number of the object that each profile belongs to.
    """

    def __init__(self, frame: RGBDFrame) -> None:
        objects = [item for item in frame.regions if not is_zone(item) and not is_box(item)]
        numbers = np.zeros(frame.depth.shape, dtype=np.uint16)
        for number, region in enumerate(objects, 1):
            numbers[region.box.slices][region.mask] = number
        upper = [_upper_edge(region, frame.depth.shape) for region in objects]
        self.every = sum(len(rows) for rows, _ in upper) // MAX_EDGE_PX + 1
        upper = [(rows[:: self.every], columns[:: self.every]) for rows, columns in upper]
        nothing = np.zeros(0, dtype=np.intp)
        rows, columns = (np.concatenate([nothing, *(edge[i] for edge in upper)]) for i in (0, 1))
        slopes = [_slopes(region, edge, frame) for region, edge in zip(objects, upper, strict=True)]
        outward = np.concatenate([np.zeros((2, 0), dtype=np.float32), *slopes], axis=1)
        outward /= np.maximum(np.linalg.norm(outward, axis=0), 1e-6)
        asked = _rows_around(rows, frame.depth.shape[0])
        self.depth, self.numbers = frame.depth[asked], numbers[asked]
        self.pixels = rows - asked.start, columns
        self.profiles, inside = _profiles(*self.pixels, outward, self.depth.shape)
        self.owners = np.repeat(np.arange(len(objects)) + 1, [len(edge[0]) for edge in upper])
        self.owners = self.owners[inside]

    @cached_property
    def jumps(self) -> NDArray[np.bool_]:
        """Pixels (H, W) around which depth jumps."""
        return _jumps(self.depth)

    @cached_property
    def steps(self) -> tuple[NDArray[np.int_], NDArray[np.float64]]:
        """How far outside of the edges depth steps back, and the way out of the mask there.

        (S,) pixels and (S, 2) unit vectors, rows and columns, for each profile in which it does
        and that no other object is near.
        """
        numbers, alone = self.numbers.ravel(), np.ones(len(self.owners), dtype=bool)
        for places in self.profiles:
            around = numbers[places]
            alone &= (around == 0) | (around == self.owners)
        profiles = self.profiles[:, alone]
        depth = self.depth.ravel()[profiles]
        known = _counts(np.isfinite(depth)) > MIN_KNOWN * len(depth)
        profiles, depth = profiles[:, known], _without_gaps(depth[:, known])
        steps = (depth[2:] - depth[:-2]) / depth[1:-1]
        clear = steps.max(axis=0, initial=-np.inf) > PROFILE_STEP
        down, right = np.divmod(profiles[[0, -1]][:, clear], self.depth.shape[1])
        across = np.column_stack([down[1] - down[0], right[1] - right[0]])
        outward = across / np.maximum(np.linalg.norm(across, axis=1, keepdims=True), 1)
        return np.argmax(steps[:, clear], axis=0) - PROFILE_PX + 1, outward

    @cached_property
    def judged(self) -> NDArray[np.bool_]:
        """Pixels (H, W) at which it is known whether depth jumps."""
        known = np.isfinite(self.depth).view(np.uint8)
        count = cv2.boxFilter(known, -1, _NEAR_EDGE.shape, normalize=False)
        return np.asarray(self.jumps | (count > MIN_KNOWN * _NEAR_EDGE.size))


def shifted_edge_fits(edges: _Edges, shift_rows_px: NDArray[np.intp]) -> NDArray[np.float64]:
    """Fraction (R, C) of the masks' edge pixels at which depth jumps, were the masks shifted.

    By `shift_rows_px` (R,), then `SHIFT_PX`; 0 where too few of them can be judged.

    Args:
        edges: of the masks.
        shift_rows_px: some of `SHIFT_ROWS_PX`.
    """
    rows, columns = edges.pixels
    # 1 where depth does not jump, and so much more where it does that one sum counts both; 0 where
    # nothing is known and outside of the image.
    down, right = int(np.max(np.abs(shift_rows_px))), int(np.max(np.abs(SHIFT_PX)))
    found = edges.judged + np.float32(2 * MAX_EDGE_PX) * edges.jumps
    found = cv2.copyMakeBorder(found, down, down, right, right, cv2.BORDER_CONSTANT)
    width = found.shape[1]
    places = (rows + down) * width + columns + right
    shifts = shift_rows_px[:, None] * width + SHIFT_PX
    total = [found.ravel()[row[:, None] + places].sum(axis=-1) for row in shifts]
    hits, counted = np.divmod(np.array(total, dtype=np.int64), 2 * MAX_EDGE_PX)
    enough = counted >= max(len(rows) / 4, 1)
    return np.asarray(np.where(enough, hits / np.maximum(counted, 1), 0.0))


def _best_elsewhere(edges: _Edges) -> float:
    """The best of those fractions with shifts so large that masks are beside their objects."""
    is_elsewhere = np.hypot(SHIFT_ROWS_PX[:, None], SHIFT_PX) >= ELSEWHERE_PX
    return float(np.max(shifted_edge_fits(edges, SHIFT_ROWS_PX)[is_elsewhere]))


def edge_fit(edges: _Edges) -> tuple[float, int]:
    """Fraction of the edges of the masks of objects at which depth jumps, and their edge pixels.

    The foot of an object and what touches another mask or is near the border of the image do not
    count, nor do edges beside which little is known, as where a camera's range ends, and those
    across which depth jumps nowhere near, as of a label on a wall or of cartons side by side: depth
    does not show where such objects end.
    """
    edge = edges.profiles[PROFILE_PX]
    jumps, across = edges.jumps.ravel(), np.zeros(len(edge), dtype=bool)
    for places in edges.profiles:
        across |= jumps[places]
    counted = edges.judged.ravel()[edge] & across & ~_joined(edges.numbers, edge)
    count = int(np.count_nonzero(counted))
    return int(np.count_nonzero(jumps[edge[counted]])) / max(count, 1), count * edges.every


def edge_offsets(frame: RGBDFrame) -> NDArray[np.int_]:
    """How far outside of the masks' edges depth steps back, pixels; negative inside.

    Returns:
        (N,), one for each sampled edge pixel at which depth steps and no other object is near.
    """
    return _Edges(frame).steps[0]


def _counts(found: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """How many (N,) of at most 255 rows (M, N) are true."""
    return np.asarray(np.add.reduce(found.view(np.uint8), axis=0, dtype=np.uint8))


def _slopes(
    region: Region, edge: tuple[NDArray[np.intp], NDArray[np.intp]], frame: RGBDFrame
) -> NDArray[np.float32]:
    """How steeply (2, N), by rows and columns, a blurred mask falls at pixels of its edge.

    The pixels must not be at the border of the image.
    """
    box, window = region.box, grown_window(region.box, frame.regions.image_size, PROFILE_PX)
    left, right = box.x - window.x, window.x + window.width - box.x - box.width
    above, below = box.y - window.y, window.y + window.height - box.y - box.height
    mask = region.mask.view(np.uint8)
    mask = cv2.copyMakeBorder(mask, above, below, left, right, cv2.BORDER_CONSTANT)
    # Nothing is asked of the foot, and the blur of what is above it reaches only so far down.
    low = int(edge[0].max(initial=window.y)) - window.y + BLUR_REACH_PX + 2
    blurred = cv2.GaussianBlur(mask[:low].astype(np.float32), (0, 0), BLUR_PX)
    places = edge[0] * window.width + edge[1] - (window.y * window.width + window.x)
    around, slopes = blurred.ravel(), np.empty((2, len(places)), dtype=np.float32)
    for step, slope in zip((window.width, 1), slopes, strict=True):
        np.subtract(around[places - step], around[places + step], out=slope)
    slopes /= 2
    return slopes


def _profiles(
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    outward: NDArray[np.float32],
    image_size: tuple[int, ...],
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Places across edge pixels (N,), and of which of them all are inside the image.

    Returns:
        (2 `PROFILE_PX` + 1, P) in the flattened image, from inside outwards; (N,).
    """
    steps = np.arange(-PROFILE_PX, PROFILE_PX + 1)
    height, width = image_size
    inside, outward = np.ones(len(rows), dtype=bool), outward.astype(np.float64)
    for start, direction, size in ((rows, outward[0], height), (columns, outward[1], width)):
        # A profile is straight: its ends are its extremes.
        for step in (steps[0], steps[-1]):
            end = np.rint(start + step * direction)
            inside &= (end >= 0) & (end < size)
    rows, columns, (down, right) = rows[inside], columns[inside], outward[:, inside]
    places = np.empty((len(steps), len(rows)), dtype=np.intp)
    for step, line in zip(steps, places, strict=True):
        line[:] = np.rint(rows + step * down) * width + np.rint(columns + step * right)
    return places, inside


def _rows_around(rows: NDArray[np.intp], height: int) -> slice:
    """The rows of an image that hold all that is asked of what is around edge pixels (N,).

    All of them where there are no edge pixels.
    """
    if not len(rows):
        return slice(0, height)
    reach = PROFILE_PX + EDGE_REACH_PX
    return slice(max(int(rows.min()) - reach, 0), int(rows.max()) + reach + 1)


def _without_gaps(profiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """Profiles (M, N) with what is seen before each gap, or behind the first one, in its place."""
    known = np.isfinite(profiles)
    broken = np.flatnonzero(~known.all(axis=0))
    known, gaps = known[:, broken], profiles[:, broken]
    rows = np.where(known, np.arange(len(profiles), dtype=np.int32)[:, None], -1)
    rows = np.maximum.accumulate(rows, axis=0)
    begin = np.argmax(known, axis=0)
    profiles[:, broken] = gaps[np.where(rows < 0, begin, rows), np.arange(len(broken))]
    return profiles


def _jumps(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Pixels (H, W) around which depth jumps."""
    near, far = depth.copy(), depth.copy()
    cv2.patchNaNs(near, np.inf)
    cv2.patchNaNs(far, 0.0)
    spread = cv2.dilate(far, _NEAR_EDGE)
    # In place: memory that is new for each step takes longer than the steps.
    spread -= cv2.erode(near, _NEAR_EDGE, dst=near)
    far *= EDGE_JUMP_FRACTION
    far += EDGE_JUMP_M
    return np.asarray(spread > far)


def _joined(numbers: NDArray[np.uint16], places: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Whether there are several objects around places (N,) in the flattened image.

    Args:
        numbers: (H, W), of the objects, from 1; 0 for none.
        places: in the image.
    """
    highest = cv2.dilate(numbers, _NEAR_EDGE).ravel()[places]
    # No object becomes the largest number, and so never the lowest of several.
    lowered = numbers - np.uint16(1)
    lowest = cv2.erode(lowered, _NEAR_EDGE, dst=lowered).ravel()[places]
    return np.asarray(highest > lowest.astype(np.int32) + 1)


def _upper_edge(
    region: Region, image_size: tuple[int, ...]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the edge pixels of a mask that should be at a jump."""
    box, reach = region.box, EDGE_REACH_PX + 1
    upper = int(np.ceil((1 - FOOT_FRACTION) * box.height))
    mask = region.mask[: upper + 1].view(np.uint8)
    mask = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT)
    edge = (mask > cv2.erode(mask, AROUND))[1 : upper + 1, 1:-1]
    top, left = max(reach - box.y, 0), max(reach - box.x, 0)
    bottom, right = image_size[0] - reach - box.y, image_size[1] - reach - box.x
    rows, columns = np.nonzero(edge[top : max(bottom, 0), left : max(right, 0)])
    return rows + (box.y + top), columns + (box.x + left)


def calibration_doubt(camera: CameraIntrinsics) -> str:
    """Why the principal point may be wrong; empty where it is usual, or the image is known as cut.

    One that is far off turns all that is seen, and no depth contradicts it.
    """
    right = (camera.cx - (camera.width - 1) / 2) / camera.width
    below = (camera.cy - (camera.height - 1) / 2) / camera.height
    if camera.is_cut or max(abs(right), abs(below)) <= USUAL_OFF_CENTER:
        return ""
    return (
        f"the principal point is off the middle of the image by {right:+.0%} of the width and "
        f"{below:+.0%} of the height: is the calibration of this image, and was it cut?"
    )


def box_doubt(reaches: Sequence[float]) -> str:
    """Why the boxes of a frame may not be where its objects are; empty where nothing suggests it.

    Args:
        reaches: of the object in each box that stands out from what is around it, over how much of
            the width or height, whichever is less, 0 to 1.
    """
    if len(reaches) < MIN_BOXES or math.fsum(reaches) >= MIN_REACH * len(reaches):
        return ""
    return (
        f"boxes and depth do not fit: objects reach over {math.fsum(reaches) / len(reaches):.0%} "
        "of their boxes; was the detector's image scaled or padded, is depth registered to RGB?"
    )


def stretch_note(camera: CameraIntrinsics) -> str:
    """Note that pixels are not square; empty where they are.

    Right for an image that was stretched along with its calibration, so no doubt by itself.
    """
    ratio = camera.fx / camera.fy
    if max(ratio, 1 / ratio) <= SQUARE_PIXELS:
        return ""
    return (
        f"fx is {ratio:.2f} times fy: right only for an image that was stretched by that, else "
        "sizes and heights are wrong"
    )


def scale_doubt(sizes: Sequence[MeasuredSize], prior: SizePrior) -> ScaleDoubt:
    """Why the focal length or the unit of depth may be wrong; empty where sizes are standard.

    Args:
        sizes: of pallets, measured without their standard sizes.
        prior: their standard sizes.
    """
    factor, evidence = common_factor(sizes, prior)
    if evidence < SCALE_HINT or abs(factor - 1) < MAX_SCALE_ERROR:
        return ScaleDoubt()
    is_hint = evidence < SCALE_EVIDENCE
    seem = "seem to measure" if is_hint else "measure"
    return ScaleDoubt(
        f"pallets {seem} {factor:.2f} times the standard sizes: is the focal length, or the unit "
        "of depth, wrong by that?",
        is_hint,
    )


def extent_doubt(extents: Sequence[tuple[float, float]], prior: SizePrior) -> str:
    """Why the unit of depth may be wrong where too few pallets can be fitted by boxes.

    Whatever the view, a pallet is seen no wider than its diagonal. What stands before it makes it
    narrower, but hardly each one of several.

    Args:
        extents: of what is seen of pallets, along the rows and the columns of the image, meters.
        prior: their standard sizes.
    """
    widest = MAX_LOAD_OVERHANG * max(math.hypot(*pair) for pair in prior.footprints)
    widths = [min(pair) for pair in extents]
    if len(extents) < MIN_SIZED:
        least = min(widths, default=0.0)
        return _odd_width(least, f"at most {widest:.1f}") if least > FAR_TOO_WIDE * widest else ""
    narrowest = MIN_IN_SIGHT * min(min(pair) for pair in prior.footprints)
    wide, narrow = float(np.median(widths)), max(max(pair) for pair in extents)
    if wide > widest:
        return _odd_width(wide, f"at most {widest:.1f}")
    return _odd_width(narrow, f"at least {narrowest:.1f}") if narrow < narrowest else ""


def _odd_width(seen: float, expected: str) -> str:
    return (
        f"pallets look {seen:.2g} m wide where {expected} m are expected: is the unit of depth "
        "wrong, or the focal length?"
    )


def are_standard(sizes: Sequence[MeasuredSize], prior: SizePrior) -> bool:
    """Whether sizes are likelier standard than off by any factor that `scale_doubt` reports.

    Then no more pallets need to be measured. In 160 simulated cases, 40 frames as they are and with
    focal lengths that are off by -10, 12 and 30 %, each doubt by all of them remained.
    """
    if len(sizes) < MIN_SIZED:
        return False
    likelihoods = _log_likelihoods(sizes, prior)
    is_distinguished = np.abs(SCALES - 1) >= MAX_SCALE_ERROR
    return bool(likelihoods[len(SCALES) // 2] > likelihoods[is_distinguished].max())


def common_factor(sizes: Sequence[MeasuredSize], prior: SizePrior) -> tuple[float, float]:
    """The factor that turns standard sizes into the measured ones, and how much likelier it is.

    Returns:
        The factor, and the difference of its log likelihood from that of 1.
    """
    if len(sizes) < MIN_SIZED:
        return 1.0, 0.0
    likelihoods = _log_likelihoods(sizes, prior)
    best = int(np.argmax(likelihoods))
    return float(SCALES[best]), float(likelihoods[best] - likelihoods[len(SCALES) // 2])


def _log_likelihoods(sizes: Sequence[MeasuredSize], prior: SizePrior) -> NDArray[np.float64]:
    """How likely (F,) sizes are standard ones times each of `SCALES`."""
    standard = np.array([pair for a, b in prior.footprints for pair in ((a, b), (b, a))]) - INSET_M
    # By pallet, standard size, side of the footprint, and factor; the standard deviations of all
    # standard sizes are the same.
    measured = np.array([item.size for item in sizes])[:, None, :, None]
    stds = np.hypot(np.array([item.std for item in sizes])[:, None, :, None], SIZE_STD_M * SCALES)
    off = np.square((measured - standard[..., None] * SCALES) / stds)
    nearest = off.sum(axis=2).min(axis=1)
    density = np.exp(-nearest / 2) / (2 * np.pi * stds[:, 0].prod(axis=1))
    likelihoods = np.log((1 - ODD_FRACTION) * density / len(standard) + ODD_FRACTION / 9).sum(
        axis=0
    )
    return np.asarray(likelihoods)
