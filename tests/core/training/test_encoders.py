"""Each known vision encoder gives its patches in their places, from pixels as it was trained with.

Tiny encoders with random weights, saved as their checkpoints are.
"""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import (
    CONFIG_MAPPING,
    AutoModel,
    CLIPConfig,
    CLIPModel,
    LlamaConfig,
    LlamaForCausalLM,
)

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.inference.config import AnswerStyle, EngineConfig
from smolrgpt_core.inference.engine import InferenceEngine
from smolrgpt_core.inference.torch_steps import TorchSteps
from smolrgpt_core.language import MASK
from smolrgpt_core.model import (
    SmolRGPTConfig,
    SmolRGPTForConditionalGeneration,
    SmolRGPTProcessor,
)
from smolrgpt_core.model.encoders import ENCODERS, rgb_range_of
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.settings_file import to_entries
from smolrgpt_core.training.config import StartConfig
from smolrgpt_core.training.config_file import read_config
from smolrgpt_core.training.run import train
from smolrgpt_core.training.start import make_start
from smolrgpt_core.training.tokenizer import train_tokenizer

SIZE, PATCH = 56, 14
GRID = SIZE // PATCH
SMALL: dict[str, Any] = {
    "hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 3, "num_attention_heads": 2,
    "image_size": SIZE, "patch_size": PATCH,
}  # fmt: skip
OF_KIND: dict[str, dict[str, Any]] = {
    "dinov2": {"mlp_ratio": 2},
    "dinov2_with_registers": {"mlp_ratio": 2, "num_register_tokens": 4},
    "dinov3_vit": {"num_register_tokens": 4},
}
TEXT: dict[str, Any] = {
    "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
    "num_key_value_heads": 2,
}  # fmt: skip
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
METRIC = {"depth_branch": "metric", "metric_width": 16, "metric_heads": 2, "metric_layers": 1}


def vision_config(kind: str, **changes: Any):
    return CONFIG_MAPPING[kind](**(SMALL | OF_KIND.get(kind, {}) | changes))


@pytest.fixture(scope="session")
def backbones(tmp_path_factory) -> Path:
    """Encoders by `model_type`, a whole CLIP, and a language model. Not to be changed."""
    folder = tmp_path_factory.mktemp("encoders")
    torch.manual_seed(0)
    for kind in ENCODERS:
        AutoModel.from_config(vision_config(kind)).save_pretrained(folder / kind)
    CLIPModel(
        CLIPConfig(
            vision_config=SMALL,
            text_config={**TEXT, "vocab_size": 50, "bos_token_id": 1, "eos_token_id": 2},
        )
    ).save_pretrained(folder / "clip")
    for path in folder.iterdir():
        (path / "preprocessor_config.json").write_text(json.dumps(IMAGENET))
    tokenizer = train_tokenizer([f"How far is {MASK} from {MASK}?", "user\n3", "assistant\n1"], 300)
    config = LlamaConfig(vocab_size=len(tokenizer), tie_word_embeddings=True, **TEXT)
    LlamaForCausalLM(config).save_pretrained(folder / "language")
    tokenizer.save_pretrained(folder / "language")
    return folder


def start_of(folder: Path, encoder: str, **overrides: Any) -> StartConfig:
    return StartConfig(
        vision_backbone=str(folder / encoder),
        language_backbone=str(folder / "language"),
        overrides={**METRIC, **overrides},
    )


def from_backbone(folder: Path, encoder: str, **overrides: Any):
    return make_start(start_of(folder, encoder, **overrides), 0, list)


@pytest.fixture
def frame() -> RGBDFrame:
    generator = np.random.default_rng(0)
    ids = np.zeros((SIZE, SIZE), dtype=np.int32)
    ids[5:30, 5:25], ids[30:50, 30:50] = 1, 2
    return RGBDFrame(
        generator.integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8),
        generator.uniform(1, 6, (SIZE, SIZE)).astype(np.float32),
        CameraIntrinsics(SIZE, SIZE, 50.0, 50.0, 27.5, 27.5),
        RegionSet.from_label_image(ids, {1: "pallet", 2: "pallet"}),
    )


