#!/usr/bin/env python3
"""How the time of an answer grows: with regions of a frame, questions together, and pixels.

Without ROS, as the node answers by default (`fused`) and by geometry alone. Frames are simulated,
with sensor noise; where they have fewer regions than asked for, these are cut into tiles. All times
are processor time of all threads.

    python benchmarks/scale.py --write-docs
    python benchmarks/scale.py --exported nano-onnx --write-docs
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import permutations

import numpy as np
from nano_path_worker import locate_all, timed
from performance_page import Table, describe_machine, publish

from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.asking import AskedQuestion, ask, ask_batch
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.sim import SensorNoise, WarehouseRenderer, apply_sensor_noise, build_scene

VERTICAL_FOV_DEG = 60.0

ASKED_ABOUT = 9
"""Largest objects, whose distances from each other are asked for."""


def render(size: tuple[int, int], seed: int) -> RGBDFrame:
    """A frame of (width, height) with noise; the first pose that shows four objects."""
    scene, camera = build_scene(seed), CameraIntrinsics.from_vertical_fov(*size, VERTICAL_FOV_DEG)
    with WarehouseRenderer(scene, camera) as renderer:
        for pose in scene.camera_poses(8):
            seen = renderer.render(pose).frame
            if len(objects_of(seen)) >= 4:
                return apply_sensor_noise(seen, SensorNoise(), np.random.default_rng(seed))
    raise SystemExit(f"scene {seed} shows no four objects; take another --seed")


def objects_of(frame: RGBDFrame) -> list[Region]:
    """What is no painted zone, the largest first."""
    objects = [region for region in frame.regions if region.label != "buffer"]
    return sorted(objects, key=lambda region: -region.area)


def with_regions(frame: RGBDFrame, count: int) -> RGBDFrame:
    """The frame with so many regions: the largest of them, or tiles of them."""
    regions, tile = list(frame.regions), max(frame.depth.shape)
    while len(regions) < count:
        tile = tile * 3 // 4
        regions = [piece for region in frame.regions for piece in tiles(region, tile)]
        if tile < 2:
            raise SystemExit(f"the frame has no {count} regions; take larger --sizes")
    largest = sorted(regions, key=lambda region: -region.area)[:count]
    numbered = tuple(replace(region, id=id) for id, region in enumerate(largest, 1))
    return replace(frame, regions=RegionSet(frame.regions.image_size, numbered))


def tiles(region: Region, side: int) -> list[Region]:
    """A region cut into squares of the image."""
    rows, columns = np.nonzero(region.mask)
    rows, columns = rows + region.box.y, columns + region.box.x
    square = rows // side * 100_000 + columns // side
    return [
        Region.from_pixels(0, region.label, rows[square == own], columns[square == own])
        for own in np.unique(square)
    ]


def distances(frame: RGBDFrame) -> list[AskedQuestion]:
    """Questions for distances between the largest objects."""
    names = [region.name for region in objects_of(frame)[:ASKED_ABOUT]]
    pairs = permutations(names, 2)
    return [AskedQuestion(f"How far is {one} from {other}?") for one, other in pairs]


def milliseconds(case: Callable[[RGBDFrame], object], frames: Sequence[RGBDFrame]) -> str:
    """Median time of a case over frames that nothing is known of."""
    return f"{np.median([timed(partial(case, replace(frame)))[0] for frame in frames]):.1f}"


NEW_FRAME = ("distance, fused", "distance, geometry", "places of all regions")


def on_a_new_frame(
    frames: Sequence[RGBDFrame], fused: Answerer, geometric: Answerer
) -> tuple[str, ...]:
    """The cells of `NEW_FRAME`."""
    cases: list[Callable[[RGBDFrame], object]] = [
        lambda frame: ask(frame, distances(frame)[0], fused),
        lambda frame: ask(frame, distances(frame)[0], geometric),
        locate_all,
    ]
    return tuple(milliseconds(case, frames) for case in cases)


def by_regions(counts: Sequence[int], frames: Sequence[RGBDFrame], *answerers: Answerer) -> Table:
    """A new frame with more and more regions."""
    rows = [
        (str(count), *on_a_new_frame([with_regions(frame, count) for frame in frames], *answerers))
        for count in counts
    ]
    return Table("A new frame, by regions, ms", ("regions", *NEW_FRAME), tuple(rows))


def by_sizes(sizes: Sequence[tuple[int, int]], seed: int, *answerers: Answerer) -> Table:
    """A new frame with more and more pixels."""
    rows = []
    for size in sizes:
        frame = render(size, seed)
        cells = on_a_new_frame([frame] * 3, *answerers)
        rows.append((f"{size[0]}x{size[1]}", str(len(frame.regions)), *cells))
    columns = ("image", "regions", *NEW_FRAME)
    return Table("A new frame, by pixels, ms", columns, tuple(rows), "The same view each time.")


def by_questions(counts: Sequence[int], frames: Sequence[RGBDFrame], *answerers: Answerer) -> Table:
    """More and more questions together about a frame whose regions are known."""
    rows = [
        (str(count), *(together(answerer, count, frames) for answerer in answerers))
        for count in counts
    ]
    return Table(
        "Questions together about known regions, ms for each",
        ("questions", *NEW_FRAME[:2]),
        tuple(rows),
        f"Load of the machine in the last minutes, this script included: {os.getloadavg()[1]:.0f}.",
    )


def together(answerer: Answerer, count: int, frames: Sequence[RGBDFrame]) -> str:
    """Median time of each of so many questions, asked for the second time."""
    taken = []
    for frame in frames:
        asked = distances(frame)[:count]
        ask_batch(frame, asked, answerer)
        took, _ = timed(partial(ask_batch, frame, asked, answerer))
        taken.append(took / len(asked))
    return f"{np.median(taken):.2f}"


def size_of(text: str) -> tuple[int, int]:
    """(width, height) of "640x480"."""
    width, height = text.split("x")
    return int(width), int(height)


def read_options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--regions", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--questions", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument(
        "--sizes",
        type=size_of,
        nargs="+",
        default=[(640, 480), (1280, 720), (1920, 1080), (3840, 2160)],
        help="of images, such as 640x480; regions and questions are measured with the first",
    )
    parser.add_argument("--frames", type=int, default=3, help="of regions and questions")
    parser.add_argument("--seed", type=int, default=9_100_000, help="of the first scene")
    parser.add_argument("--exported", default="", help="folder of `smolrgpt export-onnx`")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    return parser.parse_args()


def main() -> None:
    """Measure, print and, if asked, write the page."""
    options = read_options()
    answerers = make_answerer("fused", checkpoint=options.exported), make_answerer("geometric")
    seeds = range(options.seed, options.seed + options.frames)
    frames = [render(options.sizes[0], seed) for seed in seeds]
    on_a_new_frame(frames[:1], *answerers)  # what is slow the first time only
    tables = [
        by_regions(options.regions, frames, *answerers),
        by_questions(options.questions, frames, *answerers),
        by_sizes(options.sizes, options.seed, *answerers),
    ]
    publish("Scale", describe_machine(), tables, options.write_docs)


if __name__ == "__main__":
    main()
