"""Boxes of objects by their names, from open-vocabulary detectors.

The labels that come back are exactly the classes that were asked for. Grounding DINO scores each
word of the prompt "pallet. buffer zone. forklift."; the words of a class are known here by their
place in the prompt, so that "zone" is the buffer zone, and a box that fits two classes alike is
dropped rather than named by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForZeroShotObjectDetection, AutoTokenizer

from smolrgpt_core.errors import bad_input
from smolrgpt_core.perception.images import check_rgb
from smolrgpt_core.perception.loading import (
    by_kind,
    load_image_processor,
    load_model,
)
from smolrgpt_core.perception.stages import BoxDetector, Detection

_WHAT = "an open-vocabulary detector"

_OWL_PROMPT = "a photo of a {}"
"""As OWL-ViT was trained."""


@dataclass(frozen=True)
class DetectionConfig:
    """Which boxes are objects.

    Attributes:
        min_score: lowest confidence; 0.25 is Grounding DINO's and SpatialRGPT's.
        nms_iou: of two boxes of one class that overlap by more, the better one is kept.
        max_runner_up_ratio: a box belongs to a class only if its second best class scores less
            than this fraction of the best.

    Raises:
        ValueError: when a value is not within 0 to 1, naming the field.
    """

    min_score: float = 0.25
    nms_iou: float = 0.5
    max_runner_up_ratio: float = 0.9

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be within 0 to 1, got {getattr(self, name)}")


def load_box_detector(
    checkpoint: str | Path, device: str = "cpu", config: DetectionConfig | None = None
) -> BoxDetector:
    """The detector of a checkpoint.

    Args:
        checkpoint: folder or hub id of Grounding DINO, MM Grounding DINO, OWL-ViT or OWLv2.
        device: "auto", or a device of PyTorch.
        config: which boxes are objects.

    Raises:
        OSError: when there is no such checkpoint, or a file of it cannot be read.
        ValueError: when it is of another kind, its weights are incomplete, or there is no such
            device.
    """
    make_detector = by_kind(checkpoint, _WHAT, _KINDS)
    model = load_model(AutoModelForZeroShotObjectDetection, checkpoint, device, _WHAT)
    processor = load_image_processor(checkpoint)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    return make_detector(model, processor, tokenizer, config or DetectionConfig())


@dataclass(frozen=True, eq=False)
class TextDetector:
    """A detector of transformers that reads the classes as text.

    Attributes:
        model: gives `logits` (1, queries, tokens or classes) and `pred_boxes` (1, queries, 4).
        processor: image processor of transformers.
        tokenizer: of transformers; for Grounding DINO one that knows the characters of each token.
        config: which boxes are objects.
    """

    model: Any
    processor: Any
    tokenizer: Any
    config: DetectionConfig


class GroundingDetector(TextDetector):
    """Grounding DINO: scores the words of one prompt with all classes."""

    @torch.inference_mode()
    def detect(self, rgb: NDArray[np.uint8], classes: Sequence[str]) -> list[Detection]:
        """All objects of these classes, best first; see `BoxDetector`.

        Raises:
            SpatialError: BAD_INPUT when the image or a class is not usable, or there are more
                classes than the model can read.
        """
        check_rgb(rgb)
        names = checked_classes(classes)
        text, words = self._read(names)
        image = self.processor(images=rgb, return_tensors="pt")
        output = self.model(**{k: v.to(self.model.device) for k, v in {**image, **text}.items()})
        scores = output.logits[0].sigmoid().float().cpu()
        # The words of a name see each other, but not those of other names: the best one counts.
        best = torch.stack([scores[:, tokens].amax(dim=1) for tokens in words], dim=1).numpy()
        boxes = _corners(output.pred_boxes[0], rgb.shape[1], rgb.shape[0])
        return best_boxes(boxes, best, names, rgb.shape[:2], self.config)

    def _read(self, names: Sequence[str]) -> tuple[dict[str, Tensor], list[list[int]]]:
        """The prompt as the model takes it, and the tokens of each class in it."""
        prompt, spans = grounding_prompt(names)
        text = self.tokenizer(prompt, return_tensors="pt", return_offsets_mapping=True)
        offsets = text.pop("offset_mapping")[0].tolist()
        limit = int(self.model.config.max_text_len)
        if len(offsets) > limit:
            raise bad_input(
                f"the classes must fit into {limit} tokens of the detector, but the {len(names)} "
                f"classes have {len(offsets)}; ask for fewer at a time"
            )
        words = [
            [index for index, (start, end) in enumerate(offsets) if first <= start < end <= last]
            for first, last in spans
        ]
        return dict(text), words


class OwlDetector(TextDetector):
    """OWL-ViT and OWLv2: one text for each class."""

    @torch.inference_mode()
    def detect(self, rgb: NDArray[np.uint8], classes: Sequence[str]) -> list[Detection]:
        """All objects of these classes, best first; see `BoxDetector`.

        Raises:
            SpatialError: BAD_INPUT when the image or a class is not usable.
        """
        check_rgb(rgb)
        names = checked_classes(classes)
        inputs = {**self.processor(images=rgb, return_tensors="pt"), **self._read(names)}
        output = self.model(**{key: value.to(self.model.device) for key, value in inputs.items()})
        scores = output.logits[0].sigmoid().float().cpu().numpy()
        boxes = _corners(output.pred_boxes[0], *self._spanned(rgb.shape[1], rgb.shape[0]))
        return best_boxes(boxes, scores, names, rgb.shape[:2], self.config)

    def _read(self, names: Sequence[str]) -> dict[str, Tensor]:
        prompts = [_OWL_PROMPT.format(name) for name in names]
        limit = int(self.model.config.text_config.max_position_embeddings)
        text = self.tokenizer(prompts, padding="max_length", max_length=limit, return_tensors="pt")
        tokens = text["input_ids"].shape[1]
        if tokens > limit:
            raise bad_input(
                f"a class must fit into {limit} tokens of the detector, but one of {list(names)} "
                f"has {tokens}; use a shorter name"
            )
        return {name: text[name] for name in ("input_ids", "attention_mask")}

    def _spanned(self, width: int, height: int) -> tuple[int, int]:
        """What the unit of its boxes is: OWLv2 pads the image to a square, OWL-ViT does not."""
        if self.model.config.model_type == "owlv2":
            return max(width, height), max(width, height)
        return width, height


def checked_classes(classes: Sequence[str]) -> list[str]:
    """The classes in lower case, each once.

    Raises:
        SpatialError: BAD_INPUT when there are none, or one has no letters or has a full stop, which
            ends a class in the prompt.
    """
    names = list(dict.fromkeys(" ".join(name.lower().split()) for name in classes))
    if not names:
        raise bad_input('name at least one class to look for, such as "pallet"')
    for name in names:
        if "." in name or not any(character.isalpha() for character in name):
            raise bad_input(f'a class must be a name such as "buffer zone", got {name!r}')
    return names


def grounding_prompt(names: Sequence[str]) -> tuple[str, list[tuple[int, int]]]:
    """The prompt "pallet. buffer zone." of these classes, and the characters of each in it.

    Returns:
        The prompt, and (first, end) of each class.
    """
    prompt, spans = "", []
    for name in names:
        start = len(prompt)
        spans.append((start, start + len(name)))
        prompt += f"{name}. "
    return prompt.rstrip(), spans


def best_boxes(
    boxes: NDArray[np.float32],
    scores: NDArray[np.floating],
    names: Sequence[str],
    image_size: tuple[int, ...],
    config: DetectionConfig,
) -> list[Detection]:
    """Detections above the score, without those that repeat a better one of their class.

    Args:
        boxes: (N, 4), left, top, right, bottom in pixels; cut to the image here.
        scores: (N, classes), 0 to 1.
        names: of the classes.
        image_size: (height, width).
        config: which boxes are objects.
    """
    height, width = image_size
    boxes = np.clip(boxes, 0, [width, height, width, height])
    labels, best = scores.argmax(axis=1), scores.max(axis=1)
    is_object = (best >= config.min_score) & _is_clear(scores, config.max_runner_up_ratio)
    is_object &= np.all(boxes[:, 2:] - boxes[:, :2] >= 1, axis=1)
    found: list[Detection] = []
    for index in np.argsort(-best, kind="stable"):
        left, top, right, bottom = (float(value) for value in boxes[index])
        one = Detection(names[labels[index]], (left, top, right, bottom), float(best[index]))
        same = (other.box for other in found if other.label == one.label)
        if is_object[index] and all(box_iou(one.box, box) <= config.nms_iou for box in same):
            found.append(one)
    return found


def box_iou(
    box: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> float:
    """Intersection over union of two boxes (left, top, right, bottom), 0 to 1."""
    width = min(box[2], other[2]) - max(box[0], other[0])
    height = min(box[3], other[3]) - max(box[1], other[1])
    common = max(width, 0.0) * max(height, 0.0)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (box, other)]
    return common / (sum(areas) - common)


def _is_clear(scores: NDArray[np.floating], max_runner_up_ratio: float) -> NDArray[np.bool_]:
    """Whether (N,) no class is about as good as the best one by scores (N, classes)."""
    if scores.shape[1] == 1:
        return np.ones(len(scores), dtype=bool)
    second, first = np.sort(scores, axis=1)[:, -2:].T
    return second < max_runner_up_ratio * first


def _corners(boxes: Tensor, width: int, height: int) -> NDArray[np.float32]:
    """Boxes (N, 4) of center and size, relative to the image, as corners in pixels."""
    x, y, across, down = boxes.float().cpu().numpy().T
    corners = np.stack([x - across / 2, y - down / 2, x + across / 2, y + down / 2], axis=1)
    return corners * np.array([width, height, width, height], dtype=np.float32)


_KINDS: dict[str, Callable[[Any, Any, Any, DetectionConfig], BoxDetector]] = {
    "grounding-dino": GroundingDetector,
    "mm-grounding-dino": GroundingDetector,
    "owlv2": OwlDetector,
    "owlvit": OwlDetector,
}
"""By `model_type` of a checkpoint."""
