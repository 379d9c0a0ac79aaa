"""The query node with more answerers, which are slow or fail when a test needs that.

`scripted` takes distances and counts from the geometric answerer, takes for left/right until the
file named by SLOW_ANSWER_FILE is gone, fails at a choice, and says when it prepares a frame.
`broken` cannot even be made. `slow` is made when the file named by SLOW_LOADING_FILE is there.
`endless` never comes to an answer.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.answerers.geometry_cache import GeometryCache
from smolrgpt_core.answerers.registry import ANSWERERS
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import Category, SpatialQuestion

HELD_S = 120.0
"""No test holds anything for so long."""


def wait_while(condition: Callable[[], bool]) -> None:
    """Until a test has changed a file."""
    deadline = time.monotonic() + HELD_S
    while condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"a test held the answerer for {HELD_S} s")
        time.sleep(0.01)


class ScriptedAnswerer(GeometricAnswerer):
    def prepare(self, frame: RGBDFrame) -> None:
        super().prepare(frame)
        print(f"prepared {frame.stamp_ns}", flush=True)

    def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
        if question.category is Category.LEFT_RIGHT:
            print("a slow answer", flush=True)
            wait_while(Path(os.environ.get("SLOW_ANSWER_FILE", "")).is_file)
        if question.category is Category.MCQ:
            raise RuntimeError("the engine caught fire")
        return super().answer(frame, question)


class BrokenAnswerer(GeometricAnswerer):
    def __init__(self, cache: GeometryCache) -> None:
        raise FileNotFoundError("no weights here")


class SlowAnswerer(GeometricAnswerer):
    def __init__(self, cache: GeometryCache) -> None:
        print("slow loading", flush=True)
        wait_while(lambda: not Path(os.environ["SLOW_LOADING_FILE"]).exists())
        super().__init__(cache)


class EndlessAnswerer(GeometricAnswerer):
    def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
        print("endless answer", flush=True)
        threading.Event().wait()
        return super().answer(frame, question)


if __name__ == "__main__":
    ANSWERERS |= {
        "scripted": ScriptedAnswerer,
        "broken": BrokenAnswerer,
        "slow": SlowAnswerer,
        "endless": EndlessAnswerer,
    }
    # Imported late: parameters read the known answerers at import.
    from smolrgpt_ros.nodes.spatial_query_node import main

    main()