@pytest.mark.parametrize("kind", ENCODERS)
def test_a_changed_patch_changes_the_feature_in_its_place(backbones, kind):
    model, _ = from_backbone(backbones, kind)
    pixels = torch.zeros(1, 3, SIZE, SIZE)
    with torch.no_grad():
        before = model.model.encode_images(pixels, "rgb")
    assert before.shape == (1, GRID**2, 16)
    for row, column in ((0, 0), (1, 3), (3, 2)):
        changed = pixels.clone()
        rows, columns = (slice(at * PATCH, (at + 1) * PATCH) for at in (row, column))
        noise = torch.randn(PATCH, PATCH, generator=torch.Generator().manual_seed(row))
        changed[..., rows, columns] = noise
        with torch.no_grad():
            moved = (model.model.encode_images(changed, "rgb") - before).norm(dim=-1)[0]
        assert int(moved.argmax()) == row * GRID + column


@pytest.mark.parametrize("kind", ENCODERS)
def test_the_features_are_normed_whatever_the_encoder_does(backbones, kind):
    model, _ = from_backbone(backbones, kind)
    pixels = torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = model.model.encode_images(50 * pixels, "rgb")
    # Norm layers begin as plain normalizations, by the mean square where they keep the mean.
    assert features.square().mean(dim=-1) == pytest.approx(1, abs=0.05)


