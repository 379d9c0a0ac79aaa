"""What each `<mask>` of a text is called: the public data sets have no other labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from smolrgpt_core.language.lexicon import Phrase, load_lexicon
from smolrgpt_core.language.placeholders import MASK
from smolrgpt_core.language.words import IRREGULAR_PLURALS, NounTable, noun_table, plural_of
from smolrgpt_core.object_classes import SIZED_APART
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
"""Other words that end like these describe what something does."""

_ALSO_NOUNS = {"can": True, "person": False}
"""Words with another meaning that name a thing before its mask; whether only after an article."""

_DESCRIBING = frozenset({"big", "large", "small"})
"""Words with another meaning that belong to a name between an article and the rest of it."""

_LOOKS = frozenset(
    {"red", "blue", "green", "yellow", "white", "black", "orange", "brown", "gray", "grey",
     "purple", "pink", "beige", "silver", "dark", "bright", "colored", "coloured", "wooden",
     "plastic", "metal", "metallic", "steel", "huge", "tiny", "rectangular", "flat", "corridor"}
)  # fmt: skip
"""Words that the reader knows and that are as good a part of a name as unknown ones."""

_AWAY = frozenset(
    {"behind", "above", "below", "under", "over", "before", "after", "against", "inside", "outside",
     "between", "from", "to", "than"}
)  # fmt: skip
"""Between a noun and a mask they name two things: "the box behind <mask>"."""

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
    words = _words(text)
    labels: list[str] = []
    label, position = "", 0
    while position < len(words):
        if words[position].text == MASK:
            labels.append(label)
            position += 1
            continue
        end = _end_of_run(words, position)
        named = _name(words, position, end)
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


@cache
def _parts_of_nouns() -> frozenset[str]:
    """Words that may belong to a name: those of nouns, and what the camera is called."""
    parts = {word for noun in _nouns() for word in noun if word not in _NO_NOUN}
    return frozenset({*parts, *load_lexicon("english").camera_nouns})


def _may_name(words: Sequence[_Word], position: int) -> bool:
    """Whether a word can be a part of a name, or is all of one: "the person <mask>"."""
    word, lexicon = words[position], load_lexicon("english")
    if word.text in _ALSO_NOUNS:
        named = word.determined or not _ALSO_NOUNS[word.text]
        return named and _is_mask(words, position + 1)
    if word.text in _DESCRIBING:
        after = position + 1
        return word.determined and after < len(words) and _may_name(words, after)
    if word.text in _parts_of_nouns():
        return True
    if word.text in _LOOKS:
        return True
    return word.text not in lexicon.words and word.text not in lexicon.fillers


def _is_mask(words: Sequence[_Word], position: int) -> bool:
    return position < len(words) and words[position].text == MASK


def _end_of_run(words: Sequence[_Word], start: int) -> int:
    """Where the words end that start here and belong together: before a mask, an article, or a
    word that means something else.
    """
    end = start + 1
    while (
        end < len(words)
        and words[end].text != MASK
        and not words[end].determined
        and _may_name(words, end - 1)
        and _may_name(words, end)
    ):
        end += 1
    return end


def _name(words: Sequence[_Word], start: int, end: int) -> str | None:
    """What a run of words names; None where it names nothing."""
    run = tuple(word.text for word in words[start:end])
    at_mask, determined = _is_mask(words, end), words[start].determined
    bare = tuple(word for word in run if word not in _AROUND_A_NOUN)
    if bare and set(bare) <= load_lexicon("english").camera_nouns:
        # "The robot <mask>" is not what the mask before it is called.
        return "" if at_mask and determined else None
    if not _may_name(words, start) or (end < len(words) and words[end].text in _AWAY):
        return None
    is_of_a_table = bool({run, bare} & _nouns().keys())
    if (at_mask or determined) and not is_of_a_table and bare and _may_be_a_noun(bare):
        several = [word.text for word in words[end : end + 2]] == [MASK, MASK]
        return _singular(" ".join(bare)) if several else " ".join(bare)
    return _last_known(run)


def _last_known(run: Phrase) -> str | None:
    """The class of the last noun of a table among these words; "" for "region" and its like.

    A kind of a class with sizes of its own stays what it is called: a "forklift".
    """
    nouns = _nouns()
    longest = max(map(len, nouns))
    for last in range(len(run), 0, -1):
        for size in range(min(last, longest), 0, -1):
            phrase = run[last - size : last]
            if phrase in nouns:
                name = nouns[phrase][0].name
                return "" if name == ANY_REGION else _kind(phrase, name)
    return None


def _kind(noun: Phrase, name: str) -> str:
    """The kind that a noun means, in the singular or plural, or else the name of its class."""
    words = _singular(" ".join(noun))
    return SIZED_APART.get(words, name)


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
