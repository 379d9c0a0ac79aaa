"""Parses the sentence of a model into a value. Strict: no answer is better than a wrong one.

Understands the wording of the warehouse data set ("The pallet [Region 0] is 6.36 meters from the
pallet [Region 1].") and usual variations. Region names in a sentence are never taken for values.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isinf

from smolrgpt_core.answer.spatial_answer import UNITS, Side
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import Category
from smolrgpt_core.language.english import NUMBER_WORDS, ORDINALS, pluralize
from smolrgpt_core.object_classes import LABEL_SYNONYMS

METERS_PER_UNIT = {
    **dict.fromkeys(("m", "meter", "meters", "metre", "metres"), 1.0),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre", "centimetres"), 0.01),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre", "millimetres"), 0.001),
    **dict.fromkeys(("ft", "foot", "feet"), 0.3048),
    **dict.fromkeys(("inch", "inches"), 0.0254),
    **dict.fromkeys(("yd", "yard", "yards"), 0.9144),
}

MAX_ANSWER_LENGTH = 2000
"""Characters; a sentence of the warehouse data set has about a hundred."""

SAME_DISTANCE = 0.01
"""Two distances in one sentence with a smaller relative difference are the same in two units."""

_REGIONS_IN_BRACKETS = re.compile(
    r"\bregions? ?#? ?\[ ?[0-9]+ ?\](?:[ ,&]*(?:(?:and|or|to) )?[ ,&]*\[ ?[0-9]+ ?\])*",
    re.IGNORECASE,
)
"""As in SpatialRGPT and the Open Spatial Dataset: "Region [3]", "regions [0] and [1]"."""

_IN_BRACKETS = re.compile(r"\[ ?([0-9]+) ?\]")

_TOKEN = re.compile(
    r"\[ ?region ?[0-9]+ ?\]|region[ _]?[0-9]+|[0-9]*\.[0-9]+|[0-9]+|[^\W\d_]+|\S", re.IGNORECASE
)
_REFUSALS = frozenset(
    {"cannot", "unable", "unsure", "unclear", "unknown", "impossible", "neither", "nor", "sorry"}
)
_NEGATIONS = _REFUSALS | {"not", "t"}
_PARTS_OF_NUMBERS = frozenset(
    {"thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "hundreds",
     "thousand", "dozen", "point", "half", "quarter", "third", "percent", "%"}
)  # fmt: skip
_BOUNDS = frozenset(
    {"less", "more", "fewer", "than", "over", "under", "least", "most", "almost", "nearly", "up",
     "<", ">", "\u2264", "\u2265"}
)  # fmt: skip
_OTHER_SIZES = frozenset(
    {"tall", "high", "wide", "long", "deep", "height", "width", "length", "depth", "per"}
)
_EXCLUSIONS = frozenset(
    {"except", "excluding", "exclude", "besides", "other", "anything", "avoid", "wrong",
     "incorrect", "?"}
)  # fmt: skip
_AFTER_RIGHT_AS_ADVERB = frozenset(
    {"next", "behind", "beside", "besides", "in", "above", "below", "there", "here", "now", "at",
     "away", "before", "after", "by", "near", "over", "under", "between", "up", "against"}
)  # fmt: skip
_NOT_A_SIDE = re.compile(
    r"\b(that|you|he|all|quite|absolutely)( ?'? ?(s|is|re|are))? right\b"
    r"|\b(has|have|had|been) left\b"
    r"|\bleft over\b|\b(one|none|nothing|[0-9]+|pallets?|much|many|any) left\b|\bopposite\b|\?"
)
_NUMBERING = frozenset({"number", "no", "nr", "id", "#"})
_OBJECTS = {word.split()[-1] for words in LABEL_SYNONYMS.values() for word in words} | {
    "region",
    "object",
}
_NAMED_OBJECTS = _OBJECTS | {pluralize(word) for word in _OBJECTS}
_SINGLED_OUT = frozenset(
    {"nearest", "closest", "farthest", "furthest", "leftmost", "rightmost", "shortest", "smallest",
     "largest", "longest", "optimal", "best", "ideal", "suitable"}
)  # fmt: skip
_DETERMINERS = frozenset({"the", "this", "that", "each", "every", "which", "other"})
_AFTER_A_BARE_DISTANCE = frozenset({"apart", "away", "between", "from", "to"})
_INSIDE = frozenset({"in", "inside", "within"})
_BETWEEN_SUBJECT_AND_CLAIM = frozenset(
    {"is", "the", "a", "appears", "seems", "lies", "stands", "located", "at", "as", "most", "to",
     "be", "one", "second", "third", "fourth"}
)  # fmt: skip


@dataclass(frozen=True)
class ParsedAnswer:
    """The content of a sentence; only the fields of its category are set.

    Attributes:
        value: meters (distance) or number of objects (count).
        unit: of `value`: "m" or "objects", whatever the sentence used; else empty.
        region_index: k of `[Region k]`, counting the placeholders of the question from 0 (mcq).
        side: left_right.
    """

    value: float | None = None
    unit: str = ""
    region_index: int | None = None
    side: Side = Side.NONE


def read_answer(text: str, category: Category) -> ParsedAnswer:
    """Parse a model's sentence.

    Args:
        text: such as "The distance is 3.42 meters.", "Left.", "[Region 3]".
        category: of the question.

    Raises:
        SpatialError: MODEL_ERROR with the text, when it holds nothing that fits the category, or
            things that contradict each other.
    """
    try:
        if len(text) > MAX_ANSWER_LENGTH:
            raise _UnreadableError(f"it has {len(text)} characters, over {MAX_ANSWER_LENGTH}")
        tokens = _tokens(text)
        if not tokens:
            raise _UnreadableError("it is empty")
        return _READERS[category](tokens)
    except _UnreadableError as error:
        shown = text if len(text) <= 200 else f"{text[:200]}..."
        raise SpatialError(
            Status.MODEL_ERROR,
            f"the model's answer to {category.name} cannot be parsed: {error}. It was: {shown!r}",
        ) from error


def _tokens(text: str) -> list[str]:
    """Words, numbers, marks and regions in lower case; a region is one token, "[region 3]"."""
    plain = " ".join(text.split())
    plain = _REGIONS_IN_BRACKETS.sub(_with_names_in_brackets, plain)
    return [token.lower() for token in _TOKEN.findall(plain)]


def _with_names_in_brackets(regions: re.Match[str]) -> str:
    """The regions of a list as in the warehouse data set: "[Region 0] and [Region 1]"."""
    listed = regions[0][regions[0].index("[") :]
    return _IN_BRACKETS.sub(r"[Region \1]", listed)


class _UnreadableError(ValueError):
    """The reason why a sentence contains no answer."""


def _distance(tokens: Sequence[str]) -> ParsedAnswer:
    _refuse(tokens, _NEGATIONS | _PARTS_OF_NUMBERS | _BOUNDS | _OTHER_SIZES | {"?"})
    measured: list[float] = []
    bare: list[float] = []
    for position, number in _numbers(tokens):
        unit = tokens[position + 1] if position + 1 < len(tokens) else ""
        if unit in METERS_PER_UNIT:
            if tokens[position + 2 : position + 3] and tokens[position + 2] in "/^\u00b2\u00b3":
                raise _UnreadableError(f"{number:g} {unit}{tokens[position + 2]} is not a distance")
            measured.append(number * METERS_PER_UNIT[unit])
        elif tokens[position] not in NUMBER_WORDS or _is_alone(tokens, position):
            is_word = unit.isalpha() and unit not in _AFTER_A_BARE_DISTANCE
            if unit and (is_word or unit in "'\"\u2032\u2033\u2019\u201d/"):
                raise _UnreadableError(f"{number:g} {unit} is not a distance")
            bare.append(number)
    if measured and bare:
        raise _UnreadableError(f"{bare[0]:g} has no unit, but another number has one")
    values = measured or bare
    if not values:
        raise _UnreadableError("it contains no distance")
    if max(values) - min(values) > SAME_DISTANCE * max(values):
        raise _UnreadableError(f"it contains both {min(values):g} and {max(values):g} m")
    return ParsedAnswer(values[0], UNITS[Category.DISTANCE])


def _count(tokens: Sequence[str]) -> ParsedAnswer:
    _refuse(tokens, _REFUSALS | _PARTS_OF_NUMBERS | _BOUNDS | {"?"})
    numbers: set[float] = set()
    for position, number in _numbers(tokens):
        following = tokens[position + 1] if position + 1 < len(tokens) else ""
        if following in METERS_PER_UNIT:
            raise _UnreadableError(f"{number:g} {following} is not a number of objects")
        numbers.add(number)
    for word, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if word == "none" or (word == "no" and following.isalpha()):
            numbers.add(0.0)
    if len(numbers) != 1:
        found = " and ".join(f"{number:g}" for number in sorted(numbers)) or "no number"
        raise _UnreadableError(f"it contains {found}")
    number = numbers.pop()
    if not number.is_integer():
        raise _UnreadableError(f"{number:g} is not a whole number")
    return ParsedAnswer(number, UNITS[Category.COUNT])


def _left_right(tokens: Sequence[str]) -> ParsedAnswer:
    _refuse(tokens, _NEGATIONS)
    _refuse_other_senses(tokens)
    sides = {Side[token.upper()] for token in tokens if token in ("left", "right")}
    if len(sides) != 1:
        raise _UnreadableError("it names both sides" if sides else "it names no side")
    return ParsedAnswer(side=sides.pop())


def _refuse_other_senses(tokens: Sequence[str]) -> None:
    """Refuse "right next to it", "that's right" and "one pallet left", which are not sides."""
    for token, following in zip(tokens, [*tokens[1:], ""], strict=True):
        if token == "right" and following in _AFTER_RIGHT_AS_ADVERB:
            raise _UnreadableError(f"'right {following}' is not a side")
    found = _NOT_A_SIDE.search(" ".join(tokens))
    if found:
        raise _UnreadableError(f"{found[0]!r} names no side")


def _mcq(tokens: Sequence[str]) -> ParsedAnswer:
    _refuse(tokens, _REFUSALS | _EXCLUSIONS)
    for position, token in enumerate(tokens):
        following = tokens[position + 1 : position + 4]
        negated = _SINGLED_OUT & set(following) or any(map(_is_region, following))
        if token in ("not", "t") and negated and not _INSIDE & set(following):
            raise _UnreadableError("it is negated")
    if [token for token in tokens if token.isalnum()] == tokens[:1] and tokens[0].isdecimal():
        return ParsedAnswer(region_index=int(tokens[0]))
    named = {index for token in tokens if (index := _region_index(token)) is not None}
    claimed = named if len(named) == 1 else _singled_out(tokens) or _placed(tokens)
    if len(claimed) != 1:
        raise _UnreadableError(f"it names {len(named)} regions and does not single out one")
    return ParsedAnswer(region_index=claimed.pop())


def _singled_out(tokens: Sequence[str]) -> set[int]:
    """Regions of which a sentence claims "[Region 5] is the nearest", or "nearest ... is"."""
    claimed: set[int] = set()
    subject: int | None = None
    pending = False
    for position, token in enumerate(tokens):
        index = _region_index(token)
        if index is not None:
            if pending and _follows_is(tokens, position):
                claimed.add(index)
            subject = index
        elif token in _SINGLED_OUT:
            if subject is not None:
                claimed.add(subject)
            pending = pending or subject is None
            subject = None
        elif token in ".;":
            subject, pending = None, False
        elif token not in _BETWEEN_SUBJECT_AND_CLAIM:
            subject = None
    return claimed


def _placed(tokens: Sequence[str]) -> set[int]:
    """Regions of which a sentence claims "[Region 5] is (not) in the buffer [Region 0]"."""
    claimed: set[int] = set()
    for position, token in enumerate(tokens):
        if token in _INSIDE and any(map(_is_region, tokens[position + 1 : position + 5])):
            before = [word for word in tokens[:position] if word != "not"]
            if len(before) > 1 and before[-1] == "is" and _is_region(before[-2]):
                claimed.add(_region_index(before[-2]) or 0)
    return claimed


def _follows_is(tokens: Sequence[str], position: int) -> bool:
    """Whether "is [Region 5]" or "is the pallet [Region 5]" leads to this position."""
    before = [token for token in tokens[max(0, position - 3) : position] if token != "the"]
    return "is" in before[-2:]


def _is_region(token: str) -> bool:
    return _region_index(token) is not None


def _region_index(token: str) -> int | None:
    word = token.lstrip("[ ")
    if word.startswith("region") and any(map(str.isdecimal, word)):
        return int("".join(filter(str.isdecimal, token)))
    return None


def _numbers(tokens: Sequence[str]) -> list[tuple[int, float]]:
    """Position and value of every number that is not part of the name of an object."""
    found: list[tuple[int, float]] = []
    for position, token in enumerate(tokens):
        before = tokens[position - 1] if position else ""
        if token[-1].isdigit() and token[0] in "0123456789.":
            if before in "-,/:" and position > 1 and tokens[position - 2][-1].isdigit():
                raise _UnreadableError(f"{tokens[position - 2]}{before}{token} is not one number")
            if before == "-":
                raise _UnreadableError(f"-{token} is negative")
            if isinf(float(token)):
                raise _UnreadableError(f"a number of {len(token)} digits is not a measurement")
            if not _is_name(tokens, position):
                found.append((position, float(token)))
        elif (
            token in NUMBER_WORDS
            and not _is_name(tokens, position)
            and not _is_pronoun(token, before)
        ):
            following = [word for word in tokens[position + 1 : position + 3] if word != "-"]
            if following and following[0] in NUMBER_WORDS:
                raise _UnreadableError(f"'{token} {following[0]}' is not one number")
            found.append((position, float(NUMBER_WORDS[token])))
    return found


def _is_name(tokens: Sequence[str], position: int) -> bool:
    """Whether a number names an object: "pallet 3", "pallet number 3", "pallets 3 and 4"."""
    before, earlier = (
        tokens[place] if place >= 0 else "" for place in (position - 1, position - 2)
    )
    if before == "[":
        # "Pallet [3]" is a name as "[Region 3]" is.
        return earlier in _NAMED_OBJECTS
    if before in _NUMBERING:
        return before in ("#", "id") or earlier in _NAMED_OBJECTS
    if before in ("and", ",", "&") and earlier.isdigit():
        return _is_name(tokens, position - 2)
    return before in _NAMED_OBJECTS


def _is_alone(tokens: Sequence[str], position: int) -> bool:
    """Whether a token is the only word or number."""
    return not any(token[-1].isalnum() for token in [*tokens[:position], *tokens[position + 1 :]])


def _is_pronoun(word: str, before: str) -> bool:
    """Whether "one" means an object, as in "the second one"."""
    return word == "one" and (before in ORDINALS or before in _SINGLED_OUT | _DETERMINERS)


def _refuse(tokens: Sequence[str], words: frozenset[str]) -> None:
    found = [token for token in tokens if token in words]
    if found:
        raise _UnreadableError(f"it contains {found[0]!r}")


_READERS: dict[Category, Callable[[Sequence[str]], ParsedAnswer]] = {
    Category.DISTANCE: _distance,
    Category.COUNT: _count,
    Category.LEFT_RIGHT: _left_right,
    Category.MCQ: _mcq,
}
