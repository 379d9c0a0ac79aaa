"""How often the geometric answerer is right about fronts in simulated halls it has never seen.

Asks of every transporter whether it faces the camera, another region and the left, in which
direction it faces, and what is on which side for somebody aboard; of every frame the angle between
two transporters, and how many and which face the camera and the right. Sensor noise is on. Angles
are right within 10 degrees; what the truth refuses, as of carriers without a front, is counted
apart.

    python benchmarks/fronts.py --scenes 200 --seed 4000000
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import numpy as np

from smolrgpt_core.answer.spatial_answer import SpatialAnswer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.asking import AskedQuestion, ask
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language.interpreter import SAME_ANGLE_DEG, evaluate
from smolrgpt_core.language.operators import fronts, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.wording import say
from smolrgpt_core.markdown import markdown_table
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import (
    RenderOptions,
    SensorNoise,
    WarehouseRenderer,
    apply_sensor_noise,
    build_scene,
)

GEOMETRY_ONLY = RenderOptions(shadows=False, reflections=False, supersampling=1)
SURE = 0.5
"""A wrong answer with this confidence and no message is wrong in silence."""


def questions_about(regions: RegionSet, rng: np.random.Generator) -> Iterator[tuple[str, Program]]:
    """What is asked of one frame, by the kind of question."""
    carriers = [region.id for region in regions if region.label == "transporter"]
    others = [region.id for region in regions if region.label != "transporter"]
    ones = [selections.Region(id) for id in carriers]
    for one in ones if others else ():
        other = selections.Region(int(rng.choice(others)))
        yield "faces the camera", questions.Whether(one, fronts.Facing(selections.Camera()))
        yield "faces a region", questions.Whether(one, fronts.Facing(other))
        yield "faces left", questions.Whether(one, fronts.FacingSide("left"))
        yield "direction", questions.Measure(one, fronts.Heading())
        for axis in ("left_right", "front_behind"):
            yield "side from aboard", questions.Side(other, fronts.Aboard(one), axis)
    if len(ones) > 1:
        yield "angle between two", fronts.HeadingAngle(ones[0], ones[1])
    every = selections.All("transporter")
    facing = selections.Where(every, fronts.Facing(selections.Camera()))
    yield "how many", questions.Count(facing)
    yield "which ones", selections.Where(every, fronts.FacingSide("right"))


def is_right(program: Program, true: Any, answer: SpatialAnswer) -> bool:
    """Whether an answer is that of the truth."""
    if program.unit == "deg":
        assert answer.value is not None
        return bool(abs((answer.value - true + 180) % 360 - 180) <= SAME_ANGLE_DEG)
    if program.type is Type.REGIONS:
        return set(answer.answer_ids) == set(true)
    found = {
        Type.TRUTH: answer.truth,
        Type.RELATION: answer.relation,
        Type.QUANTITY: answer.value,
    }
    return bool(found[program.type] == true)


def examine(seed: int, views: int) -> Iterator[tuple[str, str, float]]:
    """Kind, outcome and confidence of every question about one scene."""
    scene = build_scene(seed)
    with WarehouseRenderer(scene, options=GEOMETRY_ONLY) as renderer:
        simulated = [renderer.render(pose) for pose in scene.camera_poses(views)]
    for view, item in enumerate(simulated):
        rng = np.random.default_rng([seed, view])
        frame = apply_sensor_noise(item.frame, SensorNoise(), rng)
        copies = SceneCopies(TrueScene(item.truth, frame.regions, frame.intrinsics), copies=1)
        answerer = GeometricAnswerer()
        for kind, program in questions_about(frame.regions, rng):
            answer = ask(frame, AskedQuestion(say(program, frame.regions)), answerer)
            try:
                true = evaluate(program, copies).value
            except SpatialError:
                yield kind, "answered without truth" if answer.ok else "no truth", 0.0
                continue
            if not answer.ok:
                yield kind, "refused", 0.0
            elif is_right(program, true, answer):
                yield kind, "right", answer.confidence
            else:
                silent = answer.confidence >= SURE and not answer.message
                yield kind, "wrong in silence" if silent else "wrong with a note", answer.confidence


def main() -> None:
    """Examine the scenes and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=200)
    parser.add_argument("--seed", type=int, default=4_000_000, help="of the first scene")
    parser.add_argument("--views", type=int, default=2, help="camera poses in each scene")
    options = parser.parse_args()
    found: defaultdict[str, list[tuple[str, float]]] = defaultdict(list)
    for seed in range(options.seed, options.seed + options.scenes):
        for kind, outcome, confidence in examine(seed, options.views):
            found[kind].append((outcome, confidence))
    heads = ("right", "wrong with a note", "wrong in silence", "refused", "answered without truth")
    rows = []
    for kind, outcomes in found.items():
        counts = [sum(outcome == head for outcome, _ in outcomes) for head in heads]
        sure = [confidence for outcome, confidence in outcomes if outcome.startswith(("r", "w"))
                and outcome != "refused"]  # fmt: skip
        mean = f"{100 * np.mean(sure):.1f} %" if sure else ""
        rows.append([kind, *map(str, counts), mean])
    print(markdown_table(["asked", *heads, "mean confidence"], rows))


if __name__ == "__main__":
    main()
