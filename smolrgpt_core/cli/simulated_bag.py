"""`smolrgpt simulate --bag`: writes a recording of a simulated camera instead of a data set."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

import numpy as np
import typer

from smolrgpt_core.cli.exits import WRONG_CALL
from smolrgpt_core.cli.options import require_rosbags
from smolrgpt_core.cli.progress import count_progress
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.sim.drive import SimulatedDrive
from smolrgpt_core.simulated_data.randomization import Randomization

NOT_RECORDED = 1
"""Exit status when the recording cannot be written."""


HOW_TO_PLAY = """Start the query node, then play the recording in another terminal:
  ros2 launch smolrgpt_ros warehouse.launch.py use_sim:=false use_sim_time:=true
  ros2 bag play {bag} --clock --loop"""
"""The stamps are those of the recording: by the system clock they would be too old."""


class Storage(str, Enum):
    """File formats of recordings."""

    SQLITE3 = "sqlite3"
    MCAP = "mcap"


def drive_through(varied: Randomization, seed: int, frame_count: int) -> SimulatedDrive:
    """A drive through the warehouse of a seed, which also determines camera and noise.

    Args:
        varied: randomization of warehouse, camera and noise.
        seed: of everything.
        frame_count: number of images.
    """
    rng = np.random.default_rng(seed)
    return SimulatedDrive(
        seed=seed,
        frame_count=frame_count,
        intrinsics=varied.camera.draw(rng),
        config=varied.warehouse,
        options=varied.rendering,
        noise=varied.draw_noise(rng),
        noise_seed=seed,
    )


def record(bag: Path, drive: SimulatedDrive, storage: Storage) -> None:
    """Write the recording with a progress bar.

    Args:
        bag: folder to write; must not exist.
        drive: what is recorded.
        storage: file format.

    Raises:
        typer.Exit: it cannot be written; the reason is printed.
    """
    require_rosbags(NOT_RECORDED)
    # rosbags is an extra, and takes a second to import.
    from smolrgpt_core.simulated_data.bag import write_simulated_bag

    try:
        with count_progress() as progress:
            task = progress.add_task("frames", total=drive.frame_count)
            write_simulated_bag(
                bag,
                drive,
                storage.value,
                progress=lambda done, total: progress.update(task, completed=done),
            )
    except OSError as error:
        typer.echo(f"{error.filename or bag}: {error.strerror}", err=True)
        raise typer.Exit(NOT_RECORDED) from error
    except (SpatialError, ImportError) as error:
        typer.echo(str(error), err=True)
        wrong_call = isinstance(error, SpatialError) and error.status is Status.BAD_INPUT
        raise typer.Exit(WRONG_CALL if wrong_call else NOT_RECORDED) from error
    typer.echo(f"{drive.frame_count} frames in {bag}. {HOW_TO_PLAY.format(bag=bag)}")
