"""Masks of queries at the pixels of the image, whatever the model's input was padded with."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor, Mask2FormerForUniversalSegmentation

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.perception.mask_selection import MaskRules
from smolrgpt_core.perception.segmentation import QuerySegmenter, load_segmenter

NAMES = {0: "pallet", 1: "buffer zone", 2: "forklift"}


class GivenMasks(torch.nn.Module):
    """Stands for a model with known queries, one class and one mask each.

    A mask is (class, probability, top, left, bottom, right) in fractions of what the image fills of
    the input.
    """

    def __init__(self, masks, used: tuple[float, float], is_detr: bool = False) -> None:
        super().__init__()
        self.masks, self.used, self.is_detr = masks, used, is_detr
        self.device = torch.device("cpu")
        self.config = SimpleNamespace(id2label=NAMES)

    def forward(self, pixel_values: torch.Tensor, **_) -> SimpleNamespace:
        height, width = (side // 2 for side in pixel_values.shape[-2:])
        classes = torch.full((1, len(self.masks), 4), 1e-6)
        logits = torch.full((1, len(self.masks), height, width), -20.0)
        down, across = self.used[0] * height, self.used[1] * width
        for query, (label, probability, top, left, bottom, right) in enumerate(self.masks):
            classes[0, query, label], classes[0, query, 3] = probability, 1 - probability
            rows = slice(round(top * down), round(bottom * down))
            logits[0, query, rows, round(left * across) : round(right * across)] = 20.0
        if self.is_detr:
            return SimpleNamespace(logits=classes.log(), pred_masks=logits)
        return SimpleNamespace(class_queries_logits=classes.log(), masks_queries_logits=logits)


# What the processors of the tiny models make of 36 x 52 pixels: 64 x 96, a multiple of 32, on
# 96 x 128; 44 x 64 on 64 x 64; and whole inputs.
@pytest.mark.parametrize(
    ("family", "used"),
    [("mask2former", (64 / 96, 96 / 128)), ("eomt", (44 / 64, 1)), ("detr", (1, 1)),
     ("maskformer", (1, 1)), ("oneformer", (1, 1))],
)  # fmt: skip
def test_masks_are_where_the_model_saw_them(checkpoint, picture, family, used) -> None:
    segmenter = load_segmenter(checkpoint(family))
    masks = [(0, 0.9, 0, 0, 0.5, 0.5), (2, 0.6, 0.5, 0.5, 1, 1), (1, 0.2, 0, 0.5, 0.5, 1)]
    object.__setattr__(segmenter, "model", GivenMasks(masks, used, family == "detr"))
    pallet, forklift = segmenter.find(picture)
    assert (pallet.label, forklift.label) == ("pallet", "forklift")
    assert pallet.score == pytest.approx(0.9, abs=0.01)
    assert forklift.score == pytest.approx(0.6, abs=0.01)
    corners = [pallet.box.x, pallet.box.y, pallet.box.width, pallet.box.height]
    np.testing.assert_allclose(corners, [0, 0, 26, 18], atol=1)
    right, bottom = forklift.box.x + forklift.box.width, forklift.box.y + forklift.box.height
    np.testing.assert_allclose(
        [forklift.box.x, forklift.box.y, right, bottom], [26, 18, 52, 36], atol=1
    )


@pytest.mark.parametrize("family", ["mask2former", "eomt", "maskformer", "oneformer", "detr"])
def test_the_part_that_the_image_fills_is_that_of_the_processor(checkpoint, family) -> None:
    """A white image on black padding: what is not black is the image."""
    for height, width in ((36, 52), (52, 36), (33, 70)):
        segmenter = load_segmenter(checkpoint(family))
        assert isinstance(segmenter, QuerySegmenter)
        inputs = segmenter.prepare(np.full((height, width, 3), 255, dtype=np.uint8))
        down, across = segmenter.used(inputs, (height, width))
        pixels = inputs["pixel_values"][0, 0]
        is_image = pixels == pixels.max()
        assert down == pytest.approx(float(is_image[:, 0].float().mean()))
        assert across == pytest.approx(float(is_image[0].float().mean()))


def test_scores_and_masks_are_those_of_transformers(checkpoint) -> None:
    """At 384 x 384 pixels, where its own post-processing does not resize by nearest neighbor."""
    folder = checkpoint("mask2former")
    model = Mask2FormerForUniversalSegmentation.from_pretrained(folder).eval()
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    with torch.no_grad():
        output = model(torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
    # Few pixels of a random model are in two masks; those of the first two are kept apart.
    output.class_queries_logits[0, 2:, :-1] = -50
    output.masks_queries_logits[0, 0, :, 8:] = -9
    output.masks_queries_logits[0, 1, :, :8] = -9
    expected = processor.post_process_instance_segmentation(
        output, 0.01, target_sizes=[(384, 384)], return_binary_maps=True
    )[0]
    best = sorted(
        zip(expected["segments_info"], expected["segmentation"], strict=True),
        key=lambda pair: -pair[0]["score"],
    )
    given: Any = torch.nn.Module()
    given.device, given.config = torch.device("cpu"), model.config
    given.forward = lambda: output
    segmenter = QuerySegmenter(
        given, lambda _: {}, lambda o: (o.class_queries_logits[0], o.masks_queries_logits[0]),
        lambda *_: (1.0, 1.0), MaskRules(0.01, 1, 1.0),
    )  # fmt: skip
    found = list(segmenter.find(np.zeros((384, 384, 3), dtype=np.uint8)))
    assert len(found) == 2
    info, mask = best[0]
    assert found[0].score == pytest.approx(info["score"], abs=1e-5)
    assert found[0].label == model.config.id2label[info["label_id"]]
    full = np.zeros((384, 384), dtype=bool)
    full[found[0].box.slices] = found[0].mask
    np.testing.assert_array_equal(full, mask.numpy() > 0)


def test_an_empty_scene_has_no_regions(checkpoint, picture) -> None:
    segmenter = load_segmenter(checkpoint("mask2former"), rules=MaskRules(min_score=0.99))
    assert len(segmenter.find(picture)) == 0
    with pytest.raises(SpatialError, match="rgb must be uint8"):
        segmenter.find(picture[..., 0])
