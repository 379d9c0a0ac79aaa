"""Frames made from uploaded images, stage by stage; models replace missing files.

One image at a time, on a separate thread: other visitors' questions are answered meanwhile, and
models are in memory only once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.frame_files import OnStage
from smolrgpt_core.page.frames import SHOWN_ERRORS

MAX_WAITING = 8
"""Images that may wait for those before them."""

Make = Callable[[OnStage], RGBDFrame]


class PhotographCancelledError(Exception):
    """The frame was cancelled."""


@dataclass(frozen=True)
class Stage:
    """One of the stages of making a frame.

    Attributes:
        name: of the stage.
        seconds: time it has taken so far; None: it has not started.
        is_running: whether it has started and not finished.
    """

    name: str
    seconds: float | None
    is_running: bool


class Photograph:
    """A frame in the making; `ShownFrames`.

    Args:
        name: that visitors see.
        stages: their names, in order.
        make: makes the frame, and reports each stage before it starts.
        note: remark for visitors.

    Attributes:
        future: of the frame; set by the queue.
    """

    count = 1
    is_live = False
    future: Future[RGBDFrame]

    def __init__(self, name: str, stages: Sequence[str], make: Make, note: str = "") -> None:
        self.name = name
        self.note = note
        self._names = tuple(stages)
        self._make: Make | None = make
        self._lock = Lock()
        self._begun: list[float] = []
        self._ended: float | None = None
        self._is_cancelled = False

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self._is_cancelled

    def cancel(self) -> None:
        """Cancel it; a running stage finishes first."""
        self._is_cancelled = True
        self.future.cancel()

    def stages(self) -> list[Stage]:
        """The current state of all stages."""
        with self._lock:
            begun, ended = list(self._begun), self._ended
        now = time.perf_counter() if ended is None else ended
        ends = [*begun[1:], now]
        return [
            Stage(name, ends[place] - begun[place], place == len(begun) - 1 and ended is None)
            if place < len(begun)
            else Stage(name, None, False)
            for place, name in enumerate(self._names)
        ]

    def frame(self, index: int) -> RGBDFrame:
        """Wait for the frame. Raises what `future` raises."""
        return self.future.result()

    def run(self) -> RGBDFrame:
        """Make the frame; called by the queue.

        Raises:
            PhotographCancelledError: it was cancelled.
            SpatialError: the image or a model cannot be used; MODEL_ERROR: a stage failed.
            ImportError: a package that a model needs is missing.
            OSError: a file cannot be written or read.
        """
        assert self._make is not None
        try:
            return self._make(self._begin)
        except (PhotographCancelledError, *SHOWN_ERRORS):
            raise
        except Exception as error:
            if self._is_cancelled:
                raise PhotographCancelledError from error  # as at the end of the process
            stage = self._names[max(len(self._begun) - 1, 0)]
            logging.getLogger(__name__).exception("%s: %s failed", self.name, stage)
            reason = (str(error).splitlines() or [""])[0]
            raise SpatialError(
                Status.MODEL_ERROR,
                f"{stage} failed ({type(error).__name__}: {reason}); see the log of the page",
            ) from error
        finally:
            self._make = None  # with the files that were sent
            with self._lock:
                self._ended = time.perf_counter()

    def _begin(self, stage: str) -> None:
        if self._is_cancelled:
            raise PhotographCancelledError
        with self._lock:
            self._begun.append(time.perf_counter())


class PhotographQueue:
    """Makes the frames of all visitors, one after the other. Thread-safe."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "photographs")
        self._lock = Lock()
        self._waiting: list[Photograph] = []

    def add(self, photograph: Photograph) -> Photograph:
        """Queue a frame.

        Raises:
            SpatialError: BUSY when too many are queued.
        """
        with self._lock:
            self._waiting = [item for item in self._waiting if not item.future.done()]
            if len(self._waiting) > MAX_WAITING:
                raise SpatialError(
                    Status.BUSY,
                    f"{len(self._waiting)} images of visitors are already queued; try again later",
                )
            photograph.future = self._thread.submit(photograph.run)
            self._waiting.append(photograph)
        return photograph

    def close(self) -> None:
        """Stop; a running stage finishes first."""
        with self._lock:
            for photograph in self._waiting:
                photograph.cancel()
        self._thread.shutdown(wait=False, cancel_futures=True)
