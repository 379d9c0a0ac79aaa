"""Answers from a model: writes the question as text, and parses the output into a value.

The model's output is parsed strictly: words that give no answer of the category, or leave the
choice open, are no answer. Depth geometry shows where the regions are, and takes no part in the
answer.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerer_settings import AUTO, ModelSettings
from smolrgpt_core.answerers.base import UntrainedQuestionError, answer_as_batch, each_deadline
from smolrgpt_core.answerers.calibration import Calibration, Evidence, read_calibration
from smolrgpt_core.answerers.geometry_cache import GeometryCache, region_places
from smolrgpt_core.answerers.likeness import (
    UNLIKE_CONFIDENCE,
    Likeness,
    LikenessTest,
    at_most,
    read_likeness,
)
from smolrgpt_core.answerers.model_output import answer_of_value, output_error, read_output
from smolrgpt_core.checkpoints.files import CALIBRATION_FILE, LIKENESS_FILE, file_of, fingerprint_of
from smolrgpt_core.checkpoints.weights import check_weights
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference import Engine, EngineAnswer, EngineConfig, load_engine
from smolrgpt_core.inference.onnx_folder import is_exported, read_manifest
from smolrgpt_core.language import SpatialQuestion, is_about_looks, measure_of
from smolrgpt_core.language.model_wording import asks_for_color, masked_question
from smolrgpt_core.regions import RegionSet

logger = logging.getLogger(__name__)

FREE_TEXT = "free_text"
"""In `config.answers`: the model may be asked in any words."""

LANGUAGE = "language"
"""In `config.answers`: it may be asked every question that the language can express."""

LOOKS = "looks"
"""In `config.answers`: it may be asked about colors, and nothing else beside them."""


class ModelAnswerer:
    """Implements `Answerer` with an inference engine.

    The confidence of an answer is the probability that it is correct, by the calibration of the
    checkpoint; NaN without one. Of something unlike what the model was trained on it is at most
    `UNLIKE_CONFIDENCE`, and the message states what is unlike.

    Args:
        engine: with the model; may be shared.
        style: "sentence", "short", or "auto" = the one of the checkpoint's configuration.
        calibration: of the model's confidences; used for answers of its own style only.
        likeness: of the checkpoint.
        raw_confidence: give the engine's confidence as it is, whatever the calibration.
        cache: geometry of frames, if it is shared with another answerer.

    Raises:
        ValueError: for an unknown style.
    """

    def __init__(
        self,
        engine: Engine,
        style: str = ModelSettings.answer_style,
        *,
        calibration: Calibration | None = None,
        likeness: Likeness | None = None,
        raw_confidence: bool = ModelSettings.raw_confidence,
        cache: GeometryCache | None = None,
    ) -> None:
        self._engine = engine
        self.style = engine.model_config.answer_style if style == AUTO else style
        engine.config.style(self.style)
        self._raw_confidence = raw_confidence
        self._calibration = fitting_calibration(calibration, self.style)
        self._cache = cache or GeometryCache()
        self._likeness = LikenessTest(likeness, self._cache)

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str,
        settings: ModelSettings | None = None,
        cache: GeometryCache | None = None,
    ) -> ModelAnswerer:
        """Load a checkpoint, with its calibration and likeness if it has them.

        Args:
            checkpoint: folder or hub id.
            settings: how the model computes and answers; None: the defaults.
            cache: geometry of frames, if it is shared with another answerer.

        Raises:
            OSError, ValueError: as `EngineConfig` and `load_engine`.
            SpatialError: BAD_INPUT when one of these cannot be used.
        """
        settings = settings or ModelSettings()
        config = EngineConfig(
            device=settings.device,
            dtype=settings.dtype,
            threads=settings.threads,
            runtime=settings.runtime,
        )
        engine = load_engine(checkpoint, config, settings.adapter)
        calibration, likeness = (
            (None, None)
            if settings.raw_confidence
            else load_reliability(checkpoint, settings.adapter)
        )
        return cls(
            engine,
            settings.answer_style,
            calibration=calibration,
            likeness=likeness,
            raw_confidence=settings.raw_confidence,
            cache=cache,
        )

    @property
    def free_text(self) -> bool:
        """Whether the checkpoint was trained to answer text that no parser has understood."""
        return FREE_TEXT in self._engine.model_config.answers

    def asked_as(self, question: SpatialQuestion, regions: RegionSet) -> SpatialQuestion | None:
        """A question in the words that the checkpoint was trained on; None where it has none.

        Args:
            question: as it was read.
            regions: of its frame.
        """
        answers = self._engine.model_config.answers
        known = question.category.name.lower() in answers
        if known and (question.for_model or FREE_TEXT in answers):
            return question
        if LANGUAGE not in answers or question.program is None:
            return None
        looks = LOOKS in answers and is_about_looks(question.program)
        wording = masked_question(question.program, regions, looks)
        if wording is None:
            return None
        return replace(
            question,
            text=wording.text,
            region_ids=wording.region_ids,
            candidate_ids=wording.candidate_ids,
        )

    def prepare(self, frame: RGBDFrame) -> None:
        """Encode the frame.

        Raises:
            SpatialError: BAD_INPUT or NO_VALID_DEPTH when the model cannot see it; MODEL_ERROR
                when the memory of the device does not suffice.
        """
        try:
            self._engine.prepare(frame)
            return
        except _memory_errors() as error:
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
        return answer_as_batch(self, frame, question)

    def answer_batch(
        self,
        frame: RGBDFrame,
        questions: Sequence[SpatialQuestion],
        deadlines: Sequence[float] | None = None,
    ) -> list[SpatialAnswer | SpatialError]:
        """As `Answerer.answer_batch`; the answers are decoded together.

        Deadlines are checked between stages and between tokens of the engine. When the memory of
        the device does not suffice for all together, each is asked alone.
        """
        limits = each_deadline(questions, deadlines)
        outcomes: list[SpatialAnswer | SpatialError] = [
            self._untrained(question) for question in questions
        ]
        worded = [self.asked_as(question, frame.regions) for question in questions]
        asked = {place: item for place, item in enumerate(worded) if item is not None}
        outputs = self._replies(frame, [*asked.values()], [limits[place] for place in asked])
        for (place, question), output in zip(asked.items(), outputs, strict=True):
            outcomes[place] = self._read(output, frame, question)
        return outcomes

    def _replies(
        self, frame: RGBDFrame, questions: Sequence[SpatialQuestion], limits: Sequence[float]
    ) -> list[EngineAnswer | SpatialError]:
        """The engine's output for all in one batch or, if memory is too small, one by one."""
        if not questions:
            return []
        outputs = self._generate(frame, questions, limits)
        if not isinstance(outputs, SpatialError):
            return outputs
        logger.warning("%d questions in one batch: %s", len(questions), outputs.message)
        alone = [
            self._generate(frame, [question], [limit])
            for question, limit in zip(questions, limits, strict=True)
        ]
        return [item if isinstance(item, SpatialError) else item[0] for item in alone]

    def _untrained(self, question: SpatialQuestion) -> SpatialError:
        answers = ", ".join(self._engine.model_config.answers)
        colors = question.program is not None and asks_for_color(question.program)
        other = "fused" if colors else "geometric"
        return UntrainedQuestionError(
            Status.BAD_QUESTION,
            f"the checkpoint was trained on {answers}, not on questions of this kind "
            f"({question.category.name.lower()}); use the answerer {other}, or a checkpoint "
            f"trained on them",
        )

    def _generate(
        self, frame: RGBDFrame, questions: Sequence[SpatialQuestion], deadlines: Sequence[float]
    ) -> list[EngineAnswer | SpatialError] | SpatialError:
        """The output of the engine, or an error that the memory of the device is too small."""
        try:
            return self._engine.ask_each(questions, self.style, frame=frame, deadlines=deadlines)
        except SpatialError as error:
            return [SpatialError(error.status, error.message) for _ in questions]
        except _memory_errors() as error:
            refusal = _out_of_memory(error)
        # After the error, whose trace keeps what was computed.
        self._engine.clear()
        return refusal

    def _read(
        self, output: EngineAnswer | SpatialError, frame: RGBDFrame, question: SpatialQuestion
    ) -> SpatialAnswer | SpatialError:
        if isinstance(output, SpatialError):
            return output
        try:
            return self._write_down(output, frame, question)
        except SpatialError as error:
            return error

    def _write_down(
        self, output: EngineAnswer, frame: RGBDFrame, question: SpatialQuestion
    ) -> SpatialAnswer:
        """The answer as a value, with what is known about the regions that it is about."""
        if not output.complete:
            raise output_error(
                f"its answer did not end within {len(output.token_ids)} tokens", output.text
            )
        value = read_output(output.text, question)
        centers, valid_depth = region_places(self._cache.get(frame), question.region_ids)
        confidence, doubt = self._confidence(output, frame, question)
        return replace(
            answer_of_value(value, question, frame.regions),
            confidence=confidence,
            message=doubt,
            region_ids=question.region_ids,
            centers=centers,
            valid_depth=valid_depth,
            latency_s=output.latency_s,
        )

    def _confidence(
        self, output: EngineAnswer, frame: RGBDFrame, question: SpatialQuestion
    ) -> tuple[float, str]:
        """The confidence, and why there is no more."""
        if self._raw_confidence:
            return output.confidence, ""
        if self._calibration is None:
            return math.nan, ""
        calibrated = self._calibration.confidence(
            Evidence.MODEL, question.category, output.confidence, measure_of(question.program)
        )
        doubt = self._likeness.doubt(frame, question)
        return (at_most(UNLIKE_CONFIDENCE, calibrated) if doubt else calibrated), doubt


