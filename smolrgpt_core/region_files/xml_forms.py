"""XML: CVAT for images, and Pascal VOC."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.files import read_bytes
from smolrgpt_core.region_files.shapes import box_region, polygon_region, united
from smolrgpt_core.region_files.source import RegionFile, ids_for, part
from smolrgpt_core.regions import Region, RegionSet

_ELLIPSE_POINTS = 72
_WITHOUT_AREA = ("polyline", "points", "skeleton", "cuboid")


def read_xml(file: RegionFile) -> RegionSet:
    """Regions from CVAT or Pascal VOC XML.

    Raises:
        ValueError: it is neither, or is CVAT's video format.
    """
    content = read_bytes(file.path)
    if b"<!ENTITY" in content:
        raise ValueError("an XML file of regions has no entities, this one defines some")
    try:
        root = ElementTree.fromstring(content)
    except (ElementTree.ParseError, LookupError) as error:
        raise ValueError(f"expected XML: {error}") from error
    if root.tag == "annotation" and root.find("object/bndbox") is not None:
        return _read_voc(file, root)
    if root.tag != "annotations":
        raise ValueError(
            f"expected XML of CVAT (annotations) or Pascal VOC (annotation), found {root.tag!r}"
        )
    if root.find("track") is not None:
        raise ValueError('this is the form "CVAT for video"; export it as "CVAT for images"')
    return _read_cvat(file, root)


def _read_cvat(file: RegionFile, root: ElementTree.Element) -> RegionSet:
    images = root.findall("image")
    image = images[file.pick_image([item.get("name", "") for item in images])]
    file.check_size(_number(image, "height"), _number(image, "width"))
    grouped: dict[tuple[object, ...], list[ElementTree.Element]] = {}
    for index, shape in enumerate(image):
        if shape.tag in _WITHOUT_AREA:
            raise ValueError(f"a {shape.tag} has no area; draw one of {', '.join(_SHAPES)}")
        if shape.tag in _SHAPES:
            group = shape.get("group_id", "0")
            key = ("alone", index) if group == "0" else (shape.get("label"), group)
            grouped.setdefault(key, []).append(shape)
    ids = ids_for([shapes[0].get("label", "") for shapes in grouped.values()])
    regions = []
    for id, shapes in zip(ids, grouped.values(), strict=True):
        with part(f"{shapes[0].tag} {shapes[0].get('label')!r}"):
            parts = [_SHAPES[shape.tag](id, shape, file.image_size) for shape in shapes]
            regions.append(united(id, parts, file.image_size))
    return file.regions(regions, image.get("name", ""))


def _read_voc(file: RegionFile, root: ElementTree.Element) -> RegionSet:
    size = root.find("size")
    if size is not None:
        file.check_size(_text(size, "height"), _text(size, "width"))
    objects = root.findall("object")
    names = [item.findtext("name", "") for item in objects]
    regions = []
    for id, name, item in zip(ids_for(names), names, objects, strict=True):
        with part(f"object {name!r}"):
            box = item.find("bndbox")
            if box is None:
                raise ValueError("expected a bndbox")
            left, top, right, bottom = (_text(box, key) for key in ("xmin", "ymin", "xmax", "ymax"))
            # Its pixels are counted from 1, inclusive.
            corners = (left - 1, top - 1, right, bottom)
            regions.append(box_region(id, name, corners, file.image_size))
    return file.regions(regions, root.findtext("filename", ""))


def _polygon(id: int, shape: ElementTree.Element, image_size: tuple[int, int]) -> Region:
    points = [
        [float(number) for number in point.split(",")]
        for point in shape.get("points", "").split(";")
    ]
    return polygon_region(id, shape.get("label", ""), [np.array(points)], image_size)


def _box(id: int, shape: ElementTree.Element, image_size: tuple[int, int]) -> Region:
    left, top, right, bottom = (_number(shape, key) for key in ("xtl", "ytl", "xbr", "ybr"))
    if not shape.get("rotation") or not _number(shape, "rotation"):
        return box_region(id, shape.get("label", ""), (left, top, right, bottom), image_size)
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]])
    return polygon_region(id, shape.get("label", ""), [_turned(shape, corners)], image_size)


def _ellipse(id: int, shape: ElementTree.Element, image_size: tuple[int, int]) -> Region:
    cx, cy, rx, ry = (_number(shape, key) for key in ("cx", "cy", "rx", "ry"))
    angles = np.linspace(0, 2 * np.pi, _ELLIPSE_POINTS, endpoint=False)
    rim = np.stack([cx + rx * np.cos(angles), cy + ry * np.sin(angles)], axis=1)
    return polygon_region(id, shape.get("label", ""), [_turned(shape, rim)], image_size)


def _mask(id: int, shape: ElementTree.Element, image_size: tuple[int, int]) -> Region:
    """Run lengths along the rows of its box, background first."""
    left, top, width, height = (
        int(shape.get(key, "")) for key in ("left", "top", "width", "height")
    )
    runs = np.array([int(run) for run in shape.get("rle", "").split(",")])
    inside = min(left, top, width, height) >= 0 and left + width <= image_size[1]
    if not inside or top + height > image_size[0] or runs.min() < 0 or runs.sum() != width * height:
        raise ValueError("its run lengths do not fill its box, or the box leaves the image")
    bitmap = np.zeros(image_size, dtype=bool)
    filled = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    bitmap[top : top + height, left : left + width] = filled.reshape(height, width)
    return Region.from_bitmap(id, shape.get("label", ""), bitmap)


def _turned(shape: ElementTree.Element, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points (N, 2) rotated about their center by the shape's rotation, degrees clockwise."""
    angle = np.radians(_number(shape, "rotation")) if shape.get("rotation") else 0.0
    cos, sin = np.cos(angle), np.sin(angle)
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    return middle + (points - middle) @ np.array([[cos, sin], [-sin, cos]])


def _number(element: ElementTree.Element, key: str) -> float:
    return _finite(element, key, element.get(key))


def _text(element: ElementTree.Element, key: str) -> float:
    return _finite(element, key, element.findtext(key))


def _finite(element: ElementTree.Element, key: str, text: str | None) -> float:
    value = float(text or "nan")
    if not np.isfinite(value):
        raise ValueError(f"expected {element.tag} with a number for {key}, got {text!r}")
    return value


_SHAPES: dict[str, Callable[[int, ElementTree.Element, tuple[int, int]], Region]] = {
    "polygon": _polygon,
    "box": _box,
    "mask": _mask,
    "ellipse": _ellipse,
}
