"""Questions of all levels about one frame, and references in place of masks.

A reference replaces a mask only if the question, parsed with it, still has the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from smolrgpt_core.annotation.references import Reference
from smolrgpt_core.answer import read_answer
from smolrgpt_core.data.records import question_record
from smolrgpt_core.data.truths import read_truth, same_answer
from smolrgpt_core.data.warehouse_format import WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import CATEGORIES, MASK, read_question
from smolrgpt_core.language.conventions import Conventions
from smolrgpt_core.language.operators import selections
from smolrgpt_core.language.types import Type
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.synthesis import QuestionWithTruth
from smolrgpt_core.synthesis.drafts import NOUNS

_OF_MASKS = (Type.REGION, Type.REGIONS)
"""What such a question is answered with counts the masks of its text, so they stay."""


@dataclass(frozen=True)
class AnnotatedQuestion:
    """One question of the data set.

    Attributes:
        family: of tasks, in the mixture.
        made: the generated question.
        text: of the question.
        region_ids: for the `<mask>` of the text.
        freeform_answer: a sentence.
        references: the reference of each region that has one in place of its mask.
        reasoning: the answer step by step; empty where there is none.
    """

    family: str
    made: QuestionWithTruth
    text: str
    region_ids: tuple[int, ...]
    freeform_answer: str
    references: Mapping[int, Reference] = field(default_factory=dict)
    reasoning: str = ""

    @classmethod
    def of(cls, family: str, made: QuestionWithTruth, reasoning: str = "") -> AnnotatedQuestion:
        """The generated question, with masks.

        Args:
            family: of tasks.
            made: the question with its true program and answers.
            reasoning: steps before the answer; empty: none.
        """
        text, ids = made.text, made.region_ids
        return cls(family, made, text, ids, made.freeform_answer, reasoning=reasoning)

    def to_json(self) -> dict[str, Any]:
        """Plain values that are not in the record itself."""
        regions = list(self.made.region_ids)
        entry: dict[str, Any] = {"family": self.family, "form": self.made.form, "regions": regions}
        if self.references:
            entry["references"] = {str(id): item.text for id, item in self.references.items()}
        return entry

    def record(self, id: str, image: str, rle: Mapping[int, Mapping[str, Any]]) -> WarehouseRecord:
        """The question in the layout of the data set.

        Args:
            id: of the record.
            image: file name.
            rle: COCO RLE by region id.
        """
        asked = replace(
            self.made,
            text=self.text,
            region_ids=self.region_ids,
            freeform_answer=self.freeform_answer,
        )
        return question_record(id, image, asked, rle, self.family, self.reasoning)

    @property
    def is_answer_read(self) -> bool:
        """Whether a sentence that is scored contains its bare answer.

        Labels such as "pack high" contain words that could be an answer.
        """
        if self.family not in CATEGORIES:
            return True
        category = CATEGORIES[self.family]
        try:
            parsed = read_answer(self.freeform_answer, category)
            value = read_truth(self.made.normalized_answer, self.family, len(self.region_ids))
        except (SpatialError, ValueError):
            return False
        return same_answer(parsed, value, category)


def with_references(
    question: AnnotatedQuestion,
    references: Mapping[int, Reference],
    regions: RegionSet,
    conventions: Conventions,
) -> AnnotatedQuestion:
    """The question with references in place of as many masks as possible.

    Args:
        question: with masks.
        references: by region id.
        regions: of the frame.
        conventions: under which it was made.
    """
    made = question.made
    if made.program.type in _OF_MASKS:
        return question
    used = {id: references[id] for id in dict.fromkeys(made.region_ids) if id in references}
    used = {id: item for id, item in used.items() if _stands_alone(made, id, regions)}
    if not used:
        return question
    text, masked_ids = _replaced(made, used, regions)
    answer = _replaced_in_answer(made, used, masked_ids, regions)
    if answer is None or not _means_the_same(text, masked_ids, used, made, regions, conventions):
        return question
    referring = AnnotatedQuestion(question.family, made, text, masked_ids, answer, used)
    return referring if referring.is_answer_read else question


def refer(
    questions: Sequence[AnnotatedQuestion],
    references: Mapping[int, Reference],
    fraction: float,
    regions: RegionSet,
    conventions: Conventions,
    rng: np.random.Generator,
    for_scores: bool,
) -> list[AnnotatedQuestion]:
    """The questions of a frame, a fraction of them with references.

    A reference is relative to all objects of a class. An evaluation only knows those that have a
    mask in some question of the frame, so for evaluation a reference is used only if all objects of
    the class have one.

    Args:
        questions: with masks.
        references: by region id.
        fraction: of the questions in which references are tried.
        regions: of the frame.
        conventions: under which they were made.
        rng: random numbers.
        for_scores: whether answerers will be evaluated on the questions.
    """
    tried = [
        with_references(item, references, regions, conventions) if rng.random() < fraction else item
        for item in questions
    ]
    while for_scores:
        masked = {id for item in tried for id in item.region_ids}
        held = [_is_held(item, masked, regions) for item in tried]
        if all(held):
            return tried
        tried = [
            item if fine else plain
            for item, plain, fine in zip(tried, questions, held, strict=True)
        ]
    return tried


def _is_held(question: AnnotatedQuestion, masked: set[int], regions: RegionSet) -> bool:
    labels = {regions[id].label for id, item in question.references.items() if item.program}
    return all(region.id in masked for region in regions if region.label in labels)


def _nouns(label: str) -> str:
    """A pattern for the nouns of a label."""
    return "|".join(map(re.escape, sorted({label, *NOUNS.get(label, ())}, key=len, reverse=True)))


def _stands_alone(made: QuestionWithTruth, id: int, regions: RegionSet) -> bool:
    """Whether each mask of a region is named by its class, and not one of a list."""
    before = made.text.split(MASK)
    pattern = re.compile(rf"\b(?:{_nouns(regions[id].label)}) $", re.IGNORECASE)
    places = [place for place, other in enumerate(made.region_ids) if other == id]
    return all(
        pattern.search(before[place]) is not None
        and (before[place + 1] != " " or place + 1 == len(made.region_ids))
        for place in places
    )


def _replaced(
    made: QuestionWithTruth, used: Mapping[int, Reference], regions: RegionSet
) -> tuple[str, tuple[int, ...]]:
    """The text with references, and the ids of the masks that are left."""
    head, *parts = made.text.split(MASK)
    masked_ids = []
    for id, after in zip(made.region_ids, parts, strict=True):
        if id in used:
            pattern = re.compile(rf"(?:the )?\b(?:{_nouns(regions[id].label)}) $", re.IGNORECASE)
            head = pattern.sub(lambda _, id=id: used[id].text, head) + after  # type: ignore[misc]
        else:
            head += MASK + after
            masked_ids.append(id)
    return head[0].upper() + head[1:], tuple(masked_ids)


def _replaced_in_answer(
    made: QuestionWithTruth,
    used: Mapping[int, Reference],
    masked_ids: tuple[int, ...],
    regions: RegionSet,
) -> str | None:
    """The sentence with references and the new numbers of masks; None where one stays unnamed."""

    def named(match: re.Match[str]) -> str:
        id = made.region_ids[int(match.group(2))]
        if id not in used:
            return f"{match.group(1) or ''}[Region {masked_ids.index(id)}]"
        text = used[id].text
        return text[0].upper() + text[1:] if (match.group(1) or "")[:1].isupper() else text

    labels = "|".join(_nouns(regions[id].label) for id in made.region_ids)
    pattern = re.compile(rf"((?:\bthe )?\b(?:{labels}) )?\[Region ([0-9]+)\]", re.IGNORECASE)
    unnamed = [
        match for match in pattern.finditer(made.freeform_answer)
        if match.group(1) is None and made.region_ids[int(match.group(2))] in used
    ]  # fmt: skip
    return None if unnamed else pattern.sub(named, made.freeform_answer)


def _means_the_same(
    text: str,
    ids: tuple[int, ...],
    used: Mapping[int, Reference],
    made: QuestionWithTruth,
    regions: RegionSet,
    conventions: Conventions,
) -> bool:
    """Whether a question is read as the one that was made, once its references are resolved.

    Words of a model cannot be read; that they lead to the object was checked by a detector.
    """
    programs = {item.program: id for id, item in used.items()}
    if None in programs:
        return True
    try:
        read = read_question(text, regions, None, ids)
    except SpatialError:
        # Not understood with the reference: the mask stays.
        return False
    if read.program is None:
        return False
    resolved = read.program.replaced(
        lambda part: selections.Region(programs[part]) if part in programs else part
    )
    return conventions.meant(resolved) == made.program
