"""An answerer compared with baselines on one split: correct answers and refusals."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import islice
from typing import Any

import numpy as np

from smolrgpt_core.answer import Agreement
from smolrgpt_core.answer.scoring import NormalizedAnswer
from smolrgpt_core.data.truths import true_answer
from smolrgpt_core.data.warehouse_format import CameraRecord, SplitFolder, WarehouseRecord
from smolrgpt_core.errors import Status
from smolrgpt_core.evaluation.challenge_scores import (
    ScoredAnswer,
    challenge_scores,
    score_answer,
)
from smolrgpt_core.evaluation.predictions import (
    AnswererChoice,
    Camera,
    Prediction,
    predict,
    read_cameras,
)
from smolrgpt_core.evaluation.reliability import OVERALL, Reliability, reliability
from smolrgpt_core.evaluation.task_scores import (
    AnswerForm,
    TaskAnswer,
    TaskScore,
    check_truth,
    is_correct_answer,
    task_scores,
)
from smolrgpt_core.files import file_error
from smolrgpt_core.language import CATEGORIES
from smolrgpt_core.quality.guessing import Guess, constant_guess, words_guess
from smolrgpt_core.synthesis.mixtures import TASKS

LESSONS = "train"
"""Split that the baselines learn from."""

NAMED = 3
"""So many questions are named in a message about several."""


@dataclass(frozen=True)
class EvaluatedSystem:
    """Answers of one answerer or baseline to all questions.

    Attributes:
        name: such as "geometric".
        about: a remark for readers.
        predictions: in the order of the records.
        scored: predictions for the categories of the challenge, with the truth where it is known.
        task_answers: those for the tasks of a mixture, with the truth.
        uncertain: answers that were not given because they are too uncertain, with the truth.
    """

    name: str
    about: str
    predictions: Sequence[Prediction]
    scored: Sequence[ScoredAnswer]
    task_answers: Sequence[TaskAnswer] = ()
    uncertain: Sequence[ScoredAnswer | TaskAnswer] = ()

    @classmethod
    def of(
        cls,
        name: str,
        about: str,
        records: Sequence[WarehouseRecord],
        truth: Mapping[str, NormalizedAnswer],
        predictions: Sequence[Prediction],
    ) -> EvaluatedSystem:
        """Score predictions.

        Args:
            name: of the system.
            about: what a reader should know of it.
            records: the questions.
            truth: true answers by id, as far as they are known.
            predictions: in the order of the records.
        """
        known = [
            (record, prediction)
            for record, prediction in zip(records, predictions, strict=True)
            if record.id in truth
        ]
        uncertain = [
            (record, replace(prediction, answer=prediction.uncertain_answer))
            for record, prediction in known
            if prediction.uncertain_answer
        ]
        scored, of_tasks = _scored(known, truth)
        refused = _scored(uncertain, truth)
        return cls(name, about, predictions, scored, of_tasks, [*refused[0], *refused[1]])

    @property
    def judged(self) -> Sequence[ScoredAnswer | TaskAnswer]:
        """All answers beside the truth."""
        return [*self.scored, *self.task_answers]

    @property
    def scores(self) -> dict[str, float]:
        """The challenge's figures; empty without a question of its categories and a truth."""
        return challenge_scores(self.scored) if self.scored else {}

    @property
    def tasks(self) -> dict[str, TaskScore]:
        """Correct answers by task of a mixture; empty where the data set is not one."""
        return task_scores(self.task_answers)

    @property
    def reliabilities(self) -> dict[str, Reliability]:
        """Reliability of the confidences, of all answers and by category; empty without any.

        An uncertain answer that was refused is none. The keys are `OVERALL` and the names of
        categories or tasks.
        """
        confidences = {
            item.id: item.confidence for item in self.predictions if item.status is Status.OK
        }
        groups = {OVERALL: self.judged}
        for name in (*CATEGORIES, *self.tasks):
            groups[name] = [item for item in self.judged if item.group == name]
        found = {
            name: reliability(
                [confidences.get(item.id, math.nan) for item in answers],
                [item.correct for item in answers],
            )
            for name, answers in groups.items()
        }
        return {name: item for name, item in found.items() if item is not None}

    @property
    def agreements(self) -> dict[str, dict[str, int]]:
        """Answers, and correct ones, by agreement of model and geometry; empty without any."""
        agreement = {
            item.id: item.agreement.name for item in self.predictions if item.status is Status.OK
        }
        if set(agreement.values()) <= {Agreement.UNKNOWN.name}:
            return {}
        correct = {item.id: item.correct for item in self.judged}
        counts = Counter(agreement[id] for id in correct if id in agreement)
        hits = Counter(agreement[id] for id in correct if id in agreement and correct[id])
        return {name: {"answers": counts[name], "right": hits[name]} for name in counts}

    @property
    def refusals(self) -> Counter[str]:
        """Number of refusals by reason."""
        return Counter(
            item.status.name for item in self.predictions if item.status is not Status.OK
        )

    @property
    def broken(self) -> dict[str, str]:
        """By id, what is wrong with the data of a question that was refused as BAD_INPUT."""
        return self._messages(Status.BAD_INPUT)

    @property
    def unusable(self) -> dict[str, str]:
        """By id, unusable output of a model, or the reason why there is none."""
        return self._messages(Status.MODEL_ERROR)

    def _messages(self, status: Status) -> dict[str, str]:
        return {item.id: item.message for item in self.predictions if item.status is status}

    @property
    def median_seconds(self) -> float:
        """Median time of an answer, without reading files."""
        return float(np.median([item.seconds for item in self.predictions]))


