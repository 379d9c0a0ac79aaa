"""From a hostile string to tokens with a meaning. Knows words and phrases, no grammar."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.question.placeholders import without_image
from smolrgpt_core.question.spatial_question import MASK
from smolrgpt_core.question.vocabulary import (
    LONGEST_PHRASE,
    PHRASES,
    Kind,
    Meaning,
    Phrases,
)

MAX_QUESTION_LENGTH = 2000
"""Characters; the longest question of the warehouse data set has a few hundred."""

ARTICLES = frozenset({"the", "a", "an"})
DEFINITE = frozenset({"the", "this", "my", "our", "your"})

_VERBS = frozenset(
    {f"{stem}{ending}" for stem in ("lie", "stand", "sit", "stay", "look", "appear", "seem")
     for ending in ("", "s")} | {"is", "are", "was", "were"}
)  # fmt: skip
_RELATIVE_PRONOUNS = frozenset({"that", "which"})

_PLAIN_CHARACTERS = {
    **dict.fromkeys(map(ord, "\u2018\u2019"), "'"),
    **dict.fromkeys(map(ord, "\u201c\u201d"), '"'),
    **dict.fromkeys(map(ord, "\u2010\u2011\u2013\u2014"), "-"),
    ord("_"): " ",
}
"""Typographic quotes and dashes as plain ones; an underscore joins words like a space."""

_OF_A_SIDE = frozenset({Kind.SIDE, Kind.FROM_SIDE, Kind.SUPERLATIVE})
_SIDE_PREPOSITIONS = frozenset({"to", "on", "in", "at", "from", "towards"})

# Each alternative starts with another kind of character, so matching is linear in the text.
_RAW_TOKEN = re.compile(
    r"<mask>|\[ ?(?:region ?#? ?)?[0-9]+ ?\]|[0-9]+(?:st|nd|rd|th)\b|[0-9]+(?:\.[0-9]+)?"
    r"|[^\W\d_]+(?:'[^\W\d_]+)*|\S",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Token:
    """A word or phrase with its meaning.

    Attributes:
        kind, value: the meaning, see `Kind`.
        start, end: where it stands in the text.
        text: as it is written there.
        determiner: "the", "this", "a", ... if one stands directly before, else empty.
        predicated: it is said of the subject of the sentence: "is" stands before it, not "that is".
    """

    kind: Kind
    value: Any
    start: int
    end: int
    text: str
    determiner: str = ""
    predicated: bool = False


def clean_text(text: str) -> str:
    """Plain characters, single spaces, without the data sets' `<image>`.

    Raises:
        SpatialError: BAD_QUESTION for a text that is too long, has control characters, or
            placeholders other than `<mask>`.
    """
    if len(text) > MAX_QUESTION_LENGTH:
        raise bad_question(
            f"the question has {len(text)} characters; at most {MAX_QUESTION_LENGTH} are read"
        )
    for character in text:
        if unicodedata.category(character)[0] == "C" and character not in "\n\r\t":
            raise bad_question(
                f"the question contains the control character U+{ord(character):04X}; "
                "send plain text"
            )
    plain = " ".join(without_image(unicodedata.normalize("NFC", text)).split())
    _check_specials(plain)
    return plain.translate(_PLAIN_CHARACTERS)


def _check_specials(text: str) -> None:
    """Only `<mask>` may look like a special token: others would reach the model's tokenizer."""
    rest = text.replace(MASK, " " * len(MASK))
    positions = [position for position in map(rest.find, "<>|") if position >= 0]
    if positions:
        snippet = text[min(positions) :].split()[0]
        raise bad_question(f"{MASK} is the only placeholder that is read, found {quote(snippet)}")


def tokenise(text: str, region_ids: Sequence[int], nouns: Phrases) -> list[Token]:
    """Tokens of a cleaned text, without articles and fillers.

    Args:
        text: from `clean_text`.
        region_ids: one for each `<mask>`, in order.
        nouns: from `vocabulary.noun_phrases`, for the labels of the frame.

    Raises:
        SpatialError: BAD_QUESTION when a word is not known, naming all of them.
    """
    words = _split(text)
    ids = iter(region_ids)
    tokens: list[Token] = []
    determiner, predicated = "", False
    position = 0
    while position < len(words):
        if words[position].text.lower() in ARTICLES:
            determiner = words[position].text.lower()
            position += 1
            continue
        token, position = _next_token(words, position, nouns, ids, text, determiner)
        determiner = token.text.lower() if token.text.lower() in DEFINITE else ""
        tokens.append(replace(token, predicated=predicated))
        predicated = _predicates(tokens, predicated)
    _refuse_unknown(tokens)
    return [token for token in tokens if token.kind is not Kind.FILLER]


