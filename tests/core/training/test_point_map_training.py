"""Point-map models in the trainer: the same runs, with boxes, points and families of tasks."""

from __future__ import annotations

import json
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import ModelOutput
from typer.testing import CliRunner

from smolrgpt_core.adapter_settings import AdapterSettings
from smolrgpt_core.cli.application import app
from smolrgpt_core.data.record_frames import read_image
from smolrgpt_core.data.warehouse_format import CameraRecord, SplitFolder, Turn, WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_image
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.inference import PointMapEngine, load_engine
from smolrgpt_core.model.adapter_files import load_adapter
from smolrgpt_core.model.point_map import FAMILIES, PointMapForConditionalGeneration
from smolrgpt_core.model.point_map.processing import PointMapProcessor
from smolrgpt_core.regions import Region, RegionSet, encode_rle
from smolrgpt_core.synthesis.mixtures import MIXTURES
from smolrgpt_core.synthesis.reasoning import REQUESTS
from smolrgpt_core.training.config import (
    ANSWER_MEAN,
    LOSSES,
    TOKEN_MEAN,
    AugmentationConfig,
    AuxiliaryDepthConfig,
    CheckpointConfig,
    ContrastConfig,
    DataConfig,
    DistillationConfig,
    LoggingConfig,
    OptimizerConfig,
    SourceConfig,
    StartConfig,
    TrainConfig,
    ValidationConfig,
)
from smolrgpt_core.training.config_file import read_config, write_config
from smolrgpt_core.training.export import export
from smolrgpt_core.training.losses import answer_losses, answer_weights
from smolrgpt_core.training.optimizer import parameter_groups, parts_of, set_trainable
from smolrgpt_core.training.run import train
from smolrgpt_core.training.start import make_start
from smolrgpt_core.training.stream import ReadReport, TrainingStream

QUESTION_FAMILIES = MIXTURES["hispatial"].families
RECIPES = Path(__file__).parents[3] / "config" / "train" / "point_map"
WIDTH, HEIGHT = 48, 32
CAMERA = CameraRecord(CameraIntrinsics(WIDTH, HEIGHT, 40.0, 40.0, 23.5, 15.5), 0.001)
PLAN = "Plan: look.\nFacts: it is near.\nReasoning: so it is.\nAnswer: 1.50"
TRAINED = dict.fromkeys(("point_encoder", "projector", "language_model"), 3e-3)
DEADLINE_S = 120.0
STEPS = 12


def box(left: int) -> dict:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[10:20, left : left + 10] = True
    return encode_rle(mask)


def spatial(image: str, prefix: str, meters: str) -> list[WarehouseRecord]:
    """A question of every family."""
    return [
        WarehouseRecord(
            f"{prefix}-{family}",
            image,
            (
                Turn("human", f"<image>\n{family}: how far is the pallet <mask> from <mask>?"),
                Turn("gpt", f"It is {meters} meters away."),
            ),
            (box(4), box(30)),
            family,
            meters,
            reasoning=PLAN,
        )
        for family in QUESTION_FAMILIES
    ]


def general(image: str, prefix: str, meters: str) -> list[WarehouseRecord]:
    """Two questions about an image without regions, in one conversation."""
    turns = ("Is it day?", "Yes.", "What is it?", "A hall.")
    speakers = ("human", "gpt") * 2
    dialogue = tuple(Turn(*turn) for turn in zip(speakers, turns, strict=True))
    return [WarehouseRecord(f"{prefix}-general", image, dialogue)]


