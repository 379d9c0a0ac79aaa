"""Asks model and geometry, compares their answers, and decides between them.

The two err in different ways, so what both answer is correct more often than what one alone
answers. The confidence of an answer is how often: it is calibrated apart for each way that they can
stand to each other.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from smolrgpt_core.answer import Agreement, SpatialAnswer
from smolrgpt_core.answer.scoring import answer_value, is_correct
from smolrgpt_core.answerer_settings import CONFIDENT, MODEL, FusionSettings
from smolrgpt_core.answerers.base import (
    Answerer,
    UncertainAnswerError,
    UntrainedQuestionError,
    answer_as_batch,
    each_deadline,
)
from smolrgpt_core.answerers.calibration import Calibration, Evidence, raised
from smolrgpt_core.answerers.geometric import CERTAINTY
from smolrgpt_core.answerers.likeness import UNLIKE_CONFIDENCE, LikenessTest, at_most
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import (
    CATEGORIES,
    Category,
    SpatialQuestion,
    is_about_looks,
    measure_of,
)
from smolrgpt_core.language.model_wording import asks_for_color

GEOMETRY_STAGE = "geometry"
"""Latency stage beside those of the model."""

UNCONTESTED = frozenset({Evidence.GEOMETRY, Evidence.GEOMETRY_ONLY, Evidence.GEOMETRY_WITH_MODEL})
"""Answers of geometry with which no model disagrees."""

DECIDED = frozenset({Status.CANNOT_TELL, Status.UNKNOWN_REGION})
"""Refusals of geometry that no model overrules: a tie, or a contradiction in the question."""

CONFIRMABLE = frozenset({Category.COUNT})
"""Categories of which a model may confirm an uncertain answer. A number of objects is uncertain
where a side of a zone is hidden, not where two things are equal."""

COMPARED = frozenset(
    {
        Category.COUNT,
        Category.LEFT_RIGHT,
        Category.LIST,
        Category.MCQ,
        Category.RELATION,
        Category.TRUTH,
    }
)
"""Categories in which something is or is not: near a border, geometry's confidence falls to 0.5."""

MOST_SUPPORT = {
    Evidence.GEOMETRY: 0.0,
    Evidence.GEOMETRY_ONLY: 0.0,
    Evidence.GEOMETRY_AGAINST_MODEL: 0.0,
    Evidence.GEOMETRY_WITH_MODEL: 1.0,
}
"""What is added at most to the log-odds of geometry in these categories. A calibration would add
more, but questions of data sets have a margin: none is a close call. A model that agrees adds as
much as one that is correct in three of four close calls."""

UNCHECKED_CONFIDENCE = 0.9
"""The most that an answer of the model alone is trusted where geometry should have one too, such as
about something without depth. Of those that a calibration puts above it 8 % are wrong (22 of 287),
and nothing that was tried tells which."""

Outcome = SpatialAnswer | SpatialError

Confidence = Callable[[Evidence, SpatialAnswer], float]
"""The calibrated confidence of an answer to a question, by what it rests on."""


