"""Inputs of a query node that look right and are wrong, for `wrong_inputs.py`.

Each kind changes what a camera, a segmenter or a person who set them up sends, before the readers
of the node and of recordings get it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.depth import depth_to_units
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.messages.making import (
    camera_info_message,
    header_message,
    image_message,
    region_array_message,
)
from smolrgpt_core.messages.reading import frame_from_messages
from smolrgpt_core.messages.region_sources import REGION_SOURCES
from smolrgpt_core.messages.stamps import DEFAULT_SYNC_TOLERANCE_S, NANOSECONDS
from smolrgpt_core.object_classes import is_zone
from smolrgpt_core.regions import Region, RegionSet

STAMP_NS = 1_700_000_000 * NANOSECONDS

ROLES = ("pallet", "transporter", "shelf", "buffer")


@dataclass(frozen=True, eq=False)
class Inputs:
    """What is sent for one moment.

    Attributes:
        frame: color, calibration and regions as they are.
        depth: uint16 (H, W), millimeters.
        other_depth: by name, depth of other moments: "0.05", ... meters driven, "view", "scene".
        focal: factors of fx and fy.
        principal: the same of cx and cy.
        regions: that are sent.
        region_size: (height, width) that the regions say they are of.
        depth_late_s: how far the stamp of depth is behind that of color.
        up: that the robot's tf says, or None.
        camera_height: above the floor, meters; the same.
    """

    frame: RGBDFrame
    depth: NDArray[np.uint16]
    other_depth: Mapping[str, NDArray[np.uint16]]
    regions: RegionSet
    focal: tuple[float, float] = (1.0, 1.0)
    principal: tuple[float, float] = (1.0, 1.0)
    depth_late_s: float = 0.0
    up: NDArray[np.float64] | None = None
    camera_height: float | None = None

    @classmethod
    def of(cls, frame: RGBDFrame, other_depth: Mapping[str, NDArray[np.float32]]) -> Inputs:
        """What a camera sends that is set up well."""
        others = {name: depth_to_units(depth) for name, depth in other_depth.items()}
        return cls(frame, depth_to_units(frame.depth), others, frame.regions)

    def read(self) -> RGBDFrame:
        """The frame as the readers of messages make it.

        Raises:
            SpatialError: what they refuse, and stamps that the node would not put together.
        """
        if abs(self.depth_late_s) > DEFAULT_SYNC_TOLERANCE_S:
            raise SpatialError(Status.OUT_OF_SYNC, f"depth is {self.depth_late_s:g} s late")
        header = header_message(_make, STAMP_NS, "camera")
        info = camera_info_message(_make, self.frame.intrinsics, header)
        factors = {0: self.focal[0], 2: self.principal[0]}
        for matrix, rows in ((info.k, 3), (info.p, 4)):
            for place, factor in factors.items():
                matrix[place] *= factor
            matrix[rows + 1] *= self.focal[1]
            matrix[rows + 2] *= self.principal[1]
        rgb = image_message(_make, self.frame.rgb, "rgb8", header)
        array = region_array_message(_make, self.regions, header)
        size = self.frame.regions.image_size
        regions = REGION_SOURCES["regions"].read(array, size, RegionLabels())
        depth = image_message(_make, self.depth, "16UC1", header)
        frame = frame_from_messages(rgb, depth, info, regions)
        return replace(frame, up=self.up, camera_height=self.camera_height)


Disturbance = Callable[[Inputs, Any, np.random.Generator], Inputs]


def _make(type_name: str, /, **fields: Any) -> SimpleNamespace:
    return SimpleNamespace(**fields)


def _focal(inputs: Inputs, factor: float, rng: np.random.Generator) -> Inputs:
    return replace(inputs, focal=(factor, factor))


def _fx(inputs: Inputs, factor: float, rng: np.random.Generator) -> Inputs:
    return replace(inputs, focal=(factor, 1.0))


def _resolution(inputs: Inputs, factor: float, rng: np.random.Generator) -> Inputs:
    return replace(inputs, focal=(factor, factor), principal=(factor, factor))


def _principal(inputs: Inputs, factor: float, rng: np.random.Generator) -> Inputs:
    return replace(inputs, principal=(factor, 1.0))


def _depth(inputs: Inputs, meters: NDArray) -> Inputs:
    return replace(inputs, depth=depth_to_units(meters.astype(np.float32)))


def _meters(inputs: Inputs) -> NDArray[np.float32]:
    return np.where(inputs.depth > 0, inputs.depth / 1000, np.nan).astype(np.float32)


def _depth_scale(inputs: Inputs, factor: float, rng: np.random.Generator) -> Inputs:
    return _depth(inputs, _meters(inputs) * factor)


def _depth_offset(inputs: Inputs, meters: float, rng: np.random.Generator) -> Inputs:
    return _depth(inputs, _meters(inputs) + meters)


def _depth_noise(inputs: Inputs, fraction: float, rng: np.random.Generator) -> Inputs:
    depth = _meters(inputs)
    return _depth(inputs, np.maximum(depth * (1 + fraction * rng.standard_normal(depth.shape)), 0))


def _missing_depth(inputs: Inputs, fraction: float, rng: np.random.Generator) -> Inputs:
    depth = inputs.depth.copy()
    depth[rng.random(depth.shape) < fraction] = 0
    return replace(inputs, depth=depth)


def _sentinel(
    inputs: Inputs, strength: tuple[int, float, bool], rng: np.random.Generator
) -> Inputs:
    """A mark of "no reading" in scattered pixels, or in patches."""
    value, fraction, in_patches = strength
    noise = rng.random(inputs.depth.shape).astype(np.float32)
    if in_patches:
        noise = cv2.GaussianBlur(noise, (0, 0), 12)
    marked = noise < np.quantile(noise, fraction)
    return replace(inputs, depth=np.where(marked, np.uint16(value), inputs.depth))


def _clipped(inputs: Inputs, meters: float, rng: np.random.Generator) -> Inputs:
    """A camera that ends its range with a plateau."""
    return replace(inputs, depth=np.minimum(inputs.depth, np.uint16(meters * 1000)))


def _depth_moved(inputs: Inputs, pixels: int, rng: np.random.Generator) -> Inputs:
    """Depth that is not registered to color."""
    return replace(inputs, depth=np.roll(inputs.depth, int(rng.choice([-1, 1])) * pixels, axis=1))


def _depth_mirrored(inputs: Inputs, _: int, rng: np.random.Generator) -> Inputs:
    return replace(inputs, depth=np.ascontiguousarray(inputs.depth[:, ::-1]))


def _swapped(inputs: Inputs, other: str, rng: np.random.Generator) -> Inputs:
    return replace(inputs, depth=inputs.other_depth[other])


def _jitter(inputs: Inputs, seconds: float, rng: np.random.Generator) -> Inputs:
    """Depth is late, while the robot drives at 1 m/s."""
    return replace(inputs, depth=inputs.other_depth[f"{seconds:g}"], depth_late_s=seconds)


def _with_regions(inputs: Inputs, change: Callable[[Region], Region | None]) -> Inputs:
    changed = [change(region) for region in inputs.regions]
    remaining = tuple(region for region in changed if region is not None)
    return replace(inputs, regions=RegionSet(inputs.regions.image_size, remaining))


def _with_masks(inputs: Inputs, change: Callable[[NDArray[np.bool_]], NDArray[np.bool_]]) -> Inputs:
    def changed(region: Region) -> Region:
        mask = change(inputs.regions.full_mask(region.id))
        return Region.from_bitmap(region.id, region.label, mask) if mask.any() else region

    return _with_regions(inputs, changed)


def _mask_size(inputs: Inputs, pixels: int, rng: np.random.Generator) -> Inputs:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(pixels) + 1,) * 2)
    change = cv2.dilate if pixels > 0 else cv2.erode
    return _with_masks(inputs, lambda mask: change(mask.astype(np.uint8), kernel) > 0)


def _moved(mask: NDArray[np.bool_], across: float, down: float, scale: float) -> NDArray[np.bool_]:
    matrix = np.array([[scale, 0, across], [0, scale, down]], np.float32)
    return cv2.warpAffine(mask.astype(np.uint8), matrix, mask.shape[::-1], flags=0) > 0


def _mask_shift(inputs: Inputs, pixels: int, rng: np.random.Generator) -> Inputs:
    angle = rng.uniform(0, 2 * np.pi)
    across, down = (round(pixels * part) for part in (np.cos(angle), np.sin(angle)))
    return _with_masks(inputs, lambda mask: _moved(mask, across, down, 1.0))


def _mask_scale(inputs: Inputs, factor: float, rng: np.random.Generator) -> Inputs:
    """Masks of another resolution that say they are of this one."""
    return _with_masks(inputs, lambda mask: _moved(mask, 0, 0, factor))


def _region_size(inputs: Inputs, factor: float, rng: np.random.Generator) -> Inputs:
    """Masks of another resolution that say so."""
    height, width = inputs.regions.image_size
    size = (round(width * factor), round(height * factor))
    regions = []
    for region in inputs.regions:
        mask = inputs.regions.full_mask(region.id).astype(np.uint8)
        small = cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST) > 0
        if small.any():
            regions.append(Region.from_bitmap(region.id, region.label, small))
    return replace(inputs, regions=RegionSet(size[::-1], tuple(regions)))


def _boxes(inputs: Inputs, pixels: int, rng: np.random.Generator) -> Inputs:
    """Boxes in the place of masks, each side off by up to some pixels."""
    grown = _mask_size(inputs, pixels, rng) if pixels else inputs

    def boxed(region: Region) -> Region:
        return Region.from_box(region.id, region.label, region.box)

    return _with_regions(grown, boxed)


def _labeled(inputs: Inputs, label_of: Callable[[Region], str]) -> Inputs:
    def changed(region: Region) -> Region:
        return Region(region.id, label_of(region), region.box, region.mask, region.score)

    return _with_regions(inputs, changed)


def _label_form(inputs: Inputs, form: str, rng: np.random.Generator) -> Inputs:
    numbers = itertools.count()
    forms: dict[str, Callable[[Region], str]] = {
        "index": lambda region: str(ROLES.index(region.label)),
        "class_index": lambda region: f"class_{ROLES.index(region.label)}",
        "instance": lambda region: f"{region.label}_{next(numbers):02}",
        "longer": lambda region: f"wooden_{region.label}",
        "path": lambda region: f"/World/{region.label.capitalize()}_{next(numbers)}",
        "capitals": lambda region: region.label.upper(),
        "none": lambda region: "",
    }
    return _labeled(inputs, forms[form])


def _some_labels(inputs: Inputs, strength: tuple[str, float], rng: np.random.Generator) -> Inputs:
    """Some regions with a label that says nothing, or that is another class."""
    form, fraction = strength

    def label(region: Region) -> str:
        if rng.random() >= fraction:
            return region.label
        if form == "other":
            return str(rng.choice([role for role in ROLES if role != region.label]))
        return {"none": "", "index": "7", "object": f"object_{region.id}"}[form]

    return _labeled(inputs, label)


def _swapped_labels(inputs: Inputs, pair: str, rng: np.random.Generator) -> Inputs:
    first, second = pair.split()
    names = {first: second, second: first}
    return _labeled(inputs, lambda region: names.get(region.label, region.label))


def _lost_regions(inputs: Inputs, fraction: float, rng: np.random.Generator) -> Inputs:
    """A segmenter that misses objects."""
    remaining = _with_regions(
        inputs, lambda region: region if is_zone(region) or rng.random() >= fraction else None
    )
    return remaining if len(remaining.regions) else inputs


def _up(inputs: Inputs, degrees: float, rng: np.random.Generator) -> Inputs:
    """A robot whose tf is wrong about the camera's tilt."""
    assert inputs.up is not None
    axis = np.cross(inputs.up, rng.standard_normal(3))
    turn = cv2.Rodrigues(np.radians(degrees) * axis / np.linalg.norm(axis))[0]
    return replace(inputs, up=turn @ inputs.up)


