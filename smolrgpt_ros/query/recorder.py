"""Records questions, answers and their frames without slowing down the node.

Writing has its own thread behind a queue of limited length: when the disk is slower than the
questions, records are dropped and counted, never answers. An error of the disk ends the recording,
not the service. The file format is that of `smolrgpt_core.recordings.question_bag`.
"""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from rclpy.impl.rcutils_logger import RcutilsLogger
from rclpy.serialization import serialize_message
from std_msgs.msg import Header

from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.messages.compressed import ALL_RAW, Transports
from smolrgpt_core.messages.input_stamps import StampedMessage
from smolrgpt_core.messages.stamps import INPUTS
from smolrgpt_core.messages.synchronizer import Moment
from smolrgpt_core.recordings.question_bag import QuestionBagWriter, RecordedMounting
from smolrgpt_core.regions import RegionSet
from smolrgpt_ros.messages.conversions import regions_to_array, time_from_ns
from smolrgpt_ros.msg import SpatialAnswer

QUEUE_LENGTH = 32
"""Length of the queue; 50 MB of 640x480 frames if each record has its own."""

REMEMBERED = 10_000
"""Number of written messages to remember: more than any frame buffer holds."""

CLOSE_S = 6.0
"""Time to write the queue at the end."""


@dataclass(frozen=True)
class _Record:
    """Everything recorded about one question."""

    asked: AskedQuestion
    answer: SpatialAnswer
    samples: Moment
    regions: RegionSet | None
    mounting: RecordedMounting | None


class QuestionRecorder:
    """Records from construction to `close`. The recording appears with the first question.

    Args:
        folder: for recordings; each gets its own folder, named after the time (UTC).
        region_source: of the node; regions are always recorded as `RegionArray`.
        limit_bytes: size at which a recording ends; 0 = unlimited.
        logger: for a recording that ends early.
        transports: of the images, as received and recorded.

    Attributes:
        written: number of questions in the recording.
        lost: number of questions that are not, because the disk was too slow or failed.
        failure: why recording has ended; empty while recording.
    """

    def __init__(
        self,
        folder: Path,
        region_source: str,
        limit_bytes: int,
        logger: RcutilsLogger,
        transports: Transports = ALL_RAW,
    ) -> None:
        self.written = 0
        self.lost = 0
        self.failure = ""
        self._folder = folder
        self._region_source = region_source
        self._limit_bytes = limit_bytes
        self._logger = logger
        self._transports = transports
        self._bag: QuestionBagWriter | None = None
        self._known: OrderedDict[tuple[str, int, float], None] = OrderedDict()
        self._queue: queue.Queue[_Record | None] = queue.Queue(QUEUE_LENGTH)
        self._counting = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def record(
        self,
        asked: AskedQuestion,
        answer: SpatialAnswer,
        samples: Moment,
        regions: RegionSet | None,
        mounting: RecordedMounting | None = None,
    ) -> None:
        """Record a question; returns immediately.

        Args:
            asked: with the stamp of its frame.
            answer: as sent.
            samples: the messages of its frame.
            regions: as received, decoded; None if the frame could not be decoded.
            mounting: of the camera; None if unknown.
        """
        try:
            if self._closing.is_set():
                raise queue.Full
            self._queue.put_nowait(_Record(asked, answer, samples, regions, mounting))
        except queue.Full:
            self._lose()

    def close(self, timeout_s: float = CLOSE_S) -> None:
        """Write the queue, and end the recording, within the given time."""
        deadline = time.monotonic() + timeout_s
        self._closing.set()
        with contextlib.suppress(queue.Full):  # reported below: the thread is then alive
            self._queue.put(None, timeout=timeout_s)
        self._thread.join(max(deadline - time.monotonic(), 0.0))
        if self._thread.is_alive():
            self._logger.error(
                f"the disk is too slow to finish the recording in time: {self._queue.qsize()} "
                f"questions were lost; the others are in {self._folder}"
            )

    def diagnostic(self, name: str) -> DiagnosticStatus:
        """OK, WARN when questions were lost, ERROR when the recording has failed."""
        level, message = DiagnosticStatus.OK, "recording"
        if self.lost:
            level = DiagnosticStatus.WARN
            message = "questions arrive faster than they can be written"
        if self.failure:
            level, message = DiagnosticStatus.ERROR, self.failure
        values = {
            "folder": str(self._folder),
            "written": self.written,
            "lost": self.lost,
            "waiting": self._queue.qsize(),
        }
        return DiagnosticStatus(
            name=name,
            level=level,
            message=message,
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )

    def _run(self) -> None:
        for record in iter(self._queue.get, None):
            if self.failure:
                self._lose()
                continue
            try:
                self._write(record)
            except Exception as error:
                self._lose()
                self._end(f"recording ended: {error}; free some space, and activate again")
        self._finish()

    def _write(self, record: _Record) -> None:
        if self._bag is None:
            self._bag = QuestionBagWriter(self._folder / _new_name(), self._transports)
        messages = self._new_messages(record)
        answer = serialize_message(record.answer)
        self._bag.write(record.asked, answer, messages, record.mounting)
        self.written += 1
        if self._limit_bytes and self._bag.bytes_written >= self._limit_bytes:
            self._end(
                f"recording ended at {self._limit_bytes / 1e9:g} GB (record_limit): raise it, "
                "or move the recording away, and activate again"
            )

    def _new_messages(self, record: _Record) -> dict[str, bytes]:
        """Messages of the frame that are not yet in the recording, by input."""
        messages = {}
        for name in INPUTS:
            sample: StampedMessage = getattr(record.samples, name)
            # After a reset of simulated time another message may have the same stamp.
            key = (name, sample.stamp_ns, sample.received_ns)
            if key in self._known:
                continue
            content = self._serialized(name, sample, record)
            if content is not None:
                messages[name] = content
                self._known[key] = None
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return messages

    def _serialized(self, name: str, sample: StampedMessage, record: _Record) -> bytes | None:
        """A message as recorded; None for regions that could not be decoded."""
        if name != "regions" or self._region_source == "regions":
            return bytes(sample.payload)
        if record.regions is None:
            return None
        frame_id = record.answer.header.frame_id
        header = Header(stamp=time_from_ns(sample.stamp_ns), frame_id=frame_id)
        return bytes(serialize_message(regions_to_array(record.regions, header)))

    def _lose(self) -> None:
        with self._counting:
            self.lost += 1

    def _end(self, failure: str) -> None:
        """Stop recording."""
        self.failure = failure
        self._logger.error(failure)
        self._finish()

    def _finish(self) -> None:
        """Complete the file; on a failed disk, everything already written stays readable."""
        bag, self._bag = self._bag, None
        if bag is None:
            return
        try:
            bag.close()
        except Exception as error:
            # The rest of its buffer does not fit either.
            with contextlib.suppress(OSError):
                bag.abort()
            self._logger.error(f"{bag.path} has no index: {error}; it can still be read")


def _new_name() -> str:
    return f"questions_{datetime.now(timezone.utc):%Y%m%d_%H%M%S_%f}"
