"""SIGINT and SIGTERM as something to look for, instead of something that interrupts.

A handler runs between any two steps of the main thread. One that sets a `threading.Event` blocks
for ever when the main thread, or a handler for the signal before, holds the lock of the event;
Ctrl-C under `ros2 launch` or `make` sends two signals. An exception raised by a handler is lost in
a destructor. Held signals have neither problem.
"""

from __future__ import annotations

import signal

ENDING_SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM})


def hold_ending_signals() -> None:
    """From now on these signals wait, in this thread and all that it starts, until looked for.

    The look is `ending_signal`, or `signal.sigwait(ENDING_SIGNALS)`. Also what a parent process
    chose to ignore is held.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDING_SIGNALS)
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def ending_signal() -> signal.Signals | None:
    """A signal that waits, or None."""
    waiting = signal.sigpending() & ENDING_SIGNALS
    return signal.Signals(min(waiting)) if waiting else None
