"""What each `<mask>` of a text is called: the public data sets have no other labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from smolrgpt_core.language.lexicon import Phrase, load_lexicon
from smolrgpt_core.language.placeholders import MASK
from smolrgpt_core.language.words import IRREGULAR_PLURALS, NounTable, noun_table, plural_of
from smolrgpt_core.scene.copies import ANY_REGION

_WORD = re.compile(r"<mask>|[^\W\d_]+")

_LONGEST_NOUN = 3
"""Words of a noun that no table has, such as "cardboard box"."""

_NO_NOUN = frozenset(
    {"beside", "besides", "near", "nearby", "next", "around", "past", "along", "across", "opposite",
     "onto", "upon", "off", "through", "beyond", "not", "no", "whose", "where", "when", "touching"}
)  # fmt: skip
"""Words that would change what is asked, were they taken for a part of a name."""

_AROUND_A_NOUN = frozenset({"mask", "masks", "masked", "region", "regions"})
"""As in "the box region <mask>"; they name nothing."""

_NOUNS_IN_ING = frozenset({"building", "packaging", "railing", "bearing", "opening", "ceiling"})
"""Other words that end like these say what something does."""

_SINGULARS = {plural: singular for singular, plural in IRREGULAR_PLURALS.items()}


@dataclass(frozen=True)
class _Word:
    text: str
    determined: bool = False
    """Whether an article stands before."""


def mask_labels(text: str) -> tuple[str, ...]:
    """What each `<mask>` is called, by the last noun before it.

    "the pallets <mask> <mask> and the cardboard box <mask>" has two pallets and a "cardboard box".
    Words for a known class give its name ("rack" is a "shelf"). It is empty where no noun stands
    before, or only "region" or "object".
    """
    words, nouns = _words(text), _nouns()
    labels: list[str] = []
    label, position = "", 0
    while position < len(words):
        if words[position].text == MASK:
            labels.append(label)
            position += 1
            continue
        known = _known_noun(words, position, nouns)
        end = position + len(known) if known else _end_of_run(words, position, nouns)
        if known:
            name = nouns[known][0].name
            label = "" if name == ANY_REGION else name
        else:
            named = _unknown_noun(words, position, end)
            label = label if named is None else named
        position = end
    return tuple(labels)


@cache
def _nouns() -> NounTable:
    return noun_table(load_lexicon("english"), ())


def _words(text: str) -> list[_Word]:
    """The words of a text without articles; numbers and marks name nothing."""
    lexicon = load_lexicon("english")
    words: list[_Word] = []
    determined = False
    for word in map(str.lower, _WORD.findall(text)):
        if word in lexicon.definite or word in lexicon.indefinite:
            determined = True
        else:
            words.append(_Word(word, determined))
            determined = False
    return words


def _known_noun(words: Sequence[_Word], position: int, nouns: NounTable) -> Phrase:
    """The longest noun of a table that starts here; empty where none does."""
    sizes = range(max(map(len, nouns)), 0, -1)
    phrases = (tuple(word.text for word in words[position : position + size]) for size in sizes)
    return next((phrase for phrase in phrases if phrase in nouns), ())


def _end_of_run(words: Sequence[_Word], start: int, nouns: NounTable) -> int:
    """Where the words end that start here and belong together: before a mask, an article, a noun,
    or a word that means something else.
    """
    end = start + 1
    while (
        end < len(words)
        and words[end].text != MASK
        and not words[end].determined
        and _is_unknown(words[end - 1].text)
        and not _known_noun(words, end, nouns)
    ):
        end += 1
    return end


def _is_unknown(word: str) -> bool:
    lexicon = load_lexicon("english")
    return word not in lexicon.words and word not in lexicon.fillers


def _unknown_noun(words: Sequence[_Word], start: int, end: int) -> str | None:
    """What a run of words names; None where it names nothing."""
    run = tuple(word.text for word in words[start:end])
    at_mask = end < len(words) and words[end].text == MASK
    bare = tuple(word for word in run if word not in _AROUND_A_NOUN)
    if not all(map(_is_unknown, bare)) or not bare:
        # "The can <mask>" is a can, whatever the mask before it is called.
        return "" if at_mask and words[start].determined and bare else None
    if not (at_mask or words[start].determined) or not _may_be_a_noun(bare):
        return None
    several = [word.text for word in words[end : end + 2]] == [MASK, MASK]
    return _singular(" ".join(bare)) if several else " ".join(bare)


def _may_be_a_noun(words: Sequence[str]) -> bool:
    """Whether words without another meaning can be a name: "cardboard box", not "box touching"."""
    says_what_it_does = words[-1].endswith("ing") and words[-1] not in _NOUNS_IN_ING
    return len(words) <= _LONGEST_NOUN and not _NO_NOUN & set(words) and not says_what_it_does


def _singular(noun: str) -> str:
    """The singular of a noun in the plural; the noun itself where it is none."""
    *head, last = noun.split()
    endings = [("ies", "y"), ("s", "")]
    if last.endswith(("xes", "zes", "ches", "shes", "sses")):
        endings.insert(0, ("es", ""))
    found = [last.removesuffix(old) + new for old, new in endings if last.endswith(old)]
    singulars = [_SINGULARS.get(last, ""), *found]
    singular = next((word for word in singulars if word and plural_of((word,)) == (last,)), last)
    return " ".join([*head, singular])
