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
                for stamps in (live, recorded):
                    stamps.add(name, stamp_ns, (name, index), index, index * 33 * MS)
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