def write(root: Path, records: Callable, images: int = 8) -> Path:
    folder, made = SplitFolder(root, "train"), []
    for index in range(images):
        noise = np.random.default_rng(index)
        near = index % 2 == 0
        name = f"{index:06}.png"
        rgb = noise.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        write_image(folder.image_path(name), rgb // 4 if near else rgb)
        depth = np.full((HEIGHT, WIDTH), 1500 if near else 4250, dtype=np.uint16)
        depth[:, WIDTH // 2 :] += 1000
        write_image(folder.depth_path(name), depth)
        made += records(name, f"{index}", "1.50" if near else "4.25")
    folder.write_records(made)
    folder.write_cameras({item.image: CAMERA for item in made})
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> tuple[Path, Path]:
    """Spatial and general questions on disk. Not to be changed."""
    root = tmp_path_factory.mktemp("data")
    return write(root / "spatial", spatial), write(root / "general", general)


@pytest.fixture(scope="module")
def vlm(tmp_path_factory, tiny_vlms) -> Callable[[str], Path]:
    """vlm(family): a plain vision-language model on disk."""
    root, known = tmp_path_factory.mktemp("vlms"), {}

    def folder(family: str) -> Path:
        if family not in known:
            known[family] = tiny_vlms.save_vlm(family, root / family)
        return known[family]

    return folder


@pytest.fixture
def config(data, vlm, tmp_path) -> Callable[..., TrainConfig]:
    """config(family, overrides, **fields): a run of some seconds on both kinds of questions."""

    def make(family: str = "paligemma", overrides=None, **changes) -> TrainConfig:
        sources = (
            SourceConfig("warehouse", str(data[0]), mixture="hispatial", weight=7),
            SourceConfig("warehouse", str(data[1]), inputs="rgb", weight=1),
        )
        start = StartConfig(vlm=str(vlm(family)), overrides=overrides or {})
        made = TrainConfig(
            output=str(tmp_path / "output"),
            start=start,
            trainable=TRAINED,
            data=DataConfig(sources=sources, workers=0),
            optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=STEPS),
            checkpoints=CheckpointConfig(every_steps=3, keep=2),
            logging=LoggingConfig(every_steps=4, tensorboard=False),
            seed=3,
        )
        return replace(made, **changes)

    return make


def command(*words: object):
    return CliRunner().invoke(app, ["train", *map(str, words)])


def frame() -> RGBDFrame:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[10:20, 4:14] = True
    regions = RegionSet((HEIGHT, WIDTH), (Region.from_bitmap(1, "pallet", mask),))
    depth = np.full((HEIGHT, WIDTH), 1.5, dtype=np.float32)
    return RGBDFrame(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), depth, CAMERA.intrinsics, regions)


@pytest.mark.parametrize("family", ["paligemma", "smolvlm", "qwen3_vl"])
def test_the_command_trains_what_is_named_and_the_result_answers(config, tmp_path, family):
    run = config(family)
    write_config(run, tmp_path / "run.yaml")
    done = command(tmp_path / "run.yaml")
    assert done.exit_code == 0, done.output
    before, _ = make_start(run.start, run.seed, list)
    after = PointMapForConditionalGeneration.from_pretrained(Path(run.output, "model"))
    frozen = {id(weight) for _, weight in after.named_parameters()}
    for part in TRAINED:
        frozen -= {id(weight) for weight in after.parts[part].parameters()}
    frozen -= {id(after.get_output_embeddings().weight)}
    assert frozen
    for (name, old), (_, new) in zip(
        before.named_parameters(), after.named_parameters(), strict=True
    ):
        assert torch.equal(old, new) is (id(new) in frozen), name
    engine = load_engine(Path(run.output, "model"))
    assert isinstance(engine, PointMapEngine)
    (answer,) = engine.ask_each([("How far is the pallet <mask>?", (1,))], frame=frame())
    assert not isinstance(answer, SpatialError)
    assert answer.token_ids


