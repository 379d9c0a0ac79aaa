"""Rows of point-map models: one question about one image, with a point map and boxes.

In the format of `PointMapEngine`: a region is its class and the color of a box in the image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from smolrgpt_core.data.samples import Conversation
from smolrgpt_core.errors import bad_input
from smolrgpt_core.label_rules import class_in
from smolrgpt_core.language import MASK
from smolrgpt_core.language.mask_labels import mask_labels
from smolrgpt_core.model.point_map.modeling import IGNORED_LABEL
from smolrgpt_core.model.point_map.points import PointMap, depth_point_map
from smolrgpt_core.model.point_map.processing import PointMapProcessor
from smolrgpt_core.model_inputs.regions_in_words import (
    BOX_COLORS,
    Box,
    grown_box,
    named_regions,
)
from smolrgpt_core.object_classes import label_noun
from smolrgpt_core.regions import Region
from smolrgpt_core.training.config import DataConfig
from smolrgpt_core.training.rows import Row, category_numbers, decoded_depth, to_device


class PointMapRows:
    """Implements `RowKind`.

    Args:
        processor: of the model.
        config: tokens per row.

    Raises:
        SpatialError: BAD_INPUT for a configuration with several questions in a row, or with sources
            without images.
    """

    mixes = True

    def __init__(self, processor: PointMapProcessor, config: DataConfig) -> None:
        if config.questions_per_row != 1:
            raise bad_input(
                "a point-map model takes one question per row, since boxes are drawn into its "
                f"image: set data.questions_per_row to 1, got {config.questions_per_row}"
            )
        if any(source.inputs == "geometry" for source in config.sources):
            raise bad_input(
                'a point-map model needs images: set data.sources.inputs to "rgbd" or "rgb"'
            )
        self._processor = processor
        self._row_tokens = config.row_tokens

    def asked(self, conversation: Conversation) -> list[Conversation]:
        """Each question on its own; none if it is about more regions than there are box colors."""
        turns = conversation.turns
        if len(turns) % 2:
            return [conversation]
        ends = np.cumsum([0, *(turn.text.count(MASK) for turn in turns)]).tolist()
        single = [
            replace(
                conversation,
                turns=turns[place : place + 2],
                mask_indices=conversation.mask_indices[ends[place] : ends[place + 2]],
            )
            for place in range(0, len(turns), 2)
        ]
        return [item for item in single if len(item.mask_indices) <= len(BOX_COLORS)]

    def cut(self, conversations: Sequence[Conversation], inputs: str) -> list[list[Conversation]]:
        """One conversation per row."""
        return [[conversation] for conversation in conversations]

    def batch(self, rows: Sequence[Row]) -> dict[str, Any]:
        """Padded rows.

        Raises:
            SpatialError: BAD_INPUT; a row cannot be used.
        """
        answers = [row.conversations[0].turns[1].text for row in rows]
        batch = dict(self._prepared(rows, answers))
        self._check_lengths(rows, batch["attention_mask"].sum(dim=1).tolist())
        return {**batch, "answer_categories": category_numbers(rows)[self.places(rows, batch)]}

    def places(self, rows: Sequence[Row], batch: Mapping[str, Any]) -> torch.Tensor:
        """As `RowKind`: a row has one conversation."""
        is_answer = batch["labels"][:, 1:] != IGNORED_LABEL
        return torch.arange(len(rows))[:, None].expand_as(is_answer)[is_answer]

    def tokens(self, batch: Mapping[str, Any]) -> int:
        """Tokens of a batch without padding."""
        return int(batch["attention_mask"].sum())

    def answer(self, model: Any, row: Row, device: torch.device, max_new_tokens: int) -> str:
        """The model's answer to the question of a row.

        Args:
            model: of the kind of these rows.
            row: with the question.
            device: of the model.
            max_new_tokens: limit of the answer.
        """
        inputs = to_device(self._prepared([row], None), device)
        ids = model.generate(**inputs, do_sample=False, max_new_tokens=max_new_tokens)
        return self._processor.decode(ids[0, inputs["input_ids"].shape[1] :])

    def _prepared(self, rows: Sequence[Row], answers: Sequence[str] | None) -> Mapping[str, Any]:
        images = [row.sample.image.read() for row in rows]
        sizes = [image.shape[:2] for image in images]
        points = None
        if self._processor.config.points != "none":
            points = [_points(row, size) for row, size in zip(rows, sizes, strict=True)]
        texts = [_question(row.conversations[0]) for row in rows]
        boxes = [_boxes(row, size) for row, size in zip(rows, sizes, strict=True)]
        return self._processor(images, texts, points, answers, boxes)

    def _check_lengths(self, rows: Sequence[Row], lengths: Sequence[int]) -> None:
        for row, length in zip(rows, lengths, strict=True):
            if length > self._row_tokens:
                raise bad_input(
                    f"conversation {row.conversations[0].id!r} has {length} tokens with its "
                    f"image, but data.row_tokens is {self._row_tokens}; raise it, or remove such "
                    "conversations"
                )


def _question(conversation: Conversation) -> str:
    question, answer = (turn.text for turn in conversation.turns)
    if MASK in answer:
        raise bad_input(
            f"the answer of conversation {conversation.id!r} has {MASK}; a point-map model can "
            "only name the regions of the question"
        )
    labels = mask_labels(question)
    return named_regions(question, [label_noun(class_in(label) or label) for label in labels])


def _boxes(row: Row, size: tuple[int, int]) -> list[Box]:
    """Boxes of the regions, with sides scaled at random as in the authors' training."""
    random = np.random.default_rng(row.draws)
    boxes = []
    for index in row.conversations[0].mask_indices:
        box = Region.from_rle(index, "", row.sample.rle[index]).box
        corners = (float(box.x), float(box.y), float(box.x + box.width), float(box.y + box.height))
        boxes.append(grown_box(corners, size, random))
    return boxes


def _points(row: Row, size: tuple[int, int]) -> PointMap:
    """The point map of a row; one without readings where its source has no depth."""
    if row.inputs == "rgb" or row.sample.depth is None:
        return np.concatenate([np.full((*size, 3), np.nan), np.zeros((*size, 1))], axis=-1).astype(
            np.float32
        )
    camera = row.sample.camera
    if camera is None:
        raise bad_input(
            f"sample {row.sample.id!r} has depth but no calibration, so there are no points: add "
            "cameras.json, or read the source as inputs: rgb"
        )
    depth = decoded_depth(row.sample)
    if depth.dtype == np.uint8:
        raise bad_input(
            f"sample {row.sample.id!r} has a depth image without a unit; points need meters"
        )
    return depth_point_map(depth, camera.intrinsics)
