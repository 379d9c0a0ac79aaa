"""A generated question in the form of the data set's files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from smolrgpt_core.data.warehouse_format import HUMAN, MODEL, AnswerTruth, Turn, WarehouseRecord
from smolrgpt_core.language import Category
from smolrgpt_core.language.placeholders import IMAGE
from smolrgpt_core.regions import RegionSet, encode_rle


class AnsweredQuestion(Protocol):
    """A question with its answer; the fields are those of `QuestionWithTruth`."""

    @property
    def category(self) -> Category:
        """What is asked for."""
        ...

    @property
    def text(self) -> str:
        """In the style MASK."""
        ...

    @property
    def region_ids(self) -> tuple[int, ...]:
        """One for each `<mask>` of the text."""
        ...

    @property
    def freeform_answer(self) -> str:
        """A sentence."""
        ...

    @property
    def normalized_answer(self) -> str:
        """The bare answer."""
        ...


def question_record(
    id: str,
    image: str,
    question: AnsweredQuestion,
    rle: Mapping[int, Mapping[str, Any]],
    task: str = "",
    reasoning: str = "",
    truth: AnswerTruth | None = None,
) -> WarehouseRecord:
    """A record of the data set.

    Args:
        id: of the record.
        image: file name.
        question: with one region id for each `<mask>` of its text.
        rle: COCO RLE by region id.
        task: name of its family of tasks, which stands in the place of the category.
        reasoning: its answer step by step.
        truth: what is true of its regions.
    """
    return WarehouseRecord(
        id=id,
        image=image,
        conversations=(
            Turn(HUMAN, f"{IMAGE}\n{question.text}"),
            Turn(MODEL, question.freeform_answer),
        ),
        rle=tuple(rle[region] for region in question.region_ids),
        category=task or question.category.name.lower(),
        normalized_answer=question.normalized_answer,
        freeform_answer=question.freeform_answer,
        reasoning=reasoning,
        truth=truth,
    )


def encode_masks(regions: RegionSet, ids: set[int]) -> dict[int, dict[str, Any]]:
    """COCO RLE of some regions, by id."""
    return {id: encode_rle(regions.full_mask(id)) for id in sorted(ids)}
