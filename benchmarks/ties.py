"""How often answerers decide what cannot be decided: which of two equal pallets is the larger one.

Pallets of a simulated hall come in few sizes, so many pairs are equally wide, long or high to the
millimeter. To name one of such a pair is correct by no fact. For each answerer: how many of these
questions it answers, how many of them with a confidence of 0.8 or more, and of 0.9.

    python benchmarks/ties.py --scenes 40 --seed 20261207
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import SpatialQuestion, read_question
from smolrgpt_core.sim import SensorNoise, WarehouseRenderer, apply_sensor_noise, build_scene
from smolrgpt_core.truth import ObjectTruth, SceneTruth

ANSWERERS = ("geometric", "model", "fused")

EQUAL_M = 0.001
"""Sizes that differ by less are equal."""

VISIBLE = 0.9
"""Visible fraction of both pallets from which a question is asked."""

COMPARED = {"wider": 1, "taller": 2}
"""What is asked, and the place of that size in `ObjectTruth.size`."""

SURE = (0.0, 0.8, 0.9)
"""Confidences from which answers are counted."""

REFUSED = -1.0
"""Stands for the confidence of a refusal."""


def ties_in(truth: SceneTruth) -> Iterator[tuple[str, int, int]]:
    """What is asked about which two pallets."""
    pallets = [item for item in truth.objects if _is_seen_pallet(item)]
    for first, second in combinations(pallets, 2):
        for word, axis in COMPARED.items():
            if abs(first.size[axis] - second.size[axis]) < EQUAL_M:
                yield word, first.id, second.id


def _is_seen_pallet(item: ObjectTruth) -> bool:
    return item.label == "pallet" and item.visible_fraction >= VISIBLE


def frames_of(seed: int, views: int) -> Iterator[tuple[RGBDFrame, SceneTruth]]:
    """Noisy frames of a hall, and what is true of them."""
    scene = build_scene(seed)
    with WarehouseRenderer(scene) as renderer:
        simulated = [renderer.render(pose) for pose in scene.camera_poses(views)]
    for view, item in enumerate(simulated):
        noisy = apply_sensor_noise(item.frame, SensorNoise(), np.random.default_rng([seed, view]))
        yield noisy, item.truth


def questions_about(frame: RGBDFrame, truth: SceneTruth) -> list[tuple[str, SpatialQuestion]]:
    """Each tie as a question."""
    return [
        (word, read_question(f"Which of pallets {first} and {second} is {word}?", frame.regions))
        for word, first, second in ties_in(truth)
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--seed", type=int, default=20261207, help="of the first scene")
    parser.add_argument("--views", type=int, default=2, help="camera poses in each scene")
    options = parser.parse_args()
    answerers = {name: make_answerer(name) for name in ANSWERERS}
    confidences: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for index in range(options.scenes):
        for frame, truth in frames_of(options.seed + index, options.views):
            asked = questions_about(frame, truth)
            for name, answerer in answerers.items():
                found = answerer.answer_batch(frame, [question for _, question in asked])
                for (word, _), outcome in zip(asked, found, strict=True):
                    sure = outcome.confidence if isinstance(outcome, SpatialAnswer) else REFUSED
                    confidences[word, name].append(sure)
    print_table(confidences)


def print_table(confidences: dict[tuple[str, str], list[float]]) -> None:
    """A row for each answerer and word."""
    print("| which is | answerer | ties | answered | sure from 0.8 | sure from 0.9 |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for (word, name), found in confidences.items():
        counts = [sum(item >= sure for item in found) for sure in SURE]
        print(f"| {word} | {name} | {len(found)} | {' | '.join(map(str, counts))} |")


if __name__ == "__main__":
    main()
