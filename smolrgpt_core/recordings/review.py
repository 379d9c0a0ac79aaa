"""Recorded answers as proposals that a person accepts, corrects or skips.

The answers of a node are never treated as ground truth: they are written to a file, one line of
JSON per question, next to an image of it. A person fills in `answer`, and only those lines become
training data.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from smolrgpt_core.answer import Side, SpatialAnswer
from smolrgpt_core.answer.scoring import normalized_answer
from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.drawing import draw_answer
from smolrgpt_core.errors import SpatialError, Status, bad_input
from smolrgpt_core.files import file_error, read_bytes, write_file, write_image
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import CATEGORIES, Category, SpatialQuestion, read_question
from smolrgpt_core.language.answer_wording import answer_sentence
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.question import asked_side
from smolrgpt_core.recordings.question_bag import RecordedQuestion
from smolrgpt_core.regions import RegionSet

FOLDER, FILE = "review", "questions.jsonl"

ACCEPTED = "ok"
"""The proposal is correct."""

EXPECTED = {
    Category.DISTANCE: "meters, such as 3.4",
    Category.COUNT: "a number of objects, such as 2",
    Category.LEFT_RIGHT: '"left" or "right"',
    Category.MCQ: "the id of one of the regions asked about",
}
"""Expected `answer` by category."""

Answer = float | int | str


@dataclass(frozen=True)
class ReviewedQuestion:
    """A recorded question with a person's answer; an `AnsweredQuestion` of a data set.

    Attributes:
        id: of the line in the file.
        category: kind of answer asked for.
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
    """Id of a recorded question, which only depends on the recording."""
    return f"{recording}_q{number:05}"


class Review:
    """The recorded questions of a recording during conversion to a data set.

    Args:
        folder: for proposals.
        recording: name of the recording.
        recorded: its questions.
        answers: a person's answers by id; None: write proposals instead.

    Attributes:
        unused: ids of answers that are not yet in the data set.

    Raises:
        SpatialError: BAD_INPUT when an answer does not belong to a question of the recording.
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
                f"answer {min(self.unused - known)!r} matches none of the {len(known)} questions "
                f"of the recording {recording}; is it the file of another recording?",
            )

    @property
    def proposals(self) -> int:
        """Number of proposals so far."""
        return len(self._lines)

    def questions(self, frame: RGBDFrame) -> list[ReviewedQuestion]:
        """Questions about a frame that a person answered; without answers, add proposals instead.

        Raises:
            SpatialError: BAD_INPUT when an answer does not match its question.
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
        question = data_set_question(recorded.asked, frame.regions)
        if question is None:
            return  # a question that cannot be parsed has no correct answer
        text, answer = recorded.asked.text or question.text, recorded.answer
        write_image(self._folder / f"{id}.jpg", draw_answer(frame, text, answer))
        self._lines.append(json.dumps(_line(id, text, question, answer, frame.regions)))


def read_answers(path: Path) -> dict[str, Answer]:
    """The lines of a file of proposals that have an answer, by id.

    Raises:
        SpatialError: BAD_INPUT; names the file and the first line that cannot be parsed.
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
            raise file_error(path, f"line {number}: duplicate id {id!r}")
        if answer is not None:
            answers[id] = answer
    return answers


def reviewed_question(
    id: str, recorded: RecordedQuestion, answer: Answer, regions: RegionSet
) -> ReviewedQuestion:
    """A recorded question with a person's answer.

    Args:
        id: of the line.
        recorded: the question.
        answer: of the line: `ok`, or as in `EXPECTED`.
        regions: of the frame.

    Raises:
        SpatialError: BAD_INPUT when the answer does not match the question; names the id.
    """
    question = data_set_question(recorded.asked, regions)
    if question is None:
        raise _bad(id, "the question cannot be read, it has no answer", answer)
    typed = _typed(id, question, recorded.answer, answer)
    assert question.program is not None
    value = _program_value(question.program, typed)
    sentence = answer_sentence(question.program, value, regions)
    return ReviewedQuestion(
        id,
        question.category,
        question.text,
        question.region_ids,
        _with_placeholders(sentence, question, regions),
        normalized_answer(typed, question.region_ids),
    )


def _program_value(program: Program, answer: SpatialAnswer) -> float | int | bool | str | None:
    """An answer as the program of its question has it."""
    if answer.side is not Side.NONE:
        asked, side = asked_side(program), answer.side.name.lower()
        return side == asked if asked else side
    return answer.region_id if answer.region_id is not None else answer.value


def data_set_question(asked: AskedQuestion, regions: RegionSet) -> SpatialQuestion | None:
    """The parsed question; None if it cannot be parsed, or does not fit into a data set."""
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
    """The node's answer in the form of `EXPECTED`; None for a refusal."""
    if not answer.ok:
        return None
    if answer.side is not Side.NONE:
        return answer.side.name.lower()
    if answer.region_id is not None:
        return int(answer.region_id)
    assert answer.value is not None
    return round(answer.value, 3 if answer.category is Category.DISTANCE else None)


def _typed(
    id: str, question: SpatialQuestion, answered: SpatialAnswer, answer: Answer
) -> SpatialAnswer:
    """What a person answered, with the one field that the category needs."""
    typed = SpatialAnswer(Status.OK, question.category)
    has_answer = answered.ok and answered.category is question.category
    wanted = _proposal(answered) if answer == ACCEPTED and has_answer else answer
    if question.category is Category.LEFT_RIGHT:
        if wanted in ("left", "right"):
            return replace(typed, side=Side[str(wanted).upper()])
    elif isinstance(wanted, (int, float)) and not isinstance(wanted, bool):
        if question.category is Category.MCQ and wanted in question.candidate_ids:
            return replace(typed, region_id=int(wanted))
        is_whole = float(wanted).is_integer()
        if question.category is Category.COUNT and is_whole and wanted >= 0:
            return replace(typed, value=float(wanted))
        if question.category is Category.DISTANCE and 0 <= wanted < float("inf"):
            return replace(typed, value=float(wanted))
    accept = f'"{ACCEPTED}" to accept the proposal, ' if has_answer else ""
    expected = f"expected {EXPECTED[question.category]}, {accept}or null to skip it"
    raise _bad(id, expected, answer)


def _with_placeholders(sentence: str, question: SpatialQuestion, regions: RegionSet) -> str:
    """The sentence of an answer with regions as data sets name them, "the pallet [Region 0]"."""
    names = {
        regions[id].name: f"the {regions[id].label or 'region'} [Region {index}]"
        for index, id in enumerate(question.region_ids)
    }
    if names:
        pattern = "|".join(re.escape(name) for name in names)
        # The first word of a sentence is capitalized.
        word = re.compile(rf"\b(?:{pattern})\b", re.IGNORECASE)
        sentence = word.sub(lambda found: names[found[0].lower()], sentence)
    return sentence[0].upper() + sentence[1:]


def _bad(id: str, expected: str, answer: object) -> SpatialError:
    return bad_input(f"{id}: {expected}; got {answer!r:.60}")
