"""Prompts, padding, labels and boxes, against the authors' and for every family."""

import cv2
import numpy as np
import pytest
import torch
from transformers import AutoImageProcessor, AutoTokenizer

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import read_json, read_rgb
from smolrgpt_core.model.point_map import FAMILIES
from smolrgpt_core.model.point_map.points import estimated_point_map
from smolrgpt_core.model.point_map.processing import IGNORED_LABEL, PointMapProcessor
from smolrgpt_core.model.point_map.released_checkpoint import released_config
from smolrgpt_core.model_inputs.regions_in_words import (
    draw_boxes,
    grown_box,
    location_tokens,
    named_regions,
    scaled_box,
)

from .released_records import wild_point_map

families = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(scope="module")
def authors(released) -> PointMapProcessor:
    files = released / "processor"
    return PointMapProcessor(
        released_config(read_json(released / "config.json")),
        AutoImageProcessor.from_pretrained(files),
        AutoTokenizer.from_pretrained(files),
    )


@pytest.fixture(scope="module")
def texts(released) -> dict[str, str]:
    return read_json(released / "texts.json")


@pytest.fixture(scope="module")
def estimated(expected) -> np.ndarray:
    return estimated_point_map(
        expected["points_estimator"].numpy(), expected["mask_estimator"].numpy()
    )


def test_a_question_as_the_authors_ask_it(authors, released, texts, estimated, expected):
    batch = authors([read_rgb(released / "image.png")], [texts["infer_prompt"]], [estimated])
    assert torch.equal(batch["input_ids"], expected["infer_input_ids"])
    assert torch.equal(batch["pixel_values"], expected["infer_pixel_values"])
    assert torch.equal(batch["point_values"], expected["infer_xyz_values"])
    assert batch["token_type_ids"].sum() == 0


def test_a_training_batch_as_the_authors_make_it(authors, released, texts, estimated, expected):
    image = read_rgb(released / "image.png")
    wild = wild_point_map(
        expected["depth_decoded"].numpy(), expected["intrinsics_normalized"].numpy()
    )
    batch = authors(
        [image, image],
        [texts["train_prefix_0"], texts["train_prefix_1"]],
        [wild, estimated],
        [texts["train_suffix_0"].removesuffix("<eos>"), texts["train_suffix_1"]],
    )
    for name in ("input_ids", "labels", "token_type_ids"):
        assert torch.equal(batch[name], expected[f"train_{name}"]), name
    assert torch.equal(batch["attention_mask"].bool(), expected["train_attention_mask"])
    torch.testing.assert_close(
        batch["point_values"], expected["train_xyz_values"], atol=1e-4, rtol=0
    )


def test_boxes_as_the_authors_draw_them(authors, released, expected):
    boxes = [tuple(box) for box in expected["boxes_drawn"].tolist()]
    resized = np.asarray(cv2.resize(read_rgb(released / "image.png"), (56, 56)))
    assert np.array_equal(resized, expected["rgb_resized"].numpy())
    drawn = draw_boxes(resized, boxes, ["red", "blue"])
    assert np.array_equal(drawn, expected["rgb_boxes"].numpy())
    assert np.array_equal(resized, expected["rgb_resized"].numpy()), "the image itself is kept"
    # In the pixels of the image itself, which the processor scales.
    original = [scaled_box(box, (56, 56), (90, 120)) for box in boxes]
    image = read_rgb(released / "image.png")
    pixels, _ = authors.prepare_images([image], [original])
    wanted, _ = authors.prepare_images([drawn])
    assert torch.equal(pixels["pixel_values"], wanted["pixel_values"])


def test_boxes_in_training_grow_about_their_center():
    random = np.random.default_rng(3)
    for _ in range(50):
        left, top, right, bottom = grown_box((20, 30, 40, 60), (90, 120), random)
        assert 1.0 <= (right - left) / 20 <= 1.2
        assert 1.0 <= (bottom - top) / 30 <= 1.2
        assert (left + right) / 2 == pytest.approx(30)
    assert grown_box((100, 70, 119, 89), (90, 120), random)[2:] == (119, 89)


def test_locations_as_the_authors_write_them(texts):
    assert location_tokens((12, 12), (56, 56)) in texts["train_prefix_0"]
    box = location_tokens((0.25, 0.5, 0.75, 0.9), (1, 1))
    assert box == "<loc0512><loc0256><loc0922><loc0768>"
    # 1024 would be no token, and fall apart into characters.
    assert location_tokens((0, 0, 56, 56), (56, 56)).endswith("<loc1023><loc1023>")
    with pytest.raises(ValueError, match="a pixel has 2 numbers and a box 4, got 3"):
        location_tokens((1, 2, 3), (4, 4))


def test_regions_are_named_by_class_and_color():
    text = named_regions("How far is the <mask> from the <mask>?", ["pallet", "buffer"])
    assert text == (
        "How far is the pallet (highlighted by the red box) from the buffer (highlighted by the "
        "blue box)?"
    )
    with pytest.raises(SpatialError, match="knows 5 colors, but the question is about 6"):
        named_regions("<mask>" * 6, ["pallet"] * 6)


@families
def test_a_prompt_has_as_many_image_tokens_as_the_model_makes(family, make_processor, image):
    processor = make_processor(family)
    batch = processor([image], ["How far is it?"])
    token = processor.tokenizer.convert_tokens_to_ids(FAMILIES[family].image_token)
    _, (size,) = processor.prepare_images([image])
    tokens = size[0] * size[1] // (processor._patch * processor._block) ** 2
    assert int((batch["input_ids"] == token).sum()) == tokens > 1
    assert "How far is it?" in processor.tokenizer.decode(batch["input_ids"][0])


@families
def test_labels_are_the_answer_and_its_end(family, make_processor, image, points):
    processor = make_processor(family)
    batch = processor(
        [image, image], ["Far?", "Which is it?"], [points] * 2, ["2.5 m", "the left one"]
    )
    for row, answer in enumerate(["2.5 m", "the left one"]):
        labels = batch["labels"][row]
        ids = labels[labels != IGNORED_LABEL]
        assert processor.decode(ids) == answer
        assert ids[-1] == processor.tokenizer.eos_token_id
        assert torch.equal(batch["input_ids"][row][labels != IGNORED_LABEL], ids)


@families
def test_what_a_person_writes_is_no_control_token(family, make_processor, image):
    token = FAMILIES[family].image_token
    with pytest.raises(SpatialError, match="control token") as caught:
        make_processor(family)([image], [f"How {token} far?"])
    assert caught.value.status is Status.BAD_QUESTION


def test_points_stay_with_their_pixels(make_processor, image, points):
    """A reading in the image's corner is in the corner of what the model sees, in all families."""
    for family in FAMILIES:
        batch = make_processor(family)([image], ["Far?"], [points])
        valid = batch["point_values"][0, 3]
        height, width = valid.shape
        assert valid[: height // 2, : width // 2].sum() == 0
        assert valid[height // 2 :].all()
        assert valid[:, width // 2 :].all()


def test_numbers_that_differ_are_refused(make_processor, image, points):
    processor = make_processor("paligemma")
    with pytest.raises(ValueError, match="1 images but 2 texts"):
        processor([image], ["a", "b"])
    with pytest.raises(ValueError, match="1 images but 0 points"):
        processor([image], ["a"], [])


def test_saved_files_load_again(make_processor, image, points, tmp_path):
    processor = make_processor("internvl")
    processor.config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    loaded = PointMapProcessor.from_pretrained(tmp_path)
    before, after = (one([image], ["How far is it?"], [points]) for one in (processor, loaded))
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
