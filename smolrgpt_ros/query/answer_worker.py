"""The answering thread: decodes frames and calls the answerer, one frame after another.

Questions wait in the order in which they came. The oldest one decides which frame has its turn, and
takes along those that can be asked about the same frame, up to `max_batch`: the answerer gets them
in one call, with their deadlines. Nobody's question is begun, or goes on, after its deadline.
"""

from __future__ import annotations

import contextlib
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass, field

from rclpy.impl.rcutils_logger import RcutilsLogger

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import Answerer, answers_about
from smolrgpt_core.asking import read_asked
from smolrgpt_core.closing import ClosedError
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import Category, SpatialQuestion
from smolrgpt_core.messages.synchronizer import Moment
from smolrgpt_core.regions import RegionSet
from smolrgpt_ros.inputs.frame_buffer import FrameBuffer, FrameRequest, FrameUnavailableError
from smolrgpt_ros.inputs.frame_decoder import DecodedFrame, FrameDecoder

LOG_PERIOD_S = 10.0
"""Smallest interval of reports about frames that cannot be prepared."""


class AnswererFailedError(Exception):
    """The answerer, or the parser, raised an exception other than `SpatialError`: the cause."""


@dataclass
class Inquiry:
    """One question and its progress.

    Attributes:
        text, category, region_ids: as asked; category None = determined by the text.
        arrived_s: `time.monotonic()` of the request.
        samples, frame, question: set when known.
        warnings: about the messages of the frame.
        facts: how they were processed.
        regions: of the frame as received.
        latency_s: seconds by stage: wait, convert, answer.
    """

    text: str
    category: Category | None
    region_ids: tuple[int, ...]
    arrived_s: float = field(default_factory=time.monotonic)
    samples: Moment | None = None
    frame: RGBDFrame | None = None
    question: SpatialQuestion | None = None
    warnings: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    regions: RegionSet | None = None
    latency_s: dict[str, float] = field(default_factory=dict)

    def elapsed_s(self) -> float:
        """Seconds since the request arrived."""
        return time.monotonic() - self.arrived_s


