"""`smolrgpt simulate`: generates a data set of questions about simulated warehouses."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from smolrgpt_core.cli.exits import WRONG_CALL, exit_on
from smolrgpt_core.cli.options import parsed
from smolrgpt_core.cli.progress import resumable, work_progress
from smolrgpt_core.cli.simulated_bag import Storage, drive_through, record
from smolrgpt_core.data.warehouse_format import SPLITS
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import CATEGORIES
from smolrgpt_core.sim.drive import SimulatedDrive
from smolrgpt_core.simulated_data.benchmark_set import SPATIALRGPT_SET, BenchmarkSet
from smolrgpt_core.simulated_data.hispatial_set import HISPATIAL_SET
from smolrgpt_core.simulated_data.randomization import Randomization, read_randomization
from smolrgpt_core.simulated_data.run import SimulationRun, SimulationSummary
from smolrgpt_core.simulated_data.scenes import SimulationSettings
from smolrgpt_core.synthesis import MIXTURES

DEFAULTS = SimulationSettings(scenes=1)
"""Source of the options' defaults."""

MOST_COLUMNS = 6
"""With more kinds of questions, the table has a row for each."""

DEFAULT_FRACTIONS = ",".join(map("{:g}".format, DEFAULTS.split_fractions))
DEFAULT_WORKERS = os.cpu_count() or 1
DEFAULT_CAMERA = DEFAULTS.randomization.camera

Out = Annotated[
    Path | None, typer.Option(help="Folder of the data set; created if needed.", file_okay=False)
]
Scenes = Annotated[int | None, typer.Option(help="Number of warehouses.", min=1)]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0)]
Views = Annotated[int, typer.Option(help="Number of images per scene.", min=1)]
Questions = Annotated[int, typer.Option(help="Maximum number of questions per image.", min=1)]
Workers = Annotated[int, typer.Option(help="Processes.", min=1, show_default="one per core")]
ImageSize = Annotated[
    str,
    typer.Option(
        help="Size of the images in pixels; by default that of the randomization, "
        f"{DEFAULT_CAMERA.width}x{DEFAULT_CAMERA.height}.",
        metavar="WIDTHxHEIGHT",
    ),
]
Fractions = Annotated[
    str,
    typer.Option(
        "--fractions", help="Fractions of the scenes in each split.", metavar="TRAIN,VAL,TEST"
    ),
]
RandomizationFile = Annotated[
    Path | None,
    typer.Option(
        help="YAML file of the randomization, like config/randomization.yaml; omitted keys keep "
        "their defaults.",
        exists=True,
        dir_okay=False,
    ),
]
MixtureName = Annotated[
    str | None,
    typer.Option(
        help=f"Draw the questions from a mixture of tasks ({', '.join(MIXTURES)}) instead of the "
        f"four warehouse categories in equal parts.",
        metavar="NAME",
    ),
]
Folders = Annotated[bool, typer.Option("--folders/--no-folders", help="Write the public layout.")]
Shards = Annotated[bool, typer.Option("--shards/--no-shards", help="Write WebDataset tar files.")]
ShardImages = Annotated[int, typer.Option(help="Images per tar file.", min=1)]
Bag = Annotated[
    Path | None,
    typer.Option(
        help="Write a ROS 2 recording of a drive through one warehouse to this folder, instead of "
        "a data set; uses only --seed, --image-size and --randomization."
    ),
]
BagFrames = Annotated[int, typer.Option(help="Number of images in the recording.", min=1)]
BagStorage = Annotated[Storage, typer.Option(help="File format of the recording.")]
BenchmarkQuestions = Annotated[
    int | None,
    typer.Option(
        "--spatialrgpt-bench",
        help="Write this many questions to --out in the layout of SpatialRGPT-Bench, instead of a "
        "data set; uses only --seed, --image-size and --randomization.",
        min=len(SPATIALRGPT_SET.counts),
        metavar="QUESTIONS",
    ),
]
TaskQuestions = Annotated[
    int | None,
    typer.Option(
        "--hispatial-tasks",
        help="The same with the three custom tasks of HiSpatial.",
        min=len(HISPATIAL_SET.counts),
        metavar="QUESTIONS",
    ),
]


