"""What answerers do with questions that have no answer.

About frames of simulated halls, questions about what is not there, about the only one of several,
and for what no image shows, such as a weight. That a question about what is in a zone has no answer
is decided by the truth of the hall. For each kind and answerer: how many are answered, how many of
them with a confidence of 0.8 or more, and of 0.9.

    python benchmarks/unanswerable.py --scenes 20 --seed 20261209
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from smolrgpt_core.answerers import make_answerer
from smolrgpt_core.asking import AskedQuestion, ask_batch
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import read_question
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import SensorNoise, WarehouseRenderer, apply_sensor_noise, build_scene

ANSWERERS = ("geometric", "model", "fused")

SURE = (0.8, 0.9)
"""Confidences from which answers are counted."""

REFUSED = -1.0
"""Stands for the confidence of a refusal."""

CLASSES = ("forklift", "person", "cone", "drum", "door")
"""None of them is in a hall of the simulator, unless it is asked for."""

COLORS = ("purple", "pink")
"""No truck of the simulator is painted so."""

Questions = Iterator[tuple[str, str]]
"""Kinds and texts."""


def questions_about(regions: RegionSet) -> Questions:
    """Questions that have no answer, whatever stands where."""
    pallets, trucks, zones = (_ids(regions, label) for label in ("pallet", "transporter", "buffer"))
    absent = max(region.id for region in regions) + 7
    if not pallets:
        return
    first = pallets[0]
    yield "id that is not there", f"How far is pallet {absent} from pallet {first}?"
    yield "id that is not there", f"Is pallet {absent} left of pallet {first}?"
    for name in CLASSES:
        yield "class that is not there", f"How far is the {name} from pallet {first}?"
        yield "class that is not there", f"Is the {name} left of pallet {first}?"
    for color in COLORS if trucks else ():
        yield "color that is not there", f"How far is the {color} transporter?"
        yield "color that is not there", f"Which transporter is {color}?"
    for label, ids in (("pallet", pallets), ("transporter", trucks), ("buffer", zones)):
        if len(ids) > 1:
            yield "the only one of several", f"How far is the {label}?"
    for id in pallets[:3]:
        yield "no measure of an image", f"How heavy is pallet {id}?"
        yield "no measure of an image", f"What is the temperature of pallet {id}?"
        yield "no measure of an image", f"How old is pallet {id}?"
        yield "another unit", f"How far is pallet {id} in kilograms?"
        yield "another unit", f"How wide is pallet {id} in seconds?"


def questions_by_truth(regions: RegionSet, scene: TrueScene) -> Questions:
    """Questions about the contents of zones that have no answer in this hall."""
    for zone in _ids(regions, "buffer"):
        for text in (
            f"Which pallet is in buffer {zone}?",
            f"How far is the pallet in buffer {zone}?",
            f"Which of the pallets in buffer {zone} is nearest?",
        ):
            if _has_no_answer(text, regions, scene):
                yield "none, or several, in a zone", text


def _ids(regions: RegionSet, label: str) -> list[int]:
    return [region.id for region in regions if region.label == label]


def _has_no_answer(text: str, regions: RegionSet, scene: TrueScene) -> bool:
    program = read_question(text, regions).program
    assert program is not None
    try:
        evaluate(program, SceneCopies(scene, copies=1))
    except SpatialError:
        return True
    return False


def frames_of(seed: int) -> Iterator[tuple[RGBDFrame, TrueScene]]:
    """Noisy frames of a hall, and what is true of them."""
    scene = build_scene(seed)
    with WarehouseRenderer(scene) as renderer:
        simulated = [renderer.render(pose) for pose in scene.camera_poses(1)]
    for item in simulated:
        noisy = apply_sensor_noise(item.frame, SensorNoise(), np.random.default_rng(seed))
        yield noisy, TrueScene(item.truth, item.frame.regions)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=20261209, help="of the first scene")
    parser.add_argument("--show", action="store_true", help="print what is answered")
    options = parser.parse_args()
    answerers = {name: make_answerer(name) for name in ANSWERERS}
    confidences: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
    for index in range(options.scenes):
        for frame, scene in frames_of(options.seed + index):
            asked = [*questions_about(frame.regions), *questions_by_truth(frame.regions, scene)]
            texts = [AskedQuestion(text) for _, text in asked]
            for name, answerer in answerers.items():
                for (kind, text), answer in zip(
                    asked, ask_batch(frame, texts, answerer), strict=True
                ):
                    confidences[kind, name].append(answer.confidence if answer.ok else REFUSED)
                    if options.show and answer.ok:
                        print(f"{name}: {text} {answer.text} {answer.confidence:.2f}")
    print_table(confidences)


def print_table(confidences: dict[tuple[str, str], list[float]]) -> None:
    """A row for each kind and answerer."""
    print("| Asked for | answerer | questions | answered | confidence from 0.8 | from 0.9 |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for (kind, name), found in confidences.items():
        answered = sum(item != REFUSED for item in found)
        counts = [answered, *(sum(item >= sure for item in found) for sure in SURE)]
        print(f"| {kind} | {name} | {len(found)} | {' | '.join(map(str, counts))} |")


if __name__ == "__main__":
    main()
