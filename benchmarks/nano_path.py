#!/usr/bin/env python3
"""What an answer of the nano model costs on a CPU, of this tree against an earlier commit.

Simulated frames with sensor noise and questions about them are stored once; a process of each tree
answers them, in turns, as the node does by default (`answerer: fused`) but without ROS. The earlier
commit is unpacked into a temporary folder. Also tells whether both trees give the same answers.

    python benchmarks/nano_path.py --baseline 964a399 --write-docs
    python benchmarks/nano_path.py --baseline 964a399 --size 320x240 --write-docs
    smolrgpt export-onnx nano-onnx
    python benchmarks/nano_path.py --baseline 964a399 --exported nano-onnx --write-docs
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from nano_path_worker import COMPARED, TIMED
from performance_page import Table, describe_machine, publish
from rich.progress import track
from scale import VERTICAL_FOV_DEG, size_of

from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import (
    SensorNoise,
    SimulatedFrame,
    WarehouseRenderer,
    apply_sensor_noise,
    build_scene,
)
from smolrgpt_core.synthesis import (
    COLOR_FORMS,
    FORMS,
    WAREHOUSE_FORMS,
    RegionStyle,
    generate_questions,
)

ROOT = Path(__file__).resolve().parent.parent
WORKER = ROOT / "benchmarks" / "nano_path_worker.py"

DEFAULT_SIZE = (640, 480)

OTHER_FORMS = 8
"""Forms beside those of the warehouse that each frame is asked in."""

KINDS = ("Processor time of all threads", "Time")

BASELINE, ONE_THREAD, THIS, EXPORTED = "baseline", "one thread", "this", "ONNX Runtime"
VARIABLES = {ONE_THREAD: {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}}
"""Added to the environment of a process."""

Times = dict[str, tuple[float, float]]
"""Milliseconds of each of `KINDS`, by case."""


def store_frames(arguments: argparse.Namespace, folder: Path) -> int:
    """Write frames and questions; returns the number of questions that are compared."""
    timed: list[list[str]] = []
    compared: list[list[str]] = []
    width, height = arguments.size
    camera = CameraIntrinsics.from_vertical_fov(width, height, VERTICAL_FOV_DEG)
    for seed in track(range(arguments.seed, arguments.seed + arguments.scenes), "Rendering"):
        rng, scene = np.random.default_rng(seed), build_scene(seed)
        with WarehouseRenderer(scene, camera) as renderer:
            for pose in scene.camera_poses(arguments.views):
                seen = renderer.render(pose)
                frame = apply_sensor_noise(seen.frame, SensorNoise(), rng)
                asked = timed_questions(frame)
                if not asked:
                    continue
                store_frame(folder / f"{len(timed):03d}.npz", frame)
                timed.append(asked)
                compared.append(compared_questions(SimulatedFrame(frame, seen.truth), rng))
    if not timed:
        raise SystemExit("no frame shows four objects; take other seeds or more scenes")
    (folder / TIMED).write_text(json.dumps(timed))
    (folder / COMPARED).write_text(json.dumps(compared))
    return sum(map(len, compared))


def store_frame(path: Path, frame: RGBDFrame) -> None:
    """Write a frame so that any tree can read it."""
    camera = frame.intrinsics
    masks = np.stack([frame.regions.full_mask(region.id) for region in frame.regions])
    np.savez_compressed(
        path,
        rgb=frame.rgb,
        depth=frame.depth,
        masks=np.packbits(masks.astype(bool), axis=-1),
        ids=[region.id for region in frame.regions],
        labels=[region.label for region in frame.regions],
        pinhole=[camera.fx, camera.fy, camera.cx, camera.cy],
    )


def timed_questions(frame: RGBDFrame) -> list[str]:
    """Distances between two objects, between two others, and between the first two again."""
    largest = sorted(frame.regions, key=lambda region: -np.count_nonzero(region.mask))
    names = [f"{item.label} {item.id}" for item in largest if item.label != "buffer"][:4]
    if len(names) < 4:
        return []
    first, second, third, fourth = names
    pairs = ((first, second), (third, fourth), (second, first))
    return [f"How far is {one} from {other}?" for one, other in pairs]


def compared_questions(seen: SimulatedFrame, rng: np.random.Generator) -> list[str]:
    """Questions of the four categories of the warehouse, and some of all others."""
    scene = TrueScene(seen.truth, seen.frame.regions, seen.frame.intrinsics, seen.frame.depth)
    others = sorted(FORMS.keys() - {*WAREHOUSE_FORMS, *COLOR_FORMS})
    forms = [*WAREHOUSE_FORMS, *rng.permutation(others)[:OTHER_FORMS].tolist()]
    return [
        item.text for item in generate_questions(scene, rng, style=RegionStyle.PLAIN, forms=forms)
    ]


class Tree:
    """A process that answers the stored questions with the code of one folder.

    Args:
        root: of the code.
        folder: of frames and questions.
        variables: added to the environment.
        checkpoint: of the model; empty: the nano model of the code.
    """

    def __init__(
        self, root: Path, folder: Path, variables: Mapping[str, str], checkpoint: str
    ) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), str(folder), str(root), checkpoint],
            env={**os.environ, "PYTHONPATH": str(root), **variables},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Tree:
        return self

    def __exit__(self, *error: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def do(self, job: str) -> Any:
        """The result of a job of the worker."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(job, file=self._process.stdin, flush=True)
        result = self._process.stdout.readline()
        if not result:
            raise SystemExit("a measuring process has ended; its error stands above")
        return json.loads(result)


