"""Sizes, composition, saving and strict loading of the model."""

import json

import pytest
import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModel, AutoModelForImageTextToText, AutoProcessor

from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.model import (
    SmolRGPTConfig,
    SmolRGPTForConditionalGeneration,
    SmolRGPTModel,
    SmolRGPTProcessor,
)

TINY_TEXT = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": 64,
}
TINY_VISION = {
    "image_size": 32,
    "patch_size": 8,
    "hidden_size": 24,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
}


def change_weights(folder, change):
    path = folder / "model.safetensors"
    weights = load_file(path)
    change(weights)
    save_file(weights, path, metadata={"format": "pt"})


@pytest.fixture
def saved(model, tmp_path):
    model.save_pretrained(tmp_path)
    return tmp_path


def test_the_released_size_has_475_7_million_parameters():
    with torch.device("meta"):
        model = SmolRGPTForConditionalGeneration(SmolRGPTConfig.preset("smolrgpt"))
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    assert round(millions, 1) == 475.7
    assert model.config.num_image_tokens == 64
    assert model.config.refined_grid == 64


def test_the_small_preset_is_small_and_takes_overrides():
    config = SmolRGPTConfig.preset("smolrgpt-nano", text_config={"num_hidden_layers": 2})
    with torch.device("meta"):
        model = SmolRGPTForConditionalGeneration(config)
    assert sum(parameter.numel() for parameter in model.parameters()) < 4e6
    assert config.text_config.num_hidden_layers == 2
    assert config.text_config.hidden_size == 128


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("depth_branch", "stereo"),
        ("mask_pooling", "nearest"),
        ("empty_masks", "ignore"),
        ("refinement", "half"),
        ("depth_resampling", "cubic"),
        ("pixel_shuffle_factor", 3),
        ("pixel_shuffle_factor", "2"),
        ("refiner_levels", 0),
        ("depth_range", (1.0, 0.0)),
        ("rgb_range", (0.0, 0.5, 1.0)),
        ("depth_limit_m", 0.0),
        ("depth_unit_m", float("nan")),
        ("mask_rgb_token", "<|image|>"),
        ("mask_depth_token_id", 10**6),
        ("vision_config", {"image_size": 100}),
        ("text_config", {"model_type": "no-such-model"}),
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(field, value):
    with pytest.raises((ValueError, StrictDataclassError), match=field):
        SmolRGPTConfig.preset("smolrgpt-nano", **{field: value})


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValueError, match="smolrgpt-nano"):
        SmolRGPTConfig.preset("smolrgpt-huge")


@pytest.mark.parametrize(
    ("vision", "text"),
    [
        ({"model_type": "clip_vision_model", **TINY_VISION}, {"model_type": "qwen2", **TINY_TEXT}),
        ({"model_type": "dinov2", **TINY_VISION}, {"model_type": "smollm3", **TINY_TEXT}),
        ({"model_type": "vit", **TINY_VISION}, {"model_type": "llama", **TINY_TEXT}),
        ({"model_type": "dinov3_vit", **TINY_VISION}, {"model_type": "qwen3", **TINY_TEXT}),
        ({"model_type": "pixtral", **TINY_VISION}, {"model_type": "phi3", **TINY_TEXT}),
    ],
)
def test_other_encoders_and_language_models_fit_in(vision, text):
    text = {**text, "pad_token_id": 0}
    config = SmolRGPTConfig(vision_config=vision, text_config=text)
    model = SmolRGPTForConditionalGeneration(config).eval()
    assert model.lm_head.weight is model.get_input_embeddings().weight
    ids = torch.tensor([[1, *[61] * 4, 2, 62, 63, 3]])
    pixels = torch.rand(1, 3, 32, 32)
    masks = [torch.ones(1, 10, 10, dtype=torch.bool)]
    output = model(ids, pixel_values=pixels, depth_values=pixels, region_masks=masks)
    assert output.logits.shape == (1, 9, 64)
    assert output.logits.isfinite().all()


def test_the_auto_classes_know_the_model(checkpoint):
    assert isinstance(AutoConfig.from_pretrained(checkpoint), SmolRGPTConfig)
    assert isinstance(AutoModel.from_pretrained(checkpoint), SmolRGPTModel)
    assert isinstance(
        AutoModelForImageTextToText.from_pretrained(checkpoint), SmolRGPTForConditionalGeneration
    )
    assert isinstance(AutoProcessor.from_pretrained(checkpoint), SmolRGPTProcessor)


def test_saving_and_loading_changes_nothing(model, saved):
    again = SmolRGPTForConditionalGeneration.from_pretrained(saved)
    weights = again.state_dict()
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert again.config.to_diff_dict() == model.config.to_diff_dict()
    assert again.lm_head.weight is again.get_input_embeddings().weight


