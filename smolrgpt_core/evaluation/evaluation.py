"""An answerer compared with baselines on one split: correct answers and refusals."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from smolrgpt_core.files import file_error
from smolrgpt_core.language import CATEGORIES
from smolrgpt_core.quality.guessing import Guess, constant_guess, words_guess

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
        scored: predictions with the truth; empty if the truth is unknown.
    """

    name: str
    about: str
    predictions: Sequence[Prediction]
    scored: Sequence[ScoredAnswer]

    @property
    def scores(self) -> dict[str, float]:
        """The challenge's figures; empty if the truth is unknown."""
        return challenge_scores(self.scored) if self.scored else {}

    @property
    def reliabilities(self) -> dict[str, Reliability]:
        """Reliability of the confidences, of all answers and by category; empty without any.

        The keys are `OVERALL` and the names of the categories.
        """
        confidences = {item.id: item.confidence for item in self.predictions}
        groups = {OVERALL: self.scored}
        for name, category in CATEGORIES.items():
            groups[name] = [item for item in self.scored if item.category is category]
        found = {
            name: reliability(
                [confidences[item.id] for item in answers], [item.right for item in answers]
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
        right = {item.id: item.right for item in self.scored}
        counts = Counter(agreement[id] for id in right if id in agreement)
        hits = Counter(agreement[id] for id in right if id in agreement and right[id])
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
        """Of an answer, without reading files."""
        return float(np.median([item.seconds for item in self.predictions]))


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
            "scored": len(self.systems[0].scored),
            "unscored": dict(self.unscored),
            "answerers": {
                item.name: {
                    "about": item.about,
                    "scores": item.scores,
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
    progress: Callable[[str, int, int], None] = lambda name, total, done: None,
    ablations: Sequence[str] = (),
) -> Evaluation:
    """Ask the answerer and the baselines every question of a split.

    Args:
        folder: the split.
        choice: what answers.
        camera: for images without calibration.
        limit: only the first N questions.
        workers: processes of each answerer.
        progress: called with the answerer, the number of questions, and the number done.
        ablations: names of `ABLATIONS`; the answerer is asked again with each.

    Raises:
        SpatialError: BAD_INPUT when the questions or the calibrations cannot be read.
        ValueError: as `make_answerer`, and for an unknown ablation.
    """
    crippled = [replace(choice, ablation=name) for name in ablations]
    records = folder.read_records()[:limit]
    _check_records(folder, records)
    truth, unscored = read_truths(records)
    choices = {choice.name: choice, "geometric": AnswererChoice("geometric")}
    choices |= {f"{item.name}, {item.ablation}": item for item in crippled}
    asked = {}
    for name, item in choices.items():
        report = partial(progress, name, len(records))
        asked[name] = predict(folder, records, item, camera, workers, report)
    systems = [
        EvaluatedSystem(name, choices[name].model, found, _scored(truth, records, found))
        for name, found in asked.items()
    ]
    guessers = _guessers(folder, records, truth) if truth else []
    return Evaluation(folder, records, [*systems, *guessers], unscored)


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
    return EvaluatedSystem(
        choice.name, choice.model, found, _scored(read_truths(records)[0], records, found)
    )


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
        try:
            truth[record.id] = true_answer(record)
        except ValueError as error:
            unscored[record.id] = str(error)
    return truth, unscored


def _scored(
    truth: Mapping[str, NormalizedAnswer],
    records: Sequence[WarehouseRecord],
    predictions: Sequence[Prediction],
) -> list[ScoredAnswer]:
    """Answers beside the truth, where it is known."""
    return [
        score_answer(record.id, CATEGORIES[record.category], truth[record.id], prediction.answer)
        for record, prediction in zip(records, predictions, strict=True)
        if record.id in truth
    ]


def _guessers(
    folder: SplitFolder, records: Sequence[WarehouseRecord], truth: Mapping[str, NormalizedAnswer]
) -> list[EvaluatedSystem]:
    """Baselines that see no image."""
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
        _guesser(name, about, learn, rounds, records, truth)
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
) -> EvaluatedSystem:
    """A baseline that learns from the first and guesses the second of each round."""
    answers: dict[str, str] = {}
    for lessons, asked in rounds:
        guess = learn(lessons)
        answers |= {record.id: guess(record) for record in asked}
    predictions = [Prediction(record.id, answers[record.id], Status.OK) for record in records]
    return EvaluatedSystem(name, about, predictions, _scored(truth, records, predictions))


def named(reasons: Mapping[str, str]) -> str:
    """The first of several questions with what is wrong with each, such as "'q2': expected ..."."""
    shown = "; ".join(f"{id!r}: {reason}" for id, reason in islice(reasons.items(), NAMED))
    return shown + ("; ..." if len(reasons) > NAMED else "")
