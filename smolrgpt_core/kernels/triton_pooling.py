"""Mask resizing and pooling in one Triton kernel, and its gradient.

One program takes one mask and one block of cells: it works out the cells' weights straight from the
bitmap, keeps them for the backward pass, and, only if any is not zero, reads those cells' features
and writes their weighted sum. The sums of the blocks are then added in fixed order, so that results
do not change from run to run. Bitmaps may be bool, integer or float; nothing of their size is
written.
"""

# Triton's own conventions: constants in capitals, no annotations on the rest.
# ruff: noqa: N803
# mypy: allow-untyped-defs, allow-incomplete-defs

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from smolrgpt_core.kernels.reference import EPSILON

CELL_BLOCK = 64
"""Cells per program: one row of the released model's grid."""

CHANNEL_BLOCK = 64
"""Channels read at a time."""

PIXEL_BLOCK = 32
"""Columns of a cell's pixels read at a time in `area`."""

GRADIENT_BLOCK = 32
"""Cells and channels per program of the backward pass."""


def weights(masks: Tensor, grid_size: tuple[int, int], mode: str) -> Tensor:
    """Weights float32 (M, H, W) of bitmaps (M, h, w)."""
    no_features = torch.empty(grid_size[0] * grid_size[1], 0, device=masks.device)
    return _launch(no_features, masks, grid_size, mode)[1].unflatten(1, grid_size)


def pool(
    features: Tensor, masks: Tensor, grid_size: tuple[int, int], mode: str
) -> tuple[Tensor, Tensor]:
    """Pool the cells of one image.

    Args:
        features: (H*W, C), any strides.
        masks: bitmaps (M, h, w) on the same device.
        grid_size: (H, W).
        mode: `bilinear` or `area`.

    Returns:
        (means (M, C), weights float32 (M, H*W)); means in float32, or float64 like the features.
    """
    return _Pool.apply(features, masks, grid_size, mode)