def test_the_encoder_of_a_clip_is_the_last_layer_but_one(backbones):
    whole = CLIPModel.from_pretrained(backbones / "clip").eval()
    pixels = torch.randn(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        states = whole.vision_model(pixels, output_hidden_states=True).hidden_states
        for encoder in ("clip", "clip_vision_model"):
            model, _ = from_backbone(backbones, encoder, vision_norm=False)
            found = model.model.encode_images(pixels, "rgb")
            if encoder == "clip":
                assert torch.equal(found, states[-2][:, 1:])
            assert len(model.model.vision_model.encoder.layers) == 2
    assert model.config.vision_config.num_hidden_layers == 2


@pytest.mark.parametrize("kind", ["siglip_vision_model", "clip_vision_model", "dinov2"])
def test_another_image_size_resamples_the_places_as_the_encoder_does(backbones, kind):
    size = 2 * SIZE
    model, _ = from_backbone(backbones, kind, vision_config={"image_size": size}, vision_norm=False)
    plain = AutoModel.from_pretrained(backbones / kind).eval()
    pixels = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    interpolate = {} if kind == "dinov2" else {"interpolate_pos_encoding": True}
    unused = ENCODERS[kind].unused_layers
    with torch.no_grad():
        outputs = plain(pixels, output_hidden_states=True, **interpolate)
        states = outputs.hidden_states[-1 - unused] if unused else outputs.last_hidden_state
        found = model.model.encode_images(pixels, "rgb")
    torch.testing.assert_close(found, states[:, -((size // PATCH) ** 2) :], atol=1e-5, rtol=1e-5)


def test_pixels_are_normalized_as_the_checkpoint_says(backbones, frame):
    _, processor = from_backbone(backbones, "dinov2")
    mean, std = (np.array(values)[:, None, None] for values in IMAGENET.values())
    expected = (frame.rgb.transpose(2, 0, 1) / 255 - mean) / std
    np.testing.assert_allclose(processor.prepare_image(frame.rgb), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (HALF, (-1.0, 1.0)),
        ({"do_normalize": False}, (0.0, 1.0)),
        ({**HALF, "rescale_factor": 2 / 255}, (-1.0, 3.0)),
    ],
)
def test_equal_channels_are_one_pair(says, expected):
    assert rgb_range_of(says) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("content", "words"),
    [(None, "has no preprocessor_config.json"), ({"image_mean": [0.5] * 3}, "image_std")],
)
def test_an_encoder_that_does_not_say_its_pixels_is_refused(backbones, tmp_path, content, words):
    shutil.copytree(backbones / "dinov2", tmp_path / "dinov2")
    shutil.copytree(backbones / "language", tmp_path / "language")
    file = tmp_path / "dinov2" / "preprocessor_config.json"
    file.unlink() if content is None else file.write_text(json.dumps(content))
    with pytest.raises(SpatialError, match=words):
        from_backbone(tmp_path, "dinov2")
    model, _ = from_backbone(tmp_path, "dinov2", rgb_range=[0, 1])
    assert model.config.rgb_range == (0.0, 1.0)


def test_the_processor_of_a_whole_checkpoint_decides_it_too(backbones, tmp_path):
    shutil.copytree(backbones / "clip", tmp_path / "clip")
    shutil.copytree(backbones / "language", tmp_path / "language")
    (tmp_path / "clip" / "preprocessor_config.json").unlink()
    content = {"processor_class": "CLIPProcessor", "image_processor": HALF}
    (tmp_path / "clip" / "processor_config.json").write_text(json.dumps(content))
    assert from_backbone(tmp_path, "clip")[0].config.rgb_range == (-1.0, 1.0)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("siglip2_vision_model", "NaFlex"),
        ("dinov3_convnext", "ConvNeXt has no patches"),
        ("swin", "merges patches"),
        ("beit", "none of those whose order of patches is known"),
    ],
)
def test_encoders_without_a_known_grid_are_refused(kind, words):
    with pytest.raises(ValueError, match=words):
        SmolRGPTConfig(vision_config={"model_type": kind})


def test_a_grid_that_pixel_shuffle_cannot_halve_is_refused(backbones):
    with pytest.raises(SpatialError, match="must divide the 5 patches"):
        from_backbone(backbones, "dinov2", vision_config={"image_size": 70})


@pytest.mark.parametrize("kind", ["clip", "dinov2_with_registers", "dinov3_vit"])
def test_a_model_trains_is_saved_and_answers_alike_in_the_engine(
    backbones, run_config, tmp_path, frame, kind
):
    config = run_config(
        "metric",
        start=start_of(backbones, kind),
        trainable={"vision_encoder": 1e-3, "rgb_connector": 1e-3},
    )
    folder = train(replace(config, optimizer=replace(config.optimizer, steps=3)))
    before, _ = from_backbone(backbones, kind)
    model, processor = make_start(StartConfig(checkpoint=str(folder)), 0, list)
    assert model.config.rgb_range == before.config.rgb_range
    assert model.config.vision_norm is (kind == "clip")
    trained, new = (item.model.vision_model.state_dict() for item in (model, before))
    assert any(not torch.equal(weight, new[name]) for name, weight in trained.items())
    assert isinstance(model, SmolRGPTForConditionalGeneration)
    assert isinstance(processor, SmolRGPTProcessor)
    model.eval().generation_config.eos_token_id = None
    plain = deepcopy(model)
    question = f"How far is {MASK} from {MASK}?"
    regions = [frame.regions[1], frame.regions[2]]
    batch = processor(frame.rgb, question, frame.depth, regions, frame.intrinsics)
    ids = plain.generate(**batch, max_new_tokens=6, do_sample=False)[0]
    style = AnswerStyle("", 6)
    engine = InferenceEngine(
        TorchSteps(model, processor, EngineConfig(device="cpu", short=style, sentence=style))
    )
    (found,) = engine.ask([(question, (1, 2))], frame=frame)
    assert list(found.token_ids) == ids[batch["input_ids"].shape[1] :].tolist()


def test_the_configurations_of_the_comparison_differ_in_the_encoder_alone():
    folder = Path(__file__).parents[3] / "config" / "train" / "encoders"
    configs = {path.stem: read_config(path) for path in sorted(folder.glob("*.yaml"))}
    assert len(configs) >= 4
    settings = [to_entries(config) for config in configs.values()]
    tokens = set()
    for item in settings:
        start, vision = item["start"], item["start"]["overrides"].pop("vision_config")
        tokens.add(vision["image_size"] // (14 if "dinov2" in start["vision_backbone"] else 16))
        del start["vision_backbone"], item["output"]
    assert all(item == settings[0] for item in settings)
    assert tokens == {16}
