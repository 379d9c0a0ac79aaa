"""Finds the questions in rows of tokens, and the regions of each, without a loop over them.

Rows hold one or many questions; `question_ids` assigns each token to its question.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields

import torch

from smolrgpt_core.model.metric_branch import QuestionRegions
from smolrgpt_core.model.region_geometry import RegionGeometry
from smolrgpt_core.model.region_measures import RegionMeasures

CODES, MEASURES, COLORS = "codes", "measures", "colors"
_GEOMETRY = tuple(field.name for field in fields(RegionGeometry))


@dataclass(frozen=True)
class MeasuredRegions:
    """What depth and colors show of M regions, whatever is asked about them.

    Attributes:
        geometry: of the regions.
        codes: (M, REGION_CHANNELS) of it.
        measures: None where regions are not measured.
        colors: (M, C) of `RegionColors`; None where they are not named.
    """

    geometry: RegionGeometry
    codes: torch.Tensor
    measures: RegionMeasures | None = None
    colors: torch.Tensor | None = None

    @classmethod
    def of(
        cls,
        samples: torch.Tensor,
        measure: Callable[[torch.Tensor], RegionMeasures] | None = None,
        colors: torch.Tensor | None = None,
    ) -> MeasuredRegions:
        """From the samples of regions.

        Args:
            samples: (M, K, 3), see `region_samples`.
            measure: measures the regions; the last of their K samples is then the camera's foot,
                as `with_foot` adds it.
            colors: (M, C).
        """
        # Half precision would round meters to centimeters.
        with torch.autocast(samples.device.type, enabled=False):
            geometry = RegionGeometry.measure(samples[:, :-1] if measure else samples)
            measures = measure(samples) if measure else None
            return cls(geometry, geometry.region_codes(), measures, colors)

    def tensors(self) -> dict[str, torch.Tensor]:
        """All of it by name, (M, ...) each."""
        found = {**vars(self.geometry), CODES: self.codes}
        if self.measures is not None:
            found[MEASURES] = self.measures.packed()
        if self.colors is not None:
            found[COLORS] = self.colors
        return found

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, torch.Tensor]) -> MeasuredRegions:
        """From what `tensors` gives, of these regions or of some of them."""
        measures = tensors.get(MEASURES)
        return cls(
            RegionGeometry(*(tensors[name] for name in _GEOMETRY)),
            tensors[CODES],
            None if measures is None else RegionMeasures.unpacked(measures),
            tensors.get(COLORS),
        )


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
    measured: MeasuredRegions,
    counts: Sequence[int],
    region_indices: Sequence[torch.Tensor],
) -> AskedRegions:
    """Questions and their regions, padded to the longest.

    Args:
        is_region: bool (B, T), the placeholders of regions.
        question_ids: (B, T), 0 for tokens of no question, otherwise a number for each question of
            a row.
        measured: the regions of all rows.
        counts: M_i, how many of them are of each row.
        region_indices: (N_i,) for each row: which of its M_i regions each placeholder is.

    Raises:
        ValueError: when a placeholder belongs to no question, or names a region that is not there.
    """
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
    regions = _regions(mentions, measured, counts, region_indices)
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
    measured: MeasuredRegions,
    counts: Sequence[int],
    region_indices: Sequence[torch.Tensor],
) -> QuestionRegions:
    device = mentions.row.device
    sizes = torch.tensor(counts, device=device)
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
        pairs = measured.geometry.pair_codes(region[:, :, None], region[:, None])
    return QuestionRegions(
        measured.codes[region], pairs, measured.geometry.centers[region], places, exists,
        None if measured.measures is None else measured.measures.of(region),
        None if measured.colors is None else measured.colors[region],
    )  # fmt: skip


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
