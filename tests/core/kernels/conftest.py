"""Masks in every form, and a small refiner with random weights."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from smolrgpt_core.kernels.masks import LabelImage
from smolrgpt_core.kernels.refinement import LevelWeights, RefinerWeights
from smolrgpt_core.regions import Region, RegionSet, encode_rle


def _rles(masks: NDArray[np.bool_]) -> list:
    return [encode_rle(mask) for mask in masks]


def _run_length_lists(masks: NDArray[np.bool_]) -> list:
    """Uncompressed run lengths, some of them zero."""
    encoded = []
    for mask in masks:
        flat = mask.T.reshape(-1)
        edges = np.flatnonzero(np.diff(flat, prepend=False, append=flat[-1])).tolist()
        counts = np.diff([0, *edges, flat.size]).tolist()
        encoded.append({"size": list(mask.shape), "counts": [*counts, 0, 0]})
    return encoded


def _regions(masks: NDArray[np.bool_]) -> RegionSet:
    regions = [Region.from_bitmap(number, "pallet", mask) for number, mask in enumerate(masks)]
    return RegionSet(masks.shape[1:], tuple(regions))


FORMS: dict[str, Callable[[NDArray[np.bool_]], object]] = {
    "bool array": lambda masks: masks,
    "bool tensor": torch.from_numpy,
    "bytes 0 and 255": lambda masks: torch.from_numpy(masks.astype(np.uint8) * 255),
    "integer array": lambda masks: masks.astype(np.int32) * -7,
    "float tensor": lambda masks: torch.from_numpy(masks.astype(np.float32)),
    "bfloat16 tensor": lambda masks: torch.from_numpy(masks).to(torch.bfloat16),
    "columns first": lambda masks: np.asfortranarray(masks),
    "list of arrays": list,
    "run lengths": _rles,
    "run length lists": _run_length_lists,
    "mixed": lambda masks: [masks[0], *_rles(masks[1:2]), *torch.from_numpy(masks[2:])],
    "regions": _regions,
}


@pytest.fixture(params=FORMS)
def in_form(request: pytest.FixtureRequest) -> Callable[[NDArray[np.bool_]], object]:
    """Masks (M, h, w) of one image in one of the forms that the kernels take."""
    return FORMS[request.param]


@pytest.fixture
def make_masks() -> Callable[..., NDArray[np.bool_]]:
    """Blobs, noise and lines: bool (M, h, w)."""

    def make(count: int, size: tuple[int, int], seed: int = 0) -> NDArray[np.bool_]:
        generator = np.random.default_rng(seed)
        rows, columns = np.mgrid[: size[0], : size[1]]
        masks = np.zeros((count, *size), dtype=bool)
        for number, mask in enumerate(masks):
            y, x = generator.uniform(0, size[0]), generator.uniform(0, size[1])
            radius = generator.uniform(0.2, 0.5) * min(size)
            mask |= (rows - y) ** 2 + (columns - x) ** 2 < radius**2
            mask |= generator.random(size) < 0.02 * number
            mask[size[0] // 2] = True
        return masks

    return make


@pytest.fixture
def make_label_image() -> Callable[[NDArray[np.int32], list[int]], LabelImage]:
    return LabelImage


@pytest.fixture
def make_refiner() -> Callable[..., RefinerWeights]:
    """Three levels like the released refiner's, the last without LayerNorm."""

    def make(
        channels: int, dtype: torch.dtype = torch.float32, device: str = "cpu"
    ) -> RefinerWeights:
        generator = torch.Generator().manual_seed(0)

        def draw(*shape: int) -> torch.Tensor:
            values = torch.randn(shape, generator=generator, dtype=torch.float64)
            return values.to(device, dtype).requires_grad_()

        levels = []
        for number in range(3):
            norm = (draw(channels), draw(channels)) if number < 2 else ()
            levels.append(LevelWeights(draw(channels, channels, 2, 2), draw(channels), *norm))
        return RefinerWeights(tuple(levels))

    return make
