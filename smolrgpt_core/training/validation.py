"""Loss and answers on held-out rows, the same ones each time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from smolrgpt_core.inference.config import EngineConfig
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.packing import pack_batch
from smolrgpt_core.model.processing_smolrgpt import IGNORED_LABEL
from smolrgpt_core.model.region_inputs import REGION_INPUT_NAMES
from smolrgpt_core.training.config import SourceConfig, TrainConfig
from smolrgpt_core.training.losses import LossSums, answer_losses
from smolrgpt_core.training.rows import Row, RowCutter
from smolrgpt_core.training.stream import ReadReport, SourceRows, make_batch, open_source


@dataclass(frozen=True)
class ExampleAnswer:
    """A question with the true answer and the model's answer."""

    id: str
    question: str
    expected: str
    answer: str


class Validation:
    """The rows of `ValidationConfig`."""

    def __init__(
        self, config: TrainConfig, source: SourceConfig, processor: SmolRGPTProcessor
    ) -> None:
        """Read and decode the rows.

        Raises:
            SpatialError: BAD_INPUT when the data set cannot be used.
        """
        self._processor = processor
        self._pictures = source.pictures
        cutter = RowCutter(processor, config.data, source, config.seed)
        reader = SourceRows(open_source(source, config.data), cutter, config.seed)
        report = ReadReport()
        rows = [reader.next_row(report) for _ in range(config.validation.rows)]
        size = config.optimizer.micro_rows
        self._batches: list[dict[str, Any]] = []
        self._examples: list[Row] = []
        for start in range(0, len(rows), size):
            used, batch = make_batch(
                processor, rows[start : start + size], source.pictures, report, reader.clone
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
            _, tokens = answer_losses(model, to_device(batch, device), items=None)
            sums.add(tokens, batch["answer_categories"].to(device))
        model.train()
        return sums

    def answers(
        self, model: SmolRGPTForConditionalGeneration, device: torch.device
    ) -> list[ExampleAnswer]:
        """The model's answers to the last question of the first conversation of some rows."""
        model.eval()
        answered = [self._answer(model, row, device) for row in self._examples]
        model.train()
        return answered

    def _answer(
        self, model: SmolRGPTForConditionalGeneration, row: Row, device: torch.device
    ) -> ExampleAnswer:
        conversation = row.conversations[0]
        packed = replace(row, conversations=(conversation,)).pack(self._pictures)
        batch = pack_batch(self._processor, [packed])
        end = _prompt_length(batch["labels"][0])
        for name in ("input_ids", "question_ids"):
            batch[name] = batch[name][:, :end]
        inputs = {name: batch[name] for name in ("input_ids", *REGION_INPUT_NAMES) if name in batch}
        limit = EngineConfig().sentence.max_new_tokens
        ids = model.generate(**to_device(inputs, device), do_sample=False, max_new_tokens=limit)
        text = self._processor.decode(ids[0, end:], skip_special_tokens=True)
        question, expected = conversation.turns[-2:]
        return ExampleAnswer(conversation.id, question.text, expected.text, text.strip())


def to_device(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The tensors of a batch, and lists of them, on a device."""
    return {
        name: [item.to(device) for item in value] if isinstance(value, list) else value.to(device)
        for name, value in batch.items()
    }


def _prompt_length(labels: torch.Tensor) -> int:
    """Position of the last answer."""
    is_answer = labels != IGNORED_LABEL
    begins = is_answer.clone()
    begins[1:] &= ~is_answer[:-1]
    return int(begins.nonzero()[-1])
