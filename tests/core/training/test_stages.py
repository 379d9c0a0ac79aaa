"""The three stages as they ship, one after the other, from tiny backbones on small data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import LlamaConfig, LlamaForCausalLM, SiglipVisionConfig, SiglipVisionModel
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.data.readers.iteration import Order, SampleIterator
from smolrgpt_core.files import write_image
from smolrgpt_core.training.config import DataConfig, SourceConfig
from smolrgpt_core.training.stream import open_source
from smolrgpt_core.training.tokenizer import train_tokenizer

STAGES = Path(__file__).parents[3] / "config" / "train"
HEADS: dict[str, Any] = {"num_hidden_layers": 1, "num_attention_heads": 2}
SMALL_RUN = (
    "optimizer.steps=3", "optimizer.batch_rows=4", "optimizer.micro_rows=2", "data.workers=0",
    "precision=float32", "logging.tensorboard=false", "checkpoints.every_steps=2",
)  # fmt: skip
TRAINED = {
    "stage1_rgb_connector": {"connectors.rgb"},
    "stage2_region_warmup": {"connectors.depth", "refiners.rgb", "refiners.depth"},
    "stage3_warehouse": {
        "connectors.rgb", "connectors.depth", "refiners.rgb", "refiners.depth", "language_model",
    },
}  # fmt: skip


@pytest.fixture
def backbones(tmp_path):
    """Folders of a vision encoder and a language model with its tokenizer."""
    torch.manual_seed(0)
    vision = SiglipVisionConfig(
        image_size=32, patch_size=8, hidden_size=16, intermediate_size=24, vision_use_head=False,
        **HEADS,
    )  # fmt: skip
    SiglipVisionModel(vision).save_pretrained(tmp_path / "vision")
    pixels = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "vision" / "preprocessor_config.json").write_text(json.dumps(pixels))
    tokenizer = train_tokenizer(["user\nHow far is it?", "assistant\nIt is 3.42 meters away."], 300)
    language = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=24, intermediate_size=32, num_key_value_heads=2,
        tie_word_embeddings=True, **HEADS,
    )  # fmt: skip
    LlamaForCausalLM(language).save_pretrained(tmp_path / "language")
    tokenizer.save_pretrained(tmp_path / "language")
    return tmp_path / "vision", tmp_path / "language"


@pytest.fixture
def captions(tmp_path):
    """Four pictures with captions, as LLaVA's."""
    noise = np.random.default_rng(0)
    entries = []
    for number in range(4):
        picture = noise.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        write_image(tmp_path / "captions" / "images" / f"{number}.png", picture)
        talk = [{"from": "human", "value": "<image>\nWhat is this?"},
                {"from": "gpt", "value": f"picture {number}"}]  # fmt: skip
        entries.append({"id": str(number), "image": f"{number}.png", "conversations": talk})
    (tmp_path / "captions" / "chat.json").write_text(json.dumps(entries))
    return tmp_path / "captions"


def test_a_source_names_its_files_and_a_folder_for_their_index(captions, tmp_path):
    (captions / "chat.json").rename(captions / "captions.json")
    (captions / "images").rename(captions / "photographs")
    index = tmp_path / "index"
    source = SourceConfig(
        "llava", str(captions), inputs="rgb", annotations="captions.json", images="photographs",
        index_folder=str(index),
    )  # fmt: skip
    data_set = open_source(source, DataConfig((source,)))
    sample = next(SampleIterator(data_set, Order()))
    assert sample.image.read().shape == (32, 32, 3)
    assert list(index.iterdir())


def run(stage, *changes):
    result = CliRunner().invoke(app, ["train", str(STAGES / f"{stage}.yaml"), *SMALL_RUN, *changes])
    assert result.exit_code == 0, result.output


def changed_parts(before, after):
    """Modules with a changed weight, such as connectors.rgb."""
    names = [
        name.removeprefix("model.") for name in after if not torch.equal(before[name], after[name])
    ]
    by_modality = ("connectors.", "refiners.")
    return {".".join(name.split(".")[: 1 + name.startswith(by_modality)]) for name in names}


def test_the_stages_train_what_they_name_one_after_the_other(
    backbones, captions, warehouse, tmp_path
):
    vision, language = backbones
    first, second, third = TRAINED
    outputs = {stage: tmp_path / stage for stage in TRAINED}
    run(
        first, f"start.vision_backbone={vision}", f"start.language_backbone={language}",
        f"data.sources.0.root={captions}", f"output={outputs[first]}",
    )  # fmt: skip
    run(
        second, f"start.checkpoint={outputs[first] / 'model'}", "data.sources.0.kind=warehouse",
        f"data.sources.0.root={warehouse}", f"output={outputs[second]}",
    )  # fmt: skip
    run(
        third, f"start.checkpoint={outputs[second] / 'model'}",
        f"data.sources.0.root={warehouse}", f"output={outputs[third]}",
        f"validation.source.root={warehouse}", "validation.rows=2",
    )  # fmt: skip
    weights = {
        stage: load_file(out / "model" / "model.safetensors") for stage, out in outputs.items()
    }
    encoder = load_file(vision / "model.safetensors")
    for stage in (second, third):
        before = weights[first if stage == second else second]
        assert changed_parts(before, weights[stage]) == TRAINED[stage]
    for name, weight in encoder.items():
        assert torch.equal(
            weights[third][f"model.vision_model.{name.removeprefix('vision_model.')}"], weight
        )
    words = load_file(language / "model.safetensors")["model.embed_tokens.weight"]
    found = weights[second]["model.language_model.embed_tokens.weight"]
    assert torch.equal(found[: len(words)], words)
