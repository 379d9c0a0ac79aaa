"""Inputs of forward that do not fit together, each refused with what was expected."""

import pytest
import torch

from smolrgpt_core.errors import SpatialError, Status

pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients():
    with torch.no_grad():
        yield


@pytest.mark.parametrize("masks", [0, 1, 3])
def test_another_number_of_masks_than_placeholders(model, inputs, masks):
    wrong = torch.ones(masks, 72, 128, dtype=torch.bool)
    with pytest.raises(ValueError, match="<mask_rgb>"):
        model(**{**inputs[0], "region_masks": [wrong]})


def test_masks_of_two_rows_exchanged_are_noticed(model, batch):
    first, second = batch["region_masks"]
    with pytest.raises(ValueError, match=r"\[2, 3\] <mask_rgb>.*\[3, 2\] features"):
        model(**{**batch, "region_masks": [second, first]})


@pytest.mark.parametrize("name", ["pixel_values", "depth_values", "region_masks"])
def test_fewer_images_or_masks_than_rows(model, batch, name):
    with pytest.raises(ValueError, match=f"{name} must have one entry for each of the 2 rows"):
        model(**{**batch, name: batch[name][:1]})


def test_a_missing_rgb_or_depth_placeholder(model, inputs):
    for token in (355, 356):
        ids = inputs[0]["input_ids"].clone()
        ids[ids == token] = 5
        with pytest.raises(ValueError, match=r"\[0\] <mask_"):
            model(**{**inputs[0], "input_ids": ids})


@pytest.mark.parametrize("missing", ["pixel_values", "depth_values"])
def test_masks_without_one_of_the_images(model, inputs, missing):
    with pytest.raises(ValueError, match="pixel_values and depth_values"):
        model(**{**inputs[0], missing: None})


def test_image_tokens_without_an_image(model, inputs):
    with pytest.raises(ValueError, match=r"<\|image\|>"):
        model(inputs[0]["input_ids"])


def test_too_few_image_tokens(model, inputs):
    ids = inputs[0]["input_ids"]
    with pytest.raises(ValueError, match=r"\[15\] <\|image\|>.*\[16\] features"):
        model(**{**inputs[0], "input_ids": ids[:, ids[0].tolist().index(354) + 1 :]})


def test_an_image_of_another_size(model, inputs):
    with pytest.raises(ValueError, match=r"\(B, 3, 64, 64\)"):
        model(**{**inputs[0], "pixel_values": torch.zeros(1, 3, 32, 32)})


def test_an_unknown_modality(model, expected):
    with pytest.raises(ValueError, match="sonar"):
        model.model.encode_images(expected["pixel_values"], "sonar")


def test_neither_or_both_of_ids_and_embeddings(model, inputs):
    ids = inputs[0]["input_ids"]
    with pytest.raises(ValueError, match="exactly one"):
        model()
    with pytest.raises(ValueError, match="exactly one"):
        model(ids, inputs_embeds=torch.zeros(1, ids.shape[1], 64))


@pytest.mark.parametrize("name", ["pixel_values", "region_masks"])
def test_images_and_regions_beside_embeddings_are_not_ignored(model, inputs, name):
    embeds = model.get_input_embeddings()(torch.tensor([[1, 20, 30, 2]]))
    given = {name: inputs[0][name]}
    for call in (model, model.generate):
        with pytest.raises(ValueError, match=f"inputs_embeds came with {name}"):
            call(inputs_embeds=embeds, **given)


def test_an_empty_mask_is_an_error_or_zeros_by_choice(model, inputs):
    empty = {**inputs[0], "region_masks": [torch.zeros(2, 72, 128, dtype=torch.bool)]}
    with pytest.raises(SpatialError, match="mask 0 of image 0 has no weight") as caught:
        model(**empty)
    assert caught.value.status is Status.BAD_INPUT
    model.config.empty_masks = "zero"
    assert model(**empty).logits.isfinite().all()


def test_a_mask_that_bilinear_resizing_loses_survives_pooling_by_area(model, inputs):
    thin = torch.zeros(2, 720, 1280, dtype=torch.bool)
    thin[:, :, 30] = True
    lost = {**inputs[0], "region_masks": [thin]}
    with pytest.raises(SpatialError, match='"area"'):
        model(**lost)
    model.config.mask_pooling = "area"
    assert model(**lost).logits.isfinite().all()


def test_text_alone_and_an_image_without_regions(model, inputs):
    ids = torch.tensor([[1, 20, 30, 2]])
    assert model(ids).logits.shape == (1, 4, 357)
    with_image = torch.tensor([[1, *[354] * 16, 30, 2]])
    pixels = inputs[0]["pixel_values"]
    without_depth = model(with_image, pixel_values=pixels).logits
    no_masks = [torch.zeros(0, 72, 128, dtype=torch.bool)]
    depth = inputs[0]["depth_values"]
    with_depth = model(
        with_image, pixel_values=pixels, depth_values=depth, region_masks=no_masks
    ).logits
    assert torch.equal(without_depth, with_depth)


def test_a_row_without_regions_beside_one_with(model, batch, inputs):
    ids = torch.tensor([[1, *[354] * 16, 30, 2]])
    row = batch["input_ids"][1:]
    padded = torch.nn.functional.pad(ids, (row.shape[1] - ids.shape[1], 0), value=2)
    mixed = model(
        torch.cat([padded, row]),
        torch.cat([(torch.arange(row.shape[1]) >= row.shape[1] - ids.shape[1])[None].long(),
                   torch.ones_like(row)]),
        pixel_values=batch["pixel_values"],
        depth_values=batch["depth_values"],
        region_masks=[torch.zeros(0, 72, 128, dtype=torch.bool), batch["region_masks"][1]],
    ).logits  # fmt: skip
    alone = model(ids, pixel_values=inputs[0]["pixel_values"]).logits
    torch.testing.assert_close(mixed[0, -ids.shape[1] :], alone[0], atol=1e-4, rtol=0)
    wanted = model(**inputs[1]).logits
    torch.testing.assert_close(mixed[1], wanted[0], atol=1e-4, rtol=0)
