"""The JSON form of this project.

    {"image_size": [height, width],
     "regions": [{"id": 7, "label": "pallet", "score": 0.9, "rle": {"size": ..., "counts": ...}},
                 {"id": 2, "label": "buffer", "box": [x, y, width, height]}]}

with `label` and `score` optional, and exactly one of `rle` (COCO run lengths, compressed or not,
of the whole image) and `box` (pixels).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from smolrgpt_core.files import write_file
from smolrgpt_core.region_files.shapes import box_region, numbers, rle_region
from smolrgpt_core.region_files.source import RegionFile, part
from smolrgpt_core.regions import Region, RegionSet, encode_rle

KEYS = frozenset({"image_size", "regions"})

_EXPECTED_BOX = "box as [x, y, width, height]"


def read_own_form(file: RegionFile, content: Any) -> RegionSet:
    """Regions from a file in this format.

    Raises:
        ValueError: the content has another form.
    """
    size, entries = content["image_size"], content["regions"]
    are_integers = isinstance(size, list) and all(type(number) is int for number in size)
    if not are_integers or len(size) != 2 or not isinstance(entries, list):
        raise ValueError('expected "image_size": [height, width] and "regions": [...]')
    file.check_size(*size)
    regions = []
    for index, item in enumerate(entries):
        with part(f"regions[{index}]"):
            regions.append(_region(item, file.image_size))
    return file.regions(regions)


def write_regions(path: Path, regions: RegionSet) -> None:
    """Write this format with run lengths; `read_regions` restores the same regions."""
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


def _region(item: Any, image_size: tuple[int, int]) -> Region:
    known = {"id", "label", "score", "rle", "box"}
    if not isinstance(item, dict) or not item.keys() <= known or "id" not in item:
        raise ValueError(f"expected an object with id and some of {sorted(known - {'id'})}")
    id, label, score = item["id"], item.get("label", ""), item.get("score", 1.0)
    if not (type(id) is int and isinstance(label, str) and type(score) in (int, float)):
        raise ValueError("expected id as an integer, label as text, score as a number")
    if ("rle" in item) == ("box" in item):
        raise ValueError(f"expected either rle or box for region {id}")
    if "rle" in item:
        return rle_region(id, label, item["rle"], image_size, score)
    x, y, width, height = numbers(item["box"], 4, _EXPECTED_BOX)
    return box_region(id, label, (x, y, x + width, y + height), image_size, score)
