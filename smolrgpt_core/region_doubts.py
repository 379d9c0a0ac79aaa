"""What is to be known of a count: one object that is there twice, low scores, lost regions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from smolrgpt_core.regions import Region, RegionSet

SAME = 0.9
"""Two regions are one object if the intersection over union of their masks is at least this."""

LOW_SCORE = 0.25
"""Detectors discard what has less, unless they are set otherwise."""

_PAIRS_SHOWN, _LOST_SHOWN = 3, 5


def doubled_note(ids: Iterable[int], regions: RegionSet) -> str:
    """Note that regions which were counted cover the same pixels; empty if none do."""
    pairs = _doubled([regions[id] for id in ids])
    if not pairs:
        return ""
    shown = [f"{first.name} and {second.name}" for first, second in pairs[:_PAIRS_SHOWN]]
    more = len(pairs) - len(shown)
    listed = ", ".join(shown) + (f" and {more} more pairs" if more else "")
    return f"{listed} cover the same pixels: was one object detected twice?"


def low_score_note(ids: Iterable[int], regions: RegionSet) -> str:
    """Note that regions which were counted have low scores; empty if none, or all are 0 (unset)."""
    scores = [regions[id].score for id in ids]
    low = [score for score in scores if score < LOW_SCORE]
    if not low or not any(scores):
        return ""
    return (
        f"{len(low)} of the {len(scores)} have a score below {LOW_SCORE:g} (the lowest "
        f"{min(low):.2g})"
    )


def lost_note(regions: RegionSet) -> str:
    """Note that regions are not measured because of the lens; empty if all are."""
    if not regions.lost:
        return ""
    more = len(regions.lost) - _LOST_SHOWN
    listed = ", ".join(regions.lost[:_LOST_SHOWN]) + (f" and {more} more" if more > 0 else "")
    return f"with its lens distortion removed, the image no longer shows {listed}"


def _doubled(regions: Sequence[Region]) -> list[tuple[Region, Region]]:
    boxes = [region.box for region in regions]
    corners = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes]
    bounds = np.array(corners, dtype=np.float64).reshape(-1, 4)
    pairs = []
    for place, region in enumerate(regions):
        reach = (1 - SAME) * np.array([region.box.width, region.box.height] * 2)
        near = np.all(np.abs(bounds[place + 1 :] - bounds[place]) <= reach, axis=1)
        others = [regions[place + 1 + index] for index in np.flatnonzero(near).tolist()]
        pairs += [(region, other) for other in others if region.iou(other) >= SAME]
    return pairs
