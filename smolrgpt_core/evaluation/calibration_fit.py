"""Fits the calibration of a checkpoint on answers with known truth.

A line in the log-odds has two parameters, which a few hundred answers determine; free-form curves
would fit their noise. With fewer answers, or if higher confidence does not mean more correct
answers, only the fraction of correct answers is used.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.answerer_settings import AgreementTolerances
from smolrgpt_core.answerers.calibration import (
    ConfidenceCurve,
    Evidence,
    confidence_by,
    curve_name,
    log_odds,
)
from smolrgpt_core.answerers.fused import CONFIRMABLE, DECIDED, contradicting
from smolrgpt_core.data.warehouse_format import WarehouseRecord
from smolrgpt_core.errors import Status
from smolrgpt_core.evaluation.challenge_scores import ScoredAnswer
from smolrgpt_core.evaluation.evaluation import EvaluatedSystem, halves
from smolrgpt_core.evaluation.predictions import Prediction
from smolrgpt_core.evaluation.task_scores import TaskAnswer, is_correct_answer
from smolrgpt_core.language import LOOKS, Category

MIN_SLOPE_SAMPLES = 30
"""With fewer answers, the confidence is the fraction of correct ones, whatever the raw one is."""

MIN_SHIFT_SAMPLES = 10
"""With fewer answers, what a question measures has no curve of its own."""

MIN_ANSWERS = {Evidence.GEOMETRY_ONLY: MIN_SLOPE_SAMPLES}
"""With fewer answers there is no curve: a model has an answer to nearly everything that it is asked
in a calibration, and a few answers carry less information than the confidence of geometry
itself."""

SHIFT_STD = 1.0
"""Standard deviation that log-odds of measures are taken to have around those of a category."""

NEWTON_STEPS = 100
CONVERGED = 1e-8

Curves = dict[str, dict[str, ConfidenceCurve]]
"""By the value of `Evidence`, then by `curve_name`."""


@dataclass(frozen=True)
class JudgedAnswer:
    """An answer, its evidence, and whether it is correct.

    Attributes:
        id: of the question.
        category: of the question.
        evidence: source of the answer, and whether the other source agrees.
        confidence: raw, of the source.
        correct: by the rules of the challenge or, of a task, those of its form.
        measure: what the question measures, see `measure_of`.
    """

    id: str
    category: Category
    evidence: Evidence
    confidence: float
    correct: bool
    measure: str = ""


def judged_answers(
    model: EvaluatedSystem, geometry: EvaluatedSystem, tolerances: AgreementTolerances
) -> list[JudgedAnswer]:
    """The answers of two answerers to the same questions, in all combinations.

    Questions with doubtful inputs are skipped, since their confidence is that of the doubt.

    Args:
        model: with raw confidences.
        geometry: asked the same. Distances of both are compared as written, to a centimeter.
        tolerances: what counts as agreement.
    """
    predicted, measured = _answers_of(model), _answers_of(geometry)
    doubted = {item.id for item in geometry.predictions if item.is_doubted}
    # Of what geometry has decided to refuse, `fused` never gives the answer of the model alone; of
    # a color that is open it does.
    still_open = {item.id for item in geometry.uncertain}
    decided = {
        item.id
        for item in geometry.predictions
        if item.status in DECIDED and not (_is_about_looks(item) and item.id in still_open)
    }
    given = [
        _judged(scored, evidence, prediction)
        for id in dict.fromkeys([*predicted, *measured])
        if id not in doubted
        for evidence, (scored, prediction) in _ways(predicted.get(id), measured.get(id), tolerances)
        if not (evidence is Evidence.MODEL_ONLY and id in decided)
    ]
    return given + _confirmed(predicted, geometry, doubted, tolerances)


def _confirmed(
    predicted: Mapping[str, _Answer],
    geometry: EvaluatedSystem,
    doubted: Set[str],
    tolerances: AgreementTolerances,
) -> list[JudgedAnswer]:
    """Answers that are too uncertain for geometry to give, and that the model has too."""
    predictions = {item.id: item for item in geometry.predictions}
    return [
        _judged(item, Evidence.CONFIRMED_GEOMETRY, predictions[item.id])
        for item in geometry.uncertain
        if item.category in CONFIRMABLE
        and item.id in predicted
        and item.id not in doubted
        and _agree(predicted[item.id][0], item, tolerances)
    ]


def _is_about_looks(prediction: Prediction) -> bool:
    return prediction.form is not None and prediction.form.measure in LOOKS


_Answer = tuple[ScoredAnswer | TaskAnswer, Prediction]


def _judged(
    answer: ScoredAnswer | TaskAnswer, evidence: Evidence, prediction: Prediction
) -> JudgedAnswer:
    assert answer.category is not None
    measure = "" if prediction.form is None else prediction.form.measure
    return JudgedAnswer(
        answer.id, answer.category, evidence, prediction.confidence, answer.correct, measure
    )


def _answers_of(system: EvaluatedSystem) -> dict[str, _Answer]:
    """Answers whose truth is known, by question, without refusals and multiple choice."""
    predictions = {item.id: item for item in system.predictions}
    return {
        item.id: (item, predictions[item.id])
        for item in system.judged
        if predictions[item.id].status is Status.OK and item.category is not None
    }


def _ways(
    model: _Answer | None, geometry: _Answer | None, tolerances: AgreementTolerances
) -> list[tuple[Evidence, _Answer]]:
    """Each answer that can be given to one question, by what it rests on."""
    if model is None:
        if geometry is None:
            return []
        return [(Evidence.GEOMETRY, geometry), (Evidence.GEOMETRY_ONLY, geometry)]
    if geometry is None:
        return [(Evidence.MODEL, model), (Evidence.MODEL_ONLY, model)]
    if _agree(model[0], geometry[0], tolerances):
        return [
            (Evidence.MODEL, model),
            (Evidence.GEOMETRY, geometry),
            (Evidence.MODEL_WITH_GEOMETRY, model),
            (Evidence.GEOMETRY_WITH_MODEL, geometry),
        ]
    alone = [(Evidence.MODEL, model), (Evidence.GEOMETRY, geometry)]
    unclear = geometry[1].unclear_colors
    against = [] if unclear else [(Evidence.GEOMETRY_AGAINST_MODEL, geometry)]
    return [*alone, (contradicting(unclear), model), *against]


def _agree(
    model: ScoredAnswer | TaskAnswer,
    geometry: ScoredAnswer | TaskAnswer,
    tolerances: AgreementTolerances,
) -> bool:
    if isinstance(model, TaskAnswer):
        return is_correct_answer(model.form, model.predicted, str(geometry.predicted))
    assert model.predicted is not None
    assert isinstance(geometry, ScoredAnswer)
    assert geometry.predicted is not None
    return tolerances.agree(model.category, model.predicted, geometry.predicted)


def fit_curves(judged: Sequence[JudgedAnswer]) -> Curves:
    """A curve for every kind of evidence and category that there are answers for.

    And one for each measure that there are `MIN_SHIFT_SAMPLES` answers for.
    """
    groups: dict[tuple[Evidence, Category], list[JudgedAnswer]] = defaultdict(list)
    for item in judged:
        groups[item.evidence, item.category].append(item)
    curves: Curves = {}
    for evidence, category in product(Evidence, Category):
        answers = groups.get((evidence, category), [])
        if len(answers) >= MIN_ANSWERS.get(evidence, 1):
            curve = fit_curve(*_raw_and_correct(answers))
            named = {curve_name(category): curve, **_shifted_curves(category, curve, answers)}
            curves.setdefault(evidence.value, {}).update(named)
    return curves


def _shifted_curves(
    category: Category, curve: ConfidenceCurve, answers: Sequence[JudgedAnswer]
) -> dict[str, ConfidenceCurve]:
    """The curve of a category, shifted for each measure of its questions."""
    groups: dict[str, list[JudgedAnswer]] = defaultdict(list)
    for item in answers:
        groups[item.measure].append(item)
    return {
        curve_name(category, measure): shifted_curve(curve, *_raw_and_correct(group))
        for measure, group in sorted(groups.items())
        if measure and MIN_SHIFT_SAMPLES <= len(group) < len(answers)
    }


def _raw_and_correct(answers: Sequence[JudgedAnswer]) -> tuple[list[float], list[bool]]:
    return [item.confidence for item in answers], [item.correct for item in answers]


def held_out_confidences(
    judged: Sequence[JudgedAnswer], records: Sequence[WarehouseRecord]
) -> list[float]:
    """The confidence of each answer by curves fitted on the other half of the images.

    Args:
        judged: answers to questions of the records.
        records: assign the questions to their images.
    """
    first = {record.id for record in halves(records)[0]}
    curves = {
        is_first: fit_curves([item for item in judged if (item.id in first) is not is_first])
        for is_first in (True, False)
    }
    return [_confidence(item, curves[item.id in first]) for item in judged]


def _confidence(answer: JudgedAnswer, curves: Curves) -> float:
    return confidence_by(
        curves, answer.evidence, answer.category, answer.confidence, answer.measure
    )


def fit_curve(confidences: Sequence[float], correct: Sequence[bool]) -> ConfidenceCurve:
    """Platt's fit: the most likely line in the log-odds, for targets a little within 0 and 1.

    The targets include one additional correct and wrong answer, so that the confidence never
    becomes 0 or 1.

    Args:
        confidences: raw, of at least one answer.
        correct: whether each of them is correct.
    """
    odds = np.array([log_odds(confidence) for confidence in confidences])
    samples, hits = len(correct), sum(correct)
    base = ConfidenceCurve(0.0, float(np.log((hits + 1) / (samples - hits + 1))), samples, hits)
    spread = float(odds.std())
    if samples < MIN_SLOPE_SAMPLES or spread < CONVERGED:
        return base
    targets = np.where(correct, (hits + 1) / (hits + 2), 1 / (samples - hits + 2))
    middle = float(odds.mean())
    steepness, level = _most_likely_line((odds - middle) / spread, targets, base.intercept)
    slope = steepness / spread
    if slope <= 0:
        return base
    return ConfidenceCurve(slope, level - slope * middle, samples, hits)


def shifted_curve(
    curve: ConfidenceCurve, confidences: Sequence[float], correct: Sequence[bool]
) -> ConfidenceCurve:
    """The curve with the intercept that is likeliest for some of its answers.

    It may differ by about `SHIFT_STD`: the fewer answers there are, the less it does.

    Args:
        curve: of all answers.
        confidences: raw, of at least one answer.
        correct: whether each of them is correct.
    """
    scores = curve.slope * np.array([log_odds(item) for item in confidences]) + curve.intercept
    # The slope of the loss rises with the shift: its root is found by halving.
    low, high = -len(correct) * SHIFT_STD**2, len(correct) * SHIFT_STD**2
    while high - low > CONVERGED:
        shift = (low + high) / 2
        expected = float(np.sum(0.5 * (1 + np.tanh((scores + shift) / 2))))
        is_above = expected - sum(correct) + shift / SHIFT_STD**2 > 0
        low, high = (low, shift) if is_above else (shift, high)
    shift = (low + high) / 2
    return ConfidenceCurve(curve.slope, curve.intercept + shift, len(correct), sum(correct))


def _most_likely_line(
    odds: NDArray[np.float64], targets: NDArray[np.float64], level: float
) -> tuple[float, float]:
    """Slope and level of a logistic regression, by Newton's method with shortened steps."""
    inputs = np.stack([odds, np.ones_like(odds)], axis=1)
    line = np.array([0.0, level])

    def loss(weights: NDArray[np.float64]) -> float:
        scores = inputs @ weights
        return float(np.logaddexp(0, scores).sum() - targets @ scores)

    for _ in range(NEWTON_STEPS):
        probabilities = 0.5 * (1 + np.tanh(inputs @ line / 2))
        curvature = inputs.T @ (inputs * (probabilities * (1 - probabilities))[:, None])
        step = np.linalg.solve(
            curvature + CONVERGED * np.eye(2), inputs.T @ (targets - probabilities)
        )
        while loss(line + step) > loss(line) and np.abs(step).max() > CONVERGED:
            step = step / 2
        line = line + step
        if np.abs(step).max() <= CONVERGED:
            break
    return float(line[0]), float(line[1])
