"""Pooling: ragged batches against the released formula, empty masks, gradients, types."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.kernels.form_weights import Mode
from smolrgpt_core.kernels.masks import LabelImage, MasksOfImage
from smolrgpt_core.kernels.pooling import pool_masks
from smolrgpt_core.kernels.weights import mask_weights
from smolrgpt_core.regions import Region, RegionSet, encode_rle

GRID = (16, 16)


def released_pooling(features: torch.Tensor, masks: list[np.ndarray]) -> torch.Tensor:
    """Features (B, C, H, W) under masks (M_i, h, w), as the released model computes it."""
    pooled = []
    for image, image_masks in zip(features, masks, strict=True):
        pixels = torch.from_numpy(image_masks).float()[:, None]
        weights = functional.interpolate(pixels, image.shape[1:], mode="bilinear")
        total = weights.sum(dim=(2, 3)) + 1e-8
        pooled.append((image * weights.to(image)).sum(dim=(2, 3)) / total.to(image))
    return torch.cat(pooled)


@pytest.fixture
def batch(make_masks) -> tuple[torch.Tensor, list[np.ndarray]]:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(3, 10, *GRID, generator=generator)
    return features, [make_masks(3, (60, 90)), make_masks(0, (1, 1)), make_masks(2, (33, 20), 1)]


@pytest.mark.parametrize("layout", ["channels first", "channels last"])
def test_ragged_batch_equals_the_released_formula(batch, layout) -> None:
    features, masks = batch
    given = features if layout == "channels first" else features.flatten(2).mT.contiguous()
    pooled, counts = pool_masks(given, [list(masks[0]), [], [encode_rle(m) for m in masks[2]]])
    assert counts == [3, 0, 2]
    torch.testing.assert_close(pooled, released_pooling(features, masks), atol=1e-5, rtol=1e-5)


def test_a_small_mask_reads_only_its_cells() -> None:
    """What is not a number elsewhere in the grid must not reach the result."""
    features = torch.full((1, 256, 4), torch.nan)
    features[0, 17] = torch.arange(4.0)
    mask = np.zeros((1, *GRID), dtype=bool)
    mask[0, 1, 1] = True
    torch.testing.assert_close(pool_masks(features, [mask]).features[0], torch.arange(4.0))


def test_grid_that_is_no_square(make_masks) -> None:
    features = torch.randn(1, 5, 4, 8)
    masks = make_masks(2, (40, 30))
    expected = released_pooling(features, [masks])
    rows = features.flatten(2).mT
    pooled = pool_masks(rows, [masks], grid_size=(4, 8)).features
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_single(batch, dtype) -> None:
    features, masks = batch
    pooled = pool_masks(features.to(dtype), masks).features
    assert pooled.dtype == dtype
    expected = released_pooling(features.to(dtype).float(), masks).to(dtype)
    torch.testing.assert_close(pooled, expected, atol=1e-3, rtol=2**-7)


def test_sums_may_exceed_the_range_of_the_features() -> None:
    """Half precision ends at 65504."""
    features = torch.full((1, 4096, 2), 20.0, dtype=torch.float16)
    assert torch.all(pool_masks(features, [np.ones((1, 9, 9), bool)]).features == 20)


def test_autocast_leaves_the_sums_in_single(batch) -> None:
    features, masks = batch
    with torch.autocast("cpu", torch.bfloat16):
        pooled = pool_masks(features, masks).features
    torch.testing.assert_close(pooled, released_pooling(features, masks), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("mode", ["bilinear", "area"])
@pytest.mark.parametrize("layout", ["channels first", "channels last"])
@pytest.mark.parametrize("small", [True, False])
def test_gradients(mode, layout, small) -> None:
    masks = [np.zeros((2, 9, 7), bool), np.zeros((1, 5, 6), bool)]
    masks[0][0, 2:4, 1:3] = masks[0][1, 3:5, 2:6] = masks[1][0, 1, :] = True
    if not small:
        masks[0][:, :7] = True
    shape = (2, 3, 4, 4) if layout == "channels first" else (2, 16, 3)
    features = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    masks[0][1] &= small  # an empty mask, which has no gradient
    assert torch.autograd.gradcheck(
        lambda features: pool_masks(features, masks, mode, "zero").features, (features,)
    )


def test_empty_mask_is_an_error_that_names_it() -> None:
    features = torch.randn(2, 4, *GRID)
    full, empty = np.ones((30, 30), bool), np.zeros((30, 30), bool)
    masks: list[MasksOfImage] = [[full], [encode_rle(full), encode_rle(empty)]]
    modes: tuple[Mode, ...] = ("bilinear", "area")
    for mode in modes:
        with pytest.raises(SpatialError, match="mask 1 of image 1 has no weight in any pixel"):
            pool_masks(features, masks, mode)
    with pytest.raises(SpatialError, match=r"mask 0 \(id 9\) of image 1 has no weight"):
        pool_masks(features, [[full], LabelImage(full.astype(int), [9])])


def test_a_lost_region_is_called_by_its_name() -> None:
    mask = np.zeros((480, 640), bool)
    mask[8, 20] = True
    regions = RegionSet(mask.shape, (Region.from_bitmap(7, "pallet", mask),))
    with pytest.raises(SpatialError, match=r'mask 0 \(pallet 7\) of image 0 .* mode="area" keeps'):
        pool_masks(torch.randn(1, 4, 64, 64), [regions])


def test_empty_masks_give_what_the_caller_asks_for(batch) -> None:
    features, masks = batch
    masks[1] = np.zeros((2, 8, 8), bool)
    expected = released_pooling(features, masks)
    zero = pool_masks(features, masks, empty="zero").features
    torch.testing.assert_close(zero, expected, atol=1e-5, rtol=1e-5)
    assert torch.all(zero[3:5] == 0)


def test_weights_computed_once_serve_several_feature_maps(batch) -> None:
    features, masks = batch
    for mode in ("bilinear", "area"):
        weights = mask_weights(masks, GRID, mode)
        for scale in (1, -3):
            shared = pool_masks(scale * features, weights, mode).features
            torch.testing.assert_close(shared, pool_masks(scale * features, masks, mode).features)


def test_wrong_arguments(batch) -> None:
    features, masks = batch
    with pytest.raises(SpatialError, match="expected masks of 3 images like the features, got 2"):
        pool_masks(features, masks[:2])
    with pytest.raises(ValueError, match=r"features must be .* got \(16, 16\)"):
        pool_masks(features[0, 0], masks[:1])
    with pytest.raises(ValueError, match=r"\(3, 255, 10\) do not fill a grid"):
        pool_masks(features.flatten(2).mT[:, :255], masks)
    with pytest.raises(ValueError, match="differs from features"):
        pool_masks(features, masks, grid_size=(4, 64))
    with pytest.raises(ValueError, match=r"empty must be one of \('error', 'zero'\), got 'skip'"):
        pool_masks(features, masks, empty="skip")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="mode must be one of"):
        pool_masks(features, masks, "nearest")  # type: ignore[arg-type]
