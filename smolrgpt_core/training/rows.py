"""Packs samples into rows: which questions share a row, and the answer style of each.

Works on texts; only `Row.pack` decodes images and masks. Everything depends only on the sample, the
seed and the epoch, so that every process creates the same rows.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol

import numpy as np
import torch

from smolrgpt_core.answer.scoring import NormalizedAnswer, write_normalized
from smolrgpt_core.answerer_settings import SHORT
from smolrgpt_core.data.samples import Conversation, Sample
from smolrgpt_core.data.truths import read_truth
from smolrgpt_core.data.warehouse_format import HUMAN, MODEL, Turn, placeholders_in
from smolrgpt_core.depth import clean_depth
from smolrgpt_core.errors import bad_input
from smolrgpt_core.language import CATEGORIES, MASK, Category
from smolrgpt_core.model.packing import PackedImage, TypedAnswer
from smolrgpt_core.model.processing_smolrgpt import Message
from smolrgpt_core.synthesis.mixtures import MIXTURES
from smolrgpt_core.synthesis.reasoning import REQUESTS
from smolrgpt_core.training.answer_targets import typed_answer
from smolrgpt_core.training.config import STEPS, DataConfig, SourceConfig

ROLES = {HUMAN: "user", MODEL: "assistant"}

LOSS_CATEGORIES = (*CATEGORIES, *MIXTURES["hispatial"].families, "other")
"""Question categories and families of tasks for which losses are reported."""


@dataclass(frozen=True, eq=False)
class Row:
    """Conversations about one sample that are processed together.

    Attributes:
        sample: images and masks, encoded.
        conversations: each in the style of its answer.
        inputs: as in `SourceConfig`.
        draws: seed of the random draws when the row is decoded.
    """

    sample: Sample
    conversations: tuple[Conversation, ...]
    inputs: str = SourceConfig.inputs
    draws: tuple[int, ...] = ()

    def pack(self) -> PackedImage:
        """Decode what the row of SmolRGPT needs.

        Raises:
            SpatialError: BAD_INPUT; a file or record cannot be used, the message names it.
        """
        mask_indices: list[int] = []
        if self.inputs != "rgb":
            mask_indices = sorted({i for item in self.conversations for i in item.mask_indices})
        camera = self.sample.camera
        return PackedImage(
            conversations=[_messages(item) for item in self.conversations],
            mask_indices=[self._places(item, mask_indices) for item in self.conversations],
            image=None if self.inputs == "geometry" else self.sample.image.read(),
            depth=None if self.inputs == "rgb" else decoded_depth(self.sample),
            masks=[self.sample.mask(index) for index in mask_indices],
            intrinsics=camera.intrinsics if camera else None,
            answers=[_typed_answer(item) for item in self.conversations] if mask_indices else (),
        )

    def _places(self, conversation: Conversation, mask_indices: Sequence[int]) -> list[int]:
        """Positions of the masks of a conversation among those of its row."""
        if set(conversation.mask_indices) - set(mask_indices):
            raise bad_input(
                f"conversation {conversation.id!r} is about regions, but its source has "
                '`inputs: rgb`; use "rgbd" or "geometry"'
            )
        return [mask_indices.index(index) for index in conversation.mask_indices]


class RowKind(Protocol):
    """How rows of one kind of model are cut and batched.

    Attributes:
        mixes: whether the rows of a batch may come from several sources.
    """

    mixes: bool

    def asked(self, conversation: Conversation) -> list[Conversation]:
        """The parts of a conversation that the model can be asked, each for a row; may be empty."""
        ...

    def cut(self, conversations: Sequence[Conversation], inputs: str) -> list[list[Conversation]]:
        """Split the conversations about one sample into rows.

        Raises:
            SpatialError: BAD_INPUT for one that is longer than a row may be.
        """
        ...

    def batch(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Decoded rows as the arguments of the model's `forward`, and `answer_categories` (N,).

        Raises:
            SpatialError: BAD_INPUT; a row cannot be used.
        """
        ...

    def places(self, rows: Sequence[Row], batch: Mapping[str, Any]) -> torch.Tensor:
        """The index of the conversation of each answer token (N,) of a batch, over all rows."""
        ...

    def tokens(self, batch: Mapping[str, Any]) -> int:
        """Tokens of a batch without padding."""
        ...

    def answer(self, model: Any, row: Row, device: torch.device, max_new_tokens: int) -> str:
        """The model's answer to the last question of a row's first conversation.

        Args:
            model: of the kind of these rows.
            row: with the question.
            device: of the model.
            max_new_tokens: limit of the answer.
        """
        ...


