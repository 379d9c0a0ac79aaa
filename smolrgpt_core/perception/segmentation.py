"""Objects with their masks from color alone, by one model.

All models of transformers that segment by queries are read alike: each query has a mask and a
class, its confidence is the probability of the class times the mean probability of its mask. Their
own post-processing differs from family to family, writes masks over each other in the order of the
queries, and in its panoptic form gives every pixel to some object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForUniversalSegmentation, AutoTokenizer
from transformers.image_transforms import get_size_with_aspect_ratio

from smolrgpt_core.perception.center_voting import CenterVotingSegmenter
from smolrgpt_core.perception.images import check_rgb, resize_maps
from smolrgpt_core.perception.loading import (
    by_kind,
    load_image_processor,
    load_model,
)
from smolrgpt_core.perception.mask_selection import MaskRules, select_regions
from smolrgpt_core.perception.stages import RegionFinder
from smolrgpt_core.regions import RegionSet

_WHAT = "a segmentation model"

_ONEFORMER_TASK = "the task is instance"
"""The task of OneFormer, which it reads as text."""


def load_segmenter(
    checkpoint: str | Path, device: str = "cpu", rules: MaskRules | None = None
) -> RegionFinder:
    """The segmenter of a checkpoint.

    Args:
        checkpoint: folder or hub id of Mask2Former, MaskFormer, OneFormer, EoMT or DETR with masks,
            trained for instance or panoptic segmentation; or UperNet that votes for centers, as the
            one of the package.
        device: "auto", or a device of PyTorch.
        rules: which masks are objects.

    Raises:
        OSError: when there is no such checkpoint, or a file of it cannot be read.
        ValueError: when it is of another kind, its weights are incomplete, or there is no such
            device.
    """
    return by_kind(checkpoint, _WHAT, _KINDS)(checkpoint, device, rules or MaskRules())


@dataclass(frozen=True, eq=False)
class QuerySegmenter:
    """A model with a class and a mask for each query.

    Attributes:
        model: with `id2label` in its configuration.
        prepare: image uint8 (H, W, 3) to the inputs of the model.
        queries: output of the model to class logits (N, classes + 1), the last one "no object", and
            mask logits (N, h, w).
        used: inputs and image size to the fractions (down, across) of the model's input that the
            image fills, from the upper left.
        rules: which masks are objects.
    """

    model: Any
    prepare: Callable[[NDArray[np.uint8]], Mapping[str, Tensor]]
    queries: Callable[[Any], tuple[Tensor, Tensor]]
    used: Callable[[Mapping[str, Tensor], tuple[int, int]], tuple[float, float]]
    rules: MaskRules

    @torch.inference_mode()
    def find(self, rgb: NDArray[np.uint8]) -> RegionSet:
        """The objects of an image; see `RegionFinder`.

        Raises:
            SpatialError: BAD_INPUT when the image is not uint8 (H, W, 3).
        """
        check_rgb(rgb)
        size = (rgb.shape[0], rgb.shape[1])
        inputs = self.prepare(rgb)
        output = self.model(**{name: value.to(self.model.device) for name, value in inputs.items()})
        classes, logits = self.queries(output)
        scores, labels = classes.float().softmax(dim=-1)[:, :-1].max(dim=-1)
        # Few queries see an object; only their masks are worth resizing.
        likely = scores >= self.rules.min_score
        scores, labels, logits = scores[likely], labels[likely], logits[likely].float()
        logits = _on_image(logits, self.used(inputs, size), size)
        scores = scores * _mean_inside(logits)
        names = [self.model.config.id2label[int(label)] for label in labels]
        return select_regions((logits > 0).cpu().numpy(), names, scores.cpu().numpy(), self.rules)


def _on_image(logits: Tensor, used: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """Mask logits (N, h, w) of the model's input as (N, *size) of the image.

    Where the image fills only a part, that part is cut out on the grid that it was padded on.
    """
    if not len(logits):
        return logits.new_zeros((0, *size))
    down, across = used
    if (down, across) != (1.0, 1.0):
        logits = resize_maps(logits, (round(size[0] / down), round(size[1] / across)))
        return logits[:, : size[0], : size[1]]
    return resize_maps(logits, size)


def _mean_inside(logits: Tensor) -> Tensor:
    """Mean probability (N,) of the pixels of each mask (N, H, W); 0 for an empty one."""
    inside = logits > 0
    return (logits.sigmoid() * inside).sum(dim=(1, 2)) / inside.sum(dim=(1, 2)).clamp(min=1)


def _mask_queries(output: Any) -> tuple[Tensor, Tensor]:
    return output.class_queries_logits[0], output.masks_queries_logits[0]


def _detr_queries(output: Any) -> tuple[Tensor, Tensor]:
    return output.logits[0], output.pred_masks[0]


def _unpadded(inputs: Mapping[str, Tensor], size: tuple[int, int]) -> tuple[float, float]:
    """By the mask of pixels that are not padding, where there is one."""
    if "pixel_mask" not in inputs:
        return 1.0, 1.0
    valid = inputs["pixel_mask"][0].bool()
    return float(valid.any(dim=1).float().mean()), float(valid.any(dim=0).float().mean())


def _load_plain(
    checkpoint: str | Path,
    device: str,
    rules: MaskRules,
    queries: Callable[[Any], tuple[Tensor, Tensor]] = _mask_queries,
) -> RegionFinder:
    model = load_model(AutoModelForUniversalSegmentation, checkpoint, device, _WHAT)
    processor = load_image_processor(checkpoint)

    def prepare(rgb: NDArray[np.uint8]) -> Mapping[str, Tensor]:
        return processor(images=rgb, return_tensors="pt")

    return QuerySegmenter(model, prepare, queries, _unpadded, rules)


def _load_detr(checkpoint: str | Path, device: str, rules: MaskRules) -> RegionFinder:
    return _load_plain(checkpoint, device, rules, _detr_queries)


def _load_eomt(checkpoint: str | Path, device: str, rules: MaskRules) -> RegionFinder:
    processor = load_image_processor(checkpoint)
    if processor.do_split_image:
        raise ValueError(
            f"{_WHAT} must separate objects, but the image processor of {str(checkpoint)!r} "
            "has do_split_image = true, which only semantic segmentation has; use an EoMT that was "
            "trained for instance or panoptic segmentation"
        )
    model = load_model(AutoModelForUniversalSegmentation, checkpoint, device, _WHAT)

    def prepare(rgb: NDArray[np.uint8]) -> Mapping[str, Tensor]:
        return {"pixel_values": processor(images=rgb, return_tensors="pt")["pixel_values"]}

    def used(inputs: Mapping[str, Tensor], size: tuple[int, int]) -> tuple[float, float]:
        if not processor.do_pad:
            return 1.0, 1.0
        edges = processor.size.shortest_edge, processor.size.longest_edge
        height, width = get_size_with_aspect_ratio(size, *edges)
        full_height, full_width = inputs["pixel_values"].shape[-2:]
        return height / full_height, width / full_width

    return QuerySegmenter(model, prepare, _mask_queries, used, rules)


def _load_oneformer(checkpoint: str | Path, device: str, rules: MaskRules) -> RegionFinder:
    model = load_model(AutoModelForUniversalSegmentation, checkpoint, device, _WHAT)
    # The file of class names is for training, and would be fetched from the hub.
    processor = load_image_processor(checkpoint, class_info_file=None)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    length = int(model.config.task_seq_len)
    task = tokenizer(
        [_ONEFORMER_TASK],
        padding="max_length",
        max_length=length,
        truncation=True,
        return_tensors="pt",
    )
    words = task["input_ids"] * task["attention_mask"]

    def prepare(rgb: NDArray[np.uint8]) -> Mapping[str, Tensor]:
        inputs = processor(images=[rgb], task_inputs=["instance"], return_tensors="pt")
        chosen = {name: inputs[name] for name in ("pixel_values", "pixel_mask")}
        return {**chosen, "task_inputs": words}

    return QuerySegmenter(model, prepare, _mask_queries, _unpadded, rules)


_KINDS: dict[str, Callable[[str | Path, str, MaskRules], RegionFinder]] = {
    "detr": _load_detr,
    "eomt": _load_eomt,
    "eomt_dinov3": _load_eomt,
    "mask2former": _load_plain,
    "maskformer": _load_plain,
    "oneformer": _load_oneformer,
    "upernet": CenterVotingSegmenter.from_pretrained,
}
"""By `model_type` of a checkpoint."""
