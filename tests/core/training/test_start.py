"""Models to begin with: from nothing, from backbones, from checkpoints."""

import json
import shutil
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    SiglipConfig,
    SiglipModel,
    SiglipVisionConfig,
    SiglipVisionModel,
)

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.language import MASK
from smolrgpt_core.model import SmolRGPTProcessor
from smolrgpt_core.training.config import StartConfig
from smolrgpt_core.training.start import make_start
from smolrgpt_core.training.tokenizer import train_tokenizer

TEXTS = [f"How far is the pallet {MASK} from the buffer {MASK}?", "assistant\n3.42", "user\nno"]
VISION = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
          "num_attention_heads": 2, "image_size": 32, "patch_size": 8}  # fmt: skip
TEXT: dict[str, Any] = {
    "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2,
}  # fmt: skip
SMALL = {"vision_config": VISION, "text_config": TEXT, "metric_width": 16, "metric_heads": 2}
PLACEHOLDERS = ["<|image|>", "<mask_rgb>", "<mask_depth>"]
UNUSED_ROWS = 5
"""Rows of the language backbone's embedding that no token of its tokenizer has."""


def from_nothing(seed=0, **overrides):
    start = StartConfig(
        preset="smolrgpt-nano", vocabulary_size=300, overrides={**SMALL, **overrides}
    )
    return make_start(start, seed, lambda: TEXTS)


def from_backbones(folder, vision="dual", language="tied", seed=0, **overrides):
    start = StartConfig(
        vision_backbone=str(folder / vision),
        language_backbone=str(folder / language),
        overrides=overrides,
    )
    return make_start(start, seed, list)


def assert_equal_weights(found, expected):
    assert found.keys() == expected.keys()
    assert all(torch.equal(weight, expected[name]) for name, weight in found.items())


@pytest.fixture(scope="module")
def backbones(tmp_path_factory):
    """Folders of a vision encoder with and without its text encoder, and of language models."""
    folder = tmp_path_factory.mktemp("backbones")
    torch.manual_seed(0)
    both = SiglipConfig(
        vision_config=VISION,
        text_config={"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
                     "num_attention_heads": 2, "vocab_size": 50, "projection_size": 16,
                     "bos_token_id": 1, "eos_token_id": 2},
    )  # fmt: skip
    SiglipModel(both).save_pretrained(folder / "dual")
    assert isinstance(both.vision_config, SiglipVisionConfig)
    SiglipVisionModel(both.vision_config).save_pretrained(folder / "vision")
    for name in ("dual", "vision"):
        pixels = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
        (folder / name / "preprocessor_config.json").write_text(json.dumps(pixels))
    tokenizer = train_tokenizer(TEXTS, 300)
    for name, is_tied in (("tied", True), ("untied", False)):
        config = LlamaConfig(
            vocab_size=len(tokenizer) + UNUSED_ROWS,
            tie_word_embeddings=is_tied,
            eos_token_id=tokenizer.eos_token_id + 7,
            **TEXT,
        )
        LlamaForCausalLM(config).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    model, processor = from_nothing()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


# From nothing


def test_from_nothing_the_seed_decides():
    (one, processor), (same, _), (other, _) = from_nothing(), from_nothing(), from_nothing(1)
    assert_equal_weights(one.state_dict(), same.state_dict())
    assert not torch.equal(one.lm_head.weight, other.lm_head.weight)
    assert one.config.image_token_id == len(processor.tokenizer) - 3
    assert one.config.text_config.vocab_size == len(processor.tokenizer)
    assert one.config.text_config.num_hidden_layers == 1
    assert one.generation_config.eos_token_id == processor.tokenizer.eos_token_id


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"metric_heads": 3}, "start: metric_heads must be an even number"),
        ({"depth_branch": "image", "region_measures": True}, "region_measures needs depth_branch"),
        ({"region_rays": True}, "region_rays needs region_measures"),
        ({"depth_brunch": "metric"}, "start: unknown fields in overrides: depth_brunch; known are"),
        ({"depth_branch": "lidar"}, "depth_branch"),
        ({"samples_per_region": "many"}, "samples_per_region"),
    ],
)
def test_overrides_that_cannot_work_are_named(overrides, words):
    with pytest.raises(SpatialError) as refused:
        from_nothing(**overrides)
    assert refused.value.status is Status.BAD_INPUT
    assert words in refused.value.message


