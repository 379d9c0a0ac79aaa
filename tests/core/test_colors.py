"""Names of colors, on painted images with known colors, and questions about them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.answerers.base import UncertainAnswerError
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.answerers.geometry_cache import GeometryCache
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.language import Category, read_question
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.scene.colors import (
    EDGE_PX,
    ENOUGH_PIXELS,
    MIN_PIXELS,
    SMALL_EDGE_PX,
    ColorImage,
)
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.spatial_scene import COLORS, SeenColors
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.truth import SceneTruth

SIZE = (120, 160)
FLOOR = (165, 165, 165)
WALL = (225, 225, 225)
SIGN = (20, 120, 70)
BOX = Box(40, 50, 60, 40)
PAINTS = {
    "black": (22, 22, 24), "white": (235, 235, 230), "gray": (110, 112, 110),
    "red": (190, 25, 30), "orange": (235, 115, 20), "yellow": (240, 200, 30),
    "green": (30, 130, 70), "blue": (30, 80, 165), "purple": (105, 45, 150),
    "pink": (245, 150, 180), "brown": (140, 95, 55),
}  # fmt: skip
"""A usual paint of each name; none is one of the examples that pixels are compared with."""


def room() -> np.ndarray:
    """An empty gray room with a green sign on its white wall, uint8 (H, W, 3)."""
    image = np.full((*SIZE, 3), FLOOR, np.uint8)
    image[:30] = WALL
    image[8:20, 10:40] = SIGN
    return image


def painted(*stripes: tuple[tuple[int, int, int], float]) -> np.ndarray:
    """The room with a box of colored stripes (color, fraction of the height), from above."""
    image = room()
    top = float(BOX.y)
    for color, fraction in stripes:
        bottom = top + fraction * BOX.height
        image[round(top) : round(bottom), BOX.x : BOX.x + BOX.width] = color
        top = bottom
    return image


def region(box: Box = BOX, id: int = 61, label: str = "transporter") -> Region:
    return Region.from_box(id, label, box)


def named(seen: SeenColors) -> str:
    return COLORS[int(np.argmax(seen.weights))]


def lit(image: np.ndarray, *gains: float) -> np.ndarray:
    return np.clip(image * np.array(gains), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", COLORS)
def test_a_plain_thing_has_the_name_of_its_paint(name: str) -> None:
    seen = ColorImage(painted((PAINTS[name], 1.0))).colors(region())
    assert named(seen) == name
    assert seen.weights.max() > 0.9
    assert seen.fractions.sum() == pytest.approx(1)
    assert seen.weights.sum() == pytest.approx(1)


@pytest.mark.parametrize("name", [name for name in COLORS if name not in ("pink", "white", "gray")])
def test_shade_changes_no_name(name: str) -> None:
    red, green, blue = PAINTS[name]
    shaded = int(red * 0.65), int(green * 0.65), int(blue * 0.65)
    seen = ColorImage(painted((PAINTS[name], 0.4), (shaded, 0.6))).colors(region())
    assert named(seen) == name


@pytest.mark.parametrize("gains", [(0.5, 0.5, 0.5), (1.05, 1.0, 0.85), (0.85, 1.0, 1.05)])
@pytest.mark.parametrize("name", ["white", "gray", "orange", "yellow", "blue"])
def test_dim_and_tinted_light_change_no_name(name: str, gains: tuple[float, ...]) -> None:
    image = lit(painted((PAINTS[name], 1.0)), *gains)
    assert named(ColorImage(image).colors(region())) == name


@pytest.mark.parametrize(
    ("stripes", "words"),
    [
        ((("brown", 0.5), ("white", 0.5)), ("brown", "white")),
        ((("red", 0.4), ("blue", 0.35), ("green", 0.25)), ("red", "blue", "green")),
        ((("black", 0.7), ("white", 0.3)), ("black", "white")),
        ((("black", 0.8), ("yellow", 0.2)), ("black", "yellow")),
    ],
)
def test_several_colors_have_no_sure_name(stripes, words) -> None:
    image = painted(*((PAINTS[name], fraction) for name, fraction in stripes))
    seen = ColorImage(image).colors(region())
    assert seen.weights.max() < 0.8
    assert all(word in seen.in_words() for word in words)


def test_some_black_is_part_of_a_colored_thing() -> None:
    image = painted((PAINTS["black"], 0.4), (PAINTS["yellow"], 0.6))
    assert named(ColorImage(image).colors(region())) == "yellow"


def test_a_gray_car_that_mirrors_the_sky_is_not_surely_blue() -> None:
    seen = ColorImage(painted((PAINTS["black"], 0.5), ((118, 130, 152), 0.5))).colors(region())
    assert seen.weights[COLORS.index("blue")] < 0.8


def test_what_is_beside_a_mask_does_not_count() -> None:
    grown = Box(BOX.x - EDGE_PX, BOX.y - EDGE_PX, BOX.width + 2 * EDGE_PX, BOX.height + 2 * EDGE_PX)
    seen = ColorImage(painted((PAINTS["blue"], 1.0))).colors(region(grown))
    assert seen.fractions[COLORS.index("blue")] > 0.98


def test_of_a_small_thing_more_than_the_middle_counts() -> None:
    image = painted((PAINTS["blue"], 1.0))
    for side in (int(np.sqrt(ENOUGH_PIXELS)) + 2 * EDGE_PX + extra for extra in (-3, 0, 1)):
        seen = ColorImage(image).colors(region(Box(45, 55, side, side)))
        assert named(seen) == "blue"


def refusal(image: np.ndarray, box: Box = BOX) -> str:
    with pytest.raises(SpatialError) as caught:
        ColorImage(image).colors(region(box))
    assert caught.value.status is Status.CANNOT_TELL
    return caught.value.message


def test_why_there_is_no_color() -> None:
    blue = painted((PAINTS["blue"], 1.0))
    side = int(np.sqrt(MIN_PIXELS)) + 2 * SMALL_EDGE_PX
    assert "too small" in refusal(blue, Box(45, 55, side, side))
    ColorImage(blue).colors(region(Box(45, 55, side + 1, side + 1)))
    gray = np.repeat(blue.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    assert "no colors" in refusal(gray)
    assert "too dark" in refusal(lit(blue, 0.1, 0.1, 0.1))
    assert "too bright" in refusal(painted(((255, 255, 255), 1.0)))
    assert "white balance" in refusal(lit(blue, 1.0, 0.5, 0.2))


# ---- questions ----


@pytest.fixture
def frame() -> RGBDFrame:
    """A blue, a brown and a half brown, half white pallet, and one of a few pixels."""
    image = room()
    places = {10: 10, 11: 50, 12: 90}
    image[60:90, 10:40] = PAINTS["blue"]
    image[60:90, 50:80] = PAINTS["brown"]
    image[60:75, 90:120] = PAINTS["brown"]
    image[75:90, 90:120] = PAINTS["white"]
    boxes = {id: Box(column, 60, 30, 30) for id, column in places.items()}
    boxes[13] = Box(140, 70, 6, 6)
    regions = tuple(region(box, id, "pallet") for id, box in boxes.items())
    floor = region(Box(0, 95, 160, 25), 1, "buffer")
    depth = np.full(SIZE, 4.0, np.float32)
    camera = CameraIntrinsics(SIZE[1], SIZE[0], 150.0, 150.0, 79.5, 59.5)
    return RGBDFrame(image, depth, camera, RegionSet(SIZE, (*regions, floor)), 0)


def answer(frame: RGBDFrame, text: str, looks: bool = True):
    answerer = GeometricAnswerer(GeometryCache(looks=looks))
    return answerer.answer(frame, read_question(text, frame.regions))


def test_answers(frame: RGBDFrame) -> None:
    blue = answer(frame, "What color is pallet 10?")
    assert (blue.category, blue.relation, blue.text) == (
        Category.RELATION, "blue", "Pallet 10 is blue.",
    )  # fmt: skip
    assert blue.confidence > 0.9
    assert blue.message == ""
    assert answer(frame, "Is pallet 10 blue?").truth is True
    assert answer(frame, "Is pallet 11 blue?").truth is False
    assert answer(frame, "Is pallet 11 red or brown?").relation == "brown"
    assert answer(frame, "Which of pallets 10 and 11 is brown?").region_id == 11
    assert answer(frame, "What color is pallet 11? (A) blue (B) brown").option == "B"
    assert answer(frame, "How many of pallets 10, 11 and 12 are blue?").value == 1
    assert answer(frame, "Is the blue pallet 10 left of the brown pallet 11?").truth is True


def test_a_color_beside_a_named_pallet_must_be_its_own(frame: RGBDFrame) -> None:
    with pytest.raises(SpatialError, match="pallet 10 is blue, not yellow"):
        answer(frame, "How far is the yellow pallet 10?")


@pytest.mark.parametrize(
    ("text", "words", "may_a_model_decide"),
    [
        ("What color is pallet 12?", ("pallet 12 is", "brown", "white"), False),
        ("Is pallet 12 white?", ("pallet 12 is", "brown", "white"), False),
        ("How many pallets are brown?", ("pallet 12 is", "pallet 13 is too small"), False),
        ("How many of pallets 10, 11 and 13 are brown?", ("pallet 13 is too small",), True),
    ],
)
def test_what_is_unsure_is_refused_with_what_is_seen(
    frame, text, words, may_a_model_decide
) -> None:
    with pytest.raises(SpatialError) as caught:
        answer(frame, text)
    assert isinstance(caught.value, UncertainAnswerError) is may_a_model_decide
    assert caught.value.status is Status.CANNOT_TELL
    assert all(word in caught.value.message for word in words), caught.value.message


@pytest.mark.parametrize(
    ("text", "looks", "status", "words"),
    [
        ("What color is pallet 13?", True, Status.CANNOT_TELL, "too small"),
        ("Is pallet 13 red?", True, Status.CANNOT_TELL, "too small"),
        ("What color is pallet 10? (A) red (B) green", True, Status.CANNOT_TELL, "no option"),
        ("What color is buffer 1?", True, Status.BAD_QUESTION, "part of the floor"),
        ("What color is pallet 10?", False, Status.BAD_QUESTION, "depth and masks"),
        ("How many pallets are blue?", False, Status.BAD_QUESTION, "depth and masks"),
    ],
)
def test_refusals(frame, text, looks, status, words) -> None:
    with pytest.raises(SpatialError, match=words) as caught:
        answer(frame, text, looks)
    assert caught.value.status is status


@pytest.fixture
def unclear_frame(frame: RGBDFrame) -> RGBDFrame:
    """Most of pallet 11 is black, and what is not may be brown, or orange in the shade."""
    image = frame.rgb.copy()
    image[60:84, 50:80] = PAINTS["black"]
    image[84:90, 50:80] = PAINTS["brown"]
    return replace(frame, rgb=image)


def test_what_is_known_of_an_unclear_color_is_marked_for_who_knows_better(
    frame: RGBDFrame, unclear_frame: RGBDFrame
) -> None:
    possible = answer(unclear_frame, "Is pallet 11 orange?")
    assert (possible.truth, possible.unclear_colors) == (False, True)
    impossible = answer(unclear_frame, "Is pallet 11 green?")
    assert (impossible.truth, impossible.unclear_colors) == (False, False)
    assert not answer(unclear_frame, "Is pallet 10 orange?").unclear_colors
    assert not answer(frame, "Is pallet 11 orange?").unclear_colors
    assert not answer(frame, "How many of pallets 10, 11 and 12 are red?").unclear_colors


def test_colors_of_one_question_are_no_matter_of_the_next(frame: RGBDFrame) -> None:
    answerer = GeometricAnswerer(GeometryCache(looks=True))
    ask = lambda text: answerer.answer(frame, read_question(text, frame.regions))  # noqa: E731
    with pytest.raises(SpatialError, match="pallet 12 is"):
        ask("What color is pallet 12?")
    assert ask("What color is pallet 11?").message == ""


def test_the_truth_has_the_colors_of_what_has_one(make_box) -> None:
    pallet = make_box(10, "pallet", (0, 4), (1.2, 0.8, 1.0))
    transporter = replace(make_box(60, "transporter", (1, 5), (2.0, 1.0, 0.4)), color="orange")
    truth = SceneTruth(0, (pallet, transporter), np.array([0.0, -1.0, 0.0]), 1.5)
    scene = TrueScene(truth, RegionSet(SIZE, (region(id=10, label="pallet"), region(id=60))))
    assert named(scene.colors(60)) == "orange"
    with pytest.raises(SpatialError, match="pallet 10 has no single color"):
        scene.colors(10)
    copies = SceneCopies(scene, copies=4)
    copies.look(np.array([True, True]))
    assert copies.color.tolist() == [[-1, COLORS.index("orange")]] * 4


@pytest.mark.parametrize(
    ("fractions", "is_mixed"),
    [
        ({"gray": 0.60, "brown": 0.21, "white": 0.19}, True),  # cartons in white film
        ({"red": 0.5, "blue": 0.5}, True),
        ({"black": 0.55, "gray": 0.15, "yellow": 0.30}, False),  # a truck with a dark deck
        ({"gray": 0.7, "white": 0.3}, False),  # one paint in light and shade
        ({"orange": 0.6, "brown": 0.4}, False),
    ],
)
def test_black_and_shades_do_not_make_several_colors(
    fractions: dict[str, float], is_mixed: bool
) -> None:
    shares = np.array([fractions.get(name, 0.0) for name in COLORS])
    assert SeenColors(shares, shares).is_mixed is is_mixed
