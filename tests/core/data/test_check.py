"""The check of a data set: each kind of damage is found where it is, and nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_image
from smolrgpt_core.quality.check import check_dataset
from smolrgpt_core.quality.problems import CheckReport, ProblemKind
from smolrgpt_core.regions import encode_rle

SIZE = (64, 96)


def found(report: CheckReport) -> dict[str, int]:
    return {kind.value: number for kind, number in report.counts.items()}


def example(report: CheckReport, kind: str) -> str:
    """Place and message of the first problem of a kind."""
    problem = report.examples[ProblemKind(kind)][0]
    return f"{problem.place}: {problem.message}"


def rle(**changes: Any) -> dict[str, Any]:
    return {**encode_rle(np.ones(SIZE, dtype=bool)), **changes}


def to_record(number: int, **changes: Any) -> Callable[[list[Any]], None]:
    """A change of one record; None deletes a field."""

    def change(entries: list[Any]) -> None:
        entries[number].update(changes)
        for name, value in changes.items():
            if value is None:
                del entries[number][name]

    return change


def image(root: Path, name: str = "000001_00.png") -> Path:
    return root / "train" / "images" / name


def depth(root: Path) -> Path:
    return root / "train" / "depths" / "000001_00_depth.png"


def test_a_good_data_set_is_clean(warehouse: Path) -> None:
    report = check_dataset(warehouse)
    assert report.clean
    assert report.images == {"train": 6, "val": 2}
    assert report.questions == {"train": 24, "val": 8}
    assert report.to_json()["problems"] == {}


@pytest.mark.parametrize(
    ("kind", "number", "changes", "place", "message"),
    [
        ("broken_record", 2, {"conversations": None}, "record 2:", "`conversations` is missing"),
        ("broken_record", 2, {"id": [1]}, "record 2:", "`id` must be str/int"),
        ("mask_count", 0, {"rle": [rle()]}, "record 0 (train-0-0-left_right)", "2 <mask> and 1 m"),
        ("mask_size", 0, {"rle": [rle(size=[96, 64])] * 2}, "mask 0", "found (96, 64)"),
        ("mask_broken", 0, {"rle": [rle(counts="#garbage")] * 2}, "mask 0", "cannot be decoded"),
        ("mask_empty", 0, {"rle": [rle(counts=[6144])] * 2}, "mask 0", "at least one pixel"),
        ("category", 0, {"category": "riddle"}, "record 0", "found 'riddle'"),
        ("answer_missing", 1, {"normalized_answer": None}, "record 1", "normalized_answer"),
        ("answer_unreadable", 0, {"normalized_answer": "up"}, "record 0", "got 'up'"),
        ("answer_unreadable", 1, {"normalized_answer": "nan"}, "record 1", "non-negative meters"),
        ("answer_unreadable", 2, {"normalized_answer": "1.5"}, "record 2", "non-negative integer"),
        ("answer_unreadable", 3, {"normalized_answer": "3"}, "record 3", "one of 3 regions"),
        ("answer_unreadable", 1, {"freeform_answer": "It is far."}, "record 1", "no distance"),
        ("answer_disagrees", 0, {"normalized_answer": "right"}, "record 0", "'right'"),
        ("answer_disagrees", 1, {"normalized_answer": "3.52"}, "record 1", "3.42 meters"),
        ("answer_disagrees", 2, {"normalized_answer": "2"}, "record 2", "has 1 pallet"),
        ("answer_disagrees", 3, {"normalized_answer": "0"}, "record 3", "[Region 1]"),
        ("duplicate_id", 9, {"id": "val-3-0-mcq"}, "val.json: record 3", "train.json: record 9"),
    ],
)
def test_damaged_records(
    warehouse: Path,
    edit_records: Any,
    kind: str,
    number: int,
    changes: dict[str, Any],
    place: str,
    message: str,
) -> None:
    edit_records(warehouse, "train", to_record(number, **changes))
    report = check_dataset(warehouse)
    assert set(found(report)) == {kind}
    assert place in example(report, kind)
    assert message in example(report, kind)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:300])


@pytest.mark.parametrize(
    ("kind", "damage", "place"),
    [
        ("image", lambda root: image(root).unlink(), "images/000001_00.png"),
        ("image", lambda root: truncate(image(root)), "images/000001_00.png"),
        ("depth", lambda root: depth(root).unlink(), "depths/000001_00_depth.png"),
        ("depth", lambda root: truncate(depth(root)), "depths/000001_00_depth.png"),
        (
            "depth_size",
            lambda root: write_image(depth(root), np.full((32, 48), 3000, np.uint16)),
            "(64, 96) as the image, found (32, 48)",
        ),
        (
            "depth_unit",
            lambda root: write_image(depth(root), np.full(SIZE, 40, np.uint16)),
            "median depth is 0.04 m",
        ),
        (
            "depth_empty",
            lambda root: write_image(depth(root), np.zeros(SIZE, np.uint16)),
            "000001_00_depth.png",
        ),
    ],
)
def test_damaged_images(
    warehouse: Path, kind: str, damage: Callable[[Path], None], place: str
) -> None:
    damage(warehouse)
    report = check_dataset(warehouse)
    assert found(report) == {kind: 1}
    assert place in example(report, kind)


def test_depth_that_is_an_image_is_reported_and_no_problem(warehouse: Path) -> None:
    path = next((warehouse / "train" / "depths").iterdir())
    write_image(path, np.full((64, 96), 150, np.uint8))
    report = check_dataset(warehouse)
    assert report.clean
    assert report.depth_without_unit["train"] == 1
    result = CliRunner().invoke(app, ["data", "check", str(warehouse)])
    said = " ".join(result.stdout.split())
    assert "train: the depth of 1 images is an 8 bit visualization without a unit" in said


def test_depth_with_marks_of_no_reading(warehouse: Path) -> None:
    path = next((warehouse / "train" / "depths").iterdir())
    depth = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert depth is not None
    depth[::2, ::2] = 65535
    write_image(path, depth)
    report = check_dataset(warehouse)
    assert found(report) == {"depth_loss": 1}
    assert "25.0% of the depth pixels are invalid" in example(report, "depth_loss")


def test_cameras_that_do_not_fit(warehouse: Path) -> None:
    path = warehouse / "train" / "cameras.json"
    cameras = json.loads(path.read_text())
    del cameras["000000_01.png"]
    cameras["000002_00.png"]["height"] += 2
    path.write_text(json.dumps(cameras))
    report = check_dataset(warehouse)
    assert found(report) == {"camera_missing": 1, "camera_size": 1}
    assert "cameras.json: 000000_01.png" in example(report, "camera_missing")
    assert "found (66, 96)" in example(report, "camera_size")


def test_the_depth_scale_of_the_camera_is_the_unit(warehouse: Path) -> None:
    path = warehouse / "train" / "cameras.json"
    cameras = json.loads(path.read_text())
    cameras["000002_00.png"]["depth_scale"] = 1.0
    path.write_text(json.dumps(cameras))
    assert found(check_dataset(warehouse)) == {"depth_unit": 1}


def test_a_public_set_has_no_cameras(warehouse: Path) -> None:
    (warehouse / "train" / "cameras.json").unlink()
    assert check_dataset(warehouse).clean


def test_a_test_split_needs_no_answers(warehouse: Path, edit_records: Any) -> None:
    def withhold(entries: list[Any]) -> None:
        for entry in entries:
            del entry["normalized_answer"], entry["freeform_answer"]
            entry["conversations"].pop()

    edit_records(warehouse, "val", withhold)
    assert found(check_dataset(warehouse)) == {"answer_missing": 8}
    (warehouse / "val").rename(warehouse / "test")
    (warehouse / "val.json").rename(warehouse / "test.json")
    assert check_dataset(warehouse).clean


def test_scenes_and_images_in_two_splits(warehouse: Path, edit_records: Any) -> None:
    def rename(entries: list[Any]) -> None:
        for entry in entries:
            entry["image"] = entry["image"].replace("000003", "000001")

    for path in (warehouse / "val").glob("*/*.png"):
        path.rename(path.with_name(path.name.replace("000003", "000001")))
    cameras = warehouse / "val" / "cameras.json"
    cameras.write_text(cameras.read_text().replace("000003", "000001"))
    edit_records(warehouse, "val", rename)
    report = check_dataset(warehouse)
    assert found(report) == {"shared_scene": 1}, "another rendering of a scene is the same scene"
    assert "scene '000001' is also in train" in example(report, "shared_scene")

    shutil.copy(image(warehouse), warehouse / "val" / "images" / "000001_01.png")
    report = check_dataset(warehouse)
    assert found(report) == {"shared_scene": 1, "shared_image": 1}
    assert "000001_01.png" in example(report, "shared_image")


@pytest.mark.parametrize("name", ["train.json", "train/cameras.json"], ids=["questions", "cameras"])
def test_json_that_is_cut_off(warehouse: Path, name: str) -> None:
    path = warehouse / name
    path.write_bytes(path.read_bytes()[:-60])
    report = check_dataset(warehouse)
    assert found(report) == {"broken_file": 1}
    assert str(path) in example(report, "broken_file")
    assert report.questions == {"train": 23 if name == "train.json" else 24, "val": 8}


def test_json_without_one_record_is_reported_and_other_splits_are_checked(
    warehouse: Path,
) -> None:
    (warehouse / "train.json").write_text('[{"id": ')
    truncate(warehouse / "val" / "images" / "000003_00.png")
    assert found(check_dataset(warehouse)) == {"broken_file": 1, "image": 1}


def test_images_without_questions(warehouse: Path) -> None:
    (warehouse / "train.json").unlink()
    report = check_dataset(warehouse)
    assert found(report) == {"broken_file": 1}
    assert "train.json" in example(report, "broken_file")


def test_a_path_that_leads_out_of_the_folder_is_not_opened(
    warehouse: Path, edit_records: Any
) -> None:
    edit_records(warehouse, "train", to_record(0, image="../../../etc/passwd"))
    report = check_dataset(warehouse)
    assert found(report) == {"image": 1, "depth": 1, "camera_missing": 1}
    assert "plain file name" in example(report, "image")


def test_several_processes_find_the_same(warehouse: Path, edit_records: Any) -> None:
    truncate(image(warehouse))
    depth(warehouse).unlink()
    edit_records(warehouse, "train", to_record(3, rle=[rle()]))
    edit_records(warehouse, "val", to_record(0, category="riddle"))
    alone = check_dataset(warehouse).to_json()
    assert check_dataset(warehouse, workers=2).to_json() == alone
    assert set(alone["problems"]) == {
        "image", "depth", "mask_count", "answer_unreadable", "category",
    }  # fmt: skip


def test_examples_are_few_but_all_are_counted(warehouse: Path) -> None:
    for path in (warehouse / "train" / "images").glob("*.png"):
        truncate(path)
    progress: list[tuple[str, int, int]] = []
    report = check_dataset(warehouse, examples=2, progress=lambda *now: progress.append(now))
    assert report.counts[ProblemKind.IMAGE] == 6
    assert len(report.examples[ProblemKind.IMAGE]) == 2
    assert progress[5:] == [("train", 6, 6), ("val", 1, 2), ("val", 2, 2)]


def test_a_folder_without_data_set(tmp_path: Path) -> None:
    with pytest.raises(SpatialError, match=r"expected a data set with one of train\.json"):
        check_dataset(tmp_path)
