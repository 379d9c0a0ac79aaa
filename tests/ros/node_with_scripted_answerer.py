"""The query node with one more answerer, which is slow or fails when a test needs that.

Distances and counts come from the geometric answerer; left/right takes a second, a choice fails.
"""

from __future__ import annotations

import time

from smolrgpt_core.answerers.geometric import GeometricAnswerer

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.registry import ANSWERERS
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.question import Category, SpatialQuestion


class ScriptedAnswerer(GeometricAnswerer):
    def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
        if question.category is Category.LEFT_RIGHT:
            time.sleep(1.0)
        if question.category is Category.MCQ:
            raise RuntimeError("the engine caught fire")
        return super().answer(frame, question)


if __name__ == "__main__":
    ANSWERERS["scripted"] = ScriptedAnswerer
    # Imported late: parameters read the known answerers at import.
    from smolrgpt_ros.spatial_query_node import main

    main()
