"""Outlines lie on their masks, marks where the drawing has them, and depth has its colors."""

from __future__ import annotations

import re

import cv2
import numpy as np

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion, ask
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language.marks import MarkKind
from smolrgpt_core.page.overlay import (
    NO_READING,
    depth_colors,
    mark_shapes,
    outline_path,
    region_shapes,
)
from smolrgpt_core.regions import Region


def filled(path: str, image_size: tuple[int, int]) -> np.ndarray:
    """The mask (H, W) that a path encloses, by the even-odd rule."""
    rings = []
    for ring in re.findall(r"M([^Z]+)Z", path):
        points = [tuple(map(float, pair.split())) for pair in ring.split("L")]
        rings.append(np.floor(points).astype(np.int32))
    mask = np.zeros(image_size, np.uint8)
    cv2.fillPoly(mask, rings, 1)
    return mask.astype(bool)


def test_outlines_enclose_their_masks(frame: RGBDFrame) -> None:
    shapes = region_shapes(frame.regions)
    assert {shape.id for shape in shapes} == {region.id for region in frame.regions}
    for shape in shapes:
        region = frame.regions[shape.id]
        mask = frame.regions.full_mask(shape.id)
        assert shape.name == region.name
        x, y = shape.anchor
        assert mask[round(y), round(x)]
        if region.area > 400:
            found = filled(shape.path, mask.shape)
            assert np.count_nonzero(found & mask) / np.count_nonzero(found | mask) > 0.85


def test_small_regions_lie_on_large_ones(frame: RGBDFrame) -> None:
    areas = [frame.regions[shape.id].area for shape in region_shapes(frame.regions)]
    assert areas == sorted(areas, reverse=True)


def test_a_hole_stays_a_hole() -> None:
    mask = np.ones((40, 40), np.uint8)
    mask[10:30, 10:30] = 0
    path = outline_path(Region.from_bitmap(1, "frame", mask))
    assert path.count("M") == 2


def test_even_a_line_of_pixels_has_an_outline() -> None:
    mask = np.zeros((20, 20), np.uint8)
    mask[5, 3:12] = 1
    assert outline_path(Region.from_bitmap(1, "line", mask)).count("L") >= 1


def shapes_of(frame: RGBDFrame, question: str) -> list:
    answer = ask(frame, AskedQuestion(question), GeometricAnswerer())
    assert answer.ok, answer.message
    return mark_shapes(frame, answer)


def test_a_distance_is_a_line_with_its_length(frame: RGBDFrame) -> None:
    (line,) = shapes_of(frame, "How far is pallet 10 from pallet 13?")
    assert line.kind is MarkKind.LINE
    assert re.fullmatch(r"\d+\.\d\d m", line.label)
    assert [len(points) for points in line.lines] == [2]


def test_a_side_is_an_arrow_to_that_side(frame: RGBDFrame) -> None:
    (arrow,) = shapes_of(frame, "Is pallet 10 left or right of pallet 13?")
    ((start, _), (end, _)) = arrow.lines[0]
    assert arrow.kind is MarkKind.ARROW
    assert (end < start) == (arrow.label == "left")


def test_free_floor_is_an_area(frame: RGBDFrame) -> None:
    (area,) = shapes_of(frame, "What is the free area of buffer 1?")
    assert area.kind is MarkKind.AREA
    assert len(area.lines) > 1, "what stands there is a hole"
    assert area.label.endswith("m2")


def test_depth_has_colors_from_near_to_far_and_gray_without_a_reading() -> None:
    depth = np.linspace(1, 5, 100, dtype=np.float32)[None].repeat(4, 0)
    depth[0] = np.nan
    colored = depth_colors(depth)
    assert 1 <= colored.nearest < 1.2
    assert 4.8 < colored.farthest <= 5
    assert tuple(colored.image[0, 50]) == NO_READING
    near, far = colored.image[2, 5].astype(int), colored.image[2, 95].astype(int)
    assert near[0] > near[2], "near is red"
    assert far[2] > far[0], "far is blue"


def test_an_image_without_depth_is_gray() -> None:
    colored = depth_colors(np.full((3, 4), np.nan, np.float32))
    assert (colored.image == NO_READING).all()
    assert np.isnan(colored.nearest)
