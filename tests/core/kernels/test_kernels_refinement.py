"""Refinement: whole and sparse against PyTorch's transposed convolutions, and their gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.kernels.pooling import pool_masks
from smolrgpt_core.kernels.refinement import (
    LevelWeights,
    RefinerWeights,
    plan_cells,
    refine,
    refine_and_pool,
)
from smolrgpt_core.regions import encode_rle

CHANNELS = 12


class ChannelNorm(nn.LayerNorm):
    """LayerNorm over the channels of (B, C, H, W)."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return super().forward(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


def as_modules(refiner: RefinerWeights) -> nn.Sequential:
    """The refiner as the released model builds it."""
    modules: list[nn.Module] = []
    for level in refiner.levels:
        convolution = nn.ConvTranspose2d(CHANNELS, CHANNELS, kernel_size=2, stride=2)
        assert level.bias is not None
        convolution.weight, convolution.bias = nn.Parameter(level.weight), nn.Parameter(level.bias)
        modules.append(convolution)
        if level.norm_weight is not None:
            norm = ChannelNorm(CHANNELS, eps=level.norm_epsilon)
            assert level.norm_bias is not None
            norm.weight, norm.bias = nn.Parameter(level.norm_weight), nn.Parameter(level.norm_bias)
            modules.append(norm)
        modules.append(nn.GELU())
    return nn.Sequential(*modules)


@pytest.fixture
def tokens() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(2, 16, CHANNELS, generator=generator)


def test_refined_grid_equals_the_modules(make_refiner, tokens) -> None:
    refiner = make_refiner(CHANNELS)
    expected = as_modules(refiner)(tokens.mT.unflatten(2, (4, 4)))
    torch.testing.assert_close(
        refine(refiner, tokens), expected.flatten(2).mT, atol=1e-4, rtol=1e-4
    )


def test_the_order_of_the_weights_in_memory_does_not_matter(make_refiner, tokens) -> None:
    refiner = make_refiner(CHANNELS)
    levels = tuple(
        LevelWeights(
            level.weight.contiguous(memory_format=torch.channels_last),
            level.bias,
            level.norm_weight,
            level.norm_bias,
        )
        for level in refiner.levels
    )
    assert levels[0].by_child.data_ptr() == levels[0].weight.data_ptr(), "copied for nothing"
    torch.testing.assert_close(refine(RefinerWeights(levels), tokens), refine(refiner, tokens))


@pytest.mark.parametrize("mode", ["bilinear", "area"])
@pytest.mark.parametrize("refinement", ["sparse", "dense"])
def test_refine_and_pool_equals_the_modules(
    in_form, make_masks, make_refiner, tokens, mode, refinement
) -> None:
    refiner = make_refiner(CHANNELS)
    masks = [in_form(make_masks(4, (70, 90))), []]
    grid = as_modules(refiner)(tokens.mT.unflatten(2, (4, 4)))
    expected = pool_masks(grid, masks, mode)
    pooled, counts = refine_and_pool(refiner, tokens, masks, mode, refinement=refinement)
    assert counts == expected.counts == [4, 0]
    torch.testing.assert_close(pooled, expected.features, atol=1e-4, rtol=1e-4)


def test_one_pixel_is_the_feature_of_its_cell(make_refiner, tokens) -> None:
    refiner = make_refiner(CHANNELS)
    mask = np.zeros((1, 160, 160), bool)
    mask[0, 52, 79] = True
    pooled = refine_and_pool(refiner, tokens, [mask, []], "area").features[0]
    cell = refine(refiner, tokens)[0, 10 * 32 + 15]
    torch.testing.assert_close(pooled, cell, atol=1e-4, rtol=1e-4)


def test_several_images_keep_their_masks_apart(make_masks, make_refiner, tokens) -> None:
    refiner = make_refiner(CHANNELS)
    masks = [make_masks(3, (70, 90)), make_masks(2, (40, 40), seed=5)]
    together = refine_and_pool(refiner, tokens, masks).features
    alone = [
        refine_and_pool(refiner, tokens[i : i + 1], masks[i : i + 1]).features for i in range(2)
    ]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-5, rtol=1e-5)


def test_each_needed_cell_is_computed_once_and_no_other() -> None:
    used = np.random.default_rng(0).random((2, 32, 32)) < 0.1
    plan = plan_cells(used, 3)
    found = np.zeros((2, 32 * 32), dtype=int)
    np.add.at(found, (plan.images, plan.cells), 1)
    assert np.array_equal(found.reshape(used.shape), used.astype(int))
    needed = [used.reshape(2, 32 >> n, 1 << n, 32 >> n, 1 << n).any(axis=(2, 4)) for n in range(4)]
    computed = [rows.size for rows in plan.parents]
    assert computed == [sum(counts) for counts in plan.counts]
    assert computed == [cells.sum() for cells in needed[2::-1]]
    assert np.array_equal(np.unique(plan.parents[0]), np.flatnonzero(needed[3]))


