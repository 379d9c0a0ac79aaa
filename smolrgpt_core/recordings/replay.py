"""Answers questions about a recording as the query node would have answered them, without ROS.

Frames are put together, decoded and asked about by the same code as in the node. What differs is
what only a running node has: a clock (`max_age` is not applied), a queue (no BUSY), and a buffer
that forgets; a replay has seen the whole recording.
"""

from __future__ import annotations

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import Answerer, answers_about
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.question import SpatialQuestion, read_question
from smolrgpt_core.recordings.asked import AskedQuestion
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.frame_source import FrameSource
from smolrgpt_core.recordings.options import ReplayOptions
from smolrgpt_core.recordings.passes import StampedMessage
from smolrgpt_core.recordings.synchronisation import (
    Moment,
    Synchronised,
    moment_at,
    read_moments,
    synchronise,
)
from smolrgpt_core.recordings.topics import choose_topics

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""Called with the number of frames that were asked about, and of all."""


@dataclass(frozen=True)
class ReplayedAnswer:
    """One question about one frame.

    Attributes:
        index: of the question.
        answer: or the refusal.
        stamp_ns: of the frame; 0 if none was looked at.
        frame_id: its optical frame.
    """

    index: int
    answer: SpatialAnswer
    stamp_ns: int = 0
    frame_id: str = ""


@dataclass(frozen=True)
class Replay:
    """What came of a recording.

    Attributes:
        answers: in the order of the questions, then of the frames.
        damage: where and why the recording ends early; empty if it is whole.
        images: number of colour images in the recording.
        left_out: of them, those that belong to no complete frame, by reason.
        notes: what is wrong with the stamps of the recording.
        label_changes: labels that were read as classes.
    """

    answers: tuple[ReplayedAnswer, ...]
    damage: str
    images: int
    left_out: Counter[str]
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
        questions: with the stamps that they ask about.
        answerer: as in the node.
        options: how the recording is read.
        progress: is told about every frame.

    Raises:
        SpatialError: BAD_INPUT when the recording cannot be read, or topics cannot be told.
    """
    with BagReader(recording) as bag:
        choice = choose_topics(bag, options.topics)
        found = synchronise(bag, choice.by_input, options.sync_tolerance_s)
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
            left_out=found.left_out,
            notes=found.notes,
            label_changes=source.label_changes,
        )


def answer_asked(
    answerer: Answerer, frame: RGBDFrame, asked: Sequence[AskedQuestion]
) -> list[SpatialAnswer]:
    """Answers to questions about one frame, refusals too, as the query node gives them."""
    read = [_read(item, frame) for item in asked]
    questions = [item for item in read if isinstance(item, SpatialQuestion)]
    given = iter(_given(answerer, frame, questions))
    answers = []
    for item, question in zip(asked, read, strict=True):
        result = next(given) if isinstance(question, SpatialQuestion) else question
        if isinstance(result, SpatialError):
            known = question if isinstance(question, SpatialQuestion) else None
            result = _refusal(result, item, known)
        answers.append(result)
    return answers


def _assign(
    questions: Sequence[AskedQuestion], found: Synchronised, options: ReplayOptions
) -> tuple[list[tuple[Moment, list[int]]], list[ReplayedAnswer]]:
    """Moments to ask about, each with its questions, and refusals of those that have none."""
    indices: defaultdict[StampedMessage, list[int]] = defaultdict(list)
    refused = []
    for index, asked in enumerate(questions):
        try:
            newest_or_stamped = moment_at(found, asked.stamp_ns, options.sync_tolerance_s)
        except SpatialError as error:
            refused.append(ReplayedAnswer(index, _refusal(error, asked)))
            continue
        every = options.every_frame and not asked.stamp_ns
        for moment in found.moments if every else [newest_or_stamped]:
            indices[moment.image].append(index)
    plan = [(item, indices[item.image]) for item in found.moments if item.image in indices]
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
        refusals = [_refusal(error, item) for item in asked]
        return [ReplayedAnswer(*item) for item in zip(indices, refusals, strict=True)]
    answers = answer_asked(answerer, frame, asked)
    return [
        ReplayedAnswer(index, answer, frame.stamp_ns, frame.frame_id)
        for index, answer in zip(indices, answers, strict=True)
    ]


def _read(asked: AskedQuestion, frame: RGBDFrame) -> SpatialQuestion | SpatialError:
    try:
        return read_question(asked.text, frame.regions, asked.category, asked.region_ids)
    except SpatialError as error:
        return error


def _given(
    answerer: Answerer, frame: RGBDFrame, questions: Sequence[SpatialQuestion]
) -> list[SpatialAnswer | SpatialError]:
    """What the answerer says; a fault of its own is the answer MODEL_ERROR, as in the node."""
    if not questions:
        return []
    try:
        return answers_about(answerer, frame, questions)
    except Exception as error:
        logger.exception("the answerer failed")
        failure = SpatialError(Status.MODEL_ERROR, f"the answerer failed with {error!r}")
        return [failure] * len(questions)


def _refusal(
    error: SpatialError, asked: AskedQuestion, question: SpatialQuestion | None = None
) -> SpatialAnswer:
    refusal = SpatialAnswer.refusal(error, question)
    return refusal if question else replace(refusal, category=asked.category)
