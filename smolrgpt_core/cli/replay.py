"""`smolrgpt replay`: what the query node would answer about the frames of a recording."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from smolrgpt_core.answerer_settings import ModelSettings
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.asking import AskedQuestion, read_questions, stamp_to_json
from smolrgpt_core.cli import options
from smolrgpt_core.cli.ask import answer_as_json
from smolrgpt_core.cli.bag2data import (
    SyncTolerance,
    exit_if_damaged,
)
from smolrgpt_core.cli.exits import exit_on
from smolrgpt_core.cli.option_groups import (
    FusionOptions,
    LabelOptions,
    SensorOptions,
    TopicOptions,
    grouped,
)
from smolrgpt_core.cli.options import writing
from smolrgpt_core.cli.progress import count_progress
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_file
from smolrgpt_core.recordings.options import ReplayOptions

if TYPE_CHECKING:
    from smolrgpt_core.recordings.replay import Replay, ReplayedAnswer

NOT_READ = 1
"""Exit status when the recording cannot be read."""

NamedQuestions = list[tuple[dict[str, Any], AskedQuestion]]
"""Questions, each with what its line of output begins with."""

BagOrZip = Annotated[
    Path,
    typer.Argument(
        help="ROS 2 recording: a folder, a .db3 or .mcap file, or a .zip that smolrgpt page "
        "exported.",
        show_default=False,
    ),
]
Questions = Annotated[
    Path | None,
    typer.Option(
        help="JSON Lines file of questions (question, category, region_ids, stamp), or a .txt file "
        "with a question per line. By default the questions that the query node recorded.",
        exists=True,
        dir_okay=False,
    ),
]
EveryFrame = Annotated[
    bool,
    typer.Option(
        "--every-frame",
        help="Ask questions without a stamp about every frame, not only about the latest one.",
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(help="File for the answers; written completely or not at all.", dir_okay=False),
]


@grouped
def replay_command(
    *,
    bag: BagOrZip,
    questions: Questions = None,
    out: Out = None,
    every_frame: EveryFrame = False,
    answerer: options.AnswererName = "",
    checkpoint: options.Checkpoint = "",
    device: options.Device = ModelSettings.device,
    dtype: options.Dtype = ModelSettings.dtype,
    answer_style: options.AnswerStyle = ModelSettings.answer_style,
    preference: FusionOptions,
    object_sizes: options.ObjectSizes = "",
    topics: TopicOptions,
    labeling: LabelOptions,
    reading: SensorOptions,
    sync_tolerance: SyncTolerance = ReplayOptions.sync_tolerance_s,
) -> None:
    """Answer questions about a recording as the query node would; independent of ROS.

    Each answer, including refusals, is a line of JSON. The exit status is 0 if the whole recording
    was read, 1 if it cannot be read, 2 for an invalid command line, 3 if it is damaged and only its
    readable part was used.
    """
    sensor = reading.sensor()
    region_labels = labeling.region_labels()
    fusion = preference.settings()
    with options.wrong_call():
        named = _named_questions(questions) if questions else None
        replay_options = ReplayOptions(
            topics.choice(), region_labels, sensor, sync_tolerance, every_frame
        )
    settings = options.model_settings(device, dtype, answer_style)
    chosen = options.chosen_answerer(answerer, checkpoint, fusion, settings, object_sizes)
    with _opened(bag) as recording:
        found, asked = _replay(recording, named, chosen, replay_options)
    options.report_label_changes(found.label_changes)
    _print([_line(item, *asked[item.index]) for item in found.answers], out)
    _print_skipped(found)
    exit_if_damaged(bag, found.damage)


@contextmanager
def _opened(bag: Path) -> Iterator[Path]:
    """The recording, unpacked if it is a zip; what cannot be unpacked ends the command."""
    options.require_rosbags(NOT_READ)
    from smolrgpt_core.recordings.zipped import unzipped

    with exit_on(NOT_READ, SpatialError), unzipped(bag) as recording:
        yield recording


def _named_questions(path: Path) -> NamedQuestions:
    return [({"line": line}, asked) for line, asked in read_questions(path)]


def _replay(
    recording: Path, named: NamedQuestions | None, answerer: Answerer, replay_options: ReplayOptions
) -> tuple[Replay, NamedQuestions]:
    """Replay with a progress bar.

    Raises:
        SpatialError: BAD_INPUT when the recording cannot be read.
    """
    # rosbags is an extra, and takes a second to import.
    from smolrgpt_core.recordings.replay import replay

    with count_progress(transient=True) as bar:
        task = bar.add_task("frames", total=None)
        asked = _recorded_questions(recording) if named is None else named
        found = replay(
            recording,
            [question for _, question in asked],
            answerer,
            replay_options,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
        return found, asked


def _recorded_questions(bag: Path) -> NamedQuestions:
    """Named like their proposals of `bag2data`, beside the answers that were given."""
    from smolrgpt_core.recordings.bag_reader import BagReader
    from smolrgpt_core.recordings.question_bag import read_recorded_questions
    from smolrgpt_core.recordings.review import question_id

    with BagReader(bag) as reader:
        recorded = read_recorded_questions(reader)
    if not recorded:
        raise typer.BadParameter(
            f"{bag} has no recorded questions; pass a file with questions", param_hint="--questions"
        )
    names = [question_id(bag.stem, item.number) for item in recorded]
    answers = [answer_as_json(item.answer, item.asked.text) for item in recorded]
    return [
        ({"id": name, "recorded": answer}, item.asked)
        for name, answer, item in zip(names, answers, recorded, strict=True)
    ]


def _line(item: ReplayedAnswer, name: dict[str, Any], asked: AskedQuestion) -> dict[str, Any]:
    return {
        **name,
        "stamp": stamp_to_json(item.stamp_ns),
        "frame_id": item.frame_id,
        **answer_as_json(item.answer, asked.text),
    }


def _print_skipped(found: Replay) -> None:
    """Print the skipped images by reason, and warnings, to standard error."""
    for reason, count in found.skipped.most_common():
        typer.echo(f"skipped {count} of {found.images} color images: {reason}", err=True)
    for note in found.notes:
        typer.echo(f"warning: {note}", err=True)


def _print(lines: list[dict[str, Any]], out: Path | None) -> None:
    content = "".join(f"{json.dumps(line)}\n" for line in lines)
    if out is None:
        typer.echo(content, nl=False)
        return
    with writing("--out"):
        write_file(out, content.encode())