def load_reliability(
    checkpoint: str, adapter: str = ""
) -> tuple[Calibration | None, Likeness | None]:
    """Calibration and likeness beside the weights of a checkpoint; None where there is none.

    Args:
        checkpoint: folder or hub id.
        adapter: with one they hold no longer, and are None.

    Raises:
        OSError: when the hub cannot be asked, or there are no weights.
        SpatialError: BAD_INPUT when a file cannot be used, or was made for other weights.
    """
    if adapter:
        logger.warning(
            "confidences are unknown: the calibration of %s does not apply with the adapter %s; "
            "run `smolrgpt calibrate` for the folder `model` next to the adapter, and use that as "
            "the checkpoint", checkpoint, adapter,
        )  # fmt: skip
        return None, None
    calibrated, measured = (file_of(checkpoint, name) for name in (CALIBRATION_FILE, LIKENESS_FILE))
    with _that_can_be_removed():
        calibration = None if calibrated is None else read_calibration(calibrated)
        likeness = None if measured is None else read_likeness(measured)
    made_for = {
        path: made.weights_sha256
        for path, made in ((calibrated, calibration), (measured, likeness))
        if path is not None and made is not None
    }
    # The weights may be many gigabytes: they are read once, and only where something is bound to
    # them.
    found = _fingerprint_of(checkpoint) if made_for else ""
    with _that_can_be_removed():
        for path, weights_sha256 in made_for.items():
            check_weights(path, weights_sha256, found)
    return calibration, likeness


@contextmanager
def _that_can_be_removed() -> Iterator[None]:
    """Errors of files that a checkpoint can do without state that."""
    try:
        yield
    except SpatialError as error:
        raise SpatialError(
            error.status, f"{error.message}; run `smolrgpt calibrate` again, or remove the file"
        ) from error


def _fingerprint_of(checkpoint: str) -> str:
    if is_exported(checkpoint):
        return read_manifest(Path(checkpoint)).weights_sha256
    return fingerprint_of(checkpoint)


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


def _memory_errors() -> tuple[type[Exception], ...]:
    """The errors of a device whose memory does not suffice; nothing where PyTorch is not used."""
    torch = sys.modules.get("torch")
    return () if torch is None else (torch.OutOfMemoryError,)


def _out_of_memory(error: Exception) -> SpatialError:
    reason = (str(error).splitlines() or ["no details"])[0]
    return SpatialError(
        Status.MODEL_ERROR,
        f"the device is out of memory: {reason}; ask again; if that does not help, use a smaller "
        f"max_batch, a smaller dtype or another device",
    )
