#!/usr/bin/env python3
"""Answers about masks that the shipped segmenter finds, beside those about the simulator's masks.

Images and questions are of warehouses that the segmenter was not trained on. The same questions are
asked with both kinds of masks; one about an object that was not found is wrong. Answers are those
of the geometric answerer.
"""

from __future__ import annotations

import argparse
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from performance_page import Table, describe_machine, median_ms, publish
from rich.progress import track

from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.registry import DEFAULT_ANSWERER, make_answerer
from smolrgpt_core.asking import AskedQuestion, ask
from smolrgpt_core.checkpoints import NANO_REGIONS
from smolrgpt_core.errors import Status
from smolrgpt_core.evaluation.region_matching import RegionScores, as_found
from smolrgpt_core.evaluation.region_scores import COLUMNS, score_rows
from smolrgpt_core.perception.center_voting import CenterVotingSegmenter
from smolrgpt_core.perception.stages import RegionFinder
from smolrgpt_core.report import compare_with_truth
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import SimulatedFrame
from smolrgpt_core.simulated_data.scenes import SimulationSettings, render_scene
from smolrgpt_core.synthesis import ALL_WAREHOUSE_FORMS, RegionStyle, generate_questions

GIVEN, OWN = "given", "own"
REPEATS = 9


@dataclass
class Tally:
    """What came of all frames.

    Attributes:
        scores: of the segmenter.
        asked, right, refused: numbers of questions by kind of masks.
        image: the last one, for the time of the segmenter.
    """

    scores: RegionScores = field(default_factory=RegionScores)
    asked: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    image: NDArray[np.uint8] | None = None

    def add(
        self,
        seen: SimulatedFrame,
        finder: RegionFinder,
        answerer: Answerer,
        rng: np.random.Generator,
    ) -> None:
        """Ask about a frame with both kinds of masks."""
        frame = seen.frame
        found = finder.find(frame.rgb)
        scene = as_found(frame.regions, seen.truth, found)
        self.scores.add(frame.regions, found)
        self.image = frame.rgb
        truth = TrueScene(scene.truth, scene.true, frame.intrinsics)
        for question in generate_questions(
            truth, rng, style=RegionStyle.PLAIN, forms=ALL_WAREHOUSE_FORMS, per_form=1
        ):
            asked = AskedQuestion(question.text, None, question.region_ids)
            for name, regions in ((GIVEN, scene.true), (OWN, found)):
                answer = ask(replace(frame, regions=regions), asked, answerer)
                _, _, is_correct = compare_with_truth(question, answer, scene.named)
                self.asked[name] += 1
                self.right[name] += is_correct
                self.refused[name] += answer.status is not Status.OK

    def rows(self) -> tuple[tuple[str, ...], ...]:
        """Masks, questions, right, refused, wrong."""
        rows = []
        for name in (GIVEN, OWN):
            asked, right, refused = self.asked[name], self.right[name], self.refused[name]
            counts = (right, refused, asked - right - refused)
            rows.append((name, str(asked), *(f"{100 * n / max(asked, 1):.1f} %" for n in counts)))
        return tuple(rows)


def latency_table(finder: RegionFinder, image: NDArray[np.uint8]) -> Table:
    """How long an image takes on one core."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    took = median_ms({"find": lambda: finder.find(image)}, REPEATS, torch.device("cpu"))["find"]
    torch.set_num_threads(threads)
    size = f"{image.shape[1]} x {image.shape[0]}"
    return Table(
        "Time of the shipped segmenter, one thread",
        ("image", "ms", "share of a core at 2 Hz"),
        ((size, f"{took:.0f}", f"{took * 2 / 10:.0f} %"),),
    )


def main() -> None:
    """Measure, print, and write the section of the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=40, help="warehouses")
    parser.add_argument("--views", type=int, default=2, help="images of each")
    parser.add_argument("--seed", type=int, default=20261208, help="of everything")
    parser.add_argument("--checkpoint", type=Path, default=NANO_REGIONS)
    parser.add_argument("--write-docs", action="store_true", help="write docs/performance.md")
    options = parser.parse_args()
    finder = CenterVotingSegmenter.from_pretrained(options.checkpoint)
    answerer = make_answerer(DEFAULT_ANSWERER)
    settings = SimulationSettings(options.scenes, options.seed, options.views)
    tally = Tally()
    for index in track(range(options.scenes), "scenes"):
        rng = np.random.default_rng([options.seed, index])
        for seen, _ in render_scene(settings, index):
            tally.add(seen, finder, answerer, rng)
    assert tally.image is not None
    about = f"{options.scenes} warehouses, {options.views} images of each"
    tables = [
        Table(
            f"Objects that the shipped segmenter finds: {about}",
            COLUMNS,
            tuple(score_rows(tally.scores)),
            "Found: a region of the class with an IoU of 0.5 or more; every object with 40 visible "
            "pixels counts.",
        ),
        Table(
            f"The same questions with given and with own masks: {about}",
            ("masks", "questions", "correct", "refused", "wrong"),
            tally.rows(),
            "With own masks an object that was not found is refused as an unknown region.",
        ),
        latency_table(finder, tally.image),
    ]
    publish("Own masks", describe_machine(), tables, options.write_docs)


if __name__ == "__main__":
    main()
