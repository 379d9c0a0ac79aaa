"""Every reference selects exactly its object."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.annotation.captions import ReferenceWriter, mask_iou
from smolrgpt_core.annotation.references import (
    CATEGORY,
    ORDER,
    POSITION,
    SIZE,
    WORDS,
    is_read_as,
    spatial_references,
)
from smolrgpt_core.language.conventions import HISPATIAL, WAREHOUSE
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.operators import attributes, selections
from smolrgpt_core.perception.stages import Detection
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.synthesis.margins import AmbiguityMargins
from smolrgpt_core.synthesis.view import MarginView
from smolrgpt_core.truth import SceneTruth

CONVENTIONS = (WAREHOUSE, HISPATIAL)


def view_of(*objects, size=(480, 640), kind=TrueScene) -> MarginView:
    """A view of true objects, each with a region around its projected middle."""
    regions = []
    for item in objects:
        column, row = np.array(size[::-1]) / 2 + 400.0 * item.center[:2] / item.center[2]
        box = Box(int(column) - 8, int(row) - 8, 16, 16)
        regions.append(Region.from_box(item.id, item.label, box))
    truth = SceneTruth(0, tuple(objects), np.array([0.0, -1.0, 0.0]), 1.5)
    scene = kind(truth, RegionSet(size, tuple(regions)))
    return MarginView(scene, AmbiguityMargins(), np.random.default_rng(0))


def texts(view: MarginView, kind: str) -> dict[int, str]:
    found = spatial_references(view, CONVENTIONS)
    return {id: item.text for id, items in found.items() for item in items if item.kind == kind}


@pytest.mark.parametrize("seed", range(8))
def test_a_reference_selects_its_object_and_no_other(random_scene, seed):
    truth, regions = random_scene(seed)
    scene = TrueScene(truth, regions)
    copies = SceneCopies(scene, copies=1)
    view = MarginView(scene, AmbiguityMargins(), np.random.default_rng(seed))
    for id, references in spatial_references(view, CONVENTIONS).items():
        for item in references:
            assert item.program is not None
            assert evaluate(item.program, copies).value == id
            assert is_read_as(item.text, item.program, regions)


def test_the_only_one_of_its_class_is_named_by_it(make_box):
    view = view_of(
        make_box(1, "pallet", (-1.0, 6.0), (1.2, 0.8, 1.0)),
        make_box(2, "shelf", (1.0, 6.0), (1.2, 0.8, 1.0)),
        make_box(3, "shelf", (2.5, 9.0), (1.2, 0.8, 1.0)),
    )
    assert texts(view, CATEGORY) == {1: "the pallet"}


def row_of(make_box, offsets, numbers=4):
    return [
        make_box(number + 1, "pallet", (1.5 * number - 2.0, 7.0 + offset), (1.2, 0.8, 1.0))
        for number, offset in zip(range(numbers), offsets, strict=True)
    ]


def test_objects_in_a_line_have_their_place_in_it(make_box):
    view = view_of(*row_of(make_box, (0.0, 0.1, -0.1, 0.0)))
    found = texts(view, ORDER)
    assert set(found) == {1, 2, 3, 4}
    assert "left" in found[2]
    assert "second" in found[2]
    assert "right" in found[4]


def test_objects_that_stand_in_no_line_have_none(make_box):
    view = view_of(*row_of(make_box, (0.0, 3.0, -2.0, 1.0)))
    assert texts(view, ORDER) == {}
    assert texts(view, POSITION)


def test_two_objects_are_no_line(make_box):
    view = view_of(*row_of(make_box, (0.0, 0.0), numbers=2))
    assert texts(view, ORDER) == {}


def test_a_class_of_which_one_is_hidden_has_no_ranks(make_box):
    row = row_of(make_box, (0.0, 0.1, -0.1, 0.0))
    hidden = replace(row[3], visible_fraction=0.1)
    assert spatial_references(view_of(*row[:3], hidden), CONVENTIONS) == {}


def test_places_that_are_too_close_to_call_are_not_used(make_box):
    near = [
        make_box(1, "pallet", (-1.0, 7.0), (1.2, 0.8, 1.0)),
        make_box(2, "pallet", (1.0, 7.05), (1.2, 0.8, 1.0)),
    ]
    words = " ".join(
        item.text for items in spatial_references(view_of(*near), CONVENTIONS).values()
        for item in items
    )  # fmt: skip
    assert "left" in words
    assert "nearest" not in words
    assert "tallest" not in words


def test_sizes_that_clearly_differ_are_ranked(make_box):
    view = view_of(
        make_box(1, "pallet", (-2.0, 7.0), (1.2, 0.8, 0.5)),
        make_box(2, "pallet", (2.0, 7.0), (1.2, 0.8, 1.8)),
    )
    assert texts(view, SIZE)[2] == "the tallest pallet"


class Cut(TrueScene):
    """A scene that shows only a part of pallet 2."""

    def place(self, id: int):
        placed = super().place(id)
        return replace(placed, unsized="is cut off") if id == 2 else placed


@pytest.mark.parametrize("kind", [TrueScene, Cut])
def test_heights_are_ranked_only_where_all_of_a_class_are_seen_whole(make_box, kind):
    view = view_of(
        make_box(1, "pallet", (-2.0, 7.0), (1.2, 0.8, 0.5)),
        make_box(2, "pallet", (2.0, 7.0), (1.2, 0.8, 1.8), bottom=1.0),
        kind=kind,
    )
    found = [
        item.text
        for items in spatial_references(view, CONVENTIONS).values()
        for item in items
        if item.kind in (POSITION, SIZE)
    ]
    assert any("leftmost" in text for text in found)
    high = [text for text in found if "tallest" in text or "highest" in text]
    assert bool(high) is (kind is TrueScene)


def test_labels_with_a_meaning_of_their_own_make_no_reference():
    regions = RegionSet(
        (100, 100),
        tuple(Region.from_box(id, "left shoe", Box(20 * id, 5, 8, 8)) for id in (1, 2)),
    )
    program = selections.Extreme(selections.All("left shoe"), attributes.Column(), "most", 1.0)
    assert not is_read_as("the leftmost left shoe", program, regions)


COLORS = {"red": (200, 20, 20), "green": (20, 200, 20)}


class SeesColors:
    """Finds what is of the color that its prompt names; all boxes if it names none."""

    def detect(self, rgb: np.ndarray, classes) -> list[Detection]:
        (text,) = classes
        named = [color for name, color in COLORS.items() if name in text] or list(COLORS.values())
        found = []
        for color in named:
            rows, columns = np.nonzero((rgb == color).all(axis=2))
            if len(rows):
                left, top = float(columns.min()), float(rows.min())
                right, bottom = float(columns.max() + 1), float(rows.max() + 1)
                found.append(Detection(text, (left, top, right, bottom), 0.9))
        return found


class FillsBoxes:
    """The mask of a box is the box."""

    def masks(self, rgb: np.ndarray, boxes: np.ndarray):
        found = np.zeros((len(boxes), *rgb.shape[:2]), dtype=bool)
        for mask, (left, top, right, bottom) in zip(found, boxes.astype(int), strict=True):
            mask[top:bottom, left:right] = True
        return found, np.ones(len(boxes), dtype=np.float32)


class Writes:
    """Writes what it is told, and keeps what it was shown."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)
        self.shown: list[np.ndarray | None] = []

    def ask(self, rgb: np.ndarray | None, prompt: str, max_new_tokens: int = 64) -> str:
        self.shown.append(rgb)
        return self.texts.pop(0)