# From backbones


@pytest.mark.parametrize("vision", ["dual", "vision"])
def test_the_vision_encoder_is_the_backbone_s_without_its_head(backbones, vision):
    model, _ = from_backbones(backbones, vision)
    saved = load_file(backbones / vision / "model.safetensors")
    encoder = {
        name.removeprefix("vision_model."): weight
        for name, weight in saved.items()
        if vision == "vision" or name.startswith("vision_model.")
    }
    expected = {name: item for name, item in encoder.items() if not name.startswith("head.")}
    assert len(expected) < len(encoder)
    assert len(expected) > 10
    assert_equal_weights(model.model.vision_model.state_dict(), expected)


def test_the_language_model_is_the_backbone_s_with_three_more_rows(backbones):
    model, processor = from_backbones(backbones)
    expected = LlamaForCausalLM.from_pretrained(backbones / "tied").model.state_dict()
    rows = len(expected["embed_tokens.weight"])
    found = model.model.language_model.state_dict()
    assert len(found["embed_tokens.weight"]) == rows + 3 == model.config.text_config.vocab_size
    found["embed_tokens.weight"] = found["embed_tokens.weight"][:rows]
    assert_equal_weights(found, expected)
    assert model.lm_head.weight is model.get_input_embeddings().weight
    ids = processor.tokenizer.convert_tokens_to_ids(PLACEHOLDERS)
    config = model.config
    assert ids == [rows, rows + 1, rows + 2]
    assert ids == [config.image_token_id, config.mask_rgb_token_id, config.mask_depth_token_id]
    assert model.generation_config.eos_token_id == processor.tokenizer.eos_token_id


def test_an_untied_head_keeps_its_weights(backbones):
    model, _ = from_backbones(backbones, language="untied")
    expected = LlamaForCausalLM.from_pretrained(backbones / "untied")
    rows = len(expected.lm_head.weight)
    assert torch.equal(model.lm_head.weight[:rows], expected.lm_head.weight)
    embeddings: Any = expected.get_input_embeddings()
    assert torch.equal(model.get_input_embeddings().weight[:rows], embeddings.weight)
    assert not torch.equal(model.lm_head.weight, model.get_input_embeddings().weight)


def test_overrides_choose_the_rest(backbones):
    small = {"metric_width": 16, "metric_heads": 2}
    image, _ = from_backbones(backbones)
    metric, _ = from_backbones(backbones, depth_branch="metric", **small)
    assert "depth" in image.model.connectors
    assert "depth" not in metric.model.connectors
    again, _ = from_backbones(backbones, depth_branch="metric", **small)
    other, _ = from_backbones(backbones, depth_branch="metric", seed=1, **small)
    assert_equal_weights(metric.state_dict(), again.state_dict())
    connectors = [model.model.connectors["rgb"].projection.weight for model in (metric, other)]
    assert not torch.equal(*connectors)


def test_a_model_from_backbones_is_a_checkpoint_like_any_other(backbones, tmp_path):
    model, processor = from_backbones(backbones)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    again, tokens = make_start(StartConfig(checkpoint=str(tmp_path)), 1, list)
    assert_equal_weights(again.state_dict(), model.state_dict())
    assert tokens.tokenizer.get_vocab() == processor.tokenizer.get_vocab()


