"""Ids that stay with the objects of a camera."""

from __future__ import annotations

import numpy as np
import pytest

from smolrgpt_core.perception.tracking import RegionTracker, TrackingSettings
from smolrgpt_core.regions import Box, Region, RegionSet

SIZE = (120, 160)
SECOND = 1_000_000_000
TEXTURE = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)


def seen(*boxes: tuple[str, int, int], dx: int = 0, dy: int = 0) -> tuple[np.ndarray, RegionSet]:
    """A view of a textured wall, moved by (dx, dy), with squares of 20 pixels on it."""
    image = TEXTURE[60 - dy : 180 - dy, 80 - dx : 240 - dx]
    regions = [
        Region.from_box(index, label, Box(x + dx, y + dy, 20, 20))
        for index, (label, x, y) in enumerate(boxes)
    ]
    return np.ascontiguousarray(image), RegionSet(SIZE, tuple(regions))


def ids(regions: RegionSet) -> list[int]:
    return [region.id for region in regions]


def test_ids_count_from_one_and_stay_whatever_the_order() -> None:
    tracker = RegionTracker()
    first = tracker.update(*seen(("pallet", 20, 50), ("pallet", 90, 50)), SECOND)
    second = tracker.update(*seen(("pallet", 91, 51), ("pallet", 22, 50)), 2 * SECOND)
    assert (ids(first), ids(second)) == ([1, 2], [2, 1])
    assert [region.box.x for region in second] == [91, 22]


def test_ids_stay_when_the_camera_turns_farther_than_an_object_is_wide() -> None:
    """Each object is then where its neighbor was."""
    objects = [("pallet", 40, 50), ("pallet", 65, 50), ("pallet", 90, 50)]
    tracker = RegionTracker()
    tracker.update(*seen(*objects), SECOND)
    assert ids(tracker.update(*seen(*objects, dx=25), 2 * SECOND)) == [1, 2, 3]
    assert ids(tracker.update(*seen(*objects, dx=25, dy=-22), 3 * SECOND)) == [1, 2, 3]


def test_pairs_are_chosen_together() -> None:
    """The old mask overlaps most with the new one of its neighbor, which has nothing else."""
    tracker = RegionTracker(TrackingSettings(min_overlap=0.05))
    tracker.update(*seen(("pallet", 40, 50), ("pallet", 54, 50)), SECOND)
    found = tracker.update(*seen(("pallet", 48, 50), ("pallet", 68, 50)), 2 * SECOND)
    assert ids(found) == [1, 2]


def test_another_class_is_another_object() -> None:
    tracker = RegionTracker()
    tracker.update(*seen(("pallet", 40, 50)), SECOND)
    assert ids(tracker.update(*seen(("transporter", 40, 50)), 2 * SECOND)) == [2]


@pytest.mark.parametrize(("missing_s", "expected"), [(1.5, [1]), (2.5, [2])])
def test_an_object_is_remembered_for_a_while(missing_s: float, expected: list[int]) -> None:
    tracker = RegionTracker(TrackingSettings(memory_s=2.0))
    tracker.update(*seen(("pallet", 40, 50)), SECOND)
    tracker.update(*seen(), SECOND + int(missing_s * SECOND) // 2)
    stamp_ns = SECOND + int(missing_s * SECOND)
    tracker.update(*seen(), stamp_ns - 1)
    assert ids(tracker.update(*seen(("pallet", 40, 50)), stamp_ns)) == expected


def test_stamps_that_go_back_begin_a_new_scene_without_reusing_ids() -> None:
    tracker = RegionTracker()
    tracker.update(*seen(("pallet", 40, 50)), 5 * SECOND)
    assert ids(tracker.update(*seen(("pallet", 40, 50)), SECOND)) == [2]


def test_images_that_do_not_match_move_nothing() -> None:
    tracker = RegionTracker()
    tracker.update(*seen(("pallet", 40, 50)), SECOND)
    other = np.random.default_rng(1).integers(0, 255, (*SIZE, 3), np.uint8)
    _, regions = seen(("pallet", 42, 50))
    assert ids(tracker.update(other, regions, 2 * SECOND)) == [1]
