"""The loss of a training step: the labels, and further objectives.

Each further objective is a term with a weight. A term may have a head that is trained with the
model; it is saved in checkpoints in a file of its own, and is never part of the model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from smolrgpt_core.files import file_error
from smolrgpt_core.training.losses import (
    EXTRAS,
    PAIRS,
    own_weights,
    predicted,
    reading_loss,
)
from smolrgpt_core.training.optimizer import MATRICES

HEADS_FILE = "heads.safetensors"
"""In a checkpoint to resume from, the weights of the heads."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a term computes its loss from, for N answer tokens and V vocabulary entries.

    Attributes:
        batch: arguments of the model.
        extras: of the batch.
        logits: (N, V), including those of contrastive pairs.
        token_losses: (N,), of the labels.
        weights: (N,), 0 for the answers of pairs.
        captured: values captured for `Term.watched`, by the name of the term.
    """

    batch: Mapping[str, Any]
    extras: Mapping[str, Any]
    logits: torch.Tensor
    token_losses: torch.Tensor
    weights: torch.Tensor
    captured: Mapping[str, torch.Tensor]


class Term(Protocol):
    """One further objective.

    Attributes:
        name: in the log of losses.
        weight: of its loss.
        head: trained with the model; None: none.
        rate: peak learning rate of the head.
    """

    name: str
    weight: float
    head: nn.Module | None
    rate: float

    def watched(self) -> tuple[nn.Module, Any] | None:
        """A module of the model, and a function of its inputs and output; its value is captured the
        first time that the module runs.
        """
        ...

    def loss(self, seen: Seen) -> torch.Tensor:
        """The sum over tokens, images or pairs, which is divided by the weights of a step."""
        ...


@dataclass(frozen=True, eq=False)
class StepLoss:
    """The loss of one batch.

    Attributes:
        loss: to differentiate.
        token_losses: (N,) of the labels, without gradient and without pairs.
        categories: (N,).
        weights: (N,).
        terms: the further terms without their weights, by name.
    """

    loss: torch.Tensor
    token_losses: torch.Tensor
    categories: torch.Tensor
    weights: torch.Tensor
    terms: dict[str, torch.Tensor]


class Objectives:
    """All objectives of a run.

    Args:
        mean: as `TrainConfig.loss`.
        reading_weight: as in `TrainConfig`.
        hard_weight: of the loss of the labels.
        terms: further objectives.
    """

    def __init__(
        self,
        mean: str,
        reading_weight: float,
        hard_weight: float = 1.0,
        terms: Sequence[Term] = (),
    ) -> None:
        self._mean = mean
        self._reading_weight = reading_weight
        self._hard_weight = hard_weight
        self._terms = terms
        self.heads = nn.ModuleDict({term.name: term.head for term in terms if term.head})

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the further terms."""
        return tuple(term.name for term in self._terms)

    def weights(self, batch: Mapping[str, Any]) -> torch.Tensor:
        """Weights (N,) of the answer tokens of a batch."""
        return own_weights(batch, self._mean)

    def parameter_groups(self, weight_decay: float) -> list[dict[str, Any]]:
        """The parameter groups of the heads, one per head."""
        return [
            {
                "params": list(term.head.parameters()),
                "lr": term.rate,
                "weight_decay": weight_decay,
                MATRICES: False,
            }
            for term in self._terms
            if term.head
        ]

    def loss(
        self, model: nn.Module, batch: Mapping[str, Any], items: torch.Tensor | int
    ) -> StepLoss:
        """The contribution of a batch to the loss of its step.

        Args:
            model: wrapped or not.
            batch: of `TrainingStream`, without its facts.
            items: the weights of all batches of the step.
        """
        with self._watching() as captured:
            outputs, _, token_losses = predicted(model, batch)
        weights = self.weights(batch)
        loss = self._hard_weight * (token_losses * weights).sum() / items
        if self._reading_weight:
            loss = loss + self._reading_weight * reading_loss(outputs) / items
        extras = batch.get(EXTRAS, {})
        seen = Seen(batch, extras, outputs.logits.float(), token_losses, weights, captured)
        terms = {}
        for term in self._terms:
            value = term.loss(seen) / items
            loss = loss + term.weight * value
            terms[term.name] = value.detach()
        own = extras[PAIRS] == 0 if PAIRS in extras else slice(None)
        categories = batch["answer_categories"][own]
        return StepLoss(loss, token_losses.detach()[own], categories, weights[own], terms)

    @contextmanager
    def _watching(self) -> Iterator[dict[str, torch.Tensor]]:
        captured: dict[str, torch.Tensor] = {}
        hooks = []
        for term in self._terms:
            watched = term.watched()
            if watched:
                module, value_of = watched
                hooks.append(module.register_forward_hook(_Capture(captured, term.name, value_of)))
        try:
            yield captured
        finally:
            for hook in hooks:
                hook.remove()

    def save(self, folder: Path) -> None:
        """Write the heads to a folder, if there are any."""
        weights = {name: item.cpu().contiguous() for name, item in self.heads.state_dict().items()}
        if weights:
            save_file(weights, folder / HEADS_FILE, metadata={"format": "pt"})

    def load(self, folder: Path) -> None:
        """Read the heads that `save` wrote.

        Raises:
            SpatialError: BAD_INPUT when they are missing or belong to another model.
        """
        if not self.heads:
            return
        path = folder / HEADS_FILE
        try:
            self.heads.load_state_dict(load_file(path))
        except (OSError, RuntimeError) as error:
            raise file_error(path, f"the heads of this run cannot be read: {error}") from error


class _Capture:
    """A forward hook that keeps the first value."""

    def __init__(self, captured: dict[str, torch.Tensor], name: str, value_of: Any) -> None:
        self._captured = captured
        self._name = name
        self._value_of = value_of

    def __call__(self, module: nn.Module, inputs: Any, output: Any) -> None:
        if self._name not in self._captured:
            self._captured[self._name] = self._value_of(inputs, output)
