"""How far answers that geometry measures are from the truth.

Recordings get such answers (`smolrgpt bag2data`). On simulated frames with sensor noise, prints the
fraction of measured distances within 10 % of the truth, and the fraction of pairs of an object and
a buffer of which it is known correctly whether the object is in it, among those that a recording's
questions would be about.

    python benchmarks/measured_answers.py --scenes 50 --seed 2000000
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field

import numpy as np
from rich.progress import track

from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.language import Category
from smolrgpt_core.language.interpreter import evaluate
from smolrgpt_core.recordings.options import MEASURED_MARGINS
from smolrgpt_core.scene import SceneCopies
from smolrgpt_core.scene.measured_scene import MeasuredScene
from smolrgpt_core.scene.true_scene import TrueScene
from smolrgpt_core.sim import (
    RenderOptions,
    SensorNoise,
    SimulatedFrame,
    WarehouseRenderer,
    apply_sensor_noise,
    build_scene,
)
from smolrgpt_core.synthesis import generate_questions
from smolrgpt_core.synthesis.forms.draws import within
from smolrgpt_core.synthesis.view import MarginView

GEOMETRY_ONLY = RenderOptions(shadows=False, reflections=False, supersampling=1)
VIEWS = 2
TOLERANCE = 0.1


@dataclass
class Tally:
    """Distances as (measured, true) in meters, and whether objects are in the right buffers."""

    frames: int = 0
    distances: list[tuple[float, float]] = field(default_factory=list)
    in_correct_buffers: list[bool] = field(default_factory=list)

    def add(self, seen: SimulatedFrame, rng: np.random.Generator) -> None:
        """Measure one frame."""
        scene = MeasuredScene(FrameGeometry(seen.frame))
        self.frames += 1
        self._add_distances(seen, scene, rng)
        self._add_buffers(seen, MarginView(scene, MEASURED_MARGINS, rng))

    def _add_distances(
        self, seen: SimulatedFrame, scene: MeasuredScene, rng: np.random.Generator
    ) -> None:
        true = TrueScene(seen.truth, seen.frame.regions, seen.frame.intrinsics)
        copies = SceneCopies(true, copies=1)
        forms = ("distance", "distance_to_camera")
        for item in generate_questions(scene, rng, MEASURED_MARGINS, forms=forms, per_form=6):
            if item.category is Category.DISTANCE and item.value is not None:
                self.distances.append((item.value, evaluate(item.program, copies).value))

    def _add_buffers(self, seen: SimulatedFrame, view: MarginView) -> None:
        for zone in view.seen("buffer"):
            inside, outside = view.split(within(zone), view.seen("pallet", "transporter"))
            for found, ids in ((True, inside), (False, outside)):
                true = [zone in seen.truth[id].buffer_ids for id in ids]
                self.in_correct_buffers += [item is found for item in true]

    def summary(self) -> str:
        """The shares, with the numbers that they are of."""
        found, true = np.array(self.distances).reshape(-1, 2).T
        right = np.abs(found - true) <= TOLERANCE * true
        return (
            f"{self.frames} frames\n"
            f"distances within {TOLERANCE:.0%} of the truth: {right.mean():.1%} of {right.size}\n"
            f"objects correctly in a buffer or not: {np.mean(self.in_correct_buffers):.1%} of "
            f"{len(self.in_correct_buffers)}"
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
