#!/usr/bin/env python3
"""Coding a point map some rows of patches at a time, against the whole coded map, at full size.

The baseline is what HiSpatial's code does: all codes of the map, then the convolution. Each is
measured in a process of its own, so that the peak of memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time
from typing import NamedTuple

import torch
from own_process import in_own_process
from performance_page import Table, describe_machine, publish

from smolrgpt_core.model.point_map.code import HISPATIAL
from smolrgpt_core.model.point_map.encoder import PointEncoder, point_codes

WAYS = ("whole map", "rows at a time")


class Measured(NamedTuple):
    """Of one way.

    Attributes:
        seconds: median of a map.
        peak_mb: memory beyond what the process had with the module and the map.
        features: of the map, for the comparison.
    """

    seconds: float
    peak_mb: float
    features: torch.Tensor


def whole_map(encoder: PointEncoder, points: torch.Tensor) -> torch.Tensor:
    """Features (N, h, w, D) as HiSpatial's code computes them: all codes, then the convolution."""
    return encoder.conv(point_codes(points, encoder.code)).permute(0, 2, 3, 1)


def measure(way: str, size: int, patch: int, width: int, repeats: int) -> Measured:
    """Encode one map again and again."""
    torch.manual_seed(0)
    encoder = PointEncoder(HISPATIAL, patch, width)
    points = torch.rand(1, 4, size, size) * 8
    points[:, 3] = (points[:, 3] > 2).float()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seconds = []
    with torch.inference_mode():
        for _ in range(repeats):
            started = time.perf_counter()
            features = encoder(points) if way == WAYS[1] else whole_map(encoder, points)
            seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return Measured(statistics.median(seconds), peak / 1024, features)


def row(size: int, arguments: argparse.Namespace) -> tuple[str, ...]:
    """Both ways with maps of one size, in processes of their own.

    Raises:
        RuntimeError: when they do not give the same features.
    """
    sizes = (size, arguments.patch, arguments.width, arguments.repeats)
    whole, rows = (in_own_process(measure, way, *sizes) for way in WAYS)
    difference = float((whole.features - rows.features).abs().max())
    if difference > 1e-4:
        raise RuntimeError(f"the two ways differ by {difference:.2g}")
    return (
        str(size),
        f"{1000 * whole.seconds:.0f}",
        f"{1000 * rows.seconds:.0f}",
        f"{whole.seconds / rows.seconds:.2f}x",
        f"{whole.peak_mb:.0f}",
        f"{rows.peak_mb:.0f}",
        f"{whole.peak_mb / max(rows.peak_mb, 0.1):.1f}x",
    )


def main(argv: list[str] | None = None) -> None:
    """Measure, print, and write the section of the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[224, 448], help="sides in pixels")
    parser.add_argument("--patch", type=int, default=14, help="side of a patch in pixels")
    parser.add_argument("--width", type=int, default=1152, help="features of a patch")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md")
    arguments = parser.parse_args(argv)
    table = Table(
        f"Coding a point map, patches of {arguments.patch} pixels, {arguments.width} features",
        (
            "side, pixels",
            "whole map, ms",
            "rows at a time, ms",
            "ratio",
            "whole, MB",
            "rows, MB",
            "ratio",
        ),
        tuple(row(size, arguments) for size in arguments.sizes),
        "Memory is the peak beyond module and map.",
    )
    machine = describe_machine()
    publish("Point maps", machine, [table], arguments.write_docs)


if __name__ == "__main__":
    main()
