"""SIGINT and SIGTERM as flags to check, instead of interruptions.

A handler runs between any two steps of the main thread. One that sets a `threading.Event` blocks
for ever when the main thread, or the handler of the signal before, holds the lock of the event;
Ctrl-C under `ros2 launch` or `make` sends two signals. An exception raised by a handler is lost in
a destructor. A handler that only notes the signal has neither problem.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys
import time
from types import FrameType
from typing import NoReturn

POLL_S = 0.05

ENDING = (signal.SIGINT, signal.SIGTERM)

LAST_RESORT_S = 8.0
"""`ros2 launch` kills the process after 10 s, without showing what it was waiting for."""


def end_at_once(as_failure: bool = False) -> None:
    """Until `EndingSignals` is made, a signal ends the process: while its modules are imported.

    Args:
        as_failure: with the exit status 128 + signal, as a program that has not done its work; else
            with 0, as a node that was asked to end.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        os._exit(128 + number if as_failure else 0)

    for number in ENDING:
        signal.signal(number, leave)


class EndingSignals:
    """From its construction on, records the signals that ask this process to end.

    Attributes:
        received: the last one; None if there was none.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        for number in ENDING:
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)

    def wait(self) -> None:
        """Wait for a signal."""
        while self.received is None:
            time.sleep(POLL_S)


def limit_the_end() -> None:
    """Call when shutdown begins: if it hangs, the process prints where, and exits with status 1."""
    faulthandler.dump_traceback_later(LAST_RESORT_S, exit=True)


def end_without_threads(status: int) -> NoReturn:
    """Exit immediately: Python cannot stop threads, and the interpreter would wait for them.

    It also takes seconds to take itself apart on a busy machine, with the handlers of signals gone
    first: a SIGTERM in that time would look like a crash.
    """
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)
