"""The query node with a model that is in trouble when a test needs that.

A question of left or right is answered very slowly, and the answer has no end. In the middle of the
answer to a choice, or to several questions together, the memory of the device does not suffice.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.model import ModelAnswerer
from smolrgpt_core.answerers.registry import ANSWERERS
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference import InferenceEngine, TorchSteps
from smolrgpt_core.language import Category, SpatialQuestion

SLOW_STEP_S = 0.25


class TroubledAnswerer(ModelAnswerer):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        assert isinstance(self._engine, InferenceEngine)
        assert isinstance(self._engine.steps, TorchSteps)
        self._model = model = self._engine.steps.model
        self._ends = model.generation_config.eos_token_id
        self._is_slow = self._is_large = False
        model.lm_head.register_forward_hook(self._after_step)

    def answer_batch(
        self,
        frame: RGBDFrame,
        questions: Sequence[SpatialQuestion],
        deadlines: Sequence[float] | None = None,
    ) -> list[SpatialAnswer | SpatialError]:
        categories = {question.category for question in questions}
        self._is_slow = Category.LEFT_RIGHT in categories
        self._is_large = Category.MCQ in categories
        configuration = self._model.generation_config
        configuration.eos_token_id = None if self._is_slow else self._ends
        return super().answer_batch(frame, questions, deadlines)

    def _after_step(self, module: object, inputs: object, logits: torch.Tensor) -> None:
        if self._is_slow:
            print("a slow step", flush=True)
            time.sleep(SLOW_STEP_S)
        # All prompts go in one row, all answers in one each.
        if self._is_large or len(logits) > 1:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")


if __name__ == "__main__":
    ANSWERERS["model"] = lambda checkpoint, settings, fusion, cache: (
        TroubledAnswerer.from_pretrained(checkpoint, settings, cache)
    )
    # Imported late: parameters read the known answerers at import.
    from smolrgpt_ros.nodes.spatial_query_node import main

    main()
