"""Recorded answers as proposals that a person accepts, corrects or leaves out.

What a node answered is never taken as truth by itself: it is written to a file, one line of JSON
for each question, beside a picture of it. A person fills `answer`, and only those lines become
training data.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolrgpt_core.answer import Side, SpatialAnswer
from smolrgpt_core.drawing import draw_answer
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import file_error, read_bytes, write_file, write_image
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import CATEGORIES, Category, SpatialQuestion, read_question
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.question import asked_side
from smolrgpt_core.language.wording import answer_sentence
from smolrgpt_core.recordings.question_bag import RecordedQuestion
from smolrgpt_core.regions import RegionSet

FOLDER, FILE = "review", "questions.jsonl"

ACCEPTED = "ok"
"""The proposal is right."""

EXPECTED = {
    Category.DISTANCE: "metres, such as 3.4",
    Category.COUNT: "a number of objects, such as 2",
    Category.LEFT_RIGHT: '"left" or "right"',
    Category.MCQ: "the id of one of the regions asked about",
}
"""What `answer` must be, by category."""

Answer = float | int | str


@dataclass(frozen=True)
class ReviewedQuestion:
    """A recorded question with the answer of a person; an `AnsweredQuestion` of a data set.

    Attributes:
        id: of the line in the file.
        category: what is asked for.
        text: with one `<mask>` for each region.
        region_ids: in the order of the placeholders.
        freeform_answer: a sentence; regions as `[Region k]`, k counting the placeholders from 0.
        normalized_answer: "6.36", "3", "left", or k of `[Region k]`.
    """

    id: str
    category: Category
    text: str
    region_ids: tuple[int, ...]
    freeform_answer: str
    normalized_answer: str


def question_id(recording: str, number: int) -> str:
    """Id of a recorded question, the same whenever its recording is read."""
    return f"{recording}_q{number:05}"


class Review:
    """The recorded questions of a recording while it becomes a data set.

    Args:
        folder: where proposals are written.
        recording: name of the recording.
        recorded: its questions.
        answers: of a person, by id; None writes proposals instead.

    Attributes:
        unused: ids of answers that are not in the data set yet.

    Raises:
        SpatialError: BAD_INPUT when an answer belongs to no question of the recording.
    """

    def __init__(
        self,
        folder: Path,
        recording: str,
        recorded: Sequence[RecordedQuestion],
        answers: Mapping[str, Answer] | None,
    ) -> None:
        self._folder = folder
        self._answers = answers
        self._lines: list[str] = []
        self._by_stamp: defaultdict[int, list[tuple[str, RecordedQuestion]]] = defaultdict(list)
        for item in recorded:
            id = question_id(recording, item.number)
            self._by_stamp[item.asked.stamp_ns].append((id, item))
        known = {id for items in self._by_stamp.values() for id, _ in items}
        self.unused = set(answers or ())
        if self.unused - known:
            raise bad_input(
                f"answer {min(self.unused - known)!r} is to none of the {len(known)} questions of "
                f"the recording {recording}; is it the file of another recording?",
            )

    @property
    def proposals(self) -> int:
        """How many there are so far."""
        return len(self._lines)

    def questions(self, frame: RGBDFrame) -> list[ReviewedQuestion]:
        """Questions about a frame that a person answered; without answers, propose instead.

        Raises:
            SpatialError: BAD_INPUT when an answer does not fit its question.
        """
        items = self._by_stamp[frame.stamp_ns]
        if self._answers is None:
            for id, item in items:
                self._propose(id, item, frame)
            return []
        answered = [(id, item) for id, item in items if id in self._answers]
        self.unused -= {id for id, _ in answered}
        return [
            reviewed_question(id, item, self._answers[id], frame.regions) for id, item in answered
        ]

    def finish(self) -> None:
        """Write the file of proposals, if there are any."""
        if self._lines:
            write_file(self._folder / FILE, "".join(f"{line}\n" for line in self._lines).encode())

    def _propose(self, id: str, recorded: RecordedQuestion, frame: RGBDFrame) -> None:
        question = _question(recorded, frame.regions)
        if question is None:
            return  # what cannot be read has no right answer
        text, answer = recorded.asked.text or question.text, recorded.answer
        write_image(self._folder / f"{id}.jpg", draw_answer(frame, text, answer))
        self._lines.append(json.dumps(_line(id, text, question, answer, frame.regions)))


def read_answers(path: Path) -> dict[str, Answer]:
    """The lines of a file of proposals that have an answer, by id.

    Raises:
        SpatialError: BAD_INPUT that names the file, and the first line that cannot be read.
    """
    answers: dict[str, Answer] = {}
    for number, line in enumerate(read_bytes(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
            id, answer = entry["id"], entry["answer"]
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise file_error(
                path, f"line {number}: expected an object with id and answer ({error!r})"
            ) from error
        if id in answers:
            raise file_error(path, f"line {number}: id {id!r} is there twice")
        if answer is not None:
            answers[id] = answer
    return answers


def reviewed_question(
    id: str, recorded: RecordedQuestion, answer: Answer, regions: RegionSet
) -> ReviewedQuestion:
    """A recorded question with the answer of a person.

    Args:
        id: of the line.
        recorded: the question.
        answer: of the line: `ok`, or what `EXPECTED` says.
        regions: of the frame.

    Raises:
        SpatialError: BAD_INPUT that names the id when the answer does not fit the question.
    """
    question = _question(recorded, regions)
    if question is None:
        raise _bad(id, "the question cannot be read, it has no answer", answer)
    value, side, region_id = _typed(id, question, recorded.answer, answer)
    assert question.program is not None
    said = _program_value(question.program, value, side, region_id)
    sentence = answer_sentence(question.program, said, regions)
    return ReviewedQuestion(
        id,
        question.category,
        question.text,
        question.region_ids,
        _with_placeholders(sentence, question, regions),
        _normalized(question, value, side, region_id),
    )


def _program_value(
    program: Program, value: float | None, side: Side, region_id: int | None
) -> float | int | bool | str | None:
    """An answer as the program of its question has it."""
    if side is not Side.NONE:
        asked = asked_side(program)
        return side.name.lower() == asked if asked else side.name.lower()
    return region_id if region_id is not None else value


def _question(recorded: RecordedQuestion, regions: RegionSet) -> SpatialQuestion | None:
    """What was asked; None for what cannot be read, or has no place in a data set."""
    asked = recorded.asked
    try:
        question = read_question(asked.text, regions, asked.category, asked.region_ids)
    except SpatialError:
        return None
    in_data_set = question.category in CATEGORIES.values() and question.for_model
    return question if in_data_set else None


def _line(
    id: str, text: str, question: SpatialQuestion, answer: SpatialAnswer, regions: RegionSet
) -> dict[str, Any]:
    return {
        "id": id,
        "picture": f"{id}.jpg",
        "question": text,
        "regions": [regions[region].name for region in question.region_ids],
        "category": question.category.name.lower(),
        "expected": EXPECTED[question.category],
        "proposal": _proposal(answer),
        "status": answer.status.name,
        "message": answer.message,
        "geometric_value": answer.geometric_value,
        "model_value": answer.model_value,
        "agreement": answer.agreement.name,
        "answer": None,
    }


def _proposal(answer: SpatialAnswer) -> Answer | None:
    """What the node answered, in the form that `EXPECTED` describes; None for a refusal."""
    if not answer.ok:
        return None
    if answer.side is not Side.NONE:
        return answer.side.name.lower()
    if answer.region_id is not None:
        return int(answer.region_id)
    assert answer.value is not None
    return round(answer.value, 3 if answer.category is Category.DISTANCE else None)


def _typed(
    id: str, question: SpatialQuestion, given: SpatialAnswer, answer: Answer
) -> tuple[float | None, Side, int | None]:
    """Value, side and chosen region, of which the category needs one."""
    is_given = given.ok and given.category is question.category
    wanted = _proposal(given) if answer == ACCEPTED and is_given else answer
    if question.category is Category.LEFT_RIGHT:
        if wanted in ("left", "right"):
            return None, Side[str(wanted).upper()], None
    elif isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        if question.category is Category.MCQ and wanted in question.candidate_ids:
            return None, Side.NONE, int(wanted)
        is_whole = float(wanted).is_integer()
        if question.category is Category.COUNT and is_whole and wanted >= 0:
            return float(wanted), Side.NONE, None
        if question.category is Category.DISTANCE and 0 <= wanted < float("inf"):
            return float(wanted), Side.NONE, None
    accept = f'"{ACCEPTED}" to accept the proposal, ' if is_given else ""
    expected = f"expected {EXPECTED[question.category]}, {accept}or null to leave it out"
    raise _bad(id, expected, answer)


def _normalized(
    question: SpatialQuestion, value: float | None, side: Side, region_id: int | None
) -> str:
    if region_id is not None:
        return str(question.region_ids.index(region_id))
    if side is not Side.NONE:
        return side.name.lower()
    return f"{value:.2f}" if question.category is Category.DISTANCE else f"{value:.0f}"


def _with_placeholders(sentence: str, question: SpatialQuestion, regions: RegionSet) -> str:
    """The sentence of an answer with regions as data sets name them, "the pallet [Region 0]"."""
    names = {
        regions[id].name: f"the {regions[id].label or 'region'} [Region {index}]"
        for index, id in enumerate(question.region_ids)
    }
    if names:
        pattern = "|".join(re.escape(name) for name in names)
        # The first word of a sentence is capitalised.
        word = re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)
        sentence = word.sub(lambda found: names[found[0].lower()], sentence)
    return sentence[0].upper() + sentence[1:]


def _bad(id: str, expected: str, answer: object) -> SpatialError:
    return bad_input(f"{id}: {expected}; got {answer!r:.60}")
