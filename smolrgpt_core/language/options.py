"""Multiple choice: options "(A) 3 m (B) 5 m" behind a question, and which of them an answer is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from smolrgpt_core.errors import bad_question
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.spatial_scene import cannot_tell

_OPTION = re.compile(r"(?:^|[\s,;:?.])\(?([A-Ha-h])[).:]\s+|\(([A-Ha-h])\)\s*")
_NUMBER = re.compile(r"-?[0-9]+(?:[.,][0-9]+)?")
_UNITS = {"cm": 0.01, "mm": 0.001, "ft": 0.3048, "feet": 0.3048, "foot": 0.3048, "inch": 0.0254,
          "inches": 0.0254, "percent": 0.01, "%": 0.01}  # fmt: skip

OPTION_TOLERANCE = 0.1
"""A quantity is an option's when it differs by less than this fraction of it."""


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        letter: "A", "B", ...
        text: its words.
    """

    letter: str
    text: str


def split_options(text: str, regions: RegionSet) -> tuple[str, tuple[Option, ...]]:
    """A question, and the options behind it; no options where there are none."""
    found = list(_OPTION.finditer(text))
    letters = [(match.group(1) or match.group(2)).upper() for match in found]
    if len(found) < 2 or letters != [chr(ord("A") + place) for place in range(len(letters))]:
        return text, ()
    ends = [match.start() for match in found[1:]] + [len(text)]
    options = tuple(
        Option(letter, text[match.end() : end].strip(" ,;.?"))
        for letter, match, end in zip(letters, found, ends, strict=True)
    )
    return text[: found[0].start() + 1].strip(" :,("), options


def choose(program: Program, value: Any, options: tuple[Option, ...], regions: RegionSet) -> str:
    """The letter of the option that an answer is.

    Args:
        program: what was asked.
        value: the answer.
        options: of the question.
        regions: of the frame.

    Raises:
        SpatialError: CANNOT_TELL when no option fits, or two do; BAD_QUESTION for options that
            cannot be compared with the answer.
    """
    fitting = [item.letter for item in options if _fits(program, value, item, regions)]
    if len(fitting) == 1:
        return fitting[0]
    listed = ", ".join(f"({item.letter}) {item.text}" for item in options)
    if not fitting:
        raise cannot_tell(f"no option fits the answer, {_shown(value)}: {listed}")
    raise cannot_tell(f"options {' and '.join(fitting)} both fit the answer, {_shown(value)}")


def _fits(program: Program, value: Any, option: Option, regions: RegionSet) -> bool:
    text = option.text.lower()
    if program.type is Type.QUANTITY:
        number = _quantity(text, option)
        return bool(abs(number - value) <= OPTION_TOLERANCE * abs(number)) or number == value
    if program.type is Type.TRUTH:
        return text in (
            ("yes", "true", "ja", "wahr") if value else ("no", "false", "nein", "falsch")
        )
    if program.type in (Type.RELATION, Type.COLOR):
        return value in re.findall("[a-z]+", text.replace("grey", "gray"))
    if program.type is Type.REGION:
        return value in map(int, re.findall("[0-9]+", text)) or text == regions[value].name
    raise bad_question(
        "a multiple choice must ask for a quantity, a side, a color, yes or no, or a region"
    )


def _quantity(text: str, option: Option) -> float:
    found = _NUMBER.search(text)
    if found is None:
        raise bad_question(f"option {option.letter} has no number: {option.text!r}")
    unit = text[found.end() :].strip().split(" ")[0].strip(".")
    return float(found.group().replace(",", ".")) * _UNITS.get(unit, 1.0)


def _shown(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)