@pytest.mark.parametrize("refinement", ["sparse", "dense"])
def test_gradients_reach_tokens_and_every_weight(make_refiner, refinement) -> None:
    refiner = make_refiner(2, torch.float64)
    tokens = torch.randn(2, 4, 2, dtype=torch.float64, requires_grad=True)
    masks = [np.zeros((2, 16, 16), bool), np.zeros((1, 16, 16), bool)]
    masks[0][0, :9, 7:9] = masks[0][1, 5:8, 6:12] = masks[1][0, 1, 1:3] = True
    names = ("weight", "bias", "norm_weight", "norm_bias")
    parameters = [getattr(level, name) for level in refiner.levels for name in names]

    def pooled(tokens: torch.Tensor, *parameters: torch.Tensor) -> torch.Tensor:
        of_levels = [parameters[i : i + 4] for i in range(0, 12, 4)]
        levels = [LevelWeights(w, b, norm_w, norm_b) for w, b, norm_w, norm_b in of_levels]
        weights = RefinerWeights(tuple(levels))
        return refine_and_pool(weights, tokens, masks, refinement=refinement).features

    differentiable = [p for p in parameters if p is not None]
    assert len(differentiable) == 10
    assert torch.autograd.gradcheck(pooled, (tokens, *parameters))


def test_sparse_and_dense_gradients_agree(make_masks, make_refiner, tokens) -> None:
    gradients = []
    for refinement in ("sparse", "dense"):
        refiner, inputs = make_refiner(CHANNELS), tokens.clone().requires_grad_()
        masks = [make_masks(2, (64, 64)), make_masks(1, (64, 64), seed=3)]
        refine_and_pool(
            refiner, inputs, masks, refinement=refinement
        ).features.square().sum().backward()
        gradients.append((inputs.grad, refiner.levels[0].weight.grad, refiner.levels[2].bias.grad))
    for sparse, dense in zip(*gradients, strict=True):
        torch.testing.assert_close(sparse, dense, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("refinement", ["sparse", "dense"])
def test_empty_masks(make_refiner, tokens, refinement) -> None:
    refiner = make_refiner(CHANNELS)
    masks = [np.zeros((2, 40, 40), bool), np.ones((1, 40, 40), bool)]
    masks[0][0, 3:30] = True
    with pytest.raises(SpatialError, match="mask 1 of image 0 has no weight in any pixel"):
        refine_and_pool(refiner, tokens, masks, refinement=refinement)
    nothing = [np.zeros((1, 40, 40), bool)] * 2
    zeros = refine_and_pool(refiner, tokens, nothing, empty="zero", refinement=refinement)
    assert torch.equal(zeros.features, torch.zeros(2, CHANNELS))
    assert refine_and_pool(refiner, tokens, [[], []], refinement=refinement).features.shape == (
        (0, CHANNELS)
    )


def test_half_precision_and_autocast(make_masks, make_refiner, tokens) -> None:
    masks = [make_masks(2, (64, 64)), []]
    expected = refine_and_pool(make_refiner(CHANNELS), tokens, masks).features
    half = refine_and_pool(
        make_refiner(CHANNELS, torch.bfloat16), tokens.to(torch.bfloat16), masks
    ).features
    with torch.autocast("cpu", torch.bfloat16):
        mixed = refine_and_pool(make_refiner(CHANNELS), tokens, masks).features
    assert (half.dtype, mixed.dtype) == (torch.bfloat16, torch.float32)
    for pooled in (half.float(), mixed):
        assert (pooled - expected).norm() < 0.03 * expected.norm()


@pytest.mark.filterwarnings("error")
@torch.no_grad()
def test_compiled_callers(make_masks, make_refiner, tokens) -> None:
    refiner = make_refiner(CHANNELS)

    def caller(tokens: torch.Tensor, masks: list) -> torch.Tensor:
        return 3 * refine_and_pool(refiner, tokens + 1, masks).features

    compiled = torch.compile(caller, backend="eager")
    for masks in (
        [make_masks(2, (30, 40)), []],
        [[], list(map(encode_rle, make_masks(3, (9, 9))))],
    ):
        torch.testing.assert_close(compiled(tokens, masks), caller(tokens, masks))


def test_wrong_arguments(make_refiner, tokens) -> None:
    refiner = make_refiner(CHANNELS)
    masks = [np.ones((1, 8, 8), bool)] * 2
    with pytest.raises(ValueError, match=r"tokens must be \(B, T, 12\), got \(2, 16, 11\)"):
        refine_and_pool(refiner, tokens[..., :11], masks)
    with pytest.raises(ValueError, match="15 tokens do not fill a square grid"):
        refine(refiner, tokens[:, :15])
    with pytest.raises(ValueError, match=r"refinement must be one of .* got 'some'"):
        refine_and_pool(refiner, tokens, masks, refinement="some")  # type: ignore[arg-type]
    with pytest.raises(SpatialError, match="expected masks of 2 images"):
        refine_and_pool(refiner, tokens, masks[:1])


def test_refiner_weights_are_checked() -> None:
    weight = torch.zeros(3, 4, 2, 2)
    with pytest.raises(ValueError, match=r"must be \(C in, C out, 2, 2\), got \(3, 4, 3, 3\)"):
        LevelWeights(torch.zeros(3, 4, 3, 3))
    with pytest.raises(ValueError, match=r"norm_bias .* must be \(4,\), got \(3,\)"):
        LevelWeights(weight, None, torch.zeros(4), torch.zeros(3))
    with pytest.raises(ValueError, match="gives 4 channels, the next expects 3"):
        RefinerWeights((LevelWeights(weight), LevelWeights(weight)))
    with pytest.raises(ValueError, match="at least one level"):
        RefinerWeights(())