class RowCutter:
    """Packs samples into rows."""

    def __init__(
        self,
        kind: RowKind,
        config: DataConfig,
        source: SourceConfig,
        seed: int,
        answer: Callable[[Conversation], Conversation] | None = None,
    ) -> None:
        """Store what rows depend on.

        Args:
            kind: of the model.
            config: questions per row, tokens per row, styles.
            source: of the samples.
            seed: of the run.
            answer: replaces the answer of a conversation in its style, or leaves it unchanged.
        """
        self._kind = kind
        self._config = config
        self._seed = seed
        self._answer = answer
        self._categories = source.categories
        self._matching = re.compile(source.matching, re.IGNORECASE) if source.matching else None
        self._inputs = source.inputs

    @property
    def wanted(self) -> str:
        """Which questions are selected, for a message; "" if all are."""
        return f" for questions of {', '.join(self._categories)}" if self._categories else ""

    def rows(self, sample: Sample, epoch: int) -> list[Row]:
        """All rows of a sample in one epoch, with each selected conversation once.

        None if no question of the sample is selected.

        Raises:
            SpatialError: BAD_INPUT for a conversation without an answer, or one that is longer
                than a row may be.
        """
        seed = (self._seed, epoch, _number_of(sample.id))
        generator = np.random.default_rng(seed)
        wanted = [
            asked
            for conversation in sample.conversations
            if self._is_wanted(conversation)
            for asked in self._kind.asked(conversation)
        ]
        styles = self._draw_styles(generator, len(wanted))

        def draw_request() -> str:
            return REQUESTS[int(generator.integers(len(REQUESTS)))]

        conversations = [
            _in_style(conversation, style, draw_request)
            for conversation, style in zip(wanted, styles, strict=True)
        ]
        if self._answer is not None:
            conversations = [self._answer(item) for item in conversations]
        shuffled = [conversations[i] for i in generator.permutation(len(conversations))]
        return [
            Row(sample, tuple(part), self._inputs, (*seed, number))
            for number, part in enumerate(self._kind.cut(shuffled, self._inputs))
        ]

    def variants(self, sample: Sample) -> list[Conversation]:
        """The selected conversations of a sample, in every style that may be drawn.

        Raises:
            SpatialError: BAD_INPUT for a conversation without an answer.
        """
        styles = [style for style, fraction in self._config.styles.items() if fraction]
        found = [
            _in_style(asked, style, partial(str, request))
            for conversation in sample.conversations
            if self._is_wanted(conversation)
            for asked in self._kind.asked(conversation)
            for style in styles
            for request in (REQUESTS if style == STEPS else REQUESTS[:1])
        ]
        if self._answer is not None:
            found = [self._answer(item) for item in found]
        # What has no value or no steps is the same in all styles.
        return list({(item.id, item.turns): item for item in found}.values())

    def _is_wanted(self, conversation: Conversation) -> bool:
        if self._categories and conversation.category not in self._categories:
            return False
        if self._matching is None:
            return True
        texts = (turn.text for turn in conversation.turns if turn.speaker == HUMAN)
        return any(map(self._matching.search, texts))

    def _draw_styles(self, generator: np.random.Generator, count: int) -> list[str]:
        names = sorted(self._config.styles)
        fractions = np.array([self._config.styles[name] for name in names])
        return [str(name) for name in generator.choice(names, count, p=fractions / fractions.sum())]


def category_numbers(rows: Sequence[Row]) -> torch.Tensor:
    """Index in `LOSS_CATEGORIES` of each conversation of all rows, int64."""
    names = [item.category for row in rows for item in row.conversations]
    known = [name if name in LOSS_CATEGORIES else "other" for name in names]
    return torch.tensor([LOSS_CATEGORIES.index(name) for name in known])


def to_device(batch: Mapping[str, Any], device: torch.device) -> dict[str, Any]:
    """The tensors of a batch, and lists of them, on a device."""
    return {
        name: [item.to(device) for item in value] if isinstance(value, list) else value.to(device)
        for name, value in batch.items()
    }


def _in_style(conversation: Conversation, style: str, request: Callable[[], str]) -> Conversation:
    """A conversation in a style; one without the value or the steps that it needs is unchanged."""
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
        turns = (Turn(HUMAN, SHORT.write(turns[0].text)), Turn(MODEL, value))
    if style == STEPS and conversation.reasoning and len(turns) == 2:
        asked = f"{turns[0].text} {request()}"
        turns = (Turn(HUMAN, asked), Turn(MODEL, conversation.reasoning))
    placeholders = placeholders_in(turns)
    return replace(conversation, turns=turns, mask_indices=conversation.mask_indices[:placeholders])


def _messages(conversation: Conversation) -> list[Message]:
    return [{"role": ROLES[turn.speaker], "content": turn.text} for turn in conversation.turns]


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
    if conversation.truth is not None and len(conversation.turns) == 2:
        return typed_answer(conversation, conversation.truth)
    truth = _truth(conversation)
    if truth is None:
        return TypedAnswer()
    kind = CATEGORIES[conversation.category]
    number = truth == "right" if kind is Category.LEFT_RIGHT else truth
    return TypedAnswer(kind.value, float(number))


def decoded_depth(sample: Sample) -> Any:
    """Depth in meters if the file has a unit, otherwise gray levels."""
    if sample.depth is None:
        return None
    levels = sample.depth.read()
    if levels.dtype == np.uint8:
        return levels
    return clean_depth(levels, sample.depth.meters_per_unit)


def _number_of(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
