"""Rows of a training batch: an image, and as many conversations about it as go into one row.

The image's tokens are computed once for all of them. Each conversation sees the image and itself,
at the positions that it would have alone, so that a packed row gives the same losses as its
conversations one by one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import BatchFeature

from smolrgpt_core.data.warehouse_format import BOX_FIELDS
from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.model.processing_smolrgpt import SmolRGPTProcessor, stack_rows
from smolrgpt_core.model.region_readings import NO_ANSWER
from smolrgpt_core.model.value_readings import SLOTS
from smolrgpt_core.model_inputs.prompts import IGNORED_LABEL, Message, TokenRow

TRUTHS = len(BOX_FIELDS) + 2
"""Numbers that are known of a region: its box, its place in the answer, and its color."""

PADDING = -1
"""Segment of tokens that belong to nothing."""


def packed_attention_mask(segment_ids: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """What each token of packed rows may read.

    Args:
        segment_ids: (B, T), 0 for the common head, above 0 for each conversation, -1 for padding.
        dtype: of the computation.

    Returns:
        (B, 1, T, T) to be added to the attention scores: 0, or the lowest number of `dtype`.
    """
    length = segment_ids.shape[1]
    order = torch.arange(length, device=segment_ids.device)
    reader, read = segment_ids[:, :, None], segment_ids[:, None, :]
    is_seen = ((read == reader) | (read == 0)) & (order[:, None] >= order)
    mask = torch.zeros(is_seen.shape, dtype=dtype, device=segment_ids.device)
    return mask.masked_fill_(~is_seen, torch.finfo(dtype).min)[:, None]


@dataclass(frozen=True)
class TypedAnswer:
    """The correct answer to the question of a conversation.

    Attributes:
        kind: a value of `Category`, or NO_ANSWER.
        value: as in `RegionAnswers`.
        numbers: as in `RegionAnswers`, at most `SLOTS`; fewer where there are none.
        truths: as in `RegionAnswers`, for each `<mask>`; empty: nothing is known.
    """

    kind: int = NO_ANSWER
    value: float = 0.0
    numbers: tuple[float, ...] = ()
    truths: tuple[tuple[float, ...], ...] = ()

    @property
    def padded_numbers(self) -> list[float]:
        """The numbers, and NaN in the place of those that are missing."""
        return [*self.numbers, *[math.nan] * (SLOTS - len(self.numbers))]


@dataclass(frozen=True)
class PackedImage:
    """One row.

    Attributes:
        conversations: each ends with the assistant's answer.
        mask_indices: for each conversation, which of `masks` each of its `<mask>` is, in order.
        image: uint8 (H, W, 3) RGB; None for questions about regions without an image, which the
            depth branch "metric" can learn from, or for text alone.
        depth: aligned to the image, as `SmolRGPTProcessor` takes it.
        masks: each mask once, in any form that the processor takes.
        intrinsics: calibration, which the depth branch "metric" needs.
        answers: of each conversation, for the readings of the metric branch; empty: unknown.

    Raises:
        SpatialError: BAD_INPUT when there is no conversation, or a mask is named that is not there.
    """

    conversations: Sequence[Sequence[Message]]
    mask_indices: Sequence[Sequence[int]]
    image: Any = None
    depth: Any = None
    masks: Sequence[Any] = ()
    intrinsics: CameraIntrinsics | None = None
    answers: Sequence[TypedAnswer] = ()

    def __post_init__(self) -> None:
        if not self.conversations or len(self.conversations) != len(self.mask_indices):
            raise bad_input(
                "expected conversations with a list of mask indices for each, got "
                f"{len(self.conversations)} and {len(self.mask_indices)}"
            )
        if self.answers and len(self.answers) != len(self.conversations):
            raise bad_input(
                f"expected an answer for each of the {len(self.conversations)} conversations, or "
                f"none, got {len(self.answers)}"
            )
        beyond = [i for named in self.mask_indices for i in named if not 0 <= i < len(self.masks)]
        if beyond:
            raise bad_input(f"a conversation names mask {beyond[0]}, there are {len(self.masks)}")


def pack_batch(processor: SmolRGPTProcessor, rows: Sequence[PackedImage]) -> BatchFeature:
    """A batch to train on; every entry is an argument of the model's `forward`.

    Either all rows have an image, or none has.

    Returns:
        input_ids, labels, position_ids, segment_ids, question_ids (B, T) int64; answer_kinds,
        answer_values (B, T) int64 and float32, and answer_numbers (B, T, S) where any row has
        answers; where there are masks region_indices, a list of B int64 (N_i,), and with
        region_measures region_truths, a list of B float32 (N_i, 9); images, masks and samples as
        the processor gives them.

    Raises:
        SpatialError: as the processor; BAD_INPUT for rows with and without images in one batch.
    """
    with_image = [row.image is not None for row in rows]
    if not rows or any(with_image) != all(with_image):
        raise bad_input("a batch must have rows, either all with an image or all without")
    tokens = [_pack(processor, row) for row in rows]
    padding = {"input_ids": processor.tokenizer.pad_token_id, "labels": IGNORED_LABEL,
               "position_ids": 0, "segment_ids": PADDING, "question_ids": 0}  # fmt: skip
    batch: dict[str, Any] = {
        name: stack_rows([of_row[name] for of_row in tokens], value)
        for name, value in padding.items()
    }
    if any(row.answers for row in rows):
        answers = [
            _answers_of_tokens(row, of_row) for row, of_row in zip(rows, tokens, strict=True)
        ]
        batch["answer_kinds"] = stack_rows([[a.kind for a in row] for row in answers], NO_ANSWER)
        batch["answer_values"] = stack_rows([[a.value for a in row] for row in answers], 0.0)
    if processor.config.region_measures and any(row.answers for row in rows):
        numbers = [[a.padded_numbers for a in row] for row in answers]
        batch["answer_numbers"] = stack_rows(numbers, TypedAnswer().padded_numbers)
        batch["region_truths"] = [_truths(row) for row in rows]
    return BatchFeature({**batch, **_visual_inputs(processor, rows, all(with_image))})


def _pack(processor: SmolRGPTProcessor, row: PackedImage) -> dict[str, list[int]]:
    """Tokens of all conversations behind their common head, by the name of the batch's entry."""
    tokenized = [
        processor.tokenize(conversation, row.image is not None, len(named), with_labels=True)
        for conversation, named in zip(row.conversations, row.mask_indices, strict=True)
    ]
    head = processor.head_length(tokenized[0].ids)
    packed = {
        "input_ids": tokenized[0].ids[:head],
        "labels": [IGNORED_LABEL] * head,
        "position_ids": list(range(head)),
        "segment_ids": [0] * head,
        "question_ids": [0] * head,
    }
    for segment, alone in enumerate(tokenized, start=1):
        if alone.ids[:head] != packed["input_ids"][:head]:
            raise ValueError(
                "chat_template must write the image tokens before the question; set "
                "config.chat_template to one that does"
            )
        _append(packed, alone, head, segment)
    return packed


