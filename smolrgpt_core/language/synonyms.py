"""Rare words for common ones: "rests" as "stands", "vertical extent" as "height".

The table of a language (`[synonyms]`) is used only where a question has no reading as it
stands. A line has the common word and the rare ones; a word in two lines has two meanings, and a
question that means something else with each of them is refused.

    nearest: closest by | least distant
    stand~: rest perch linger

"~" marks verbs, of which each form stands for the same form of the common one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product

from smolrgpt_core.language.rewording import in_lower_case

Phrase = tuple[str, ...]

MOST_TEXTS = 4
"""Texts that are made of one with words of several meanings."""

_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[^\w\s]")
_HYPHEN = re.compile(r"(?<=[^\W\d_])-(?=[^\W\d_])")
_ENDINGS = ("", "s", "ing", "ed")
_DOUBLED = re.compile(r"[^aeiou]*[aeiou][bdgmnprt]")
"""Verbs of one syllable that double their last letter: "sit", "sitting"."""


@dataclass(frozen=True, eq=False)
class Synonyms:
    """Rare words of a language.

    Attributes:
        by_first_word: phrases with the words that they may stand for, the longest first.
    """

    by_first_word: Mapping[str, Sequence[tuple[Phrase, tuple[str, ...]]]]

    def texts(self, text: str) -> list[str]:
        """What a text may stand for in common words; empty where it has no rare ones."""
        text = _HYPHEN.sub(" ", text)
        tokens = list(_TOKEN.finditer(text))
        keys = [in_lower_case(token[0]) for token in tokens]
        pieces: list[tuple[str, ...]] = []
        at = end = 0
        while at < len(keys):
            phrase, meant = self._longest(keys, at)
            if phrase:
                last = tokens[at + len(phrase) - 1].end()
                pieces += [(text[end : tokens[at].start()],), meant]
                end = last
            at += max(len(phrase), 1)
        if not pieces:
            return []
        choices = islice(product(*pieces), MOST_TEXTS)
        return [" ".join("".join([*choice, text[end:]]).split()) for choice in choices]

    def _longest(self, keys: Sequence[str], at: int) -> tuple[Phrase, tuple[str, ...]]:
        for phrase, meant in self.by_first_word.get(keys[at], ()):
            if tuple(keys[at : at + len(phrase)]) == phrase:
                return phrase, meant
        return (), ()


def make_synonyms(entries: Sequence[tuple[str, str]]) -> Synonyms:
    """The table of a lexicon from its lines."""
    meant: dict[Phrase, list[str]] = {}
    for common, rare in entries:
        for phrase, word in _pairs(common, rare):
            meant.setdefault(phrase, []).append(word)
    found: dict[str, list[tuple[Phrase, tuple[str, ...]]]] = {}
    for phrase in sorted(meant, key=len, reverse=True):
        found.setdefault(phrase[0], []).append((phrase, tuple(dict.fromkeys(meant[phrase]))))
    return Synonyms(found)


def _pairs(common: str, rare: str) -> Iterator[tuple[Phrase, str]]:
    if not common.endswith("~"):
        yield from ((tuple(phrase.split()), common) for phrase in rare.split("|"))
        return
    verb, _, rest = common.removesuffix("~").partition(" ")
    for word in rare.split():
        for form, ending in zip(_forms(word), _forms(verb), strict=True):
            yield (form,), f"{ending} {rest}".strip()


def _forms(verb: str) -> Iterator[str]:
    """A regular verb, and with -s, -ing and -ed: "rest", "rests", "resting", "rested"."""
    irregular = verb.split("/")
    if len(irregular) == len(_ENDINGS):
        yield from irregular
        return
    stem = verb[:-1] if verb.endswith("e") else verb
    if _DOUBLED.fullmatch(verb):
        stem += verb[-1]
    soft = verb.endswith("y") and verb[-2] not in "aeiou"
    hissing = verb.endswith(("s", "x", "z", "ch", "sh"))
    yield verb
    yield f"{verb[:-1]}ies" if soft else f"{verb}es" if hissing else f"{verb}s"
    yield f"{stem}ing"
    yield f"{verb[:-1]}ied" if soft else f"{stem}ed"