def _scored(
    known: Sequence[tuple[WarehouseRecord, Prediction]], truth: Mapping[str, NormalizedAnswer]
) -> tuple[list[ScoredAnswer], list[TaskAnswer]]:
    """Answers for the categories of the challenge, and for tasks, with the truth."""
    scored = [
        score_answer(item.id, CATEGORIES[item.category], truth[item.id], prediction.answer)
        for item, prediction in known
        if item.category in CATEGORIES
    ]
    of_tasks = [
        _task_answer(item, str(truth[item.id]), prediction)
        for item, prediction in known
        if item.category in TASKS
    ]
    return scored, of_tasks


@dataclass(frozen=True)
class Evaluation:
    """The results on a split.

    Attributes:
        folder: the split.
        records: its questions.
        systems: the answerer first, then the baselines.
        unscored: why the true answer of a question cannot be read, by id; all others are scored.
            Empty where no question has a true answer.
    """

    folder: SplitFolder
    records: Sequence[WarehouseRecord]
    systems: Sequence[EvaluatedSystem]
    unscored: Mapping[str, str] = field(default_factory=dict)

    @property
    def unscored_note(self) -> str:
        """How many questions are not scored, which and why; empty where all are."""
        if not self.unscored:
            return ""
        return (
            f"{len(self.unscored)} of {len(self.records)} questions have no readable ground-truth "
            f"answer and are not scored: {named(self.unscored)}"
        )

    @property
    def cameras(self) -> dict[str, CameraRecord]:
        """Calibrations by image; empty without `cameras.json`."""
        return read_cameras(self.folder)

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        return {
            "data": self.folder.root.name,
            "split": self.folder.split,
            "questions": len(self.records),
            "scored": len(self.systems[0].judged),
            "unscored": dict(self.unscored),
            "answerers": {
                item.name: {
                    "about": item.about,
                    "scores": item.scores,
                    "tasks": {
                        name: {**asdict(score), "percent": score.percent}
                        for name, score in item.tasks.items()
                    },
                    "refusals": dict(item.refusals),
                    "broken": item.broken,
                    "unusable": item.unusable,
                    "median_seconds": item.median_seconds,
                    "reliability": {
                        name: found.to_json() for name, found in item.reliabilities.items()
                    },
                    "agreement": item.agreements,
                }
                for item in self.systems
            },
        }


def evaluate(
    folder: SplitFolder,
    choice: AnswererChoice,
    camera: Camera | None = None,
    limit: int | None = None,
    workers: int = 1,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
    ablations: Sequence[str] = (),
    looks: bool = False,
) -> Evaluation:
    """Ask the answerer and the baselines every question of a split.

    Args:
        folder: the split.
        choice: what answers.
        camera: for images without calibration.
        limit: only the first N questions.
        workers: processes of each answerer.
        progress: called with the answerer, the number of questions that are done, and of all.
        ablations: names of `ABLATIONS`; the answerer is asked again with each.
        looks: whether geometry beside it uses the color image.

    Raises:
        SpatialError: BAD_INPUT when the questions or the calibrations cannot be read.
        ValueError: as `make_answerer`, and for an unknown ablation.
    """
    crippled = [replace(choice, ablation=name) for name in ablations]
    records = folder.read_records()[:limit]
    _check_records(folder, records)
    truth, unscored = read_truths(records)
    choices = {choice.name: choice, "geometric": AnswererChoice("geometric", looks=looks)}
    choices |= {f"{item.name}, {item.ablation}": item for item in crippled}
    asked = {}
    for name, item in choices.items():
        report = partial(_report, progress, name, len(records))
        asked[name] = predict(folder, records, item, camera, workers, report)
    forms = {item.id: item.form for item in asked[choice.name]}
    unscored |= _without_form(truth, records, forms)
    systems = [
        EvaluatedSystem.of(name, choices[name].model, records, truth, found)
        for name, found in asked.items()
    ]
    guessers = _guessers(folder, records, truth, forms) if truth else []
    return Evaluation(folder, records, [*systems, *guessers], unscored)


def _report(progress: Callable[[str, int, int], None], name: str, total: int, done: int) -> None:
    progress(name, done, total)


