"""What a question measures, and by what it orders its regions.

From the measures of its regions follow all values that the language asks for: lengths, heights,
clearances, bearings, coordinates. A gate that has read the question chooses one of them, and of
which region or pair; an answer has up to three numbers, each with a gate of its own. The language
model gets the chosen numbers digit by digit, as it gets a distance. Another gate makes a key of
each region's measures, by which regions are compared, chosen and ordered.

Q questions of at most M regions; S numbers, A kinds of values; W the width of the metric branch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from smolrgpt_core.model.quiet_linear import QuietLinear
from smolrgpt_core.model.region_measures import RegionMeasures
from smolrgpt_core.model.sinusoids import sinusoidal_code

VALUES = (
    "distance", "horizontal", "vertical", "sideways", "forward", "clearance", "clock", "length",
    "width", "height", "top", "footprint", "volume", "bearing", "first", "second", "third",
    "difference",
)  # fmt: skip
"""Kinds of values: of pairs, of regions, coordinates of a place or a direction, and the difference
of the second and the third number."""

SLOTS = 3
"""Numbers of an answer, or, behind its only one, those on the way to it."""

_BEND_M = 0.3
"""Below this, an error of a value counts by itself, above by its ratio."""
_SCALE = 0.1
_LEAST_CHANCE = 1e-3
_FIRST_BIAS = 3.0
"""Of the gate for the distance, which a model could read before it had gates."""
_LOWEST = -1e9
_TINY = 1e-6
_PAIR_WIDTH = 32
_PLACES = (10000, 1000, 100, 10, 1)
_KEYS = 11
_KEY_GAIN = 5.0
_OBSERVER_GAIN = 20.0
_RANKS = 12
_QUESTION_CHANNELS = SLOTS * (10 * len(_PLACES) + 2 + len(VALUES) + _RANKS)
_REGION_CHANNELS = _RANKS + 1 + 3 * 32


@dataclass(frozen=True)
class ValueReadings:
    """Readings of the numbers of questions, float32.

    Attributes:
        values: (Q, A, M, M), of each kind and pair; a pair of a region with itself stands for the
            region, or for the region and the camera.
        kinds: (Q, S, A), probability that a number is of a kind.
        pairs: (Q, S, M, M), probability that it is that of a pair; sum 1.
        chosen: (Q, S), the values most likely asked for.
        keys: (Q, M), by which regions are ordered, the first has the largest; very low for padding.
    """

    values: torch.Tensor
    kinds: torch.Tensor
    pairs: torch.Tensor
    chosen: torch.Tensor
    keys: torch.Tensor

    def losses(self, numbers: torch.Tensor) -> torch.Tensor:
        """Losses (Q,) of numbers (Q, S), NaN where there is none: each of a mixture."""
        is_number = numbers.isfinite()
        target = bent(numbers.nan_to_num(0.0))[:, :, None, None, None]
        errors = (bent(self.values)[:, None] - target).abs()
        fits = (-errors / _SCALE).exp()
        chance = torch.einsum("qsa,qsij,qsaij->qs", self.kinds, self.pairs, fits)
        losses = -((1 - _LEAST_CHANCE) * chance + _LEAST_CHANCE).log()
        return (losses * is_number).sum(dim=1)

    def order_losses(self, ranks: torch.Tensor) -> torch.Tensor:
        """Losses (Q,) of orders: the next of an order is the choice among those that are left.

        Args:
            ranks: (Q, M), 0 for the first of the answer; NaN for what is not in it.
        """
        total = torch.zeros_like(self.keys[:, 0])
        is_left = self.keys > _LOWEST / 2
        for rank in range(ranks.shape[1]):
            is_next = ranks == rank
            scores = self.keys.masked_fill(~is_left, _LOWEST).log_softmax(dim=1)
            total = total - scores.masked_fill(~is_next, 0.0).sum(dim=1)
            is_left = is_left & ~is_next
        return total


def bent(values: torch.Tensor) -> torch.Tensor:
    """Values (...) on a scale on which equal ratios are equal, but near 0 equal differences."""
    return torch.asinh(values / _BEND_M)


class ValueReader(nn.Module):
    """Reads the numbers of questions, and embeds them for the language model.

    Args:
        width: W.
        text_width: of the language model's tokens.
    """

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.kind_gate = QuietLinear(width, SLOTS * len(VALUES), _FIRST_BIAS)
        self.pair_query = nn.Linear(width, (SLOTS - 1) * _PAIR_WIDTH)
        self.pair_key = nn.Linear(width, (SLOTS - 1) * _PAIR_WIDTH)
        self.key_gate = QuietLinear(width, _KEYS)
        self.key_sign = nn.Linear(width, 1)
        self.observer_gate = QuietLinear(width, 1)
        self.question_embedding = nn.Sequential(
            nn.Linear(_QUESTION_CHANNELS, 2 * text_width),
            nn.GELU(),
            QuietLinear(2 * text_width, text_width),
        )
        self.region_embedding = QuietLinear(_REGION_CHANNELS, text_width)

    def keys(
        self, states: torch.Tensor, measures: RegionMeasures, exists: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys (Q, M), and what each adds to the side of its region (Q, M).

        Args:
            states: (Q, M, W).
            measures: of the regions.
            exists: bool (Q, M), False for padding.
        """
        asked = pooled(states, exists)
        gate = self.key_gate(asked)
        keys = torch.einsum("qmk,qk->qm", _KEY_GAIN * _ordering(measures), gate)
        # Comparisons name two regions, mostly in the order in which they are compared.
        signs = torch.tanh(self.key_sign(states)[..., 0])
        order = torch.arange(states.shape[1], device=states.device)
        signs = signs + (order == 0).to(signs.dtype) - (order == 1).to(signs.dtype)
        sides = signs * keys * exists
        is_third = functional.pad(exists, (0, 3))[:, 2]
        seen = _OBSERVER_GAIN * self.observer_gate(asked)[:, 0] * observed(measures.center)
        sides = sides + (seen * is_third)[:, None] * (order == 0).to(sides.dtype)
        return keys.masked_fill(~exists, _LOWEST), sides

    def forward(
        self,
        states: torch.Tensor,
        measures: RegionMeasures,
        exists: torch.Tensor,
        keys: torch.Tensor,
        distances: tuple[torch.Tensor, torch.Tensor],
    ) -> ValueReadings:
        """Readings of questions.

        Args:
            states: (Q, M, W).
            measures: of the regions.
            exists: bool (Q, M), False for padding.
            keys: (Q, M), of `keys`.
            distances: of `RegionReadings`: probabilities and meters (Q, M, M).
        """
        probabilities, meters = distances
        kinds = self.kind_gate(pooled(states, exists)).unflatten(-1, (SLOTS, -1)).softmax(dim=-1)
        pairs = torch.cat([probabilities[:, None], self._pairs(states, exists)], dim=1)
        values = torch.stack([meters, *values_of(measures)], dim=1)
        later = _chosen(values, kinds[:, 1:, :-1], pairs[:, 1:])
        difference = (later[:, 0] - later[:, 1]).abs().detach()
        values = torch.cat([values, difference[:, None, None, None].expand_as(values[:, :1])], 1)
        chosen = torch.cat([_chosen(values, kinds[:, :1], pairs[:, :1]), later], dim=1)
        return ValueReadings(values, kinds, pairs, chosen, keys)

    def _pairs(self, states: torch.Tensor, exists: torch.Tensor) -> torch.Tensor:
        """Probabilities (Q, S - 1, M, M) of the pairs of the numbers behind the first."""
        query, key = (
            part(states).unflatten(-1, (SLOTS - 1, -1)).transpose(1, 2)
            for part in (self.pair_query, self.pair_key)
        )
        scores = query @ key.mT / math.sqrt(_PAIR_WIDTH)
        is_pair = (exists[:, :, None] & exists[:, None])[:, None]
        return scores.masked_fill(~is_pair, _LOWEST).flatten(2).softmax(-1).view_as(scores)

    def embed(
        self, readings: ValueReadings, measures: RegionMeasures, exists: torch.Tensor
    ) -> torch.Tensor:
        """Embeddings (Q, M, D) of the readings, to be added to the tokens of the regions.

        Args:
            readings: of the questions.
            measures: of their regions.
            exists: bool (Q, M), False for padding.
        """
        ranks = _ranks(readings.keys, exists)
        number = readings.chosen.detach()
        by_rank = functional.pad(ranks, (0, 0, 0, _RANKS))
        of_question = torch.cat(
            [
                _digits(number),
                number.sign()[..., None],
                bent(number)[..., None] / 4,
                readings.kinds,
                by_rank[:, :_RANKS, :SLOTS].mT,
            ],
            dim=-1,
        )
        sizes = sinusoidal_code(measures.sizes.detach(), 32, 0.1, 16.0).flatten(2)
        keys = (readings.keys.clamp_min(-8) / 4).clamp_max(2)[..., None]
        of_regions = torch.cat([ranks, keys, sizes], dim=-1)
        return self.question_embedding(of_question.flatten(1))[:, None] + self.region_embedding(
            of_regions
        )


