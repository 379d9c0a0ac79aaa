"""Converts the result of the interpreter to an answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from smolrgpt_core.answer.spatial_answer import Side, SpatialAnswer
from smolrgpt_core.errors import Status, bad_question
from smolrgpt_core.language import SpatialQuestion
from smolrgpt_core.language.answer_wording import answer_sentence, names_in_words, steps_in_words
from smolrgpt_core.language.interpreter import Finding, is_counted
from smolrgpt_core.language.operators import questions
from smolrgpt_core.language.options import choose
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.question import asked_side
from smolrgpt_core.language.types import Type
from smolrgpt_core.language.wording import Unit, quantity, say
from smolrgpt_core.regions import RegionSet

_TIES = frozenset({Type.REGION, Type.REGIONS, Type.TRUTH, Type.RELATION, Type.COLOR})
"""Types of discrete answers."""

SURE = 0.95
"""What fewer of the disturbed copies agree on makes the answer mention what else it may be: one in
five that is wrong without a word would be too many."""

_MEASURED = "according to the measurement,"

_ENDS = ((1 - SURE) / 2, (1 + SURE) / 2)
"""Quantiles between which so many of the copies are."""


def why_uncertain(finding: Finding, regions: RegionSet, certainty: float) -> str:
    """Why an answer is a tie: too few of the perturbed copies give it; empty for a certain one.

    Args:
        finding: result of the interpreter.
        regions: to name regions in the message.
        certainty: fraction of the copies that must give the answer, 0 to 1.
    """
    discrete = finding.program.type in _TIES or is_counted(finding.program)
    if not discrete or finding.confidence >= certainty:
        return ""
    other = "" if finding.rival is None else f", or {_shown(finding.rival, regions)}"
    return (
        f"too close to call: {_shown(finding.value, regions)}{other}; within the measurement "
        f"uncertainty, the answer holds in {finding.confidence:.0%} of the cases, but "
        f"{certainty:.0%} are required{_likely_numbers(finding)}; ask from another "
        "viewpoint"
    )


def _likely_numbers(finding: Finding) -> str:
    """Between which numbers, or shares, an unsure one likely is; empty for what is no number."""
    if finding.program.type is not Type.QUANTITY:
        return ""
    values = np.asarray(finding.found[finding.program], dtype=np.float64)
    low, high = np.nanquantile(values, _ENDS, method="closest_observation")
    unit = finding.program.unit
    return f"; {SURE:.0%} likely {quantity(low, unit)} to {quantity(high, unit)}"


def alternatives_note(finding: Finding, shown: Unit | None, regions: RegionSet) -> str:
    """What an answer may be as well, as a note; empty if so many copies as `SURE` agree on it.

    That is of a quantity or size between which values it likely is, of a place or direction how far
    it may be off, and of any other answer how likely it is and which one comes next.

    Args:
        finding: result of the interpreter.
        shown: the unit that was asked for.
        regions: to name regions in the note.
    """
    if finding.confidence >= SURE:
        return ""
    program = finding.program
    if program.type in (Type.POINT, Type.VECTOR):
        return f"{_MEASURED} {SURE:.0%} likely {_likely_radius(finding, shown)}"
    if program.type is Type.SIZE or (
        program.type is Type.QUANTITY and program.unit != "h" and not is_counted(program)
    ):
        return f"{_MEASURED} {SURE:.0%} likely {_likely_range(finding, shown)}"
    other = _other_hour(finding) if program.unit == "h" else finding.rival
    or_other = "" if other is None else f", or {_shown(other, regions)}"
    return f"{_MEASURED} {finding.confidence:.0%} likely{or_other}"


def _other_hour(finding: Finding) -> str:
    """The next likely hour of a clock."""
    values = np.asarray(finding.found[finding.program], dtype=np.float64)
    hours, counts = np.unique(values[values != values[0]], return_counts=True)
    return quantity(hours[np.argmax(counts)], finding.program.unit)


def _likely_range(finding: Finding, shown: Unit | None) -> str:
    """Between which values a quantity or a size likely is."""
    program = finding.program
    values = np.asarray(finding.found[program], dtype=np.float64)
    if program.unit == "deg":  # no jump from 180 to -180 degrees
        values = values[0] + (values - values[0] + 180) % 360 - 180
    values = values.reshape(len(values), -1)
    low, high = np.nanquantile(values, _ENDS, axis=0)
    ranges = zip(np.minimum(low, values[0]), np.maximum(high, values[0]), strict=True)
    unit = program.unit if program.type is Type.QUANTITY else "m"
    return " x ".join(" to ".join(quantity(end, unit, shown) for end in pair) for pair in ranges)


def _likely_radius(finding: Finding, shown: Unit | None) -> str:
    """How far a point or a direction likely is off at most."""
    values = np.asarray(finding.found[finding.program], dtype=np.float64)
    if finding.program.type is Type.POINT:
        off = np.linalg.norm(values - values[0], axis=1)
        return f"within {quantity(np.nanquantile(off, SURE), 'm', shown)} of it"
    off = np.degrees(np.arccos(np.clip(values @ values[0], -1, 1)))
    return f"within {quantity(np.nanquantile(off, SURE), 'deg')} of it"


def answer_of(finding: Finding, question: SpatialQuestion, regions: RegionSet) -> SpatialAnswer:
    """The answer to a question, without the centers of its regions.

    Args:
        finding: result of the interpreter.
        question: as parsed.
        regions: of the frame.

    Raises:
        SpatialError: CANNOT_TELL or BAD_QUESTION when no option of a multiple choice matches;
            BAD_QUESTION for the side of a region relative to itself.
    """
    program, value = finding.program, finding.value
    _check_sides(finding, regions)
    is_number = program.type is Type.QUANTITY
    option = choose(program, value, question.options, regions) if question.options else ""
    return SpatialAnswer(
        status=Status.OK,
        category=question.category,
        text=answer_sentence(program, value, regions, question.unit),
        value=value if is_number else None,
        unit=program.unit if is_number else "",
        region_id=value if program.type is Type.REGION else None,
        answer_ids=_answer_ids(finding),
        side=_side(program, value),
        truth=value if program.type is Type.TRUTH else None,
        relation=value if program.type in (Type.RELATION, Type.COLOR) else "",
        vector=value if isinstance(value, np.ndarray) else None,
        option=option,
        understood=say(program, regions),
        steps=tuple(steps_in_words(finding, regions)),
        confidence=finding.confidence,
        geometric_value=value if is_number else None,
        region_ids=question.region_ids or finding.ids,
    )


def _answer_ids(finding: Finding) -> tuple[int, ...]:
    if finding.program.type is Type.REGIONS:
        return tuple(finding.value)
    if finding.program.type is Type.REGION:
        return (finding.value,)
    if finding.program.operator is questions.Count:
        return finding.counted
    return ()


def _check_sides(finding: Finding, regions: RegionSet) -> None:
    """Refuse to say whether a region is left of itself: "no" would mean right of itself."""
    if not asked_side(finding.program):
        return
    subject, predicate = finding.program.arguments
    place = predicate.arguments[0]
    if place.type is not Type.REGION:
        return
    index = int(finding.found[subject][0])
    if index == int(finding.found[place][0]):
        name = regions.regions[index].name
        raise bad_question(f"{name} is neither left nor right of itself")


def _side(program: Program, value: Any) -> Side:
    asked = asked_side(program)
    if asked:
        side = asked if value else {"left": "right", "right": "left"}[asked]
        return Side[side.upper()]
    if program.type is Type.RELATION and value in ("left", "right"):
        return Side[value.upper()]
    return Side.NONE


def _shown(value: Any, regions: RegionSet) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return names_in_words(value, regions)
    if isinstance(value, int) and value in regions:
        return regions[value].name
    return f"{value:g}" if isinstance(value, float) else str(value)