@pytest.mark.parametrize(
    ("family", "peft"),
    [
        ("paligemma", AdapterSettings("dora", {"language_model": "q_proj|mlp.*"})),
        ("smolvlm", AdapterSettings("prompt", tokens=3)),
        ("qwen3_vl", AdapterSettings("bottleneck", {"language_model": "o_proj"})),
    ],
)
def test_an_adapter_is_trained_alone_and_published_merged(config, tmp_path, family, peft):
    made = config(family)
    base, processor = make_start(made.start, 0, list)
    base.save_pretrained(tmp_path / "base")
    processor.save_pretrained(tmp_path / "base")
    run = replace(
        made,
        start=StartConfig(checkpoint=str(tmp_path / "base")),
        trainable={"language_model": 1e-2, "projector": 1e-2},
        peft=peft,
        optimizer=OptimizerConfig(batch_rows=2, micro_rows=2, steps=2),
    )
    published = train(run)
    before = base.state_dict()
    model = PointMapForConditionalGeneration.from_pretrained(published)
    after = model.state_dict()
    # Rows that no token had before: there are more than this tokenizer needs.
    new_rows = set(model.generation_config.suppress_tokens or ())
    parts: Any = base.parts
    in_projector = {id(weight) for weight in parts["projector"].parameters()}
    known = dict(base.named_parameters())
    for name in before.keys() - after.keys():
        assert family == "qwen3_vl", name
        layer, _, last = name.rpartition(".")
        assert torch.equal(after[f"{layer}.layer.{last}"], before[name])
    for name in before.keys() & after.keys():
        if peft.method != "dora" and id(known.get(name)) not in in_projector:
            of_vocabulary = "embed" in name or "lm_head" in name
            left_out = new_rows if of_vocabulary else set()
            rows = [row for row in range(len(before[name])) if row not in left_out]
            assert torch.equal(after[name][rows], before[name][rows]), name
    unmerged, its_processor = make_start(run.start, 0, list)
    adapter = Path(run.output, "adapter")
    its_processor = load_adapter(unmerged, its_processor, tmp_path / "base", adapter)
    assert isinstance(unmerged, PointMapForConditionalGeneration)
    assert isinstance(its_processor, PointMapProcessor)
    engines: tuple[Any, ...] = (
        PointMapEngine(unmerged, its_processor),
        load_engine(tmp_path / "base", adapter=adapter),
        load_engine(published),
    )
    answers = [
        engine.ask_each([("How far is the pallet <mask>?", (1,))], "short", frame=frame())[0]
        for engine in engines
    ]
    for answer in answers[1:]:
        assert answer.token_ids == answers[0].token_ids
        assert answer.probabilities == pytest.approx(answers[0].probabilities, abs=1e-5)


def test_two_depths_are_learned_by_heart(data, config, logged_losses):
    """Both images are noise: only points, or how dark it is, tell 1.50 from 4.25."""
    run = config(
        data=DataConfig(
            sources=(SourceConfig("warehouse", str(data[0]), categories=("size",)),),
            styles={"short": 1.0},
            workers=0,
        ),
        trainable=dict.fromkeys((*TRAINED, "vision_encoder"), 1e-2),
        optimizer=OptimizerConfig(batch_rows=8, micro_rows=8, steps=120, warmup_fraction=0.1),
        checkpoints=CheckpointConfig(every_steps=200),
        validation=ValidationConfig(
            SourceConfig("warehouse", str(data[0]), categories=("size",)),
            every_steps=120, rows=8, examples=8,
        ),
    )  # fmt: skip
    train(run)
    assert logged_losses(run)[-1]["loss"] < 0.05 < logged_losses(run)[0]["loss"]
    lines = Path(run.output, "examples.jsonl").read_text().splitlines()
    examples = [json.loads(line) for line in lines]
    assert {item["expected"] for item in examples} == {"1.50", "4.25"}
    assert [item["answer"] for item in examples] == [item["expected"] for item in examples]


def test_an_exported_model_answers_and_its_card_says_what_it_is(config, tmp_path):
    run = config(optimizer=OptimizerConfig(batch_rows=2, micro_rows=2, steps=1))
    train(run)
    export(Path(run.output), tmp_path / "exported", "my-model")
    engine = load_engine(tmp_path / "exported")
    assert len(engine.ask_each(["What is it?"], frame=frame())) == 1
    card = (tmp_path / "exported" / "README.md").read_text()
    assert "A point-map checkpoint" in card
    assert f"| 1 | {run.start.vlm} |" in card
    assert "point_encoder, projector, language_model" in card


def test_killed_and_resumed_gives_the_same_losses(config, tmp_path, logged_losses, warm_python):
    run = config("smolvlm")
    train(run)
    killed = replace(run, output=f"{run.output}-killed")
    write_config(killed, tmp_path / "killed.yaml")
    process = warm_python("smolrgpt_core.cli", "train", tmp_path / "killed.yaml")
    deadline = time.monotonic() + DEADLINE_S
    while len(logged_losses(killed)) < STEPS // 2:
        assert time.monotonic() < deadline, "the run did not get so far"
        time.sleep(0.002)
    process.kill()
    assert len(logged_losses(killed)) < STEPS
    assert command(tmp_path / "killed.yaml").exit_code == 0
    assert logged_losses(killed) == logged_losses(run)