class FusedAnswerer:
    """Implements `Answerer` with a model and geometry.

    Args:
        model: gives its raw confidence.
        geometry: asked the same questions.
        likeness: recognizes what the model was not trained on.
        settings: whose answer counts, and which is too uncertain.
        calibration: of the model's checkpoint; without one confidences are NaN.

    Raises:
        ValueError: when the calibration is for other tolerances, or answers shall be refused for
            their confidence and there is no calibration.
    """

    def __init__(
        self,
        model: Answerer,
        geometry: Answerer,
        likeness: LikenessTest,
        settings: FusionSettings | None = None,
        calibration: Calibration | None = None,
    ) -> None:
        self._model = model
        self._geometry = geometry
        self._likeness = likeness
        self._settings = settings or FusionSettings()
        self._calibration = calibration
        _check_calibration(self._settings, calibration)

    @property
    def free_text(self) -> bool:
        """Whether the model accepts text that no parser has understood."""
        return self._model.free_text

    def prepare(self, frame: RGBDFrame) -> None:
        """Encode the frame, find its floor, and check whether its inputs are doubtful.

        Raises:
            SpatialError: as the model.
        """
        self._geometry.prepare(frame)
        self._model.prepare(frame)

    def answer(self, frame: RGBDFrame, question: SpatialQuestion) -> SpatialAnswer:
        """Answer one question.

        Raises:
            SpatialError: that of the model when neither has an answer; TIMEOUT when one of them is
                late; CANNOT_TELL when the confidence is below `abstain_below`.
        """
        return answer_as_batch(self, frame, question)

    def answer_batch(
        self,
        frame: RGBDFrame,
        questions: Sequence[SpatialQuestion],
        deadlines: Sequence[float] | None = None,
    ) -> list[SpatialAnswer | SpatialError]:
        """As `Answerer.answer_batch`; the model answers all questions together.

        Geometry is not asked what the model was late for: its answer would be late as well.
        """
        limits = each_deadline(questions, deadlines)
        outcomes = list(self._model.answer_batch(frame, questions, limits))
        start = time.perf_counter()
        waiting = [place for place, model in enumerate(outcomes) if not _is_late(model)]
        measured = self._geometry.answer_batch(
            frame, [questions[place] for place in waiting], [limits[place] for place in waiting]
        )
        latency_s = {GEOMETRY_STAGE: time.perf_counter() - start}
        for place, geometry in zip(waiting, measured, strict=True):
            doubt = partial(self._likeness.doubt, frame, questions[place])
            confidence = self._confidences(questions[place])
            looks = is_about_looks(questions[place].program)
            outcomes[place] = self._fuse(
                outcomes[place], geometry, doubt, confidence, latency_s, looks
            )
        return outcomes

    def _fuse(
        self,
        model: Outcome,
        geometry: Outcome,
        doubt: Callable[[], str],
        confidence_of: Confidence,
        latency_s: Mapping[str, float],
        looks: bool,
    ) -> SpatialAnswer | SpatialError:
        fused = fuse(model, geometry, self._settings, doubt, confidence_of, looks)
        if isinstance(fused, SpatialError):
            return fused
        limits = (_limit_of_comparisons(fused), _limit_of_unchecked(fused, looks))
        limit = min(fused.answer.confidence_limit, *limits)
        confidence = at_most(limit, confidence_of(fused.evidence, fused.answer))
        if fused.doubt:
            confidence = at_most(UNLIKE_CONFIDENCE, confidence)
        if isinstance(geometry, UncertainAnswerError) and not confidence >= CERTAINTY:
            return geometry
        if self._settings.abstain_below > 0 and not confidence >= self._settings.abstain_below:
            return self._too_uncertain(confidence, model, geometry)
        latency_s = {**fused.answer.latency_s, **latency_s}
        return replace(fused.answer, confidence=confidence, latency_s=latency_s)

    def _confidences(self, question: SpatialQuestion) -> Confidence:
        """The calibrated confidence of answers to a question."""
        measure = measure_of(question.program)
        colors = question.program is not None and asks_for_color(question.program)

        def confidence_of(evidence: Evidence, answer: SpatialAnswer) -> float:
            calibration = self._calibration
            if colors and not _knows_looks(calibration, evidence, answer, measure):
                return answer.confidence if evidence in UNCONTESTED else math.nan
            if calibration is None or answer.category is None:
                return math.nan
            confidence = calibration.confidence(
                evidence, answer.category, answer.confidence, measure
            )
            if math.isnan(confidence) and evidence in UNCONTESTED:
                # Nobody calibrated such questions: geometry's own confidence is the best there is.
                return answer.confidence
            return confidence

        return confidence_of

    def _too_uncertain(self, confidence: float, model: Outcome, geometry: Outcome) -> SpatialError:
        known = "unknown" if math.isnan(confidence) else f"{confidence:.2f}"
        return SpatialError(
            Status.CANNOT_TELL,
            f"the confidence is {known}, below abstain_below = {self._settings.abstain_below:g}; "
            f"the model says: {_words(model)} Geometry says: {_words(geometry)} Ask from another "
            f"viewpoint, or lower abstain_below",
        )


def _knows_looks(
    calibration: Calibration | None, evidence: Evidence, answer: SpatialAnswer, measure: str
) -> bool:
    """Whether a calibration was fitted on such questions about colors; curves of places say
    nothing of them.
    """
    if calibration is None or answer.category is None or not measure:
        return False
    return calibration.knows(evidence, answer.category, measure)


def _limit_of_comparisons(fused: FusedAnswer) -> float:
    if fused.answer.category not in COMPARED or fused.evidence not in MOST_SUPPORT:
        return 1.0
    return raised(fused.answer.confidence, MOST_SUPPORT[fused.evidence])


