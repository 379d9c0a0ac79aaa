"""Recordings of questions, each with its answer and the frame that it is about.

    /spatial_query/questions   std_msgs/String, a line of `asking.AskedQuestion`
    /spatial_query/answers     smolrgpt_ros/SpatialAnswer, the n-th answers the n-th question
    /spatial_query/mountings   std_msgs/String, a line of `RecordedMounting`, where one is known
    /rgb, /depth, /camera_info, /regions   the frames, as sensors sent them; regions as RegionArray
    /rgb/compressed, /depth/compressedDepth   instead, where they came so

A question has the stamp of the frame that it was asked about, also where the client left that open.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.messages.answers import answer_from_message
from smolrgpt_core.messages.compressed import ALL_RAW, Transports, transported
from smolrgpt_core.messages.types import CAMERA_INFO, REGION_ARRAY, SPATIAL_ANSWER, STRING
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.bag_types import BAG_VERSION, known_types

QUESTIONS, ANSWERS = "/spatial_query/questions", "/spatial_query/answers"
MOUNTINGS = "/spatial_query/mountings"


@dataclass(frozen=True)
class RecordedMounting:
    """Mounting of the camera of a frame, from other sources than depth; see `RGBDFrame`.

    Attributes:
        stamp_ns: of the frame.
        up: in the optical frame; None: unknown.
        camera_height: above the floor, meters; None: unknown.
    """

    stamp_ns: int
    up: tuple[float, ...] | None
    camera_height: float | None

    @classmethod
    def of(cls, frame: RGBDFrame) -> RecordedMounting | None:
        """That of a frame; None where nothing is known."""
        if frame.up is None and frame.camera_height is None:
            return None
        up = None if frame.up is None else tuple(frame.up.tolist())
        return cls(frame.stamp_ns, up, frame.camera_height)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> RecordedMounting:
        """One from its fields.

        Raises:
            KeyError, TypeError, ValueError: they are none.
        """
        up, height = data["up"], data["camera_height"]
        return cls(
            int(data["stamp_ns"]),
            None if up is None else tuple(float(value) for value in up),
            None if height is None else float(height),
        )

    def applied(self, frame: RGBDFrame) -> RGBDFrame:
        """A frame that was read without it."""
        up = None if self.up is None else np.array(self.up)
        return replace(frame, up=up, camera_height=self.camera_height)


class QuestionBagWriter:
    """Writes such a recording. Used by one thread.

    What was written is in the file when `write` returns: a process that is killed loses nothing of
    it, except the index at the end of the file and `metadata.yaml`, which readers can do without.

    Args:
        path: folder of the recording; must not exist.
        transports: how the images of the frames came.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path, transports: Transports = ALL_RAW) -> None:
        self.path = path
        self.bytes_written = 0
        self._types = known_types()
        self._last_ns = 0
        self._mounting: RecordedMounting | None = None
        self._writer = Writer(path, version=BAG_VERSION, storage_plugin=StoragePlugin.MCAP)
        self._writer.open()
        frames = _frame_topics(transports)
        self._topics = {name: topic for name, (topic, _) in frames.items()}
        self._connections = {
            topic: self._writer.add_connection(topic, type_name, typestore=self._types)
            for topic, type_name in [
                *frames.values(),
                (QUESTIONS, STRING),
                (ANSWERS, SPATIAL_ANSWER),
                (MOUNTINGS, STRING),
            ]
        }

    def write(
        self,
        asked: AskedQuestion,
        answer: bytes,
        frame: Mapping[str, bytes],
        mounting: RecordedMounting | None = None,
    ) -> None:
        """Write a question.

        Args:
            asked: with the stamp of its frame.
            answer: serialized `SpatialAnswer`.
            frame: serialized messages of its frame by input, those that are not written yet.
            mounting: of its camera, where it is known.

        Raises:
            OSError: the disk is full, or gone.
        """
        # One time for all of them shows that they belong together; but readers order messages by
        # time, so no two may have the same.
        self._last_ns = max(self._last_ns, time.time_ns())
        for name, content in frame.items():
            self._write(self._topics[name], content)
        if mounting is not None and mounting != self._mounting:
            self._mounting = mounting
            self._write_json(MOUNTINGS, asdict(mounting))
        self._write_json(QUESTIONS, asked.to_json())
        self._write(ANSWERS, answer)
        self._flush()

    def close(self) -> None:
        """Write index and metadata.

        Raises:
            OSError: the disk is full, or gone.
        """
        self._writer.close()

    def abort(self) -> None:
        """Let go of the file as it is, after an error."""
        self._writer.abort()

    def _write_json(self, topic: str, content: Mapping[str, Any]) -> None:
        message = self._types.types[STRING](data=json.dumps(content))
        self._write(topic, bytes(self._types.serialize_cdr(message, STRING)))

    def _write(self, topic: str, content: bytes) -> None:
        self._last_ns += 1
        self._writer.write(self._connections[topic], self._last_ns, content)
        self.bytes_written += len(content)

    def _flush(self) -> None:
        # rosbags collects a megabyte before it writes, which a killed process would lose.
        storage: Any = self._writer.storage
        storage.close_chunk()
        storage.bio.flush()


