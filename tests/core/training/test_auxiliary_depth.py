"""Depth as a second task of the vision encoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.training.auxiliary_depth import depth_losses, order_losses, patch_depths
from smolrgpt_core.training.checkpoints import CheckpointStore
from smolrgpt_core.training.config import (
    DEPTH_TARGETS,
    AuxiliaryDepthConfig,
    CheckpointConfig,
    OptimizerConfig,
    StartConfig,
    TrainConfig,
)
from smolrgpt_core.training.learned import patch_grid_of
from smolrgpt_core.training.run import train


@pytest.fixture
def depth_run(base, run_config) -> Callable[..., TrainConfig]:
    """depth_run(target, steps): a run that trains the vision encoder of `base`."""

    def make(target: str = "metric", steps: int = 6) -> TrainConfig:
        return run_config(
            "metric",
            start=StartConfig(checkpoint=str(base)),
            trainable={"vision_encoder": 3e-3},
            auxiliary_depth=AuxiliaryDepthConfig(weight=20.0, target=target, rate=1e-2),
            optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=steps),
            checkpoints=CheckpointConfig(every_steps=3, keep=2),
        )

    return make


@pytest.mark.parametrize("target", DEPTH_TARGETS)
def test_the_vision_encoder_learns_depth_and_the_head_is_dropped(
    base, depth_run, target, logged_losses, saved_weights
):
    config = depth_run(target, steps=30)
    model = train(config)
    found = [line["terms"]["depth"] for line in logged_losses(config)]
    assert np.mean(found[-3:]) < 0.7 * np.mean(found[:3])
    before, after = saved_weights(base), saved_weights(model)
    assert {name for name in before if not torch.equal(before[name], after[name])} <= {
        name for name in before if name.startswith("model.vision_model.")
    }
    assert not torch.equal(*(of["model.vision_model.encoder.layers.0.mlp.fc1.weight"]
                             for of in (before, after)))  # fmt: skip
    assert set(load_file(model / "model.safetensors")) == set(load_file(base / "model.safetensors"))
    assert not list(model.glob("heads*"))


def test_going_on_gives_the_same_losses_with_a_head(depth_run, logged_losses):
    config = depth_run()
    train(config)
    whole = logged_losses(config)
    newest = CheckpointStore(Path(config.output), 2).newest()
    assert newest is not None
    for path in newest.folder.iterdir():
        path.unlink()
    newest.folder.rmdir()
    train(config)
    assert logged_losses(config) == whole
    earlier = CheckpointStore(Path(config.output), 2).all()[0]
    (earlier.folder / "heads.safetensors").unlink()
    (CheckpointStore(Path(config.output), 2).all()[1].folder).rename(Path(config.output) / "away")
    with pytest.raises(SpatialError, match=r"heads\.safetensors: the heads of this run"):
        train(config)


def test_depth_of_patches_is_the_mean_logarithm_of_their_readings():
    meters = np.full((64, 96), 2.0, dtype=np.float32)
    meters[:, 48:] = 8.0
    meters[:16, :24] = np.nan
    meters[16:24, :24] = np.nan
    found = patch_depths(meters, 4)
    assert found.shape == (4, 4)
    assert math.isnan(found[0, 0])
    assert found[1, 0] == pytest.approx(math.log(2))
    assert found[3].tolist() == pytest.approx([math.log(2)] * 2 + [math.log(8)] * 2)


def test_what_was_not_measured_has_no_loss():
    wanted = torch.tensor([[0.0, 1.0, math.nan, 2.0], [math.nan] * 4])
    predicted = torch.tensor([[0.5, 1.0, 9.0, 2.5], [1.0, 2.0, 3.0, 4.0]], requires_grad=True)
    assert depth_losses(predicted, wanted).tolist() == pytest.approx([1.0 / 3, 0])
    right, wrong = (torch.tensor([[0.0, 5.0, x, 10.0], [0.0] * 4]) for x in (0.0, 99.0))
    assert torch.equal(order_losses(right, wanted), order_losses(wrong, wanted))
    assert order_losses(right, wanted)[0] < 0.01 < order_losses(-right, wanted)[0]
    order_losses(predicted, wanted).sum().backward()
    assert predicted.grad is not None
    assert predicted.grad.isfinite().all()
    assert predicted.grad[1].abs().sum() == 0


def test_runs_in_which_nothing_could_be_learned_are_refused(depth_run, make_processor):
    config = depth_run()
    with pytest.raises(SpatialError, match=r"vision encoder, which is frozen.*trainable"):
        replace(config, trainable={"language_model": 1e-3})
    (source,) = config.data.sources
    blind = replace(config.data, sources=(replace(source, inputs="geometry"),))
    with pytest.raises(SpatialError, match="needs rows with an image and its depth"):
        replace(config, data=blind)
    with pytest.raises(SpatialError, match=r"one square.*smolvlm"):
        patch_grid_of(make_processor("smolvlm"))
    assert patch_grid_of(make_processor("paligemma")) > 1
    with pytest.raises(SpatialError, match=r"auxiliary_depth\.target"):
        AuxiliaryDepthConfig(target="far")
