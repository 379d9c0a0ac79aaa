"""Losses of answer tokens: in total, and by category."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from smolrgpt_core.model.processing_smolrgpt import IGNORED_LABEL
from smolrgpt_core.training.stream import LOSS_CATEGORIES


class LossSums:
    """Sums of token losses and numbers of tokens by category.

    Attributes:
        values: float64 (2, C): sums, numbers.
    """

    def __init__(self, device: torch.device) -> None:
        """Start at zero."""
        self.values = torch.zeros(2, len(LOSS_CATEGORIES), dtype=torch.float64, device=device)

    def add(self, token_losses: torch.Tensor, categories: torch.Tensor) -> None:
        """Add losses (N,) of answer tokens of these categories (N,)."""
        losses = token_losses.to(self.values.dtype)
        self.values[0].index_add_(0, categories, losses)
        self.values[1].index_add_(0, categories, torch.ones_like(losses))

    @property
    def tokens(self) -> int:
        """Number of answer tokens."""
        return int(self.values[1].sum())

    @property
    def mean(self) -> float:
        """Mean loss over all answer tokens."""
        return float(self.values[0].sum() / self.values[1].sum())

    def by_category(self) -> dict[str, float]:
        """Mean loss over the answer tokens of each category with any."""
        sums, numbers = self.values.tolist()
        return {
            name: total / number
            for name, total, number in zip(LOSS_CATEGORIES, sums, numbers, strict=True)
            if number
        }


def answer_losses(
    model: nn.Module,
    batch: Mapping[str, Any],
    items: torch.Tensor | int | None,
    reading_weight: float = 0.0,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The training loss, and the losses (N,) of the answer tokens without gradient.

    Args:
        model: a `SmolRGPTForConditionalGeneration`, wrapped or not.
        batch: of `TrainingStream`, without its facts.
        items: what the sum is divided by; None: the number of answer tokens of the batch.
        reading_weight: of the loss of what the metric branch reads off the regions of a question,
            beside the loss of a token.
    """
    inputs = {name: value for name, value in batch.items() if name != "answer_categories"}
    outputs = model(**inputs, only_answers=True, num_items_in_batch=items, use_cache=False)
    loss, targets = outputs.loss, batch["labels"][:, 1:]
    if reading_weight and outputs.region_losses is not None:
        count = (targets != IGNORED_LABEL).sum() if items is None else items
        loss = loss + reading_weight * outputs.region_losses.sum() / count
    with torch.no_grad():
        token_losses = functional.cross_entropy(
            outputs.logits.detach().float(), targets[targets != IGNORED_LABEL], reduction="none"
        )
    return loss, token_losses