def test_loading_in_half_precision(checkpoint, inputs):
    model = SmolRGPTForConditionalGeneration.from_pretrained(checkpoint, dtype=torch.bfloat16)
    assert model.dtype == torch.bfloat16
    assert model.eval()(**inputs[0]).logits.isfinite().all()


@pytest.fixture
def sharded(model, tmp_path):
    """A checkpoint of several files, their names, and its index."""
    model.save_pretrained(tmp_path, max_shard_size="100KB")
    shards = sorted(path.name for path in tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 2
    return tmp_path, shards, tmp_path / "model.safetensors.index.json"


def refused(folder, words):
    with pytest.raises(ValueError, match=words) as caught:
        SmolRGPTForConditionalGeneration.from_pretrained(folder)
    assert "again" in str(caught.value)


def test_a_checkpoint_that_lacks_a_file_is_refused(sharded):
    folder, shards, index = sharded
    (folder / shards[1]).unlink()
    refused(folder, rf"index\.json: names the file '{shards[1]}', which the checkpoint lacks")
    index.write_text("{")
    refused(folder, r"index\.json: expected JSON")


def test_a_file_that_ends_early_is_refused(sharded):
    folder, shards, _ = sharded
    content = (folder / shards[1]).read_bytes()
    for size in (len(content) - 100, 50, 0):
        (folder / shards[1]).write_bytes(content[:size])
        refused(folder, "cannot be read .* the file is damaged or incomplete")


def test_an_index_that_names_the_wrong_file_changes_nothing(sharded, model):
    folder, shards, index = sharded
    content = json.loads(index.read_text())
    name = next(name for name, shard in content["weight_map"].items() if shard == shards[0])
    content["weight_map"][name] = shards[1]
    index.write_text(json.dumps(content))
    weights = SmolRGPTForConditionalGeneration.from_pretrained(folder).state_dict()
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("content", "words"), [(None, "has no config.json"), ("[]", "expected an object")]
)
def test_a_configuration_that_is_none_is_refused(saved, content, words):
    (saved / "config.json").unlink()
    if content is not None:
        (saved / "config.json").write_text(content)
    with pytest.raises(ValueError, match=words):
        make_answerer("model", str(saved))


def test_a_misspelled_key_of_the_configuration_is_refused(saved):
    path = saved / "config.json"
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, "mask_poling": "area", "_note": "by hand"}))
    with pytest.raises(ValueError, match="'smolrgpt' has no mask_poling; correct the name"):
        SmolRGPTForConditionalGeneration.from_pretrained(saved)
    path.write_text(json.dumps({**values, "torch_dtype": "float32", "temperature": 0.5}))
    SmolRGPTForConditionalGeneration.from_pretrained(saved, attn_implementation="eager")


def test_all_weights_that_do_not_fit_are_listed(saved):
    def spoil(weights):
        del weights["model.connectors.rgb.projection.weight"]
        weights["model.connectors.sonar.projection.weight"] = torch.zeros(2)
        weights["model.language_model.norm.weight"] = torch.zeros(3)

    change_weights(saved, spoil)
    with pytest.raises(ValueError, match="nothing was loaded") as caught:
        SmolRGPTForConditionalGeneration.from_pretrained(saved)
    message = str(caught.value)
    assert "missing: model.connectors.rgb.projection.weight" in message
    assert "unexpected: model.connectors.sonar.projection.weight" in message
    assert (
        "model.language_model.norm.weight: checkpoint has (3,), the configuration wants (64,)"
        in (message)
    )


@pytest.mark.parametrize(
    "argument", [{"ignore_mismatched_sizes": True}, {"use_safetensors": False}]
)
def test_partial_and_unsafe_loading_are_refused(saved, argument):
    with pytest.raises(ValueError, match="omit them"):
        SmolRGPTForConditionalGeneration.from_pretrained(saved, **argument)


def test_a_pickled_checkpoint_is_not_read(model, saved):
    (saved / "model.safetensors").unlink()
    torch.save(model.state_dict(), saved / "pytorch_model.bin")
    with pytest.raises(OSError, match="safetensors"):
        SmolRGPTForConditionalGeneration.from_pretrained(saved)


def test_the_vision_encoder_is_frozen_and_all_else_learns(model, inputs):
    model.train()
    assert not model.model.vision_model.training
    model(**inputs[0], labels=inputs[0]["input_ids"]).loss.backward()
    learns = {name for name, parameter in model.named_parameters() if parameter.grad is not None}
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    assert learns.isdisjoint(frozen)
    assert learns | frozen == {name for name, _ in model.named_parameters()}
    assert all(name.startswith("model.vision_model.") for name in frozen)
    assert frozen
