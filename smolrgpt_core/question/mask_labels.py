"""What each `<mask>` of a text is called: the public data sets have no other labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from smolrgpt_core.question.spatial_question import MASK
from smolrgpt_core.question.tokens import ARTICLES, DEFINITE
from smolrgpt_core.question.vocabulary import (
    IRREGULAR_PLURALS,
    LONGEST_PHRASE,
    PHRASES,
    Kind,
    noun_phrases,
    pluralise,
)

_WORD = re.compile(r"<mask>|[^\W\d_]+")

_NOUNS = noun_phrases(())
"""Of the known classes, and "region" and its like."""

_LONGEST_NOUN = 3
"""Words of a noun that no table has, such as "cardboard box"."""

_BEFORE_A_NOUN = frozenset(
    {Kind.OF, Kind.FROM, Kind.TO, Kind.BETWEEN, Kind.AMONG, Kind.AND, Kind.OR, Kind.THAN, Kind.IN,
     Kind.WHICH, Kind.COUNT, Kind.CARDINAL, Kind.ORDINAL, Kind.SUPERLATIVE, Kind.SIDE, Kind.LOAD}
)  # fmt: skip
"""Directly behind these a noun may stand without an article: "from box <mask>"."""

_NO_NOUN = frozenset(
    {"behind", "above", "below", "under", "underneath", "beneath", "over", "beside", "besides",
     "near", "nearby", "next", "around", "past", "along", "across", "opposite", "toward",
     "towards", "against", "onto", "upon", "off", "through", "before", "after", "front", "back",
     "beyond", "atop", "into", "not", "no", "whose", "who", "where", "when", "than", "and", "or",
     "but", "with", "without"}
)  # fmt: skip
"""Words that would change what is asked, were they taken for a part of a name."""

_NOUNS_IN_ING = frozenset({"building", "packaging", "railing", "bearing", "opening", "ceiling"})
"""Other words that end like these say what something does: "the box touching <mask>"."""

_NEVER_DETERMINED = frozenset({Kind.FILLER, Kind.CAMERA, Kind.CONTAIN})
"""Behind an article these words have another meaning than their fixed one: "the can <mask>"."""

_VERBS = frozenset({"is", "are"})
"""Behind these as well: "how far is box <mask>"."""

_AROUND_A_NOUN = frozenset({"mask", "masks", "masked", "region", "regions"})
"""As in "the box region <mask>"; they name nothing."""

_SINGULARS = {plural: singular for singular, plural in IRREGULAR_PLURALS.items()}


@dataclass(frozen=True)
class _Word:
    text: str
    determined: bool = False
    """Whether an article or its like stands before."""


def mask_labels(text: str) -> tuple[str, ...]:
    """What each `<mask>` is called, by the last noun before it.

    "the pallets <mask> <mask> and the cardboard box <mask>" has two pallets and a "cardboard box".
    Words for a known class give its name ("rack" is a "shelf"). It is empty where no noun stands
    before, or only "region" or "object".
    """
    words = _words(text)
    labels: list[str] = []
    label, position = "", 0
    before: Kind | None = None
    while position < len(words):
        if words[position].text == MASK:
            labels.append(label)
            before, position = None, position + 1
        elif fixed := _fixed_phrase(words, position):
            end, before = position + len(fixed), PHRASES[fixed].kind
            if words[position].determined and _is_mask(words, end) and before in _NEVER_DETERMINED:
                # "The can <mask>" is a can, whatever the mask before it is called.
                label = ""
            position = end
        else:
            end = _end_of_run(words, position)
            named = _noun(words, position, end, before)
            label = label if named is None else named
            before, position = None, end
    return tuple(labels)


def _words(text: str) -> list[_Word]:
    """The words of a text without articles; numbers and marks name nothing."""
    words: list[_Word] = []
    determined = False
    for word in map(str.lower, _WORD.findall(text)):
        if word in ARTICLES | DEFINITE:
            determined = True
        else:
            words.append(_Word(word, determined))
            determined = False
    return words


def _is_mask(words: Sequence[_Word], position: int) -> bool:
    return position < len(words) and words[position].text == MASK


def _fixed_phrase(words: Sequence[_Word], position: int) -> tuple[str, ...]:
    """The longest phrase with a fixed meaning that starts here; empty where none does."""
    key = tuple(word.text for word in words[position : position + LONGEST_PHRASE])
    sizes = range(len(key), 0, -1)
    return next((key[:size] for size in sizes if key[:size] in PHRASES), ())


def _end_of_run(words: Sequence[_Word], start: int) -> int:
    """Where the words without a fixed meaning end that start here."""
    end = start + 1
    while (
        end < len(words)
        and words[end].text != MASK
        and not words[end].determined
        and not _fixed_phrase(words, end)
    ):
        end += 1
    return end


def _noun(words: Sequence[_Word], start: int, end: int, before: Kind | None) -> str | None:
    """What a run of words names; None where it names nothing."""
    run = tuple(word.text for word in words[start:end])
    at_mask = _is_mask(words, end)
    bare = tuple(word for word in run if word not in _AROUND_A_NOUN)
    if bare and run not in _NOUNS and (at_mask or words[start].determined):
        after_a_verb = start > 0 and words[start - 1].text in _VERBS
        follows = words[start].determined or (
            at_mask and (before in _BEFORE_A_NOUN or after_a_verb)
        )
        if follows and bare not in _NOUNS and _may_be_a_noun(bare):
            several = [word.text for word in words[end : end + 2]] == [MASK, MASK]
            return _singular(" ".join(bare)) if several else " ".join(bare)
    for last in range(len(run), 0, -1):
        for size in range(min(last, LONGEST_PHRASE), 0, -1):
            if run[last - size : last] in _NOUNS:
                concept: str = _NOUNS[run[last - size : last]].value.concept
                return concept
    return None


def _may_be_a_noun(words: Sequence[str]) -> bool:
    """Whether words without a fixed meaning can be a name: "cardboard box", not "box behind"."""
    says_what_it_does = words[-1].endswith("ing") and " ".join(words) not in _NOUNS_IN_ING
    return len(words) <= _LONGEST_NOUN and not _NO_NOUN & set(words) and not says_what_it_does


def _singular(noun: str) -> str:
    """The singular of a noun in the plural; the noun itself where it is none."""
    *head, last = noun.split()
    endings = [("ies", "y"), ("s", "")]
    if last.endswith(("xes", "zes", "ches", "shes", "sses")):
        endings.insert(0, ("es", ""))
    found = [last.removesuffix(old) + new for old, new in endings if last.endswith(old)]
    singulars = [_SINGULARS.get(last, ""), *found]
    singular = next((word for word in singulars if word and pluralise(word) == last), last)
    return " ".join([*head, singular])