@pytest.mark.parametrize("changes", [{"precision": "bfloat16"}, {"gradient_checkpointing": True}])
def test_what_saves_memory_gives_the_same_losses(config, changes, logged_losses):
    plain = config(optimizer=OptimizerConfig(batch_rows=4, micro_rows=4, steps=3))
    saving = replace(plain, output=f"{plain.output}-saving", **changes)
    train(plain)
    train(saving)
    for one, two in zip(logged_losses(plain), logged_losses(saving), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], abs=0.05)


def test_a_nano_model_is_made_from_nothing_and_goes_on(config, tmp_path, logged_losses):
    recipe = read_config(RECIPES / "nano.yaml", ["start.vocabulary_size=400"])
    run = config(start=recipe.start, trainable=recipe.trainable)
    train(run)
    model = PointMapForConditionalGeneration.from_pretrained(Path(run.output, "model"))
    assert sum(weight.numel() for weight in model.parameters()) < 5e6
    assert model.config.answers == ["free_text"]
    stage = config(
        start=StartConfig(checkpoint=str(Path(run.output, "model"))), output=str(tmp_path / "next")
    )
    train(stage)
    assert logged_losses(stage)[0]["loss"] < logged_losses(run)[0]["loss"]


def test_the_recipe_of_the_paper_is_that_of_the_paper():
    recipe = read_config(RECIPES / "hispatial.yaml")
    assert set(recipe.trainable) == {"point_encoder", "projector", "language_model"}
    assert set(recipe.trainable.values()) == {2e-5}
    optimizer = recipe.optimizer
    assert (optimizer.batch_rows, optimizer.weight_decay, optimizer.gradient_norm) == (256, 0.1, 1)
    assert (optimizer.warmup_fraction, optimizer.final_rate_fraction) == (0, 1)
    assert [source.weight for source in recipe.data.sources] == [7, 1]
    assert recipe.start.point_code == "hispatial"


def drawn(config: TrainConfig, groups: int) -> list[str]:
    """Categories of rows in the order of a run."""
    _, processor = make_start(config.start, 0, list)
    mixture = TrainingStream(config, processor)._mixture(0)
    report = ReadReport()
    rows = (row for _ in range(groups) for row in mixture.next_group(report)[1])
    return [row.conversations[0].category for row in rows]


def test_tasks_have_the_weights_of_the_paper_and_general_an_eighth(config):
    rows = drawn(config(), 1500)
    found, whole = Counter(rows), sum(family.weight for family in QUESTION_FAMILIES.values())
    expected = {name: 7 / 8 * family.weight / whole for name, family in QUESTION_FAMILIES.items()}
    for name, share in (expected | {"": 1 / 8}).items():
        error = math.sqrt(share * (1 - share) / len(rows))
        assert found[name] / len(rows) == pytest.approx(share, abs=4 * error), name


def test_what_is_dropped_is_replaced_and_nothing_else_changes(config):
    whole = config()
    without = replace(whole, data=replace(whole.data, levels_left_out=(0, 1)))
    for before, after in zip(drawn(whole, 100), drawn(without, 100), strict=True):
        left_out = before in QUESTION_FAMILIES and QUESTION_FAMILIES[before].level in (0, 1)
        assert after == ("" if left_out else before)
    assert {before for before in drawn(whole, 100) if before in QUESTION_FAMILIES} > set()


def test_validation_takes_questions_as_they_come(config):
    with pytest.raises(SpatialError, match="must have no mixture, got 'hispatial'"):
        ValidationConfig(config().data.sources[0])


def test_levels_need_general_rows_in_their_place(config):
    data = config().data
    with pytest.raises(SpatialError, match="a source without a mixture"):
        replace(data, sources=data.sources[:1], levels_left_out=(0,))


