"""A folder of photographs becomes a data set, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.annotation import filters
from smolrgpt_core.annotation.pipeline import Annotator
from smolrgpt_core.annotation.run import AnnotationRun, in_this_process
from smolrgpt_core.annotation.settings import AnnotationSettings, Sources
from smolrgpt_core.cli.application import app
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.evaluation import evaluate
from smolrgpt_core.evaluation.predictions import AnswererChoice
from smolrgpt_core.language import MASK
from smolrgpt_core.quality.check import check_dataset
from smolrgpt_core.synthesis import MIXTURES


def test_every_image_that_is_skipped_is_named_with_its_reason(photographs, tmp_path, make_data_set):
    summary = make_data_set(photographs.settings, tmp_path / "out")
    assert {item.image: item.reason for item in summary.skipped} == {
        "white.png": filters.PURE,
        "holes.png": filters.TOO_LITTLE_DEPTH,
        "no_depth.png": filters.NO_DEPTH,
        "broken.png": filters.UNREADABLE,
    }
    assert summary.images == {"all": 7, "with questions": 3}
    written = json.loads((tmp_path / "out" / "train" / "summary.json").read_bytes())
    assert written["reasons"] == dict.fromkeys(summary.reasons, 1)
    assert "58%" in next(item.detail for item in summary.skipped if item.image == "holes.png")


@pytest.mark.parametrize("mixture", ["warehouse", "hispatial"])
def test_other_commands_read_the_data_set(photographs, tmp_path, make_data_set, mixture):
    root = tmp_path / "out"
    settings = replace(photographs.settings, split="test", questions=25, mixture=mixture)
    make_data_set(settings, root)
    report = check_dataset(root)
    assert report.clean, report.examples
    folder = SplitFolder(root, "test")
    categories = {record.category for record in folder.read_records()}
    assert categories <= {*MIXTURES[mixture].families}
    found = evaluate(folder, AnswererChoice("geometric"))
    judged = found.systems[0].judged
    assert len(judged) == len(folder.read_records())
    assert [item for item in judged if not item.correct] == []


def test_steps_to_an_answer_are_those_of_the_measured_scene(annotated):
    records = SplitFolder(annotated, "train").read_records()
    reasoned = [record for record in records if record.reasoning]
    assert reasoned
    for record in reasoned:
        assert record.reasoning.endswith(f"Answer: {record.normalized_answer}")
        assert record.question.count(MASK) == len(record.rle) > 0
    lines = (annotated / "train" / "facts.jsonl").read_text().splitlines()
    questions = {id: item for line in lines for id, item in json.loads(line)["questions"].items()}
    assert not any("references" in questions[record.id] for record in reasoned)


def test_labels_of_the_photographs_are_asked_about(annotated):
    records = SplitFolder(annotated, "train").read_records()
    text = " ".join(record.question for record in records)
    assert "chair" in text
    assert "table" in text
    assert all(record.question.count(MASK) == len(record.rle) for record in records)


def test_a_run_that_is_stopped_goes_on_with_the_same_bytes(photographs, annotated, tmp_path, tree):
    root = tmp_path / "stopped"
    run = AnnotationRun(photographs.settings, root)
    with run.locked():
        making = run.annotate(in_this_process)
        assert isinstance(making, Generator)
        next(making), next(making)
        making.close()
    (root / "train" / "images" / ".good_2.png.99.part").write_bytes(b"half")
    again = AnnotationRun(photographs.settings, root)
    with again.locked():
        assert len(again.missing()) == 5
        for _ in again.annotate(in_this_process):
            pass
        again.finish()
    assert tree(root) == tree(annotated)
    with AnnotationRun(photographs.settings, root).locked():
        assert again.is_complete
    assert tree(root) == tree(annotated)


def test_questions_about_an_image_do_not_depend_on_the_others(photographs, annotated, tree):
    alone = Annotator(photographs.settings).annotate(photographs.root / "images" / "good_1.png")
    facts = (annotated / "train" / "facts.jsonl").read_text().splitlines()
    assert json.loads(alone.part)["facts"] == json.loads(facts[1])


def test_other_settings_are_refused_by_name(photographs, annotated):
    other = replace(photographs.settings, questions=3)
    run = AnnotationRun(other, annotated)
    with pytest.raises(SpatialError, match="questions: 10 there, 3 now"), run.locked():
        pass


def test_another_seed_asks_something_else(photographs, annotated, tmp_path, make_data_set):
    other = tmp_path / "other"
    make_data_set(replace(photographs.settings, seed=6), other)
    assert (other / "train.json").read_bytes() != (annotated / "train.json").read_bytes()


def test_the_facts_are_those_of_the_frame(scene_of, ray_caster, photographs, annotated):
    line = json.loads((annotated / "train" / "facts.jsonl").read_text().splitlines()[0])
    objects = {item["id"]: item for item in line["objects"]}
    assert line["floor_is_seen"]
    assert line["camera_height"] == pytest.approx(1.6, abs=0.03)
    assert objects[10]["center"][:2] == pytest.approx([-2.4, 6.5], abs=0.25)
    assert objects[20]["size"][2] == pytest.approx(0.75, abs=0.06)
    assert objects[20]["readings_kept"] <= objects[20]["readings"]


def test_without_a_floor_and_up_the_image_is_skipped(scene_of, photographs):
    frame = scene_of(0)
    ids = [10, 11, 12]
    mask = np.any([frame.regions.full_mask(id) for id in ids], axis=0)
    bare = replace(frame, depth=np.where(mask, frame.depth, np.float32(np.nan)))
    photographs.add("floorless", bare)
    lenient = replace(
        photographs.settings,
        photographs=filters.PhotographFilter(max_invalid_fraction=1.0),
    )
    image = photographs.root / "images" / "floorless.png"
    with pytest.raises(filters.SkippedError) as caught:
        Annotator(lenient).know(image)
    assert caught.value.reason == filters.NO_FLOOR
    up = (0.0, -float(np.cos(np.deg2rad(14))), -float(np.sin(np.deg2rad(14))))
    known = Annotator(replace(lenient, sources=replace(lenient.sources, up=up))).know(image)
    assert not known.floor_is_seen
    assert all(item.made.form != "top_height" for item in known.questions)


def test_the_command_prints_what_was_made(photographs, tmp_path):
    root = photographs.root
    command = ["annotate", str(root / "images"), "--out", str(tmp_path / "out"), "--json",
               "--depth", str(root / "depth"), "--regions", str(root / "regions"),
               "--cameras", str(root / "cameras.json"), "--questions", "4"]  # fmt: skip
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)
    assert summary["images"] == {"all": 7, "with questions": 3}
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 0
    assert "already complete" in again.output


def test_depth_must_come_from_somewhere(photographs, tmp_path):
    command = ["annotate", str(photographs.root / "images"), "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 2
    assert "depth comes from a folder or from a model" in " ".join(done.output.split())


def test_two_images_of_one_stem_are_refused(photographs, tmp_path):
    (photographs.root / "images" / "white.jpg").write_bytes(b"")
    with pytest.raises(SpatialError, match="same name but for the suffix"):
        AnnotationRun(photographs.settings, tmp_path / "out")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"seed": -1}, "seed"), ({"questions": 0}, "questions"), ({"mixture": "imagenet"}, "mixture"),
     ({"reference_fraction": 2.0}, "reference_fraction"), ({"split": "all"}, "split")],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(photographs, wrong, message):
    with pytest.raises(SpatialError, match=message):
        replace(photographs.settings, **wrong)


def test_references_of_a_model_need_models_that_check_them(tmp_path):
    with pytest.raises(SpatialError, match="must be checked"):
        AnnotationSettings(tmp_path, Sources(depth=tmp_path, caption_model="some/model"))


def test_labels_that_are_words_of_answers_lead_to_no_answer_that_cannot_be_read(
    photographs, scene_of, tmp_path, make_data_set
):
    for seed in range(3):
        frame = scene_of(seed)
        labels = {"chair": "pack high", "table": "second pack"}
        renamed = [
            replace(region, label=labels.get(region.label, region.label), source_label="")
            for region in frame.regions
        ]
        regions = type(frame.regions)(frame.regions.image_size, tuple(renamed))
        photographs.add(f"good_{seed}", replace(frame, regions=regions))
    root = tmp_path / "out"
    summary = make_data_set(replace(photographs.settings, mixture="warehouse"), root)
    assert summary.misread > 0
    report = check_dataset(root)
    assert report.clean, report.examples
    assert "pack high" in (root / "train.json").read_text()
