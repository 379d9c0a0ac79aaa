"""Ablations: questions with part of the input removed.

An answerer that is as good without its masks does not use them. Questions and true answers stay
those of the data set.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from smolrgpt_core.data.record_frames import AskedRecord
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import MASK, SpatialQuestion
from smolrgpt_core.regions import Box, Region, RegionSet

FLAT_DEPTH_M = 5.0
"""Where everything stands for an answerer without depth."""

GRAY = 128

Asked = tuple[RGBDFrame, list[AskedRecord]]


def without_image(frame: RGBDFrame, asked: list[AskedRecord]) -> Asked:
    """A gray image."""
    return replace(frame, rgb=np.full_like(frame.rgb, GRAY)), asked


def without_depth(frame: RGBDFrame, asked: list[AskedRecord]) -> Asked:
    """Constant depth."""
    return replace(frame, depth=np.full_like(frame.depth, FLAT_DEPTH_M)), asked


def without_masks(frame: RGBDFrame, asked: list[AskedRecord]) -> Asked:
    """Every region is the whole image."""
    height, width = frame.regions.image_size
    everything = np.ones((height, width), dtype=bool)
    return _with_regions(
        frame,
        [
            replace(region, box=Box(0, 0, width, height), mask=everything)
            for region in frame.regions
        ],
    ), asked


def with_shuffled_masks(frame: RGBDFrame, asked: list[AskedRecord]) -> Asked:
    """Every region has the mask of another one, the same wrong one for all questions."""
    regions = list(frame.regions)
    order = np.random.default_rng(len(regions)).permutation(len(regions))
    # Along a cycle through all of them, so that none keeps its own.
    source = dict(zip(order.tolist(), np.roll(order, 1).tolist(), strict=True))
    return _with_regions(
        frame,
        [
            replace(region, box=regions[source[place]].box, mask=regions[source[place]].mask)
            for place, region in enumerate(regions)
        ],
    ), asked


def question_only(frame: RGBDFrame, asked: list[AskedRecord]) -> Asked:
    """Neither image nor depth nor masks."""
    for take_away in (without_image, without_depth, without_masks):
        frame, asked = take_away(frame, asked)
    return frame, asked


def without_words(frame: RGBDFrame, asked: list[AskedRecord]) -> Asked:
    """The regions of the question without its text."""
    return frame, [
        item if item.question is None else replace(item, question=_wordless(item.question))
        for item in asked
    ]


ABLATIONS: dict[str, Callable[[RGBDFrame, list[AskedRecord]], Asked]] = {
    "no_image": without_image,
    "no_depth": without_depth,
    "no_masks": without_masks,
    "shuffled_masks": with_shuffled_masks,
    "question_only": question_only,
    "no_words": without_words,
}


def _wordless(question: SpatialQuestion) -> SpatialQuestion:
    return replace(question, text=" ".join([MASK] * len(question.region_ids)) + "?")


def _with_regions(frame: RGBDFrame, regions: list[Region]) -> RGBDFrame:
    return replace(frame, regions=RegionSet(frame.regions.image_size, tuple(regions)))