def simulate(
    out: Out = None,
    scenes: Scenes = None,
    seed: Seed = DEFAULTS.seed,
    views: Views = DEFAULTS.views,
    questions: Questions = DEFAULTS.questions,
    workers: Workers = DEFAULT_WORKERS,
    image_size: ImageSize = "",
    fractions: Fractions = DEFAULT_FRACTIONS,
    randomization: RandomizationFile = None,
    mixture: MixtureName = DEFAULTS.mixture,
    folders: Folders = DEFAULTS.folders,
    shards: Shards = DEFAULTS.shards,
    shard_images: ShardImages = DEFAULTS.shard_images,
    bag: Bag = None,
    bag_frames: BagFrames = SimulatedDrive.frame_count,
    bag_storage: BagStorage = Storage.SQLITE3,
    spatialrgpt_bench: BenchmarkQuestions = None,
    hispatial_tasks: TaskQuestions = None,
) -> None:
    """Generate a data set of questions about simulated warehouses, in the public layout.

    The same options give the same bytes, regardless of the number of workers. After a kill, a crash
    or a full disk the same command resumes. The exit status is 0 if the data set is complete, 1 if
    it is not, 2 for an invalid command line, 130 after Ctrl-C.
    """
    with exit_on(WRONG_CALL, SpatialError, ImportError):
        varied = _randomization(randomization, image_size)
        _refuse_words(varied, bag, spatialrgpt_bench or hispatial_tasks)
    if bag is not None:
        if out is not None or scenes is not None:
            raise typer.BadParameter("--bag cannot be combined with --out or --scenes")
        return record(bag, drive_through(varied, seed, bag_frames), bag_storage)
    benchmark = _benchmark_set(spatialrgpt_bench, hispatial_tasks, seed, varied)
    if benchmark is not None and out is not None and scenes is None:
        return _write_benchmark(benchmark, out)
    if out is None or scenes is None or benchmark is not None:
        raise typer.BadParameter(
            "expected --bag, or --out with one of --scenes, --spatialrgpt-bench and "
            "--hispatial-tasks"
        )
    split_fractions = parsed("--fractions", parse_fractions, fractions)
    with exit_on(WRONG_CALL, SpatialError, ImportError):
        settings = SimulationSettings(
            scenes, seed, views, questions, split_fractions, folders, shards, shard_images, varied,
            mixture,
        )  # fmt: skip
    _report(_make(SimulationRun(settings, out), workers), out, mixture)
    return None


def _refuse_words(varied: Randomization, bag: Path | None, benchmark: int | None) -> None:
    """Words of a hall are for data sets; recordings and benchmarks have their own."""
    if bag is not None:
        varied.refuse_words("a recording")
    if benchmark is not None:
        varied.refuse_words("a set in the layout of SpatialRGPT-Bench")


def _benchmark_set(
    spatialrgpt_bench: int | None, hispatial_tasks: int | None, seed: int, varied: Randomization
) -> BenchmarkSet | None:
    """The set whose number of questions is set; None if neither is."""
    if spatialrgpt_bench is not None and hispatial_tasks is not None:
        raise typer.BadParameter("--spatialrgpt-bench cannot be combined with --hispatial-tasks")
    if spatialrgpt_bench is not None:
        return BenchmarkSet(SPATIALRGPT_SET, spatialrgpt_bench, seed, varied)
    if hispatial_tasks is not None:
        return BenchmarkSet(HISPATIAL_SET, hispatial_tasks, seed, varied)
    return None


def _write_benchmark(made: BenchmarkSet, out: Path) -> None:
    with exit_on(WRONG_CALL, SpatialError, ImportError), work_progress() as progress:
        task = progress.add_task("questions", total=made.questions)
        made.write(out, lambda done: progress.update(task, completed=done))


def _report(summary: SimulationSummary | None, out: Path, mixture: str | None) -> None:
    if summary is None:
        typer.echo(f"{out} is already complete.")
    else:
        Console().print(_table(summary, _names(mixture)))


def parse_fractions(text: str) -> tuple[float, float, float]:
    """Three fractions from "0.9,0.05,0.05".

    Raises:
        ValueError: not three numbers.
    """
    try:
        train, val, test = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ValueError(f"expected three fractions such as 0.9,0.05,0.05, got {text!r}") from error
    return train, val, test


def parse_image_size(text: str) -> tuple[int, int]:
    """Width and height in pixels from "640x480".

    Raises:
        ValueError: not two integers.
    """
    try:
        width, height = (int(part) for part in text.lower().split("x"))
    except ValueError as error:
        raise ValueError(f"expected a size such as 640x480, got {text!r}") from error
    return width, height


def _randomization(path: Path | None, image_size: str) -> Randomization:
    varied = read_randomization(path) if path else Randomization()
    if not image_size:
        return varied
    width, height = parsed("--image-size", parse_image_size, image_size)
    return replace(varied, camera=replace(varied.camera, width=width, height=height))


def _make(run: SimulationRun, workers: int) -> SimulationSummary | None:
    """Generate what is missing; None if nothing was. Prints errors with how to resume."""
    with resumable(run.root), run.locked():
        return None if run.is_complete else _make_with_progress(run, workers)


def _make_with_progress(run: SimulationRun, workers: int) -> SimulationSummary:
    total, missing = run.settings.scenes, len(run.missing_scenes())
    with work_progress() as progress:
        task = progress.add_task("scenes", total=total, completed=total - missing)
        for _ in run.make_scenes(workers):
            progress.advance(task)
        progress.update(task, description="choosing questions")
        return run.finish()


def _names(mixture: str | None) -> list[str]:
    """What questions are counted by."""
    return list(CATEGORIES if mixture is None else MIXTURES[mixture].families)


def _table(summary: SimulationSummary, names: list[str]) -> Table:
    splits = [split for split in SPLITS if split in summary.images]
    rows = [("images", [summary.images[split] for split in splits])]
    rows += [(name, [summary.questions[split][name] for split in splits]) for name in names]
    if len(rows) <= MOST_COLUMNS:
        names, splits = splits, [name for name, _ in rows]
        rows = [
            (split, [numbers[place] for _, numbers in rows]) for place, split in enumerate(names)
        ]
    table = Table("", *splits)
    for name, numbers in rows:
        table.add_row(name, *map(str, numbers))
    return table
