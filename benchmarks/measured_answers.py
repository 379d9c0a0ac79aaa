"""How far answers that geometry measures are from the truth.

Recordings get such answers (`smolrgpt bag2data`). On simulated frames with sensor noise, prints the
share of measured distances within 10 % of the truth, and the share of objects that are found in the
right buffers, among those that a recording's questions would be about.

    python benchmarks/measured_answers.py --scenes 50 --seed 2000000
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

import numpy as np
from rich.progress import track

from smolrgpt_core.data.facts import SceneFacts
from smolrgpt_core.data.facts_from_geometry import MeasuredFrame, facts_from_geometry
from smolrgpt_core.data.kinds import data_set_kinds
from smolrgpt_core.data.synthesis import generate_questions
from smolrgpt_core.language import Category
from smolrgpt_core.recordings.options import MEASURED_MARGINS
from smolrgpt_core.sim import (
    RenderOptions,
    SceneTruth,
    SensorNoise,
    SimulatedFrame,
    WarehouseRenderer,
    apply_sensor_noise,
    build_scene,
)

GEOMETRY_ONLY = RenderOptions(shadows=False, reflections=False, supersampling=1)
VIEWS = 2
TOLERANCE = 0.1


@dataclass
class Tally:
    """Distances as (measured, true) in metres, and whether objects are in the right buffers."""

    frames: int = 0
    distances: list[tuple[float, float]] = field(default_factory=list)
    in_right_buffers: list[bool] = field(default_factory=list)

    def add(self, seen: SimulatedFrame, rng: np.random.Generator) -> None:
        """Measure one frame."""
        measured = facts_from_geometry(seen.frame)
        self.frames += 1
        self._add_distances(seen, measured, rng)
        self._add_buffers(seen.truth, measured)

    def _add_distances(
        self, seen: SimulatedFrame, measured: MeasuredFrame, rng: np.random.Generator
    ) -> None:
        regions = seen.frame.regions
        truth = SceneFacts(seen.truth, regions, MEASURED_MARGINS)
        questions = generate_questions(
            measured, regions, rng, MEASURED_MARGINS, kinds=data_set_kinds(), per_kind=3
        )
        for item in questions:
            ids = (*item.question.target_ids, *item.question.anchor_ids)
            if item.category is Category.DISTANCE and item.value is not None and len(ids) <= 2:
                other = ids[1] if len(ids) == 2 else None
                self.distances.append((item.value, truth.distance(ids[0], other)))

    def _add_buffers(self, truth: SceneTruth, measured: MeasuredFrame) -> None:
        zones = {item.id for item in measured.objects if item.label == "buffer"}
        for item in measured.objects:
            if abs(item.buffer_margin) >= MEASURED_MARGINS.min_edge_distance_m:
                true_ids = set(truth[item.id].buffer_ids) & zones
                self.in_right_buffers.append(set(item.buffer_ids) == true_ids)

    def summary(self) -> str:
        """The shares, with the numbers that they are of."""
        found, true = np.array(self.distances).reshape(-1, 2).T
        right = np.abs(found - true) <= TOLERANCE * true
        return (
            f"{self.frames} frames\n"
            f"distances within {TOLERANCE:.0%} of the truth: {right.mean():.1%} of {right.size}\n"
            f"objects in the right buffers: {np.mean(self.in_right_buffers):.1%} of "
            f"{len(self.in_right_buffers)}"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=2_000_000, help="of the first scene")
    arguments = parser.parse_args()
    tally = Tally()
    for seed in track(range(arguments.seed, arguments.seed + arguments.scenes)):
        rng, scene = np.random.default_rng(seed), build_scene(seed)
        with WarehouseRenderer(scene, options=GEOMETRY_ONLY) as renderer:
            for pose in scene.camera_poses(VIEWS):
                seen = renderer.render(pose)
                frame = apply_sensor_noise(seen.frame, SensorNoise(), rng)
                tally.add(SimulatedFrame(frame, seen.truth), rng)
    print(tally.summary())


if __name__ == "__main__":
    main()
