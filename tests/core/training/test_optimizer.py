"""Muon and AdamW as one optimizer."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.settings_file import from_entries
from smolrgpt_core.training.config import OptimizerConfig, TrainConfig
from smolrgpt_core.training.muon import Muon, orthogonal
from smolrgpt_core.training.optimizer import MATRICES, MuonAndAdamW, make_optimizer


@pytest.fixture
def layers():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))


def groups(layers):
    matrices = [weight for weight in layers.parameters() if weight.ndim == 2]
    others = [weight for weight in layers.parameters() if weight.ndim < 2]
    return [
        {"params": matrices, "lr": 0.01, "weight_decay": 0.1, MATRICES: True},
        {"params": others, "lr": 0.02, "weight_decay": 0.0, MATRICES: False},
    ]


def train(layers, optimizer, steps, seed=0):
    generator = torch.Generator().manual_seed(seed)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    for _ in range(steps):
        inputs = torch.randn(16, 6, generator=generator)
        loss = (layers(inputs) - inputs[:, :2]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return loss.item()


def test_matrices_take_orthogonal_steps_and_the_rest_those_of_adamw(layers):
    before = deepcopy(layers)
    optimizer = make_optimizer(groups(layers), OptimizerConfig(name="muon"))
    train(layers, optimizer, 1)
    step = (layers[0].weight - before[0].weight * (1 - 0.01 * 0.1)).detach()
    sizes = torch.linalg.svdvals(step)
    assert sizes.max() / sizes.min() < 2
    # The first step of AdamW has the size of the rate, whatever the gradient.
    moved = (layers[0].bias - before[0].bias).abs()
    torch.testing.assert_close(moved, torch.full_like(moved, 0.02), rtol=1e-2, atol=0)


def test_schedules_reach_both(layers):
    optimizer = make_optimizer(groups(layers), OptimizerConfig(name="muon"))
    assert isinstance(optimizer, MuonAndAdamW)
    train(layers, optimizer, 3)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01 / 4, 0.02 / 4]
    assert [group["lr"] for part in optimizer._inner for group in part.param_groups] == [
        0.01 / 4,
        0.02 / 4,
    ]


def test_a_saved_state_goes_on_as_if_never_stopped(layers):
    other = deepcopy(layers)
    optimizer = MuonAndAdamW(groups(layers), (0.9, 0.99))
    train(layers, optimizer, 4)
    saved_weights, saved_state = deepcopy(layers.state_dict()), deepcopy(optimizer.state_dict())
    expected = train(layers, optimizer, 3, seed=1)
    other.load_state_dict(saved_weights)
    resumed = MuonAndAdamW(groups(other), (0.9, 0.99))
    resumed.load_state_dict(saved_state)
    assert train(other, resumed, 3, seed=1) == expected
    for one, two in zip(layers.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
    # What a schedule changes after loading must be what is stepped with.
    assert resumed.param_groups[0] is resumed._inner[0].param_groups[0]


def test_adamw_is_the_default(layers):
    optimizer = make_optimizer(groups(layers), OptimizerConfig(beta2=0.95))
    assert type(optimizer) is torch.optim.AdamW
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.95)


def test_muon_needs_whole_matrices():
    entries = {
        "output": "out",
        "start": {"preset": "smolrgpt-nano"},
        "trainable": {"language_model": 1e-3},
        "data": {"sources": [{"kind": "warehouse", "root": "here"}]},
        "optimizer": {"name": "muon"},
        "fsdp": True,
    }
    with pytest.raises(SpatialError, match="use adamw"):
        from_entries(TrainConfig, entries)


@pytest.mark.parametrize("shape", [(24, 16), (16, 40)])
def test_muon_steps_as_that_of_pytorch(shape):
    generator = torch.Generator().manual_seed(0)
    ours = nn.Parameter(torch.randn(shape, generator=generator))
    theirs = nn.Parameter(ours.detach().clone())
    group = {"lr": 0.01, "weight_decay": 0.1}
    optimizers = [
        Muon([{"params": [ours], **group}]),
        torch.optim.Muon([{"params": [theirs], **group}], adjust_lr_fn="match_rms_adamw"),
    ]
    before = ours.detach().clone()
    for _ in range(3):
        gradient = torch.randn(shape, generator=generator)
        for weight, optimizer in zip((ours, theirs), optimizers, strict=True):
            weight.grad = gradient.clone()
            optimizer.step()
    moved = (theirs - before).norm()
    # PyTorch rounds to bfloat16, which has three digits.
    assert (ours - theirs).norm() < 0.02 * moved


def test_orthogonal_matrices_have_the_directions_of_the_singular_value_decomposition():
    matrix = torch.randn(20, 30, generator=torch.Generator().manual_seed(1))
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    found = orthogonal(matrix, (3.4445, -4.7750, 2.0315), 5, 1e-7)
    sizes = torch.diagonal(left.T @ found @ right.T)
    assert sizes.min() > 0.6
    assert sizes.max() < 1.3
    assert (found - left @ torch.diag(sizes) @ right).norm() < 0.05 * found.norm()
