"""Every family sees points, begins as the plain model, and is saved and loaded as it is."""

from copy import deepcopy

import pytest
import torch
from transformers import AutoModelForImageTextToText

from smolrgpt_core.model.point_map import FAMILIES, PointMapConfig, PointMapForConditionalGeneration
from smolrgpt_core.model.point_map.modeling import GRIDS

families = pytest.mark.parametrize("family", FAMILIES)
TEXT = "How far is it?"


def trained(vlm, **overrides) -> PointMapForConditionalGeneration:
    """A model whose points count for something."""
    model = PointMapForConditionalGeneration.from_vlm(vlm, **overrides).eval()
    layer = model.vlm.get_submodule(FAMILIES[vlm.config.model_type].projection)
    torch.nn.init.normal_(layer.weight[:, layer.image_features :], std=0.3)
    return model


def has_tied_embeddings(model: PointMapForConditionalGeneration) -> bool:
    read, written = model.get_input_embeddings(), model.get_output_embeddings()
    assert written is not None
    return written.weight is read.weight


def features(model, batch) -> torch.Tensor:
    """Image tokens (T, D)."""
    inputs = {
        name: batch[name] for name in ("pixel_values", "point_values", GRIDS) if name in batch
    }
    found = model.get_image_features(**inputs).pooler_output
    found = torch.cat(list(found)) if isinstance(found, (list, tuple)) else found
    return found.flatten(0, -2)


@families
@torch.no_grad()
def test_a_new_model_is_the_plain_one_bit_for_bit(family, make_vlm, make_processor, image, points):
    plain = make_vlm(family)
    batch = make_processor(family)([image], [TEXT], [points])
    without = {name: value for name, value in batch.items() if name != "point_values"}
    logits = plain(**without).logits
    model = PointMapForConditionalGeneration.from_vlm(plain).eval()
    assert torch.equal(model(**batch).logits, logits)
    assert torch.equal(model(**without).logits, logits)
    assert not torch.equal(trained(make_vlm(family))(**batch).logits, logits)
    with pytest.raises(ValueError, match="already takes points"):
        PointMapForConditionalGeneration.from_vlm(plain)


