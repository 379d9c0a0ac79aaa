"""Numbers and lengths in English as people write them: "one and a half meters", "25 cm", "5 ft 2".

All lengths of a text are found, so that a reader can tell whether there is one. It serves the rules
of this project, and to check what a language model claims to have read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from smolrgpt_core.answer.reading import METERS_PER_UNIT
from smolrgpt_core.language.english import NUMBER_WORDS

INCH, FOOT = METERS_PER_UNIT["inch"], METERS_PER_UNIT["foot"]

UNITS = {
    **METERS_PER_UNIT,
    **dict.fromkeys(("in", '"', "\u2033", "\u201d"), INCH),
    **dict.fromkeys(("'", "\u2032", "\u2019"), FOOT),
}
"""Meters of every word and sign of a unit."""

_PARTS = {"half": 0.5, "halves": 0.5, "quarter": 0.25, "quarters": 0.25, "third": 1 / 3,
          "thirds": 1 / 3}  # fmt: skip
_SIGNS = {"\u00bd": 0.5, "\u00bc": 0.25, "\u00be": 0.75}
_POWERS = {"hundred": 100.0, "thousand": 1000.0}
_DOZEN = 12.0
_TOKEN = re.compile(
    r"[0-9]*(?:\.[0-9]+){2,}|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9])|[0-9]+/[0-9]+|[0-9]*\.[0-9]+|[0-9]+"
    r"|[a-z]+|\S"
)
_ARTICLES = frozenset({"a", "an"})


@dataclass(frozen=True)
class Length:
    """A length in a text.

    Attributes:
        meters: its value.
        unit: meters of its unit, the first one of "5 ft 2 in".
    """

    meters: float
    unit: float


def tokens_of(text: str) -> list[str]:
    """Words in lower case, numbers and signs."""
    return _TOKEN.findall(text.lower())


def numbers_in(text: str) -> list[float]:
    """All numbers of a text, digits or words, in their order."""
    found, place, tokens = [], 0, tokens_of(text)
    while place < len(tokens):
        value, end = _number(tokens, place)
        if end > place:
            found.append(value)
        place = max(end, place + 1)
    return found


_QUOTED_NUMBER = re.compile(r'(?<!\S)["\u201c]([0-9]+(?:\.[0-9]+)?)["\u201d]')
"""A number in quotation marks, whose second mark is no sign of inches."""


def lengths_in(text: str) -> list[Length] | None:
    """All lengths of a text, in their order; of a range its middle.

    Returns:
        None when one of them is negative, or one of two alternatives ("2 or 3 m").
    """
    tokens = tokens_of(_QUOTED_NUMBER.sub(r"\1", text))
    found: list[Length] = []
    place = 0
    while place < len(tokens):
        value, end = _number(tokens, place, before_unit=True)
        if end == place:
            place += 1
            continue
        other, after = _range_end(tokens, end)
        if after > end and after < len(tokens) and tokens[after] in UNITS:
            if tokens[end] == "or":
                return None
            value, end = (value + other) / 2, after
        if end >= len(tokens) or tokens[end] not in UNITS or _is_no_unit(tokens, end):
            place = end
            continue
        if place and tokens[place - 1] == "-" and (place < 2 or not tokens[place - 2].isalnum()):
            return None
        length, place = _with_inches(tokens, value, end)
        found.append(length)
    return found


def _range_end(tokens: Sequence[str], place: int) -> tuple[float, int]:
    """The second number of "2 to 3", "2-3", "between 2 and 3", "2 or 3", and where it ends."""
    if place < len(tokens) and tokens[place] in ("to", "-", "\u2013", "\u2014", "and", "or"):
        value, end = _number(tokens, place + 1)
        return (value, end) if end > place + 1 else (0.0, place)
    return 0.0, place


def _is_no_unit(tokens: Sequence[str], place: int) -> bool:
    """Whether "in" is a preposition: a word follows."""
    return tokens[place] == "in" and place + 1 < len(tokens) and tokens[place + 1].isalpha()


def _with_inches(tokens: Sequence[str], value: float, place: int) -> tuple[Length, int]:
    """The length whose unit stands at `place`, with what follows it, and where it ends.

    Inches follow feet; "and a half" follows any unit.
    """
    unit = UNITS[tokens[place]]
    end = place + 1
    if unit == FOOT:
        start = end + (tokens[end : end + 1] == ["and"])
        inches, after = _number(tokens, start)
        if after > start and after < len(tokens) and UNITS.get(tokens[after]) == INCH:
            return Length(value * FOOT + inches * INCH, FOOT), after + 1
    part, end = _with_part(tokens, 0.0, end)
    return Length((value + part) * unit, unit), end


def _number(tokens: Sequence[str], place: int, before_unit: bool = False) -> tuple[float, int]:
    """The number that begins at a token, and the token after it; the same token for none."""
    if place >= len(tokens):
        return 0.0, place
    token = tokens[place]
    if token[-1].isdigit() and token.count(".") < 2:
        return _digits(tokens, place)
    if token in _SIGNS:
        return _SIGNS[token], place + 1
    if token in _PARTS or (token in _ARTICLES and tokens[place + 1 : place + 2] != []):
        return _part(tokens, place, before_unit)
    if token in NUMBER_WORDS or token in _POWERS:
        return _words(tokens, place)
    return 0.0, place


def _digits(tokens: Sequence[str], place: int) -> tuple[float, int]:
    """Digits, with a fraction after them: "1 1/2", "2 and a half"."""
    value = _of_digits(tokens[place])
    following = tokens[place + 1 : place + 2]
    if following and following[0] in _SIGNS:
        return value + _SIGNS[following[0]], place + 2
    if following and "/" in following[0] and following[0][0].isdigit():
        return value + _of_digits(following[0]), place + 2
    return _with_part(tokens, value, place + 1)


def _of_digits(token: str) -> float:
    upper, _, lower = token.replace(",", "").partition("/")
    if not lower:
        return float(upper)
    return float(upper) / float(lower) if float(lower) else math.nan


def _part(tokens: Sequence[str], place: int, before_unit: bool) -> tuple[float, int]:
    """Such as "half a", "a quarter of a", "a dozen", "a hundred"; "a" alone is 1 before a unit."""
    start = place + (tokens[place] in _ARTICLES)
    word = tokens[start] if start < len(tokens) else ""
    if word in _PARTS:
        return _PARTS[word], _after_of(tokens, start + 1)
    if word == "dozen":
        return _DOZEN, start + 1
    if word in _POWERS:
        return _words(tokens, start)
    if before_unit and word in UNITS and word.isalpha() and word != "in":
        return _with_part(tokens, 1.0, start)
    return 0.0, place


def _after_of(tokens: Sequence[str], place: int) -> int:
    """The token after "of a", "a" or "of an" that follows a part."""
    place += tokens[place : place + 1] == ["of"]
    return place + bool(_ARTICLES & set(tokens[place : place + 1]))


def _words(tokens: Sequence[str], place: int) -> tuple[float, int]:
    """Number words from a token on: "one hundred and twenty-five", "one point five"."""
    total = current = 0.0
    last = ""
    while place < len(tokens):
        token = tokens[place]
        joins = token in ("and", "-") and current and tokens[place + 1 : place + 2]
        if token in NUMBER_WORDS and _goes_on(last, token):
            current += NUMBER_WORDS[token]
        elif token == "hundred":
            current = max(current, 1.0) * _POWERS[token]
        elif token == "thousand":
            total, current = total + max(current, 1.0) * _POWERS[token], 0.0
        elif joins and _joined(last, token, tokens[place + 1]):
            place += 1
            continue
        else:
            break
        last = token
        place += 1
    value = total + current
    if tokens[place : place + 1] == ["point"]:
        return _decimals(tokens, value, place)
    if tokens[place : place + 1] and tokens[place] in _PARTS and current:
        return value * _PARTS[tokens[place]], _after_of(tokens, place + 1)
    return _with_part(tokens, value, place)


def _goes_on(last: str, token: str) -> bool:
    """Whether a number word may follow another: "twenty five", "hundred five", not "two three"."""
    if not last or last in _POWERS:
        return True
    return NUMBER_WORDS.get(last, 0) >= 20 and 0 < NUMBER_WORDS[token] < 10


def _joined(last: str, mark: str, following: str) -> bool:
    """Whether "and" or "-" stands within a number: "hundred and five", "twenty-five"."""
    if following not in NUMBER_WORDS:
        return False
    return last in _POWERS if mark == "and" else _goes_on(last, following)


def _decimals(tokens: Sequence[str], value: float, place: int) -> tuple[float, int]:
    """The words after "point", a digit each."""
    scale, end = 0.1, place + 1
    while end < len(tokens) and NUMBER_WORDS.get(tokens[end], 10) < 10:
        value, scale, end = value + scale * NUMBER_WORDS[tokens[end]], scale / 10, end + 1
    return (value, end) if end > place + 1 else (value, place)


def _with_part(tokens: Sequence[str], value: float, place: int) -> tuple[float, int]:
    """A number with what follows it as "and a half" or "and three quarters"."""
    rest = list(tokens[place : place + 3])
    if rest[:1] == ["and"] and len(rest) > 1:
        if rest[1] in _ARTICLES and rest[2:] and rest[2] in _PARTS:
            return value + _PARTS[rest[2]], place + 3
        if rest[2:] and rest[2] in _PARTS and rest[1] in NUMBER_WORDS:
            return value + NUMBER_WORDS[rest[1]] * _PARTS[rest[2]], place + 3
        if rest[1] in _PARTS:
            return value + _PARTS[rest[1]], place + 2
    return value, place
