"""One synchronizer for what is live and what was recorded: the same moments, the same reasons."""

from __future__ import annotations

import numpy as np
import pytest

from smolrgpt_core.messages.stamps import INPUTS
from smolrgpt_core.messages.synchronizer import Moment, NoMomentError, Synchronizer

MS = 1_000_000
TOLERANCE_NS = 20 * MS
TOPICS = {name: f"/{name}" for name in INPUTS}


def pairs(stamps: Synchronizer) -> list[dict[str, object] | str]:
    """For each image the payloads of what belongs to it, or why nothing does."""
    found: list[dict[str, object] | str] = []
    for image in stamps.inputs["rgb"].samples:
        try:
            moment: Moment = stamps.moment(image, TOLERANCE_NS)
            found.append({name: sample.payload for name, sample in moment.messages.items()})
        except NoMomentError as error:
            found.append(str(error))
    return found


def test_live_and_recorded_are_paired_alike() -> None:
    rng = np.random.default_rng(0)
    live, recorded = Synchronizer(TOPICS, 500), Synchronizer(TOPICS)
    for index in range(100):
        for name in INPUTS:
            stamp_ns = int(1e12) + index * 33 * MS + int(rng.integers(-15, 15)) * MS
            if rng.random() < 0.9:
                # A calibration differs from the one before only in its stamp.
                content = 0 if name == "camera_info" else index
                for stamps in (live, recorded):
                    stamps.add(name, stamp_ns, (name, index), content, index * 33 * MS)
    found = pairs(live)
    assert found == pairs(recorded)
    assert 40 < sum(isinstance(item, dict) for item in found) < len(found)
    assert "no depth within 20 ms" in found


@pytest.mark.parametrize("size", [500, None])
def test_why_there_is_no_moment_in_words(size: int | None) -> None:
    stamps = Synchronizer(TOPICS, size)
    at = int(1e12)
    stamps.add("rgb", at, 0, 0, at)
    assert pairs(stamps) == ["without any depth"]
    assert stamps.missing == ("depth", "camera_info", "regions")
    stamps.add("depth", 0, 0, 0, at)
    stamps.add("regions", at + 40 * MS, 0, 0, at)
    assert pairs(stamps) == ["depth without a stamp"]
    stamps.add("depth", at, 1, 1, at)
    stamps.add("depth", at, 2, 2, at)
    assert pairs(stamps) == ["without any camera_info"]
    stamps.add("camera_info", at, 0, 0, at)
    assert pairs(stamps) == ["stamp repeats: several messages of depth have it"]
    stamps.add("depth", at + 5 * MS, 3, 3, at)
    assert pairs(stamps) == ["no regions within 20 ms"]
    assert stamps.out_of_sync("here", TOLERANCE_NS) == (
        "no rgb, depth and regions here have stamps within 20 ms (sync_tolerance); in the latest "
        "messages, depth is 5 ms newer and regions is 40 ms newer than rgb"
    )
    assert stamps.behind(at + 40 * MS, TOLERANCE_NS) == ("rgb", "depth")
    assert stamps.missed(at).endswith("rgb by 0 ms, depth by 5 ms, regions by 40 ms")
    zero, still = stamps.notes()
    assert zero.startswith("1 of 4 messages of depth (/depth) have stamps that are 0")
    assert still.startswith("2 of 4 messages of depth (/depth) have stamps that repeat")


def calibrations(sent: list[tuple[int, str]], images_ms: list[int]) -> list[object]:
    """Which calibration each image has, or why none, where these were sent at these ms."""
    stamps, begin_ns = Synchronizer(TOPICS), int(1e12)
    for at_ms in images_ms:
        for name in ("rgb", "depth", "regions"):
            stamps.add(name, begin_ns + at_ms * MS, at_ms, (name, at_ms), begin_ns + at_ms * MS)
    for at_ms, calibration in sent:
        at_ns = begin_ns + at_ms * MS
        stamps.add("camera_info", at_ns, calibration, calibration, at_ns)
    return [item if isinstance(item, str) else item["camera_info"] for item in pairs(stamps)]


UNCLEAR = "its stamp does not show which camera_info belongs to it"


@pytest.mark.parametrize(
    ("sent", "found"),
    [
        ([(0, "wide"), (100, "zoom"), (200, "wide"), (300, "zoom")], ["wide", "zoom"] * 2),
        ([(0, "first"), (290, "second")], ["first", "first", "first", "second"]),
        ([(150, "first"), (1000, "second")], ["first"] * 4),
        ([(-5, "left"), (5, "right"), (100, "left"), (195, "right")],
         [UNCLEAR, "left", "right", "right"]),
        ([(0, "left"), (0, "right"), (100, "left"), (100, "right")], [UNCLEAR] * 4),
    ],
)  # fmt: skip
def test_a_calibration_that_changes_within_a_recording_is_that_of_the_image(
    sent: list[tuple[int, str]], found: list[str]
) -> None:
    """The nearest one was taken, from the time after it too, and of two cameras any."""
    assert calibrations(sent, [0, 100, 200, 300]) == found
