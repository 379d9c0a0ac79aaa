"""YOLO text files: a line per object, a class index and fractions of width and height.

0 0.5 0.5 0.2 0.1                   a box: center, width, height
0 0.5 0.5 0.2 0.1 0.93              with the confidence of a prediction
0 0.1 0.4 0.25 0.4 0.25 0.6 ...     a polygon of at least three points (and a confidence)
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from smolrgpt_core.files import read_bytes
from smolrgpt_core.region_files.shapes import EDGE_TOLERANCE, box_region, polygon_region
from smolrgpt_core.region_files.source import RegionFile, part
from smolrgpt_core.regions import Region, RegionSet

_BOX, _SCORED_BOX, _SMALLEST_POLYGON = 4, 5, 6
_FOLDERS_UP = 3
"""A data set has images/train and labels/train next to its data.yaml."""


def read_yolo(file: RegionFile) -> RegionSet:
    """Regions of a YOLO text file; an empty one has none.

    Labels are those that were given for the class indices, else those of `data.yaml` or
    `classes.txt` next to the file or at the root of its data set, otherwise the indices.
    """
    text = read_bytes(file.path).decode("utf-8-sig", errors="replace")
    names = {} if file.labels is not None else _names_beside(file.path)
    regions: list[Region] = []
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            with part(f"line {number}"):
                regions.append(_region(len(regions) + 1, line, names, file))
    return file.regions(regions)


def _region(id: int, line: str, names: dict[int, str], file: RegionFile) -> Region:
    index, values = _values(line)
    height, width = file.image_size
    label = file.label_of(index, names.get(index, str(index)))
    if len(values) in (_BOX, _SCORED_BOX):
        x, y, w, h = np.array(values[:_BOX]) * [width, height, width, height]
        corners = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        return box_region(id, label, corners, file.image_size, (*values, 1.0)[_BOX])
    score = values.pop() if len(values) % 2 else 1.0
    points = np.array(values).reshape(-1, 2) * [width, height]
    return polygon_region(id, label, [points], file.image_size, score)


def _values(line: str) -> tuple[int, list[float]]:
    """Class index and fractions in a line."""
    expected = "a class index and a box or polygon in fractions of the image size, as in YOLO"
    try:
        index, *values = (float(word) for word in line.split())
    except ValueError as error:
        raise ValueError(f"expected {expected}, got {line!r:.60}") from error
    if index < 0 or not index.is_integer() or len(values) < _BOX:
        raise ValueError(f"expected {expected}, got {line!r:.60}")
    if not all(-EDGE_TOLERANCE <= value <= 1 + EDGE_TOLERANCE for value in values):
        raise ValueError(f"expected {expected}; these are not between 0 and 1: {line!r:.60}")
    return int(index), values


def _names_beside(path: Path) -> dict[int, str]:
    """Names of the class indices, from the nearest file that has them."""
    folder = path.resolve().parent
    for candidate in (folder, *folder.parents)[:_FOLDERS_UP]:
        if (candidate / "data.yaml").exists():
            return _names_of_yaml(candidate / "data.yaml")
        if (candidate / "classes.txt").exists():
            lines = read_bytes(candidate / "classes.txt").decode().splitlines()
            return dict(enumerate(line.strip() for line in lines if line.strip()))
    return {}


def _names_of_yaml(path: Path) -> dict[int, str]:
    # Imported here because PyYAML is optional.
    from smolrgpt_core.settings_file import read_yaml

    try:
        content = read_yaml(path, "the names of the classes")
    except ImportError as error:
        raise ValueError(f"{error}; or give the labels") from error
    names = content.get("names") if isinstance(content, dict) else None
    entries = dict(enumerate(names)) if isinstance(names, list) else names
    if not isinstance(entries, dict) or not all(type(index) is int for index in entries):
        raise ValueError(f"{path}: expected names: [...] or names: {{0: ...}}")
    return {index: str(name) for index, name in entries.items()}
