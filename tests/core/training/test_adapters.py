"""Adapters of every method: what they change, and that saved, merged and served they are one."""

from __future__ import annotations

import json
import shutil
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from smolrgpt_core.adapter_settings import METHODS
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.inference import (
    AnswerStyle,
    Engine,
    EngineConfig,
    InferenceEngine,
    TorchSteps,
    load_engine,
)
from smolrgpt_core.inference.loading import load_adapted
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.adapter_files import (
    ADAPTER_WEIGHTS_FILE,
    CARD_FILE,
    card_of,
    load_adapter,
    save_adapter,
)
from smolrgpt_core.model.adapters import adapter_weights, attach_adapter
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.training.checkpoints import CheckpointStore
from smolrgpt_core.training.config import OptimizerConfig, TrainConfig
from smolrgpt_core.training.losses import answer_losses
from smolrgpt_core.training.optimizer import make_optimizer, parameter_groups, set_trainable
from smolrgpt_core.training.run import train
from smolrgpt_core.training.stream import TrainingStream

TARGETS = {
    "lora": {"language_model": "q_proj|down_proj", "vision_encoder": "q_proj"},
    "rslora": {"language_model": ".*", "rgb_connector": "projection"},
    "dora": {"language_model": "mlp.*", "metric_branch": ".*"},
    "ia3": {"language_model": "k_proj|v_proj|down_proj"},
    "ln_tuning": {"language_model": ".*norm", "metric_branch": ".*"},
    "prompt": {},
    "bottleneck": {"language_model": "o_proj|down_proj"},
}
QUESTION = "How far is <mask> from <mask>?"
WIDTH, HEIGHT = 48, 32


@pytest.fixture
def frame() -> RGBDFrame:
    regions = []
    for id, left in ((1, 4), (2, 30)):
        mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
        mask[10:20, left : left + 10] = True
        regions.append(Region.from_bitmap(id, "pallet", mask))
    rgb = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    depth = np.linspace(1, 5, HEIGHT * WIDTH, dtype=np.float32).reshape(HEIGHT, WIDTH)
    camera = CameraIntrinsics(WIDTH, HEIGHT, 40.0, 40.0, 23.5, 15.5)
    return RGBDFrame(rgb, depth, camera, RegionSet((HEIGHT, WIDTH), tuple(regions)))


def from_disk(folder: Path):
    model = SmolRGPTForConditionalGeneration.from_pretrained(folder)
    return model, SmolRGPTProcessor.from_pretrained(folder)


def trained(config, steps: int = 3):
    """The base with an adapter after some steps, the last batch, and the weights of before.

    Adapters are put in place, so the weights that were there before are the same objects.
    """
    model, processor = from_disk(config.start.checkpoint)
    known = [(weight, weight.detach().clone()) for weight in model.parameters()]
    torch.manual_seed(0)
    processor = attach_adapter(model, processor, config.peft)
    set_trainable(model, config.trainable, config.adapted)
    groups = parameter_groups(model, config.trainable, 0.01)
    optimizer = make_optimizer(groups, config.optimizer)
    batches = iter(TrainingStream(config, processor).loader())
    for _ in range(steps):
        batch = next(batches)
        batch.pop("facts")
        optimizer.zero_grad()
        answer_losses(model.train(), batch, None, 3.0)[0].backward()
        optimizer.step()
    return model.eval(), batch, known


def generated(model, processor, frame) -> tuple[list[int], torch.Tensor]:
    """Tokens of an answer, and the logits before each."""
    masks = [frame.regions[1], frame.regions[2]]
    batch = processor(frame.rgb, QUESTION, frame.depth, masks, frame.intrinsics)
    out = model.generate(
        **batch, max_new_tokens=6, do_sample=False, return_dict_in_generate=True,
        output_logits=True, eos_token_id=None,
    )  # fmt: skip
    return out.sequences[0].tolist(), torch.stack(out.logits)


def asked(engine: Engine, frame):
    assert isinstance(engine, InferenceEngine)
    assert isinstance(engine.steps, TorchSteps)
    engine.steps.model.generation_config.eos_token_id = None
    (answer,) = engine.ask([(QUESTION, (1, 2))], frame=frame)
    return answer


def newest_folder(config: TrainConfig) -> Path:
    newest = CheckpointStore(Path(config.output), keep=2).newest()
    assert newest is not None
    return newest.folder


ENGINE = EngineConfig(device="cpu", short=AnswerStyle("", 6))


