"""Converts the result of the interpreter to an answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from smolrgpt_core.answer.spatial_answer import Side, SpatialAnswer
from smolrgpt_core.errors import Status, bad_question
from smolrgpt_core.language import SpatialQuestion
from smolrgpt_core.language.answer_wording import answer_sentence, steps_in_words
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
        f"{certainty:.0%} are required{_likely_numbers(finding, certainty)}; ask from another "
        "viewpoint"
    )


def _likely_numbers(finding: Finding, certainty: float) -> str:
    """Between which numbers or shares of objects an unsure one is; empty for what is no number."""
    if finding.program.type is not Type.QUANTITY:
        return ""
    values = np.asarray(finding.found[finding.program], dtype=np.float64)
    low, high = np.nanquantile(values, _ends(certainty), method="closest_observation")
    unit = finding.program.unit
    return f"; {certainty:.0%} likely {quantity(low, unit)} to {quantity(high, unit)}"


def _ends(certainty: float) -> tuple[float, float]:
    return (1 - certainty) / 2, (1 + certainty) / 2


def spread_note(finding: Finding, shown: Unit | None, certainty: float) -> str:
    """The range of an uncertain quantity or size, as a note; empty if it is certain enough.

    Args:
        finding: result of the interpreter.
        shown: the unit that was asked for.
        certainty: fraction of the copies below which the range is given, and which it covers, 0 to
            1.
    """
    program = finding.program
    is_number = program.type is Type.QUANTITY and not is_counted(program)
    if finding.confidence >= certainty or not (is_number or program.type is Type.SIZE):
        return ""
    values = np.asarray(finding.found[program], dtype=np.float64)
    if program.unit == "h":
        hours, counts = np.unique(values[values != values[0]], return_counts=True)
        return f"may also be {quantity(hours[np.argmax(counts)], program.unit)}"
    if program.unit == "deg":  # no jump from 180 to -180 degrees
        values = values[0] + (values - values[0] + 180) % 360 - 180
    ranges = np.nanquantile(values.reshape(len(values), -1), _ends(certainty), axis=0).T
    unit = program.unit if is_number else "m"
    texts = [" to ".join(quantity(end, unit, shown) for end in pair) for pair in ranges]
    return f"{certainty:.0%} likely {' x '.join(texts)}"


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
        return " and ".join(regions[id].name for id in value) or "none"
    if isinstance(value, int) and value in regions:
        return regions[value].name
    return f"{value:g}" if isinstance(value, float) else str(value)
