"""The one way from a question as it is asked to its answer.

    AskedQuestion --read_asked--> SpatialQuestion --answerer--> SpatialAnswer

Node, command line, replay and evaluation use it, so what is scored is what is served: nobody
shows an answerer words that the node would refuse. Questions are also lines of JSON, in files and
in recordings of the node.
"""

from __future__ import annotations

import json
import logging
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
"""Category of a question that says itself what it asks."""

FIELDS = ("question", "category", "region_ids", "stamp")


@dataclass(frozen=True)
class AskedQuestion:
    """A question before anything is known about the frame.

    Attributes:
        text: plain English, or with `<mask>`; may be empty when category and ids say it all.
        category: None = the text says it.
        region_ids: for the `<mask>` placeholders.
        stamp_ns: of the frame to ask about; 0 = the newest.
    """

    text: str
    category: Category | None = None
    region_ids: tuple[int, ...] = ()
    stamp_ns: int = 0

    def to_json(self) -> dict[str, Any]:
        """With the fields of `srv/SpatialQuery`, the category by its name."""
        return {
            "question": self.text,
            "category": self.category.name.lower() if self.category else FREE_FORM,
            "region_ids": list(self.region_ids),
            "stamp": stamp_to_json(self.stamp_ns),
        }

    @classmethod
    def from_json(cls, entry: Any) -> AskedQuestion:
        """Inverse of `to_json`; every field may be left out.

        Raises:
            SpatialError: BAD_INPUT that names the field which is unknown or of another kind.
        """
        if not isinstance(entry, Mapping):
            raise bad_input(
                f"expected an object with some of {', '.join(FIELDS)}, got {entry!r:.60}"
            )
        unknown = entry.keys() - set(FIELDS)
        if unknown:
            raise bad_input(f"unknown field {min(unknown)!r}; known are {', '.join(FIELDS)}")
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
    """The question as an answerer can take it.

    What cannot be read goes, as it is, to an answerer whose model answers free text, if the request
    says by its category what kind of answer is wanted.

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
    """The answer to one question, or the refusal that says why there is none."""
    return ask_together(frame, [asked], answerer)[0]


def ask_together(
    frame: RGBDFrame, asked: Sequence[AskedQuestion], answerer: Answerer
) -> list[SpatialAnswer]:
    """Answers to questions about one frame, refusals too, in their order."""
    read = [_read_or_error(answerer, frame, item) for item in asked]
    questions = [item for item in read if isinstance(item, SpatialQuestion)]
    given = iter(_given(answerer, frame, questions))
    answers = []
    for item, question in zip(asked, read, strict=True):
        outcome = next(given) if isinstance(question, SpatialQuestion) else question
        if isinstance(outcome, SpatialError):
            known = question if isinstance(question, SpatialQuestion) else None
            outcome = refusal(outcome, item, known)
        answers.append(outcome)
    return answers


def _given(
    answerer: Answerer, frame: RGBDFrame, questions: Sequence[SpatialQuestion]
) -> list[SpatialAnswer | SpatialError]:
    """What the answerer says; a fault of its own is the answer MODEL_ERROR, as in the node."""
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
    """The answer that says why there is none, with what is known of the question."""
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
    """Questions of a file of JSON lines, each with the number of its line, from 1.

    Raises:
        SpatialError: BAD_INPUT that names the file, and the first line that cannot be read.
    """
    questions = []
    for number, line in enumerate(read_bytes(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            questions.append((number, AskedQuestion.from_json(json.loads(line))))
        except (ValueError, RecursionError, SpatialError) as error:
            raise file_error(path, f"line {number}: {error}") from error
    if not questions:
        raise file_error(
            path, 'expected a question in each line, such as {"question": "How many pallets?"}'
        )
    return questions


def stamp_to_json(stamp_ns: int) -> dict[str, int]:
    """As `builtin_interfaces/Time` is written in a service call."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    return {"sec": seconds, "nanosec": nanoseconds}


def _text(value: Any) -> str:
    # Longer texts are refused as a question, by the reader that the node uses as well.
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
            f'stamp must read like {{"sec": 1700000000, "nanosec": 0}}, got {value!r:.60}'
        )
    return int(value.get("sec", 0)) * NANOSECONDS + int(value.get("nanosec", 0))


def _is_whole(value: Any, highest: int) -> bool:
    return type(value) is int and 0 <= value <= highest