@pytest.fixture
def two_boxes() -> tuple[np.ndarray, RegionSet]:
    rgb = np.full((60, 90, 3), 128, dtype=np.uint8)
    rgb[10:30, 10:30], rgb[20:50, 50:80] = COLORS["red"], COLORS["green"]
    regions = RegionSet(
        (60, 90),
        (
            Region.from_box(1, "carton", Box(10, 10, 20, 20)),
            Region.from_box(2, "carton", Box(50, 20, 30, 30)),
        ),
    )
    return rgb, regions


def writer(words: Writes) -> ReferenceWriter:
    return ReferenceWriter(words, SeesColors(), FillsBoxes())


def test_the_simplest_words_that_are_found_again_are_used(two_boxes):
    rgb, regions = two_boxes
    words = Writes("The green carton.", "never asked")
    found = writer(words).reference(rgb, regions, 2)
    assert found is not None
    assert (found.kind, found.level, found.text) == (WORDS, 2, "The green carton")
    assert len(words.shown) == 1
    assert (words.shown[0] != rgb).any()


def test_the_class_is_enough_where_it_is_the_only_one(two_boxes):
    rgb, regions = two_boxes
    rgb[20:50, 50:80] = 128
    found = writer(Writes()).reference(rgb, regions, 1)
    assert found is not None
    assert (found.level, found.text) == (1, "the carton")


def test_words_that_lead_to_another_object_or_to_several_are_not_used(two_boxes):
    rgb, regions = two_boxes
    assert writer(Writes("the green carton", "the carton", "nonsense")).reference(
        rgb, regions, 1
    ) is None  # fmt: skip


def test_a_mask_that_only_overlaps_is_another_object(two_boxes):
    rgb, regions = two_boxes
    shifted = RegionSet((60, 90), (Region.from_box(1, "carton", Box(10, 10, 20, 30)),))
    assert writer(Writes(*["the red carton"] * 3)).reference(rgb, shifted, 1) is None
    exact = writer(Writes("the red carton")).reference(rgb, regions, 1)
    assert exact is not None
    assert exact.text == "the red carton"


def test_overlap_of_masks():
    first, second = np.zeros((2, 4, 4), dtype=bool)
    first[:2], second[1:3] = True, True
    assert mask_iou(first, second) == pytest.approx(1 / 3)
    assert mask_iou(first, first) == 1.0
    assert mask_iou(~first & first, first) == 0.0
