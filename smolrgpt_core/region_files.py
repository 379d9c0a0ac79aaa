"""Regions as files: a JSON file with masks or boxes, or an instance image with labels.

The JSON form is

    {"image_size": [height, width],
     "regions": [{"id": 7, "label": "pallet", "score": 0.9, "rle": {"size": ..., "counts": ...}},
                 {"id": 2, "label": "buffer", "box": [x, y, width, height]}]}

with `label` and `score` optional, and exactly one of `rle` (COCO run lengths, compressed or not,
of the whole image) and `box` (pixels).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import file_error, read_json, read_plane, write_file
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.regions import Box, Region, RegionSet, decode_rle, encode_rle

INSTANCE_IMAGE_SUFFIXES = (".png", ".tif", ".tiff", ".npy")


def read_regions(
    path: Path, image_size: tuple[int, int], labels: RegionLabels | None = None
) -> RegionSet:
    """Regions from a JSON file or an instance image.

    Args:
        path: a JSON file, or an integer image (.png, .tif, .npy) whose pixel values are region
            ids, 0 = background.
        image_size: (height, width) of the image that was segmented.
        labels: how regions get their labels. Those of an instance image stand in the JSON file of
            the same name beside it, such as {"1-9": "buffer", "10": "pallet"}, unless they are
            given here; without either, regions have no label.

    Raises:
        SpatialError: BAD_INPUT when the file cannot be used, or is for an image of another size.
    """
    labels = labels or RegionLabels()
    if path.suffix.lower() in INSTANCE_IMAGE_SUFFIXES:
        regions = _from_instance_image(path, labels.by_number)
    elif labels.by_number is None:
        regions = _from_json(path)
    else:
        raise file_error(path, "labels by id are for instance images; this file has its own")
    if regions.image_size != image_size:
        raise file_error(
            path,
            f"expected regions of an image of (height, width) {image_size}, found "
            f"{regions.image_size}; masks and image must have the same resolution",
        )
    return labels.label_map.apply(regions)


def write_regions(path: Path, regions: RegionSet) -> None:
    """Write the JSON form with run lengths; `read_regions` reads the same back."""
    entries = [
        json.dumps(
            {
                "id": region.id,
                "label": region.label,
                "score": region.score,
                "rle": encode_rle(regions.full_mask(region.id)),
            }
        )
        for region in regions
    ]
    size, lines = json.dumps(list(regions.image_size)), ",\n  ".join(entries)
    write_file(path, f'{{"image_size": {size},\n "regions": [\n  {lines}]}}\n'.encode())


def _from_instance_image(path: Path, labels: InstanceLabels | None) -> RegionSet:
    image = read_plane(path, "an instance image of region ids")
    if labels is None:
        labels = _read_labels(path.with_suffix(".json"))
    with _naming(path):
        return RegionSet.from_label_image(image, {int(id): labels[id] for id in np.unique(image)})


def _read_labels(path: Path) -> InstanceLabels:
    """Labels beside an instance image; none if there is no such file."""
    if not path.exists():
        return InstanceLabels()
    content = read_json(path)
    with _naming(path):
        return InstanceLabels.from_json(content)


def _from_json(path: Path) -> RegionSet:
    content = read_json(path)
    if not isinstance(content, dict) or set(content) != {"image_size", "regions"}:
        raise file_error(path, 'expected {"image_size": [height, width], "regions": [...]}')
    size, entries = content["image_size"], content["regions"]
    if not _are_integers(size, 2) or not isinstance(entries, list):
        raise file_error(path, 'expected "image_size": [height, width] and "regions": [...]')
    image_size = (size[0], size[1])
    regions = []
    for index, entry in enumerate(entries):
        with _naming(path, f"regions[{index}]: "):
            regions.append(_region(entry, image_size))
    with _naming(path):
        return RegionSet(image_size, tuple(regions))


def _region(entry: Any, image_size: tuple[int, int]) -> Region:
    known = {"id", "label", "score", "rle", "box"}
    if not isinstance(entry, dict) or not entry.keys() <= known or "id" not in entry:
        raise ValueError(f"expected an object with id and some of {sorted(known - {'id'})}")
    id, label, score = entry["id"], entry.get("label", ""), entry.get("score", 1.0)
    if not (type(id) is int and isinstance(label, str) and type(score) in (int, float)):
        raise ValueError("expected id as an integer, label as text, score as a number")
    if ("rle" in entry) == ("box" in entry):
        raise ValueError(f"expected either rle or box for region {id}")
    if "box" in entry:
        if not _are_integers(entry["box"], 4):
            raise ValueError(f"expected box as [x, y, width, height], got {entry['box']}")
        return Region.from_box(id, label, Box(*entry["box"]), score)
    mask = decode_rle(entry["rle"])
    if mask.shape != image_size:
        raise ValueError(f"expected a mask of (height, width) {image_size}, got {mask.shape}")
    return Region.from_bitmap(id, label, mask, score)


def _are_integers(value: Any, count: int) -> bool:
    return (
        isinstance(value, list)
        and len(value) == count
        and all(type(number) is int for number in value)
    )


@contextmanager
def _naming(path: Path, part: str = "") -> Iterator[None]:
    """Let errors name the file, and the part of it."""
    try:
        yield
    except (SpatialError, ValueError) as error:
        raise file_error(path, f"{part}{error}") from error
