"""The single path from a question, as it is asked, to its answer.

    AskedQuestion --read_asked--> SpatialQuestion --answerer--> SpatialAnswer

Node, command line, replay and evaluation use it, so the scores describe what the node serves: no
answerer gets wording that the node would refuse. In files and in recordings of the node, a question
is a line of JSON.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import Answerer, answers_about
from smolrgpt_core.errors import SpatialError, Status, bad_input
from smolrgpt_core.files import file_error, read_bytes
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import Category, SpatialQuestion, check_placeholders, read_question
from smolrgpt_core.language.words import clean_text
from smolrgpt_core.messages.stamps import NANOSECONDS
from smolrgpt_core.regions import MAX_REGION_ID, RegionSet

logger = logging.getLogger(__name__)

FREE_FORM = "free_form"
"""Category of a question whose text determines what is asked."""

FIELDS = ("question", "category", "region_ids", "stamp")


@dataclass(frozen=True)
class AskedQuestion:
    """A question before anything is known about the frame.

    Attributes:
        text: plain English, or with `<mask>`; may be empty if category and ids suffice.
        category: None = determined by the text.
        region_ids: for the `<mask>` placeholders.
        stamp_ns: of the frame to ask about, nanoseconds; 0 = the latest.
    """

    text: str
    category: Category | None = None
    region_ids: tuple[int, ...] = ()
    stamp_ns: int = 0

    def to_json(self) -> dict[str, Any]:
        """A JSON object with the fields of `srv/SpatialQuery`, the category by name."""
        return {
            "question": self.text,
            "category": self.category.name.lower() if self.category else FREE_FORM,
            "region_ids": list(self.region_ids),
            "stamp": stamp_to_json(self.stamp_ns),
        }

    @classmethod
    def from_json(cls, entry: Any) -> AskedQuestion:
        """Inverse of `to_json`; every field is optional.

        Raises:
            SpatialError: BAD_INPUT; a field is unknown or has the wrong type, the message names it.
        """
        if not isinstance(entry, Mapping):
            raise bad_input(
                f"expected an object with some of {', '.join(FIELDS)}, got {entry!r:.60}"
            )
        unknown = entry.keys() - set(FIELDS)
        if unknown:
            raise bad_input(f"unknown field {min(unknown)!r}; known fields are {', '.join(FIELDS)}")
        return cls(
            text=_text(entry.get("question", "")),
            category=_category(entry.get("category", FREE_FORM)),
            region_ids=_region_ids(entry.get("region_ids", [])),
            stamp_ns=_stamp_ns(entry.get("stamp", {})),
        )


def read_asked(
    answerer: Answerer,
    regions: RegionSet,
    text: str,
    category: Category | None = None,
    region_ids: Sequence[int] = (),
) -> SpatialQuestion:
    """Parse a question for an answerer.

    A text that cannot be parsed is passed on verbatim to an answerer whose model answers free text,
    if the request states the category.

    Args:
        answerer: gets the question.
        regions: of the frame.
        text: of the question.
        category: that the request states; None: determined by the text.
        region_ids: for the `<mask>` placeholders.

    Raises:
        SpatialError: as `read_question`.
    """
    try:
        return read_question(text, regions, category, region_ids)
    except SpatialError as error:
        if error.status is not Status.BAD_QUESTION or not answerer.free_text or category is None:
            raise
        cleaned = clean_text(text)
        check_placeholders(cleaned, region_ids)
        if not cleaned:
            raise
    ids = tuple(region_ids)
    return SpatialQuestion(category, cleaned, ids, candidate_ids=ids)


def ask(frame: RGBDFrame, asked: AskedQuestion, answerer: Answerer) -> SpatialAnswer:
    """The answer to one question; a refusal if it has none.

    Args:
        frame: the question is about it.
        asked: the question.
        answerer: answers it.
    """
    return ask_batch(frame, [asked], answerer)[0]


def timed_answer(frame: RGBDFrame, asked: AskedQuestion, answerer: Answerer) -> SpatialAnswer:
    """The answer, with its computation time as the latency stage `answer`.

    Args:
        frame: the question is about it.
        asked: the question.
        answerer: answers it.
    """
    start = time.perf_counter()
    answer = ask(frame, asked, answerer)
    total = time.perf_counter() - start
    return replace(answer, latency_s={**answer.latency_s, "answer": total})


def ask_batch(
    frame: RGBDFrame, asked: Sequence[AskedQuestion], answerer: Answerer
) -> list[SpatialAnswer]:
    """Answers to questions about one frame, including refusals, in the order of the questions.

    Args:
        frame: the questions are about it.
        asked: the questions.
        answerer: answers them in one call.
    """
    read = [_read_or_error(answerer, frame, item) for item in asked]
    questions = [item for item in read if isinstance(item, SpatialQuestion)]
    outcomes = iter(_outcomes(answerer, frame, questions))
    answers = []
    for item, question in zip(asked, read, strict=True):
        outcome = next(outcomes) if isinstance(question, SpatialQuestion) else question
        if isinstance(outcome, SpatialError):
            known = question if isinstance(question, SpatialQuestion) else None
            outcome = refusal(outcome, item, known)
        answers.append(outcome)
    return answers


def _outcomes(
    answerer: Answerer, frame: RGBDFrame, questions: Sequence[SpatialQuestion]
) -> list[SpatialAnswer | SpatialError]:
    """The answerer's output; if it raises, MODEL_ERROR for every question, as in the node."""
    if not questions:
        return []
    try:
        return answers_about(answerer, frame, questions)
    except Exception as error:
        logger.exception("the answerer failed")
        failure = SpatialError(Status.MODEL_ERROR, f"the answerer failed with {error!r}")
        return [failure] * len(questions)


