"""Which of a model's masks become regions, and whose a pixel is that two of them claim."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from smolrgpt_core.perception.mask_selection import MaskRules, select_regions

SIZE = (40, 60)


def block(top: int, left: int, bottom: int, right: int) -> np.ndarray:
    mask = np.zeros(SIZE, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask


def select(*found: tuple[np.ndarray, str, float], **rules) -> list[tuple[int, str, float, int]]:
    masks, labels, scores = zip(*found, strict=True)
    regions = select_regions(np.stack(masks), labels, np.array(scores), MaskRules(**rules))
    assert regions.image_size == SIZE
    return [(one.id, one.label, one.score, one.area) for one in regions]


def test_regions_are_numbered_by_falling_score() -> None:
    found = select(
        (block(0, 0, 10, 10), "pallet", 0.5),
        (block(0, 20, 10, 30), "forklift", 0.9),
        (block(20, 0, 30, 10), "pallet", 0.7),
    )
    assert found == [
        (0, "forklift", 0.9, 100), (1, "pallet", 0.7, 100), (2, "pallet", 0.5, 100),
    ]  # fmt: skip


def test_doubtful_tiny_and_image_filling_masks_are_dropped() -> None:
    found = select(
        (block(0, 0, 10, 10), "a", 0.29),
        (block(0, 20, 4, 26), "b", 0.9),
        (block(0, 0, 40, 55), "c", 0.9),
        (block(10, 10, 15, 15), "d", 0.3),
    )
    assert found == [(0, "d", 0.3, 25)]


def test_of_two_masks_of_one_object_the_better_names_it() -> None:
    found = select(
        (block(0, 0, 10, 10), "box", 0.6),
        (block(0, 0, 10, 11), "pallet", 0.8),
    )
    assert found == [(0, "pallet", 0.8, 110)]


def test_what_stands_on_a_zone_is_cut_out_of_it_whatever_the_scores() -> None:
    found = select(
        (block(0, 0, 30, 40), "buffer zone", 0.9),
        (block(10, 10, 20, 20), "pallet", 0.4),
    )
    assert found == [(0, "buffer zone", 0.9, 1100), (1, "pallet", 0.4, 100)]


def test_beside_each_other_the_better_one_has_the_pixels_of_both() -> None:
    found = select(
        (block(0, 0, 10, 20), "pallet", 0.5),
        (block(0, 15, 10, 40), "forklift", 0.8),
    )
    assert found == [(0, "forklift", 0.8, 250), (1, "pallet", 0.5, 150)]


def test_what_better_masks_leave_hardly_anything_of_is_dropped() -> None:
    found = select(
        (block(0, 0, 10, 10), "a", 0.9),
        (block(0, 10, 10, 20), "b", 0.8),
        (block(0, 1, 10, 20), "c", 0.7),
        duplicate_iou=1.0,
    )
    assert [label for _, label, _, _ in found] == ["a", "b"]


def test_only_the_wanted_classes_remain_under_any_of_their_names() -> None:
    found = select(
        (block(0, 0, 10, 10), "pallets", 0.9),
        (block(0, 20, 10, 30), "person", 0.8),
        (block(20, 0, 30, 10), "Pallet_03", 0.7),
        (block(20, 20, 30, 30), "forklift", 0.6),
        classes=("pallet", "transporter"),
    )
    assert [(id, label) for id, label, _, _ in found] == [
        (0, "pallet"), (1, "pallet"), (2, "forklift"),
    ]  # fmt: skip


def test_labels_pass_the_label_map_and_scores_stay_within_1() -> None:
    regions = select_regions(
        block(0, 0, 10, 10)[None], ["Pallet Truck"], np.array([1.2]), MaskRules()
    )
    (region,) = regions
    assert (region.label, region.source_label, region.score) == (
        "transporter", "Pallet Truck", 1.0,
    )  # fmt: skip


def test_nothing_found_is_no_region() -> None:
    empty = select_regions(np.zeros((0, *SIZE), dtype=bool), [], np.zeros(0), MaskRules())
    assert len(empty) == 0
    assert empty.image_size == SIZE


@pytest.mark.parametrize("name", ["min_score", "max_fraction", "duplicate_iou", "min_left"])
def test_rules_are_fractions(name) -> None:
    settings: dict[str, Any] = {name: 1.01}
    with pytest.raises(ValueError, match=f"{name} must be within 0 to 1"):
        MaskRules(**settings)
