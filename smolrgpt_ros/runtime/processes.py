"""Starts child processes that never outlive this one, captures their output, ends them in order."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from smolrgpt_core.closing import Closing

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
"""Only Linux can notify a child of the death of its parent."""


class ChildProcess:
    """A running program; its output goes to an unnamed file.

    Args:
        name: for messages.
        command: program and arguments.
    """

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as this object
        parent = os.getpid()
        # In its own session, so that Ctrl-C in the terminal reaches only the parent, which
        # ends its children in order.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: _end_with_parent(parent),
        )

    def output(self, size: int = 4000) -> str:
        """The end of the output, about this many characters."""
        # Read without moving the file position, which the child shares.
        end = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), size, max(0, end - size))
        return tail.decode(errors="replace")

    @property
    def exit_status(self) -> int | None:
        """Exit status; None while it runs, negative if a signal ended it."""
        return self._process.poll()

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal if it is still running."""
        self._process.send_signal(number)

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; returns whether it ended within the time."""
        try:
            self._process.wait(max(timeout_s, 0.0))
        except subprocess.TimeoutExpired:
            return False
        return True


def _end_with_parent(parent: int) -> None:
    """In the child, before its program starts: request SIGTERM when the parent dies."""
    if LIBC is None:
        return
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


class ProcessGroup(Closing):
    """Child processes that end with a `with` block.

    Signals should only be noted meanwhile (`EndingSignals`), else one may cut the end short.

    Start them before this process has threads: a fork copies only the thread that calls it, with
    the locks of all others.
    """

    def __init__(self, grace_s: float = 8.0) -> None:
        self._grace_s = grace_s
        self.processes: list[ChildProcess] = []

    def start(self, name: str, command: Sequence[str]) -> ChildProcess:
        """Start a program."""
        process = ChildProcess(name, command)
        self.processes.append(process)
        return process

    def close(self) -> None:
        """Ask all to end; kill those still running after the grace period."""
        for process in self.processes:
            process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + self._grace_s
        for process in self.processes:
            if not process.wait(deadline - time.monotonic()):
                process.send_signal(signal.SIGKILL)
                process.wait(self._grace_s)
