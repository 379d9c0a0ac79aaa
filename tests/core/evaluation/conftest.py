"""A small simulated data set in the public layout."""

from __future__ import annotations

from pathlib import Path

import pytest

from smolrgpt_core.simulated_data.randomization import CameraRandomization, Randomization
from smolrgpt_core.simulated_data.run import SimulationRun
from smolrgpt_core.simulated_data.scenes import SimulationSettings


@pytest.fixture(scope="session")
def data_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train and test splits of simulated warehouses; do not change its files."""
    root = tmp_path_factory.mktemp("evaluation") / "warehouse"
    camera = CameraRandomization(width=320, height=240)
    settings = SimulationSettings(
        scenes=4,
        seed=31,
        views=2,
        questions=8,
        split_fractions=(0.5, 0.0, 0.5),
        randomization=Randomization(camera=camera),
    )
    return simulated(settings, root)


def simulated(settings: SimulationSettings, root: Path) -> Path:
    """Make a data set, by this process alone."""
    run = SimulationRun(settings, root)
    with run.locked():
        for _ in run.make_scenes(1):
            pass
        run.finish()
    return root
