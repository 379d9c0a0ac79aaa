"""Packs samples into rows: which questions share a row, and the answer style of each.

Works on texts; only `Row.pack` decodes images and masks. Everything depends only on the sample, the
seed and the epoch, so that every process creates the same rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from smolrgpt_core.answer.scoring import NormalizedAnswer, write_normalized
from smolrgpt_core.data.samples import Conversation, Sample
from smolrgpt_core.data.truths import read_truth
from smolrgpt_core.data.warehouse_format import HUMAN, MODEL, Turn, placeholders_in
from smolrgpt_core.depth import clean_depth
from smolrgpt_core.errors import bad_input
from smolrgpt_core.inference.config import AnswerStyle, EngineConfig
from smolrgpt_core.language import CATEGORIES, MASK, Category
from smolrgpt_core.model.packing import PackedImage, TypedAnswer
from smolrgpt_core.model.processing_smolrgpt import Message, SmolRGPTProcessor
from smolrgpt_core.training.config import DataConfig, SourceConfig

_ROLES = {HUMAN: "user", MODEL: "assistant"}


@dataclass(frozen=True, eq=False)
class Row:
    """Conversations about one sample that are computed together.

    Attributes:
        sample: pictures and masks, encoded.
        conversations: in the style in which each is answered.
    """

    sample: Sample
    conversations: tuple[Conversation, ...]

    def pack(self, pictures: str) -> PackedImage:
        """Decode what the row needs.

        Args:
            pictures: as in `SourceConfig`.

        Raises:
            SpatialError: BAD_INPUT; a file or record cannot be used, the message names it.
        """
        kept: list[int] = []
        if pictures != "rgb":
            kept = sorted({i for item in self.conversations for i in item.mask_indices})
        camera = self.sample.camera
        return PackedImage(
            conversations=[_messages(item) for item in self.conversations],
            mask_indices=[self._places(item, kept) for item in self.conversations],
            image=None if pictures == "geometry" else self.sample.image.read(),
            depth=None if pictures == "rgb" else _depth(self.sample),
            masks=[self.sample.mask(index) for index in kept],
            intrinsics=camera.intrinsics if camera else None,
            answers=[_typed_answer(item) for item in self.conversations] if kept else (),
        )

    def _places(self, conversation: Conversation, kept: Sequence[int]) -> list[int]:
        """Where the masks of a conversation are among those that are kept."""
        if set(conversation.mask_indices) - set(kept):
            raise bad_input(
                f"conversation {conversation.id!r} is about regions, but its source has "
                '`pictures: rgb`; use "rgbd" or "geometry"'
            )
        return [kept.index(index) for index in conversation.mask_indices]


class RowCutter:
    """Packs samples into rows."""

    def __init__(
        self, processor: SmolRGPTProcessor, config: DataConfig, source: SourceConfig, seed: int
    ) -> None:
        """Store what rows depend on.

        Args:
            processor: of the model.
            config: questions per row, tokens per row, styles.
            source: of the samples.
            seed: of the run.
        """
        self._processor = processor
        self._config = config
        self._seed = seed
        self._categories = source.categories
        self._matching = re.compile(source.matching, re.IGNORECASE) if source.matching else None
        self._with_image = source.pictures != "geometry"
        self._short = EngineConfig().short

    def rows(self, sample: Sample, epoch: int) -> list[Row]:
        """All rows of a sample in one epoch, each conversation that is wanted once.

        None where the sample has no question that its source wants.

        Raises:
            SpatialError: BAD_INPUT for a conversation without an answer, or one that is longer
                than a row may be.
        """
        generator = np.random.default_rng([self._seed, epoch, _number_of(sample.id)])
        wanted = [
            conversation for conversation in sample.conversations if self._is_wanted(conversation)
        ]
        styles = self._draw_styles(generator, len(wanted))
        conversations = [
            _in_style(conversation, style, self._short)
            for conversation, style in zip(wanted, styles, strict=True)
        ]
        shuffled = [conversations[i] for i in generator.permutation(len(conversations))]
        return [Row(sample, tuple(part)) for part in self._cut(shuffled)]

    def _is_wanted(self, conversation: Conversation) -> bool:
        if self._categories and conversation.category not in self._categories:
            return False
        if self._matching is None:
            return True
        texts = (turn.text for turn in conversation.turns if turn.speaker == HUMAN)
        return any(map(self._matching.search, texts))

    def _draw_styles(self, generator: np.random.Generator, count: int) -> list[str]:
        names = sorted(self._config.styles)
        shares = np.array([self._config.styles[name] for name in names])
        return [str(name) for name in generator.choice(names, count, p=shares / shares.sum())]

    def _cut(self, conversations: Sequence[Conversation]) -> list[list[Conversation]]:
        parts: list[list[Conversation]] = []
        room = 0
        for conversation, tokens in zip(conversations, self._tokens(conversations), strict=True):
            if self._head_tokens + tokens > self._config.row_tokens:
                raise bad_input(
                    f"conversation {conversation.id!r} makes {self._head_tokens + tokens} tokens "
                    f"with its image, but data.row_tokens is {self._config.row_tokens}; raise it, "
                    "or leave such conversations out"
                )
            if not parts or tokens > room or len(parts[-1]) == self._config.questions_per_row:
                parts.append([])
                room = self._config.row_tokens - self._head_tokens
            parts[-1].append(conversation)
            room -= tokens
        return parts

    def _tokens(self, conversations: Sequence[Conversation]) -> list[int]:
        """Tokens of each conversation without the common head, or a bound where that suffices."""
        bounds = [self._bound(conversation) for conversation in conversations]
        longest = sum(sorted(bounds)[-self._config.questions_per_row :])
        if self._head_tokens + longest <= self._config.row_tokens:
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

    @cached_property
    def _head_tokens(self) -> int:
        """Tokens in front of the first question: opening and image."""
        return self._processor.head_length(self._example_ids)

    @cached_property
    def _message_tokens(self) -> int:
        """Tokens that the chat template adds to a message, at most."""
        return len(self._example_ids) - self._head_tokens

    @cached_property
    def _example_ids(self) -> list[int]:
        example = [{"role": role, "content": "a"} for role in _ROLES.values()]
        return self._processor.tokenize(example, self._with_image, 0, with_labels=True).ids


def _in_style(conversation: Conversation, style: str, short: AnswerStyle) -> Conversation:
    """A conversation, in the short style where that is wanted and there is a value to say."""
    turns = conversation.turns
    speakers = [turn.speaker for turn in turns]
    if speakers != [HUMAN, MODEL] * (len(turns) // 2) or not all(turn.text for turn in turns):
        raise bad_input(
            f"conversation {conversation.id!r} must have questions ({HUMAN}) and answers ({MODEL}) "
            f"in turn and end with an answer, none of them empty; got {', '.join(speakers)}"
        )
    truth = _truth(conversation)
    if style == "short" and conversation.normalized_answer and len(turns) == 2:
        value = conversation.normalized_answer
        if truth is not None:
            value = write_normalized(truth)
        turns = (Turn(HUMAN, short.write(turns[0].text)), Turn(MODEL, value))
    placeholders = placeholders_in(turns)
    return replace(conversation, turns=turns, mask_indices=conversation.mask_indices[:placeholders])


def _messages(conversation: Conversation) -> list[Message]:
    return [{"role": _ROLES[turn.speaker], "content": turn.text} for turn in conversation.turns]


def _truth(conversation: Conversation) -> NormalizedAnswer | None:
    """The true answer to a single question of a known category, where the data set has one.

    Raises:
        SpatialError: BAD_INPUT when it cannot be read.
    """
    is_single = len(conversation.turns) == 2
    if (
        not is_single
        or conversation.category not in CATEGORIES
        or not conversation.normalized_answer
    ):
        return None
    masks = conversation.turns[0].text.count(MASK)
    try:
        return read_truth(conversation.normalized_answer, conversation.category, masks)
    except ValueError as error:
        raise bad_input(
            f"normalized_answer of conversation {conversation.id!r} ({conversation.category}): "
            f"{error}"
        ) from error


def _typed_answer(conversation: Conversation) -> TypedAnswer:
    truth = _truth(conversation)
    if truth is None:
        return TypedAnswer()
    kind = CATEGORIES[conversation.category]
    number = truth == "right" if kind is Category.LEFT_RIGHT else truth
    return TypedAnswer(kind.value, float(number))


def _depth(sample: Sample) -> Any:
    """Depth in meters if the file has a unit, otherwise gray levels."""
    if sample.depth is None:
        return None
    levels = sample.depth.read()
    if levels.dtype == np.uint8:
        return levels
    return clean_depth(levels, sample.depth.metres_per_unit)


def _number_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
