"""Questions and answers about a mirrored image: only left and right are swapped.

A question is mirrored only if it can be parsed and its mirrored text parses to exactly the mirrored
program. So "how many are left", "3 o'clock" or a position in meters are never changed by mistake:
their images are not mirrored.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache

from smolrgpt_core.answerer_settings import SHORT
from smolrgpt_core.data.samples import Conversation
from smolrgpt_core.data.warehouse_format import HUMAN, Turn
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.label_rules import class_in
from smolrgpt_core.language.mask_labels import mask_labels
from smolrgpt_core.language.operators import (
    arrangements,
    attributes,
    benchmarks,
    fronts,
    predicates,
    questions,
    selections,
)
from smolrgpt_core.language.program import Operator, Program
from smolrgpt_core.language.reader import read_text
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.synthesis.reasoning import REQUESTS

_SIDES = {
    "left": "right", "leftmost": "rightmost", "left-most": "right-most",
    "lefthand": "righthand", "left-hand": "right-hand", "leftwards": "rightwards",
    "leftward": "rightward",
}  # fmt: skip
_EXCHANGED = {**_SIDES, **{right: left for left, right in _SIDES.items()}}
_BOTH = r"\b(?:left|right)\b(?: ?/ ?| or (?:to the |on the )?| and )\b(?:left|right)\b"
_WORD = re.compile(rf"({_BOTH})|\b({'|'.join(sorted(_EXCHANGED, key=len, reverse=True))})\b", re.I)

_OTHER_SENSE = re.compile(
    r"\b(?:right (?:now|here|there|away|next|behind|before|after|in|at|beside|above|below|angle)"
    r"|left (?:over|out|alone|behind|in|on)|(?:is|are|were|was) right(?: *[.,!]| that)"
    r"|all ?right|(?:are|were|be|has|have) left|m (?:left|right)|o.?clock|clockwise)\b",
    re.I,
)
"""Left and right that are no sides, or that stand beside numbers with a sign."""

_UNSAFE: frozenset[Operator] = frozenset(
    {
        attributes.Bearing, attributes.ClockHour, attributes.Capacity, benchmarks.Rightward,
        benchmarks.ClockSector, fronts.Heading, fronts.FacingSide, arrangements.Offset,
        questions.Position, questions.Direction, questions.DepthAt,
    }
)  # fmt: skip
"""Values that change with the side in another way than by a word."""

_ORDERED = (selections.Extreme, selections.First, selections.Sorted)
_SIDED: Mapping[Operator, Operator] = {
    predicates.LeftOf: predicates.RightOf,
    predicates.RightOf: predicates.LeftOf,
}
_ENDS = {"least": "most", "most": "least"}


class _UnsafeError(Exception):
    """What a part of a program stands for cannot be mirrored."""


def mirrored(conversation: Conversation) -> Conversation | None:
    """The conversation about the mirrored image; None if that is not certain."""
    turns: list[Turn] = []
    has_sides = False
    for turn in conversation.turns:
        if turn.speaker == HUMAN:
            program = read_masked(turn.text)
            changed = mirrored_words(turn.text)
            if program is None or not _is_mirrored(program, changed):
                return None
            has_sides = _names_sides(program)
        else:
            changed = mirrored_words(turn.text)
            if changed != turn.text and (not has_sides or _OTHER_SENSE.search(turn.text)):
                return None
        turns.append(Turn(turn.speaker, changed))
    return replace(
        conversation,
        turns=tuple(turns),
        normalized_answer=mirrored_words(conversation.normalized_answer),
        reasoning="",
        truth=None,
    )


def mirrored_words(text: str) -> str:
    """A text with left and right swapped; "left or right" stays."""
    return _WORD.sub(_exchanged, text)


def mirrored_program(program: Program) -> Program | None:
    """The program for the mirrored image; None if its answer cannot be mirrored by words."""
    try:
        return program.replaced(_mirrored_part)
    except _UnsafeError:
        return None


@lru_cache(maxsize=4096)
def read_masked(text: str) -> Program | None:
    """The program of a question whose regions are its `<mask>`, numbered from 0.

    None if it cannot be parsed. Style instructions after the question are ignored.
    """
    for instruction in (SHORT.instruction, *REQUESTS):
        text = text.removesuffix(f" {instruction}")
    labels = mask_labels(text)
    regions = [
        Region.from_box(place, class_in(label) or label, Box(place, 0, 1, 1))
        for place, label in enumerate(labels)
    ]
    try:
        known = RegionSet((1, max(len(labels), 1)), tuple(regions))
        return read_text(text, known, range(len(labels))).program
    except SpatialError:
        return None


def _is_mirrored(program: Program, text: str) -> bool:
    wanted = mirrored_program(program)
    return wanted is not None and read_masked(text) == wanted


def _names_sides(program: Program) -> bool:
    """Whether left or right are part of a question, so that they may be sides in its answer."""
    return any(
        part.operator in _SIDED
        or part.operator is attributes.Column
        or (part.operator is questions.Side and part.arguments[2] == "left_right")
        for part in program.walk()
    )


def _mirrored_part(part: Program) -> Program:
    operator, arguments = part.operator, part.arguments
    if operator in _UNSAFE:
        raise _UnsafeError
    if operator in _SIDED:
        return _SIDED[operator](*arguments)
    is_column = [getattr(item, "operator", None) is attributes.Column for item in arguments]
    if operator in _ORDERED and is_column[1]:
        return operator(*arguments[:2], _ENDS[arguments[2]], *arguments[3:])
    if any(is_column):
        raise _UnsafeError
    return part


def _exchanged(found: re.Match[str]) -> str:
    both, word = found.groups()
    if both:
        return str(both)
    other = _EXCHANGED[word.lower()]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other
