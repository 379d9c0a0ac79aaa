"""How often `fused` names the colors of simulated transporters rightly, and how sure it is.

Halls have lights from dim to bright, images the noise of a camera with a wide spread of exposure
and white balance, and masks are off by a pixel. A transporter's color is that of its paint, however
little of it is seen. For each kind of question: how many are asked, how many are refused, how many
of the answers are correct, what their confidences promise, how far these are off (ECE), and how
many wrong answers have a confidence of 0.9 or more.

    python benchmarks/colors.py --scenes 60 --seed 20261230
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.asking import AskedQuestion, ask_batch
from smolrgpt_core.evaluation.reliability import reliability
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.language.operators import predicates, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.wording import say
from smolrgpt_core.object_classes import CARRIER
from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import SensorNoise, WarehouseRenderer, apply_sensor_noise, build_scene
from smolrgpt_core.sim.config import WarehouseConfig
from smolrgpt_core.sim.transporters import TRANSPORTER_COLORS

LIGHTS = WarehouseConfig(light_level=(0.6, 1.3))
"""Halls with more different lights than data sets have."""

NOISE = SensorNoise(exposure_deviation=0.12, white_balance_deviation=0.05, mask_edge_px=1)
"""A camera with a poorer automatic exposure and white balance than that of data sets."""

IMAGE = (640, 480)
VIEW_DEG = (45.0, 65.0)
"""Range of the vertical field of view."""

SURE = 0.9
"""A wrong answer from this confidence on is counted apart."""


@dataclass(frozen=True)
class Asked:
    """One question and how it was answered.

    Attributes:
        refused: whether it has no answer.
        right: whether the answer is that of the truth.
        confidence: of the answer.
    """

    refused: bool
    right: bool
    confidence: float


def frames_of(seed: int, views: int) -> Iterator[tuple[RGBDFrame, TrueScene]]:
    """Noisy frames of a hall, and what is true of them."""
    rng = np.random.default_rng(seed)
    scene = build_scene(seed, LIGHTS)
    camera = CameraIntrinsics.from_vertical_fov(*IMAGE, float(rng.uniform(*VIEW_DEG)))
    with WarehouseRenderer(scene, camera) as renderer:
        for pose in scene.camera_poses(views):
            seen = renderer.render(pose)
            noisy = apply_sensor_noise(seen.frame, NOISE, rng)
            yield noisy, TrueScene(seen.truth, noisy.regions)


def questions_about(scene: TrueScene, rng: np.random.Generator) -> Iterator[tuple[str, Program]]:
    """Kinds of questions, and questions about the transporters of a frame."""
    transporters = selections.All(CARRIER)
    ids = [region.id for region in scene.regions if region.label == CARRIER]
    for id in ids:
        color = TRANSPORTER_COLORS[int(rng.integers(len(TRANSPORTER_COLORS)))]
        yield "what color", questions.Color(selections.Region(id))
        yield "is it yellow", questions.Whether(selections.Region(id), predicates.Colored(color))
    for color in TRANSPORTER_COLORS if ids else ():
        colored = selections.Where(transporters, predicates.Colored(color))
        yield "how many are yellow", questions.Count(colored)
        if evaluate(questions.Count(colored), SceneCopies(scene, copies=1)).value == 1:
            yield "which is yellow", selections.The(colored)


def measure(scenes: int, seed: int, views: int) -> dict[str, list[Asked]]:
    """What becomes of all questions, by their kind."""
    answerer = make_answerer("fused")
    results: defaultdict[str, list[Asked]] = defaultdict(list)
    for index in range(scenes):
        rng = np.random.default_rng([seed, index])
        for frame, scene in frames_of(seed + index, views):
            copies = SceneCopies(scene, copies=1)
            made = list(questions_about(scene, rng))
            asked = [AskedQuestion(say(program, frame.regions)) for _, program in made]
            answers = ask_batch(frame, asked, answerer)
            for (kind, program), answer in zip(made, answers, strict=True):
                truth = evaluate(program, copies).value
                given = (answer.relation, answer.truth, answer.value, answer.region_id)
                right = answer.ok and any(
                    item == truth and type(item) is type(truth) for item in given
                )
                results[kind].append(Asked(not answer.ok, right, answer.confidence))
    return results


def row(kind: str, asked: list[Asked]) -> str:
    """A row of the table."""
    given = [item for item in asked if not item.refused]
    sure = sum(item.confidence >= SURE and not item.right for item in given)
    curve = reliability([item.confidence for item in given], [item.right for item in given])
    if curve is None:
        return f"| {kind} | {len(asked)} | {len(asked)} | | | | |"
    figures = (curve.right, curve.confidence, curve.expected_calibration_error)
    shown = " | ".join(f"{100 * figure:.1f} %" for figure in figures)
    return f"| {kind} | {len(asked)} | {len(asked) - len(given)} | {shown} | {sure} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=20261230, help="of the first scene")
    parser.add_argument("--views", type=int, default=1, help="camera poses in each scene")
    options = parser.parse_args()
    results = measure(options.scenes, options.seed, options.views)
    print("| question | asked | refused | answers right | confidence | ECE | wrong from 0.9 |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for kind, asked in results.items():
        print(row(kind, asked))
    print(row("all", [item for asked in results.values() for item in asked]))


if __name__ == "__main__":
    main()
