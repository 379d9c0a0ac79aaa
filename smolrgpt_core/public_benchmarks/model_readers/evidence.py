"""Checks whether a language model's quotation supports its claim."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from smolrgpt_core.public_benchmarks.model_readers.asked import (
    LEFT,
    RIGHT,
    AnswerKind,
    AnswerSpec,
    hour_text,
    region_text,
)
from smolrgpt_core.public_benchmarks.numbers_in_words import (
    Length,
    lengths_in,
    numbers_in,
    tokens_of,
)
from smolrgpt_core.public_benchmarks.yes_no_readers import AFFIRMING, DENYING, NO, YES

_NEGATIONS = frozenset(
    {"not", "t", "no", "never", "neither", "nor", "cannot", "without", "unable", "unclear",
     "unknown", "unless", "except", "if", "whether", "sorry", "hardly"}
)  # fmt: skip
_JOINING = frozenset({"and", "or", "nor", "to", "/", "-", "\u2013"})
"""Words that make one of several out of a quotation: "2 or 4 o'clock", "both A and B"."""

_ARTICLE = re.compile(r"\bA (?!is\b)(?=[a-z])")
"""The word of "A crate", not the letter of "A is right"."""

_LETTER = re.compile(r"(?<![A-Za-z'])[A-J](?![A-Za-z'])")

_YES = (AFFIRMING | {"certainly", "definitely", "absolutely", "sure", "affirmative"}) - {"right"}
_NO = (DENYING | {"not", "t", "never", "negative", "neither", "nor", "isn"}) - {"actually"}


def quoted(quote: str, text: str) -> str:
    """These whole words as a text has them, in this order, ignoring case and whitespace.

    Empty where it does not have them, or cut in two what belongs together: "A" of "A crate".
    """
    wanted, within = " ".join(quote.split()), " ".join(text.split())
    if not wanted:
        return ""
    pattern = rf"(?<![\w.,]){re.escape(wanted)}(?!\w|[.,][0-9])"
    found = re.search(pattern, within) or re.search(pattern, within, re.IGNORECASE)
    if not found or (found.group().split()[-1] == "A" and _ARTICLE.match(within, found.end() - 1)):
        return ""
    return found.group()


def is_negated(quote: str, text: str) -> bool:
    """Whether the sentence of a quotation contains a negation or a condition."""
    within, wanted = _plain(text), _plain(quote)
    start = within.find(wanted)
    before = re.split(r"[.;!?](?:\s|$)", within[:start])[-1]
    after = re.split(r"[.;!?](?:\s|$)", within[start + len(wanted) :])[0]
    return bool(_NEGATIONS & set(tokens_of(f"{before} {wanted} {after}")))


def has_rival(quote: str, text: str) -> bool:
    """Whether a quotation is joined to an alternative by "and", "or" and the like."""
    before, _, after = _plain(text).partition(_plain(quote))
    beside = {*tokens_of(before)[-1:], *tokens_of(after)[:1]}
    return bool(beside & _JOINING)


def the_length(quote: str) -> Length | None:
    """The only length of a quotation; None when it has none or several."""
    found = lengths_in(quote) or []
    return found[0] if len(found) == 1 else None


def the_option(asked: AnswerSpec, quote: str) -> str:
    """The only option in a quotation; empty if there are none or several."""
    found = _SHOWN[asked.kind](asked, quote)
    return found.pop() if len(found) == 1 else ""


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


def _yes_no(asked: AnswerSpec, quote: str) -> set[str]:
    words = set(re.findall(r"[a-z]+", quote.lower()))
    return {answer for answer, known in ((YES, _YES), (NO, _NO)) if words & known}


def _hours(asked: AnswerSpec, quote: str) -> set[str]:
    return {hour_text(number) for number in numbers_in(quote) if float(number).is_integer()}


def _regions(asked: AnswerSpec, quote: str) -> set[str]:
    numbers = re.findall(r"\[([0-9]+)\]|\bregion[ _#]*([0-9]+)", quote.lower())
    found = {region_text(int(first or second)) for first, second in numbers}
    if found or len(set(asked.names)) < len(asked.names):
        return found
    return {region_text(place) for place, name in enumerate(asked.names) if _has(quote, name)}


def _letters(asked: AnswerSpec, quote: str) -> set[str]:
    letters = set(_LETTER.findall(_ARTICLE.sub("", quote))) & set(asked.options)
    if letters:
        return letters
    named = [place for place, name in enumerate(asked.names) if _has(quote, name)]
    return {asked.options[place] for place in named}


def _sides(asked: AnswerSpec, quote: str) -> set[str]:
    return {LEFT, RIGHT} & set(re.findall(r"[a-z]+", quote.lower().replace("hand", " hand")))


def _counts(asked: AnswerSpec, quote: str) -> set[str]:
    found = {f"{number:.0f}" for number in numbers_in(quote) if float(number).is_integer()}
    return found or ({"0"} if {"none", "no"} & set(tokens_of(quote)) else set())


def _has(text: str, name: str) -> bool:
    return bool(name) and bool(re.search(rf"\b{re.escape(name.lower())}\b", text.lower()))


_SHOWN: Mapping[AnswerKind, Callable[[AnswerSpec, str], set[str]]] = {
    AnswerKind.YES_NO: _yes_no,
    AnswerKind.HOUR: _hours,
    AnswerKind.REGION: _regions,
    AnswerKind.LETTER: _letters,
    AnswerKind.SIDE: _sides,
    AnswerKind.COUNT: _counts,
}
