"""Simulated data sets: the files, the same bytes always, and what goes wrong on the way."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import datasets
import numpy as np
import psutil
import pytest
from typer.testing import CliRunner

from smolrgpt_core.answer import read_answer
from smolrgpt_core.cli import simulate as command
from smolrgpt_core.cli.application import app
from smolrgpt_core.data.warehouse_format import SPLITS, SplitFolder, WarehouseRecord, find_splits
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import read_depth, read_rgb
from smolrgpt_core.language import MASK, Category, read_question
from smolrgpt_core.language.mask_labels import mask_labels
from smolrgpt_core.regions import Box, Region, RegionSet, decode_rle
from smolrgpt_core.simulated_data import run as simulation_run
from smolrgpt_core.simulated_data import scenes as scene_maker
from smolrgpt_core.simulated_data.randomization import Randomization, read_randomization
from smolrgpt_core.simulated_data.run import SimulationRun
from smolrgpt_core.simulated_data.scenes import SimulationSettings
from smolrgpt_core.synthesis import MIXTURES

SCENES = 6
WIDTH, HEIGHT = 96, 72
TINY = f"""
camera: {{width: {WIDTH}, height: {HEIGHT}}}
rendering: {{shadows: false, reflections: false, min_region_pixels: 4}}
margins: {{min_visible_pixels: 4}}
"""
OPTIONS = ["--seed", "11", "--views", "2", "--questions", "8", "--fractions", "0.5,0.2,0.3"]
KILLS = int(os.environ.get("SMOLRGPT_KILLS", "2"))
DEADLINE_S = 90.0


def tree(root: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def make(settings: SimulationSettings, root: Path) -> None:
    run = SimulationRun(settings, root)
    with run.locked():
        if not run.is_complete:
            for _ in run.make_scenes(1):
                pass
            run.finish()


@pytest.fixture(scope="module")
def varied_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("yaml") / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="module")
def settings(varied_file) -> SimulationSettings:
    return SimulationSettings(
        SCENES, 11, 2, 8, (0.5, 0.2, 0.3), shards=True, shard_images=4,
        randomization=read_randomization(varied_file),
    )  # fmt: skip


@pytest.fixture(scope="module")
def unfinished(settings, tmp_path_factory) -> Path:
    """All scenes are made by one process, but the questions are not chosen yet."""
    root = tmp_path_factory.mktemp("unfinished") / "warehouse"
    run = SimulationRun(settings, root)
    with run.locked():
        for _ in run.make_scenes(1):
            pass
    return root


@pytest.fixture(scope="module")
def made(settings, unfinished, tmp_path_factory) -> Path:
    """A data set made without interruption."""
    root = tmp_path_factory.mktemp("made") / "warehouse"
    shutil.copytree(unfinished, root)
    make(settings, root)
    return root


@pytest.fixture(scope="module")
def records(made) -> dict[str, list[WarehouseRecord]]:
    return {folder.split: folder.read_records() for folder in find_splits(made)}


def test_scenes_are_split_with_the_fractions_and_no_scene_is_in_two_splits(records):
    scenes = {split: {item.image.split("_")[0] for item in items}
              for split, items in records.items()}  # fmt: skip
    assert {split: len(names) for split, names in scenes.items()} == {
        "train": 3, "val": 1, "test": 2,
    }  # fmt: skip
    assert len(set.union(*scenes.values())) == SCENES


def test_images_depths_and_cameras_are_there_for_every_record_and_no_others(made, records):
    for split in SPLITS:
        folder = SplitFolder(made, split)
        cameras = folder.read_cameras()
        images = {item.image for item in records[split]}
        assert set(cameras) == images
        assert {path.name for path in folder.image_path("x").parent.iterdir()} == images
        for image, camera in cameras.items():
            depth = read_depth(folder.depth_path(image), camera.depth_scale)
            assert read_rgb(folder.image_path(image)).shape == (HEIGHT, WIDTH, 3)
            assert depth.shape == (camera.intrinsics.height, camera.intrinsics.width)
            assert 2 < np.nanmedian(depth) < 20


def test_records_hold_questions_that_read_with_masks_and_answers_that_parse(records):
    for item in (item for items in records.values() for item in items):
        masks = [decode_rle(rle) for rle in item.rle]
        assert len(masks) == item.question.count(MASK)
        assert all(mask.shape == (HEIGHT, WIDTH) and mask.any() for mask in masks)
        category = Category[item.category.upper()]
        ids = tuple(range(len(masks)))
        # The layout has no labels: a mask is called what the text calls it.
        labels = mask_labels(item.question)
        regions = [
            Region.from_box(id, label, Box(0, 0, 1, 1))
            for id, label in zip(ids, labels, strict=True)
        ]
        read_question(item.question, RegionSet((1, 1), tuple(regions)), category, ids)
        answer = read_answer(item.freeform_answer, category)
        if answer.value is not None:
            assert float(item.normalized_answer) == pytest.approx(answer.value)
        assert [turn.speaker for turn in item.conversations] == ["human", "gpt"]
        assert item.conversations[1].text == item.freeform_answer


def test_ids_are_unique_and_categories_even(records):
    everything = [item for items in records.values() for item in items]
    assert len({item.id for item in everything}) == len(everything)
    for items in records.values():
        numbers = [sum(item.category == name for item in items)
                   for name in ("left_right", "count", "distance", "mcq")]  # fmt: skip
        assert max(numbers) - min(numbers) <= 2


def test_settings_stay_with_the_data_and_nothing_else_is_left(made, settings):
    names = {path.name for path in made.iterdir()}
    assert names == {
        *SPLITS, *(f"{split}.json" for split in SPLITS), "simulation.json", "shards"
    }  # fmt: skip
    stored = json.loads((made / "simulation.json").read_bytes())
    assert Randomization.from_dict(stored["randomization"]) == settings.randomization


def test_shards_stream_with_the_same_content(made, records):
    files = [str(path) for path in sorted((made / "shards").glob("train-*.tar"))]
    assert len(files) == 2
    stream = datasets.load_dataset("webdataset", data_files=files, split="train", streaming=True)
    samples = list(stream)
    folder = SplitFolder(made, "train")
    expected = {image: [item.to_json() for item in records["train"] if item.image == image]
                for image in folder.read_cameras()}  # fmt: skip
    assert [item["json"]["image"] for item in samples] == list(expected)
    for item in samples:
        image = item["json"]["image"]
        assert item["json"]["records"] == expected[image]
        assert item["json"]["camera"] == folder.read_cameras()[image].to_json()
        assert np.array_equal(np.asarray(item["png"]), read_rgb(folder.image_path(image)))
        stored = cv2.imread(str(folder.depth_path(image)), cv2.IMREAD_UNCHANGED)
        assert stored is not None
        assert np.array_equal(np.asarray(item["depth.png"]), stored)


def simulate_process(root: Path, varied_file: Path, scenes: int) -> subprocess.Popen:
    arguments = ["simulate", "--scenes", str(scenes), "--out", str(root), *OPTIONS]
    arguments += ["--workers", "2", "--randomization", str(varied_file)]
    arguments += ["--shards", "--shard-images", "4"]
    code = "from smolrgpt_core.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def kill_after(process: subprocess.Popen, root: Path, files: int, pause_s: float) -> None:
    """Kill a run when it has written so many more files, and wait until its workers are gone."""
    deadline = time.monotonic() + DEADLINE_S
    before = len(tree(root)) if root.exists() else 0
    while process.poll() is None and time.monotonic() < deadline:
        present = len([path for path in root.rglob("*") if path.is_file()])
        if present >= before + files:
            break
        time.sleep(0.005)
    time.sleep(pause_s)
    workers = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(workers, timeout=20)
    assert not alive, "a worker outlived the run"


def test_killed_at_random_moments_and_resumed_it_ends_with_the_same_bytes(
    settings, made, varied_file, tmp_path
):
    scenes, root = SCENES * KILLS // 2, tmp_path / "killed"
    whole = made if scenes == SCENES else tmp_path / "whole"
    make(replace(settings, scenes=scenes), whole)
    rng = np.random.default_rng(KILLS)
    for _ in range(KILLS):
        process = simulate_process(root, varied_file, scenes)
        kill_after(process, root, int(rng.integers(1, 8)), float(rng.uniform(0, 0.2)))
    process = simulate_process(root, varied_file, scenes)
    output, _ = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, output.decode()
    assert tree(root) == tree(whole)


@pytest.mark.parametrize(
    ("owner", "step"),
    [(simulation_run, "write_shards"), (SplitFolder, "write_records"), (shutil, "rmtree")],
)
def test_stopped_while_the_files_are_written_it_ends_with_the_same_bytes(
    owner, step, settings, unfinished, made, tmp_path, monkeypatch
):
    root = tmp_path / "stopped"
    shutil.copytree(unfinished, root)
    finish_after_stop(settings, root, owner, step, monkeypatch)
    assert tree(root) == tree(made)


def test_stopped_while_folders_go_the_shards_alone_remain(settings, made, tmp_path, monkeypatch):
    root = tmp_path / "shards_only"
    only_shards = replace(settings, folders=False)
    run = SimulationRun(only_shards, root)
    with run.locked():
        for _ in run.make_scenes(1):
            pass
    finish_after_stop(only_shards, root, shutil, "rmtree", monkeypatch)
    assert {path.name for path in root.iterdir()} == {"simulation.json", "shards"}
    assert tree(root / "shards") == tree(made / "shards")


def finish_after_stop(settings, root, owner, step, monkeypatch) -> None:
    """Finish a run whose first attempt is stopped before one of its steps."""
    run = SimulationRun(settings, root)
    with run.locked(), monkeypatch.context() as patch:
        patch.setattr(owner, step, stop)
        with pytest.raises(KeyboardInterrupt):
            run.finish()
    again = SimulationRun(settings, root)
    with again.locked():
        if not again.is_complete:
            assert not again.missing_scenes()
            again.finish()


def stop(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def copy_without(scenes: tuple[int, ...], unfinished: Path, root: Path) -> None:
    """A run that has not yet come to some of its scenes."""
    shutil.copytree(unfinished, root)
    for path in [path for index in scenes for path in root.rglob(f"{index:06}*")]:
        path.unlink()


def test_half_written_files_are_cleared_and_their_scene_is_made_again(
    settings, unfinished, made, tmp_path
):
    root = tmp_path / "half"
    copy_without((0,), unfinished, root)
    assert SimulationRun(settings, root).missing_scenes() == [0]
    leftover = root / "train" / "images" / ".000000_00.png.99.part"
    leftover.parent.mkdir(parents=True, exist_ok=True)
    leftover.write_bytes(b"half")
    make(settings, root)
    assert tree(root) == tree(made)


def run_command(*arguments: str):
    return CliRunner().invoke(app, ["simulate", *arguments])


def test_a_complete_data_set_is_left_alone(made, varied_file):
    before = tree(made)
    result = run_command(
        "--scenes", str(SCENES), "--out", str(made), *OPTIONS, "--shards", "--shard-images", "4",
        "--randomization", str(varied_file),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "is already complete" in result.output
    assert tree(made) == before


def test_other_settings_in_the_same_folder_are_refused_by_name(made, varied_file):
    before = tree(made)
    result = run_command("--scenes", "9", "--out", str(made), "--image-size", "64x48", *OPTIONS)
    assert result.exit_code == 2
    assert "randomization.camera.width: 96 there, 64 now" in result.output
    assert "scenes: 6 there, 9 now" in result.output
    assert tree(made) == before


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("\\end")
    result = run_command("--scenes", "1", "--out", str(tmp_path))
    assert result.exit_code == 2
    assert "thesis.tex" in result.output
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex"}


def test_two_runs_on_one_folder_are_refused(settings, tmp_path):
    with SimulationRun(settings, tmp_path / "one").locked():
        second = SimulationRun(settings, tmp_path / "one")
        with pytest.raises(SpatialError, match="another process") as caught, second.locked():
            pass
    assert caught.value.status is Status.BUSY


def test_a_full_disk_is_reported_and_the_run_can_be_resumed(
    settings, unfinished, made, tmp_path, monkeypatch
):
    root = tmp_path / "full"
    copy_without((4, 5), unfinished, root)
    written = []

    def write_until_full(path: Path, content: bytes) -> None:
        written.append(path)
        if len(written) > 7:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real_write(path, content)

    real_write = scene_maker.write_file
    with monkeypatch.context() as patch:
        patch.setattr(scene_maker, "write_file", write_until_full)
        patch.setattr(command, "read_randomization", lambda _: settings.randomization)
        result = run_command(
            "--scenes", str(SCENES), "--out", str(root), *OPTIONS, "--workers", "1", "--shards",
            "--shard-images", "4", "--randomization", __file__,
        )  # fmt: skip
    assert result.exit_code == 1
    assert "No space left on device" in result.output
    assert "the same command resumes" in result.output
    assert SimulationRun(settings, root).missing_scenes() == [5]
    make(settings, root)
    assert tree(root) == tree(made)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--fractions", "0.5,0.5"], "three fractions"),
        (["--fractions", "0.5,0.5,0.5"], "add up to 1"),
        (["--image-size", "big"], "640x480"),
        (["--image-size", "8x8"], "CameraRandomization.width"),
        (["--no-folders"], "nothing to write"),
        (["--scenes", "0"], "scenes"),
    ],
)
def test_wrong_calls(arguments, words, tmp_path):
    result = run_command("--scenes", "1", "--out", str(tmp_path / "x"), *arguments)
    assert result.exit_code == 2
    assert words in result.output
    assert not (tmp_path / "x").exists()


def test_another_seed_gives_other_scenes(settings, made, tmp_path):
    make(replace(settings, scenes=1, seed=12, shards=False), tmp_path / "other")
    one = next(iter((tmp_path / "other").glob("*/images/000000_00.png")))
    assert one.read_bytes() != next(made.glob("*/images/000000_00.png")).read_bytes()


def test_a_mixture_asks_its_families_and_keeps_their_steps(tmp_path, varied_file):
    settings = SimulationSettings(
        4, seed=3, views=2, questions=20, split_fractions=(1, 0, 0),
        randomization=read_randomization(varied_file), mixture="hispatial",
    )  # fmt: skip
    make(settings, tmp_path / "data")
    make(settings, tmp_path / "again")
    assert tree(tmp_path / "data") == tree(tmp_path / "again")
    records = SplitFolder(tmp_path / "data", "train").read_records()
    families = MIXTURES["hispatial"].families
    assert {record.category for record in records} <= families.keys()
    assert {families[record.category].level for record in records} == {0, 1, 2, 3}
    asked = [(record.image, record.question, str(record.rle)) for record in records]
    assert len(set(asked)) == len(asked)
    for record in records:
        assert record.truth is not None
        assert len(record.truth.boxes) == len(record.rle)
    steps = [record for record in records if record.reasoning]
    assert len(steps) > len(records) / 3
    for record in steps:
        assert record.reasoning.endswith(f"Answer: {record.normalized_answer}")
        assert WarehouseRecord.from_json(record.to_json()) == record
    checked = CliRunner().invoke(app, ["data", "check", str(tmp_path / "data")])
    assert checked.exit_code == 0, checked.output


def test_an_unknown_mixture_is_refused(tmp_path):
    words = ["simulate", "--scenes", "1", "--mixture", "imagenet", "--out", str(tmp_path / "data")]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 2
    assert (
        "mixture must be one of warehouse, language, looks, hispatial, spatialrgpt, "
        "got 'imagenet'" in done.output
    )