def pooled(states: torch.Tensor, exists: torch.Tensor) -> torch.Tensor:
    """Mean (Q, W) of the states (Q, M, W) of a question's regions."""
    weights = exists[..., None].to(states.dtype)
    return (states * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1)


def _chosen(values: torch.Tensor, kinds: torch.Tensor, pairs: torch.Tensor) -> torch.Tensor:
    """(Q, S): of values (Q, A, M, M) those of the most likely kind (Q, S, A) and pair."""
    kind = kinds.argmax(dim=-1)
    either_way = pairs + pairs.mT * (kind == 0)[..., None, None]
    pair = either_way.flatten(2).argmax(dim=-1, keepdim=True)
    index = kind[..., None, None].expand(-1, -1, 1, values.shape[-1] ** 2)
    of_kind = values.flatten(2)[:, None].expand(-1, kind.shape[1], -1, -1).gather(2, index)
    return of_kind[:, :, 0].gather(2, pair)[..., 0]


def values_of(measures: RegionMeasures) -> list[torch.Tensor]:
    """(Q, M, M) of each kind between the distance and the difference."""
    center, sizes = measures.center, measures.sizes
    number = center.shape[1]
    order = torch.arange(number, device=center.device)
    is_same = order[:, None] == order
    camera = functional.pad(measures.camera_height[..., None], (2, 0))
    from_camera = (center - camera)[:, :, None]
    apart = torch.where(is_same[..., None], from_camera, center[:, :, None] - center[:, None])
    flat = (apart[..., :2] + _TINY).norm(dim=-1)
    hours = (torch.atan2(apart[..., 0], apart[..., 1]).rad2deg() / 30).round() % 12
    length, width, height = sizes.unbind(dim=-1)
    bearing = torch.atan2(center[..., 0], center[..., 1] + _TINY).rad2deg()
    of_regions = [
        length, width, height, center[..., 2] + height / 2, length * width,
        length * width * height, bearing,
    ]  # fmt: skip
    optical = torch.einsum("qmij,qmni->qmnj", measures.axes, apart)
    towards = optical / (optical + _TINY).norm(dim=-1, keepdim=True)
    places = torch.where(is_same[..., None], measures.optical[:, :, None], towards)
    return [
        flat, apart[..., 2].abs(), apart[..., 0].abs(), apart[..., 1].abs(),
        clearances(measures), torch.where(hours == 0, 12.0, hours),
        *(item[:, :, None].expand_as(flat) for item in of_regions),
        *places.unbind(dim=-1),
    ]  # fmt: skip


