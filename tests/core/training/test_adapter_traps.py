"""What would go wrong without a word: each of it is refused, or does not happen."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from smolrgpt_core.adapter_settings import AdapterSettings
from smolrgpt_core.answerer_settings import ModelSettings
from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.answerers.model import ModelAnswerer, load_reliability
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.predictions import AnswererChoice
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.inference import (
    EngineConfig,
    InferenceEngine,
    TorchSteps,
    load_engine,
    packed_linear,
)
from smolrgpt_core.inference.config import AnswerStyle
from smolrgpt_core.inference.loading import load_adapted
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.adapter_files import (
    ADAPTER_WEIGHTS_FILE,
    CARD_FILE,
    card_of,
    load_adapter,
    save_adapter,
)
from smolrgpt_core.model.adapters import (
    adapter_weights,
    attach_adapter,
    merge_adapter,
    target_layers,
)
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.training.config_file import read_config
from smolrgpt_core.training.optimizer import MATRICES, parameter_groups, set_trainable
from smolrgpt_core.training.run import train

ROOT = Path(__file__).parents[3]
SHIPPED = sorted((ROOT / "config" / "train" / "peft").glob("*.yaml"))
LANGUAGE = {"language_model": "q_proj|o_proj|down_proj"}
QUESTION = ("How far is <mask> from <mask>?", (1, 2))


def from_disk(folder: Path):
    model = SmolRGPTForConditionalGeneration.from_pretrained(folder)
    return model.eval(), SmolRGPTProcessor.from_pretrained(folder)


def with_adapter(folder: Path, method: str, targets=None, **settings):
    """The model of a checkpoint with an adapter that changes its answers, and its processor."""
    model, processor = from_disk(folder)
    torch.manual_seed(0)
    processor = attach_adapter(model, processor, AdapterSettings(method, targets or {}, **settings))
    with torch.no_grad():
        for weight in adapter_weights(model).values():
            weight.add_(torch.randn_like(weight), alpha=0.1)
    return model, processor


@pytest.fixture
def saved(base, tmp_path):
    """saved(method, targets): the folder of such an adapter."""

    def save(method: str, targets=None, whole=()) -> Path:
        settings = AdapterSettings(method, targets or {})
        model, _ = with_adapter(base, method, targets)
        folder = tmp_path / method
        folder.mkdir()
        save_adapter(model, card_of(str(base), settings, whole), folder)
        return folder

    return save


@pytest.fixture(scope="module")
def frame() -> RGBDFrame:
    regions = []
    for id, left in ((1, 4), (2, 30)):
        mask = np.zeros((32, 48), dtype=bool)
        mask[10:20, left : left + 10] = True
        regions.append(Region.from_bitmap(id, "pallet", mask))
    rgb = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)
    depth = np.linspace(1, 5, 32 * 48, dtype=np.float32).reshape(32, 48)
    camera = CameraIntrinsics(48, 32, 40.0, 40.0, 23.5, 15.5)
    return RGBDFrame(rgb, depth, camera, RegionSet((32, 48), tuple(regions)))


def changed_card(folder: Path, **changes) -> None:
    card = json.loads((folder / CARD_FILE).read_text())
    for name, value in changes.items():
        (card["settings"] if name in card["settings"] else card)[name] = value
    (folder / CARD_FILE).write_text(json.dumps(card))


def logits_of(model, processor, frame, rgb=None) -> torch.Tensor:
    masks = [frame.regions[id] for id in QUESTION[1]]
    rgb = frame.rgb if rgb is None else rgb
    batch = processor(rgb, QUESTION[0], frame.depth, masks, frame.intrinsics)
    with torch.no_grad():
        return model(**batch).logits


def test_a_trained_prompt_is_read_with_the_image(base, frame):
    """The prompts of peft replace the tokens by embeddings, and the picture is not seen."""
    model, processor = with_adapter(base, "prompt", tokens=3)
    text = processor.prompt([{"role": "user", "content": "What is it?"}], True, 0)
    assert text.index("<|prompt_2|>") < text.index("<|image|>") < text.index("What")
    seen = logits_of(model, processor, frame)
    assert (seen - logits_of(model, processor, frame, frame.rgb[::-1].copy())).abs().max() > 1e-4
    with pytest.raises(SpatialError, match="prompt_1"):
        processor.prompt([{"role": "user", "content": "<|prompt_1|> is it?"}], True, 0)


def test_the_tokens_of_a_prompt_are_never_generated(base, frame):
    """The rows of a tied head move with those of the embedding."""
    model, processor = with_adapter(base, "prompt", tokens=3)
    model.generation_config.eos_token_id = None
    first = len(model.get_output_embeddings().weight) - 3
    batch = processor(frame.rgb, "What is it?", frame.depth, None, frame.intrinsics)
    with torch.no_grad():
        hidden = model(**batch, output_hidden_states=True).hidden_states[-1][0, -1]
        for weight in adapter_weights(model).values():
            weight.copy_(1e3 * hidden.expand_as(weight))
        ahead = model(**batch).logits[0, -1].argmax()
    said = model.generate(**batch, max_new_tokens=4)[0, batch["input_ids"].shape[1] :]
    config = EngineConfig(device="cpu", short=AnswerStyle("", 4))
    (answer,) = InferenceEngine(TorchSteps(model, processor, config)).ask(
        ["What is it?"], frame=frame
    )
    assert ahead >= first
    assert max(*said.tolist(), *answer.token_ids) < first
    assert list(answer.token_ids) == said.tolist()


@pytest.mark.parametrize(
    ("method", "packs"),
    [("lora", True), ("ia3", True), ("ia3", False), ("ln_tuning", False)],
)
def test_an_engine_with_an_adapter_that_is_not_merged_does_not_lose_it(
    base, frame, saved, monkeypatch, method, packs
):
    """The weight of a layer of peft is that of the layer without the adapter."""
    monkeypatch.setattr(packed_linear, "LEAST_FLOAT32", 0)
    folder = saved(method, {"language_model": ".*"})
    config = EngineConfig(device="cpu", short=AnswerStyle("", 6), pack_weights=packs)
    model, processor = from_disk(base)
    processor = load_adapter(model, processor, base, folder)
    assert isinstance(processor, SmolRGPTProcessor)
    engines: tuple[Any, ...] = (
        InferenceEngine(TorchSteps(model, processor, config)),
        load_engine(base, config, folder),
        load_engine(base, config),
    )
    (unmerged,), (merged,), (plain,) = (engine.ask([QUESTION], frame=frame) for engine in engines)
    assert unmerged.probabilities == pytest.approx(merged.probabilities, abs=1e-5)
    assert unmerged.token_ids == merged.token_ids
    assert plain.probabilities[0] != pytest.approx(merged.probabilities[0], abs=1e-4)


def test_weights_that_are_missing_or_too_many_are_refused(base, saved):
    folder = saved("lora", LANGUAGE)
    path = folder / ADAPTER_WEIGHTS_FILE
    whole = load_file(path)
    name = next(iter(whole))
    rest = {key: value for key, value in whole.items() if key != name}
    wrong = {name: whole[name][:1].clone()}
    for tensors, problem in (
        (rest, f"missing: {name}"),
        (whole | {"other.weight": whole[name].clone()}, "unexpected: other.weight"),
        (rest | wrong, f"{name}: the file has"),
    ):
        save_file(tensors, path)
        with pytest.raises(ValueError, match="nothing was loaded") as refused:
            load_adapted(base, folder)
        assert problem in str(refused.value)
    path.write_bytes(b"broken")
    with pytest.raises(ValueError, match="damaged or incomplete"):
        load_adapted(base, folder)


def test_a_pickled_file_is_not_read(base, saved):
    folder = saved("lora", LANGUAGE)
    torch.save(load_file(folder / ADAPTER_WEIGHTS_FILE), folder / "adapter_model.bin")
    (folder / ADAPTER_WEIGHTS_FILE).unlink()
    with pytest.raises(FileNotFoundError, match="never from a pickled one"):
        load_adapted(base, folder)
    (folder / CARD_FILE).unlink()
    with pytest.raises(FileNotFoundError, match=r"is no adapter: it has no adapter\.json"):
        load_adapted(base, folder)


def test_a_kind_that_is_not_known_is_refused_and_none_passes_for_another(base, saved, tmp_path):
    """On square matrices peft loads the file of a bottleneck as LoRA, without a warning."""
    folder = saved("bottleneck", {"language_model": "o_proj"})
    published = tmp_path / "published"
    model, processor = load_adapted(base, folder)
    model.save_pretrained(published)
    processor.save_pretrained(published)
    changed_card(folder, method="lora")
    with pytest.raises(ValueError, match="nothing was loaded"):
        load_adapted(base, folder)
    changed_card(folder, method="mystery")
    with pytest.raises(ValueError, match=r"adapter\.json: .*method must be one of .*'mystery'"):
        load_adapted(base, folder)
    changed_card(folder, method="lora", format=2)
    with pytest.raises(ValueError, match="format must be 1, got 2"):
        load_adapted(base, folder)
    entries = json.loads((published / "config.json").read_text())
    entries["bottlenecks"]["kind"] = "parallel"
    (published / "config.json").write_text(json.dumps(entries))
    with pytest.raises(ValueError, match=r"bottlenecks\.kind must be one of serial"):
        from_disk(published)


def test_another_base_is_refused_and_no_path_of_a_machine_is_written(
    base, saved, tmp_path, monkeypatch
):
    folder = saved("lora", LANGUAGE)
    assert json.loads((folder / CARD_FILE).read_text())["base"] == base.name
    other = tmp_path / "other"
    shutil.copytree(base, other)
    load_adapted(other, folder)
    weights = load_file(other / "model.safetensors")
    weights["model.language_model.norm.weight"] += 1e-6
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ValueError, match="is an adapter of 'tiny' with the fingerprint"):
        load_adapted(other, folder)
    with pytest.raises(OSError, match="is an adapter, not a checkpoint"):
        load_engine(folder)
    monkeypatch.chdir(base.parent)
    settings = AdapterSettings("lora", LANGUAGE)
    assert card_of(str(base), settings).base == card_of(base.name, settings).base == base.name


def test_a_bfloat16_engine_merges_in_float32(base, saved):
    folder = saved("lora", LANGUAGE)
    merged, processor = from_disk(base)
    load_adapter(merged, processor, base, folder)
    assert merged.dtype == torch.float32
    merge_adapter(merged)
    config = EngineConfig(device="cpu", dtype="bfloat16", pack_weights=False)
    engine: Any = load_engine(base, config, folder)
    served = engine.steps.model.state_dict()
    for name, weight in merged.state_dict().items():
        assert torch.equal(served[name], weight.to(torch.bfloat16)), name


def test_only_the_adapter_is_trained_and_muon_does_not_take_its_factors(base):
    model, _ = with_adapter(base, "lora", LANGUAGE, rank=16)
    rates = {"language_model": 1e-3, "metric_branch": 1e-4}
    set_trainable(model, rates, adapted=("language_model",))
    factors = {id(weight) for weight in adapter_weights(model).values()}
    branch = {id(weight) for weight in model.model.metric_branch.parameters()}
    assert {id(weight) for weight in model.parameters() if weight.requires_grad} == factors | branch
    groups = parameter_groups(model, rates, 0.1)
    of_muon = {id(w) for group in groups if group[MATRICES] for w in group["params"]}
    assert not of_muon & factors
    assert of_muon & branch
    assert {id(w) for group in groups if group["lr"] == 1e-3 for w in group["params"]} == factors


def test_scales_of_ia3_do_not_decay(base):
    """Towards 0 they would switch their layers off."""
    model, _ = with_adapter(base, "ia3", LANGUAGE)
    set_trainable(model, {"language_model": 1e-3}, adapted=("language_model",))
    groups = parameter_groups(model, {"language_model": 1e-3}, 0.1)
    assert [group["weight_decay"] for group in groups] == [0.0]


def test_a_target_is_of_its_part_only(base):
    """The vision encoder has layers of the same names."""
    model, _ = from_disk(base)
    names = {name for name, _ in model.named_modules() if name.endswith("q_proj")}
    found = target_layers(model, AdapterSettings("lora", {"language_model": "q_proj"}))
    assert set(found) == {name for name in names if "language_model" in name}
    assert set(found) < names


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"language_model": "query"}, r"'query' matches no layer .* matches nothing\. .*q_proj"),
        ({"language_model": "proj"}, "matches nothing"),
        ({"language_model": "input_layernorm"}, r"layers\.0\.input_layernorm \(LlamaRMSNorm\)"),
        # Weights of four dimensions.
        ({"rgb_refiner": ".*"}, r"RefinerLevel.*none in this part; train it as a whole"),
        ({"depth_connector": ".*"}, "the model has no depth_connector; its parts are"),
    ],
)
def test_targets_that_nothing_fits_are_refused(base, targets, message):
    model, _ = from_disk(base)
    with pytest.raises(ValueError, match=message):
        target_layers(model, AdapterSettings("lora", targets))


def test_a_part_that_was_trained_whole_is_saved_and_restored(base, tmp_path, saved):
    """Copies that peft keeps of such parts stay switched off after being switched off once."""
    model, _ = with_adapter(base, "lora", LANGUAGE)
    with torch.no_grad():
        for weight in model.model.refiners["rgb"].parameters():
            weight += 0.5
    save_adapter(
        model, card_of(str(base), AdapterSettings("lora", LANGUAGE), ("rgb_refiner",)), tmp_path
    )
    merged, _ = load_adapted(base, tmp_path)
    for name, weight in model.model.refiners["rgb"].state_dict().items():
        assert torch.equal(merged.model.refiners["rgb"].state_dict()[name], weight)
    changed_card(tmp_path, whole_parts=["rgb_refiner", "sonar"])
    with pytest.raises(ValueError, match="the model has no sonar"):
        load_adapted(base, tmp_path)


def test_an_adapter_in_the_frozen_vision_encoder_is_trained(base, saved):
    """Loading freezes the vision encoder, and what is loaded is not trainable."""
    targets = {"vision_encoder": "q_proj"}
    folder = saved("lora", targets)
    model, processor = from_disk(base)
    load_adapter(model, processor, base, folder)
    assert not any(weight.requires_grad for weight in model.parameters())
    set_trainable(model, {"vision_encoder": 1e-3}, adapted=("vision_encoder",))
    factors = adapter_weights(model)
    assert factors
    assert all(weight.requires_grad for weight in factors.values())
    assert all("vision_model" in name for name in factors)


def test_confidences_of_the_base_are_not_used_for_an_adapter(base, saved, tmp_path, caplog):
    folder = saved("lora", LANGUAGE)
    assert load_reliability(str(base), str(folder)) == (None, None)
    assert "run `smolrgpt calibrate` for the folder `model`" in caplog.text
    answerer = make_answerer("", str(base), ModelSettings("cpu", adapter=str(folder)))
    assert isinstance(answerer, ModelAnswerer)
    settings = ModelSettings(adapter="hall")
    assert AnswererChoice("model", "", settings).model == "the adapter hall"
    assert AnswererChoice("model", "nano", settings).model == "nano with the adapter hall"
    with pytest.raises(ValueError, match="takes no adapter"):
        make_answerer("geometric", "", ModelSettings(adapter=str(folder)))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_files_fit_the_shipped_model(path):
    config = read_config(path)
    model, processor = from_disk(ROOT / config.start.checkpoint)
    assert config.peft is not None
    attach_adapter(model, processor, config.peft)
    set_trainable(model, config.trainable, config.adapted)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained == set(adapter_weights(model))
    assert path.stem == config.peft.method
    share = sum(weight.numel() for weight in adapter_weights(model).values()) / 3e6
    assert 0 < share < 0.1


def test_a_second_adapter_is_refused(base):
    model, processor = with_adapter(base, "lora", LANGUAGE)
    with pytest.raises(ValueError, match="has an adapter already"):
        attach_adapter(model, processor, AdapterSettings("ia3", LANGUAGE))
    model, processor = with_adapter(base, "bottleneck", LANGUAGE)
    with pytest.raises(ValueError, match="the checkpoint has bottlenecks"):
        attach_adapter(model, processor, AdapterSettings("lora", LANGUAGE))


def test_runs_that_cannot_work_are_refused(adapter_run, tmp_path):
    config = adapter_run("lora", LANGUAGE)
    for changes, message in (
        (
            {"start": replace(config.start, checkpoint="", preset="smolrgpt-nano")},
            "of a checkpoint",
        ),
        ({"start": replace(config.start, overrides={"answers": []})}, "without start.overrides"),
        ({"fsdp": True}, "fsdp is not supported"),
        ({"trainable": {"metric_branch": 1e-3}}, "has no learning rate"),
    ):
        with pytest.raises(SpatialError, match=message):
            replace(config, **changes)
    prompt = adapter_run("prompt", {})
    geometry = tuple(replace(item, inputs="geometry") for item in prompt.data.sources)
    with pytest.raises(SpatialError, match="before those of the image"):
        replace(prompt, data=replace(prompt.data, sources=geometry))
    wrong = AdapterSettings("lora", {"language_model": "query"})
    with pytest.raises(SpatialError, match=r"peft: targets\.language_model"):
        train(replace(config, peft=wrong))
    for settings, message in (
        ({"method": "prefix", "targets": LANGUAGE}, "method must be one of"),
        ({"method": "lora"}, "must name at least one part"),
        ({"method": "prompt", "targets": LANGUAGE}, "must be omitted"),
        ({"method": "ia3", "targets": LANGUAGE, "dropout": 0.1}, "dropout must be 0"),
        ({"method": "lora", "targets": {"language_model": "("}}, "must be a regular expression"),
        ({"method": "lora", "targets": LANGUAGE, "rank": 0}, "rank must be at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            AdapterSettings(**settings)
