"""Formats of a released question: which of its pairs is asked, and how choices are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from smolrgpt_core.errors import bad_input
from smolrgpt_core.synthesis import MIXTURES, Format

WRONG_TYPES = ("x_distance_w_lf", "y_distance_w_lf", "z_distance_w_lf", "distance_description")
"""Types of pairs that the authors skip as wrong."""

INVERTED_TYPE = "distance_farther"
"""Its answers are inverted in the released data."""

LABELS = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "abcdefghijklmnopqrstuvwxyz",
    tuple(map(str, range(1, 11))),
    ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"),
    ("i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"),
)
"""Alphabets of the labels of options."""

_AXES = {
    "x": ("left_tf", "right_tf"),
    "y": ("above_tf", "below_tf"),
    "z": ("front_tf", "behind_tf"),
}
_YES, _NO = ("true", "yes"), ("false", "no")


Wordings = str | list[str]
"""A text, or several wordings of it."""


@dataclass(frozen=True)
class Pair:
    """A question with its answer in one format.

    Attributes:
        format: of the answer.
        question: that is asked.
        answer: to it.
        options: of a choice.
        qa_type: of the pair; empty where it has none of its own.
    """

    format: Format
    question: Wordings
    answer: Wordings
    options: tuple[Wordings, ...] = ()
    qa_type: str = ""


def drawn_pair(item: Mapping[str, Any], rng: np.random.Generator) -> Pair | None:
    """The pair of an item that is asked; None where it has none that the authors use.

    Args:
        item: of the record.
        rng: draws format and pair.

    Raises:
        SpatialError: BAD_INPUT when it has no question and answer.
    """
    if "qa_pairs" not in item:
        names = next(
            (names for names in (("question", "answer"), ("prefix", "suffix"))
             if all(name in item for name in names)),
            None,
        )  # fmt: skip
        if names is None:
            raise bad_input("an item without a question and an answer")
        question, answer = (_wordings(item[name]) for name in names)
        return _put_right(Pair(Format.FREE, question, answer, qa_type=item["qa_type"]))
    by_format = _usable(item["qa_pairs"], item["qa_type"])
    formats = [format for format in Format if by_format[format]]
    if not formats:
        return None
    weights = np.array([MIXTURES["hispatial"].formats[format] for format in formats])
    pairs = by_format[formats[int(rng.choice(len(formats), p=weights / weights.sum()))]]
    return _put_right(pairs[int(rng.integers(len(pairs)))])


def written(pair: Pair, rng: np.random.Generator) -> tuple[str, str]:
    """Question and answer as they are asked.

    Args:
        pair: to be asked.
        rng: draws wordings, labels and the order of options.

    Raises:
        SpatialError: BAD_INPUT when the answer is none of the options, or there is none.
    """
    question = one_of(pair.question, rng)
    if pair.format is Format.CHOICE:
        listed, answer = _choice(pair, rng)
        return f"{question}\n{listed}", answer
    question = question.replace("True or False", "Yes or No")
    answer = one_of(pair.answer, rng)
    if answer.lower() in ("true", "false"):
        if "Yes or No" not in question and rng.random() < 0.5:
            question += " Answer with Yes or No."
        answer = "Yes" if answer.lower() == "true" else "No"
    return question, answer


def one_of(wordings: Wordings, rng: np.random.Generator) -> str:
    """One of several wordings, or the only one."""
    if isinstance(wordings, str):
        return wordings.strip()
    return wordings[int(rng.integers(len(wordings)))].strip()


def _wordings(stored: Any) -> Wordings:
    several = [stored] if isinstance(stored, str) else stored
    if (
        not isinstance(several, list)
        or not several
        or not all(isinstance(text, str) and text.strip() for text in several)
    ):
        raise bad_input("expected text as question, answer and options")
    return stored


def _options(stored: Any) -> tuple[Wordings, ...]:
    if stored is None:
        return ()
    if not isinstance(stored, list):
        raise bad_input("expected a list of options")
    return tuple(map(_wordings, stored))


def _usable(stored: Any, item_type: str) -> dict[Format, list[Pair]]:
    """The pairs that the authors use, by format."""
    if not isinstance(stored, list) or not all(isinstance(pair, dict) for pair in stored):
        raise bad_input("expected a list of dictionaries in qa_pairs")
    pairs = [
        Pair(
            format,
            _wordings(pair.get("question")),
            _wordings(pair.get("answer")),
            _options(pair.get("options")),
            str(pair.get("qa_type") or item_type),
        )
        for pair in stored
        if (format := _format_of(pair)) is not None and pair.get("qa_type") not in WRONG_TYPES
    ]
    statements = [pair for pair in pairs if pair.format is Format.TRUE_FALSE]
    return {
        Format.FREE: [pair for pair in pairs if pair.format is Format.FREE],
        Format.CHOICE: [
            pair
            for pair in pairs
            if pair.format is Format.CHOICE and "relation_3choice" not in pair.qa_type
        ],
        Format.TRUE_FALSE: _fair(statements),
    }


def _format_of(pair: Mapping[str, Any]) -> Format | None:
    name = pair.get("format") or str(pair.get("type") or "").replace("open_ended", "text")
    if "text" in str(name):
        return Format.FREE
    return {"mcq": Format.CHOICE, "true_false": Format.TRUE_FALSE}.get(str(name))


def _fair(statements: Sequence[Pair]) -> list[Pair]:
    """Without statements that overlapping objects make doubtful, or whose axis is one-sided."""
    fair = [pair for pair in statements if "overlap" not in pair.qa_type]
    for axis, sides in _AXES.items():
        of_axis = [pair for pair in fair if any(side in pair.qa_type for side in sides)]
        overlapping = any(
            f"{axis}_overlap_tf" in pair.qa_type and _is_answered(pair, _YES) for pair in statements
        )
        negative = sum(_is_answered(pair, _NO) for pair in of_axis)
        if overlapping or 2 * negative != len(of_axis):
            fair = [pair for pair in fair if pair not in of_axis]
    return fair


def _is_answered(pair: Pair, words: Iterable[str]) -> bool:
    return any(_bare(answer) in words for answer in _several(pair.answer))


def _put_right(pair: Pair) -> Pair:
    """The pair with its true answer where the released data have the other one.

    Raises:
        SpatialError: BAD_INPUT where it is wrong, and the other one is not known.
    """
    if pair.qa_type != INVERTED_TYPE:
        return pair
    others = [option for option in pair.options if option != pair.answer]
    if pair.format is not Format.CHOICE or len(pair.options) != 2 or len(others) != 1:
        raise bad_input(f"an inverted answer ({INVERTED_TYPE}) without one other option")
    return replace(pair, answer=others[0])


def _choice(pair: Pair, rng: np.random.Generator) -> tuple[str, str]:
    """Options in random order, one per line, and the label of the correct one."""
    right = _right_option(pair)
    count = len(pair.options)
    alphabets = [labels for labels in LABELS if len(labels) >= count]
    if count < 2 or not alphabets:
        raise bad_input(f"a choice of {count} options")
    labels = alphabets[int(rng.integers(len(alphabets)))]
    style = ("({})", "{}")[int(rng.integers(2))]
    order = rng.permutation(count).tolist()
    lines = [
        f"{style.format(labels[place])}. {one_of(pair.options[index], rng)}"
        for place, index in enumerate(order)
    ]
    return "\n".join(lines), style.format(labels[order.index(right)])


def _right_option(pair: Pair) -> int:
    """The only option that is the answer, or else the only one that the answer contains.

    Equal comes first: "left" is contained in "left and above", and is another option.
    """
    answers = [_bare(answer) for answer in _several(pair.answer)]
    wordings = [[_bare(wording) for wording in _several(option)] for option in pair.options]
    for fits in (str.__eq__, str.__contains__):
        fitting = [
            place
            for place, option in enumerate(wordings)
            if any(fits(answer, wording) for answer in answers for wording in option)
        ]
        if len(fitting) == 1:
            return fitting[0]
    raise bad_input("a multiple choice whose answer is none of its options, or several of them")


def _several(wordings: Wordings) -> list[str]:
    return [wordings] if isinstance(wordings, str) else wordings


def _bare(text: str) -> str:
    """Case and a full stop at the end differ in the released data."""
    return text.strip().rstrip(".").lower()