@dataclass(frozen=True)
class WorkerSettings:
    """Settings of the worker; may be replaced at any time, for the next turn.

    Attributes:
        decoder: of frames.
        max_batch: number of questions in one call of the answerer.
        prepared: the frame to prepare while idle; None: frames are only decoded and encoded when a
            question asks about them.
    """

    decoder: FrameDecoder
    max_batch: int
    prepared: FrameRequest | None = None


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A waiting question with a future for its outcome."""

    inquiry: Inquiry
    request: FrameRequest
    samples: Moment
    outcome: futures.Future[SpatialAnswer] = field(default_factory=futures.Future)

    @property
    def deadline(self) -> float:
        """Deadline by `time.monotonic()`, in seconds."""
        return self.inquiry.arrived_s + self.request.timeout_s

    def left_s(self) -> float:
        """Seconds until its deadline."""
        return self.deadline - time.monotonic()

    def fits(self, samples: Moment, now_ns: int) -> bool:
        """Whether it can be asked about a frame: its own, or, for the latest frame, a newer one."""
        return samples == self.samples or self.request.accepts(samples, now_ns)

    def fail(self, error: Exception) -> None:
        """Set a copy of the error: one raised in several threads would accumulate tracebacks."""
        if isinstance(error, SpatialError):
            self.outcome.set_exception(SpatialError(error.status, error.message))
            return
        failure = AnswererFailedError(str(error))
        failure.__cause__ = error
        self.outcome.set_exception(failure)

    def late(self, cause: str) -> SpatialError:
        """The refusal of a question whose deadline has passed."""
        return SpatialError(
            Status.TIMEOUT,
            f"no answer within {self.request.timeout_s:.3f} s: {cause}; raise the timeout of the "
            "request, or ask less often",
        )


TOO_LATE_FOR_A_TURN = "other questions were answered first"
TOO_LATE_FOR_AN_ANSWER = "the answerer is still busy with it"


class AnswerWorker:
    """Answers inquiries on its own thread, from construction to `close`.

    Args:
        answerer: gives the answers.
        buffer: provides the latest frame; its `on_message` must call `look`.
        now_ns: the clock of the stamps.
        settings: of the worker.
        on_batch: called with the number of questions in each call of the answerer.
        logger: for frames that cannot be prepared.

    Attributes:
        settings: of the worker.
        thread: alive while the answerer may be used; after `close` until it has finished.
    """

    def __init__(
        self,
        answerer: Answerer,
        buffer: FrameBuffer,
        now_ns: Callable[[], int],
        settings: WorkerSettings,
        on_batch: Callable[[int], None],
        logger: RcutilsLogger,
    ) -> None:
        self.settings = settings
        self._answerer = answerer
        self._buffer = buffer
        self._now_ns = now_ns
        self._on_batch = on_batch
        self._logger = logger
        self._waiting: list[_Waiting] = []
        self._answered: list[_Waiting] = []
        self._looked_at: Moment | None = None
        self._prepared: Moment | None = None
        self._has_news = False
        self._closed = False
        self._changed = threading.Condition()
        self.thread = threading.Thread(target=self._run, name="answerer")
        self.thread.start()

    def answer(self, inquiry: Inquiry, request: FrameRequest, samples: Moment) -> SpatialAnswer:
        """Wait for the answer, at most `timeout_s` seconds after the arrival of the request.

        Args:
            inquiry: the question.
            request: which frame it is about.
            samples: the current frame; a request without stamp is answered from the latest one when
                it has its turn.

        Raises:
            SpatialError: TIMEOUT, or whatever the decoder, the question or the answerer raise.
            AnswererFailedError: when the answerer raises anything else.
            ClosedError: when the worker is closed before the question has its turn, or given
                up before it has its answer.
        """
        waiting = _Waiting(inquiry, request, samples)
        with self._changed:
            if self._closed:
                raise ClosedError
            self._waiting.append(waiting)
            self._changed.notify_all()
        futures.wait([waiting.outcome], max(waiting.left_s(), 0.0))
        withdrawn = self._withdraw(waiting)
        try:
            if waiting.outcome.done():
                return waiting.outcome.result()
            raise waiting.late(TOO_LATE_FOR_A_TURN if withdrawn else TOO_LATE_FOR_AN_ANSWER)
        finally:
            # The trace of an error keeps this name, and the outcome keeps the error: a circle with
            # a frame in it, that would stay until the next garbage collection.
            del waiting

    def look(self) -> None:
        """Notify the worker that there may be a new frame."""
        if self.settings.prepared is None:
            return
        with self._changed:
            self._has_news = True
            self._changed.notify_all()

    @property
    def queue_length(self) -> int:
        """Number of waiting questions."""
        return len(self._waiting)

    def close(self) -> None:
        """Finish the questions being answered, drop the waiting ones; returns immediately."""
        with self._changed:
            self._closed = True
            dropped, self._waiting = self._waiting, []
            self._changed.notify_all()
        for waiting in dropped:
            waiting.outcome.set_exception(ClosedError())

    def give_up(self) -> None:
        """After `close`: also drop the questions being answered; the answerer keeps running."""
        for item in list(self._answered):
            with contextlib.suppress(futures.InvalidStateError):  # its answer has just come
                item.outcome.set_exception(ClosedError())

    def _withdraw(self, waiting: _Waiting) -> bool:
        """Remove a question from the queue; returns whether it was still waiting."""
        with self._changed:
            if waiting not in self._waiting:
                return False
            self._waiting.remove(waiting)
            return True

    def _run(self) -> None:
        while self._wait_for_work():
            settings = self.settings
            samples, batch = self._take(settings.max_batch)
            if samples:
                self._answer(samples, batch, settings.decoder)
            elif settings.prepared:
                self._prepare(settings.prepared, settings.decoder)

    def _wait_for_work(self) -> bool:
        """Whether there is a question; otherwise the worker is closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._waiting or self._has_news)
            self._has_news = False
            return not self._closed

    def _take(self, max_batch: int) -> tuple[Moment | None, list[_Waiting]]:
        """The frame of the oldest question, and all questions about it."""
        with self._changed:
            self._refuse_late()
            if not self._waiting:
                return None, []
            head = self._waiting[0]
            samples, now_ns = self._frame_for(head), self._now_ns()
            fitting = [item for item in self._waiting if item is head or item.fits(samples, now_ns)]
            batch = fitting[:max_batch]
            self._waiting = [item for item in self._waiting if item not in batch]
        return samples, batch

    def _refuse_late(self) -> None:
        for item in self._waiting:
            if item.left_s() <= 0:
                item.fail(item.late(TOO_LATE_FOR_A_TURN))
        self._waiting = [item for item in self._waiting if not item.outcome.done()]

    def _frame_for(self, head: _Waiting) -> Moment:
        """The prepared frame, the latest one, or the one that the question came with."""
        # Used once: while questions wait all the time, nothing is prepared and it grows old.
        prepared, self._prepared = self._prepared, None
        if head.request.stamp_ns:
            return head.samples
        if prepared and head.request.accepts(prepared, self._now_ns()):
            return prepared
        try:
            return self._buffer.select(head.request, self._now_ns())
        except FrameUnavailableError:
            # The inputs have stopped since, which is no reason to refuse what could be answered.
            return head.samples

    def _answer(self, samples: Moment, batch: Sequence[_Waiting], decoder: FrameDecoder) -> None:
        """Give every question of a batch its outcome."""
        self._answered = list(batch)
        started = time.monotonic()
        for item in batch:
            item.inquiry.samples = samples
            item.inquiry.latency_s["wait"] = started - item.inquiry.arrived_s
        try:
            decoded, is_new = decoder.decode(samples)
            convert_s = time.monotonic() - started if is_new else 0.0
            for item in batch:
                _read(self._answerer, item, decoded, convert_s)
            self._ask(decoded.frame, _open(batch))
        except Exception as error:
            for item in _open(batch):
                item.fail(error)
        finally:
            self._answered = []

    def _ask(self, frame: RGBDFrame, batch: Sequence[_Waiting]) -> None:
        """Call the answerer and set the outcome of each question."""
        questions = [item.inquiry.question for item in batch if item.inquiry.question]
        if not questions:
            return
        self._on_batch(len(questions))
        started = time.monotonic()
        deadlines = [item.deadline for item in batch]
        found = answers_about(self._answerer, frame, questions, deadlines)
        answer_s = time.monotonic() - started
        for item, result in zip(batch, found, strict=True):
            item.inquiry.latency_s["answer"] = answer_s
            if item.outcome.done():
                continue
            if isinstance(result, SpatialError):
                item.fail(result)
            else:
                item.outcome.set_result(result)

    def _prepare(self, request: FrameRequest, decoder: FrameDecoder) -> None:
        """Decode and encode the latest frame, unless that was already tried."""
        try:
            samples = self._buffer.select(request, self._now_ns())
        except FrameUnavailableError:
            # Diagnostics report what is wrong with the inputs, and so does the answer to a
            # question.
            return
        if samples == self._looked_at:
            return
        self._looked_at = samples
        try:
            self._answerer.prepare(decoder.decode(samples)[0].frame)
        except SpatialError as error:
            self._logger.warning(
                f"frames cannot be prepared: {error}", throttle_duration_sec=LOG_PERIOD_S
            )
        except Exception as error:
            trace = "".join(traceback.format_exception(error))
            self._logger.error(
                f"the answerer failed to prepare a frame: {trace}",
                throttle_duration_sec=LOG_PERIOD_S,
            )
        else:
            self._prepared = samples


def _read(answerer: Answerer, item: _Waiting, decoded: DecodedFrame, convert_s: float) -> None:
    """Parse a question, or refuse it, without affecting others."""
    inquiry = item.inquiry
    inquiry.latency_s["convert"] = convert_s
    inquiry.frame, inquiry.regions = decoded.frame, decoded.regions
    inquiry.warnings, inquiry.facts = decoded.warnings, decoded.facts
    try:
        inquiry.question = read_asked(
            answerer, decoded.frame.regions, inquiry.text, inquiry.category, inquiry.region_ids
        )
    except Exception as error:
        item.fail(error)


def _open(batch: Sequence[_Waiting]) -> list[_Waiting]:
    """The questions that have no outcome yet."""
    return [item for item in batch if not item.outcome.done()]