def test_a_data_set_without_a_family_is_an_error_where_it_is_drawn(config, data, tmp_path):
    folder = SplitFolder(data[0], "train")
    lacking = [item for item in folder.read_records() if item.category != "relative_direction"]
    copy = SplitFolder(write(tmp_path / "lacking", spatial), "train")
    copy.write_records(lacking)
    source = SourceConfig("warehouse", str(copy.root), mixture="hispatial")
    run = config(data=DataConfig(sources=(source,), workers=0))
    with pytest.raises(SpatialError, match=r"no usable sample.*relative_direction"):
        drawn(run, 30)


def batch_of(config: TrainConfig) -> tuple[PointMapForConditionalGeneration, dict]:
    model, processor = make_start(config.start, 0, list)
    batch = next(iter(TrainingStream(config, processor)))
    assert "error" not in batch, batch
    assert isinstance(model, PointMapForConditionalGeneration)
    return model, batch


@pytest.mark.parametrize("family", ["paligemma", "smolvlm", "internvl", "qwen3_vl"])
def test_a_reader_in_a_new_process_reads_the_same(config, family):
    """From Python 3.14 on such processes are not forked: they are sent the stream."""
    run = config(family)
    _, processor = make_start(run.start, 0, list)
    stream = TrainingStream(run, processor)
    sent = ForkingPickler.loads(ForkingPickler.dumps(stream))
    here, there = next(iter(stream)), next(iter(sent))
    assert here["facts"] == there["facts"]
    assert torch.equal(here["input_ids"], there["input_ids"])


def logits(model, batch) -> torch.Tensor:
    inputs = {name: value for name, value in batch.items() if name not in ("facts",)}
    inputs.pop("answer_categories")
    return model(**inputs, only_answers=True, use_cache=False).logits.detach()


@pytest.mark.parametrize("family", ["paligemma", "idefics3"])
def test_points_reach_the_model(config, family):
    model, batch = batch_of(config(family))
    last = "linear" if family == "paligemma" else "modality_projection.proj"
    projection: Any = model.parts["projector"].get_submodule(last)
    torch.nn.init.normal_(projection.weight)
    farther = batch | {"point_values": batch["point_values"] * torch.tensor([1, 1, 2, 1])[
        :, None, None]}  # fmt: skip
    assert not torch.allclose(logits(model, batch), logits(model, farther))


def only_spatial(run: TrainConfig, **changes) -> TrainConfig:
    source = replace(run.data.sources[0], **changes)
    return replace(run, data=replace(run.data, sources=(source,)))


def depths_of(batch: dict) -> set[float]:
    return {round(value, 3) for value in batch["point_values"][:, 2].unique().tolist()}


def test_measured_estimated_relative_and_no_points(config, data):
    folder = SplitFolder(data[0], "train")
    for path in (folder.root / "train" / "depths").glob("*.png"):
        target = folder.root / "train" / "estimated" / path.name
        write_image(target, np.full((HEIGHT, WIDTH), 3000, dtype=np.uint16))
    _, measured = batch_of(only_spatial(config()))
    assert depths_of(measured) <= {1.5, 2.5, 4.25, 5.25}
    _, estimated = batch_of(only_spatial(config(), depths="train/estimated"))
    assert depths_of(estimated) == {3.0}
    _, relative = batch_of(only_spatial(config(overrides={"points": "relative"})))
    assert depths_of(relative) == {0.0, 255.0}
    model, none = batch_of(only_spatial(config(overrides={"points": "none"})))
    assert "point_values" not in none
    assert "point_encoder" not in model.parts


def test_an_image_without_depth_has_points_without_readings(config):
    run = config()
    general = replace(run, data=replace(run.data, sources=run.data.sources[1:]))
    _, batch = batch_of(general)
    assert batch["point_values"].abs().max() == 0
    assert sorted({id.rsplit("-")[-1] for id in batch["facts"].ids}) == ["general"]


def test_each_question_of_a_conversation_is_asked_alone(config):
    run = config()
    general = replace(run, data=replace(run.data, sources=run.data.sources[1:]))
    _, processor = make_start(general.start, 0, list)
    stream = TrainingStream(general, processor)
    assert stream.rows_of_epoch() == 16
    ids = next(iter(stream))["input_ids"]
    texts = [processor.tokenizer.decode(row, skip_special_tokens=True) for row in ids]
    assert {text.strip() for text in texts} <= {"Is it day?\nYes.", "What is it?\nA hall."}


