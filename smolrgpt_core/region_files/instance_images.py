"""Instance images: the value of a pixel is the id of its region, 0 = background."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.files import decode_image, file_error, load_array, read_bytes, read_json
from smolrgpt_core.instance_labels import BACKGROUND, InstanceLabels
from smolrgpt_core.region_files.source import RegionFile, naming
from smolrgpt_core.regions import Region, RegionSet

_EXPECTED = "an instance image of region ids"
_OF_REPLICATOR = re.compile(r"((?:instance|semantic)(?:_id)?_segmentation)_(\d+)")
"""Image names of the BasicWriter of Omniverse Replicator."""

_PNG, _PNG_COLOR_TYPE, _PALETTE = b"\x89PNG", 25, 3


def read_instance_image(file: RegionFile) -> RegionSet:
    """Regions of an image or `.npy` array; labels are given, or in the JSON file next to it.

    Raises:
        ValueError: the image is not an instance image.
    """
    if file.path.suffix.lower() == ".npy":
        image = load_array(file.path, _EXPECTED)
        if image.dtype == np.bool_ or image.ndim > 2:
            return _read_stack(file, image)
    else:
        image = _ids(file.path)
    file.check_size(*image.shape)
    labels = file.labels
    if labels is None:
        labels = _labels_beside(file.path)
    if any(low == 0 and label != BACKGROUND for low, _, label in labels.ranges):
        raise ValueError("the value 0 of an instance image is the background, and has no label")
    return RegionSet.from_label_image(image, {int(id): labels[int(id)] for id in np.unique(image)})


def refuse_lossy_image(file: RegionFile) -> RegionSet:
    """Refuse JPEG and WebP, which change ids at object borders and so create false objects.

    Raises:
        ValueError: always.
    """
    raise ValueError(
        f"{file.path.suffix} uses lossy compression, which changes ids; save "
        "instance images as .png, .bmp, .tif or .npy"
    )


def _read_stack(file: RegionFile, stack: NDArray) -> RegionSet:
    """Regions of a stack of masks (N, H, W) or (N, 1, H, W) of a segmenter; ids from 1."""
    masks = stack[None] if stack.ndim == 2 else stack
    masks = masks[:, 0] if masks.ndim == 4 and masks.shape[1] == 1 else masks
    if masks.ndim != 3 or not np.isin(masks, (0, 1)).all():
        raise ValueError(
            f"expected {_EXPECTED} (height, width), or a stack of masks (masks, height, width) "
            f"with 0 and 1, found {stack.dtype} {stack.shape}"
        )
    file.check_size(*masks.shape[1:])
    return file.regions(
        [
            Region.from_bitmap(id, file.label_of(id), mask.astype(bool))
            for id, mask in enumerate(masks, start=1)
        ]
    )


def _ids(path: Path) -> NDArray:
    """Ids (H, W); a gray image saved with three equal channels is accepted."""
    content = read_bytes(path)
    image = decode_image(path, cv2.IMREAD_UNCHANGED, _EXPECTED, content)
    if content[:4] == _PNG and content[_PNG_COLOR_TYPE] == _PALETTE:
        raise file_error(
            path,
            f"expected {_EXPECTED} with one number per pixel, found a palette image; save its "
            "indices without a palette",
        )
    if image.ndim == 3:
        if not all(np.array_equal(image[:, :, 0], image[:, :, c]) for c in (1, 2)):
            raise file_error(
                path,
                f"expected {_EXPECTED} with one number per pixel (height, width), found a "
                f"color image {image.dtype} {image.shape}",
            )
        image = image[:, :, 0]
    return image


def _labels_beside(path: Path) -> InstanceLabels:
    """Labels from the file next to an instance image; none if there is no such file.

    Raises:
        ValueError: for a semantic segmentation of Replicator.
    """
    names = [path.with_suffix(".json").name]
    match = _OF_REPLICATOR.fullmatch(path.stem)
    if match:
        kind, number = match.groups()
        if kind.startswith("semantic"):
            raise ValueError(
                "a semantic segmentation has one value per class: all objects of a class "
                "would be one region; use the instance segmentation"
            )
        names += [f"{kind}_semantics_mapping_{number}.json", f"{kind}_mapping_{number}.json"]
    found = next((name for name in names if path.with_name(name).exists()), None)
    return _read_labels(path.with_name(found)) if found else InstanceLabels()


def _read_labels(path: Path) -> InstanceLabels:
    content = read_json(path)
    with naming(path):
        return InstanceLabels.from_json(content)
