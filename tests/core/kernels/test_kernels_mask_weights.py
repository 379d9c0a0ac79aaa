"""Weights of cells: every form of mask against PyTorch's resizing and against counted pixels."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.kernels.form_weights import Mode
from smolrgpt_core.kernels.masks import LabelImage, MasksOfImage
from smolrgpt_core.kernels.pooling import pool_masks
from smolrgpt_core.kernels.weights import area_weights, bilinear_weights, mask_weights
from smolrgpt_core.regions import Box, Region, RegionSet, encode_rle

SIZES = [((72, 128), (32, 32)), ((37, 53), (8, 8)), ((5, 3), (8, 16)), ((100, 7), (9, 13))]


def released(masks: np.ndarray, grid: tuple[int, int]) -> torch.Tensor:
    """What the released model does with full-size masks."""
    pixels = torch.from_numpy(np.array(masks, dtype=np.float32))
    return functional.interpolate(pixels[:, None], grid, mode="bilinear", align_corners=False)[:, 0]


def counted(masks: np.ndarray, grid: tuple[int, int]) -> torch.Tensor:
    """Coverage by cutting each pixel into so many parts that no part straddles two cells."""
    (rows, columns), (height, width) = grid, masks.shape[1:]
    parts = np.repeat(np.repeat(masks, rows, axis=1), columns, axis=2)
    cells = parts.reshape(len(masks), rows, height, columns, width)
    return torch.from_numpy(cells.mean(axis=(2, 4)).astype(np.float32))


EXPECTED: dict[Mode, Callable[[np.ndarray, tuple[int, int]], torch.Tensor]] = {
    "bilinear": released,
    "area": counted,
}


@pytest.mark.parametrize("mode", EXPECTED)
@pytest.mark.parametrize(("size", "grid"), SIZES)
def test_every_form_gives_the_expected_weights(in_form, make_masks, size, grid, mode) -> None:
    masks = make_masks(4, size)
    (weights,) = mask_weights([in_form(masks)], grid, mode)
    expected = EXPECTED[mode](masks, grid)
    assert weights.dtype == torch.float32
    torch.testing.assert_close(weights, expected, atol=2e-6, rtol=0)
    assert torch.equal(weights != 0, expected != 0)


@pytest.mark.parametrize("mode", EXPECTED)
@pytest.mark.parametrize(("size", "grid"), SIZES)
def test_label_image_gives_the_weights_of_its_masks(size, grid, mode) -> None:
    image = np.random.default_rng(0).integers(0, 6, size).astype(np.uint16)
    image[: size[0] // 2] = 3
    ids = [5, 3, 1, 3]
    masks = np.stack([image == id for id in ids])
    for pixels in (image, torch.from_numpy(image.astype(np.int64))):
        (weights,) = mask_weights([LabelImage(pixels, ids)], grid, mode)
        torch.testing.assert_close(weights, EXPECTED[mode](masks, grid), atol=2e-6, rtol=0)


@pytest.mark.parametrize(("size", "grid"), SIZES)
def test_soft_masks_and_the_reference(size, grid) -> None:
    masks = torch.rand(2, *size, generator=torch.Generator().manual_seed(0))
    plain_weights: dict[Mode, Callable] = {"bilinear": bilinear_weights, "area": area_weights}
    for mode, plain in plain_weights.items():
        expected = EXPECTED[mode](masks.numpy(), grid)
        torch.testing.assert_close(mask_weights([masks], grid, mode)[0], expected)
        torch.testing.assert_close(plain(masks, grid), expected)


@pytest.mark.parametrize("mode", EXPECTED)
def test_coverage_of_a_full_and_an_empty_mask_is_exact(mode) -> None:
    for full, value in ((np.ones((1, 1080, 1917), bool), 1), (np.zeros((1, 1080, 1917), bool), 0)):
        for masks in (full, [encode_rle(full[0])]):
            assert torch.all(mask_weights([masks], (64, 64), mode)[0] == value)


def test_bilinear_loses_a_thin_mask_that_area_keeps() -> None:
    """A pole 20 pixels wide in a full HD image stands between the columns that bilinear reads."""
    pole = np.zeros((1080, 1920), dtype=bool)
    pole[100:1000, 46:66] = True
    rle = encode_rle(pole)
    assert released(pole[None], (64, 64)).sum() == 0
    assert mask_weights([[rle]], mode="bilinear")[0].sum() == 0
    share = mask_weights([[rle]], mode="area")[0].sum() * (1080 / 64) * (1920 / 64)
    assert share.item() == pytest.approx(pole.sum(), rel=1e-6)

    features = torch.randn(1, 4, 64, 64)
    kept = pool_masks(features, [[rle]], "area").features[0]
    inside = features[0, :, 6:59, 1:3]
    assert torch.all((inside.amin(dim=(1, 2)) <= kept) & (kept <= inside.amax(dim=(1, 2))))
    with pytest.raises(
        SpatialError, match=r'mask 0 of image 0 .* bilinear .* mode="area" keeps it'
    ):
        pool_masks(features, [[rle]], "bilinear")


def test_single_pixels_of_a_4k_image_survive_pooling_by_area() -> None:
    generator = np.random.default_rng(0)
    features = torch.randn(1, 3, 64, 64)
    for row, column in generator.integers(0, (2160, 3840), (20, 2)).tolist():
        region = Region.from_box(1, "pallet", Box(column, row, 1, 1))
        pooled = pool_masks(features, [RegionSet((2160, 3840), (region,))], "area").features[0]
        cell = features[0, :, row * 64 // 2160, column * 64 // 3840]
        torch.testing.assert_close(pooled, cell, atol=1e-3, rtol=1e-3)


def test_weights_may_stand_for_masks(make_masks) -> None:
    masks = [make_masks(3, (60, 90)), make_masks(1, (40, 50))]
    for mode in EXPECTED:
        weights = mask_weights(masks, (16, 16), mode)
        for again, weight in zip(mask_weights(weights, (16, 16), mode), weights, strict=True):
            torch.testing.assert_close(again, weight, atol=1e-7, rtol=0)


def test_images_without_masks() -> None:
    none: list[MasksOfImage] = [
        [], np.zeros((0, 5, 6), bool), RegionSet((5, 6)), LabelImage(np.ones((5, 6), int), []),
    ]  # fmt: skip
    for mode in EXPECTED:
        assert [w.shape for w in mask_weights(none, (4, 8), mode)] == [(0, 4, 8)] * 4


def test_regions_without_a_set_need_the_size_of_their_image(make_masks) -> None:
    mask = make_masks(1, (20, 30))[0]
    region = Region.from_bitmap(7, "pallet", mask)
    (weights,) = mask_weights([[region, region]], (8, 8), "area", image_sizes=[(20, 30)])
    torch.testing.assert_close(weights, counted(np.stack([mask, mask]), (8, 8)))
    with pytest.raises(SpatialError, match="give image_sizes or a RegionSet"):
        mask_weights([[region]], (8, 8))
    with pytest.raises(SpatialError, match=r"region 7 leaves the image .*\(10, 30\)"):
        mask_weights([[region]], (8, 8), image_sizes=[(10, 30)])


ONE = np.ones((4, 6), dtype=bool)


@pytest.mark.parametrize(
    ("masks", "message"),
    [
        ([[ONE, np.ones((4, 7), bool)]], r"image 0: expected .*\(4, 6\) .* got \(4, 7\)"),
        ([[encode_rle(ONE)], [encode_rle(ONE), ONE[:3]]], r"image 1: .*\(4, 6\).* got \(3, 6\)"),
        ([ONE], r"image 0: .* got ndarray bool \(4, 6\); write a single mask as mask\[None\]"),
        ([[ONE[None]]], r"image 0: .* got ndarray bool \(1, 4, 6\) as mask 0"),
        ([encode_rle(ONE)], "image 0: .* got dict"),
        (encode_rle(ONE), "expected a list with the masks of each image, got dict"),
        (torch.ones(2, 4, 6), r"expected a list .* got Tensor torch.float32 \(2, 4, 6\)"),
        ([["mask"]], "image 0: .* got str as mask 0"),
        ([[{"size": [4, 6], "counts": [5]}]], "image 0: .*run lengths"),
        ([np.ones((1, 4, 6), complex)], "image 0: bitmaps must be real numbers"),
        ([np.ones((1, 0, 6), bool)], "image 0: bitmaps must be real numbers with pixels"),
        ([torch.full((1, 4, 6), -0.5)], "finite, not negative"),
        ([torch.full((1, 4, 6), torch.nan)], "finite, not negative"),
        ([torch.full((1, 4, 6), torch.inf)], "finite, not negative"),
    ],
)
def test_bad_masks_are_named(masks, message) -> None:
    for mode in EXPECTED:
        with pytest.raises(SpatialError, match=message) as caught:
            mask_weights(masks, (4, 4), mode)
        assert caught.value.status == Status.BAD_INPUT


def test_masks_must_have_the_size_of_their_image() -> None:
    assert len(mask_weights([[ONE]], (4, 4), image_sizes=[(4, 6)])[0]) == 1
    with pytest.raises(SpatialError, match=r"image 0: expected .*\(8, 12\) like the image"):
        mask_weights([[ONE]], (4, 4), image_sizes=[(8, 12)])
    with pytest.raises(SpatialError, match="expected masks of 2 images, got 1"):
        mask_weights([[ONE]], (4, 4), image_sizes=[(4, 6), (4, 6)])


def test_label_images_are_checked() -> None:
    with pytest.raises(SpatialError, match="integer"):
        LabelImage(np.ones((4, 6)), [1])  # type: ignore[arg-type]
    with pytest.raises(SpatialError, match="background"):
        LabelImage(np.ones((4, 6), int), [1, 0])


def test_unknown_mode() -> None:
    with pytest.raises(ValueError, match=r"mode must be one of .* got 'nearest'"):
        mask_weights([[ONE]], (4, 4), "nearest")