def test_regions_are_written_as_the_engine_writes_them(config):
    run = only_spatial(config())
    model, processor = make_start(run.start, 0, list)
    batch = next(iter(TrainingStream(run, processor)))
    text = processor.tokenizer.decode(batch["input_ids"][0])
    folder = SplitFolder(Path(run.data.sources[0].root), "train")
    (record,) = (item for item in folder.read_records() if item.id == batch["facts"].ids[0])
    seen, (asked,) = read_image(folder, [record], CAMERA)
    assert isinstance(model, PointMapForConditionalGeneration)
    assert isinstance(processor, PointMapProcessor)
    engine = PointMapEngine(model, processor)
    question = (record.question, asked.region_ids)
    prompt = engine._prompt_or_error(question, seen, engine.config.sentence, math.inf)
    assert not isinstance(prompt, SpatialError), prompt
    written, _, _ = prompt
    assert "far is the pallet (highlighted by the red box) from" in written
    assert f"{written}\n{record.freeform_answer or record.dialogue[1].text}" in text


def test_steps_are_asked_for_and_answered_at_their_fraction(config):
    run = only_spatial(config())
    run = replace(run, data=replace(run.data, styles={"sentence": 0.75, "steps": 0.25}))
    _, processor = make_start(run.start, 0, list)
    mixture = TrainingStream(run, processor)._mixture(0)
    report, asked = ReadReport(), []
    for _ in range(200):
        asked += [row.conversations[0].turns for row in mixture.next_group(report)[1]]
    steps = [turns for turns in asked if turns[1].text == PLAN]
    error = math.sqrt(0.25 * 0.75 / len(asked))
    assert len(steps) / len(asked) == pytest.approx(0.25, abs=4 * error)
    assert {turns[0].text.partition("? ")[2] for turns in steps} == set(REQUESTS)
    assert not any(turns[0].text.endswith(REQUESTS) for turns in asked if turns[1].text != PLAN)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"questions_per_row": 2}, "questions_per_row to 1, got 2"),
        ({"row_tokens": 64}, r"has \d+ tokens with its image, but data.row_tokens is 64"),
    ],
)
def test_what_does_not_fit_is_reported(config, changes, words):
    run = config()
    with pytest.raises(SpatialError, match=words):
        train(replace(run, data=replace(run.data, **changes)))


def test_masks_without_images_are_refused(config):
    with pytest.raises(SpatialError, match="needs images"):
        train(only_spatial(config(), inputs="geometry"))


def test_an_override_of_another_kind_of_model_is_refused(config):
    with pytest.raises(SpatialError, match=r"unknown fields.*depth_branch.*known are.*points"):
        train(config(overrides={"depth_branch": "metric"}))


def test_the_wrong_kind_of_start_is_named(config, vlm, tmp_path):
    folder = str(vlm("smolvlm"))
    with pytest.raises(SpatialError, match=r"without points \(smolvlm\): name it as vlm"):
        make_start(StartConfig(checkpoint=folder), 0, list)
    with pytest.raises(SpatialError, match="smolrgpt-nano, point-map-nano, got 'nano'"):
        make_start(StartConfig(preset="nano"), 0, list)
    model, processor = make_start(StartConfig(vlm=folder), 0, list)
    model.save_pretrained(tmp_path / "points")
    processor.save_pretrained(tmp_path / "points")
    with pytest.raises(SpatialError, match="is a point-map model already: name it as checkpoint"):
        make_start(StartConfig(vlm=str(tmp_path / "points")), 0, list)


@pytest.mark.parametrize("family", FAMILIES)
def test_parts_are_the_whole_model_and_do_not_overlap(make_vlm, family):
    model = PointMapForConditionalGeneration.from_vlm(make_vlm(family))
    rates = {part: 1e-3 * place for place, part in enumerate(parts_of(model), start=1)}
    set_trainable(model, rates)
    trained = [id(p) for group in parameter_groups(model, rates, 0.1) for p in group["params"]]
    assert sorted(trained) == sorted(id(p) for p in model.parameters())
    set_trainable(model, {"vision_encoder": 1e-3})
    projector = model.parts["projector"]
    assert not any(weight.requires_grad for weight in projector.parameters())