def refusal(
    error: SpatialError, asked: AskedQuestion, question: SpatialQuestion | None = None
) -> SpatialAnswer:
    """The refusal for an error, with what is known about the question.

    Args:
        error: why there is no answer.
        asked: the question as asked.
        question: as parsed; None if it could not be.
    """
    refused = SpatialAnswer.refusal(error, question)
    return refused if refused.category else replace(refused, category=asked.category)


def _read_or_error(
    answerer: Answerer, frame: RGBDFrame, asked: AskedQuestion
) -> SpatialQuestion | SpatialError:
    try:
        return read_asked(answerer, frame.regions, asked.text, asked.category, asked.region_ids)
    except SpatialError as error:
        return error


def read_questions(path: Path) -> list[tuple[int, AskedQuestion]]:
    """Questions from a file, each with its line number, from 1.

    Args:
        path: JSON Lines; of a .txt file each line is a question in plain words.

    Raises:
        SpatialError: BAD_INPUT; names the file and the first line that cannot be parsed.
    """
    plain = path.suffix.lower() == ".txt"
    questions = []
    for number, line in enumerate(read_bytes(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            asked = (
                AskedQuestion(line.decode().strip())
                if plain
                else AskedQuestion.from_json(json.loads(line))
            )
            questions.append((number, asked))
        except (ValueError, RecursionError, SpatialError) as error:
            raise file_error(path, f"line {number}: {error}") from error
    if not questions:
        raise file_error(
            path, 'expected one question per line, such as {"question": "How many pallets?"}'
        )
    return questions


def stamp_to_json(stamp_ns: int) -> dict[str, int]:
    """A stamp in nanoseconds as the fields of `builtin_interfaces/Time`."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    return {"sec": seconds, "nanosec": nanoseconds}


def _text(value: Any) -> str:
    # Texts that are too long are refused later, by the same parser as in the node.
    if not isinstance(value, str):
        raise bad_input(f"question must be text, got {value!r:.60}")
    return value


def _category(value: Any) -> Category | None:
    if value is None or value == FREE_FORM:
        return None
    names = [category.name.lower() for category in Category]
    if value not in names:
        raise bad_input(
            f"category must be one of {', '.join((*names, FREE_FORM))}, got {value!r:.60}"
        )
    return Category[value.upper()]


def _region_ids(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(_is_whole(id, MAX_REGION_ID) for id in value):
        raise bad_input(f"region_ids must be a list of ids such as [7, 2], got {value!r:.60}")
    return tuple(value)


def _stamp_ns(value: Any) -> int:
    known = {"sec": 2**31 - 1, "nanosec": NANOSECONDS - 1}
    if not isinstance(value, Mapping) or not all(
        name in known and _is_whole(part, known[name]) for name, part in value.items()
    ):
        raise bad_input(
            f'stamp must have the form {{"sec": 1700000000, "nanosec": 0}}, got {value!r:.60}'
        )
    return int(value.get("sec", 0)) * NANOSECONDS + int(value.get("nanosec", 0))


def _is_whole(value: Any, highest: int) -> bool:
    return type(value) is int and 0 <= value <= highest
