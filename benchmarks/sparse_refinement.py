#!/usr/bin/env python3
"""Refining and pooling only the cells under masks, against refining the whole grid, at full size.

The baseline is what the released model does: three transposed convolutions over the whole grid,
then the weighted mean of all cells. Masks are resized beforehand, for all alike.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from numpy.typing import NDArray
from performance_page import Table, describe_machine, median_ms, publish
from torch.nn import functional

from smolrgpt_core.kernels.pooling import weighted_mean
from smolrgpt_core.kernels.refinement import LevelWeights, RefinerWeights, refine_and_pool
from smolrgpt_core.kernels.weights import mask_weights

TOKEN_GRID = (8, 8)
GRID = (64, 64)
SCALE = 16
"""Pixels per cell of the masks."""

RELATIVE_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05}


def make_refiner(channels: int, seed: int, dtype: torch.dtype) -> RefinerWeights:
    """Random weights of the released size, in the memory order that the model keeps."""
    torch.manual_seed(seed)
    levels = []
    for has_norm in (True, True, False):
        weight = torch.randn(channels, channels, 2, 2) / channels**0.5
        norm = (torch.ones(channels), torch.zeros(channels)) if has_norm else ()
        values = (weight.contiguous(memory_format=torch.channels_last), torch.zeros(channels))
        levels.append(LevelWeights(*(value.to(dtype) for value in (*values, *norm))))
    return RefinerWeights(tuple(levels))


def refine_by_convolutions(refiner: RefinerWeights, tokens: torch.Tensor) -> torch.Tensor:
    """Feature grid (B, C out, H, W) of tokens (B, T, C), row by row, as the released model does."""
    grid = tokens.transpose(1, 2).unflatten(2, TOKEN_GRID)
    for level in refiner.levels:
        grid = functional.conv_transpose2d(grid, level.weight, level.bias, stride=2)
        if level.norm_weight is not None:
            scale, epsilon = level.norm_weight, level.norm_epsilon
            last = grid.movedim(1, -1)
            last = functional.layer_norm(last, scale.shape, scale, level.norm_bias, epsilon)
            grid = last.movedim(-1, 1)
        grid = functional.gelu(grid)
    return grid


def _moved(value: torch.Tensor | None, device: torch.device) -> torch.Tensor | None:
    return None if value is None else value.to(device)


def move(refiner: RefinerWeights, device: torch.device, for_convolutions: bool) -> RefinerWeights:
    """The weights on a device, in the memory order that convolutions or the kernels read."""
    order = torch.contiguous_format if for_convolutions else torch.channels_last
    levels = [
        LevelWeights(
            level.weight.to(device).contiguous(memory_format=order),
            _moved(level.bias, device),
            _moved(level.norm_weight, device),
            _moved(level.norm_bias, device),
        )
        for level in refiner.levels
    ]
    return RefinerWeights(tuple(levels))


def make_masks(fraction: float, count: int, seed: int) -> NDArray[np.bool_]:
    """Ellipses (count, h, w) that together touch about this fraction of the cells."""
    generator = np.random.default_rng(seed)
    size = (GRID[0] * SCALE, GRID[1] * SCALE)
    rows, columns = np.mgrid[: size[0], : size[1]]
    centers = generator.uniform(0, 1, (count, 2)) * size
    radii = generator.uniform(0.5, 1.5, (count, 2))

    def draw(radius: float) -> NDArray[np.bool_]:
        distances = [
            ((rows - y) / height) ** 2 + ((columns - x) / width) ** 2
            for (y, x), (height, width) in zip(centers, radii, strict=True)
        ]
        return np.stack(distances) < radius**2

    low, high = 0.0, float(max(size))
    for _ in range(20):
        middle = (low + high) / 2
        low, high = (middle, high) if coverage(draw(middle)) < fraction else (low, middle)
    return draw(high)


def coverage(masks: NDArray[np.bool_]) -> float:
    """Fraction of the grid's cells that any mask gives weight."""
    return float(mask_weights([masks], GRID)[0].any(dim=0).float().mean())


def row(
    refiner: RefinerWeights, fraction: float, arguments: argparse.Namespace, device: torch.device
) -> tuple[str, ...]:
    """One coverage: the two dense ways and the sparse one, checked against each other."""
    masks = make_masks(fraction, arguments.masks, arguments.seed)
    channels, dtype = refiner.levels[0].weight.shape[0], refiner.levels[0].weight.dtype
    tokens = torch.randn(1, 64, channels).to(device, dtype)
    weights = [image.to(device) for image in mask_weights([masks], GRID)]
    flat = weights[0].flatten(1)
    convolutions, ours = move(refiner, device, True), move(refiner, device, False)

    def released() -> torch.Tensor:
        grid = refine_by_convolutions(convolutions, tokens)
        return weighted_mean(grid[0].flatten(1).T.float(), flat).to(dtype)

    cases = {
        "released": released,
        "dense": lambda: refine_and_pool(ours, tokens, weights, refinement="dense").features,
        "sparse": lambda: refine_and_pool(ours, tokens, weights, refinement="sparse").features,
    }
    expected = released().float()
    for name, case in cases.items():
        error = float((case().float() - expected).norm() / expected.norm())
        if not error < RELATIVE_TOLERANCE[dtype]:
            raise SystemExit(f"{name} differs from the baseline by {error}")
    times = median_ms(cases, arguments.repeats, device)
    ratios = (times["released"] / times["sparse"], times["dense"] / times["sparse"])
    milliseconds = (f"{time:.1f}" for time in times.values())
    return (f"{coverage(masks):.1%}", *milliseconds, *(f"{ratio:.1f}x" for ratio in ratios))


def table(arguments: argparse.Namespace, device: torch.device, dtype: torch.dtype) -> Table:
    """All coverages on one device, in one type."""
    refiner = make_refiner(arguments.channels, arguments.seed, dtype)
    rows = tuple(row(refiner, fraction, arguments, device) for fraction in arguments.coverage)
    columns = ("cells under masks", "released, ms", "dense, ms", "sparse, ms")
    return Table(
        f"Refine and pool on {device.type}, {str(dtype).removeprefix('torch.')}",
        (*columns, "ratio to released", "ratio to dense"),
        rows,
        f"{arguments.masks} masks on one image, {arguments.channels} channels, one modality. "
        "Released: transposed convolutions and a weighted mean over the whole grid. Dense: "
        "the kernels with the whole grid.",
    )


def main() -> None:
    """Measure on the CPU, and on a GPU where there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--coverage", type=float, nargs="+", default=(0.05, 0.2, 0.5))
    parser.add_argument("--masks", type=int, default=8)
    parser.add_argument("--channels", type=int, default=960)
    parser.add_argument("--dtype", nargs="+", choices=("float32", "bfloat16"), default=("float32",))
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    arguments = parser.parse_args()
    devices = [torch.device("cpu")]
    if torch.cuda.is_available():
        devices.append(torch.device("cuda"))
    with torch.inference_mode():
        tables = [
            table(arguments, device, getattr(torch, dtype))
            for device in devices
            for dtype in arguments.dtype
        ]
    publish("Sparse refinement", describe_machine(devices), tables, arguments.write_docs)


if __name__ == "__main__":
    main()
