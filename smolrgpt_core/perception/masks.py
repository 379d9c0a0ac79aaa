"""Masks of the objects that fill boxes, from SAM and SAM 2.

The image is encoded once; the boxes are decoded some at a time. Of the masks that the model
proposes for a box, the one with the best predicted IoU is taken, and that IoU is its confidence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForMaskGeneration

from smolrgpt_core.errors import bad_input
from smolrgpt_core.perception.images import StretchProcessor, check_rgb, resize_maps
from smolrgpt_core.perception.loading import (
    by_kind,
    load_image_processor,
    load_model,
)
from smolrgpt_core.perception.stages import BoxSegmenter

_WHAT = "a model of masks from boxes"

_BOXES_AT_ONCE = 32
"""Boxes that are decoded together, which bounds the memory."""

_SAM2_DEFAULTS = {
    "size": {"height": 1024, "width": 1024},
    "image_mean": (0.485, 0.456, 0.406),
    "image_std": (0.229, 0.224, 0.225),
    "rescale_factor": 1 / 255,
}
"""Of transformers' Sam2ImageProcessor."""


def load_box_segmenter(checkpoint: str | Path, device: str = "cpu") -> BoxSegmenter:
    """The model of a checkpoint that finds masks for boxes.

    Args:
        checkpoint: folder or hub id of SAM or SAM 2.
        device: "auto", or a device of PyTorch.

    Raises:
        OSError: when there is no such checkpoint, or a file of it cannot be read.
        ValueError: when it is of another kind, its weights are incomplete, or there is no such
            device.
    """
    return by_kind(checkpoint, _WHAT, _KINDS)(checkpoint, device)


@dataclass(frozen=True, eq=False)
class PromptedImage:
    """An image as a model of the SAM family takes it.

    Attributes:
        pixels: (1, 3, S, T), what the model takes.
        used: (height, width) of the part of it that the image fills, from the upper left.
    """

    pixels: Tensor
    used: tuple[int, int]


@dataclass(frozen=True, eq=False)
class SamSegmenter:
    """SAM or SAM 2.

    Attributes:
        model: gives `pred_masks` (1, N, proposals, h, w) and `iou_scores` (1, N, proposals).
        prepare: image uint8 (H, W, 3) to what the model takes.
    """

    model: Any
    prepare: Callable[[NDArray[np.uint8]], PromptedImage]

    @torch.inference_mode()
    def masks(
        self, rgb: NDArray[np.uint8], boxes: NDArray[np.float32]
    ) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """One mask for each box, with its confidence; see `BoxSegmenter`.

        Raises:
            SpatialError: BAD_INPUT when the image is not uint8 (H, W, 3), or the boxes are not
                (N, 4) with a size.
        """
        check_rgb(rgb)
        _check_boxes(boxes)
        height, width = rgb.shape[:2]
        masks = np.zeros((len(boxes), height, width), dtype=bool)
        scores = np.zeros(len(boxes), dtype=np.float32)
        if not len(boxes):
            return masks, scores
        image = self.prepare(rgb)
        embeddings = self.model.get_image_embeddings(image.pixels.to(self.model.device))
        scale = np.array([image.used[1] / width, image.used[0] / height] * 2, dtype=np.float32)
        for start in range(0, len(boxes), _BOXES_AT_ONCE):
            chosen = slice(start, start + _BOXES_AT_ONCE)
            prompts = torch.from_numpy(boxes[chosen].astype(np.float32) * scale)[None]
            output = self.model(
                image_embeddings=embeddings, input_boxes=prompts.to(self.model.device)
            )
            logits, iou = _best_proposals(output.pred_masks[0], output.iou_scores[0])
            masks[chosen] = _at_image(logits, image, (height, width)).cpu().numpy()
            scores[chosen] = iou.clamp(0, 1).cpu().numpy()
        return masks, scores


def _best_proposals(masks: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Of masks (N, proposals, h, w) and scores (N, proposals) the best of each: (N, h, w), (N,)."""
    best = scores.argmax(dim=1)
    rows = torch.arange(len(best), device=best.device)
    return masks[rows, best].float(), scores[rows, best].float()


def _at_image(logits: Tensor, image: PromptedImage, size: tuple[int, int]) -> Tensor:
    """Masks bool (N, height, width) of logits (N, h, w) that cover all of the model's input."""
    covered = resize_maps(logits, (int(image.pixels.shape[-2]), int(image.pixels.shape[-1])))
    return resize_maps(covered[:, : image.used[0], : image.used[1]], size) > 0


def _check_boxes(boxes: NDArray[np.float32]) -> None:
    if boxes.ndim != 2 or boxes.shape[1] != 4 or not np.all(np.isfinite(boxes)):
        raise bad_input(f"boxes must be finite numbers (N, 4), got {boxes.dtype} {boxes.shape}")
    if np.any(boxes[:, 2:] <= boxes[:, :2]):
        raise bad_input("boxes must be left, top, right, bottom in pixels, with a size")


def _load_sam(checkpoint: str | Path, device: str) -> BoxSegmenter:
    model = load_model(AutoModelForMaskGeneration, checkpoint, device, _WHAT)
    processor = load_image_processor(checkpoint)

    def prepare(rgb: NDArray[np.uint8]) -> PromptedImage:
        inputs = processor(images=rgb, return_tensors="pt")
        height, width = inputs["reshaped_input_sizes"][0].tolist()
        return PromptedImage(inputs["pixel_values"], (height, width))

    return SamSegmenter(model, prepare)


def _load_sam2(checkpoint: str | Path, device: str) -> BoxSegmenter:
    model = load_model(AutoModelForMaskGeneration, checkpoint, device, _WHAT)
    processor = StretchProcessor.from_pretrained(checkpoint, _SAM2_DEFAULTS, antialias=True)
    return SamSegmenter(model, lambda rgb: PromptedImage(processor(rgb), processor.size))


_KINDS: dict[str, Callable[[str | Path, str], BoxSegmenter]] = {
    "sam": _load_sam,
    "sam2": _load_sam2,
    # The released checkpoints of SAM 2 are of this type; their images are read like SAM 2's.
    "sam2_video": _load_sam2,
}
"""By `model_type` of a checkpoint."""