def evaluate_alone(
    folder: SplitFolder, choice: AnswererChoice, limit: int | None = None
) -> EvaluatedSystem:
    """As `evaluate`, without baselines, for many answerers on the same split.

    Raises:
        SpatialError, ValueError: as `evaluate`.
    """
    records = folder.read_records()[:limit]
    _check_records(folder, records)
    found = predict(folder, records, choice)
    truth, _ = read_truths(records)
    _without_form(truth, records, {item.id: item.form for item in found})
    return EvaluatedSystem.of(choice.name, choice.model, records, truth, found)


def _check_records(folder: SplitFolder, records: Sequence[WarehouseRecord]) -> None:
    if not records:
        raise file_error(folder.records_path, "expected at least one question, found none")
    times = Counter(record.id for record in records)
    twice = [id for id, number in times.items() if number > 1]
    if twice:
        raise file_error(folder.records_path, f"id {twice[0]!r} is used by several questions")


def read_truths(
    records: Sequence[WarehouseRecord],
) -> tuple[dict[str, NormalizedAnswer], dict[str, str]]:
    """True answers by id, and by id why those of the other questions cannot be read.

    Both are empty for a split whose answers are withheld.
    """
    truth: dict[str, NormalizedAnswer] = {}
    unscored: dict[str, str] = {}
    if not any(record.normalized_answer for record in records):
        return truth, unscored
    for record in records:
        if record.category in TASKS and record.normalized_answer:
            truth[record.id] = record.normalized_answer
            continue
        try:
            truth[record.id] = true_answer(record)
        except ValueError as error:
            unscored[record.id] = str(error)
    return truth, unscored


def _without_form(
    truth: dict[str, NormalizedAnswer],
    records: Sequence[WarehouseRecord],
    forms: Mapping[str, AnswerForm | None],
) -> dict[str, str]:
    """Take those true answers of tasks out that do not have the form of their question.

    Returns:
        By id, why.
    """
    problems: dict[str, str] = {}
    for record in records:
        if record.category in TASKS and record.id in truth:
            try:
                check_truth(forms[record.id], str(truth[record.id]))
            except ValueError as error:
                problems[record.id] = str(error)
                del truth[record.id]
    return problems


def _task_answer(record: WarehouseRecord, truth: str, prediction: Prediction) -> TaskAnswer:
    correct = is_correct_answer(prediction.form, prediction.answer, truth)
    return TaskAnswer(
        record.id, record.category, truth, prediction.answer, correct, prediction.form
    )


def _guessers(
    folder: SplitFolder,
    records: Sequence[WarehouseRecord],
    truth: Mapping[str, NormalizedAnswer],
    forms: Mapping[str, AnswerForm | None],
) -> list[EvaluatedSystem]:
    """Baselines that see no image; `forms` are those of the answers by id."""
    train = SplitFolder(folder.root, LESSONS)
    if folder.split != LESSONS and train.records_path.is_file():
        lessons = train.read_records()
        known, unread = read_truths(lessons)
        about = f"learned from {len(known)} questions of {train.records_path.name}"
        if unread:
            about += f"; {len(unread)} have no true answer that can be read, {named(unread)}"
        rounds = [(lessons, records)]
    else:
        about = "learned from the questions about the other half of the images"
        first, second = halves(records)
        rounds = [(first, second), (second, first)]
    return [
        _guesser(name, about, learn, rounds, records, truth, forms)
        for name, learn in (
            ("most frequent answer", constant_guess), ("question without image", words_guess)
        )
    ]  # fmt: skip


def halves(
    records: Sequence[WarehouseRecord],
) -> tuple[list[WarehouseRecord], list[WarehouseRecord]]:
    """The questions about every other image, and the rest."""
    number = {image: place for place, image in enumerate(dict.fromkeys(r.image for r in records))}
    even = [record for record in records if number[record.image] % 2 == 0]
    return even, [record for record in records if number[record.image] % 2]


def _guesser(
    name: str,
    about: str,
    learn: Callable[[Sequence[WarehouseRecord]], Guess],
    rounds: Sequence[tuple[Sequence[WarehouseRecord], Sequence[WarehouseRecord]]],
    records: Sequence[WarehouseRecord],
    truth: Mapping[str, NormalizedAnswer],
    forms: Mapping[str, AnswerForm | None],
) -> EvaluatedSystem:
    """A baseline that learns from the first and guesses the second of each round."""
    answers: dict[str, str] = {}
    for lessons, asked in rounds:
        guess = learn(lessons)
        answers |= {record.id: guess(record) for record in asked}
    predictions = [
        Prediction(record.id, answers[record.id], Status.OK, form=forms[record.id])
        for record in records
    ]
    return EvaluatedSystem.of(name, about, records, truth, predictions)


def named(reasons: Mapping[str, str]) -> str:
    """The first of several questions with what is wrong with each, such as "'q2': expected ..."."""
    shown = "; ".join(f"{id!r}: {reason}" for id, reason in islice(reasons.items(), NAMED))
    return shown + ("; ..." if len(reasons) > NAMED else "")
