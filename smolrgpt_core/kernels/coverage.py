"""Exact share of each grid cell that a mask covers, from spans of pixels, on the CPU.

A span is a stretch of pixels along one line of the image (a column for COCO run lengths, a row for
bitmaps). The cost depends on the number of spans, not of pixels. All sums are integers below 2^53,
so that a cell without any coverage is exactly 0 and a full one exactly 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.kernels.grid import area_overlaps


class Spans(NamedTuple):
    """Pixels `start` to `stop` (exclusive) of line `line` belong to mask `mask`; int64 (S,) each.

    Spans of one mask must not overlap.
    """

    mask: NDArray[np.int64]
    line: NDArray[np.int64]
    start: NDArray[np.int64]
    stop: NDArray[np.int64]


def split_at_lines(
    start: NDArray[np.int64], stop: NDArray[np.int64], line_length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Cut stretches of flat positions at the ends of lines.

    Args:
        start: int64 (R,), flat positions where stretches begin.
        stop: int64 (R,), where they end (exclusive); an empty stretch gives at most an empty span.
        line_length: positions in a line.

    Returns:
        (source, line, start, stop), int64 (S,) each: the stretch that a span comes from, its line,
        and its positions in that line.
    """
    first = start // line_length
    lines = (stop - 1) // line_length - first + 1
    source = np.repeat(np.arange(start.size), lines)
    line = first[source] + np.arange(source.size) - np.repeat(np.cumsum(lines) - lines, lines)
    begin = np.maximum(start[source] - line * line_length, 0)
    end = np.minimum(stop[source] - line * line_length, line_length)
    return source, line, begin, end


def coverage_of_spans(
    spans: Spans, count: int, image_size: tuple[int, int], grid_size: tuple[int, int]
) -> NDArray[np.float32]:
    """Coverage float32 (count, cells across lines, cells along lines), 0 to 1.

    Args:
        spans: of `count` masks.
        count: number of masks.
        image_size: (number of lines, length of a line) in pixels.
        grid_size: (cells across the lines, cells along a line).
    """
    (lines, length), (across, along) = image_size, grid_size
    overlaps = area_overlaps(lines, across)
    cell = (spans.mask[:, None] * across + overlaps.cells[spans.line]).ravel()
    width = overlaps.lengths[spans.line].ravel()
    repeats = overlaps.cells.shape[1]
    # A span covers what lies behind its start less what lies behind its stop.
    edge = np.concatenate([np.repeat(spans.start, repeats), np.repeat(spans.stop, repeats)])
    width = np.concatenate([width, -width])
    slot = edge * along // length
    # One slot more than cells, for edges at the very end of a line.
    index = np.concatenate([cell, cell]) * (along + 1) + slot
    shape = (count, across, along + 1)
    partial = _sum_at(index, width * ((slot + 1) * length - edge * along), shape)
    opened = _sum_at(index, width, shape)
    whole = (np.cumsum(opened, axis=2) - opened) * length
    return ((partial + whole)[:, :, :along] / (lines * length)).astype(np.float32)


def _sum_at(
    index: NDArray[np.int64], values: NDArray[np.int64], shape: tuple[int, int, int]
) -> NDArray[np.float64]:
    size = shape[0] * shape[1] * shape[2]
    sums = np.bincount(index, weights=values, minlength=size)
    return sums.astype(np.float64, copy=False).reshape(shape)
