"""Boxes in pixels of the image, each with exactly one of the classes that were asked for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor, AutoModelForZeroShotObjectDetection, AutoTokenizer
from transformers.models.grounding_dino.processing_grounding_dino import GroundingDinoProcessor

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.perception.detection import (
    DetectionConfig,
    GroundingDetector,
    OwlDetector,
    best_boxes,
    box_iou,
    checked_classes,
    grounding_prompt,
    load_box_detector,
)

CLASSES = ["pallet", "buffer zone", "fork lift"]
# [CLS] pallet . buffer zone . fork lift . [SEP]; "lift" is no word of the tokenizer.
PALLET, BUFFER, ZONE, FORK = 1, 3, 4, 6


class GivenScores(torch.nn.Module):
    """Stands for a detector whose scores and boxes are known."""

    def __init__(self, scores: list[dict[int, float]], boxes: list[list[float]], kind: str) -> None:
        super().__init__()
        self.device = torch.device("cpu")
        self.config = SimpleNamespace(
            model_type=kind,
            max_text_len=48,
            text_config=SimpleNamespace(max_position_embeddings=16),
        )
        probabilities = torch.full((1, len(scores), 48), 0.01)
        for query, words in enumerate(scores):
            for word, score in words.items():
                probabilities[0, query, word] = score
        self.logits = torch.logit(probabilities)
        self.boxes = torch.tensor([boxes])

    def forward(self, **inputs: torch.Tensor) -> SimpleNamespace:
        used = inputs["input_ids"].shape[0] if self.config.model_type != "grounding-dino" else 48
        return SimpleNamespace(logits=self.logits[..., :used], pred_boxes=self.boxes)


@pytest.fixture
def detector(checkpoint):
    """A detector of Grounding DINO with the scores and boxes that a test gives."""
    folder = checkpoint("grounding-dino")
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    tokenizer = AutoTokenizer.from_pretrained(folder)

    def build(scores, boxes=None, **config) -> GroundingDetector:
        boxes = boxes or [[0.1 + 0.2 * query, 0.5, 0.1, 0.5] for query in range(len(scores))]
        model = GivenScores(scores, boxes, "grounding-dino")
        return GroundingDetector(model, processor, tokenizer, DetectionConfig(**config))

    return build


def test_the_prompt_and_the_place_of_each_class_in_it() -> None:
    prompt, spans = grounding_prompt(CLASSES)
    assert prompt == "pallet. buffer zone. fork lift."
    assert [prompt[first:end] for first, end in spans] == CLASSES


def test_a_part_of_a_name_is_its_class_and_two_alike_are_none(detector, picture) -> None:
    scores = [
        {ZONE: 0.6},
        {PALLET: 0.8, FORK: 0.1},
        {PALLET: 0.5, FORK: 0.9},
        {PALLET: 0.6, BUFFER: 0.6, ZONE: 0.6},
        {PALLET: 0.2},
    ]
    found = detector(scores).detect(picture, CLASSES)
    assert [(one.label, round(one.score, 4)) for one in found] == [
        ("fork lift", 0.9), ("pallet", 0.8), ("buffer zone", 0.6),
    ]  # fmt: skip


def test_labels_come_back_as_they_were_asked_for_in_any_order(detector, picture) -> None:
    # [CLS] buffer zone . pallet . [SEP]
    found = detector([{4: 0.7}, {2: 0.6}]).detect(picture, ["Buffer  Zone", "PALLET", "pallet"])
    assert [one.label for one in found] == ["pallet", "buffer zone"]


def test_boxes_are_pixels_of_the_image_cut_to_it(detector, picture) -> None:
    boxes = [[0.5, 0.25, 0.5, 0.5], [0.95, 0.9, 0.2, 0.4], [0.5, 0.5, 0.01, 0.5]]
    found = detector([{PALLET: 0.9}, {PALLET: 0.8}, {PALLET: 0.7}], boxes).detect(picture, CLASSES)
    # 52 x 36 pixels; the third box is half a pixel wide.
    assert [one.box for one in found] == [
        pytest.approx((13, 0, 39, 18), abs=1e-4),
        pytest.approx((0.85 * 52, 0.7 * 36, 52, 36), abs=1e-4),
    ]


def test_a_repeated_box_is_dropped_within_its_class_only() -> None:
    boxes = np.array([[0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10], [5, 0, 15, 10]], np.float32)
    scores = np.array([[0.9, 0], [0.8, 0], [0, 0.7], [0.6, 0.1]])
    found = best_boxes(boxes, scores, ["a", "b"], (20, 20), DetectionConfig())
    assert [(one.label, one.score) for one in found] == [("a", 0.9), ("b", 0.7), ("a", 0.6)]
    assert box_iou((0, 0, 10, 10), (5, 0, 15, 10)) == pytest.approx(1 / 3)
    assert box_iou((0, 0, 10, 10), (20, 20, 30, 30)) == 0


def test_owlv2_boxes_are_of_the_padded_square(checkpoint, picture) -> None:
    """The square has the side of 52 pixels, of which the image fills the upper 36 rows."""
    for family, expected in (("owlv2", (13, 13, 39, 36)), ("owlvit", (13, 9, 39, 27))):
        detector = load_box_detector(checkpoint(family))
        model = GivenScores([{0: 0.8}], [[0.5, 0.5, 0.5, 0.5]], family)
        object.__setattr__(detector, "model", model)
        (found,) = detector.detect(picture, CLASSES)
        assert (found.label, found.box) == ("pallet", pytest.approx(expected, abs=1e-4))


def test_owl_prompts_are_those_of_its_training(checkpoint) -> None:
    detector = load_box_detector(checkpoint("owlvit"))
    assert isinstance(detector, OwlDetector)
    text = detector._read(["pallet"])
    assert detector.tokenizer.decode(text["input_ids"][0], skip_special_tokens=True) == (
        "a photo of a pallet"
    )
    assert text["input_ids"].shape == (1, 16)


@pytest.mark.parametrize("family", ["grounding-dino", "owlvit", "owlv2"])
def test_boxes_and_scores_are_those_of_transformers(checkpoint, picture, family) -> None:
    folder = checkpoint(family)
    config = DetectionConfig(min_score=0, nms_iou=1, max_runner_up_ratio=1)
    detector = load_box_detector(folder, config=config)
    found = detector.detect(picture, ["pallet"])
    model = AutoModelForZeroShotObjectDetection.from_pretrained(folder).eval()
    processor = AutoImageProcessor.from_pretrained(folder, backend="pil")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.no_grad():
        if family == "grounding-dino":
            both = GroundingDinoProcessor(processor, tokenizer)
            inputs = both(images=picture, text=[["pallet"]], return_tensors="pt")
            outputs = model(**inputs)
            # The best word of a class is its score, and no special token.
            outputs.logits[..., [0, *range(2, outputs.logits.shape[-1])]] = -torch.inf
            result = both.post_process_grounded_object_detection(
                outputs, inputs["input_ids"], 0, 0, [(36, 52)]
            )[0]
        else:
            text = tokenizer(["a photo of a pallet"], padding="max_length", max_length=16)
            text = {k: torch.tensor(text[k]) for k in ("input_ids", "attention_mask")}
            outputs = model(**processor(picture, return_tensors="pt"), **text)
            result = processor.post_process_object_detection(outputs, 0, [(36, 52)])[0]
    expected = {
        round(float(score), 5): np.clip(box.numpy(), 0, [52, 36, 52, 36])
        for score, box in zip(result["scores"], result["boxes"], strict=True)
    }
    assert found
    for one in found:
        np.testing.assert_allclose(one.box, expected[round(one.score, 5)], atol=1e-3)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ([], "name at least one class"),
        (["pallet. forklift"], "a class must be a name"),
        (["42"], "a class must be a name"),
        (["  "], "a class must be a name"),
    ],
)
def test_what_is_no_class_is_refused(classes, message) -> None:
    with pytest.raises(SpatialError, match=message):
        checked_classes(classes)


def test_more_classes_than_the_model_reads_are_refused(checkpoint, picture) -> None:
    many = [f"{word} {other}" for word in ("pallet", "zone") for other in "abcdefghij"]
    with pytest.raises(SpatialError, match=r"must fit into 48 tokens .* ask for fewer"):
        load_box_detector(checkpoint("grounding-dino")).detect(picture, many)
    with pytest.raises(SpatialError, match="must fit into 16 tokens"):
        load_box_detector(checkpoint("owlvit")).detect(picture, ["pallet " * 12])
