"""One thread that answers: it decodes frames and runs the answerer, one question after another."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.question import Category, SpatialQuestion, read_question
from smolrgpt_ros.frame_buffer import FrameSamples
from smolrgpt_ros.frame_decoder import FrameDecoder


class WorkerClosedError(Exception):
    """The node was deactivated before the question had its turn."""


@dataclass
class Inquiry:
    """One question on its way: what was asked, and how far it came.

    Attributes:
        text, category, region_ids: as asked; category None = the text says it.
        arrived_s: `time.monotonic()` of the request.
        frame, question: once they are known.
        warnings: about the messages that the frame came from.
        latency_s: seconds by stage: wait, convert, answer.
    """

    text: str
    category: Category | None
    region_ids: tuple[int, ...]
    arrived_s: float = field(default_factory=time.monotonic)
    frame: RGBDFrame | None = None
    question: SpatialQuestion | None = None
    warnings: tuple[str, ...] = ()
    latency_s: dict[str, float] = field(default_factory=dict)

    def elapsed_s(self) -> float:
        """Seconds since the request arrived."""
        return time.monotonic() - self.arrived_s


class AnswerWorker:
    """Answers inquiries on its own thread, in the order in which they come.

    Args:
        answerer: gives the answers.
        decoder: may be replaced at any time; it holds for the next question.
    """

    def __init__(self, answerer: Answerer, decoder: FrameDecoder) -> None:
        self.decoder = decoder
        self._answerer = answerer
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="answerer")

    def answer(self, inquiry: Inquiry, samples: FrameSamples, timeout_s: float) -> SpatialAnswer:
        """Wait for the answer, `timeout_s` seconds after the arrival of the request at most.

        Raises:
            SpatialError: TIMEOUT, or whatever the decoder, the question or the answerer raise.
            WorkerClosedError: when the worker is closed before the question has its turn.
        """
        try:
            future = self._thread.submit(self._answer, inquiry, samples)
        except RuntimeError as error:
            raise WorkerClosedError from error
        try:
            return future.result(timeout_s - inquiry.elapsed_s())
        except CancelledError as error:
            raise WorkerClosedError from error
        except FutureTimeoutError:
            if future.done():
                raise
            cause = (
                "other questions were answered first"
                if future.cancel()
                else "the answerer is still busy with it"
            )
            raise SpatialError(
                Status.TIMEOUT,
                f"no answer within {timeout_s:.3f} s: {cause}; raise the timeout of the request, "
                "or ask less often",
            ) from None

    def close(self) -> None:
        """Finish the question that is being answered, drop those that wait; returns at once."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _answer(self, inquiry: Inquiry, samples: FrameSamples) -> SpatialAnswer:
        started = time.monotonic()
        inquiry.latency_s["wait"] = started - inquiry.arrived_s
        decoded, is_new = self.decoder.decode(samples)
        converted = time.monotonic()
        inquiry.latency_s["convert"] = converted - started if is_new else 0.0
        inquiry.frame, inquiry.warnings = decoded.frame, decoded.warnings
        inquiry.question = read_question(
            inquiry.text, decoded.frame.regions, inquiry.category, inquiry.region_ids
        )
        answer = self._answerer.answer(decoded.frame, inquiry.question)
        inquiry.latency_s["answer"] = time.monotonic() - converted
        return answer
