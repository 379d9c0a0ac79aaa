"""Released shards of all kinds become a data set that other commands read."""

from __future__ import annotations

import json
import os
import pickle
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.data.readers import DatasetConfig, SampleIterator, open_dataset
from smolrgpt_core.data.samples import Sample
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.files import encode_image, read_rgb
from smolrgpt_core.geometry.back_projection import back_project
from smolrgpt_core.hispatial_data.run import ImportRun, ImportSettings
from smolrgpt_core.hispatial_data.unpickling import Unpickler
from smolrgpt_core.quality.check import check_dataset
from smolrgpt_core.synthesis.mixtures import MIXTURES, UNMIXED_TASKS
from smolrgpt_core.training.config import (
    CheckpointConfig,
    DataConfig,
    LoggingConfig,
    OptimizerConfig,
    SourceConfig,
    StartConfig,
    TrainConfig,
)
from smolrgpt_core.training.run import train


def call(*words: object) -> Any:
    runner = CliRunner(env={"COLUMNS": "200"})
    return runner.invoke(app, ["import-hispatial", *map(str, words)])


def tree(root: Path) -> dict[str, bytes]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def samples_of(root: Path) -> list[Sample]:
    """One for each image."""
    return list(SampleIterator(open_dataset(DatasetConfig("warehouse", root), True)))


@pytest.fixture(scope="module")
def mixed(records, tmp_path_factory) -> list[Path]:
    """A shard of each stream."""
    folder = tmp_path_factory.mktemp("mixed")
    content = {
        "o365.tar": {"a/0001": records.wild(), "a/0002": records.wild()},
        "ca1m.tar": {"scene-42_7": records.ca1m()},
        "general.tar": {"v1": records.general()},
    }
    return [records.write_shard(folder / name, members) for name, members in content.items()]


