"""Answers from SmolRGPT: the question in words to the model, its words back into a value.

What the model says is read strictly: words that say nothing of the category, or leave the choice
open, are no answer. Depth geometry tells where the regions are, and takes no part in the answer.
"""

from __future__ import annotations

from threading import Lock

from smolrgpt_core.answer import SpatialAnswer, answer_sentence, read_answer
from smolrgpt_core.answerers.model_settings import AUTO, ModelSettings
from smolrgpt_core.answerers.region_places import region_places
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.inference import EngineAnswer, EngineConfig, InferenceEngine
from smolrgpt_core.question import SpatialQuestion


class ModelAnswerer:
    """Implements `Answerer` with an inference engine.

    The confidence of an answer is the engine's: it is not calibrated.

    Args:
        engine: with the model; may be shared.
        style: "sentence", "short", or "auto" = the one of the checkpoint's configuration.
        deadline_s: seconds for an answer; None for no limit.

    Raises:
        ValueError: for an unknown style.
    """

    def __init__(
        self,
        engine: InferenceEngine,
        style: str = ModelSettings.answer_style,
        deadline_s: float | None = None,
    ) -> None:
        self._engine = engine
        self._style = engine.model.config.answer_style if style == AUTO else style
        engine.config.style(self._style)
        self._deadline_s = deadline_s
        self._geometry: FrameGeometry | None = None
        self._lock = Lock()

    @classmethod
    def from_pretrained(
        cls, checkpoint: str, settings: ModelSettings | None = None
    ) -> ModelAnswerer:
        """With a checkpoint from a folder or hub id.

        Raises:
            OSError, ValueError: as `EngineConfig` and `InferenceEngine.from_pretrained`.
        """
        settings = settings or ModelSettings()
        config = EngineConfig(device=settings.device, dtype=settings.dtype)
        return cls(InferenceEngine.from_pretrained(checkpoint, config), settings.answer_style)

    def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
        """Answer one question.

        Raises:
            SpatialError: BAD_QUESTION, UNKNOWN_REGION, BAD_INPUT or NO_VALID_DEPTH when the model
                cannot be asked; MODEL_ERROR, with its words, when they cannot be read; TIMEOUT.
        """
        (said,) = self._engine.ask([question], self._style, self._deadline_s, frame=frame)
        return self._write_down(said, frame, question)

    def _write_down(
        self, said: EngineAnswer, frame: RGBDFrame, question: SpatialQuestion
    ) -> SpatialAnswer:
        """The answer as a value, with what is known about the regions that it is about."""
        if not said.complete:
            raise _model_error(
                f"its answer has no end after {len(said.token_ids)} tokens", said.text
            )
        parsed = read_answer(said.text, question.category)
        region_id = _chosen_region(parsed.region_index, question, said.text)
        text = answer_sentence(
            question, frame.regions, value=parsed.value, region_id=region_id, side=parsed.side
        )
        ids = question.region_ids or (*question.target_ids, *question.anchor_ids)
        centres, shares = region_places(self._geometry_of(frame), ids)
        return SpatialAnswer(
            status=Status.OK,
            category=question.category,
            text=text,
            value=parsed.value,
            region_id=region_id,
            side=parsed.side,
            confidence=said.confidence,
            region_ids=ids,
            centres=centres,
            valid_depth=shares,
            latency_s=said.latency_s,
        )

    def _geometry_of(self, frame: RGBDFrame) -> FrameGeometry:
        """The geometry of the frame, kept until another one comes."""
        with self._lock:
            if self._geometry is None or self._geometry.frame is not frame:
                self._geometry = FrameGeometry(frame)
            return self._geometry


def _chosen_region(index: int | None, question: SpatialQuestion, said: str) -> int | None:
    """Id of the region that the model calls `[Region index]`; None for an answer of another kind.

    Raises:
        SpatialError: MODEL_ERROR when it is not one of those to choose from.
    """
    if index is None:
        return None
    if index >= len(question.region_ids) or question.region_ids[index] not in question.target_ids:
        choices = [
            place for place, id in enumerate(question.region_ids) if id in question.target_ids
        ]
        raise _model_error(
            f"it chose [Region {index}], the choices in the question are {choices}",
            said,
        )
    return question.region_ids[index]


def _model_error(problem: str, said: str) -> SpatialError:
    return SpatialError(
        Status.MODEL_ERROR,
        f"the model's answer cannot be used: {problem}; it said {said!r}; ask in other words, or "
        "use a checkpoint that was trained on such questions",
    )
