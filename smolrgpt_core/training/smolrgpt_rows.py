"""Rows of SmolRGPT: several conversations share an image; each sees only the image and itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from smolrgpt_core.data.samples import Conversation
from smolrgpt_core.data.warehouse_format import Turn
from smolrgpt_core.errors import bad_input
from smolrgpt_core.language import MASK
from smolrgpt_core.model.packing import pack_batch
from smolrgpt_core.model.processing_smolrgpt import SmolRGPTProcessor
from smolrgpt_core.model.region_inputs import REGION_INPUT_NAMES
from smolrgpt_core.model_inputs.prompts import IGNORED_LABEL, Message
from smolrgpt_core.training.config import DataConfig
from smolrgpt_core.training.rows import ROLES, Row, category_numbers, to_device


class SmolRGPTRows:
    """Implements `RowKind`.

    Args:
        processor: of the model.
        config: questions per row, tokens per row.
    """

    mixes = False

    def __init__(self, processor: SmolRGPTProcessor, config: DataConfig) -> None:
        self._processor = processor
        self._config = config

    def asked(self, conversation: Conversation) -> list[Conversation]:
        """The conversation itself."""
        return [conversation]

    def cut(self, conversations: Sequence[Conversation], inputs: str) -> list[list[Conversation]]:
        """As many conversations per row as configured and as fit.

        Raises:
            SpatialError: BAD_INPUT for a conversation that is longer than a row may be.
        """
        head = self._head_tokens(inputs)
        parts: list[list[Conversation]] = []
        room = 0
        counts = self._tokens(conversations, head)
        for conversation, tokens in zip(conversations, counts, strict=True):
            if head + tokens > self._config.row_tokens:
                raise bad_input(
                    f"conversation {conversation.id!r} has {head + tokens} tokens with its "
                    f"image, but data.row_tokens is {self._config.row_tokens}; raise it, or "
                    "remove such conversations"
                )
            if not parts or tokens > room or len(parts[-1]) == self._config.questions_per_row:
                parts.append([])
                room = self._config.row_tokens - head
            parts[-1].append(conversation)
            room -= tokens
        return parts

    def batch(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Packed rows.

        Raises:
            SpatialError: BAD_INPUT; a row cannot be used.
        """
        batch = dict(pack_batch(self._processor, [row.pack() for row in rows]))
        return {**batch, "answer_categories": category_numbers(rows)[self.places(rows, batch)]}

    def places(self, rows: Sequence[Row], batch: Mapping[str, Any]) -> torch.Tensor:
        """As `RowKind`: each conversation is a segment of its row, behind the image's."""
        ends = torch.tensor([len(row.conversations) for row in rows]).cumsum(0)
        before = functional.pad(ends, (1, 0))[:-1]
        numbers = before[:, None] + batch["segment_ids"] - 1
        return numbers[:, 1:][batch["labels"][:, 1:] != IGNORED_LABEL]

    def tokens(self, batch: Mapping[str, Any]) -> int:
        """Tokens of a batch without padding."""
        return int((batch["segment_ids"] >= 0).sum())

    def answer(self, model: Any, row: Row, device: torch.device, max_new_tokens: int) -> str:
        """The model's answer to the last question of a row's first conversation.

        Args:
            model: of the kind of these rows.
            row: with the question.
            device: of the model.
            max_new_tokens: limit of the answer.
        """
        alone = replace(row, conversations=row.conversations[:1])
        batch = pack_batch(self._processor, [alone.pack()])
        end = _prompt_length(batch["labels"][0])
        for name in ("input_ids", "question_ids"):
            batch[name] = batch[name][:, :end]
        inputs = {name: batch[name] for name in ("input_ids", *REGION_INPUT_NAMES) if name in batch}
        ids = model.generate(
            **to_device(inputs, device), do_sample=False, max_new_tokens=max_new_tokens
        )
        return str(self._processor.decode(ids[0, end:], skip_special_tokens=True)).strip()

    def _tokens(self, conversations: Sequence[Conversation], head: int) -> list[int]:
        """Tokens of each conversation without the common head, or a bound where that suffices."""
        bounds = [self._bound(conversation) for conversation in conversations]
        longest = sum(sorted(bounds)[-self._config.questions_per_row :])
        if head + longest <= self._config.row_tokens:
            return bounds
        texts = [self._written(turn) for item in conversations for turn in item.turns]
        counts = [len(ids) for ids in self._processor.tokenizer(texts)["input_ids"]]
        ends = np.cumsum([0, *(len(item.turns) for item in conversations)]).tolist()
        return [
            sum(counts[start:end]) + self._message_tokens * (end - start)
            for start, end in pairwise(ends)
        ]

    def _bound(self, conversation: Conversation) -> int:
        """No tokenizer that works on bytes makes more tokens than a text has bytes."""
        texts = map(self._written, conversation.turns)
        return sum(len(text.encode()) + self._message_tokens for text in texts)

    def _written(self, turn: Turn) -> str:
        return turn.text.replace(MASK, self._region_tokens)

    @cached_property
    def _region_tokens(self) -> str:
        config = self._processor.config
        return config.mask_rgb_token + config.mask_depth_token

    def _head_tokens(self, inputs: str) -> int:
        """Tokens in front of the first question: opening and image."""
        with_image, without = self._examples
        return self._processor.head_length(without if inputs == "geometry" else with_image)

    @cached_property
    def _message_tokens(self) -> int:
        """Tokens that the chat template adds to a message, at most."""
        example = self._examples[0]
        return len(example) - self._processor.head_length(example)

    @cached_property
    def _examples(self) -> tuple[list[int], list[int]]:
        """The shortest conversation, with an image and without."""
        example: list[Message] = [{"role": role, "content": "a"} for role in ROLES.values()]
        with_image, without = (
            self._processor.tokenize(example, has_image, 0, with_labels=True).ids
            for has_image in (True, False)
        )
        return with_image, without


def _prompt_length(labels: torch.Tensor) -> int:
    """Position of the last answer."""
    is_answer = labels != IGNORED_LABEL
    begins = is_answer.clone()
    begins[1:] &= ~is_answer[:-1]
    return int(begins.nonzero()[-1])