def _height(inputs: Inputs, off_m: float, _: np.random.Generator) -> Inputs:
    """A robot whose tf is wrong about the height of the camera."""
    assert inputs.camera_height is not None
    return replace(inputs, camera_height=inputs.camera_height + off_m)


def _mounting_alone(inputs: Inputs, off: tuple[float, float], rng: np.random.Generator) -> Inputs:
    """No reading of the floor but in zones; tf is off in tilt (degrees) and height (m)."""
    assert inputs.camera_height is not None
    seen = inputs.frame.regions.to_label_image() > 0
    depth = np.where(seen, inputs.depth, 0).astype(np.uint16)
    height = inputs.camera_height + off[1]
    return replace(_up(inputs, off[0], rng), camera_height=height, depth=depth)


def _nothing(inputs: Inputs, _: int, rng: np.random.Generator) -> Inputs:
    return inputs


_MARKS = [
    (value, fraction, patches)
    for value in (65535, 32767, 10000, 20000, 4095)
    for fraction in (0.05, 0.3)
    for patches in (False, True)
]

DISTURBANCES: dict[str, tuple[Disturbance, list[Any]]] = {
    "nothing": (_nothing, [0]),
    "focal length scaled": (_focal, [0.5, 0.7, 0.85, 0.95, 1.05, 1.15, 1.4, 2.0]),
    "fx alone scaled": (_fx, [0.8, 0.9, 1.1, 1.25, 1.5]),
    "calibration of another resolution": (_resolution, [0.5, 0.75, 1.25, 1.5, 2.0]),
    "principal point moved": (_principal, [0.7, 0.9, 1.1, 1.3]),
    "depth scaled": (_depth_scale, [0.001, 0.1, 0.25, 0.5, 0.9, 1.1, 2.0, 4.0]),
    "depth offset": (_depth_offset, [-0.2, 0.1, 0.3]),
    "depth noise": (_depth_noise, [0.02, 0.1, 0.3]),
    "depth missing": (_missing_depth, [0.5, 0.9, 0.99, 1.0]),
    "marks of no reading": (_sentinel, _MARKS),
    "depth clipped": (_clipped, [3.0, 5.0, 8.0]),
    "depth not registered": (_depth_moved, [4, 8, 16, 32]),
    "depth mirrored": (_depth_mirrored, [0]),
    "depth of another moment": (_swapped, ["0.2", "0.5", "view", "scene"]),
    "stamp jitter at 1 m/s": (_jitter, [0.01, 0.02, 0.05, 0.2]),
    "masks grown or shrunk": (_mask_size, [-6, -3, 3, 6, 12]),
    "masks shifted": (_mask_shift, [3, 6, 12, 25, 50]),
    "masks of another resolution": (_mask_scale, [0.5, 0.9, 1.1]),
    "regions of another resolution": (_region_size, [0.5, 0.75, 1.5]),
    "boxes for masks": (_boxes, [0, 4]),
    "objects missed": (_lost_regions, [0.1, 0.3]),
    "labels in another form": (
        _label_form,
        ["index", "class_index", "instance", "longer", "path", "capitals", "none"],
    ),
    "some labels say nothing": (
        _some_labels, [("none", 0.2), ("index", 0.2), ("object", 0.2)],
    ),
    "some labels wrong": (_some_labels, [("other", 0.2)]),
    "labels swapped": (
        _swapped_labels,
        ["pallet transporter", "pallet buffer", "pallet shelf", "transporter buffer"],
    ),
    "up from tf wrong": (_up, [2.0, 8.0, 20.0, 90.0]),
    "height from tf wrong": (_height, [-0.4, -0.15, 0.05, 0.15, 0.4]),
    "floor not seen, with tf": (_mounting_alone, [(0.0, 0.0), (1.0, 0.03), (3.0, -0.1)]),
}  # fmt: skip
"""What is done to inputs, and how strongly, by kind."""
