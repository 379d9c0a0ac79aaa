"""How fast data sets are simulated, and where the time goes.

Makes the same scenes with different numbers of worker processes (scenes, images and questions per
second), and once more in this process with a clock around every stage.

    python benchmarks/simulate_dataset.py --scenes 24 --workers 1 2
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

from rich.console import Console
from rich.table import Table

from smolrgpt_core.files import write_file
from smolrgpt_core.sim import WarehouseRenderer
from smolrgpt_core.sim.scene import Scene
from smolrgpt_core.simulated_data import scenes
from smolrgpt_core.simulated_data.randomization import Randomization, read_randomization
from smolrgpt_core.simulated_data.run import SimulationRun
from smolrgpt_core.simulated_data.scenes import SimulationSettings

RENDERING = ("set up the renderer", "render")
"""Stages that count as rendering: textures, meshes and drawing."""

STAGES: dict[str, tuple[Any, str]] = {
    "lay out the scene": (scenes, "build_scene"),
    "find the camera path": (Scene, "camera_poses"),
    "set up the renderer": (WarehouseRenderer, "__init__"),
    "render": (WarehouseRenderer, "render"),
    "sensor noise": (scenes, "apply_sensor_noise"),
    "questions": (scenes, "generate_questions"),
    "encode masks": (scenes, "encode_masks"),
    "encode PNG": (scenes, "encode_frame"),
    "write files": (scenes, "write_file"),
    "write drafts": (scenes, "write_drafts"),
}
"""Where the clock of each stage is put: the stages do not overlap, but for the last two."""


def run(settings: SimulationSettings, workers: int) -> tuple[float, int, int]:
    """Seconds, images and questions of one whole data set."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        making = SimulationRun(settings, Path(folder))
        with making.locked():
            for _ in making.make_scenes(workers):
                pass
            summary = making.finish()
        seconds = time.perf_counter() - start
    questions = sum(counts.total() for counts in summary.questions.values())
    return seconds, summary.images.total(), questions


def run_with_clocks(settings: SimulationSettings) -> dict[str, float]:
    """Seconds by stage, in this process."""
    seconds: defaultdict[str, float] = defaultdict(float)

    def clocked(stage: str, function: Callable) -> Callable:
        def call(*args: Any, **options: Any) -> Any:
            start = time.perf_counter()
            try:
                return function(*args, **options)
            finally:
                seconds[stage] += time.perf_counter() - start

        return call

    patches = [
        patch.object(owner, name, clocked(stage, getattr(owner, name)))
        for stage, (owner, name) in STAGES.items()
    ]
    for item in patches:
        item.start()
    try:
        total, _, _ = run(settings, 1)
    finally:
        for item in patches:
            item.stop()
    # Drafts are written through `write_file`, whose clock runs as well.
    seconds["everything else"] = total - sum(seconds.values()) + seconds.pop("write drafts")
    return dict(seconds)


def print_results(runs: dict[int, tuple[float, int, int]], scenes: int, stages: dict) -> None:
    """Two tables."""
    console = Console()
    rates = Table("workers", "seconds", "scenes/s", "images/s", "questions/s")
    for workers, (seconds, images, questions) in runs.items():
        figures = (scenes / seconds, images / seconds, questions / seconds)
        rates.add_row(str(workers), f"{seconds:.1f}", *(f"{value:.2f}" for value in figures))
    fractions = Table("stage", "ms per scene", "share")
    total = sum(stages.values())
    for stage, seconds in sorted(stages.items(), key=lambda item: -item[1]):
        fractions.add_row(stage, f"{1e3 * seconds / scenes:.0f}", f"{seconds / total:.1%}")
    rendering = sum(stages[stage] for stage in RENDERING)
    fractions.add_row(
        "rendering in all", f"{1e3 * rendering / scenes:.0f}", f"{rendering / total:.1%}"
    )
    console.print(rates, fractions)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenes", type=int, default=24)
    parser.add_argument("--views", type=int, default=SimulationSettings(1).views)
    parser.add_argument("--questions", type=int, default=SimulationSettings(1).questions)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--randomization", type=Path, help="YAML file")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    varied = read_randomization(options.randomization) if options.randomization else Randomization()
    settings = SimulationSettings(
        options.scenes, options.seed, options.views, options.questions, randomization=varied
    )
    runs = {workers: run(settings, workers) for workers in options.workers}
    stages = run_with_clocks(settings)
    print_results(runs, options.scenes, stages)
    if options.json:
        figures = {"workers": runs, "stages_s": stages, "scenes": options.scenes}
        write_file(options.json, json.dumps(figures, indent=1).encode())


if __name__ == "__main__":
    main()