@pytest.mark.parametrize("method", METHODS)
def test_an_adapter_changes_what_it_names_and_is_the_same_saved_merged_and_served(
    adapter_run, base, frame, tmp_path, method
):
    config = adapter_run(method, TARGETS[method])
    model, batch, known = trained(config)
    before, _ = from_disk(base)
    adapted = adapter_weights(model)
    assert adapted
    assert {name for name, weight in model.named_parameters() if weight.requires_grad} == set(
        adapted
    )
    # Where a model reads the weight of a layer itself, an adapter around it has no effect.
    assert all(weight.grad is not None for weight in adapted.values())
    # Rows of a prompt are added to those of the embedding.
    assert all(torch.equal(weight[: len(was)], was) for weight, was in known)

    save_adapter(model, card_of(str(base), config.peft), tmp_path)
    again, its_processor = from_disk(base)
    its_processor = load_adapter(again, its_processor, base, tmp_path)
    again.eval()
    assert isinstance(its_processor, SmolRGPTProcessor)
    inputs = {key: value for key, value in batch.items() if key != "answer_categories"}
    with torch.no_grad():
        wanted = model(**inputs).logits
        assert torch.equal(again(**inputs).logits, wanted)
        merged, merged_processor = load_adapted(base, tmp_path)
        torch.testing.assert_close(merged(**inputs).logits, wanted, atol=1e-5, rtol=1e-5)
        plain = before.eval()(**inputs).logits if method != "prompt" else None
    assert plain is None or (plain - wanted).abs().max() > 1e-3

    ids, logits = generated(again, its_processor, frame)
    merged_ids, merged_logits = generated(merged, merged_processor, frame)
    assert merged_ids == ids
    torch.testing.assert_close(merged_logits, logits, atol=1e-5, rtol=1e-5)
    unmerged = asked(InferenceEngine(TorchSteps(deepcopy(again), its_processor, ENGINE)), frame)
    served = asked(load_engine(base, ENGINE, tmp_path), frame)
    assert served.token_ids == unmerged.token_ids == tuple(ids[-6:])
    assert served.probabilities == pytest.approx(unmerged.probabilities, abs=1e-5)


def test_a_run_saves_the_adapter_alone_and_publishes_the_merged_model(
    adapter_run, base, logged_losses
):
    config = adapter_run("lora", {"language_model": "q_proj"}, ("rgb_refiner",), dropout=0.1)
    folder = train(config)
    output = Path(config.output)
    files = {path.name for path in (output / "adapter").iterdir()}
    assert files == {"adapter.json", "adapter.safetensors"}
    assert not list(output.rglob("checkpoints/*/model.safetensors"))
    model, _ = load_adapted(base, output / "adapter")
    published, before = (
        SmolRGPTForConditionalGeneration.from_pretrained(item).state_dict()
        for item in (folder, base)
    )
    assert all(torch.equal(weight, published[name]) for name, weight in model.state_dict().items())
    changed = {name for name, weight in before.items() if not torch.equal(weight, published[name])}
    assert {name for name in changed if "q_proj" not in name} == {
        name for name in before if name.startswith("model.refiners.rgb.")
    }
    assert any("language_model" in name and "q_proj" in name for name in changed)
    assert not any("vision_model" in name for name in changed)
    assert len(logged_losses(config)) == 6


def test_a_resumed_adapter_has_the_losses_of_one_that_was_not_stopped(adapter_run, logged_losses):
    optimizer = OptimizerConfig(name="muon", batch_rows=4, micro_rows=2, steps=6)
    config = replace(
        adapter_run("dora", TARGETS["dora"], ("rgb_connector",), rank=16, dropout=0.1),
        optimizer=optimizer,
    )
    train(config)
    whole, path = logged_losses(config), Path(config.output, "adapter", ADAPTER_WEIGHTS_FILE)
    weights = load_file(path)
    shutil.rmtree(newest_folder(config))
    card = newest_folder(config) / CARD_FILE
    text = card.read_text()
    entries = json.loads(text)
    card.write_text(json.dumps(entries | {"base_sha256": "0" * 64}))
    with pytest.raises(SpatialError, match=r"peft: .* is an adapter of 'tiny'"):
        train(config)
    card.write_text(text)
    train(config)
    assert logged_losses(config) == whole
    again = load_file(path)
    assert all(torch.equal(weights[name], again[name]) for name in weights)


def test_activations_that_are_computed_again_give_the_same_losses(adapter_run, logged_losses):
    config = adapter_run("lora", TARGETS["lora"])
    saving = replace(config, output=f"{config.output}-saving", gradient_checkpointing=True)
    train(config)
    train(saving)
    for one, two in zip(logged_losses(config), logged_losses(saving), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=1e-6)


def test_two_processes_give_the_losses_of_one(adapter_run, logged_losses, train_in_two_processes):
    config = adapter_run("rslora", TARGETS["rslora"], ("metric_branch",))
    train(config)
    pair = replace(config, output=f"{config.output}-pair")
    train_in_two_processes(pair)
    assert len(logged_losses(pair)) == 6
    for alone, together in zip(logged_losses(config), logged_losses(pair), strict=True):
        assert together["loss"] == pytest.approx(alone["loss"], abs=1e-5)
        assert together["gradient_norm"] == pytest.approx(alone["gradient_norm"], rel=1e-4)
