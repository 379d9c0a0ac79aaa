"""Losses of answer tokens, in total and by category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from smolrgpt_core.model_inputs.prompts import IGNORED_LABEL
from smolrgpt_core.training.config import TOKEN_MEAN
from smolrgpt_core.training.rows import LOSS_CATEGORIES


class LossSums:
    """Weighted sums of token losses, sums of weights, and numbers of tokens by category.

    Attributes:
        values: float64 (3, C): sums, weights, numbers.
    """

    def __init__(self, device: torch.device) -> None:
        """Start at zero."""
        self.values = torch.zeros(3, len(LOSS_CATEGORIES), dtype=torch.float64, device=device)

    def add(
        self, token_losses: torch.Tensor, categories: torch.Tensor, weights: torch.Tensor
    ) -> None:
        """Add losses (N,) of answer tokens of these categories (N,) with these weights (N,).

        Args:
            token_losses: (N,), of answer tokens.
            categories: (N,), indices in `LOSS_CATEGORIES`.
            weights: (N,).
        """
        losses, weights = token_losses.to(self.values.dtype), weights.to(self.values.dtype)
        self.values[0].index_add_(0, categories, losses * weights)
        self.values[1].index_add_(0, categories, weights)
        self.values[2].index_add_(0, categories, torch.ones_like(losses))

    @property
    def tokens(self) -> int:
        """Number of answer tokens."""
        return int(self.values[2].sum())

    @property
    def mean(self) -> float:
        """Mean loss over all answer tokens, or over all answers."""
        return float(self.values[0].sum() / self.values[1].sum())

    def by_category(self) -> dict[str, float]:
        """Mean loss over the answer tokens, or the answers, of each category with any."""
        sums, weights, _ = self.values.tolist()
        return {
            name: total / weight
            for name, total, weight in zip(LOSS_CATEGORIES, sums, weights, strict=True)
            if weight
        }


def answer_weights(labels: torch.Tensor, mean: str) -> torch.Tensor:
    """Weights (N,) of the answer tokens of labels (B, T), row by row.

    With "token_mean" they are 1; with "answer_mean" those of an answer, which is a run of labels,
    add up to 1.
    """
    is_answer = labels[:, 1:] != IGNORED_LABEL
    if mean == TOKEN_MEAN:
        return is_answer[is_answer].float()
    before = functional.pad(is_answer, (1, 0))[:, :-1]
    starts = is_answer & ~before
    numbers = starts.flatten().cumsum(0)[is_answer.flatten()] - 1
    return 1 / numbers.bincount().float()[numbers]


EXTRAS = "extras"
"""Entry of a batch with what is learned beside its answers; see `training.prepared_rows`."""

PAIRS = "pairs"
"""In the extras, int64 (N,): 0 for an answer of the data, +n and -n for the right and the wrong
answer of pair n, which only their comparison is trained on."""

_NOT_OF_MODEL = ("answer_categories", EXTRAS)


def own_weights(batch: Mapping[str, Any], mean: str) -> torch.Tensor:
    """As `answer_weights`, but 0 for the answers of contrastive pairs."""
    weights = answer_weights(batch["labels"], mean)
    pairs = batch.get(EXTRAS, {}).get(PAIRS)
    return weights if pairs is None else weights * (pairs == 0)


def predicted(model: nn.Module, batch: Mapping[str, Any]) -> tuple[Any, torch.Tensor, torch.Tensor]:
    """Outputs of a model, targets (N,) of its logits and their losses (N,).

    Args:
        model: that `make_start` makes, wrapped or not.
        batch: of `TrainingStream`, without its facts.
    """
    inputs = {name: value for name, value in batch.items() if name not in _NOT_OF_MODEL}
    outputs = model(**inputs, only_answers=True, use_cache=False)
    labels = batch["labels"][:, 1:]
    targets = labels[labels != IGNORED_LABEL]
    losses = functional.cross_entropy(outputs.logits.float(), targets, reduction="none")
    return outputs, targets, losses


def answer_losses(
    model: nn.Module,
    batch: Mapping[str, Any],
    items: torch.Tensor | int | None,
    reading_weight: float = 0.0,
    mean: str = TOKEN_MEAN,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The training loss; the losses (N,) of the answer tokens without gradient; their weights (N,).

    Args:
        model: that `make_start` makes, wrapped or not.
        batch: of `TrainingStream`, without its facts.
        items: what the weighted sum is divided by: the weights of all batches of a step; None:
            those of this batch.
        reading_weight: of the loss of what the metric branch reads off the regions of a question,
            beside the loss of a token.
        mean: as `TrainConfig.loss`.
    """
    outputs, _, token_losses = predicted(model, batch)
    weights = own_weights(batch, mean)
    items = weights.sum() if items is None else items
    loss = (token_losses * weights).sum() / items
    if reading_weight:
        loss = loss + reading_weight * reading_loss(outputs) / items
    return loss, token_losses.detach(), weights


def reading_loss(outputs: Any) -> torch.Tensor | float:
    """Sum of the losses of what the metric branch reads off the regions; 0 where it reads none."""
    region_losses = getattr(outputs, "region_losses", None)
    return 0.0 if region_losses is None else region_losses.sum()
