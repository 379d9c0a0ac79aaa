"""Found regions and true objects: who is who, and how many were found."""

from __future__ import annotations

import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.region_matching import RegionScores, as_found, match_regions
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.truth import ObjectTruth, SceneTruth

SIZE = (40, 60)


def block(
    id: int, label: str, left: int, top: int = 5, width: int = 10, height: int = 10
) -> Region:
    mask = np.zeros(SIZE, bool)
    mask[top : top + height, left : left + width] = True
    return Region.from_bitmap(id, label, mask)


def regions(*items: Region) -> RegionSet:
    return RegionSet(SIZE, items)


def test_regions_are_matched_by_label_and_overlap() -> None:
    true = regions(block(3, "pallet", 0), block(4, "pallet", 20), block(5, "shelf", 40))
    found = regions(block(0, "pallet", 22), block(1, "pallet", 1), block(2, "pallet", 40))
    matches = match_regions(true, found)
    assert [(m.true_id, m.found_id) for m in matches] == [(3, 1), (4, 0)]
    assert matches[0].iou == pytest.approx(90 / 110)
    assert matches[1].iou == pytest.approx(80 / 120)


def test_each_object_is_found_once() -> None:
    true = regions(block(7, "pallet", 0, width=20))
    found = regions(block(0, "pallet", 0, width=12), block(1, "pallet", 0, width=18))
    assert [(m.true_id, m.found_id) for m in match_regions(true, found)] == [(7, 1)]


def test_half_of_an_object_is_not_enough() -> None:
    true = regions(block(7, "pallet", 0, width=21))
    assert match_regions(true, regions(block(0, "pallet", 0, width=10))) == ()


def test_images_of_different_size_are_refused() -> None:
    with pytest.raises(SpatialError, match="same image"):
        match_regions(regions(), RegionSet((10, 10)))


def test_scores_count_objects_overlaps_and_false_regions() -> None:
    scores = RegionScores()
    true = regions(block(3, "pallet", 0), block(4, "pallet", 20), block(5, "shelf", 40))
    scores.add(true, regions(block(0, "pallet", 0), block(1, "shelf", 20)))
    scores.add(regions(), regions())
    assert list(scores.rows()) == [
        ("pallet", 2, 0.5, 1.0, 0.0),
        ("shelf", 1, 0.0, 0.0, 0.5),
        ("all", 3, pytest.approx(1 / 3), 1.0, 0.5),
    ]
    assert scores.objects_by_area == {"small": 3}
    assert scores.found_by_area == {"small": 1}


def truth_of(
    id: int, label: str, buffers: tuple[int, ...] = (), cargo: int | None = None
) -> ObjectTruth:
    return ObjectTruth(id, label, np.zeros(3), np.ones(3), np.eye(3), 1.0, buffers, cargo)


def test_a_scene_in_the_numbers_of_what_was_found() -> None:
    true = regions(
        block(1, "buffer", 0, 20), block(10, "pallet", 0), block(11, "pallet", 20),
        block(60, "transporter", 40),
    )  # fmt: skip
    truth = SceneTruth(
        0,
        (
            truth_of(1, "buffer"), truth_of(10, "pallet", (1,)), truth_of(11, "pallet", (2,)),
            truth_of(60, "transporter", (1,), cargo=11),
        ),
        np.array([0.0, -1.0, 0.0]),
        1.5,
    )  # fmt: skip
    found = regions(
        block(0, "pallet", 1), block(1, "transporter", 40), block(2, "buffer", 0, 20),
        block(3, "pallet", 40, 25),
    )  # fmt: skip
    scene = as_found(true, truth, found)
    assert [(item.id, item.label) for item in scene.true] == [
        (2, "buffer"), (0, "pallet"), (5, "pallet"), (1, "transporter"),
    ]  # fmt: skip
    assert [item.id for item in scene.truth.objects] == [2, 0, 5, 1]
    assert scene.truth[0].buffer_ids == (2,)
    assert scene.truth[1].cargo_id == 5
    # Buffer 2 is out of the image, and "buffer 2" here would be another one.
    assert scene.truth[5].buffer_ids == (4,)
    assert [item.id for item in scene.named] == [2, 0, 5, 1, 3]
    assert scene.true[0].area == true[10].area
