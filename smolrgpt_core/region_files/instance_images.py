"""Instance images: the value of a pixel is the id of its region, 0 = background."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.files import decode_image, file_error, read_bytes, read_json, read_plane
from smolrgpt_core.instance_labels import BACKGROUND, InstanceLabels
from smolrgpt_core.region_files.source import RegionFile, naming
from smolrgpt_core.regions import RegionSet

_EXPECTED = "an instance image of region ids"
_PNG, _PNG_COLOUR_TYPE, _PALETTE = b"\x89PNG", 25, 3


def read_instance_image(file: RegionFile) -> RegionSet:
    """Regions of a picture or `.npy` array; labels are given, or stand in the JSON file beside."""
    image = _ids(file.path)
    file.check_size(*image.shape)
    labels = file.labels
    if labels is None:
        labels = _read_labels(file.path.with_suffix(".json"))
    if any(low == 0 and label != BACKGROUND for low, _, label in labels.ranges):
        raise ValueError("the value 0 of an instance image is the background, and has no label")
    return RegionSet.from_label_image(image, {int(id): labels[int(id)] for id in np.unique(image)})


def refuse_lossy_picture(file: RegionFile) -> RegionSet:
    """A JPEG changes the ids at the borders of objects, and so makes objects that are not there."""
    raise ValueError(
        f"{file.path.suffix} is compressed with loss, which changes the ids in a picture; save "
        "instance images as .png, .bmp, .tif or .npy"
    )


def _ids(path: Path) -> NDArray:
    """Ids (H, W); a grey picture that was saved with three equal channels is one."""
    if path.suffix.lower() == ".npy":
        return read_plane(path, _EXPECTED)
    content = read_bytes(path)
    image = decode_image(path, cv2.IMREAD_UNCHANGED, _EXPECTED, content)
    if content[:4] == _PNG and content[_PNG_COLOUR_TYPE] == _PALETTE:
        raise file_error(
            path,
            f"expected {_EXPECTED} with one number for each pixel, found a palette image; save its "
            "indices without palette",
        )
    if image.ndim == 3:
        if not all(np.array_equal(image[:, :, 0], image[:, :, c]) for c in (1, 2)):
            raise file_error(
                path,
                f"expected {_EXPECTED} with one number for each pixel (height, width), found a "
                f"colour image {image.dtype} {image.shape}",
            )
        image = image[:, :, 0]
    return image


def _read_labels(path: Path) -> InstanceLabels:
    """Labels beside an instance image; none if there is no such file."""
    if not path.exists():
        return InstanceLabels()
    content = read_json(path)
    with naming(path):
        return InstanceLabels.from_json(content)
