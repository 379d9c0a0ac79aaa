"""The words that a question may use: names of objects, and phrases with a fixed meaning.

A word that stands in no table here makes a question unreadable, on purpose: "red", "behind" or
"heavier" would change what is asked. Articles are dropped before phrases are looked up, and a
hyphen counts as a space. English only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from itertools import product
from typing import Any

from smolrgpt_core.object_classes import LABEL_SYNONYMS, known_class, label_words
from smolrgpt_core.question.spatial_question import Criterion, Load

IRREGULAR_PLURALS = {"shelf": "shelves", "shelving": "shelvings", "person": "people"}

_NUMBER_WORDS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten",
    "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen",
    "nineteen", "twenty",
)  # fmt: skip
NUMBER_WORDS = {word: number for number, word in enumerate(_NUMBER_WORDS)}

_ORDINALS = (
    "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth",
)  # fmt: skip
ORDINALS = {word: rank for rank, word in enumerate(_ORDINALS, start=1)}


class Kind(Enum):
    """What a token does in a question."""

    UNKNOWN = auto()
    FILLER = auto()
    NOUN = auto()
    """Value: a `Noun`."""
    NUMBER = auto()
    """Digits. Value: the number."""
    MASK = auto()
    """Value: the region id."""
    REGION_ID = auto()
    """"[Region 3]". Value: the region id."""
    CAMERA = auto()
    CARDINAL = auto()
    """A number word. Value: the number."""
    ORDINAL = auto()
    """Value: the rank."""
    LOAD = auto()
    """Value: a `Load`."""
    SUPERLATIVE = auto()
    """Value: a `Superlative`."""
    BUT = auto()
    """"but one" after a superlative. Value: by how much the rank grows."""
    BEST = auto()
    """"the optimal choice", which only means the nearest together with PICKUP."""
    PICKUP = auto()
    SIDE = auto()
    """Value: "left" or "right"."""
    WHICH_SIDE = auto()
    FROM_SIDE = auto()
    """"from the left" after an ordinal. Value: "left" or "right"."""
    DISTANCE = auto()
    COUNT = auto()
    WHICH = auto()
    NOT = auto()
    IN = auto()
    OUTSIDE = auto()
    CONTAIN = auto()
    OF = auto()
    FROM = auto()
    TO = auto()
    FOR = auto()
    BY = auto()
    THAN = auto()
    RELATIVE = auto()
    BETWEEN = auto()
    AMONG = auto()
    GIVEN = auto()
    AND = auto()
    OR = auto()
    COMMA = auto()


@dataclass(frozen=True)
class Meaning:
    """What a phrase stands for."""

    kind: Kind
    value: Any = None


@dataclass(frozen=True)
class Noun:
    """A word for regions of one class.

    Attributes:
        concept: class in the singular, such as "pallet"; empty for "region" and "object".
        labels: labels of the frame that the word covers.
        plural: whether the word is in the plural.
    """

    concept: str
    labels: frozenset[str]
    plural: bool


@dataclass(frozen=True)
class Superlative:
    """What singles one out: "nearest", "second from the left", "middle".

    Attributes:
        criterion: what singles out; None for a mere "second", before it is said of what order.
        rank: 1 = the first; `MIDDLE_RANK` = the one in the middle.
        of_two: a comparative ("closer"), which needs exactly two to choose from.
        needs_anchor: "optimal for pick-up", which says nothing without who picks up.
    """

    criterion: Criterion | None
    rank: int = 1
    of_two: bool = False
    needs_anchor: bool = False


MIDDLE_RANK = -1

SIDE_CRITERIA = {"left": Criterion.LEFTMOST, "right": Criterion.RIGHTMOST}

Phrases = dict[tuple[str, ...], Meaning]


def concept_of(label: str) -> str:
    """The class that a label belongs to: "rack" is a "shelf", an unknown label is its own."""
    return known_class(label)


def readable_label(label: str) -> str:
    """The label as a noun of a question; empty if it cannot be one.

    Labels come from outside: one with special tokens or digits must not get into a text.
    """
    words = label_words(label)
    usable = all(word.isalpha() for word in words) and words not in PHRASES
    return " ".join(words) if usable else ""


def pluralise(words: str) -> str:
    """The plural of a noun or of the last word of a compound noun."""
    *head, last = words.split() or [""]
    if last in IRREGULAR_PLURALS:
        plural = IRREGULAR_PLURALS[last]
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        plural = last[:-1] + "ies"
    elif last.endswith(("s", "x", "z", "ch", "sh")):
        plural = last + "es"
    else:
        plural = last + "s"
    return " ".join([*head, plural])


def noun_phrases(labels: Iterable[str]) -> Phrases:
    """The nouns that can be used about a frame with these labels.

    A label of the frame that is used as it is written means that label alone; a synonym means all
    labels of its class.
    """
    known = frozenset(label for label in labels if label)
    phrases: Phrases = {}
    for concept, synonyms in LABEL_SYNONYMS.items():
        covered = frozenset(label for label in known if concept_of(label) == concept)
        for synonym in synonyms:
            phrases.update(_noun_forms(synonym, concept, covered))
    for label in known:
        if noun := readable_label(label):
            phrases.update(_noun_forms(noun, concept_of(label), frozenset([label])))
    for word in ("region", "object", "item", "mask"):
        phrases[word,] = Meaning(Kind.NOUN, Noun("", known | {""}, plural=False))
        phrases[word + "s",] = Meaning(Kind.NOUN, Noun("", known | {""}, plural=True))
    return phrases


def _noun_forms(word: str, concept: str, labels: frozenset[str]) -> Phrases:
    singular = Meaning(Kind.NOUN, Noun(concept, labels, plural=False))
    plural = Meaning(Kind.NOUN, Noun(concept, labels, plural=True))
    forms: Phrases = {}
    for base in (word, f"{word} mask", f"{word} region", f"masked {word}", f"masked {word} region"):
        forms[tuple(base.split())] = singular
        forms[tuple(pluralise(base).split())] = plural
        forms.setdefault(tuple((base + "s").split()), plural)
    return forms


# One line per meaning, phrases separated by bars.
_FIXED: tuple[tuple[Kind, Any, str], ...] = (
    (
        Kind.DISTANCE,
        None,
        "how far|how far away|how far apart|how far off|how distant|how close|how near|distance"
        "|how much distance|how much space|gap|spacing|separation|how many metres|how many meters"
        "|how many m|how many metres away|how many meters away|distance value|distance measurement",
    ),
    (
        Kind.COUNT,
        None,
        "how many|count|count of|number of|total number of|total count of|what number of"
        "|quantity of",
    ),
    (
        Kind.SUPERLATIVE,
        Superlative(Criterion.NEAREST),
        "nearest|closest",
    ),
    (
        Kind.SUPERLATIVE,
        Superlative(Criterion.FARTHEST),
        "farthest|furthest|farthest away|furthest away|most distant",
    ),
    (
        Kind.SUPERLATIVE,
        Superlative(Criterion.NEAREST, of_two=True),
        "nearer|closer",
    ),
    (
        Kind.SUPERLATIVE,
        Superlative(Criterion.FARTHEST, of_two=True),
        "farther|further|farther away|further away|more distant",
    ),
    (Kind.SUPERLATIVE, Superlative(Criterion.LEFTMOST, MIDDLE_RANK), "middle|in middle"),
    (Kind.BUT, 1, "but one"),
    (Kind.BUT, 2, "but two"),
    (Kind.LOAD, Load.EMPTY, "empty|unloaded|not loaded|not carrying load|without load"),
    (Kind.LOAD, Load.LOADED, "loaded|laden|not empty|carrying load|with load"),
    (
        Kind.BEST,
        None,
        "best|optimal|ideal|most suitable|most efficient",
    ),
    (Kind.WHICH_SIDE, None, "which side|what side|on which side|on what side"),
    (Kind.WHICH, None, "which|what"),
    (Kind.NOT, None, "not"),
    (Kind.IN, None, "in|inside|inside of|within|on"),
    (Kind.OUTSIDE, None, "outside|outside of"),
    (Kind.CONTAIN, None, "contain|contains|hold|holds|have|has"),
    (Kind.OF, None, "of"),
    (Kind.FROM, None, "from"),
    (Kind.TO, None, "to|and to"),
    (Kind.FOR, None, "for"),
    (Kind.BY, None, "by"),
    (Kind.THAN, None, "than"),
    (
        Kind.RELATIVE,
        None,
        "relative to|compared to|compared with|with respect to|in relation to|in comparison to"
        "|with reference to|when compared to",
    ),
    (Kind.BETWEEN, None, "between|in between"),
    (Kind.AMONG, None, "among|amongst|out of|from among|from set of|from group of|of following"),
    (
        Kind.GIVEN,
        None,
        "given|considering|consider|looking at|regarding|from given set of|given set of"
        "|given following",
    ),
    (Kind.AND, None, "&|and|and from|and then"),
    (Kind.OR, None, "or"),
    (Kind.COMMA, None, ",|;|:"),
    (Kind.CAMERA, None, "camera|us|me|we|you|yourself|here|viewer|observer|sensor"),
    (
        Kind.FILLER,
        None,
        "is|are|was|were|be|been|being|does|do|did|can|could|will|would|shall|may|please|tell"
        "|let|give|show|report|state|say|determine|compute|calculate|estimate|measure|find"
        "|identify|select|choose|pick|name|provide|output|work out|figure out|tell me|let me know"
        "|tell us|let us know|give me|show me|i want to know|i would like to know"
        "|i need to know|can you|could you|can you tell me|could you tell me|would you|will you"
        "|you see|we see|i see|see|sees|seen|camera see|camera sees|robot see|robot sees"
        "|our|my|your|there|it|they|this|that|these|those|all|every|any|each|all of"
        "|appear|appears|appearing|seem|seems|look|looks|lie|lies|lying|stand|stands|standing|sit"
        "|sits|sitting|stay|stays|located|placed|positioned|situated|parked|stored|found|present"
        "|visible|shown|currently|right now|exactly|approximately|roughly|about|around|total"
        "|in total|altogether|exact|actual|following|available|listed|one of"
        "|set of|group of|estimation of|estimate of|value of|measurement of|position of"
        "|of them|of these|of those"
        "|choice|option|candidate|from each other|each other|from one another|apart|away"
        "|separates|separate|separated"
        "|metres|meters|metre|meter|m|in metres|in meters|in m|measured in metres"
        "|measured in meters|or not|yes or no|hello|hi|thanks|thank you|'|\"|.|?|!|(|)",
    ),
)


def _side_phrases() -> Phrases:
    """Every way to say left, right, leftmost and rightmost."""
    phrases: Phrases = {}
    for side, criterion in SIDE_CRITERIA.items():
        names = (side, f"{side} side", f"{side} hand side", f"{side} hand")
        for lead, name in product(("", "to", "on", "in", "at", "towards", "on to"), names):
            phrases[tuple(f"{lead} {name}".split())] = Meaning(Kind.SIDE, side)
        for name in names:
            phrases[tuple(f"from {name}".split())] = Meaning(Kind.FROM_SIDE, side)
        outermost = Meaning(Kind.SUPERLATIVE, Superlative(criterion))
        for phrase in (f"{side}most", f"{side} most", f"most {side}", f"most to {side}"):
            phrases[tuple(phrase.split())] = outermost
        of_two = Meaning(Kind.SUPERLATIVE, Superlative(criterion, of_two=True))
        for degrees, leads, meaning in (
            (("furthest", "farthest"), ("", "to", "on"), outermost),
            (("closest", "nearest"), ("to",), outermost),
            (("further", "farther", "more"), ("", "to", "on"), of_two),
        ):
            for degree, lead, name in product(degrees, leads, names):
                phrases[tuple(f"{degree} {lead} {name}".split())] = meaning
    return phrases


def _extreme_distance_phrases() -> Phrases:
    """Phrases such as "has the shortest distance" and "is at the largest distance"."""
    extremes = {
        Criterion.NEAREST: ("shortest", "smallest", "least", "minimum", "lowest", "closest"),
        Criterion.FARTHEST: ("longest", "largest", "greatest", "maximum", "farthest", "furthest"),
    }
    return {
        tuple(f"{lead} {word} distance".split()): Meaning(Kind.SUPERLATIVE, Superlative(criterion))
        for criterion, words in extremes.items()
        for lead, word in product(("", "has", "have", "at", "with"), words)
    }


def _pickup_phrases() -> Phrases:
    """The data set's reason for wanting the nearest pallet: "optimal for automated pick-up"."""
    purposes = ("", "for", "to", "to be", "for being", "choice for", "choice to", "option for",
                "candidate for")  # fmt: skip
    manners = ("", "automated", "automatic")
    acts = ("pick up", "pickup", "picking", "picking up", "picked up", "retrieval", "retrieve")
    return {
        tuple(f"{purpose} {manner} {act}".split()): Meaning(Kind.PICKUP)
        for purpose, manner, act in product(purposes, manners, acts)
    }


