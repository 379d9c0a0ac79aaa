"""What wraps a question that is not understood as it stands: who asks, from what, what for.

    "Judging from the picture, how far is pallet 3, so that I can plan?"  ->  "how far is pallet 3"

Looked at only where the whole has no reading, so that nothing that is understood changes. Words are
skipped where all of them are idle: `[framing]` lists words and phrases of speaking, seeing and
estimating, none of which can decide which regions are meant, where they are, or whether. A reason
or a purpose may have other words too, but none that names, counts, places, restricts or compares.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from smolrgpt_core.language.context import Context

_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[^\w\s]")
_PUNCTUATION = frozenset(",.;:!?-()\"'")
_COMMA = re.compile(r",\s+")

SHORTEST_ASIDE = 2
"""Words between two commas; one alone may be a member of a list."""

MOST_STARTS = 3
"""Places at which the question may begin that are tried."""


PATTERNS = ("openers", "asking", "reports", "starters", "added", "purposes", "harmless", "clauses")
"""Entries of `[framing]` that are regular expressions for the beginning of words."""


@dataclass(frozen=True, eq=False)
class Framing:
    """The words of a language that only wrap a question.

    Attributes:
        words: that are idle.
        phrases: that are idle, by their first word, the longest first.
        openers: how a question begins behind a comma.
        asking: how it begins behind any idle word.
        reports: what ends before a statement that is asked about: "it looks like".
        starters: how idle words begin behind a question.
        added: words behind a comma that go on with what was asked: "and me".
        unfinished: words that need what stands behind them, if only behind an aside.
        purposes: how a reason or a purpose begins, before or behind it.
        harmless: words that may mean something elsewhere, and nothing in a reason.
        clauses: words before what may be so or not: "whether".
        speakers: who speaks or listens, one of whom is in strange words about asking.
        bending: words that may change what is asked, if only by how it is measured.
        places: idle words that are where a distance is measured from, if one is asked for.
        distances: words that ask for one.
    """

    words: frozenset[str]
    phrases: Mapping[str, Sequence[tuple[str, ...]]]
    openers: re.Pattern[str]
    asking: re.Pattern[str]
    reports: re.Pattern[str]
    starters: re.Pattern[str]
    added: re.Pattern[str]
    unfinished: re.Pattern[str]
    purposes: re.Pattern[str]
    harmless: re.Pattern[str]
    clauses: re.Pattern[str]
    speakers: re.Pattern[str]
    bending: re.Pattern[str]
    places: re.Pattern[str]
    distances: re.Pattern[str]


def make_framing(entries: Mapping[str, str]) -> Framing | None:
    """The framing of a language from the entries of its `[framing]`; None where it has none."""
    if not entries:
        return None
    phrases: dict[str, list[tuple[str, ...]]] = {}
    for phrase in entries["phrases"].split("|"):
        words = tuple(phrase.split())
        phrases.setdefault(words[0], []).append(words)
    return Framing(
        words=frozenset(entries["words"].split()) | _PUNCTUATION,
        phrases={word: sorted(found, key=len, reverse=True) for word, found in phrases.items()},
        speakers=_pattern(rf"\b(?:{entries['speakers']})\b"),
        bending=_pattern(rf"\b(?:{entries['bending']})\b"),
        places=_pattern(rf"\b(?:{entries['places']})"),
        distances=_pattern(rf"\b(?:{entries['distances']})\b"),
        unfinished=_pattern(rf"\b(?:{entries['unfinished']})$"),
        **{key: _pattern(rf"(?:{entries[key]})\b") for key in PATTERNS},
    )


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


def unframed(
    text: str, framing: Framing, context: Context, meaningful: AbstractSet[str]
) -> Iterator[str]:
    """The questions that may be within a text, the likeliest first.

    Args:
        text: cleaned.
        framing: of its language.
        context: of its language.
        meaningful: words that mean something to the reader.
    """
    found: dict[str, None] = {}
    text = _without_asides(text, framing)
    start = _end_of_reason(text, framing, context, meaningful)
    text = text[start:]
    text = text[: _start_of_reason(text, framing, context, meaningful)]
    tokens = list(_TOKEN.finditer(text))
    keys = [token[0].lower() for token in tokens]
    end = _start_of_tail(text, tokens, keys, framing)
    starts = _starts(text[:end], tokens, keys, framing)
    spans = [(start, end) for start in starts]
    spans.append((_behind_strange_words(text, framing, context, meaningful), len(text)))
    for start, end in spans:
        if not _drops_place(text, start, end, framing):
            found[text[start:end].strip(" ,.;:?-")] = None
    yield from found


def _drops_place(text: str, start: int, end: int, framing: Framing) -> bool:
    """Whether "How far are pallets 3 and 4 from the camera" would become how far apart they are."""
    outside = f"{text[:start]} ... {text[end:]}"
    return bool(framing.distances.search(text) and framing.places.search(outside))


def _behind_strange_words(
    text: str, framing: Framing, context: Context, meaningful: AbstractSet[str]
) -> int:
    """Where a question begins behind somebody's unknown words: "I was hoping to hear how ...".

    They mention who speaks or listens, and nothing that names, counts, places, restricts or
    compares.
    """
    for token in _TOKEN.finditer(text):
        is_clause = framing.clauses.match(text, token.start()) and token.start() > 0
        if not is_clause and not framing.asking.match(text, token.start()):
            continue
        before = text[: token.start()]
        words = [word[0].lower() for word in _TOKEN.finditer(before) if word[0][0].isalnum()]
        if framing.speakers.search(before) is None or framing.bending.search(before):
            return 0
        if context.restricting.search(before) or context.choosing.search(before):
            return 0
        if any(word[0].isdigit() or word in meaningful - context.harmless for word in words):
            return 0
        return token.end() if is_clause else token.start()
    return 0


def _idle_until(keys: Sequence[str], framing: Framing, start: int = 0) -> int:
    """Where words that are all idle end."""
    at = start
    while at < len(keys):
        for phrase in framing.phrases.get(keys[at], ()):
            if tuple(keys[at : at + len(phrase)]) == phrase:
                at += len(phrase)
                break
        else:
            if keys[at] not in framing.words:
                return at
            at += 1
    return at


def _without_asides(text: str, framing: Framing) -> str:
    """Without what stands between two commas and is idle: ", as far as you can tell,"."""
    first, *inner = _COMMA.split(text)
    parts = [first]
    for part in inner[:-1]:
        if framing.unfinished.search(parts[-1]) or not _is_aside(part, framing):
            parts.append(part)
    if len(parts) == max(len(inner), 1):
        return text
    # "Pallet 3, as far as you can tell, is ..." has no comma without its aside.
    end = f" {inner[-1]}" if len(parts) == 1 else f", {inner[-1]}"
    return ", ".join(parts) + end


def _is_aside(text: str, framing: Framing) -> bool:
    keys = [token[0].lower() for token in _TOKEN.finditer(text)]
    return len(keys) >= SHORTEST_ASIDE and _idle_until(keys, framing) == len(keys)


def _starts(
    text: str, tokens: Sequence[re.Match[str]], keys: Sequence[str], framing: Framing
) -> list[int]:
    """Places at which the question may begin behind idle words, the likeliest first."""
    idle = _idle_until(keys, framing)
    places = [token.start() for token in tokens[: idle + 1] if token.start() < len(text)]
    behind_comma = [
        place for before, place in zip(["", *keys], places, strict=False)
        if before in _PUNCTUATION and framing.openers.match(text, place)
    ]  # fmt: skip
    reported = [match.end() for match in framing.reports.finditer(text) if match.end() in
                {place - 1 for place in places}]  # fmt: skip
    asking = [place for place in places if framing.asking.match(text, place)]
    likely = [*behind_comma[-1:], *reported[-1:], *asking[:-3:-1], 0]
    return list(dict.fromkeys(likely))[:MOST_STARTS]


def _start_of_tail(
    text: str, tokens: Sequence[re.Match[str]], keys: Sequence[str], framing: Framing
) -> int:
    """Where idle words begin that go on to the end of a text."""
    for at in range(1, len(tokens)):
        place = tokens[at].start()
        behind_comma = keys[at - 1] in _PUNCTUATION and not framing.added.match(text, place)
        if (behind_comma or framing.starters.match(text, place)) and _idle_until(
            keys, framing, at
        ) == len(keys):
            return place
    return len(text)


def _start_of_reason(
    text: str, framing: Framing, context: Context, meaningful: AbstractSet[str]
) -> int:
    """Where a reason or a purpose begins behind a question that names all that it speaks of."""
    for match in framing.purposes.finditer(text):
        behind = match.start() > 0 and not text[match.start() - 1].isalnum()
        if behind and _is_idle_reason(text[match.start() :], framing, context, meaningful):
            return match.start()
    return len(text)


def _end_of_reason(
    text: str, framing: Framing, context: Context, meaningful: AbstractSet[str]
) -> int:
    """Where a reason or a purpose ends before a question that does not speak of it."""
    if framing.purposes.match(text) is None:
        return 0
    for match in context.opening.finditer(text):
        question = text[match.end() :]
        if _is_idle_reason(text[: match.start()], framing, context, meaningful):
            return 0 if context.refers_back(question) else match.end()
    return 0


def _is_idle_reason(
    text: str, framing: Framing, context: Context, meaningful: AbstractSet[str]
) -> bool:
    """Whether a reason, a purpose and what follows contain nothing that may change a question."""
    rest = framing.harmless.sub(" ", framing.purposes.sub(" ", text, count=1))
    words = [token[0].lower() for token in _TOKEN.finditer(rest) if token[0][0].isalnum()]
    return not (
        context.restricting.search(rest)
        or context.choosing.search(rest)
        or any(word[0].isdigit() or word in meaningful - context.harmless for word in words)
    )