def unpack(commit: str, folder: Path) -> Path:
    """The files of a commit, in a folder."""
    folder.mkdir()
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", "--output", str(folder / "tree.tar"), commit],
        check=False,
    )
    if archive.returncode:
        raise SystemExit(f"git cannot give the tree of {commit}; --baseline must be a commit")
    shutil.unpack_archive(folder / "tree.tar", folder)
    return folder


def times_table(kind: str, rounds: Sequence[Mapping[str, Times]], note: str) -> Table:
    """All processes, and by how much the last one is faster.

    Args:
        kind: one of `KINDS`.
        rounds: times of each process, by its name.
        note: below the table.
    """
    *others, last = rounds[0]
    columns = ["what", *(f"{name}, ms" for name in rounds[0])]
    for name in others:
        columns += [f"ratio to {name}", "spread"]
    rows = [row_of(case, KINDS.index(kind), rounds) for case in rounds[0][last]]
    return Table(kind, tuple(columns), tuple(rows), note)


def row_of(case: str, kind: int, rounds: Sequence[Mapping[str, Times]]) -> tuple[str, ...]:
    """The cells of one case."""
    *others, last = rounds[0]
    taken = {name: [times[name][case][kind] for times in rounds] for name in rounds[0]}
    cells = [case, *(f"{statistics.median(values):.1f}" for values in taken.values())]
    for name in others:
        ratios = [old / new for old, new in zip(taken[name], taken[last], strict=True)]
        cells += [f"{statistics.median(ratios):.2f}x", f"{min(ratios):.2f}-{max(ratios):.2f}"]
    return tuple(cells)


def sameness(baseline: list[dict[str, Any]], this: list[dict[str, Any]]) -> Table:
    """How many answers are the same, and how far measured numbers are apart."""
    pairs = list(zip(baseline, this, strict=True))
    different = [(old, new) for old, new in pairs if old["words"] != new["words"]]
    for old, new in different:
        print(f"before: {old['words']}\nnow:    {new['words']}")
    numbers = [pair for old, new in pairs for pair in numbers_of(old, new)]
    apart = [abs(old - new) for old, new in numbers if not (math.isnan(old) and math.isnan(new))]
    return Table(
        "Answers of the baseline and of the last column",
        ("answers", "the same", "numbers", "the same", "largest difference"),
        (
            (
                str(len(pairs)),
                str(len(pairs) - len(different)),
                str(len(numbers)),
                str(len(numbers) - sum(gap != 0 for gap in apart)),
                f"{max(apart, default=0.0):.2g}",
            ),
        ),
        "Same: status, sentence, message, side, regions and value of the model, of `fused` and of "
        "`geometric`, one by one and together. Numbers: confidences, values, centers, shares.",
    )


def numbers_of(old: dict[str, Any], new: dict[str, Any]) -> list[tuple[float, float]]:
    """Numbers of two answers side by side; what only one of them has is infinitely far apart."""
    if len(old["numbers"]) != len(new["numbers"]):
        return [(0.0, math.inf)]
    pairs = [
        (math.nan if one is None else one, math.nan if other is None else other)
        for one, other in zip(old["numbers"], new["numbers"], strict=True)
    ]
    return [
        (one, other) if math.isnan(one) == math.isnan(other) else (0.0, math.inf)
        for one, other in pairs
    ]


def measure(arguments: argparse.Namespace, folder: Path) -> list[Table]:
    """Store the frames, have both trees answer, and compare."""
    questions = store_frames(arguments, folder)
    frames = len(list(folder.glob("*.npz")))
    before = unpack(arguments.baseline, folder / "before")
    roots = {BASELINE: before, ONE_THREAD: before, THIS: ROOT}
    roots |= {EXPORTED: ROOT} if arguments.exported else {}
    checkpoints = {EXPORTED: arguments.exported}
    with ExitStack() as stack:
        trees = {
            name: stack.enter_context(
                Tree(root, folder, VARIABLES.get(name, {}), checkpoints.get(name, ""))
            )
            for name, root in roots.items()
        }
        same = sameness(*(trees[name].do("answers") for name in (ONE_THREAD, list(roots)[-1])))
        rounds: list[dict[str, Times]] = [
            {name: tree.do("times") for name, tree in trees.items()}
            for _ in track(range(arguments.rounds), "Measuring")
        ]
    size = "{}x{}".format(*arguments.size)
    note = (
        f"Baseline: {arguments.baseline}, as it is and with one thread. {frames} frames of "
        f"{size}; medians of {arguments.rounds} rounds, each the mean over the frames; ratio and "
        "spread: median, lowest and highest of the ratios of the rounds. The questions ask for the "
        "distance between two objects. Mean load of the machine in the last minutes, this script "
        f"included: {os.getloadavg()[1]:.0f}."
        + (f" {EXPORTED}: this tree with the exported model." if arguments.exported else "")
    )
    tables = [times_table(kind, rounds, note) for kind in KINDS]
    return [*tables, replace(same, title=f"{same.title}, {questions} questions")]


def main() -> None:
    """Measure, print and, if asked, write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--baseline", default="HEAD", help="commit that is compared with")
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--size", type=size_of, default=DEFAULT_SIZE, help="of images")
    parser.add_argument("--seed", type=int, default=9_000_000, help="of the first scene")
    parser.add_argument(
        "--exported", default="", help="folder of `smolrgpt export-onnx` to measure beside"
    )
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tables = measure(arguments, Path(folder))
    small = "" if arguments.size == DEFAULT_SIZE else ", {}x{}".format(*arguments.size)
    publish(f"Nano path{small}", describe_machine(), tables, arguments.write_docs)


if __name__ == "__main__":
    main()
