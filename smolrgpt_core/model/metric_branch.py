"""The metric depth branch: regions as metric codes that know the question and each other.

A region's depth token is made in two steps: its own code (where, how large, how well seen), then
what the question makes of it. For the second, the words and regions of the question read each other
in both directions, and each pair of regions brings its offset and distance. The relation that a
question asks for so reaches the tokens of its regions wherever in the sentence they stand; in the
language model itself a word does not see the words after it.

The language model is untouched: it gets tokens, as from the image branch. In training the branch
also answers for itself, see
`region_readings`.

Q questions of at most T tokens of width D, at most M regions in each; W the width of this branch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from smolrgpt_core.data.warehouse_format import BOX_FIELDS
from smolrgpt_core.model.quiet_linear import QuietLinear
from smolrgpt_core.model.region_colors import RegionColors, color_losses
from smolrgpt_core.model.region_geometry import PAIR_CHANNELS, REGION_CHANNELS
from smolrgpt_core.model.region_measures import RegionMeasurer, RegionMeasures
from smolrgpt_core.model.region_readings import RegionAnswers, RegionReader
from smolrgpt_core.model.sinusoids import sinusoidal_code
from smolrgpt_core.model.value_readings import ValueReader

_ORDER_CHANNELS = 32
"""Code of the place of a word in its question, and of a region among the regions."""


@dataclass(frozen=True)
class QuestionRegions:
    """The regions of questions, padded.

    Attributes:
        codes: (Q, M, REGION_CHANNELS).
        pairs: (Q, M, M, PAIR_CHANNELS).
        centers: (Q, M, 3), mean point of what is seen of each, optical frame, meters.
        places: int64 (Q, M), the token of each region in its question; 0 for padding.
        exists: bool (Q, M), False for padding.
        measures: (Q, M, ...); None where regions are not measured (`region_measures`).
        colors: (Q, M, C), how likely each name of `COLORS` is, 0 without an image; None where
            colors are not named (`region_colors`).
    """

    codes: torch.Tensor
    pairs: torch.Tensor
    centers: torch.Tensor
    places: torch.Tensor
    exists: torch.Tensor
    measures: RegionMeasures | None = None
    colors: torch.Tensor | None = None


class MetricBranch(nn.Module):
    """Depth tokens of the regions of questions.

    Args:
        text_width: D, of the language model's tokens.
        width: W, a multiple of `heads`.
        layers: how often words and regions read each other.
        heads: of attention, an even number.
        measures: whether regions are measured, and values read off them.
        rays: whether they are measured by their viewing rays too.
        colors: whether their colors are named.
    """

    def __init__(
        self,
        text_width: int,
        width: int,
        layers: int,
        heads: int,
        measures: bool = False,
        rays: bool = False,
        colors: bool = False,
    ) -> None:
        super().__init__()
        self.words_in = nn.Sequential(nn.LayerNorm(text_width), nn.Linear(text_width, width))
        self.order = nn.Linear(_ORDER_CHANNELS, width, bias=False)
        self.region = nn.Sequential(
            _two_layers(REGION_CHANNELS, 2 * width, width), nn.LayerNorm(width)
        )
        self.slot = nn.Linear(_ORDER_CHANNELS, width, bias=False)
        self.pair = nn.Sequential(_two_layers(PAIR_CHANNELS, width, width), nn.LayerNorm(width))
        self.layers = nn.ModuleList(RelationLayer(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width)
        self.tokens_out = nn.Linear(width, text_width, bias=False)
        self.reader = RegionReader(width, text_width)
        if measures:
            self.measurer = RegionMeasurer(width, rays)
            self.measures_in = QuietLinear(width, width)
            self.values = ValueReader(width, text_width)
        self.colors = RegionColors(width, text_width) if colors else None

    def forward(
        self,
        words: torch.Tensor,
        is_word: torch.Tensor,
        regions: QuestionRegions,
        answers: RegionAnswers | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Depth tokens (Q, M, D), and the losses (Q,) of what is read off the regions.

        What stands in the padding of tokens means nothing; without answers there are no losses.

        Args:
            words: (Q, T, D), token embeddings of the questions, placeholders included.
            is_word: bool (Q, T), False for padding.
            regions: of the questions.
            answers: the correct ones.
        """
        dtype = words.dtype
        states = self.words_in(words) + self.order(_order_code(words, words.shape[1]))
        slot = self.slot(_order_code(words, regions.places.shape[1]))
        own = self.region(regions.codes.to(dtype)) + slot
        if regions.measures is not None:
            own = own + self.measures_in(regions.measures.states.to(dtype))
        if self.colors is not None and regions.colors is not None:
            own = own + self.colors.states_in(regions.colors.to(dtype))
        states = _add_at(states, regions, own)
        pairs = self.pair(regions.pairs.to(dtype))
        seen = is_word[:, None, None, :]
        for layer in self.layers:
            states = layer(states, seen, pairs, regions)
        of_regions = self.norm(_take_at(states, regions))
        with torch.autocast(states.device.type, enabled=False):
            # Half precision would round a distance to its second digit.
            weights = self.norm.weight.dtype
            embedding, losses = self._read(
                of_regions.to(weights), pairs.to(weights), regions, answers
            )
        return self.tokens_out(of_regions) + embedding.to(dtype), losses

    def _read(
        self,
        states: torch.Tensor,
        pairs: torch.Tensor,
        regions: QuestionRegions,
        answers: RegionAnswers | None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Embeddings (Q, M, D) of the readings, and their losses (Q,) if there are answers."""
        dtype, exists, measures = states.dtype, regions.exists, regions.measures
        if measures is None:
            readings = self.reader(states, pairs, regions.centers, exists)
            losses = None if answers is None else readings.losses(answers)
            return self.reader.embed(readings, dtype), losses
        keys = self.values.keys(states, measures, exists)
        centers = regions.centers
        if self.measurer.rays is not None:
            centers = torch.where(measures.has_depth[..., None], centers, measures.optical)
        matches = self._matches(states, regions)
        additions = (keys[0] + matches, keys[1] + matches, matches)
        readings = self.reader(states, pairs, centers, exists, additions)
        distances = (readings.probabilities, readings.meters)
        values = self.values(states, measures, exists, keys[0], distances)
        embedding = self.reader.embed(readings, dtype, values.chosen[:, 0].abs())
        embedding = embedding + self.values.embed(values, measures, exists)
        embedding = embedding + self._shown(regions, dtype)
        if answers is None:
            return embedding, None
        losses = readings.losses(answers)
        if answers.numbers is not None and answers.truths is not None:
            boxes, order, color = answers.truths.split([len(BOX_FIELDS), 1, 1], dim=-1)
            of_regions = measures.losses(boxes) * exists
            if regions.colors is not None:
                of_regions = of_regions + color_losses(regions.colors, color[..., 0]) * exists
            losses = losses + values.losses(answers.numbers)
            losses = losses + values.order_losses(order[..., 0])
            losses = losses + of_regions.sum(dim=1) / exists.sum(dim=1)
        return embedding, losses

    def _matches(self, states: torch.Tensor, regions: QuestionRegions) -> torch.Tensor:
        """How well each region (Q, M) has the color that is asked for; 0 where none are named."""
        if self.colors is None or regions.colors is None:
            return torch.zeros_like(states[..., 0])
        return self.colors.matches(states, regions.colors, regions.exists)

    def _shown(self, regions: QuestionRegions, dtype: torch.dtype) -> torch.Tensor | float:
        """Embeddings (Q, M, D) of the colors."""
        if self.colors is None or regions.colors is None:
            return 0.0
        return self.colors.embedding(regions.colors.to(dtype))


class RelationLayer(nn.Module):
    """Words and regions read each other; then regions read each other with their relations."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.reading_norm = nn.LayerNorm(width)
        self.reading = nn.Linear(width, 3 * width, bias=False)
        self.reading_out = nn.Linear(width, width, bias=False)
        self.relation_norm = nn.LayerNorm(width)
        self.relation = nn.Linear(width, 3 * width, bias=False)
        self.pair = nn.Linear(width, 2 * width)
        self.relation_out = nn.Linear(width, width, bias=False)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = _two_layers(width, 4 * width, width)

    def forward(
        self,
        states: torch.Tensor,
        seen: torch.Tensor,
        pairs: torch.Tensor,
        regions: QuestionRegions,
    ) -> torch.Tensor:
        """States (Q, T, W) of words and regions.

        Args:
            states: (Q, T, W).
            seen: bool (Q, 1, 1, T), the tokens that exist.
            pairs: (Q, M, M, W).
            regions: of the questions.
        """
        states = states + self._read(self.reading_norm(states), seen)
        related = self._relate(self.relation_norm(_take_at(states, regions)), pairs, regions.exists)
        states = _add_at(states, regions, related)
        return states + self.feed_forward(self.feed_forward_norm(states))

    def _read(self, states: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            part.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in self.reading(states).chunk(3, dim=-1)
        )
        # Questions are short: the fused kernel gains nothing, and its gradient is slow on CPUs.
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
        weights = scores.masked_fill(~seen, torch.finfo(scores.dtype).min).softmax(dim=-1)
        read = weights.to(value.dtype) @ value
        return self.reading_out(read.transpose(1, 2).flatten(2))

    def _relate(
        self, states: torch.Tensor, pairs: torch.Tensor, exists: torch.Tensor
    ) -> torch.Tensor:
        """What each region (Q, M, W) takes from the others.

        Half of the heads take a weighted mean, which finds; the others a gated sum, which counts.
        """
        query, key, value = self.relation(states).chunk(3, dim=-1)
        pair_key, pair_value = self.pair(pairs).chunk(2, dim=-1)
        keys = (key[:, None] + pair_key).unflatten(-1, (self.heads, -1))
        values = (value[:, None] + pair_value).unflatten(-1, (self.heads, -1))
        queries = query.unflatten(-1, (self.heads, -1))
        scores = torch.einsum("qihd,qijhd->qhij", queries, keys) / math.sqrt(queries.shape[-1])
        scores = scores.masked_fill(~exists[:, None, None], torch.finfo(scores.dtype).min)
        finding, counting = scores.chunk(2, dim=1)
        weights = torch.cat([finding.softmax(dim=-1), counting.sigmoid()], dim=1)
        return self.relation_out(torch.einsum("qhij,qijhd->qihd", weights, values).flatten(2))


def _two_layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, hidden), nn.GELU(), nn.Linear(hidden, outputs))


def _order_code(like: torch.Tensor, length: int) -> torch.Tensor:
    """(length, _ORDER_CHANNELS): first, second, ...; device and type as another tensor."""
    order = torch.arange(length, device=like.device)
    return sinusoidal_code(order, _ORDER_CHANNELS, 2.0, 512.0).to(like.dtype)


def _take_at(states: torch.Tensor, regions: QuestionRegions) -> torch.Tensor:
    """States (Q, M, W) of the regions."""
    return states.gather(1, regions.places[..., None].expand(-1, -1, states.shape[-1]))


def _add_at(states: torch.Tensor, regions: QuestionRegions, values: torch.Tensor) -> torch.Tensor:
    """States (Q, T, W) with values (Q, M, W) added at the tokens of their regions."""
    index = regions.places[..., None].expand(-1, -1, states.shape[-1])
    added = (values * regions.exists[..., None]).to(states.dtype)
    return states.scatter_add(1, index, added)
