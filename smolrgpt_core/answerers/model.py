"""Answers from a model: writes the question as text, and parses the output into a value.

What the model says is read strictly: words that say nothing of the category, or leave the choice
open, are no answer. Depth geometry tells where the regions are, and takes no part in the answer.
"""

from __future__ import annotations

import logging
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from smolrgpt_core.answer import UNITS, ParsedAnswer, Side, SpatialAnswer, read_answer
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
from smolrgpt_core.checkpoints.files import CALIBRATION_FILE, LIKENESS_FILE, file_of, fingerprint_of
from smolrgpt_core.checkpoints.weights import check_weights
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference import Engine, EngineAnswer, EngineConfig, load_engine
from smolrgpt_core.inference.onnx_folder import is_exported, read_manifest
from smolrgpt_core.language import Category, SpatialQuestion
from smolrgpt_core.language.answer_wording import answer_sentence
from smolrgpt_core.language.question import asked_side
from smolrgpt_core.language.wording import say
from smolrgpt_core.regions import RegionSet

logger = logging.getLogger(__name__)

FREE_TEXT = "free_text"
"""In `config.answers`: the model may be asked in any words."""


class ModelAnswerer:
    """Implements `Answerer` with an inference engine.

    The confidence of an answer is the probability that it is right, by the calibration of the
    checkpoint; NaN without one. Of something unlike what the model was trained on it is at most
    `UNLIKE_CONFIDENCE`, and the message says what is unlike.

    Args:
        engine: with the model; may be shared.
        style: "sentence", "short", or "auto" = the one of the checkpoint's configuration.
        deadline_s: seconds for answers that are asked together; None for no limit.
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
        deadline_s: float | None = None,
        *,
        calibration: Calibration | None = None,
        likeness: Likeness | None = None,
        raw_confidence: bool = ModelSettings.raw_confidence,
        cache: GeometryCache | None = None,
    ) -> None:
        self._engine = engine
        self.style = engine.model_config.answer_style if style == AUTO else style
        engine.config.style(self.style)
        self._deadline_s = deadline_s
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

    def can_be_asked(self, question: SpatialQuestion) -> bool:
        """Whether the checkpoint was trained on such questions."""
        answers = self._engine.model_config.answers
        known = question.category.name.lower() in answers
        return known and (question.for_model or FREE_TEXT in answers)

    def prepare(self, frame: RGBDFrame) -> None:
        """Encode the frame.

        Raises:
            SpatialError: BAD_INPUT or NO_VALID_DEPTH when the model cannot see it; MODEL_ERROR
                when the memory of the device does not suffice; TIMEOUT.
        """
        try:
            self._engine.prepare(frame, self._deadline_s)
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
        """Answer questions about one frame, decoded together.

        Deadlines are looked at between stages and between tokens of the engine. When the memory of
        the device does not suffice for all together, each is asked alone.

        Args:
            frame: that all questions are about.
            questions: to answer.
            deadlines: one for each question, by `time.monotonic()`, seconds; None: no limit.

        Returns:
            For each question what `answer` would return or raise.
        """
        limits = each_deadline(questions, deadlines)
        outcomes: list[SpatialAnswer | SpatialError] = [
            self._untrained(question) for question in questions
        ]
        places = [place for place, item in enumerate(questions) if self.can_be_asked(item)]
        asked = [questions[place] for place in places]
        outputs = self._replies(frame, asked, [limits[place] for place in places])
        for place, question, output in zip(places, asked, outputs, strict=True):
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
        return UntrainedQuestionError(
            Status.BAD_QUESTION,
            f"the checkpoint was trained on {answers}, not on questions of this kind "
            f"({question.category.name.lower()}); use the answerer geometric, or a checkpoint "
            f"trained on them",
        )

    def _generate(
        self, frame: RGBDFrame, questions: Sequence[SpatialQuestion], deadlines: Sequence[float]
    ) -> list[EngineAnswer | SpatialError] | SpatialError:
        """The output of the engine, or an error that the memory of the device is too small."""
        try:
            return self._engine.ask_each(
                questions, self.style, self._deadline_s, frame=frame, deadlines=deadlines
            )
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
            raise _model_error(
                f"its answer did not end within {len(output.token_ids)} tokens", output.text
            )
        parsed = read_answer(output.text, question.category)
        region_id = _chosen_region(parsed.region_index, question, output.text)
        _check_count(parsed.value, question, output.text)
        centers, valid_depth = region_places(self._cache.get(frame), question.region_ids)
        asked = asked_side(question.program) if question.program else ""
        confidence, doubt = self._confidence(output, frame, question)
        return SpatialAnswer(
            status=Status.OK,
            category=question.category,
            text=_sentence(question, parsed, region_id, frame.regions),
            value=parsed.value,
            unit=UNITS.get(question.category, ""),
            region_id=region_id,
            answer_ids=() if region_id is None else (region_id,),
            side=parsed.side,
            truth=parsed.side.name.lower() == asked if asked else None,
            relation=parsed.side.name.lower() if parsed.side is not Side.NONE and not asked else "",
            understood=say(question.program, frame.regions) if question.program else "",
            confidence=confidence,
            message=doubt,
            model_value=parsed.value,
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
            Evidence.MODEL, question.category, output.confidence
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
    for path, weights_sha256 in made_for.items():
        check_weights(path, weights_sha256, found)
    return calibration, likeness


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


def _sentence(
    question: SpatialQuestion, parsed: ParsedAnswer, region_id: int | None, regions: RegionSet
) -> str:
    """What the model says, in the words of every answer."""
    side = parsed.side.name.lower()
    if question.program is None:
        sentences = {
            Category.DISTANCE: f"{parsed.value} m.",
            Category.COUNT: f"{parsed.value}.",
            Category.LEFT_RIGHT: f"{side.capitalize()}.",
        }
        return sentences.get(question.category) or f"It is {regions[region_id or 0].name}."
    asked = asked_side(question.program)
    value = {
        Category.DISTANCE: parsed.value,
        Category.COUNT: parsed.value,
        Category.LEFT_RIGHT: side == asked if asked else side,
        Category.MCQ: region_id,
    }[question.category]
    return answer_sentence(question.program, value, regions, question.unit)


def _chosen_region(index: int | None, question: SpatialQuestion, output: str) -> int | None:
    """Id of the region that the model calls `[Region index]`; None for an answer of another kind.

    Raises:
        SpatialError: MODEL_ERROR when it is not one of those to choose from.
    """
    if index is None:
        return None
    candidates = question.candidate_ids
    if index >= len(question.region_ids) or question.region_ids[index] not in candidates:
        choices = [place for place, id in enumerate(question.region_ids) if id in candidates]
        raise _model_error(
            f"it chose [Region {index}], but the choices in the question are {choices}",
            output,
        )
    return question.region_ids[index]


def _check_count(value: float | None, question: SpatialQuestion, sentence: str) -> None:
    """Refuse a count of more than the question lists, where it lists all that may count.

    Raises:
        SpatialError: MODEL_ERROR.
    """
    lists_all = question.program is not None and question.category is Category.COUNT
    if lists_all and value is not None and value > len(question.region_ids):
        raise _model_error(
            f"it counted {value:g}, the question is about {len(question.region_ids)} regions",
            sentence,
        )


def _memory_errors() -> tuple[type[Exception], ...]:
    """What says that the memory of a device does not suffice; nothing where PyTorch is not used."""
    torch = sys.modules.get("torch")
    return () if torch is None else (torch.OutOfMemoryError,)


def _out_of_memory(error: Exception) -> SpatialError:
    reason = (str(error).splitlines() or ["no details"])[0]
    return SpatialError(
        Status.MODEL_ERROR,
        f"the device is out of memory: {reason}; ask again; if that does not help, use a smaller "
        f"max_batch, a smaller dtype or another device",
    )


def _model_error(problem: str, output: str) -> SpatialError:
    return SpatialError(
        Status.MODEL_ERROR,
        f"the model's answer cannot be used: {problem}; its output was {output!r}; rephrase "
        "the question, or use a checkpoint that was trained on such questions",
    )
