#!/usr/bin/env python3
"""The part of `nano_path.py` that measures: answers questions about stored frames with one tree.

Which tree, `PYTHONPATH` says. Each line of standard input is a job, each line of standard output
the result of one, as JSON. It ends with its input.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    # As the node begins, before NumPy is imported; earlier trees have no such module.
    with suppress(ModuleNotFoundError):
        from smolrgpt_ros.runtime.blas_threads import use_one_blas_thread

        use_one_blas_thread()

import numpy as np

import smolrgpt_core
from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.asking import AskedQuestion, ask, ask_batch
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.regions import Region, RegionSet

TIMED = "timed.json"
"""Questions of each frame that are timed: the same regions first and third, others second."""

COMPARED = "compared.json"
"""Questions of each frame whose answers are compared."""


def read_frame(path: Path) -> RGBDFrame:
    """A frame as `nano_path.py` stores it."""
    with np.load(path) as stored:
        height, width = stored["depth"].shape
        masks = np.unpackbits(stored["masks"], axis=-1, count=width).astype(bool)
        regions = [
            Region.from_bitmap(int(id), str(label), mask)
            for id, label, mask in zip(stored["ids"], stored["labels"], masks, strict=True)
        ]
        return RGBDFrame(
            stored["rgb"],
            stored["depth"],
            CameraIntrinsics(width, height, *stored["pinhole"].tolist()),
            RegionSet((height, width), tuple(regions)),
        )


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Milliseconds of processor time of all threads, and of the clock."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return (time.process_time() - processor) * 1e3, (time.perf_counter() - wall) * 1e3


def locate_all(frame: RGBDFrame) -> None:
    """The place of every region, where depth tells it."""
    geometry = FrameGeometry(frame)
    if hasattr(geometry, "expect"):  # earlier trees measure one by one
        geometry.expect(region.id for region in frame.regions)
    for region in frame.regions:
        try:
            geometry.locate(region.id)
        except SpatialError:
            continue


class Worker:
    """The frames of a folder, and the answerers that are asked about them.

    Args:
        folder: of frames and questions.
        checkpoint: of the model; empty: the nano model of the tree.
    """

    def __init__(self, folder: Path, checkpoint: str) -> None:
        self._folder = folder
        self._frames = [read_frame(path) for path in sorted(folder.glob("*.npz"))]
        self._fused = make_answerer("fused", checkpoint=checkpoint)
        self._geometric = make_answerer("geometric")

    def times(self) -> dict[str, tuple[float, float]]:
        """Mean over the frames of the times of each case, milliseconds."""
        questions = json.loads((self._folder / TIMED).read_text())
        found: dict[str, list[tuple[float, float]]] = {}
        for stored, texts in zip(self._frames, questions, strict=True):
            for name, took in self._times_of(stored, texts).items():
                found.setdefault(name, []).append(took)
        return {name: tuple(np.mean(taken, axis=0)) for name, taken in found.items()}

    def _times_of(self, stored: RGBDFrame, texts: list[str]) -> dict[str, tuple[float, float]]:
        first, other, again = (AskedQuestion(text) for text in texts)
        fused, frame = self._fused, replace(stored)
        measured, prepared, located, young = (replace(stored) for _ in range(4))
        return {
            "new frame": timed(lambda: ask(frame, first, fused)),
            "known frame, new regions": timed(lambda: ask(frame, other, fused)),
            "known frame, known regions": timed(lambda: ask(frame, again, fused)),
            "preparing a frame": timed(lambda: fused.prepare(prepared)),
            "prepared frame": timed(lambda: ask(prepared, first, fused)),
            "geometry alone, new frame": timed(lambda: ask(measured, first, self._geometric)),
            "geometry alone, known frame": timed(lambda: ask(measured, other, self._geometric)),
            "geometry alone, preparing a frame": timed(lambda: self._geometric.prepare(young)),
            "geometry alone, prepared frame": timed(lambda: ask(young, first, self._geometric)),
            "places of all regions": timed(lambda: locate_all(located)),
        }

    def answers(self) -> list[dict[str, Any]]:
        """What both answerers say to all questions of all frames."""
        questions = json.loads((self._folder / COMPARED).read_text())
        return [
            answers
            for stored, texts in zip(self._frames, questions, strict=True)
            for answerer in (self._fused, self._geometric)
            for answers in self._answered(answerer, stored, texts)
        ]

    def _answered(self, answerer: Answerer, stored: RGBDFrame, texts: list[str]) -> list[Any]:
        frame = replace(stored)
        asked = [AskedQuestion(text) for text in texts]
        # Half of them alone and half together, since these take different ways.
        middle = len(asked) // 2
        answers = [ask(frame, question, answerer) for question in asked[:middle]]
        answers += ask_batch(frame, asked[middle:], answerer)
        return [_comparable(item) for item in answers]


def _comparable(answer: SpatialAnswer) -> dict[str, Any]:
    """What an answer says: words and decisions apart from measured numbers."""
    vector = [] if answer.vector is None else answer.vector.tolist()
    numbers = [answer.confidence, *np.ravel(answer.centers), *np.ravel(answer.valid_depth)]
    return {
        "words": [
            answer.status.name, answer.text, answer.message, answer.understood,
            answer.agreement.name, answer.side.name, answer.region_id, list(answer.answer_ids),
            answer.model_value,
        ],
        "numbers": [
            None if value is None else float(value)
            for value in (answer.value, answer.geometric_value, *numbers, *vector)
        ],
    }  # fmt: skip


def main() -> None:
    """Do jobs until the input ends."""
    folder, root, checkpoint = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    if not Path(smolrgpt_core.__file__).is_relative_to(root):
        raise SystemExit(f"expected the code of {root}, got that of {smolrgpt_core.__file__}")
    worker = Worker(folder, checkpoint)
    jobs = {"times": worker.times, "answers": worker.answers}
    for line in sys.stdin:
        print(json.dumps(jobs[line.strip()]()), flush=True)


if __name__ == "__main__":
    main()