def _answers_of_tokens(row: PackedImage, tokens: Mapping[str, list[int]]) -> list[TypedAnswer]:
    unknown = TypedAnswer()
    of_segment = (unknown, *(row.answers or [unknown] * len(row.conversations)))
    return [of_segment[segment] for segment in tokens["segment_ids"]]


def _truths(row: PackedImage) -> torch.Tensor:
    """(N, 9) of all `<mask>` of a row, in order."""
    found = (
        [
            truths
            for named, answer in zip(row.mask_indices, row.answers, strict=True)
            for truths in (answer.truths or [(math.nan,) * TRUTHS] * len(named))
        ]
        if row.answers
        else [(math.nan,) * TRUTHS] * sum(map(len, row.mask_indices))
    )
    return torch.tensor(found, dtype=torch.float32).view(-1, TRUTHS)


def _append(packed: dict[str, list[int]], alone: TokenRow, head: int, segment: int) -> None:
    length = len(alone.ids) - head
    before = max(packed["question_ids"], default=0)
    packed["input_ids"].extend(alone.ids[head:])
    packed["labels"].extend(alone.labels[head:])
    packed["position_ids"].extend(range(head, head + length))
    packed["segment_ids"].extend([segment] * length)
    packed["question_ids"].extend([id and id + before for id in alone.question_ids[head:]])


def _visual_inputs(
    processor: SmolRGPTProcessor, rows: Sequence[PackedImage], with_image: bool
) -> dict[str, Any]:
    """Pixels, masks and what the depth branch takes of all rows."""
    has_masks = any(len(row.masks) for row in rows)
    indices = [
        torch.tensor([i for named in row.mask_indices for i in named], dtype=torch.long)
        for row in rows
    ]
    named = {"region_indices": indices} if has_masks else {}
    if with_image:
        prepared = processor.prepare_images(
            [row.image for row in rows],
            [row.depth for row in rows] if any(row.depth is not None for row in rows) else None,
            [row.masks for row in rows],
            [row.intrinsics for row in rows],
            len(rows),
        )
        return {**prepared, **named}
    if not has_masks:
        return {}
    samples = [processor.prepare_samples(row.masks, row.depth, row.intrinsics) for row in rows]
    return {"region_samples": samples, **named}
