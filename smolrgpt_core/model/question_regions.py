"""Finds the questions in rows of tokens, and the regions of each, without a loop over them.

Rows hold one or many questions; `question_ids` assigns each token to its question.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from smolrgpt_core.model.metric_branch import QuestionRegions
from smolrgpt_core.model.region_geometry import RegionGeometry
from smolrgpt_core.model.region_measures import RegionMeasures
from smolrgpt_core.model_inputs.region_samples import check_samples


@dataclass(frozen=True)
class AskedRegions:
    """The questions of a batch that name regions.

    Attributes:
        tokens: int64 (Q, T), place of each token of a question in the flattened rows; 0 = padding.
        is_word: bool (Q, T), False for padding.
        regions: the regions of the questions, in the order of their tokens.
        mentions: int64 (Q, M), which of all placeholders of the rows each is; -1 for padding.
    """

    tokens: torch.Tensor
    is_word: torch.Tensor
    regions: QuestionRegions
    mentions: torch.Tensor


def asked_regions(
    is_region: torch.Tensor,
    question_ids: torch.Tensor,
    region_samples: Sequence[torch.Tensor],
    region_indices: Sequence[torch.Tensor],
    measure: Callable[[torch.Tensor], RegionMeasures] | None = None,
    colors: torch.Tensor | None = None,
) -> AskedRegions:
    """Questions and their regions, padded to the longest.

    Args:
        is_region: bool (B, T), the placeholders of regions.
        question_ids: (B, T), 0 for tokens of no question, otherwise a number for each question of
            a row.
        region_samples: (M_i, K, 3) for each row, see `region_samples`.
        region_indices: (N_i,) for each row: which of its M_i regions each placeholder is.
        measure: measures all M regions of the rows; the last of their K samples is then the
            camera's foot, as `with_foot` adds it.
        colors: (M, C) of all M regions of the rows, of `RegionColors`.

    Raises:
        ValueError: when a placeholder belongs to no question, or names a region that is not there.
    """
    check_samples(region_samples, [len(samples) for samples in region_samples])
    ids = question_ids.flatten()
    place = ids.nonzero()[:, 0]
    row = place // question_ids.shape[1]
    number = torch.unique_consecutive(row * (ids.max() + 1) + ids[place], return_inverse=True)[1]
    is_named = is_region.flatten()[place]
    if int(is_named.sum()) != int(is_region.sum()):
        raise ValueError(
            "every region must belong to a question, but question_ids is 0 for some; prepare "
            "text and masks together with SmolRGPTProcessor"
        )
    asks = torch.zeros(int(number[-1]) + 1, dtype=torch.bool, device=ids.device)
    asks[number[is_named]] = True
    belongs = asks[number]
    place, row, is_named = place[belongs], row[belongs], is_named[belongs]
    number = torch.unique_consecutive(number[belongs], return_inverse=True)[1]
    order = _order_within(number)
    tokens, is_word = _padded(place, number, order)
    named = is_named.nonzero()[:, 0]
    mentions = _Mentions(number[named], order[named], row[named])
    regions = _regions(mentions, region_samples, region_indices, measure, colors)
    every = torch.arange(len(named), device=ids.device)
    numbers, exists = _padded(every, mentions.question, _order_within(mentions.question))
    return AskedRegions(tokens, is_word, regions, numbers.masked_fill(~exists, -1))


@dataclass(frozen=True)
class _Mentions:
    """Placeholders in order: number (N,) of the question, place (N,) in it, row (N,)."""

    question: torch.Tensor
    place: torch.Tensor
    row: torch.Tensor


def _regions(
    mentions: _Mentions,
    region_samples: Sequence[torch.Tensor],
    region_indices: Sequence[torch.Tensor],
    measure: Callable[[torch.Tensor], RegionMeasures] | None,
    colors: torch.Tensor | None,
) -> QuestionRegions:
    device = mentions.row.device
    sizes = torch.tensor([len(samples) for samples in region_samples], device=device)
    index = torch.cat([item.to(device) for item in region_indices])
    if len(index) != len(mentions.row) or bool((index >= sizes[mentions.row]).any()):
        raise ValueError(
            f"there are {len(mentions.row)} placeholders of regions, but region_indices has "
            f"{len(index)} entries for images with {sizes.tolist()} regions; prepare text and "
            "masks together with SmolRGPTProcessor"
        )
    slot = _order_within(mentions.question)
    starts = (sizes.cumsum(0) - sizes)[mentions.row]
    region, exists = _padded(starts + index, mentions.question, slot)
    places, _ = _padded(mentions.place, mentions.question, slot)
    # Half precision would round meters to centimeters.
    with torch.autocast(device.type, enabled=False):
        samples = torch.cat([item.to(device) for item in region_samples])
        measured = RegionGeometry.measure(samples[:, :-1] if measure else samples)
        measures = measure(samples).of(region) if measure else None
        first, second = region[:, :, None], region[:, None]
        pairs = measured.pair_codes(first, second)
        codes = measured.region_codes()[region]
    named = None if colors is None else colors[region]
    return QuestionRegions(codes, pairs, measured.centers[region], places, exists, measures, named)


def _order_within(groups: torch.Tensor) -> torch.Tensor:
    """Place (N,) of each entry in its group, for ascending group numbers (N,)."""
    counts = torch.bincount(groups)
    starts = counts.cumsum(0) - counts
    return torch.arange(len(groups), device=groups.device) - starts[groups]


def _padded(
    values: torch.Tensor, groups: torch.Tensor, order: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Values (N,) as (groups, longest), 0 where a group is shorter, and where they are."""
    shape = (int(groups[-1]) + 1, int(order.max()) + 1)
    table = torch.zeros(shape, dtype=values.dtype, device=values.device)
    exists = torch.zeros(shape, dtype=torch.bool, device=values.device)
    table[groups, order] = values
    exists[groups, order] = True
    return table, exists
