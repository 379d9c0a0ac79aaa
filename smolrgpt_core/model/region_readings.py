"""What the metric branch reads off its regions: choice, distance, number and side.

Each region decides for itself whether it is the choice, whether it counts, on which side it is, and
how far the center of its object lies from the middle of what the camera sees of it; each pair of
regions, whether its distance is the one asked for. The language model gets these readings beside
the states of the regions, and decides what they mean for the question. In training they also have a
loss of their own: the one token of an answer carries little information about where it should have
come from.

Q questions of at most M regions; W the width of the branch, D of the language model's tokens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from smolrgpt_core.language import Category
from smolrgpt_core.model.sinusoids import sinusoidal_code

NO_ANSWER = 0
"""Kind of a question whose answer regions cannot give; the others are values of `Category`."""

_TWO_SIDED = (Category.LEFT_RIGHT, Category.TRUTH, Category.RELATION)

_LOWEST = -1e9
_SHORTEST_M = 0.1
_OFFSET_STEP_M = 0.3
"""From the middle of what is seen to the center of an object, for an output of 1."""
_DISTANCE_SCALE = 0.1
"""Relative error of a distance that a pair of regions explains well."""
_LEAST_CHANCE = 1e-3
"""Of a distance that no pair explains, such as one of a badly seen object."""
_LEAST_OFFSET_M = 1e-6
_COUNT_BEND = 0.3
"""Objects from which on the loss of a number grows linearly."""

_PAIR_WIDTH = 32
_ORDER_CHANNELS = 32
_PLACES = (1000, 100, 10, 1)
"""Number of digits of an encoded distance, in hundredths of a meter."""
_QUESTION_CHANNELS = _ORDER_CHANNELS + 10 * len(_PLACES) + 10 + 3
_REGION_CHANNELS = 4


@dataclass(frozen=True)
class RegionAnswers:
    """Correct answers of questions (Q,), or of the question of each token (B, T).

    Attributes:
        kinds: int64, a value of `Category` or NO_ANSWER.
        values: float32: meters, number of objects, which of the question's regions, or 1 for right,
            yes, in front, above and inside and 0 for their opposites.
        numbers: float32 (Q, S) or (B, T, S), of `value_readings`, NaN where there is none; None:
            nothing is known of them.
        truths: float32 (N, 9) of all placeholders of the rows, or (Q, M, 9) of the regions of
            questions: `data.warehouse_format.BOX_FIELDS`, its place in an answer that is a list,
            and the place of its color in `COLORS`; NaN where it is not known. None: nothing is
            known of them.
    """

    kinds: torch.Tensor
    values: torch.Tensor
    numbers: torch.Tensor | None = None
    truths: torch.Tensor | None = None

    @classmethod
    def taken_from(cls, arguments: dict[str, Any]) -> RegionAnswers | None:
        """Keyword arguments of `packing.pack_batch`, which are removed."""
        kinds = arguments.pop("answer_kinds", None)
        values = arguments.pop("answer_values", None)
        numbers = arguments.pop("answer_numbers", None)
        truths = arguments.pop("region_truths", None)
        if kinds is None or values is None:
            return None
        return cls(kinds, values, numbers, None if truths is None else torch.cat(list(truths)))

    def of_tokens(
        self, places: torch.Tensor, mentions: torch.Tensor | None = None
    ) -> RegionAnswers:
        """Answers (Q,) of the questions of tokens.

        Args:
            places: int64 (Q,), of the tokens in the flattened rows.
            mentions: int64 (Q, M), which of all placeholders each region of a question is; -1 for
                padding. None: truths are skipped.
        """
        numbers = None if self.numbers is None else self.numbers.flatten(0, 1)[places]
        truths = None
        if self.truths is not None and mentions is not None:
            truths = torch.where(
                (mentions >= 0)[..., None], self.truths[mentions.clamp_min(0)], torch.nan
            )
        return RegionAnswers(
            self.kinds.flatten()[places], self.values.flatten()[places], numbers, truths
        )


@dataclass(frozen=True)
class RegionReadings:
    """Readings of the regions of questions, float32.

    Attributes:
        choice: (Q, M), logarithm of the probability that a region is the choice.
        counted: (Q, M), probability that a region counts; 0 for padding.
        sides: (Q, M), above 0 for right; 0 for padding.
        probabilities: (Q, M, M), probability that the distance asked for is that of a pair; that of
            a region and itself stands for the region and the camera. Sum 1.
        meters: (Q, M, M), distance of each pair.
    """

    choice: torch.Tensor
    counted: torch.Tensor
    sides: torch.Tensor
    probabilities: torch.Tensor
    meters: torch.Tensor

    @property
    def distance(self) -> torch.Tensor:
        """(Q,), that of the pair most likely asked for, meters."""
        either_way = (self.probabilities + self.probabilities.transpose(1, 2)).flatten(1)
        pair = either_way.argmax(dim=1, keepdim=True)
        return self.meters.flatten(1).gather(1, pair)[:, 0]

    @property
    def related(self) -> torch.Tensor:
        """(Q, M), probability that a region is an end of the distance asked for."""
        return self.probabilities.sum(dim=1) + self.probabilities.sum(dim=2)

    def losses(self, answers: RegionAnswers) -> torch.Tensor:
        """Losses (Q,), 0 where there is no answer."""
        values = answers.values
        # Values of other kinds are no regions; their losses are dropped.
        chosen = values.long().clamp(0, self.choice.shape[1] - 1)
        of_kind = {
            Category.MCQ: functional.nll_loss(self.choice, chosen, reduction="none"),
            Category.DISTANCE: self._distance_losses(values),
            Category.COUNT: functional.smooth_l1_loss(
                self.counted.sum(dim=1), values, beta=_COUNT_BEND, reduction="none"
            ),
        }
        of_sides = functional.binary_cross_entropy_with_logits(
            self.sides.sum(dim=1), values.clamp(0, 1), reduction="none"
        )
        of_kind |= dict.fromkeys(_TWO_SIDED, of_sides)
        total = torch.zeros_like(values)
        for category, losses in of_kind.items():
            total = total + torch.where(answers.kinds == category.value, losses, 0.0)
        return total

    def _distance_losses(self, values: torch.Tensor) -> torch.Tensor:
        """Of a mixture over the pairs: the pair whose distance fits is the one that was meant."""
        found, right = (part.clamp_min(_SHORTEST_M).log() for part in (self.meters, values))
        errors = (found - right[:, None, None]).abs()
        chance = (self.probabilities * (-errors / _DISTANCE_SCALE).exp()).sum(dim=(1, 2))
        return -((1 - _LEAST_CHANCE) * chance + _LEAST_CHANCE).log()


class RegionReader(nn.Module):
    """Makes readings, and embeds them for the language model."""

    def __init__(self, width: int, text_width: int) -> None:
        super().__init__()
        self.region_head = nn.Linear(width, 6)
        self.pair_query = nn.Linear(width, _PAIR_WIDTH)
        self.pair_key = nn.Linear(width, _PAIR_WIDTH)
        self.pair_head = nn.Linear(width, 2)
        self.first_head = nn.Linear(width, 1)
        self.second_head = nn.Linear(width, 1)
        self.question_embedding = nn.Sequential(
            nn.Linear(_QUESTION_CHANNELS, 2 * text_width),
            nn.GELU(),
            nn.Linear(2 * text_width, text_width),
        )
        self.region_embedding = nn.Linear(_REGION_CHANNELS, text_width)

    def forward(
        self,
        states: torch.Tensor,
        pairs: torch.Tensor,
        centers: torch.Tensor,
        exists: torch.Tensor,
        keys: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None,
    ) -> RegionReadings:
        """Readings of regions.

        Args:
            states: (Q, M, W).
            pairs: (Q, M, M, W), codes of the pairs.
            centers: (Q, M, 3), middles of what is seen, optical frame, meters.
            exists: bool (Q, M), False for padding.
            keys: (Q, M) that are added to the scores of the choice, to the sides, and to the scores
                of what counts.
        """
        chosen, counted, sides, *offset = self.region_head(states).float().unbind(dim=-1)
        if keys is not None:
            chosen, sides = chosen + keys[0] * exists, sides + keys[1]
            counted = counted + keys[2]
        objects = centers + _along_ray(_OFFSET_STEP_M * torch.stack(offset, dim=-1), centers)
        probabilities, is_apart = self._pairs(states, pairs, exists)
        return RegionReadings(
            choice=chosen.masked_fill(~exists, _LOWEST).log_softmax(dim=1),
            counted=counted.sigmoid() * exists,
            sides=sides * exists,
            probabilities=probabilities,
            meters=_distances(objects) * is_apart,
        )

    def _pairs(
        self, states: torch.Tensor, pairs: torch.Tensor, exists: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Probability (Q, M, M) that the distance of each pair is asked for, and whether any is."""
        score, apart = self.pair_head(pairs).float().unbind(dim=-1)
        asked = self.pair_query(states) @ self.pair_key(states).transpose(1, 2)
        score = score + asked.float() / math.sqrt(_PAIR_WIDTH)
        is_pair = exists[:, :, None] & exists[:, None]
        probabilities = score.masked_fill(~is_pair, _LOWEST).flatten(1).softmax(dim=1)
        # Most pairs are apart; 0 m is for what stands in a zone.
        apart = apart + self.first_head(states).float() + self.second_head(states).float().mT + 3
        return probabilities.view_as(score) * is_pair, apart.sigmoid()

    def embed(
        self, readings: RegionReadings, dtype: torch.dtype, number: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Embeddings (Q, M, D) of the readings, to be added to those of the regions.

        Args:
            readings: of the same regions.
            dtype: of the weights.
            number: (Q,), that takes the place of the distance, at least 0; None: the distance.
        """
        shown = readings.distance if number is None else number
        chance = readings.choice.exp()
        order = torch.arange(chance.shape[1], device=chance.device)
        counted = readings.counted.sum(dim=1)
        of_question = [
            chance @ sinusoidal_code(order, _ORDER_CHANNELS, 2.0, 512.0),
            _digits_of_meters(shown),
            _near_digits(counted),
            shown.clamp_min(_SHORTEST_M).log()[:, None],
            counted[:, None] / 3,
            readings.sides.sum(dim=1).tanh()[:, None],
        ]
        of_regions = [chance, readings.related, readings.counted, readings.sides.tanh()]
        embedding = self.question_embedding(torch.cat(of_question, dim=-1).to(dtype))
        return embedding[:, None] + self.region_embedding(torch.stack(of_regions, dim=-1).to(dtype))


def _along_ray(offsets: torch.Tensor, centers: torch.Tensor) -> torch.Tensor:
    """Offsets (..., 3) to the right, down and away, as seen along the ray to a point, turned."""
    away = functional.normalize(centers, dim=-1)
    down = torch.tensor([0.0, 1.0, 0.0], device=centers.device).expand_as(away)
    right = functional.normalize(torch.linalg.cross(down, away), dim=-1)
    axes = torch.stack([right, torch.linalg.cross(away, right), away], dim=-1)
    return torch.einsum("...kl,...l->...k", axes, offsets)


def _distances(points: torch.Tensor) -> torch.Tensor:
    """(Q, M, M) between points (Q, M, 3), and from the camera on the diagonal."""
    apart = points[:, :, None] - points[:, None]
    is_same = torch.eye(points.shape[1], device=points.device)[..., None]
    # Of 0 the gradient of a norm is none.
    return (apart + is_same * points[:, :, None] + _LEAST_OFFSET_M).norm(dim=-1)


def _digits_of_meters(meters: torch.Tensor) -> torch.Tensor:
    """(Q, 10 * places): which digit a distance (Q,) has at each of `_PLACES`."""
    hundredths = (meters.detach() * 100).round().long()
    digits = torch.stack([hundredths // place % 10 for place in _PLACES], dim=-1)
    return functional.one_hot(digits, 10).flatten(1).to(meters.dtype)


def _near_digits(values: torch.Tensor) -> torch.Tensor:
    """(Q, 10): how near numbers are to 0, 1, ... 9, round and round; between two, half of each."""
    apart = (values[:, None] - torch.arange(10, device=values.device)).remainder(10)
    return (1 - torch.minimum(apart, 10 - apart)).clamp_min(0)
