"""Training of the center-voting network, on drawn images and a tiny network."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from smolrgpt_core.data.region_images import RegionImages
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.perception.center_voting import CenterVotingSegmenter, NetworkSize
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.training.checkpoints import CheckpointStore
from smolrgpt_core.training.loss_log import FILE as LOSSES
from smolrgpt_core.training.region_segmenter import (
    RegionSegmenterConfig,
    SegmenterRun,
    TrainingImages,
    changed,
    read_config,
    train,
)
from smolrgpt_core.training.region_targets import STEP, training_image

ROOT = Path(__file__).resolve().parents[3]
TINY = NetworkSize(
    64, embedding_size=8, hidden_sizes=(8, 16, 16, 16), depths=(1, 1, 1, 1), head_size=8
)
SIZE = (96, 128)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of a red and a blue block each, at random places."""
    images = RegionImages(tmp_path_factory.mktemp("images"))
    rng = np.random.default_rng(0)
    for number in range(12):
        rgb = rng.integers(100, 130, (*SIZE, 3)).astype(np.uint8)
        blocks = []
        for id, (label, color) in enumerate(
            {"box": (220, 40, 40), "bin": (40, 40, 220)}.items(), 1
        ):
            mask = np.zeros(SIZE, bool)
            top, left = rng.integers(0, 60), rng.integers(0, 30) + 64 * (id - 1)
            mask[top : top + 32, left : left + 32] = True
            rgb[mask] = color
            blocks.append(Region.from_bitmap(id, label, mask))
        images.write(f"{number:02}", rgb, RegionSet(SIZE, tuple(blocks)))
    return images.folder


def config(output: Path, data: Path, steps: int = 6) -> RegionSegmenterConfig:
    return RegionSegmenterConfig(
        str(output), str(data), ("box", "bin"), TINY, steps,
        batch_images=4, learning_rate=1e-2, warmup_steps=min(10, steps // 2), decay_steps=steps,
        cooldown_steps=steps // 4, checkpoint_every=2, seed=5,
    )  # fmt: skip


def losses(output: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (output / LOSSES).read_text().splitlines()]


def test_it_learns_to_find_what_it_is_shown(tmp_path: Path, data: Path) -> None:
    folder = train(config(tmp_path / "run", data, steps=200))
    told = losses(tmp_path / "run")
    assert np.mean(told[-10:]) < 0.4 * np.mean(told[:10])
    rgb, true = RegionImages(data).read("03")
    found = CenterVotingSegmenter.from_pretrained(folder).find(rgb)
    assert sorted(region.label for region in found) == ["bin", "box"]
    assert [region.id for region in found] == [0, 1]
    for region in found:
        (wanted,) = true.with_label(region.label)
        got, mask = found.full_mask(region.id), true.full_mask(wanted.id)
        assert (got & mask).sum() / (got | mask).sum() > 0.7


def test_a_run_that_was_stopped_ends_with_the_same_weights(tmp_path: Path, data: Path) -> None:
    whole, stopped = config(tmp_path / "whole", data), config(tmp_path / "stopped", data)
    train(whole)
    store = CheckpointStore(Path(stopped.output), 2)
    run, images = SegmenterRun(stopped, store), TrainingImages(stopped)
    for step in range(5):
        run.advance(images.batch(step))
    store.begin(6)  # as after a kill in the middle of writing
    newest = store.newest()
    assert newest is not None
    assert newest.step == 4
    train(stopped)
    one, other = (load_file(Path(c.output) / "model/model.safetensors") for c in (whole, stopped))
    assert one.keys() == other.keys()
    assert all((one[name] == other[name]).all() for name in one)
    assert losses(Path(whole.output))[4:] == losses(Path(stopped.output))


def test_the_rate_rises_falls_and_ends_at_zero(tmp_path: Path) -> None:
    plan = replace(config(tmp_path, tmp_path, 75), warmup_steps=20, decay_steps=100)
    plan = replace(plan, cooldown_steps=25)
    assert [plan.rate_factor(step) for step in (0, 10, 20)] == [0, 0.5, 1]
    assert plan.rate_factor(50) == pytest.approx(0.5 * (1 + np.cos(np.pi * 30 / 80)))
    assert plan.rate_factor(74) == pytest.approx(0.5 * (1 + np.cos(np.pi * 54 / 80)) / 25)
    assert plan.rate_factor(75) == 0
    with pytest.raises(SpatialError, match="decay_steps must be at least"):
        replace(plan, decay_steps=74)


def test_a_folder_belongs_to_one_run(tmp_path: Path, data: Path) -> None:
    first = config(tmp_path / "run", data, steps=1)
    train(first)
    with pytest.raises(SpatialError, match="set back seed to 5"):
        train(replace(first, seed=6))


def test_no_images_say_how_to_make_them(tmp_path: Path) -> None:
    with pytest.raises(SpatialError, match="expected images with regions"):
        train(config(tmp_path / "run", tmp_path))


def test_targets_point_to_the_middle_of_the_box() -> None:
    ids = np.zeros((64, 64), np.int16)
    ids[16:32, 8:40] = 7
    image = training_image(np.zeros((64, 64, 3), np.uint8), ids, {7: 2}, (64, 64))
    assert image.kinds.shape == (64 // STEP, 64 // STEP)
    assert (image.kinds > 0).sum() == 8 * 16
    assert set(np.unique(image.kinds)) == {0, 2}
    # The middle of the box is (24, 24), in pixels; the units are 32 of them.
    row, column = 10, 7
    x, y = STEP * (column + 0.5), STEP * (row + 0.5)
    offset_x, offset_y, log_width, log_height = image.votes[:, row, column]
    assert (offset_x, offset_y) == pytest.approx(((24 - x) / 32, (24 - y) / 32))
    assert (log_width, log_height) == pytest.approx((np.log(32 / 32), np.log(16 / 32)))


def test_a_changed_image_keeps_masks_on_objects() -> None:
    rgb = np.full((60, 80, 3), 20, np.uint8)
    ids = np.zeros((60, 80), np.int16)
    rgb[20:40, 10:50], ids[20:40, 10:50] = 200, 3
    for seed in range(20):
        other, moved = changed(rgb, ids, np.random.default_rng(seed))
        assert other.shape[:2] == moved.shape
        assert np.array_equal(moved == 3, other.mean(axis=2) > 80)


def test_the_shipped_configuration_can_be_read() -> None:
    assert read_config(ROOT / "config/train/region_segmenter/nano.yaml").steps > 0
