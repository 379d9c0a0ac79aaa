"""Answers from SmolRGPT: the question in words to the model, its words back into a value.

What the model says is read strictly: words that say nothing of the category, or leave the choice
open, are no answer. Depth geometry tells where the regions are, and takes no part in the answer.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import torch
from transformers.utils import cached_file
from transformers.utils import logging as transformers_logging

from smolrgpt_core.answer import SpatialAnswer, answer_sentence, read_answer
from smolrgpt_core.answerers.base import each_deadline
from smolrgpt_core.answerers.calibration import (
    CALIBRATION_FILE,
    Calibration,
    Evidence,
    check_weights,
    read_calibration,
)
from smolrgpt_core.answerers.kept_geometry import KeptGeometry
from smolrgpt_core.answerers.model_settings import AUTO, ModelSettings
from smolrgpt_core.answerers.region_places import region_places
from smolrgpt_core.answerers.weights import WEIGHTS_FILE, weights_files
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference import EngineAnswer, EngineConfig, InferenceEngine
from smolrgpt_core.question import SpatialQuestion

logger = logging.getLogger(__name__)


class ModelAnswerer:
    """Implements `Answerer` with an inference engine.

    The confidence of an answer is the probability that it is right, by the calibration of the
    checkpoint; NaN without one.

    Args:
        engine: with the model; may be shared.
        style: "sentence", "short", or "auto" = the one of the checkpoint's configuration.
        deadline_s: seconds for answers that are asked together; None for no limit.
        calibration: of the model's confidences; used for answers of its own style only.
        raw_confidence: give the engine's confidence as it is, whatever the calibration.
        kept: geometry of frames, if it is shared with another answerer.

    Raises:
        ValueError: for an unknown style.
    """

    def __init__(
        self,
        engine: InferenceEngine,
        style: str = ModelSettings.answer_style,
        deadline_s: float | None = None,
        *,
        calibration: Calibration | None = None,
        raw_confidence: bool = ModelSettings.raw_confidence,
        kept: KeptGeometry | None = None,
    ) -> None:
        self._engine = engine
        self.style = engine.model.config.answer_style if style == AUTO else style
        engine.config.style(self.style)
        self._deadline_s = deadline_s
        self._raw_confidence = raw_confidence
        self._calibration = fitting_calibration(calibration, self.style)
        self._kept = kept or KeptGeometry()

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str,
        settings: ModelSettings | None = None,
        kept: KeptGeometry | None = None,
    ) -> ModelAnswerer:
        """With a checkpoint from a folder or hub id, and its calibration if it has one.

        Raises:
            OSError, ValueError: as `EngineConfig` and `InferenceEngine.from_pretrained`.
            SpatialError: BAD_INPUT when its calibration cannot be used.
        """
        settings = settings or ModelSettings()
        config = EngineConfig(device=settings.device, dtype=settings.dtype)
        with _without_progress_bars():
            engine = InferenceEngine.from_pretrained(checkpoint, config)
        return cls(
            engine,
            settings.answer_style,
            calibration=None if settings.raw_confidence else load_calibration(checkpoint),
            raw_confidence=settings.raw_confidence,
            kept=kept,
        )

    def prepare(self, frame: RGBDFrame) -> None:
        """Encode the frame.

        Raises:
            SpatialError: BAD_INPUT or NO_VALID_DEPTH when the model cannot see it; MODEL_ERROR
                when the memory of the device does not suffice; TIMEOUT.
        """
        try:
            self._engine.prepare(frame, self._deadline_s)
            return
        except torch.OutOfMemoryError as error:
            refusal = _out_of_memory(error)
        self._engine.clear()
        raise refusal

    def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
        """Answer one question.

        Raises:
            SpatialError: BAD_QUESTION, UNKNOWN_REGION, BAD_INPUT or NO_VALID_DEPTH when the model
                cannot be asked; MODEL_ERROR, with its words, when they cannot be read, or when the
                memory of the device does not suffice; TIMEOUT.
        """
        (found,) = self.answer_together(frame, [question])
        if isinstance(found, SpatialError):
            raise found
        return found

    def answer_together(
        self,
        frame: RGBDFrame,
        questions: Sequence[SpatialQuestion],
        deadlines: Sequence[float] | None = None,
    ) -> list[SpatialAnswer | SpatialError]:
        """Answer questions about one frame, decoded together.

        Deadlines are looked at between stages and between tokens of the engine. When the memory of
        the device does not suffice for all together, each is asked alone.

        Returns:
            For each question what `answer` would return or raise.
        """
        limits = each_deadline(questions, deadlines)
        said = self._said(frame, questions, limits)
        if isinstance(said, SpatialError):
            logger.warning("%d questions together: %s", len(questions), said.message)
            alone = [
                self._said(frame, [question], [limit])
                for question, limit in zip(questions, limits, strict=True)
            ]
            said = [item if isinstance(item, SpatialError) else item[0] for item in alone]
        return [
            self._read(words, frame, question)
            for words, question in zip(said, questions, strict=True)
        ]

    def _said(
        self, frame: RGBDFrame, questions: Sequence[SpatialQuestion], deadlines: Sequence[float]
    ) -> list[EngineAnswer | SpatialError] | SpatialError:
        """What the engine says, or that the memory of the device does not suffice."""
        try:
            return self._engine.ask_each(
                questions, self.style, self._deadline_s, frame=frame, deadlines=deadlines
            )
        except SpatialError as error:
            return [SpatialError(error.status, error.message) for _ in questions]
        except torch.OutOfMemoryError as error:
            refusal = _out_of_memory(error)
        # After the error, whose trace keeps what was computed.
        self._engine.clear()
        return refusal

    def _read(
        self, said: EngineAnswer | SpatialError, frame: RGBDFrame, question: SpatialQuestion
    ) -> SpatialAnswer | SpatialError:
        if isinstance(said, SpatialError):
            return said
        try:
            return self._write_down(said, frame, question)
        except SpatialError as error:
            return error

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
        centres, shares = region_places(self._kept.of(frame), ids)
        return SpatialAnswer(
            status=Status.OK,
            category=question.category,
            text=text,
            value=parsed.value,
            region_id=region_id,
            side=parsed.side,
            confidence=self._confidence(said, question),
            model_value=parsed.value,
            region_ids=ids,
            centres=centres,
            valid_depth=shares,
            latency_s=said.latency_s,
        )

    def _confidence(self, said: EngineAnswer, question: SpatialQuestion) -> float:
        if self._raw_confidence:
            return said.confidence
        if self._calibration is None:
            return math.nan
        return self._calibration.confidence(Evidence.MODEL, question.category, said.confidence)


def load_calibration(checkpoint: str) -> Calibration | None:
    """The calibration beside the weights of a checkpoint; None where there is none.

    Args:
        checkpoint: folder or hub id.

    Raises:
        OSError: when the hub cannot be asked, or there are no weights.
        SpatialError: BAD_INPUT when the file cannot be used, or was made for other weights.
    """
    path = _file_of(checkpoint, CALIBRATION_FILE)
    if path is None:
        return None
    calibration = read_calibration(path)
    weights = weights_files(partial(_file_of, checkpoint))
    if not weights:
        # Says which file is missing, and where.
        cached_file(checkpoint, WEIGHTS_FILE)
    check_weights(path, calibration, weights)
    return calibration


def _file_of(checkpoint: str, name: str) -> Path | None:
    """A file of a checkpoint, in a folder or on the hub; None where it has no such file."""
    found = cached_file(checkpoint, name, _raise_exceptions_for_missing_entries=False)
    return None if found is None else Path(found)


def fitting_calibration(calibration: Calibration | None, style: str) -> Calibration | None:
    """The calibration, unless it is one of answers in another style."""
    if calibration is None or calibration.answer_style == style:
        return calibration
    logger.warning(
        "confidences are calibrated for %s answers only and unknown for %s ones; run `smolrgpt "
        "calibrate --answer-style %s` to have them",
        calibration.answer_style, style, style,
    )  # fmt: skip
    return None


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Without the bars of transformers, which would stand among answers and logs."""
    were_shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_shown:
            transformers_logging.enable_progress_bar()


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


def _out_of_memory(error: torch.OutOfMemoryError) -> SpatialError:
    reason = (str(error).splitlines() or ["no details"])[0]
    return SpatialError(
        Status.MODEL_ERROR,
        f"the memory of the device does not suffice: {reason}; ask again, and if that does not "
        "help, use a smaller max_batch, a smaller dtype or another device",
    )


def _model_error(problem: str, said: str) -> SpatialError:
    return SpatialError(
        Status.MODEL_ERROR,
        f"the model's answer cannot be used: {problem}; it said {said!r}; ask in other words, or "
        "use a checkpoint that was trained on such questions",
    )