def _limit_of_unchecked(fused: FusedAnswer, looks: bool) -> float:
    # The image alone shows colors, so they are seen as well where there is no depth.
    is_unchecked = fused.evidence is Evidence.MODEL_ONLY and not looks
    return UNCHECKED_CONFIDENCE if is_unchecked else 1.0


@dataclass(frozen=True)
class FusedAnswer:
    """An answer and what it rests on.

    Attributes:
        answer: its confidence is the raw one of whoever gave the answer.
        evidence: whose answer it is, and the other's answer.
        doubt: why the answer is not to be trusted; empty if it is.
    """

    answer: SpatialAnswer
    evidence: Evidence
    doubt: str = ""


def fuse(
    model: Outcome,
    geometry: Outcome,
    settings: FusionSettings,
    doubt: Callable[[], str],
    confidence_of: Confidence,
    looks: bool = False,
) -> FusedAnswer | SpatialError:
    """Combine two answers to the same question into one, or a refusal.

    When one of them is late, so is what the other one says. A model does not count where it was not
    trained on what is alike: it neither speaks alone nor against geometry, unless it is preferred.

    Args:
        model: the model's answer.
        geometry: geometry's answer.
        settings: which of them counts.
        doubt: why the model's answer does not count; empty if it does.
        confidence_of: decides for "confident" which of them is more likely correct.
        looks: whether the question is about colors alone. The model then answers where the measured
            colors leave it open, which is no tie; not where something has several colors or none.
    """
    for outcome in (model, geometry):
        if isinstance(outcome, SpatialError) and _is_late(outcome):
            return outcome
    if isinstance(geometry, UncertainAnswerError):
        if looks and isinstance(model, SpatialAnswer):
            return _without_geometry(model, geometry, doubt())
        return _confirmed(model, geometry, settings, doubt)
    if isinstance(geometry, SpatialError) and (looks or geometry.status in DECIDED):
        return geometry
    if isinstance(model, UntrainedQuestionError):
        if isinstance(geometry, SpatialError):
            return geometry
        return FusedAnswer(geometry, Evidence.GEOMETRY_ONLY)
    if isinstance(model, SpatialError):
        return _without_model(model, geometry)
    if isinstance(geometry, SpatialError):
        return _without_geometry(model, geometry, doubt())
    if _agree(model, geometry, settings):
        is_model = settings.prefer == MODEL
        chosen = replace(_chosen(model, geometry, is_model), agreement=Agreement.AGREE)
        evidence = Evidence.MODEL_WITH_GEOMETRY if is_model else Evidence.GEOMETRY_WITH_MODEL
        message = geometry.message
        if is_model and message:
            message = _remarks("agrees", geometry)
        answer = replace(chosen, answer_ids=geometry.answer_ids, message=message)
        return FusedAnswer(answer, evidence)
    return _one_of_two(model, geometry, settings, doubt(), confidence_of)


def _confirmed(
    model: Outcome,
    geometry: UncertainAnswerError,
    settings: FusionSettings,
    doubt: Callable[[], str],
) -> FusedAnswer | SpatialError:
    """Geometry's likeliest number of objects if the model has the same one, or else its refusal."""
    likeliest = geometry.answer
    if isinstance(model, SpatialError) or likeliest.category not in CONFIRMABLE:
        return geometry
    if not _agree(model, likeliest, settings) or doubt():
        return geometry
    chosen = replace(_chosen(model, likeliest, is_model=False), agreement=Agreement.AGREE)
    message = _joined(
        likeliest.message, f"the model confirms what is uncertain: {geometry.message}"
    )
    return FusedAnswer(replace(chosen, message=message), Evidence.CONFIRMED_GEOMETRY)


def _one_of_two(
    model: SpatialAnswer,
    geometry: SpatialAnswer,
    settings: FusionSettings,
    doubt: str,
    confidence_of: Confidence,
) -> FusedAnswer:
    """The answer that counts where they differ."""
    is_model = _counts_against_geometry(model, geometry, settings, doubt, confidence_of)
    if doubt and settings.prefer == CONFIDENT:
        # The output of such a model is no reason to doubt an answer: its agreement stays unknown.
        alone = f"from geometry only; the model does not count: {doubt}"
        answer = replace(
            _chosen(model, geometry, is_model), message=_joined(geometry.message, alone)
        )
        return FusedAnswer(answer, Evidence.GEOMETRY)
    chosen = replace(_chosen(model, geometry, is_model), agreement=Agreement.DISAGREE)
    doubtful = doubt and f"doubtful: {doubt}"
    if is_model:
        answer = replace(chosen, message=_joined(_remarks("disagrees", geometry), doubtful))
        return FusedAnswer(answer, contradicting(geometry.unclear_colors), doubt)
    note = _joined(geometry.message, f"the model disagrees: {model.text}", doubtful)
    evidence = Evidence.GEOMETRY if doubt else Evidence.GEOMETRY_AGAINST_MODEL
    return FusedAnswer(replace(chosen, message=note), evidence)


