"""Masks of boxes at the pixels of the image, by the proposal with the best predicted IoU."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor, SamModel, SamProcessor

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.perception.masks import load_box_segmenter

BOXES = np.array([[4, 2, 30, 20], [20, 10, 50, 34]], dtype=np.float32)


class FilledBoxes(torch.nn.Module):
    """Stands for SAM: the second of three proposals is the box, on a grid of 16 x 16 cells."""

    device = torch.device("cpu")

    def get_image_embeddings(self, pixels: torch.Tensor) -> torch.Tensor:
        assert pixels.shape == (1, 3, 64, 64)
        return pixels

    def forward(self, image_embeddings, input_boxes) -> SimpleNamespace:
        places = torch.arange(16) * 4 + 2.0
        left, top, right, bottom = (input_boxes[0, :, i, None, None] for i in range(4))
        rows, columns = places[:, None], places
        inside = (columns > left) & (columns < right) & (rows > top) & (rows < bottom)
        masks = torch.stack([~inside, inside, torch.zeros_like(inside)], dim=1) * 20.0 - 10
        # Later boxes are a little less certain; the first predicts more than 1.
        scores = torch.tensor([[0.2, 0.9, 0.5]]).repeat(len(inside), 1)
        scores[:, 1] += 0.2 - 0.001 * input_boxes[0, :, 0]
        return SimpleNamespace(pred_masks=masks[None], iou_scores=scores[None])


@pytest.mark.parametrize("family", ["sam", "sam2", "sam2_video"])
def test_masks_lie_in_their_boxes_in_the_image(checkpoint, picture, family) -> None:
    segmenter = load_box_segmenter(checkpoint(family))
    object.__setattr__(segmenter, "model", FilledBoxes())
    masks, scores = segmenter.masks(picture, BOXES)
    assert masks.dtype == bool
    assert masks.shape == (2, 36, 52)
    for mask, (left, top, right, bottom) in zip(masks, BOXES, strict=True):
        rows, columns = np.nonzero(mask)
        found = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        # A cell of the grid is about 3 pixels.
        np.testing.assert_allclose(found, [left, top, right, bottom], atol=2.5)
    assert scores.dtype == np.float32
    assert np.all((scores > 0.9) & (scores <= 1))


def test_many_boxes_keep_their_order(checkpoint, picture) -> None:
    segmenter = load_box_segmenter(checkpoint("sam2"))
    object.__setattr__(segmenter, "model", FilledBoxes())
    lefts = np.linspace(0, 30, 75, dtype=np.float32)
    boxes = np.stack([lefts, lefts * 0, lefts + 20, lefts * 0 + 30], axis=1)
    masks, _ = segmenter.masks(picture, boxes)
    middles = [np.nonzero(mask)[1].mean() for mask in masks]
    np.testing.assert_allclose(middles, lefts + 10, atol=2)


def test_sam_gives_what_its_own_processor_gives(checkpoint, picture) -> None:
    folder = checkpoint("sam")
    processor = SamProcessor(AutoImageProcessor.from_pretrained(folder, backend="pil"))
    inputs = processor(images=picture, input_boxes=[BOXES.tolist()], return_tensors="pt")
    inputs["input_boxes"] = inputs["input_boxes"].float()
    sizes = [inputs.pop(name) for name in ("original_sizes", "reshaped_input_sizes")]
    with torch.no_grad():
        output = SamModel.from_pretrained(folder).eval()(**inputs)
    proposals = processor.image_processor.post_process_masks(output.pred_masks, *sizes)[0]
    best = output.iou_scores[0].argmax(dim=1)
    masks, scores = load_box_segmenter(folder).masks(picture, BOXES)
    np.testing.assert_array_equal(masks, proposals[torch.arange(2), best].numpy())
    np.testing.assert_allclose(scores, output.iou_scores[0].amax(dim=1).clamp(0, 1), atol=1e-6)


def test_no_boxes_give_no_masks(checkpoint, picture) -> None:
    masks, scores = load_box_segmenter(checkpoint("sam")).masks(picture, BOXES[:0])
    assert masks.shape == (0, 36, 52)
    assert scores.shape == (0,)


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([[5, 5, 5, 9]], "with a size"),
        ([[9, 5, 5, 9]], "with a size"),
        ([[0, 0, np.nan, 9]], "finite"),
        ([0, 0, 1, 1], "must be finite numbers"),
    ],
)
def test_boxes_without_a_size_are_refused(checkpoint, picture, boxes, message) -> None:
    with pytest.raises(SpatialError, match=message):
        load_box_segmenter(checkpoint("sam")).masks(picture, np.array(boxes, dtype=np.float32))