def clearances(measures: RegionMeasures) -> torch.Tensor:
    """(Q, M, M) between footprints on the floor: exact where their sides are parallel."""
    angle = measures.angle
    along = torch.stack([angle.cos(), angle.sin()], dim=-1)
    across = torch.stack([-angle.sin(), angle.cos()], dim=-1)
    sides = torch.stack([along, across], dim=-2)
    half = measures.sizes[..., :2] / 2
    apart = measures.center[:, :, None, :2] - measures.center[:, None, :, :2]
    projected = torch.einsum("qiak,qijk->qija", sides, apart).abs()
    turned = torch.einsum("qiak,qjbk->qijab", sides, sides).abs()
    others = torch.einsum("qijab,qjb->qija", turned, half)
    gaps = (projected - half[:, :, None] - others).clamp_min(0)
    by_first = (gaps + _TINY).norm(dim=-1)
    return torch.maximum(by_first, by_first.mT)


def observed(center: torch.Tensor) -> torch.Tensor:
    """(Q,) how far right the first region is of who stands at the second and looks at the third.

    Args:
        center: (Q, M, 3), floor frame; what is missing of three regions is taken at the origin.

    Returns:
        Sine of the angle, above 0 for right.
    """
    first, second, third = functional.pad(center, (0, 0, 0, 3))[:, :3, :2].unbind(dim=1)
    at, ahead = (functional.normalize(place - second + _TINY, dim=-1) for place in (first, third))
    return at[:, 0] * ahead[:, 1] - at[:, 1] * ahead[:, 0]


def _ordering(measures: RegionMeasures) -> torch.Tensor:
    """(Q, M, _KEYS), what regions may be ordered by, each of about the same range."""
    logs = measures.sizes.log()
    center = measures.center
    ahead = measures.optical[..., 2].clamp_min(0.2)
    return torch.stack(
        [
            *logs.unbind(dim=-1),
            logs[..., 0] + logs[..., 1],
            logs.sum(dim=-1),
            center[..., 2] + measures.sizes[..., 2] / 2,
            center[..., 2],
            measures.optical[..., 0] / ahead * 3,
            center[..., 1] / 3,
            measures.optical.norm(dim=-1) / 3,
            center[..., 0] / 3,
        ],
        dim=-1,
    )


def _ranks(keys: torch.Tensor, exists: torch.Tensor) -> torch.Tensor:
    """(Q, M, _RANKS): the place of each region in the order of the keys (Q, M); 0 for padding."""
    before = (keys[:, None] > keys[:, :, None]).sum(dim=-1).clamp_max(_RANKS - 1)
    return _one_hot(before, _RANKS, keys.dtype) * exists[..., None]


def _digits(values: torch.Tensor) -> torch.Tensor:
    """(..., 10 * places): which digit a value has at each of `_PLACES`, in hundredths."""
    hundredths = (values.abs().clamp_max(999.99) * 100).round().long()
    digits = torch.stack([hundredths // place % 10 for place in _PLACES], dim=-1)
    return _one_hot(digits, 10, values.dtype).flatten(-2)


def _one_hot(numbers: torch.Tensor, count: int, dtype: torch.dtype) -> torch.Tensor:
    """(..., count); unlike PyTorch's own it can be exported."""
    return (numbers[..., None] == torch.arange(count, device=numbers.device)).to(dtype)
