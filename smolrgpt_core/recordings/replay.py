"""Answers questions about a recording as the query node would, without ROS.

The same code as in the node synchronizes and decodes frames and answers questions. Only a running
node has a clock (`max_age` is not applied here), a queue (no BUSY), and a limited buffer; a replay
has the whole recording.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.asking import AskedQuestion, ask_batch, refusal
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.messages.input_stamps import StampedMessage
from smolrgpt_core.messages.synchronizer import Moment
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.frame_source import FrameSource
from smolrgpt_core.recordings.options import ReplayOptions
from smolrgpt_core.recordings.synchronization import (
    Synchronized,
    moment_at,
    read_moments,
    synchronize,
)
from smolrgpt_core.recordings.topics import choose_topics

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the number of processed frames and of all frames."""


@dataclass(frozen=True)
class ReplayedAnswer:
    """One question about one frame.

    Attributes:
        index: of the question.
        answer: or the refusal.
        stamp_ns: of the frame; 0 if none was used.
        frame_id: its optical frame.
    """

    index: int
    answer: SpatialAnswer
    stamp_ns: int = 0
    frame_id: str = ""


@dataclass(frozen=True)
class Replay:
    """Result of the replay of a recording.

    Attributes:
        answers: in the order of the questions, then of the frames.
        damage: where and why the recording ends early; empty if it is complete.
        images: number of color images in the recording.
        skipped: images that are not part of a complete frame, by reason.
        notes: problems with the stamps of the recording.
        label_changes: labels that were read as classes.
    """

    answers: tuple[ReplayedAnswer, ...]
    damage: str
    images: int
    skipped: Counter[str]
    notes: tuple[str, ...]
    label_changes: Mapping[str, str]


def replay(
    recording: Path,
    questions: Sequence[AskedQuestion],
    answerer: Answerer,
    options: ReplayOptions,
    progress: Progress = lambda done, total: None,
) -> Replay:
    """Answer questions about the frames of a recording.

    Args:
        recording: a ROS 2 bag: a folder, or a `.db3` or `.mcap` file.
        questions: with the stamps that they are about.
        answerer: as in the node.
        options: for reading the recording.
        progress: called for every frame.

    Raises:
        SpatialError: BAD_INPUT when the recording cannot be read, or its topics are ambiguous.
    """
    with BagReader(recording) as bag:
        choice = choose_topics(bag, options.topics)
        found = synchronize(bag, choice.by_input, options.sync_tolerance_s)
        plan, answers = _assign(questions, found, options)
        source = FrameSource(bag, choice, options.labels, options.sensor)
        moments = [moment for moment, _ in plan]
        read = read_moments(bag, choice.by_input, moments)
        for done, (_, serialized) in enumerate(read):
            _, indices = plan[done]
            asked = [questions[index] for index in indices]
            answers += _answers(source, serialized, answerer, indices, asked)
            progress(done + 1, len(moments))
        # Stable, so the frames stay in the order of the recording.
        answers.sort(key=lambda item: item.index)
        return Replay(
            answers=tuple(answers),
            damage=bag.damage,
            images=found.images,
            skipped=found.skipped,
            notes=found.notes,
            label_changes=source.label_changes,
        )


def _assign(
    questions: Sequence[AskedQuestion], found: Synchronized, options: ReplayOptions
) -> tuple[list[tuple[Moment, list[int]]], list[ReplayedAnswer]]:
    """Moments to ask about, each with its questions, and refusals of those that have none."""
    indices: defaultdict[StampedMessage, list[int]] = defaultdict(list)
    refused = []
    for index, asked in enumerate(questions):
        try:
            newest_or_stamped = moment_at(found, asked.stamp_ns, options.sync_tolerance_s)
        except SpatialError as error:
            refused.append(ReplayedAnswer(index, refusal(error, asked)))
            continue
        every = options.every_frame and not asked.stamp_ns
        for moment in found.moments if every else [newest_or_stamped]:
            indices[moment.rgb].append(index)
    plan = [(item, indices[item.rgb]) for item in found.moments if item.rgb in indices]
    return plan, refused


def _answers(
    source: FrameSource,
    serialized: Mapping[str, bytes],
    answerer: Answerer,
    indices: Sequence[int],
    asked: Sequence[AskedQuestion],
) -> list[ReplayedAnswer]:
    """The answers to all questions about one frame."""
    try:
        frame = source.decode(serialized).frame
    except SpatialError as error:
        refusals = [refusal(error, item) for item in asked]
        return [ReplayedAnswer(*item) for item in zip(indices, refusals, strict=True)]
    answers = ask_batch(frame, asked, answerer)
    return [
        ReplayedAnswer(index, answer, frame.stamp_ns, frame.frame_id)
        for index, answer in zip(indices, answers, strict=True)
    ]
