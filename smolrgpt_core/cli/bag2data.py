"""`smolrgpt bag2data`: converts a recording into a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from smolrgpt_core.cli import options
from smolrgpt_core.cli.option_groups import LabelOptions, SensorOptions, TopicOptions, grouped
from smolrgpt_core.cli.options import writing
from smolrgpt_core.cli.progress import count_progress
from smolrgpt_core.data.warehouse_format import SPLITS
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.recordings.motion import MotionConfig
from smolrgpt_core.recordings.options import RecordingOptions
from smolrgpt_core.text_tables import counts_table

if TYPE_CHECKING:
    from smolrgpt_core.recordings.report import RecordingReport

NOTHING_WRITTEN = 1
"""Exit status when no data set was written."""

DAMAGED = 3
"""Exit status when the recording is damaged and only its readable part was used."""

Bag = Annotated[
    Path,
    typer.Argument(help="ROS 2 recording: a folder, or a .db3 or .mcap file.", show_default=False),
]
Out = Annotated[Path, typer.Option(help="Folder of the data set; must not exist.")]
SyncTolerance = Annotated[
    float,
    typer.Option(
        help="Maximum difference between the stamps of rgb, depth and regions, in seconds.", min=0
    ),
]
MinChange = Annotated[
    float,
    typer.Option(
        help="Fraction of the image that must differ from the last selected frame; 0 selects all.",
        min=0,
        max=1,
    ),
]
Every = Annotated[int, typer.Option(help="Use only every N-th complete frame.", min=1)]
Limit = Annotated[int, typer.Option(help="Maximum number of frames to write; 0 for all.", min=0)]
Split = Annotated[str, typer.Option(help=f"Split for the whole recording: {', '.join(SPLITS)}.")]
Questions = Annotated[int, typer.Option(help="Maximum number of questions per frame.", min=1)]
Reviewed = Annotated[
    Path | None,
    typer.Option(
        help="File of recorded questions with corrected answers.",
        exists=True,
        dir_okay=False,
    ),
]
Seed = Annotated[
    int, typer.Option(help="Random seed for the choice and wording of questions.", min=0)
]


@grouped
def bag2data(
    *,
    bag: Bag,
    out: Out,
    topics: TopicOptions,
    labeling: LabelOptions,
    reading: SensorOptions,
    sync_tolerance: SyncTolerance = RecordingOptions.sync_tolerance_s,
    min_change: MinChange = MotionConfig.min_change,
    every: Every = RecordingOptions.every,
    limit: Limit = RecordingOptions.limit,
    split: Split = RecordingOptions.split,
    questions: Questions = RecordingOptions.questions_per_frame,
    seed: Seed = RecordingOptions.seed,
    reviewed: Reviewed = None,
) -> None:
    """Convert a ROS 2 recording into a data set; independent of ROS.

    The answers are measured by geometry from the recorded depth; they are not ground truth.
    Questions that the query node recorded are written to OUT/review/questions.jsonl with the node's
    answers; once a person has filled in the correct ones, --reviewed adds them to the data set.

    The exit status is 0 if the whole recording was read, 1 if nothing was written, 2 for an invalid
    command line, 3 if the recording is damaged and only its readable part was written.
    """
    sensor = reading.sensor()
    with options.wrong_call():
        settings = RecordingOptions(
            topics=topics.choice(),
            labels=labeling.region_labels(),
            sensor=sensor,
            sync_tolerance_s=sync_tolerance,
            motion=MotionConfig(min_change=min_change),
            every=every,
            limit=limit,
            split=split,
            questions_per_frame=questions,
            seed=seed,
            reviewed=_answers(reviewed) if reviewed else None,
        )
    report = _convert(bag, out, settings)
    print_report(report)
    exit_if_damaged(bag, report.damage)


def exit_if_damaged(bag: Path, damage: str) -> None:
    """If only part of a recording was read, print why and exit with DAMAGED.

    Raises:
        typer.Exit: only part of the recording was read.
    """
    if damage:
        typer.echo(f"{bag}: {damage}", err=True)
        raise typer.Exit(DAMAGED)


def _answers(path: Path) -> dict[str, float | int | str]:
    options.require_rosbags(NOTHING_WRITTEN)
    from smolrgpt_core.recordings.review import read_answers

    return read_answers(path)


def _convert(bag: Path, out: Path, settings: RecordingOptions) -> RecordingReport:
    """Convert with a progress bar; every error ends the command."""
    options.require_rosbags(NOTHING_WRITTEN)
    # rosbags is an extra, and takes a second to import.
    from smolrgpt_core.recordings.dataset import convert_recording
    from smolrgpt_core.recordings.report import NoFrameError

    try:
        with count_progress() as bar, writing("--out"):
            task = bar.add_task("reading stamps", total=None)
            return convert_recording(
                bag,
                out,
                settings,
                lambda done, total: bar.update(
                    task, description="frames", completed=done, total=total
                ),
            )
    except NoFrameError as error:
        print_report(error.report)
        typer.echo(f"{bag}: {error.message}", err=True)
        if error.report.damage:
            typer.echo(f"{bag}: {error.report.damage}", err=True)
        raise typer.Exit(NOTHING_WRITTEN) from error
    except SpatialError as error:
        typer.echo(error.message, err=True)
        raise typer.Exit(NOTHING_WRITTEN) from error


def print_report(report: RecordingReport) -> None:
    """Print a table of frames and questions; warnings go to standard error."""
    table = counts_table()
    for name, topic in report.topics.items():
        table.add_row(name, "", topic)
    table.add_section()
    table.add_row("color images", str(report.images), "")
    table.add_row("frames written", str(report.frames), "")
    for reason, count in report.skipped.most_common():
        table.add_row(f"skipped: {reason}", str(count), report.examples.get(reason, ""))
    table.add_section()
    for category, count in sorted(report.questions.items()):
        table.add_row(f"questions: {category}", str(count), "")
    if report.reviewed:
        table.add_row("of them answered by a person", str(report.reviewed), "")
    if report.proposals:
        table.add_row("recorded, to be reviewed", str(report.proposals), "review/questions.jsonl")
    Console().print(table)
    options.report_label_changes(report.label_changes)
    for warning in report.warnings:
        typer.echo(f"warning: {warning}", err=True)