class Imported:
    """The data set of one call, and what the call says of it."""

    def __init__(self, shards: list[Path], root: Path) -> None:
        self.root = root
        done = call(*shards, "--out", root, "--json")
        assert done.exit_code == 0, done.output
        self.summary = json.loads(done.stdout)

    @property
    def facts(self) -> list[dict[str, Any]]:
        lines = (self.root / "train/facts.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def used(self, shard: str) -> list[str]:
        """Keys of the records of a shard that became images."""
        return [item["key"] for item in self.facts if item["shard"] == shard]

    def reasons(self, shard: str) -> dict[str, str]:
        """What is wrong with the other records, by key."""
        broken = self.summary["broken"]
        return {item["key"]: item["reason"] for item in broken if item["shard"] == shard}


@pytest.fixture(scope="module")
def imported(mixed, tmp_path_factory) -> Imported:
    return Imported(mixed, tmp_path_factory.mktemp("imported") / "out")


def test_all_streams_in_one_call_are_checked_and_trained_on(mixed, tmp_path, tiny_vlms):
    root = tmp_path / "out"
    done = call(*mixed, "--out", root, "--questions", 100)
    assert done.exit_code == 0, done.output
    report = check_dataset(root)
    assert report.clean, report.examples
    found = SplitFolder(root, "train").read_records()
    assert {item.category for item in found} == {*MIXTURES["hispatial"].families, *UNMIXED_TASKS}
    vlm = tiny_vlms.save_vlm("paligemma", tmp_path / "vlm")
    sources = (
        SourceConfig("warehouse", str(root), mixture="hispatial", weight=7),
        SourceConfig("warehouse", str(root), categories=("orientation", "general")),
    )
    run = TrainConfig(
        output=str(tmp_path / "trained"),
        start=StartConfig(vlm=str(vlm), point_code="hispatial"),
        trainable={"point_encoder": 1e-3, "projector": 1e-3},
        data=DataConfig(sources=sources, workers=0),
        optimizer=OptimizerConfig(batch_rows=4, micro_rows=4, steps=2),
        checkpoints=CheckpointConfig(every_steps=2, keep=1),
        logging=LoggingConfig(every_steps=1, tensorboard=False),
    )
    assert (train(run) / "model.safetensors").is_file()


def test_each_record_says_where_it_comes_from(imported):
    summary, facts = imported.summary, imported.facts
    assert summary["images"] == {"wild": 2, "ca1m": 1, "general": 1}
    assert summary["broken"] == []
    assert [(item["shard"], item["key"]) for item in facts] == [
        ("o365.tar", "a/0001"), ("o365.tar", "a/0002"), ("ca1m.tar", "scene-42_7"),
        ("general.tar", "v1"),
    ]  # fmt: skip
    assert [item["image"] for item in facts][:2] == ["00000-000000.jpg", "00000-000001.jpg"]
    ids = [id for item in facts for id in item["questions"]]
    assert ids == [record.id for record in SplitFolder(imported.root, "train").read_records()]
    assert len(facts[0]["questions"]) == 16 + 2
    assert Counter(summary["formats"])["free"] == len(ids)


def test_the_point_maps_are_those_of_the_authors(shard, records, tmp_path):
    """As their code reads the same files, up to the millimeters of a depth image."""
    released = Path(__file__).parents[3] / "data" / "hispatial_tiny"
    jpg = encode_image(read_rgb(released / "image.png"), ".jpg")
    with np.load(released / "expected.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    depth = np.nan_to_num(arrays["depth_decoded"], nan=0.0, posinf=0.0)
    estimate = {
        "points": torch.from_numpy(arrays["points_estimator"].astype(np.float32)),
        "mask": torch.from_numpy(arrays["mask_estimator"] > 0),
    }
    content = {
        "wild": records.wild(
            {}, jpg=jpg, png=(released / "depth_log16.png").read_bytes(),
            intrinsics_pt=records.pickle(torch.from_numpy(arrays["intrinsics_normalized"])),
        ),
        "ca1m": {
            "image.jpg": jpg, "depth.npy": records.npy(depth.astype(np.float32)),
            "intrinsics.pt": records.pickle({"K": torch.from_numpy(arrays["intrinsics_pixels"])}),
            "qa.pt": records.pickle([]),
        },
        "general": records.general(jpg=jpg, pt=records.pickle(estimate)),
    }  # fmt: skip
    root = tmp_path / "out"
    assert call(shard("all.tar", content), "--out", root).exit_code == 0
    samples = samples_of(root)
    for index, name in enumerate(("xyz_wild", "xyz_ca1m", "xyz_general")):
        sample = samples[index]
        assert sample.depth is not None
        assert sample.camera is not None
        points = back_project(sample.depth.read_meters(), sample.camera.intrinsics)
        wanted = arrays[name].reshape(4, 56, 56)
        height, width = points.shape[:2]
        small = points[np.ix_(np.arange(56) * height // 56, np.arange(56) * width // 56)]
        known = np.isfinite(small[..., 2])
        in_range = (wanted[3] > 0) & (wanted[2] <= (30 if name == "xyz_ca1m" else 60))
        np.testing.assert_array_equal(known, in_range, err_msg=name)
        np.testing.assert_allclose(small[known], wanted[:3, in_range].T, atol=1e-3, err_msg=name)


def test_calibrations_follow_the_conventions_of_their_streams(imported):
    cameras = SplitFolder(imported.root, "train").read_cameras()
    found = [
        (camera.intrinsics.fx, camera.intrinsics.fy, camera.intrinsics.cx, camera.intrinsics.cy)
        for camera in cameras.values()
    ]
    # Fractions of the image with half-pixel centers; whole pixels of an image of half the size; and
    # what the points say.
    expected = [(48, 48, 23.5, 15.5), (48, 48, 23.5, 15.5), (48, 48, 23.5, 15.5)]
    np.testing.assert_allclose(found[:3], expected, atol=1e-4)
    np.testing.assert_allclose(found[3], (50, 50, 23.5, 15.5), atol=1e-3)
    meters = samples_of(imported.root)[2].depth
    assert meters is not None
    depth = meters.read_meters()
    # No depth, and beyond 30 m, in two rows of half the size.
    assert np.isnan(depth[:4]).all()
    np.testing.assert_allclose(depth[4:], 3)


class Bomb:
    """Runs a command when it is unpickled without care."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple:
        return (os.system, (f"touch {self.trace}",))


def hostile(records, trace: Path) -> dict[str, Any]:
    """Records with pickles of other things than plain values, and a good one."""
    return {
        "saved": records.wild({"level1": [Bomb(trace)]}),
        "plain": records.wild(pt=pickle.dumps(Bomb(trace), protocol=2)),
        "array": records.wild({"level1": [np.float64(1)]}),
        "set": records.wild({"level1": [{1, 2}]}),
        "no_pickle": records.wild(pt=b"no pickle"),
        "good": records.wild(),
    }


def unusable(records) -> dict[str, Any]:
    """Records that lack something or contradict themselves, and a good one."""
    camera = torch.eye(3)
    return {
        "no_depth": records.wild(png=None),
        "no_reading": records.wild(png=records.log_png(np.full(records.size, np.nan))),
        "no_log": records.wild(png=records.wild()["jpg"]),
        "no_picture": records.wild(jpg=b"no picture"),
        "no_camera": records.wild(intrinsics_pt=records.pickle(camera * 9)),
        "no_lists": records.wild([1]),
        "../../outside": records.wild(),
        "no_camera_of_points": records.general(pt=records.pickle({"points": torch.zeros(2, 2, 3)})),
        "good": records.wild(),
    }


def expanding(records) -> dict[str, Any]:
    """Records with pickles that say more than they hold, and a good one."""
    shared: list[Any] = ["x"] * 10
    for _ in range(8):
        shared = [shared] * 10
    view = torch.zeros(1).expand(2**28)
    return {
        "shared": records.wild({"level1": shared}),
        "view": records.wild({"level1": [view]}),
        "good": records.wild(),
    }


def add_link(shard: Path) -> None:
    with tarfile.open(shard, "a") as archive:
        link = tarfile.TarInfo("link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)


def cut_off(shard: Path, member: str) -> None:
    with tarfile.open(shard) as archive:
        end = archive.getmember(member).offset_data + 100
    shard.write_bytes(shard.read_bytes()[:end])


@pytest.fixture(scope="module")
def damaged(records, tmp_path_factory) -> Imported:
    """Of shards with all kinds of damage in one call: each call starts a PyTorch for pickles."""
    folder = tmp_path_factory.mktemp("damaged")
    content = {
        "hostile.tar": hostile(records, folder / "trace"),
        "unusable.tar": unusable(records),
        "cut.tar": {"a": records.wild(), "b": records.wild()},
        "expanding.tar": expanding(records),
    }
    shards = [records.write_shard(folder / name, members) for name, members in content.items()]
    add_link(folder / "unusable.tar")
    cut_off(folder / "cut.tar", "b.pt")
    return Imported(shards, folder / "out")


def test_a_pickle_that_would_run_something_does_not(damaged):
    assert not (damaged.root.parent / "trace").exists()
    reasons = damaged.reasons("hostile.tar")
    assert set(reasons) == {"saved", "plain", "array", "set", "no_pickle"}
    assert all("a pickle is refused" in reason for reason in reasons.values())
    assert "system" in reasons["saved"]
    assert "system" in reasons["plain"]
    assert "numpy" in reasons["array"]
    assert damaged.used("hostile.tar") == ["good"]


def test_the_process_that_reads_pickles_may_die(shard, records, tmp_path, monkeypatch):
    (tmp_path / "dies.py").write_text("import sys; sys.stdin.buffer.read(9); sys.exit(3)")
    monkeypatch.setattr("smolrgpt_core.hispatial_data.unpickling.PROGRAM", "dies")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = shard("all.tar", {"a": records.wild(), "b": records.wild()})
    done = call(path, "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "ended the process that reads it (exit status 3)" in done.output


def test_broken_records_are_named_and_the_others_are_used(damaged):
    reasons = damaged.reasons("unusable.tar")
    expected = {
        "no_depth": "a record without png",
        "no_reading": "a record without depth from 0.1 to 60 m",
        "no_log": "expected depth on a logarithmic scale",
        "no_picture": "expected a color image",
        "no_camera": "cannot belong to an image of 48x32",
        "no_lists": "expected lists of questions by level",
        "../../outside": "its name leads out of the archive",
        "no_camera_of_points": "expected a dictionary with mask",
        "link": "it is a link or a device",
    }
    assert set(reasons) == set(expected)
    for key, reason in expected.items():
        assert reason in reasons[key]
    assert damaged.used("unusable.tar") == ["good"]
    inside = {path.name for path in damaged.root.parent.iterdir()}
    assert inside == {"hostile.tar", "unusable.tar", "cut.tar", "expanding.tar", "out"}
    assert damaged.summary["images"] == {"wild": 4}
    assert check_dataset(damaged.root).clean


def test_a_shard_that_is_cut_off_is_named_and_its_records_are_used(damaged):
    assert damaged.used("cut.tar") == ["a"]
    reasons = damaged.reasons("cut.tar")
    assert list(reasons) == ["b", ""]
    assert reasons["b"].startswith("a record without pt: ")
    assert "cut.tar: the shard cannot be read to its end" in reasons[""]
    assert reasons[""].endswith("; 2 records before it")


def test_nothing_usable_is_an_error(shard, records, tmp_path):
    done = call(shard("bad.tar", {"a": records.wild(png=None)}), "--out", tmp_path / "out")
    assert done.exit_code == 2
    assert "no record of the shards can be used; the first: a record without png" in done.output
    assert not (tmp_path / "out" / "train.json").exists()


def test_a_run_that_is_stopped_goes_on_with_the_same_bytes(mixed, tmp_path, monkeypatch):
    mixed = mixed[:2]
    call(*mixed, "--out", tmp_path / "whole")
    settings = ImportSettings(tuple(mixed))
    stopped = ImportRun(settings, tmp_path / "stopped")
    with stopped.locked(), Unpickler() as unpickler:
        assert list(stopped.convert(0, unpickler)) == ["a/0001", "a/0002"]
        # In the middle of a shard.
        next(iter(stopped.convert(1, unpickler)))
    converted: list[int] = []
    convert = ImportRun.convert

    def noted(self: ImportRun, number: int, unpickler: Unpickler) -> Iterator[str]:
        converted.append(number)
        return convert(self, number, unpickler)

    monkeypatch.setattr(ImportRun, "convert", noted)
    assert call(*mixed, "--out", tmp_path / "stopped").exit_code == 0
    assert converted == [1]
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")
    again = call(*mixed, "--out", tmp_path / "stopped")
    assert "already complete" in again.output
    other = call(*mixed, "--out", tmp_path / "stopped", "--seed", 1)
    assert other.exit_code == 2
    assert "seed: 0 there, 1 now" in other.output


def test_wrong_calls(mixed, tmp_path):
    twice = call(mixed[0], mixed[0], "--out", tmp_path / "out")
    assert twice.exit_code == 2
    assert "expected each shard once" in twice.output
    assert call(mixed[0], "--out", tmp_path / "out", "--split", "other").exit_code == 2
    assert call(tmp_path / "nowhere.tar", "--out", tmp_path / "out").exit_code == 2


def test_a_pickle_says_no_more_than_it_holds(damaged):
    reasons = damaged.reasons("expanding.tar")
    assert set(reasons) == {"shared", "view"}
    assert "values" in reasons["shared"]
    assert "numbers" in reasons["view"]
    assert damaged.used("expanding.tar") == ["good"]
