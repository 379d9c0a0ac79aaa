"""Files of true answers and of predictions, as the challenge takes them.

Both are JSON lists of objects with `id` and `normalized_answer`; true answers have a `category` as
well, so that `val.json` of a data set is one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolrgpt_core.answer.scoring import NormalizedAnswer, read_normalized
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.challenge_scores import ScoredAnswer, score_answer
from smolrgpt_core.files import file_error, read_json, write_file
from smolrgpt_core.language import CATEGORIES, Category

NAMED_IDS = 5
"""So many ids are named in a message about several."""


@dataclass(frozen=True)
class TrueAnswer:
    """The truth of one question."""

    category: Category
    value: NormalizedAnswer


def score_files(truth_path: Path, predictions_path: Path) -> list[ScoredAnswer]:
    """Every prediction with its true answer, in the order of the true answers.

    Raises:
        SpatialError: BAD_INPUT that names the file: it cannot be read, an id occurs twice, or
            the two files are not about the same questions.
    """
    truth = read_true_answers(truth_path)
    predictions = read_predictions(predictions_path)
    _check_ids(truth, predictions, truth_path, predictions_path)
    return [
        score_answer(id, true.category, true.value, predictions[id]) for id, true in truth.items()
    ]


def read_true_answers(path: Path) -> dict[str, TrueAnswer]:
    """True answers by id.

    Raises:
        SpatialError: BAD_INPUT that names the file and the entry.
    """
    answers = {}
    for id, entry in _entries(path).items():
        category = CATEGORIES.get(str(entry.get("category")))
        if category is None:
            known = ", ".join(CATEGORIES)
            found = entry.get("category")
            raise file_error(path, f"id {id!r}: expected a category of {known}, got {found!r}")
        try:
            value = read_normalized(entry.get("normalized_answer"), category)
        except ValueError as error:
            raise file_error(
                path,
                f"id {id!r}: normalized_answer {entry.get('normalized_answer')!r} is not an "
                f"answer to a question of the category {category.name.lower()}: {error}",
            ) from error
        answers[id] = TrueAnswer(category, value)
    return answers


def read_predictions(path: Path) -> dict[str, Any]:
    """The unparsed predictions of a file, by id.

    Raises:
        SpatialError: BAD_INPUT that names the file and the entry.
    """
    predictions = {}
    for id, entry in _entries(path).items():
        if "normalized_answer" not in entry:
            raise file_error(path, f"id {id!r}: expected a normalized_answer, found none")
        predictions[id] = entry["normalized_answer"]
    return predictions


def write_predictions(path: Path, predictions: Mapping[str, str]) -> None:
    """Write predictions in the format of a submission, completely or not at all."""
    entries = [{"id": id, "normalized_answer": answer} for id, answer in predictions.items()]
    write_file(path, json.dumps(entries, indent=1).encode())


def _entries(path: Path) -> dict[str, Mapping[str, Any]]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise file_error(path, f"expected a list of answers, found {type(entries).__name__}")
    by_id: dict[str, Mapping[str, Any]] = {}
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("id"), (str, int)):
            raise file_error(path, f"entry {index}: expected an object with an `id`")
        id = str(entry["id"])
        if id in by_id:
            raise file_error(path, f"id {id!r} occurs twice; give one answer per question")
        by_id[id] = entry
    return by_id


def _check_ids(
    truth: Mapping[str, Any], predictions: Mapping[str, Any], truth_path: Path, path: Path
) -> None:
    missing = [id for id in truth if id not in predictions]
    unknown = [id for id in predictions if id not in truth]
    for ids, problem in ((missing, "have no prediction"), (unknown, f"are not in {truth_path}")):
        if ids:
            raise _ids_error(path, ids, problem)
    if not truth:
        raise file_error(truth_path, "expected at least one answer, found an empty list")


def _ids_error(path: Path, ids: Sequence[str], problem: str) -> SpatialError:
    named = ", ".join(map(repr, ids[:NAMED_IDS])) + (", ..." if len(ids) > NAMED_IDS else "")
    return file_error(path, f"{len(ids)} questions {problem}: {named}")
