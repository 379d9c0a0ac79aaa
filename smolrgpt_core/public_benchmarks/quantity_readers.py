"""Lengths and clock hours in an answer, by published rules and by this project's own.

Published rules return centimeters, as Q-Spatial's own code does; NaN stands for no number at all.
"""

from __future__ import annotations

import math
import re
from statistics import fmean

from smolrgpt_core.answer.reading import SAME_DISTANCE
from smolrgpt_core.language.english import NUMBER_WORDS
from smolrgpt_core.public_benchmarks.numbers_in_words import lengths_in

MAX_LENGTH = 2000
"""Characters of an answer that the rules of this project read."""

CENTIMETERS = {
    **dict.fromkeys(("meters", "meter", "m", "metre", "metres"), 100.0),
    **dict.fromkeys(("centimeters", "centimeter", "cm"), 1.0),
    **dict.fromkeys(("feet", "foot", "ft"), 30.48),
    **dict.fromkeys(("inch", "inches", "in"), 2.54),
    "mm": 0.1,
}
"""Units that Q-Spatial's notebook knows; it has no other word for millimeters."""

HOURS = 12

MAX_DIGITS = 9
"""Of an hour in an answer; more are no number that anything has."""

_NUMBER = r"[0-9]+(?:\.[0-9]*)?"


def tagged_centimeters(answer: str, unknown_unit: float) -> float | None:
    """Q-Spatial's notebook: the last scalar{} times the last distance_unit{}.

    The number is the mean of all numbers in the tag: 50 for "40-60", 1.5 for "1/2", and for
    "1 foot 2 inches"; a minus sign is lost.

    Args:
        answer: of a model.
        unknown_unit: centimeters that a unit means which is not in `CENTIMETERS`.

    Returns:
        NaN when the tag holds no number; None when a tag is missing.
    """
    scalars = re.findall(r"scalar{([^}]*)}", answer)
    units = re.findall(r"distance_unit{([^}]*)}", answer)
    if not scalars or not units:
        return None
    numbers = [float(number) for number in re.findall(_NUMBER, scalars[-1])]
    factor = CENTIMETERS.get(units[-1].lower(), unknown_unit)
    return fmean(numbers) * factor if numbers else math.nan


def has_unknown_unit(answer: str) -> bool:
    """Whether the last distance_unit{} holds a unit that Q-Spatial's notebook does not know."""
    units = re.findall(r"distance_unit{([^}]*)}", answer)
    return bool(units) and units[-1].lower() not in CENTIMETERS


def centimeters_of_tuple(reply: str) -> float | None:
    """VLMEvalKit: a judge's "(number or range, unit)"; None when it is not in this form."""
    found = re.match(r"\(([0-9.-]+), (.+)\)", reply)
    if not found:
        return None
    try:
        numbers = [float(number) for number in found[1].split("-")]
    except ValueError:
        # A negative number, or two points in one.
        return None
    return fmean(numbers) * CENTIMETERS.get(found[2].lower(), 0.0)


def first_number(answer: str) -> float | None:
    """HiSpatial: the first number, whatever its unit; its models answer in meters."""
    found = re.search(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)", answer)
    return float(found[0]) if found else None


def length_by_rules(answer: str) -> float | None:
    """The one length in an answer, in meters, by this project's rule; None when it is not clear.

    "40 cm", "1/2 m", "four and a half feet", "1 ft 2 in", 5'2", "1 meter (3.28 feet)" and
    Q-Spatial's tags are read; of a range ("40-60 cm", "between 1 and 2 meters") its middle. A
    number without a unit, a negative one, or two lengths that differ are not.
    """
    if len(answer) > MAX_LENGTH:
        return None
    text = re.sub(r"\\?(?:scalar|distance_unit){([^}]*)}", r" \1 ", answer)
    lengths = lengths_in(text)
    if not lengths or not all(math.isfinite(length.meters) for length in lengths):
        return None
    meters = [length.meters for length in lengths]
    return meters[0] if max(meters) - min(meters) <= SAME_DISTANCE * max(meters) else None


def hour_by_rules(answer: str) -> int | None:
    """The one hour of the clock in an answer, 1 to 12, by this project's rule.

    Two hours, as in "between 2 and 4 o'clock", and parts of one ("half past two") are not read.
    """
    text = answer.lower()
    if len(answer) > MAX_LENGTH or re.search(r"[0-9][:.][0-9]|\b(half|quarter)\b", text):
        return None
    if re.search(rf"\b({_WORD}|[0-9]+)\s*(or|and|to|-|\u2013)\s*({_WORD}|[0-9]+)\b", text):
        return None
    stated = re.findall(rf"\b({_WORD}|[0-9]+)\s*o\W?\s*clock", text)
    named = stated or re.findall(rf"\b(?:{_WORD}|[0-9]+)\b", _THAT_ONE.sub(" ", text))
    found = {_number(word) for word in named}
    hour = found.pop() if len(found) == 1 else None
    return int(hour) if hour is not None and 1 <= hour <= HOURS else None


def hours_apart(first: float, second: float) -> float:
    """Difference of two hours on the clock: 1 between 12 and 1."""
    apart = abs(first - second)
    return min(apart, HOURS - apart)


_WORD = "|".join(NUMBER_WORDS)
_THAT_ONE = re.compile(r"\b(?:the|this|that|which|each|another) one\b")
"""An object, not the hour."""


def _number(text: str) -> float | None:
    """A number word, or digits that some measurement may have."""
    if text in NUMBER_WORDS:
        return float(NUMBER_WORDS[text])
    return float(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None
