"""Converts images, point maps and questions to the inputs of a point-map model.

Image processor and tokenizer are those of the vision-language model; this module writes prompts,
sizes the point maps and pads rows, alike for all families.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoImageProcessor, AutoTokenizer, BatchFeature

from smolrgpt_core.checkpoints import check_that_it_exists
from smolrgpt_core.errors import bad_question
from smolrgpt_core.model.point_map.configuration import PointMapConfig
from smolrgpt_core.model.point_map.families import family_of
from smolrgpt_core.model.point_map.modeling import GRIDS, IGNORED_LABEL
from smolrgpt_core.model.point_map.points import (
    PointMap,
    model_points,
    relative_points,
    resized_point_map,
)
from smolrgpt_core.model_inputs.prompts import add_prompt_tokens, prompt_texts
from smolrgpt_core.model_inputs.regions_in_words import BOX_COLORS, Box, draw_boxes, scaled_box


class PointMapProcessor:
    """Prepares images, points and texts for one checkpoint.

    Args:
        config: of the checkpoint.
        image_processor: of the vision-language model.
        tokenizer: of the vision-language model.

    Raises:
        ValueError: for a family without an entry in `FAMILIES`; for one that is asked by a chat
            template when the tokenizer has none.
    """

    def __init__(self, config: PointMapConfig, image_processor: Any, tokenizer: Any) -> None:
        self.config = config
        self.image_processor = image_processor
        self.tokenizer = tokenizer
        add_prompt_tokens(tokenizer, config.prompt_tokens)
        self._family = family_of(config.vlm_config)
        self._patch = self._family.patch_size(config.vlm_config)
        self._block = self._family.block_size(config.vlm_config)
        if self._family.chat and not tokenizer.chat_template:
            raise ValueError(
                f"models of type {config.vlm_config.model_type!r} are asked by a chat template, "
                "and this tokenizer has none; copy chat_template.jinja into the checkpoint"
            )

    @classmethod
    def from_pretrained(
        cls, checkpoint: str | Path, config: PointMapConfig | None = None
    ) -> PointMapProcessor:
        """Of a checkpoint, from a folder or hub id.

        Args:
            checkpoint: with the files of the vision-language model's own processor.
            config: when the checkpoint is a plain vision-language model that is to see points.

        Raises:
            OSError: when there is no such checkpoint, or a file is missing.
        """
        check_that_it_exists(checkpoint)
        return cls(
            config or PointMapConfig.from_pretrained(checkpoint),
            AutoImageProcessor.from_pretrained(checkpoint),
            AutoTokenizer.from_pretrained(checkpoint),
        )

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the files of the vision-language model's processor."""
        self.image_processor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    def __call__(
        self,
        images: Sequence[NDArray[np.uint8]],
        texts: Sequence[str],
        points: Sequence[PointMap] | None = None,
        answers: Sequence[str] | None = None,
        boxes: Sequence[Sequence[Box]] | None = None,
    ) -> BatchFeature:
        """A batch of B questions, each about its own image.

        Args:
            images: B of (H, W, 3) RGB.
            texts: B questions.
            points: B point maps (H, W, 4); None = images alone.
            answers: B, for training: rows then end with the answer, are padded on the right and
                come with labels; without, they are padded on the left, ready to be continued.
            boxes: for each image those to draw, in the order of `BOX_COLORS`, in its pixels.

        Raises:
            SpatialError: BAD_QUESTION when a text holds a special token.
            ValueError: when the numbers of images, texts, points or answers differ.
        """
        _check_numbers(len(images), texts=texts, points=points, answers=answers, boxes=boxes)
        batch, sizes = self.prepare_images(images, boxes)
        if points is not None and self.config.points != "none":
            batch["point_values"] = self.prepare_points(points, sizes)
        replies = [None] * len(texts) if answers is None else answers
        rows = [
            self._row(text, answer, size)
            for text, answer, size in zip(texts, replies, sizes, strict=True)
        ]
        return BatchFeature({**batch, **self._padded(rows, training=answers is not None)})

    def prepare_images(
        self,
        images: Sequence[NDArray[np.uint8]],
        boxes: Sequence[Sequence[Box]] | None = None,
    ) -> tuple[dict[str, Any], list[tuple[int, int]]]:
        """Pixels of B images (H, W, 3), and the (height, width) that the vision encoder sees."""
        images = [
            self._drawn(image, () if boxes is None else boxes[place])
            for place, image in enumerate(images)
        ]
        prepared = self.image_processor(
            images=[[image] for image in images] if self._nested else list(images),
            return_tensors="pt",
            **self._family.image_options,
        )
        inputs = {
            name: prepared[name]
            for name in ("pixel_values", "pixel_attention_mask", GRIDS)
            if name in prepared
        }
        if GRIDS in inputs:
            grids = inputs[GRIDS].tolist()
            return inputs, [
                (rows * self._patch, columns * self._patch) for _, rows, columns in grids
            ]
        return inputs, [tuple(inputs["pixel_values"].shape[-2:])] * len(images)

    def prepare_points(
        self, points: Sequence[PointMap], sizes: Sequence[tuple[int, int]]
    ) -> torch.Tensor | list[torch.Tensor]:
        """Points (B, 4, H, W) of B point maps; a list where the images differ in size."""
        maps = [
            self._model_input(resized_point_map(item, *size))
            for item, size in zip(points, sizes, strict=True)
        ]
        return torch.stack(maps) if len(set(sizes)) == 1 else maps

    def check_text(self, text: str) -> None:
        """Refuse text that the model would take for a control token.

        Raises:
            SpatialError: BAD_QUESTION when the text holds a special token.
        """
        tokens = [
            *self.tokenizer.all_special_tokens,
            *prompt_texts(self.config.prompt_tokens),
            self._family.image_token,
        ]
        found = next((token for token in tokens if token in text), None)
        if found is not None:
            raise bad_question(
                f"the question contains {found!r}, which is a control token of the model; remove it"
            )

    def _model_input(self, points: PointMap) -> torch.Tensor:
        if self.config.points == "relative":
            return relative_points(points)
        return model_points(points, self.config.point_code)

    def prompt(self, text: str, size: tuple[int, int]) -> str:
        """What the model reads of a question about an image of this (height, width).

        Raises:
            SpatialError: as `check_text`.
        """
        self.check_text(text)
        tokens = size[0] * size[1] // (self._patch * self._block) ** 2
        image = self._family.image_text.format(tokens=self._family.image_token * tokens)
        image = "".join(prompt_texts(self.config.prompt_tokens)) + image
        if not self._family.chat:
            return f"{image}{text}\n"
        content = [{"type": "image"}, {"type": "text", "text": text}]
        written: str = self.tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        return written.replace(self._family.image_token, image, 1)

    def decode(self, token_ids: Sequence[int] | torch.Tensor) -> str:
        """The words of an answer of tokens (T,), without control tokens."""
        return str(self.tokenizer.decode(token_ids, skip_special_tokens=True)).strip()

    def _drawn(self, image: NDArray[np.uint8], boxes: Sequence[Box]) -> NDArray[np.uint8]:
        """The image with boxes, which the authors draw when it has its last size."""
        size = image.shape[:2]
        if self.config.image_resampling == "opencv_bilinear":
            size = self._fixed_size()
            boxes = [scaled_box(box, image.shape[:2], size) for box in boxes]
            image = np.asarray(cv2.resize(image, size[::-1]), dtype=np.uint8)
        return draw_boxes(image, boxes, list(BOX_COLORS)[: len(boxes)])

    @property
    def _nested(self) -> bool:
        """Whether the image processor takes a list of the images of each text."""
        return self._family.image_options.get("do_image_splitting") is not None

    def _fixed_size(self) -> tuple[int, int]:
        size = self.config.vlm_config.vision_config.image_size
        return (size, size) if isinstance(size, int) else tuple(size)

    def _row(self, text: str, answer: str | None, size: tuple[int, int]) -> tuple[list[int], int]:
        """Tokens of a question and its answer, and how many are the answer's."""
        ids = self._token_ids(self.prompt(text, size))
        if answer is None:
            return ids, 0
        answered = [*self._token_ids(answer), self.tokenizer.eos_token_id]
        return ids + answered, len(answered)

    def _token_ids(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])

    def _padded(
        self, rows: Sequence[tuple[list[int], int]], training: bool
    ) -> dict[str, torch.Tensor]:
        """Token inputs (B, T) of rows of different lengths."""
        length = max(len(ids) for ids, _ in rows)
        pad_id = self.tokenizer.pad_token_id or 0
        shape = (len(rows), length)
        inputs = {
            "input_ids": torch.full(shape, pad_id),
            "attention_mask": torch.zeros(shape, dtype=torch.long),
            **{name: torch.zeros(shape, dtype=torch.long) for name in self._family.per_token},
        }
        labels = torch.full(shape, IGNORED_LABEL)
        for row, (ids, answered) in enumerate(rows):
            place = slice(0, len(ids)) if training else slice(length - len(ids), length)
            inputs["input_ids"][row, place] = torch.tensor(ids)
            inputs["attention_mask"][row, place] = 1
            if answered:
                answer = slice(len(ids) - answered, len(ids))
                labels[row, answer] = torch.tensor(ids[answer])
        self._mark(inputs, labels)
        return {**inputs, "labels": labels} if training else inputs

    def _mark(self, inputs: dict[str, torch.Tensor], labels: torch.Tensor) -> None:
        """Write the family's inputs of one number for each token."""
        image_id = self.tokenizer.convert_tokens_to_ids(self._family.image_token)
        for name, marks in self._family.per_token.items():
            of = labels != IGNORED_LABEL if marks == "answer" else inputs["input_ids"] == image_id
            inputs[name] = of.to(inputs[name].dtype)


def _check_numbers(expected: int, **parts: Sequence[Any] | None) -> None:
    for name, values in parts.items():
        if values is not None and len(values) != expected:
            raise ValueError(f"{expected} images but {len(values)} {name}; give one for each image")
