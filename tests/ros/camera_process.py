"""The camera of the tests as a process of its own, which a test can kill.

Takes one argument: seconds from one frame to the next.
"""

from __future__ import annotations

import importlib.util
import signal
import sys
from pathlib import Path


def main(period_s: float) -> None:
    spec = importlib.util.spec_from_file_location(
        "conftest", Path(__file__).with_name("conftest.py")
    )
    assert spec is not None
    assert spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up.
    sys.modules["conftest"] = conftest
    spec.loader.exec_module(conftest)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT, signal.SIGTERM])
    graph = conftest.GraphNode("camera")
    camera = conftest.Camera(graph, period_s)
    signal.sigwait([signal.SIGINT, signal.SIGTERM])
    camera.close()
    graph.close()


if __name__ == "__main__":
    main(float(sys.argv[1]))
