"""The Triton path against the plain reference, on a GPU or under Triton's interpreter."""

from __future__ import annotations

import os

import numpy as np
import pytest
import torch

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.kernels import mask_weights, pool_masks, reference, refine_and_pool
from smolrgpt_core.kernels.backends import uses_triton
from smolrgpt_core.regions import encode_rle

DEVICE = torch.device("cpu" if os.environ.get("TRITON_INTERPRET") == "1" else "cuda")
PLAIN = {"bilinear": reference.bilinear_weights, "area": reference.area_weights}

# Cells of a partial block, more pixels per cell than a block, fewer pixels than cells, odd sizes.
SIZES = [((36, 64), (8, 9)), ((40, 150), (2, 3)), ((5, 3), (8, 8)), ((33, 7), (5, 6))]


def plain_pooling(features, masks: list[torch.Tensor], mode: str) -> torch.Tensor:
    """Features (B, C, H, W) in float64."""
    pooled = []
    for image, stack in zip(features, masks, strict=True):
        weights = PLAIN[mode](stack, image.shape[1:]).flatten(1).to(image.dtype)
        pooled.append(reference.weighted_mean(image.flatten(1).T, weights))
    return torch.cat(pooled)


@pytest.fixture
def masks(make_masks) -> list[torch.Tensor]:
    stacks = [make_masks(2, (24, 40)), make_masks(1, (17, 9), seed=2)]
    return [torch.from_numpy(stack).to(DEVICE) for stack in stacks]


def test_this_path_is_chosen_by_device() -> None:
    assert uses_triton(DEVICE)
    assert not uses_triton(torch.device("meta"))


@pytest.mark.parametrize("mode", PLAIN)
@pytest.mark.parametrize(("size", "grid"), SIZES)
def test_weights(make_masks, size, grid, mode) -> None:
    stack = torch.from_numpy(make_masks(2, size)).to(DEVICE)
    soft = torch.rand(2, *size, generator=torch.Generator().manual_seed(0)).to(DEVICE)
    for bitmaps in (stack, stack.byte() * 255, stack.long() * -3, soft, soft.to(torch.bfloat16)):
        (weights,) = mask_weights([bitmaps], grid, mode)
        assert weights.device.type == DEVICE.type
        torch.testing.assert_close(weights, PLAIN[mode](bitmaps, grid), atol=2e-6, rtol=0)


def test_strided_masks(make_masks) -> None:
    stack = torch.from_numpy(make_masks(4, (24, 40))).to(DEVICE)
    for view in (stack[::2], stack.mT, stack[:, ::2, 1:]):
        (weights,) = mask_weights([view], (8, 8), "area")
        torch.testing.assert_close(weights, reference.area_weights(view, (8, 8)))


@pytest.mark.parametrize("mode", PLAIN)
@pytest.mark.parametrize("layout", ["channels first", "channels last"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_pooling_and_its_gradient(masks, mode, layout, dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    grid = torch.randn(2, 70, 9, 8, generator=generator, dtype=torch.float64).to(DEVICE, dtype)
    wide = grid.double().clone().requires_grad_()
    expected = plain_pooling(wide, masks, mode)
    features = grid if layout == "channels first" else grid.flatten(2).mT.contiguous()
    features.requires_grad_()
    pooled, counts = pool_masks(features, masks, mode, grid_size=(9, 8))
    assert (counts, pooled.dtype) == ([2, 1], dtype)
    tolerance = {torch.float64: 1e-6, torch.float32: 1e-5, torch.float16: 2e-3}.get(dtype, 2e-2)
    torch.testing.assert_close(pooled.double(), expected, atol=tolerance, rtol=tolerance)
    slope = torch.randn(expected.shape, generator=generator, dtype=torch.float64).to(DEVICE)
    pooled.backward(slope.to(dtype))
    expected.backward(slope)
    found = features.grad if layout == "channels first" else features.grad.mT.unflatten(2, (9, 8))
    torch.testing.assert_close(found.double(), wide.grad, atol=tolerance, rtol=tolerance)


@pytest.mark.parametrize("mode", PLAIN)
def test_gradcheck(make_masks, mode) -> None:
    masks = [torch.from_numpy(make_masks(count, (5, 4))).to(DEVICE) for count in (2, 1)]
    features = torch.randn(2, 2, 2, 3, dtype=torch.float64, device=DEVICE, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda features: pool_masks(features, masks, mode).features, (features,), fast_mode=True
    )


def test_same_result_in_every_run(masks) -> None:
    features = torch.randn(2, 20, 16, 16, device=DEVICE)
    first = pool_masks(features, masks).features
    assert all(torch.equal(pool_masks(features, masks).features, first) for _ in range(3))


def test_masks_in_forms_of_the_cpu(masks) -> None:
    features = torch.randn(2, 20, 8, 8, device=DEVICE)
    coded = [[encode_rle(mask) for mask in stack.cpu().numpy()] for stack in masks]
    expected = pool_masks(features, masks, "area").features
    torch.testing.assert_close(pool_masks(features, coded, "area").features, expected)
    weights = mask_weights(masks, (8, 8), "area")
    torch.testing.assert_close(pool_masks(features, weights, "area").features, expected)


def test_no_masks_and_empty_masks(masks) -> None:
    features = torch.randn(2, 20, 16, 16, device=DEVICE)
    assert pool_masks(features, [masks[0][:0], []]).features.shape == (0, 20)
    masks[1] = torch.zeros_like(masks[1])
    zeros = pool_masks(features, masks, empty="zero").features
    assert torch.all(zeros[2] == 0)
    assert torch.all(zeros[:2].abs().sum(dim=1) > 0)
    with pytest.raises(SpatialError, match="mask 0 of image 1 has no weight in any pixel"):
        pool_masks(features, masks)
    masks[1] = torch.full(masks[1].shape, torch.nan, device=DEVICE)
    with pytest.raises(SpatialError, match="mask 0 of image 1 holds weights that are not finite"):
        pool_masks(features, masks)


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
    refiner = make_refiner(12, device=DEVICE.type)
    tokens = torch.randn(2, 4, 12, device=DEVICE)
    grid = reference.refine(refiner, tokens, (2, 2))
    expected = plain_pooling(grid.double(), masks, "area").float()
    pooled = refine_and_pool(refiner, tokens, masks, "area", refinement=refinement).features
    torch.testing.assert_close(pooled, expected, atol=1e-3, rtol=1e-3)
