"""A question about the regions of one frame: what is asked, and the wording for a model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import IntEnum

from smolrgpt_core.errors import SpatialError, bad_question
from smolrgpt_core.language.model_wording import masked_wording
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.options import Option, split_options
from smolrgpt_core.language.placeholders import MASK
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.reader import Read, check_placeholders, read_text
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.words import clean_text
from smolrgpt_core.regions import MAX_REGIONS, Region, RegionSet


class Category(IntEnum):
    """What a question asks for, and so which field of an answer is filled.

    The first four are those of PhysicalAI-Spatial-Intelligence-Warehouse. Values equal the
    CATEGORY_* constants of `srv/SpatialQuery` and `msg/SpatialAnswer`.
    """

    DISTANCE = 1
    """Meters between the 3-D centers of two objects; 0 for an object in the buffer asked about."""
    COUNT = 2
    """How many regions fit a description."""
    LEFT_RIGHT = 3
    """On which side of another region, or of an observer, one is."""
    MCQ = 4
    """Which region fits a description."""
    TRUTH = 5
    """Whether something is so."""
    LIST = 6
    """Which regions fit a description."""
    QUANTITY = 7
    """A quantity with a unit that is no distance and no count: a size, an area, a bearing."""
    RELATION = 8
    """One of a few words: in front or behind, above or below, inside or outside; or a color."""
    POSITION = 9
    """Where something is: meters in the optical frame or the target frame."""
    DIRECTION = 10
    """A unit vector in the same frame."""
    SIZE = 11
    """Length, width and height in meters."""


CATEGORIES = {
    category.name.lower(): category
    for category in (Category.DISTANCE, Category.COUNT, Category.LEFT_RIGHT, Category.MCQ)
}
"""The categories of the warehouse data set by its names: "left_right", "mcq", ..."""

_REQUIRED_IDS = {
    Category.DISTANCE: (1, 2),
    Category.COUNT: (2, None),
    Category.LEFT_RIGHT: (2, 2),
    Category.MCQ: (2, None),
    Category.POSITION: (1, 1),
    Category.SIZE: (1, 1),
}
"""Smallest and largest number of ids of a request without text."""


@dataclass(frozen=True)
class SpatialQuestion:
    """A question with every reference resolved.

    Attributes:
        category: what is asked for.
        text: as a model is asked: one `<mask>` for each entry of `region_ids`.
        region_ids: in `<mask>` order.
        program: what is asked; None where only the text holds it.
        unit: name and size in SI units of the unit that the answer is to be given in; None = SI.
        options: of a multiple choice, in order.
        candidate_ids: the regions that a choice is among, where a model is asked.
        for_model: whether `text` is in words that models of the warehouse data set know.

    Raises:
        SpatialError: BAD_QUESTION when the placeholders do not match the ids.
    """

    category: Category
    text: str
    region_ids: tuple[int, ...]
    program: Program | None = None
    unit: tuple[str, float] | None = None
    options: tuple[Option, ...] = ()
    candidate_ids: tuple[int, ...] = ()
    for_model: bool = True

    def __post_init__(self) -> None:
        check_placeholders(self.text, self.region_ids)


def read_question(
    text: str,
    regions: RegionSet,
    category: Category | None = None,
    region_ids: Sequence[int] = (),
) -> SpatialQuestion:
    """Read a question about the regions of one frame.

    Regions are named by `<mask>` (with `region_ids` in order), "[Region 3]", "region 3",
    "pallet 3", "pallets 3, 4 and 5", or by what they are: "the buffer", "the pallet nearest to the
    empty transporter". docs/questions.md lists what can be asked.

    Args:
        text: the question; may be empty when category and ids are enough: distance of two regions
            (or of one to the camera); side of the first seen from the second; how many of all but
            the last stand in the last; which of all but the last is nearest to the last; position
            or size of one region.
        regions: of the frame that is asked about.
        category: what the question must be; None reads it from the text.
        region_ids: ids for the `<mask>` placeholders.

    Raises:
        SpatialError: UNKNOWN_REGION for an id that the frame does not have, or that is of another
            class; BAD_QUESTION for everything that cannot be read.
    """
    if len(region_ids) > MAX_REGIONS:
        raise bad_question(
            f"the request has {len(region_ids)} region ids; at most {MAX_REGIONS} are read"
        )
    ids = tuple(regions[id].id for id in region_ids)
    cleaned = clean_text(text)
    if not cleaned:
        program = typed_program(category, [regions[id] for id in ids])
        return question_of(program, regions)
    question, options = split_options(cleaned, regions)
    read = _read(question, options, regions, ids)
    found = question_of(read.program, regions, cleaned, ids)
    if category is not None and found.category is not category:
        raise bad_question(
            f"the request has the category {category.name}, but the text asks for "
            f"{found.category.name}; make them agree, or leave the category open"
        )
    return replace(found, unit=read.unit, options=options)


def _read(question: str, options: Sequence[Option], regions: RegionSet, ids: Sequence[int]) -> Read:
    """A question that may need its options to be understood: "which of these ..."."""
    try:
        return read_text(question, regions, ids)
    except SpatialError:
        texts = [option.text for option in options]
        for whole in (f"{question} {' or '.join(texts)}", f"given {', '.join(texts)}: {question}"):
            if options:
                with suppress(SpatialError):
                    return read_text(whole, regions, ids)
        raise


def question_of(
    program: Program, regions: RegionSet, text: str = "", region_ids: Sequence[int] = ()
) -> SpatialQuestion:
    """A program as a question.

    Args:
        program: what is asked.
        regions: of the frame.
        text: as it was asked; "" = by program alone.
        region_ids: for the placeholders of `text`.
    """
    wording = masked_wording(program, regions)
    if wording is None:
        return SpatialQuestion(
            category_of(program), text, tuple(region_ids), program, for_model=False
        )
    return SpatialQuestion(
        category_of(program),
        wording.text,
        wording.region_ids,
        program,
        candidate_ids=wording.candidate_ids,
    )


def category_of(program: Program) -> Category:
    """What a program asks for."""
    if program.type is Type.QUANTITY:
        if program.unit == "objects":
            return Category.COUNT
        measured = program.operator is questions.Measure
        distance = measured and program.arguments[1].operator is attributes.Distance
        return Category.DISTANCE if distance else Category.QUANTITY
    if program.type is Type.RELATION:
        sides = program.arguments[2] == "left_right"
        return Category.LEFT_RIGHT if sides else Category.RELATION
    if asked_side(program):
        return Category.LEFT_RIGHT
    return {
        Type.REGION: Category.MCQ,
        Type.REGIONS: Category.LIST,
        Type.TRUTH: Category.TRUTH,
        Type.COLOR: Category.RELATION,
        Type.POINT: Category.POSITION,
        Type.VECTOR: Category.DIRECTION,
        Type.SIZE: Category.SIZE,
    }[program.type]


LOOKS = frozenset({questions.Color.name, predicates.Colored.name})
"""What is measured by looking at the color image."""


def measures_of(program: Program) -> set[str]:
    """The names of the attributes and predicates in a program: what it measures, whatever of.

    A color is what a question asks for itself.
    """
    measures = (Type.ATTRIBUTE, Type.PREDICATE, Type.COLOR)
    return {part.operator.name for part in program.walk() if part.type in measures}


def measure_of(program: Program | None) -> str:
    """The one attribute or predicate that a program measures; "" for none or several."""
    measures = set() if program is None else measures_of(program)
    return measures.pop() if len(measures) == 1 else ""


def is_about_looks(program: Program | None) -> bool:
    """Whether the color image alone answers: what color something is, and nothing else."""
    return measure_of(program) in LOOKS


def asked_side(program: Program) -> str:
    """The side, "left" or "right", on which a question asks whether a region is; else empty."""
    if program.operator is not questions.Whether:
        return ""
    predicate = program.arguments[1]
    return {predicates.LeftOf: "left", predicates.RightOf: "right"}.get(predicate.operator, "")


def typed_program(category: Category | None, regions: Sequence[Region]) -> Program:
    """The program that a category and regions stand for.

    Raises:
        SpatialError: BAD_QUESTION without category, for one that needs words, or when the number of
            regions does not fit.
    """
    if category is None:
        raise bad_question("the question is empty; write one, or give a category and region ids")
    if category not in _REQUIRED_IDS:
        raise bad_question(f"a {category.name} request needs a question in words")
    least, most = _REQUIRED_IDS[category]
    if len(regions) < least or (most is not None and len(regions) > most):
        needed = (
            f"{least} or more" if most is None else " or ".join(map(str, sorted({least, most})))
        )
        raise bad_question(
            f"a {category.name} request without text needs {needed} region ids, got {len(regions)}"
        )
    ids = [region.id for region in regions]
    repeated, times = Counter(ids).most_common(1)[0]
    if times > 1:
        raise bad_question(
            f"the {len(ids)} region ids must be different, {repeated} is among them {times} times"
        )
    return _typed(category, ids)


def _typed(category: Category, ids: Sequence[int]) -> Program:
    *others, last = ids
    final = selections.Region(last)
    if category is Category.POSITION:
        return questions.Position(final)
    if category is Category.SIZE:
        return questions.Dimensions(final)
    if category is Category.LEFT_RIGHT:
        return questions.Side(selections.Region(others[0]), final, "left_right")
    if category is Category.DISTANCE:
        if not others:
            return questions.Measure(final, attributes.Distance(selections.Camera()))
        return questions.Measure(selections.Region(others[0]), attributes.Distance(final))
    listed = selections.Listed(tuple(others))
    if category is Category.COUNT:
        return questions.Count(selections.Where(listed, predicates.In(final)))
    return selections.Extreme(listed, attributes.Distance(final), "least", 1.0)


__all__ = [
    "CATEGORIES",
    "MASK",
    "Category",
    "SpatialQuestion",
    "asked_side",
    "category_of",
    "question_of",
    "read_question",
    "typed_program",
]