def _frame_topics(transports: Transports) -> dict[str, tuple[str, str]]:
    """Topic and type of each input."""
    images = {name: transported(f"/{name}", way) for name, way in transports.items()}
    others = {"camera_info": CAMERA_INFO, "regions": REGION_ARRAY}
    return {**images, **{name: (f"/{name}", kind) for name, kind in others.items()}}


@dataclass(frozen=True)
class RecordedQuestion:
    """A question of a recording.

    Attributes:
        number: of the question in its recording, from 0.
        asked: with the stamp of its frame.
        answer: that was given.
    """

    number: int
    asked: AskedQuestion
    answer: SpatialAnswer


def read_recorded_questions(bag: BagReader) -> list[RecordedQuestion]:
    """The questions of a recording with their answers; empty if it has none.

    Raises:
        SpatialError: BAD_INPUT when a question or an answer cannot be read.
    """
    types = {topic.name: topic.type_name for topic in bag.topics}
    if (types.get(QUESTIONS), types.get(ANSWERS)) != (STRING, SPATIAL_ANSWER):
        return []
    messages: dict[str, list[Any]] = {QUESTIONS: [], ANSWERS: []}
    for topic, _, serialized in bag.messages(list(messages)):
        messages[topic].append(bag.decode(topic, serialized))
    # A recording that was cut may end with a question without its answer.
    pairs = zip(messages[QUESTIONS], messages[ANSWERS], strict=False)
    return [_recorded(number, *pair) for number, pair in enumerate(pairs)]


def read_mountings(bag: BagReader) -> dict[int, RecordedMounting]:
    """What is known of how the camera is mounted, by the stamp of the frame.

    Raises:
        SpatialError: BAD_INPUT when one cannot be read.
    """
    if MOUNTINGS not in {topic.name for topic in bag.topics if topic.type_name == STRING}:
        return {}
    found = {}
    for topic, _, serialized in bag.messages([MOUNTINGS]):
        try:
            mounting = RecordedMounting.from_json(json.loads(bag.decode(topic, serialized).data))
        except (KeyError, TypeError, ValueError) as error:
            raise bad_input(
                f"a message on {MOUNTINGS} is not a camera mounting: {error}"
            ) from error
        found[mounting.stamp_ns] = mounting
    return found


def _recorded(number: int, question: Any, answer: Any) -> RecordedQuestion:
    try:
        asked = AskedQuestion.from_json(json.loads(question.data))
    except ValueError as error:
        raise bad_input(f"question {number} of the recording is not valid JSON: {error}") from error
    try:
        return RecordedQuestion(number, asked, answer_from_message(answer))
    except AttributeError as error:
        raise bad_input(
            f"answer {number} of the recording is from another version of smolrgpt_ros ({error}); "
            "replay it with that version, or record again",
        ) from error