class _Pool(torch.autograd.Function):
    """Weighted mean; differentiable with respect to features, not to masks."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, masks: Tensor, grid_size: tuple[int, int], mode: str
    ) -> tuple[Tensor, Tensor]:
        sums, cell_weights = _launch(features, masks, grid_size, mode)
        totals = cell_weights.sum(dim=1, keepdim=True).to(sums.dtype) + EPSILON
        ctx.save_for_backward(cell_weights, totals)
        ctx.feature_type = features.dtype
        ctx.mark_non_differentiable(cell_weights)
        return sums / totals, cell_weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, None, None, None]:
        cell_weights, totals = ctx.saved_tensors
        shares = (gradient / totals).contiguous()
        (count, channels), cells = shares.shape, cell_weights.shape[1]
        result = torch.empty(cells, channels, dtype=ctx.feature_type, device=gradient.device)
        programs = (triton.cdiv(cells, GRADIENT_BLOCK), triton.cdiv(channels, GRADIENT_BLOCK))
        _gradient_kernel[programs](
            cell_weights, shares, result, count, cells, channels, BLOCK=GRADIENT_BLOCK
        )
        return result, None, None, None


def _launch(
    features: Tensor, masks: Tensor, grid_size: tuple[int, int], mode: str
) -> tuple[Tensor, Tensor]:
    """Weighted sums (M, C) of features (H*W, C), and weights (M, H*W)."""
    (cells, channels), count = features.shape, len(masks)
    wide = features.dtype == torch.float64
    blocks = triton.cdiv(cells, CELL_BLOCK)
    partial_sums = torch.empty(
        (count, blocks, channels),
        dtype=torch.float64 if wide else torch.float32,
        device=features.device,
    )
    cell_weights = torch.empty(count, cells, device=features.device)
    if count:
        # Triton has no bool in memory: a bool bitmap is read as the bytes that it is.
        bitmaps = (masks.view(torch.uint8) if masks.dtype == torch.bool else masks).contiguous()
        height, width = masks.shape[1:]
        _pool_kernel[(count, blocks)](
            *(bitmaps, features, cell_weights, partial_sums),
            *(height, width, *grid_size, channels, *features.stride()),
            IS_AREA=mode == "area",
            IS_FLOAT=masks.is_floating_point(),
            WIDE=wide,
            CELLS=CELL_BLOCK,
            CHANNELS=CHANNEL_BLOCK,
            PIXELS=PIXEL_BLOCK,
        )
    return partial_sums.sum(dim=1), cell_weights


@triton.jit
def _pixels(bitmap, offsets, valid, IS_FLOAT: tl.constexpr):
    """Weights of pixels, 0 where not valid."""
    values = tl.load(bitmap + offsets, mask=valid, other=0)
    if not IS_FLOAT:
        values = values != 0
    return values.to(tl.float32)


@triton.jit
def _taps(cell, size, cells):
    """The two pixels of each cell along one axis, and the share of the second."""
    # Not `.to`: Triton passes a size of 1 as a constant, which has no such method.
    centre = (cell.to(tl.float32) + 0.5) * (size * 1.0 / (cells * 1.0)) - 0.5
    source = tl.maximum(centre, 0.0)
    low = tl.minimum(source.to(tl.int32), size - 1)
    return low, tl.minimum(low + 1, size - 1), source - low.to(tl.float32)


@triton.jit
def _bilinear(bitmap, row, column, valid, height, width, rows, columns, IS_FLOAT: tl.constexpr):
    top, bottom, down = _taps(row, height, rows)
    left, right, across = _taps(column, width, columns)
    upper = _pixels(bitmap, top * width + left, valid, IS_FLOAT) * (1 - across)
    upper += _pixels(bitmap, top * width + right, valid, IS_FLOAT) * across
    lower = _pixels(bitmap, bottom * width + left, valid, IS_FLOAT) * (1 - across)
    lower += _pixels(bitmap, bottom * width + right, valid, IS_FLOAT) * across
    return upper * (1 - down) + lower * down


@triton.jit
def _overlap(pixel, cell, size, cells):
    """Length that a pixel and a cell share, in units of 1 / cells pixel."""
    end = tl.minimum((pixel + 1) * cells, (cell + 1) * size)
    return tl.maximum(end - tl.maximum(pixel * cells, cell * size), 0)


@triton.jit
def _area(
    bitmap,
    row,
    column,
    valid,
    height,
    width,
    rows,
    columns,
    IS_FLOAT: tl.constexpr,
    PIXELS: tl.constexpr,
):
    first_y, first_x = row * height // rows, column * width // columns
    covered = tl.zeros(row.shape, dtype=tl.float32)
    for step_y in range(0, height // rows + 2):
        y = first_y + step_y
        share_y = _overlap(y, row, height, rows)
        for step_x in range(0, width // columns + 2, PIXELS):
            x = first_x[:, None] + step_x + tl.arange(0, PIXELS)[None, :]
            share_x = _overlap(x, column[:, None], width, columns)
            inside = valid[:, None] & (share_y[:, None] > 0) & (share_x > 0)
            values = _pixels(bitmap, y[:, None] * width + x, inside, IS_FLOAT)
            covered += share_y.to(tl.float32) * tl.sum(values * share_x.to(tl.float32), axis=1)
    return covered / (height * 1.0 * width)


@triton.jit
def _pool_kernel(
    bitmaps,
    features,
    weights,
    partial_sums,
    height,
    width,
    rows,
    columns,
    channels,
    cell_stride,
    channel_stride,
    IS_AREA: tl.constexpr,
    IS_FLOAT: tl.constexpr,
    WIDE: tl.constexpr,
    CELLS: tl.constexpr,
    CHANNELS: tl.constexpr,
    PIXELS: tl.constexpr,
):
    mask, block = tl.program_id(0), tl.program_id(1)
    cell = block * CELLS + tl.arange(0, CELLS)
    valid = cell < rows * columns
    row, column = cell // columns, cell % columns
    # A batch of bitmaps may hold more than 2^31 pixels.
    bitmap = bitmaps + mask.to(tl.int64) * height * width
    if IS_AREA:
        weight = _area(bitmap, row, column, valid, height, width, rows, columns, IS_FLOAT, PIXELS)
    else:
        weight = _bilinear(bitmap, row, column, valid, height, width, rows, columns, IS_FLOAT)
    weight = tl.where(valid, weight, 0.0)
    tl.store(weights + mask * rows * columns + cell, weight, mask=valid)
    used = weight != 0
    any_used = tl.sum(used.to(tl.int32), axis=0) > 0
    sums = partial_sums + (mask * tl.num_programs(1) + block) * channels
    for start in range(0, channels, CHANNELS):
        channel = start + tl.arange(0, CHANNELS)
        exists = channel < channels
        total = tl.zeros([CHANNELS], dtype=tl.float64 if WIDE else tl.float32)
        if any_used:
            offsets = cell[:, None] * cell_stride + channel[None, :] * channel_stride
            needed = used[:, None] & exists[None, :]
            values = tl.load(features + offsets, mask=needed, other=0.0).to(total.dtype)
            total += tl.sum(values * weight[:, None].to(total.dtype), axis=0)
        tl.store(sums + channel, total, mask=exists)


@triton.jit
def _gradient_kernel(
    weights,
    shares,
    gradient,
    count,
    cells,
    channels,
    BLOCK: tl.constexpr,
):
    """gradient[cell, channel] = sum over masks of weights[mask, cell] * shares[mask, channel]."""
    cell = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    channel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK, BLOCK], dtype=shares.dtype.element_ty)
    for mask in range(0, count):
        weight = tl.load(weights + mask * cells + cell, mask=cell < cells, other=0.0)
        share = tl.load(shares + mask * channels + channel, mask=channel < channels, other=0.0)
        total += weight.to(share.dtype)[:, None] * share[None, :]
    offsets = cell[:, None] * channels + channel[None, :]
    inside = (cell < cells)[:, None] & (channel < channels)[None, :]
    tl.store(gradient + offsets, total.to(gradient.dtype.element_ty), mask=inside)