class Fixed(torch.nn.Module):
    """Gives every answer token the probability that is written for it."""

    def __init__(self, probabilities: list[float]) -> None:
        super().__init__()
        right = torch.tensor(probabilities)
        self.logits = torch.stack([right, 1 - right], dim=1).log()

    def forward(self, **unused) -> ModelOutput:
        return ModelOutput(logits=self.logits)


def test_both_means_by_hand():
    """Answers of one and of three tokens; -log2 of the probabilities is 1; and 2, 2, 5."""
    none = -100
    batch = {"labels": torch.tensor([[none, none, 0, none, none], [none, none, 0, 0, 0]])}
    model = Fixed([1 / 2, 1 / 4, 1 / 4, 1 / 32])
    by_tokens, by_answers = (answer_losses(model, batch, None, mean=mean)[0] for mean in LOSSES)
    assert by_tokens / math.log(2) == pytest.approx((1 + 2 + 2 + 5) / 4)
    assert by_answers / math.log(2) == pytest.approx((1 + (2 + 2 + 5) / 3) / 2)
    halves = answer_losses(model, batch, torch.tensor(4.0), mean=ANSWER_MEAN)[0]
    assert halves == pytest.approx(by_answers / 2)


def test_an_answer_is_a_run_of_labels_in_one_row():
    none = -100
    labels = torch.tensor([[none, 1, 1, none, 2, 3], [none, 1, none, none, none, 4]])
    assert answer_weights(labels, TOKEN_MEAN).tolist() == [1] * 6
    assert answer_weights(labels, ANSWER_MEAN).tolist() == [0.5, 0.5, 0.5, 0.5, 1, 1]
    # The last token of a row and the first that is predicted in the next are two answers.
    joined = torch.tensor([[none, none, 4, 4], [none, 5, none, none]])
    assert answer_weights(joined, ANSWER_MEAN).tolist() == [0.5, 0.5, 1]


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_of_a_step_is_that_of_its_rows_together(config, loss, logged_losses):
    """However a step is cut into batches, and whatever their lengths are."""
    styles = {"sentence": 0.5, "short": 0.5}
    run = config(
        loss=loss,
        optimizer=OptimizerConfig(batch_rows=4, micro_rows=4, steps=2),
    )
    run = replace(run, data=replace(run.data, styles=styles))
    model, batch = batch_of(run)
    set_trainable(model, run.trainable)
    batch.pop("facts")
    expected, _, weights = answer_losses(model, batch, None, mean=loss)
    train(run)
    assert logged_losses(run)[0]["loss"] == pytest.approx(float(expected), abs=1e-4)
    assert logged_losses(run)[0]["answer_tokens"] == len(weights)
    full = model(**{k: v for k, v in batch.items() if k != "answer_categories"}).logits
    is_answer = batch["labels"][:, 1:] != -100
    rows = [
        torch.nn.functional.cross_entropy(logit[:-1][kept], label[1:][kept], reduction="none")
        for logit, label, kept in zip(full, batch["labels"], is_answer, strict=True)
    ]
    means = torch.stack([row.mean() for row in rows])
    by_hand = means.mean() if loss == ANSWER_MEAN else torch.cat(rows).mean()
    assert float(expected) == pytest.approx(float(by_hand), abs=1e-5)


def test_further_objectives_are_those_of_the_other_models(config):
    first = config(optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=1))
    taught = train(first)
    run = replace(
        first,
        output=f"{first.output}-taught",
        start=StartConfig(checkpoint=str(taught)),
        trainable={**TRAINED, "vision_encoder": 1e-4},
        distillation=DistillationConfig(teacher=str(taught), hidden_weight=0.5),
        auxiliary_depth=AuxiliaryDepthConfig(),
        augmentation=AugmentationConfig(depth_noise=0.01),
        contrast=ContrastConfig(),
    )
    model = train(run)
    lines = Path(run.output, "losses.jsonl").read_text().splitlines()
    terms = json.loads(lines[0])["terms"]
    assert set(terms) == {"soft", "hidden", "depth", "contrast"}
    # Before its first step the student is its own teacher.
    assert terms["soft"] == pytest.approx(0.0, abs=1e-5)
    assert terms["depth"] > 0
    assert not list(model.glob("heads*"))