@pytest.mark.parametrize(
    ("backbone", "weight"),
    [("dual", "vision_model.embeddings.patch_embedding.weight"), ("tied", "model.norm.weight")],
)
def test_a_backbone_that_lacks_a_weight_is_refused(backbones, tmp_path, backbone, weight):
    shutil.copytree(backbones, tmp_path, dirs_exist_ok=True)
    file = tmp_path / backbone / "model.safetensors"
    save_file(
        {name: value for name, value in load_file(file).items() if name != weight},
        file,
        {"format": "pt"},
    )
    with pytest.raises(
        SpatialError, match=f"{backbone} lacks the weights .*{weight.split('.', 1)[1]}"
    ):
        from_backbones(tmp_path)


def test_a_backbone_that_is_not_there_is_named(backbones):
    with pytest.raises(SpatialError, match="nothing_here"):
        from_backbones(backbones, vision="nothing_here")


# From a checkpoint


def test_a_checkpoint_goes_on_as_it_was(checkpoint):
    model, processor = from_nothing()
    again, tokens = make_start(StartConfig(checkpoint=str(checkpoint)), 5, list)
    assert_equal_weights(again.state_dict(), model.state_dict())
    assert again.generation_config.eos_token_id == model.generation_config.eos_token_id
    assert tokens.tokenizer.get_vocab() == processor.tokenizer.get_vocab()
    for text in TEXTS:
        assert tokens.tokenizer(text)["input_ids"] == processor.tokenizer(text)["input_ids"]


def test_overrides_of_a_checkpoint_change_no_weight(checkpoint):
    changed = {"mask_pooling": "area", "text_config": {"attention_dropout": 0.5}}
    start = StartConfig(checkpoint=str(checkpoint), overrides=changed)
    model, processor = make_start(start, 0, list)
    assert model.config.mask_pooling == processor.config.mask_pooling == "area"
    assert model.model.language_model.config.attention_dropout == 0.5
    assert model.config.text_config.hidden_size == TEXT["hidden_size"]
    assert_equal_weights(model.state_dict(), from_nothing()[0].state_dict())


@pytest.mark.parametrize(
    "more",
    [{}, {"region_rays": True}, {"region_colors": True}],
    ids=["measures", "rays", "colors"],
)
def test_new_measures_change_no_answer(checkpoint, more):
    """What they say is learned; what was there before stays, and so does what it says."""
    start = StartConfig(checkpoint=str(checkpoint), overrides={"region_measures": True, **more})
    (plain, _), (model, processor) = from_nothing(), make_start(start, 1, list)
    assert isinstance(processor, SmolRGPTProcessor)
    weights, known = model.state_dict(), plain.state_dict()
    assert weights.keys() > known.keys()
    assert_equal_weights({name: weights[name] for name in known}, known)
    depth = np.full((32, 32), 3.0, dtype=np.float32)
    mask = np.zeros((2, 32, 32), dtype=bool)
    mask[0, 4:12, 4:12] = mask[1, 20:30, 8:30] = True
    camera = CameraIntrinsics(32, 32, 30.0, 30.0, 15.5, 15.5)
    batch = processor(np.zeros((32, 32, 3), np.uint8), TEXTS[0], depth, list(mask), camera)
    before = {**batch, "region_samples": [item[:, :-1] for item in batch["region_samples"]]}
    with torch.no_grad():
        torch.testing.assert_close(
            model.eval()(**batch).logits, plain.eval()(**before).logits, atol=1e-5, rtol=1e-5
        )


@pytest.mark.parametrize(
    "overrides",
    [{"metric_layers": 7}, {"depth_branch": "image"}, {"text_config": {"hidden_size": 32}}],
)
def test_overrides_of_a_checkpoint_that_change_weights_are_refused(checkpoint, overrides):
    start = StartConfig(checkpoint=str(checkpoint), overrides=overrides)
    with pytest.raises(SpatialError, match="do not fit its configuration"):
        make_start(start, 0, list)


def test_a_checkpoint_that_is_not_there_is_named(tmp_path):
    with pytest.raises(SpatialError, match="nothing_here"):
        make_start(StartConfig(checkpoint=str(tmp_path / "nothing_here")), 0, list)