def _predicates(tokens: Sequence[Token], before: bool) -> bool:
    """Whether the last word, or a verb before it, says what follows of the subject."""
    if tokens[-1].kind is not Kind.FILLER:
        return False
    if tokens[-1].text.lower() not in _VERBS:
        return before
    return len(tokens) < 2 or tokens[-2].text.lower() not in _RELATIVE_PRONOUNS


@dataclass(frozen=True)
class _Word:
    text: str
    key: str
    start: int
    end: int


def _split(text: str) -> list[_Word]:
    """Raw words; contractions are taken apart, and joints as in "pallet-3" left out."""
    words: list[_Word] = []
    for match in _RAW_TOKEN.finditer(text):
        raw, start, end = match.group(), match.start(), match.end()
        if raw == "-" and text[start - 1 : start].isalpha() and text[end : end + 1].isalnum():
            continue
        key = raw.lower()
        if key.endswith("n't") and len(key) > len("n't"):
            words.append(_Word(raw, key[:-3], start, end - 3))
            words.append(_Word(raw, "not", end - 3, end))
        else:
            words.append(_Word(raw, key.removesuffix("'s"), start, end))
    return words


def _next_token(
    words: list[_Word],
    position: int,
    nouns: Phrases,
    ids: Iterator[int],
    text: str,
    determiner: str,
) -> tuple[Token, int]:
    """The longest phrase that starts here, and the position after it."""
    word = words[position]
    length, meaning = 1, _single(words, position, ids)
    if meaning is None:
        length, meaning = _longest_phrase(words, position, nouns)
    end = words[position + length - 1].end
    token = Token(meaning.kind, meaning.value, word.start, end, text[word.start : end], determiner)
    return token, position + length


def _single(words: list[_Word], position: int, ids: Iterator[int]) -> Meaning | None:
    """Numbers and placeholders; None for anything that may be part of a phrase."""
    key = words[position].key
    if key == MASK:
        return Meaning(Kind.MASK, next(ids))
    if key.startswith("[") and len(key) > 1:
        return Meaning(Kind.REGION_ID, int(re.sub("[^0-9]", "", key)))
    if key.isascii() and key.isdigit():
        # "1,000" would otherwise be read as the regions 1 and 0.
        padded = len(key) > 1 and key.startswith("0")
        return Meaning(Kind.UNKNOWN) if padded else Meaning(Kind.NUMBER, int(key))
    # "\u00b2nd" has a digit for Python, and no number.
    if key[0].isascii() and key[0].isdigit() and key[-1].isalpha():
        return Meaning(Kind.ORDINAL, int(key[:-2]))
    following = words[position + 1].key if position + 1 < len(words) else ""
    if key in ("#", "number", "no", "id") and following.isdigit():
        return Meaning(Kind.FILLER)
    return None


def _longest_phrase(words: list[_Word], position: int, nouns: Phrases) -> tuple[int, Meaning]:
    """How many words the phrase takes, and its meaning; articles inside a phrase do not count."""
    keys: list[str] = []
    best = (1, Meaning(Kind.UNKNOWN))
    for offset, word in enumerate(words[position : position + 2 * LONGEST_PHRASE]):
        if word.key in ARTICLES:
            continue
        keys.append(word.key)
        if len(keys) > LONGEST_PHRASE:
            break
        meaning = _lookup(tuple(keys), nouns, PHRASES)
        if meaning is not None and not (
            meaning.kind in _OF_A_SIDE
            and _SIDE_PREPOSITIONS & set(keys)
            and _starts_noun(words, position + offset + 1, nouns)
        ):
            best = (offset + 1, meaning)
    return best


def _starts_noun(words: list[_Word], position: int, nouns: Phrases) -> bool:
    """Whether a noun stands here; then "nearest to the left" was only a part of a phrase."""
    key = tuple(word.key for word in words[position : position + LONGEST_PHRASE])
    return any(key[:length] in nouns for length in range(1, len(key) + 1))


def _lookup(key: tuple[str, ...], *tables: Mapping[tuple[str, ...], Meaning]) -> Meaning | None:
    return next((table[key] for table in tables if key in table), None)


def _refuse_unknown(tokens: list[Token]) -> None:
    unknown = [token.text for token in tokens if token.kind is Kind.UNKNOWN]
    if unknown:
        raise bad_question(f"the question cannot be read because of {quote_all(unknown)}")


def quote(text: str) -> str:
    """A piece of the question for a message, cut to a readable length."""
    return f'"{text[:40]}..."' if len(text) > 40 else f'"{text}"'


def quote_all(texts: Iterable[str]) -> str:
    """Pieces of the question for a message, at most five of them."""
    distinct = list(dict.fromkeys(texts))
    return ", ".join([*map(quote, distinct[:5]), *["..."][: len(distinct) > 5]])


def bad_question(message: str) -> SpatialError:
    """A BAD_QUESTION error."""
    return SpatialError(Status.BAD_QUESTION, message)