def _remarks(opinion: str, geometry: SpatialAnswer) -> str:
    """What geometry adds beside an answer of the model: its remarks are about its own answer."""
    return " ".join(filter(None, (f"geometry {opinion}: {geometry.text}", geometry.message)))


def _chosen(model: SpatialAnswer, geometry: SpatialAnswer, is_model: bool) -> SpatialAnswer:
    """The answer of one of them, with the values of both."""
    return replace(
        model if is_model else geometry,
        understood=geometry.understood,
        steps=geometry.steps,
        geometric_value=geometry.value,
        model_value=model.value,
        confidence_limit=geometry.confidence_limit,
        latency_s=model.latency_s,
    )


def _counts_against_geometry(
    model: SpatialAnswer,
    geometry: SpatialAnswer,
    settings: FusionSettings,
    doubt: str,
    confidence_of: Confidence,
) -> bool:
    """Whether the model's answer is returned where geometry has another one."""
    if settings.prefer != CONFIDENT:
        return settings.prefer == MODEL
    if doubt or geometry.unclear_colors:
        return not doubt
    # Neither is larger where nothing is known of such answers: NaN.
    predicted = confidence_of(Evidence.MODEL_AGAINST_GEOMETRY, model)
    return predicted > confidence_of(Evidence.GEOMETRY_AGAINST_MODEL, geometry)


def contradicting(unclear_colors: bool) -> Evidence:
    """What an answer of the model rests on where geometry has another one.

    Args:
        unclear_colors: as of geometry's answer, which then weighs no more than a refusal.
    """
    return Evidence.MODEL_ONLY if unclear_colors else Evidence.MODEL_AGAINST_GEOMETRY


def _is_late(outcome: Outcome) -> bool:
    return outcome.status is Status.TIMEOUT


def _without_model(model: SpatialError, geometry: Outcome) -> FusedAnswer | SpatialError:
    if isinstance(geometry, SpatialError):
        if geometry.status is model.status:
            return model
        message = f"{model.message}; geometry has no answer either: {geometry.message}"
        return SpatialError(model.status, message)
    alone = f"from geometry only; the model has no answer: {model.message}"
    answer = replace(geometry, message=_joined(geometry.message, alone))
    return FusedAnswer(answer, Evidence.GEOMETRY_ONLY)


def _without_geometry(
    model: SpatialAnswer, geometry: SpatialError, doubt: str
) -> FusedAnswer | SpatialError:
    if doubt:
        message = f"{geometry.message}; the answer of the model alone is not trusted: {doubt}"
        return SpatialError(geometry.status, message)
    message = f"from the model only; geometry has no answer: {geometry.message}"
    return FusedAnswer(replace(model, message=message), Evidence.MODEL_ONLY)


def _joined(*messages: str) -> str:
    """Those that say something."""
    return "; ".join(filter(None, messages))


def _agree(model: SpatialAnswer, geometry: SpatialAnswer, settings: FusionSettings) -> bool:
    category = model.category
    assert category is not None
    first, second = answer_value(model), answer_value(geometry)
    if category in CATEGORIES.values():
        return settings.tolerances.agree(category, first, second)
    return is_correct(category, first, second, geometry.unit, ordered=True)


def _words(outcome: Outcome) -> str:
    return outcome.message + "." if isinstance(outcome, SpatialError) else outcome.text


def _check_calibration(settings: FusionSettings, calibration: Calibration | None) -> None:
    if calibration is None:
        if settings.abstain_below > 0:
            raise ValueError(
                f"abstain_below = {settings.abstain_below:g} needs calibrated confidences, and the "
                "checkpoint has none for such answers; run `smolrgpt calibrate`, or set "
                "abstain_below to 0"
            )
    elif calibration.tolerances != settings.tolerances:
        raise ValueError(
            f"tolerances must be those of the calibration, {calibration.tolerances}, got "
            f"{settings.tolerances}; run `smolrgpt calibrate` again, or use its own"
        )