@families
@torch.no_grad()
def test_points_reach_the_token_of_their_place(family, make_vlm, make_processor, image, points):
    processor = make_processor(family)
    model = trained(make_vlm(family))
    batch = processor([image], [TEXT], [points])
    before = features(model, batch)
    height, width = batch["point_values"].shape[-2:]
    side = processor._patch * processor._block
    row, column = 1, 2
    moved = batch["point_values"].clone()
    moved[0, :3, row * side : (row + 1) * side, column * side : (column + 1) * side] += 1
    changed = (features(model, {**batch, "point_values": moved}) - before).abs().amax(dim=-1) > 1e-6
    assert changed.nonzero().flatten().tolist() == [row * (width // side) + column]
    assert len(before) == height * width // side**2


@torch.no_grad()
def test_a_copy_sees_points_of_its_own(make_vlm, make_processor, image, points):
    batch = make_processor("smolvlm")([image], [TEXT], [points])
    model = trained(make_vlm("smolvlm"))
    wanted = model(**batch).logits
    copied = deepcopy(model)
    del model
    assert torch.equal(copied(**batch).logits, wanted)


@families
@torch.no_grad()
def test_saved_and_loaded_it_answers_alike(
    family, make_vlm, make_processor, image, points, tmp_path
):
    model = trained(make_vlm(family))
    batch = make_processor(family)([image], [TEXT], [points])
    model.save_pretrained(tmp_path)
    loaded = AutoModelForImageTextToText.from_pretrained(tmp_path).eval()
    assert isinstance(loaded, PointMapForConditionalGeneration)
    assert torch.equal(loaded(**batch).logits, model(**batch).logits)
    assert has_tied_embeddings(loaded) is has_tied_embeddings(model)


@families
@torch.no_grad()
def test_an_image_is_encoded_once_for_many_questions(
    family, make_vlm, make_processor, image, points
):
    model = trained(make_vlm(family))
    batch = make_processor(family)([image], [TEXT], [points])
    whole = model.generate(**batch, max_new_tokens=6, do_sample=False)
    kept = {"pixel_values", "point_values", "pixel_attention_mask"}
    inputs = {name: batch[name] for name in batch if name in kept - {"pixel_attention_mask"}}
    if GRIDS in batch:
        inputs[GRIDS] = batch[GRIDS]
    encoded = model.get_image_features(**inputs)
    rest = {name: value for name, value in batch.items() if name not in kept}
    again = model.generate(
        **rest, mm_encoder_outputs={"image": encoded}, max_new_tokens=6, do_sample=False
    )
    assert torch.equal(whole, again)


@families
def test_all_but_a_frozen_part_learns(family, make_vlm, make_processor, image, points):
    model = trained(make_vlm(family)).train()
    batch = make_processor(family)([image], [TEXT], [points], ["2.31 m"])
    model(**batch).loss.backward()
    layer = model.vlm.get_submodule(FAMILIES[family].projection)
    assert model.point_encoder.conv.weight.grad.abs().sum() > 0
    assert layer.weight.grad[:, layer.image_features :].abs().sum() > 0


@families
@torch.no_grad()
def test_a_batch_of_questions_gives_what_each_gives_alone(
    family, make_vlm, make_processor, image, points
):
    model, processor = trained(make_vlm(family)), make_processor(family)
    texts = ["How far?", "How far is the pallet from the buffer?"]
    images, maps = [image, image[::-1].copy()], [points, points[::-1].copy()]
    together = model(**processor(images, texts, maps)).logits[:, -1]
    alone = torch.cat(
        [
            model(**processor([one], [text], [map_])).logits[:, -1]
            for one, text, map_ in zip(images, texts, maps, strict=True)
        ]
    )
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_windows_of_qwen_are_those_of_its_encoder(make_vlm):
    """The order of tokens in windows, also where a window is cut by the border."""
    from transformers.vision_utils import get_vision_window_index

    config = make_vlm("qwen2_5_vl").config
    grids = torch.tensor([[1, 8, 12], [1, 6, 10], [1, 4, 4]])
    vision = config.vision_config
    wanted, _ = get_vision_window_index(
        grids, vision.spatial_merge_size, vision.window_size, vision.patch_size
    )
    token_order = FAMILIES["qwen2_5_vl"].token_order
    assert token_order is not None
    assert torch.equal(token_order(config, grids), wanted)


@torch.no_grad()
def test_a_model_without_points_has_no_encoder_and_refuses_them(
    make_vlm, make_processor, image, points
):
    model = PointMapForConditionalGeneration.from_vlm(make_vlm("paligemma"), points="none").eval()
    batch = make_processor("paligemma", points="none")([image], [TEXT], [points])
    assert "point_values" not in batch
    assert not hasattr(model, "point_encoder")
    assert model(**batch).logits.isfinite().all()
    with pytest.raises(ValueError, match="takes no point maps"):
        model(**batch, point_values=torch.zeros(1, 4, 56, 56))


@torch.no_grad()
def test_points_of_another_size_or_number_are_refused(make_vlm, make_processor, image, points):
    model = trained(make_vlm("paligemma"))
    batch = make_processor("paligemma")([image], [TEXT], [points])
    for wrong in (torch.zeros(1, 4, 28, 56), torch.zeros(2, 4, 56, 56)):
        with pytest.raises(ValueError, match="one point map for each image"):
            model(**{**batch, "point_values": wrong})
    for wrong in (torch.zeros(1, 3, 56, 56), torch.zeros(1, 4, 57, 56)):
        with pytest.raises(ValueError, match="multiples of 14"):
            model(**{**batch, "point_values": wrong})
    # What failed leaves no points behind for the next image.
    plain = {name: value for name, value in batch.items() if name != "point_values"}
    assert torch.equal(model(**plain).logits, model(**plain, point_values=None).logits)


def test_another_family_is_refused_with_the_list():
    config = PointMapConfig.preset("warehouse", {"model_type": "llava"})
    with pytest.raises(ValueError, match=r"no point map for models of type 'llava': .*qwen3_vl"):
        PointMapForConditionalGeneration(config)
