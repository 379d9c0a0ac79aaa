"""Turns a recording into a data set in the layout of `data.warehouse_format`.

The answers are measured by geometry from the recorded depth. They are not ground truth: a model
trained on them learns what geometry measures, and a score against them shows how well it agrees
with geometry. `SPLIT/provenance.json` states this, and which answers are from a person.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from smolrgpt_core.data.records import AnsweredQuestion, encode_masks, question_record
from smolrgpt_core.data.warehouse_format import CameraRecord, SplitFolder, WarehouseRecord
from smolrgpt_core.depth import DepthUnitError
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import new_folder, write_file
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.messages.synchronizer import Moment
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.bag_types import BrokenMessageError
from smolrgpt_core.recordings.frame_source import FrameSource, RecordedFrame
from smolrgpt_core.recordings.motion import MotionFilter
from smolrgpt_core.recordings.options import RecordingOptions
from smolrgpt_core.recordings.question_bag import read_recorded_questions
from smolrgpt_core.recordings.report import NoFrameError, RecordingReport
from smolrgpt_core.recordings.review import FOLDER as REVIEW_FOLDER
from smolrgpt_core.recordings.review import Review, ReviewedQuestion
from smolrgpt_core.recordings.synchronization import Synchronized, read_moments, synchronize
from smolrgpt_core.recordings.topics import choose_topics
from smolrgpt_core.scene.measured_scene import MeasuredScene
from smolrgpt_core.synthesis import QuestionWithTruth, generate_questions
from smolrgpt_core.synthesis.balance import Balancer

ANSWERS_NOTE = (
    "Answers are measured by geometry from the recorded depth. They are not ground truth: a score "
    "against them shows how well an answerer agrees with geometry."
)

CANDIDATES_PER_FORM = 3

BROKEN = "message cannot be decoded"
WRONG_UNIT = "wrong depth unit"
FROZEN = "depth or color stands still"
UNUSABLE = "messages do not fit"
NO_MOTION = "too little change"
NO_QUESTION = "no clear question"
NOT_EVERY = "between the selected frames"
OVER_LIMIT = "after the limit"

Progress = Callable[[int, int], None]
"""Called with the number of processed frames and of all frames."""


def convert_recording(
    recording: Path,
    out: Path,
    options: RecordingOptions,
    progress: Progress = lambda done, total: None,
) -> RecordingReport:
    """Convert a recording to a data set, which is complete or not written at all.

    Args:
        recording: a ROS 2 bag: a folder, or a `.db3` or `.mcap` file.
        out: folder of the data set; must not exist.
        options: for the conversion.
        progress: called for every frame.

    Raises:
        NoFrameError: no frame can be used; nothing was written.
        SpatialError: BAD_INPUT when the recording cannot be read, or its topics are ambiguous.
        OSError: the data set cannot be written.
    """
    with new_folder(out) as folder, BagReader(recording) as bag:
        choice = choose_topics(bag, options.topics)
        by_input = choice.by_input
        synchronized = synchronize(bag, by_input, options.sync_tolerance_s)
        report = _opened_report(synchronized, asdict(choice))
        moments = synchronized.moments[:: options.every]
        skipped = len(synchronized.moments) - len(moments)
        if skipped:
            report.leave_out(NOT_EVERY, count=skipped)
        writer = _SplitWriter(SplitFolder(folder, options.split), recording.stem, options)
        source = FrameSource(bag, choice, options.labels, options.sensor)
        motion = MotionFilter(options.motion)
        recorded = read_recorded_questions(bag)
        review = Review(folder / REVIEW_FOLDER, recording.stem, recorded, options.reviewed)
        for done, (moment, serialized) in enumerate(read_moments(bag, by_input, moments)):
            if options.limit and report.frames == options.limit:
                report.leave_out(OVER_LIMIT, count=len(moments) - done)
                break
            _convert(source, motion, review, writer, report, moment, serialized)
            progress(done + 1, len(moments))
        report.damage = bag.damage
        report.label_changes = source.label_changes
        _finish(review, writer, report)
    return report


def _opened_report(synchronized: Synchronized, topics: Mapping[str, str]) -> RecordingReport:
    """What is known before the first frame is read."""
    report = RecordingReport(synchronized.images, skipped=synchronized.skipped)
    report.topics = {name: topic for name, topic in topics.items() if topic}
    for note in synchronized.notes:
        report.warn(note)
    return report


def _finish(review: Review, writer: _SplitWriter, report: RecordingReport) -> None:
    """Write what belongs to all frames; refuse a data set without any."""
    review.finish()
    report.proposals = review.proposals
    if review.unused:
        report.warn(f"no usable frame for the answers {', '.join(sorted(review.unused))}")
    if not report.frames and not report.proposals:
        raise NoFrameError(report)
    writer.finish(report)


def _convert(
    source: FrameSource,
    motion: MotionFilter,
    review: Review,
    writer: _SplitWriter,
    report: RecordingReport,
    moment: Moment,
    serialized: Mapping[str, bytes],
) -> None:
    """Write one frame, or report why not."""
    try:
        recorded = source.decode(serialized)
    except BrokenMessageError as error:
        return report.leave_out(BROKEN, str(error))
    except DepthUnitError as error:
        return report.leave_out(WRONG_UNIT, str(error))
    except SpatialError as error:
        return report.leave_out(UNUSABLE, str(error))
    if recorded.frame.depth_doubt:
        return report.leave_out(FROZEN, recorded.frame.depth_doubt)
    for warning in recorded.warnings:
        report.warn(warning)
    reviewed = review.questions(recorded.frame)
    if not motion.choose(recorded.frame) and not reviewed:
        return report.leave_out(NO_MOTION)
    questions = writer.write(recorded, moment, reviewed)
    if not questions:
        return report.leave_out(NO_QUESTION)
    report.frames += 1
    report.reviewed += len(reviewed)
    report.questions.update(question.category.name.lower() for question in questions)
    return None


@dataclass
class _SplitWriter:
    """Writes frames with their questions; records and calibrations at the end."""

    folder: SplitFolder
    name: str
    options: RecordingOptions
    records: list[WarehouseRecord] = field(default_factory=list)
    cameras: dict[str, CameraRecord] = field(default_factory=dict)
    origins: dict[str, dict[str, Any]] = field(default_factory=dict)
    reviewed_ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._rng = np.random.default_rng(self.options.seed)
        self._balancer = Balancer()

    def write(
        self, recorded: RecordedFrame, moment: Moment, reviewed: Sequence[ReviewedQuestion]
    ) -> list[AnsweredQuestion]:
        """Write a frame; without an unambiguous question about it, nothing is written.

        Args:
            recorded: the frame.
            moment: its messages.
            reviewed: questions about it with a person's answers.
        """
        frame = recorded.frame
        measured = self._questions(frame)
        questions: list[AnsweredQuestion] = [*measured, *reviewed]
        if not questions:
            return []
        image = f"{self.name}_{len(self.cameras):06}.png"
        self.folder.write_frame(image, frame.rgb, frame.depth, recorded.meters_per_unit)
        self.cameras[image] = CameraRecord(frame.intrinsics, recorded.meters_per_unit)
        self.origins[image] = {"stamp_ns": moment.stamp_ns, "frame_id": frame.frame_id}
        rle = encode_masks(frame.regions, {id for item in questions for id in item.region_ids})
        ids = [f"{Path(image).stem}_{number}" for number in range(len(measured))]
        ids += [question.id for question in reviewed]
        self.records += [
            question_record(id, image, question, rle)
            for id, question in zip(ids, questions, strict=True)
        ]
        self.reviewed_ids += [question.id for question in reviewed]
        return questions

    def finish(self, report: RecordingReport) -> None:
        """Write what belongs to all frames."""
        self.folder.write_cameras(self.cameras)
        provenance = {
            "recording": self.name,
            "answers": ANSWERS_NOTE,
            "answered_by_a_person": self.reviewed_ids,
            "report": report.to_json(),
            "options": asdict(self.options),
            "images": self.origins,
        }
        path = self.folder.root / self.folder.split / "provenance.json"
        write_file(path, json.dumps(provenance, indent=1).encode())
        self.folder.write_records(self.records)

    def _questions(self, frame: RGBDFrame) -> list[QuestionWithTruth]:
        geometry = FrameGeometry(frame)
        if geometry.plane is None:
            return []
        candidates = generate_questions(
            MeasuredScene(geometry),
            self._rng,
            self.options.margins,
            per_form=CANDIDATES_PER_FORM,
        )
        chosen = self._balancer.choose(candidates, self.options.questions_per_frame)
        return [candidates[index] for index in chosen]