def _viewpoint_phrases() -> Phrases:
    """Phrases such as "from this viewpoint", which are true of every question."""
    leads = ("in", "from", "within", "seen from", "as seen from", "viewed from", "looking from",
             "as seen in", "seen in", "according to", "based on")  # fmt: skip
    owners = ("", "this", "current", "our", "your", "camera", "image", "robot", "given", "my")
    views = ("image", "picture", "photo", "frame", "scene", "view", "viewpoint", "perspective",
             "angle", "point of view", "field of view", "camera view", "warehouse")  # fmt: skip
    return {
        tuple(f"{lead} {owner} {view}".split()): Meaning(Kind.FILLER)
        for lead, owner, view in product(leads, owners, views)
    }


def _fixed_phrases() -> Phrases:
    return {
        tuple(phrase.split()): Meaning(kind, value)
        for kind, value, phrases in _FIXED
        for phrase in phrases.split("|")
    }


def _number_phrases() -> Phrases:
    return {
        **{(word,): Meaning(Kind.CARDINAL, number) for word, number in NUMBER_WORDS.items()},
        ("both",): Meaning(Kind.CARDINAL, 2),
        **{(word,): Meaning(Kind.ORDINAL, rank) for word, rank in ORDINALS.items()},
    }


PHRASES: Phrases = {
    **_viewpoint_phrases(),
    **_pickup_phrases(),
    **_side_phrases(),
    **_extreme_distance_phrases(),
    **_number_phrases(),
    **_fixed_phrases(),
}

LONGEST_PHRASE = max(map(len, PHRASES))
