"""Masks and features on a GPU give what they give on the CPU, whose path is another."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.kernels.pooling import pool_masks
from smolrgpt_core.kernels.refinement import refine_and_pool
from smolrgpt_core.kernels.weights import mask_weights
from smolrgpt_core.regions import encode_rle

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")

DEVICE = torch.device("cuda")
MODES = ["bilinear", "area"]

# More pixels per cell than one, fewer pixels than cells, odd sizes.
SIZES = [((36, 64), (8, 9)), ((40, 150), (2, 3)), ((5, 3), (8, 8)), ((33, 7), (5, 6))]


@pytest.fixture
def masks(make_masks) -> list[torch.Tensor]:
    return [torch.from_numpy(make_masks(2, (24, 40))), torch.from_numpy(make_masks(1, (17, 9), 2))]


def on_gpu(masks: list[torch.Tensor]) -> list[torch.Tensor]:
    return [stack.to(DEVICE) for stack in masks]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("size", "grid"), SIZES)
def test_weights(make_masks, size, grid, mode) -> None:
    stack = torch.from_numpy(make_masks(4, size))
    soft = torch.rand(2, *size, generator=torch.Generator().manual_seed(0))
    for bitmaps in (stack, stack.byte() * 255, stack.long() * -3, soft, stack[::2], stack.mT):
        (weights,) = mask_weights([bitmaps.to(DEVICE)], grid, mode)
        (expected,) = mask_weights([bitmaps], grid, mode)
        assert weights.device.type == DEVICE.type
        torch.testing.assert_close(weights.cpu(), expected, atol=2e-6, rtol=0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_pooling_and_its_gradient(masks, mode, dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    cells = torch.randn(2, 72, 70, generator=generator, dtype=torch.float64).to(dtype)
    wide, features = cells.double().requires_grad_(), cells.to(DEVICE).requires_grad_()
    expected = pool_masks(wide, masks, mode, grid_size=(9, 8)).features
    pooled, counts = pool_masks(features, on_gpu(masks), mode, grid_size=(9, 8))
    assert (counts, pooled.dtype) == ([2, 1], dtype)
    tolerance = {torch.float64: 1e-6, torch.float32: 1e-5, torch.float16: 2e-3}.get(dtype, 2e-2)
    close: dict[str, Any] = {"atol": tolerance, "rtol": tolerance}
    torch.testing.assert_close(pooled.cpu().double(), expected, **close)
    slope = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    pooled.backward(slope.to(DEVICE, dtype))
    expected.backward(slope)
    assert features.grad is not None
    torch.testing.assert_close(features.grad.cpu().double(), wide.grad, **close)


def test_same_result_in_every_run(masks) -> None:
    features = torch.randn(2, 20, 16, 16, device=DEVICE)
    first = pool_masks(features, on_gpu(masks)).features
    assert all(torch.equal(pool_masks(features, on_gpu(masks)).features, first) for _ in range(3))


def test_masks_in_forms_of_the_cpu(masks) -> None:
    features = torch.randn(2, 20, 8, 8, device=DEVICE)
    coded = [[encode_rle(mask) for mask in stack.numpy()] for stack in masks]
    expected = pool_masks(features, on_gpu(masks), "area").features
    torch.testing.assert_close(pool_masks(features, coded, "area").features, expected)
    weights = mask_weights(on_gpu(masks), (8, 8), "area")
    torch.testing.assert_close(pool_masks(features, weights, "area").features, expected)


def test_no_masks_and_empty_masks(masks) -> None:
    features = torch.randn(2, 20, 16, 16, device=DEVICE)
    given = on_gpu(masks)
    assert pool_masks(features, [given[0][:0], []]).features.shape == (0, 20)
    given[1] = torch.zeros_like(given[1])
    zeros = pool_masks(features, given, empty="zero").features
    assert torch.all(zeros[2] == 0)
    assert torch.all(zeros[:2].abs().sum(dim=1) > 0)
    with pytest.raises(SpatialError, match="mask 0 of image 1 has no weight in any pixel"):
        pool_masks(features, given)
    given[1] = torch.full(given[1].shape, torch.nan, device=DEVICE)
    with pytest.raises(SpatialError, match="mask 0 of image 1 holds weights that are not finite"):
        pool_masks(features, given)


def test_a_thin_mask_is_lost_by_bilinear_only() -> None:
    pole = np.zeros((1, 16, 120), dtype=bool)
    pole[0, 2:14, 17:42] = True
    stack = torch.from_numpy(pole).to(DEVICE)
    features = torch.randn(1, 4, 4, 4, device=DEVICE)
    with pytest.raises(SpatialError, match='mode="area" keeps it'):
        pool_masks(features, [stack], "bilinear")
    assert torch.all(pool_masks(features, [stack], "area").features != 0)


@pytest.mark.parametrize("refinement", ["sparse", "dense"])
def test_refinement(make_refiner, masks, refinement) -> None:
    tokens = torch.randn(2, 4, 12)
    found = refine_and_pool(
        make_refiner(12, device="cuda"),
        tokens.to(DEVICE),
        on_gpu(masks),
        "area",
        "error",
        refinement,
    ).features
    expected = refine_and_pool(
        make_refiner(12), tokens, masks, "area", "error", refinement
    ).features
    torch.testing.assert_close(found.cpu(), expected, atol=1e-3, rtol=1e-3)
