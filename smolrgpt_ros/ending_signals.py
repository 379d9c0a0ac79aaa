"""SIGINT and SIGTERM as something to look for, instead of something that interrupts.

A handler runs between any two steps of the main thread. One that sets a `threading.Event` blocks
for ever when the main thread, or the handler of the signal before, holds the lock of the event;
Ctrl-C under `ros2 launch` or `make` sends two signals. An exception raised by a handler is lost in
a destructor. A handler that only notes the signal has neither problem.
"""

from __future__ import annotations

import signal
import time
from types import FrameType

POLL_S = 0.05


class EndingSignals:
    """From its construction on, notes the signals that ask this process to end.

    Attributes:
        received: the last one, None if none has come.
    """

    def __init__(self) -> None:
        self.received: signal.Signals | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)

    def wait(self) -> None:
        """Wait for a signal."""
        while self.received is None:
            time.sleep(POLL_S)
