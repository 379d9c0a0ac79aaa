"""What becomes of inputs that are plausible but wrong: refused, noted, or wrong in silence.

Simulated frames with sensor noise are disturbed as `disturbances.py` says, in the form in which
they are sent, read by the readers of messages, and asked about. An answer is silent if its status
is OK, its message empty and its confidence 0.5 or more. docs/reliability.md has the table.

    python benchmarks/wrong_inputs.py --cases 5000 --seed 0 --json wrong_inputs.json

With `--cost`, undisturbed frames are measured instead: what looking for doubts costs, and how many
of them are doubted without a reason.

    python benchmarks/wrong_inputs.py --cost --scenes 12 --seed 0
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from disturbances import DISTURBANCES, Inputs
from rich.console import Console
from rich.progress import track
from rich.table import Table

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.registry import ANSWERERS, make_answerer
from smolrgpt_core.asking import AskedQuestion, ask_batch
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_file
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.report import compare_with_truth
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import (
    CameraPose,
    RenderOptions,
    SensorNoise,
    SimulatedFrame,
    WarehouseRenderer,
    apply_sensor_noise,
    build_scene,
)
from smolrgpt_core.synthesis import (
    COLOR_FORMS,
    FORMS,
    QuestionWithTruth,
    RegionStyle,
    generate_questions,
)

GEOMETRY_ONLY = RenderOptions(shadows=False, reflections=False, supersampling=1)

DRIVEN_M = (0.01, 0.02, 0.05, 0.2, 0.5)
"""How far the robot drives between the moments of which depth may be mixed up."""

MOUNTING_KNOWN = {
    "up from tf wrong": ("up",),
    "height from tf wrong": ("camera_height",),
    "floor not seen, with tf": ("up", "camera_height"),
}
"""What tf tells of how the camera is mounted, by kind of disturbance; else nothing."""

SURE = 0.5
"""An answer with less confidence tells by that that it may be wrong."""

PER_FRAME = 6
"""Questions about one disturbed frame."""

OUTCOMES = ("correct", "correct, noted", "refused", "wrong, noted", "wrong in silence")


@dataclass(frozen=True, eq=False)
class Seen:
    """One moment, and depth of others by name."""

    simulated: SimulatedFrame
    other_depth: dict[str, np.ndarray]


@dataclass(frozen=True, eq=False)
class Case:
    """A question, and whether an answer to it is correct."""

    asked: AskedQuestion
    truth: str
    is_correct: Callable[[SpatialAnswer], bool]


@dataclass(frozen=True)
class Result:
    """How one case went."""

    kind: str
    strength: str
    question: str
    truth: str
    answer: str
    outcome: str
    status: str
    confidence: float
    message: str


def look_around(seed: int, views: int) -> list[Seen]:
    """Moments of one scene, rendered once and used for many cases."""
    scene = build_scene(seed)
    with WarehouseRenderer(scene, options=GEOMETRY_ONLY) as renderer:
        poses = scene.camera_poses(views)
        moments = [renderer.render(pose) for pose in poses]
        found = []
        for index, (pose, moment) in enumerate(zip(poses, moments, strict=True)):
            others = {
                f"{meters:g}": renderer.render(_driven(pose, meters)).frame.depth
                for meters in DRIVEN_M
            }
            others["view"] = moments[index - 1].frame.depth
            found.append(Seen(moment, others))
    return found


def _driven(pose: CameraPose, meters: float) -> CameraPose:
    """Ahead, and turned by 10 degrees per meter."""
    ahead = np.array([np.cos(pose.yaw_rad), np.sin(pose.yaw_rad), 0.0])
    return CameraPose(
        pose.position + meters * ahead, pose.yaw_rad + np.radians(10 * meters), pose.pitch_rad
    )


def cases_of(seen: SimulatedFrame, rng: np.random.Generator) -> list[Case]:
    """Questions with a clear answer, of all forms that need no colors."""
    style = (RegionStyle.MASK, RegionStyle.PLAIN)[int(rng.integers(2))]
    frame = seen.frame
    scene = TrueScene(seen.truth, frame.regions, frame.intrinsics, frame.depth)
    forms = [name for name in FORMS if name not in COLOR_FORMS]
    made = generate_questions(scene, rng, style=style, forms=forms)
    chosen = [made[int(index)] for index in rng.permutation(len(made))[:PER_FRAME]]
    return [
        Case(
            AskedQuestion(item.text, None, item.region_ids),
            item.normalized_answer,
            partial(_is_correct, item),
        )
        for item in chosen
    ]


def _is_correct(item: QuestionWithTruth, answer: SpatialAnswer) -> bool:
    return compare_with_truth(item, answer)[2]


def results_of(
    kind: str, strength: object, seen: Seen, answerer: Answerer, rng: np.random.Generator
) -> list[Result]:
    """Ask about one disturbed frame."""
    noise = SensorNoise()
    simulated = seen.simulated
    noisy = apply_sensor_noise(simulated.frame, noise, rng)
    inputs = Inputs.of(noisy, seen.other_depth)
    known = MOUNTING_KNOWN.get(kind, ())
    inputs = replace(inputs, **{name: getattr(simulated.truth, name) for name in known})
    cases = cases_of(simulated, rng)
    asked = [case.asked for case in cases]
    try:
        frame = DISTURBANCES[kind][0](inputs, strength, rng).read()
        answers = ask_batch(frame, asked, answerer)
    except SpatialError as error:
        answers = [SpatialAnswer.refusal(error)] * len(asked)
    return [
        _result(kind, strength, case, answer) for case, answer in zip(cases, answers, strict=True)
    ]


def _result(kind: str, strength: object, case: Case, answer: SpatialAnswer) -> Result:
    is_reported = bool(answer.message) or not answer.confidence >= SURE
    if not answer.ok:
        outcome = "refused"
    elif case.is_correct(answer):
        outcome = "correct, noted" if is_reported else "correct"
    else:
        outcome = "wrong, noted" if is_reported else "wrong in silence"
    return Result(
        kind, str(strength), case.asked.text, case.truth, answer.text, outcome,
        answer.status.name, float(answer.confidence), answer.message,
    )  # fmt: skip


def plan(cases: int) -> list[tuple[str, object]]:
    """Which disturbance each frame gets: every kind alike, and in turn its strengths.

    "nothing" comes as often as five other kinds, since false alarms are rare.
    """
    kinds = ["nothing"] * 4 + list(DISTURBANCES)
    counts: Counter[str] = Counter()
    planned = []
    for index in range(-(-cases // PER_FRAME)):
        kind = kinds[index % len(kinds)]
        strengths = DISTURBANCES[kind][1]
        planned.append((kind, strengths[counts[kind] % len(strengths)]))
        counts[kind] += 1
    return planned


def run(
    cases: int,
    seed: int,
    scenes: int,
    views: int,
    answerer: str,
    workers: int = 2,
    every: int = 1,
) -> list[Result]:
    """All results, in the order of the plan; the same seed gives the same.

    Only every so many frames of the plan are asked about, each as in the whole of it.
    """
    with ProcessPoolExecutor(workers) as pool:
        around = list(pool.map(look_around, range(seed, seed + scenes), [views] * scenes))
    for index, moments in enumerate(around):
        for moment in moments:
            moment.other_depth["scene"] = around[index - 1][0].simulated.frame.depth
    seen = [moment for moments in around for moment in moments]
    chosen = list(enumerate(plan(cases)))[::every]
    planned, indices = [frame for _, frame in chosen], [index for index, _ in chosen]
    with ProcessPoolExecutor(workers, initializer=_start, initargs=(seen, answerer)) as pool:
        parts = pool.map(_asked_of_frame, planned, indices, [seed] * len(planned))
        console = Console(stderr=True)
        return [
            result for part in track(parts, total=len(planned), console=console) for result in part
        ]


_AT_WORK: dict[str, Any] = {}
"""What a worker process was started with: the moments, and its answerer."""


def _start(seen: list[Seen], answerer: str) -> None:
    _AT_WORK.update(seen=seen, answerer=make_answerer(answerer))


def _asked_of_frame(planned: tuple[str, object], index: int, seed: int) -> list[Result]:
    rng = np.random.default_rng([seed, index])
    seen = _AT_WORK["seen"]
    return results_of(*planned, seen[int(rng.integers(len(seen)))], _AT_WORK["answerer"], rng)


def tabulate(results: list[Result], by_strength: bool) -> Table:
    """Outcomes by kind, and by strength."""
    table = Table("kind", *(["strength"] if by_strength else []), "cases", *OUTCOMES)
    rows: dict[tuple[str, ...], Counter[str]] = {}
    for result in results:
        key: tuple[str, ...] = (result.kind, *([result.strength] if by_strength else []))
        rows.setdefault(key, Counter())[result.outcome] += 1
    for key in sorted(rows, key=lambda key: (list(DISTURBANCES).index(key[0]), key[1:])):
        table.add_row(
            *key, str(rows[key].total()), *(str(rows[key][outcome]) for outcome in OUTCOMES)
        )
    return table


def cost_of_doubts(seed: int, views: int) -> list[tuple[float, float, str]]:
    """Of each undisturbed frame of a hall: processor time in seconds, and the doubts.

    The time of the places of all regions, and that of the doubts on top of it.
    """
    rows = []
    for view, seen in enumerate(look_around(seed, views)):
        rng = np.random.default_rng([seed, view])
        frame = apply_sensor_noise(seen.simulated.frame, SensorNoise(), rng)
        geometry = FrameGeometry(frame)
        start = time.process_time()
        _ = geometry.mask_doubt  # which places ask for, and keep
        masks = time.process_time()
        for region in frame.regions:
            with suppress(SpatialError):  # what cannot be measured takes its time too
                geometry.locate(region.id)
        places = time.process_time()
        doubts = "; ".join(geometry.doubts)
        took = masks - start + time.process_time() - places
        rows.append((places - masks, took, doubts))
    return rows


def print_cost(seed: int, scenes: int, views: int, console: Console) -> None:
    """Medians, and the undisturbed frames that are doubted."""
    rows = [row for index in range(scenes) for row in cost_of_doubts(seed + index, views)]
    places, doubts = (1000 * float(np.median([row[i] for row in rows])) for i in (0, 1))
    console.print(f"{len(rows)} frames: places {places:.0f} ms, doubts {doubts:.0f} ms (medians)")
    doubted = [row[2] for row in rows if row[2]]
    console.print(f"{len(doubted)} undisturbed frames are doubted", *doubted, sep="\n")


def main() -> None:
    """Ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=8)
    parser.add_argument("--views", type=int, default=2)
    parser.add_argument("--answerer", choices=list(ANSWERERS), default="geometric")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--every", type=int, default=1, help="ask about every so many frames only")
    parser.add_argument("--json", type=Path, help="also write every case to this file")
    parser.add_argument("--cost", action="store_true", help="time the doubts of good frames")
    options = parser.parse_args()
    if options.cost:
        print_cost(options.seed, options.scenes, options.views, Console(width=140))
        return
    results = run(
        options.cases, options.seed, options.scenes, options.views, options.answerer,
        options.workers, options.every,
    )  # fmt: skip
    console = Console(width=140)
    console.print(tabulate(results, by_strength=True), tabulate(results, by_strength=False))
    if options.json:
        cases = [asdict(result) for result in results]
        write_file(options.json, json.dumps(cases, indent=1).encode())


if __name__ == "__main__":
    main()
