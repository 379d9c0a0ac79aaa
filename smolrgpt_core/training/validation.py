"""Loss and answers on held-out rows, the same ones each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from smolrgpt_core.answerer_settings import SENTENCE
from smolrgpt_core.training.config import SourceConfig, TrainConfig
from smolrgpt_core.training.losses import LossSums, answer_losses
from smolrgpt_core.training.rows import Row, RowCutter, to_device
from smolrgpt_core.training.start import Model, Processor
from smolrgpt_core.training.stream import (
    ReadReport,
    SourceRows,
    make_batch,
    open_source,
    row_kind,
)


@dataclass(frozen=True)
class ExampleAnswer:
    """A question with the true answer and the model's answer."""

    id: str
    question: str
    expected: str
    answer: str


class Validation:
    """The rows of `ValidationConfig`."""

    def __init__(self, config: TrainConfig, source: SourceConfig, processor: Processor) -> None:
        """Read and decode the rows.

        Raises:
            SpatialError: BAD_INPUT when the data set cannot be used.
        """
        self._kind = row_kind(processor, config.data)
        self._mean = config.loss
        cutter = RowCutter(self._kind, config.data, source, config.seed)
        reader = SourceRows(open_source(source, config.data), cutter, config.seed)
        report = ReadReport()
        rows = [reader.next_row(report) for _ in range(config.validation.rows)]
        size = config.optimizer.micro_rows
        self._batches: list[dict[str, Any]] = []
        self._examples: list[Row] = []
        for start in range(0, len(rows), size):
            some = rows[start : start + size]
            used, batch = make_batch(
                self._kind, [0] * len(some), some, report, lambda _: reader.clone()
            )
            self._batches.append(batch)
            self._examples += used
        self._examples = self._examples[: config.validation.examples]

    @torch.no_grad()
    def losses(self, model: torch.nn.Module, device: torch.device) -> LossSums:
        """Losses of all rows; the model is left in training mode."""
        model.eval()
        sums = LossSums(device)
        for batch in self._batches:
            _, tokens, weights = answer_losses(
                model, to_device(batch, device), items=None, mean=self._mean
            )
            sums.add(tokens, batch["answer_categories"].to(device), weights)
        model.train()
        return sums

    def answers(self, model: Model, device: torch.device) -> list[ExampleAnswer]:
        """The model's answers to the last question of the first conversation of some rows."""
        model.eval()
        answered = [self._answer(model, row, device) for row in self._examples]
        model.train()
        return answered

    def _answer(self, model: Model, row: Row, device: torch.device) -> ExampleAnswer:
        limit = SENTENCE.max_new_tokens
        text = self._kind.answer(model, row, device, limit)
        question, expected = row.conversations[0].turns[-2:]
        return ExampleAnswer(row.conversations[0].id, question.text, expected.text, text)
