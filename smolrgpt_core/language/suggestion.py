"""What would work in place of a question that is not understood: the nearest that has a reading."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice

from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.object_classes import CARRIER, ZONE, known_class
from smolrgpt_core.regions import RegionSet

_CLAUSE = re.compile(r"[,;:.?!]+\s+|\s+(?:and|und)\s+")
"""Between clauses."""

MOST_SHORTENED = 8
"""Shorter questions that are tried."""

MOST_LIKE = 2
"""Known words that are proposed for one that is not."""

SHORTEST_LIKE = 4
"""Letters of words that are proposed."""


def _of(*words: str) -> frozenset[str]:
    return frozenset(words)


ROOM = _of("fit", "fits", "room", "space", "hold", "capacity", "platz", "passt", "passen")
CARRYING = _of("carry", "take", "transport", "lift", "load", "trägt", "tragen", "nehmen")
MANY = _of("many", "number", "count", "viele", "anzahl", "zahl")
SIDES = _of("left", "right", "side", "links", "rechts", "seite")
WHICH = _of("which", "what", "who", "list", "name", "welche", "welcher", "welches", "liste")
WHETHER = _of("is", "are", "does", "do", "ist", "sind", "hat")
FAR = _of("far", "distance", "path", "reach", "away", "weit", "entfernung", "abstand", "weg")
SIZES = {
    attributes.Height: _of("tall", "high", "height", "hoch", "höhe", "taller", "higher"),
    attributes.Width: _of("wide", "width", "breit", "breite", "wider"),
    attributes.Length: _of("long", "length", "lang", "länge", "longer"),
}
LARGE = _of("large", "big", "size", "larger", "bigger", "groß", "dimensions")
"""Words that tell what was asked, in the languages that are read."""


ASKING = ROOM | MANY | SIDES | WHICH | FAR | LARGE | frozenset().union(*SIZES.values())
"""Words that an unknown one may have been meant for, beside the classes of the frame."""


def like(unknown: str, nouns: Collection[str]) -> list[str]:
    """Words that an unknown one may have been meant for, the likeliest first.

    Args:
        unknown: as it was written.
        nouns: words for the classes of the frame.
    """
    words = sorted(word for word in ASKING | set(nouns) if len(word) >= SHORTEST_LIKE)
    return get_close_matches(unknown.lower(), words, MOST_LIKE, cutoff=0.75)


def shortened(text: str, unknown: Sequence[str], nouns: Collection[str]) -> Iterator[str]:
    """A question without what may be in the way: the unknown words, or one of its clauses.

    What is skipped may have meant something, so that such a question is proposed and not answered.

    Args:
        text: cleaned.
        unknown: words of it that mean nothing.
        nouns: words for the classes of the frame.
    """
    yield from islice(_shortened(text, unknown, nouns), MOST_SHORTENED)


def _shortened(text: str, unknown: Sequence[str], nouns: Collection[str]) -> Iterator[str]:
    if len(unknown) == 1:
        for word in like(unknown[0], nouns):
            yield re.sub(rf"(?<!\w){re.escape(unknown[0])}(?!\w)", word, text)
    if unknown:
        words = "|".join(map(re.escape, unknown))
        yield " ".join(re.sub(rf"(?<!\w)(?:{words})(?!\w)", " ", text).split())
    clauses = _CLAUSE.split(text)
    if len(clauses) > 1:
        for place in range(len(clauses)):
            yield ", ".join([*clauses[:place], *clauses[place + 1 :]])


@dataclass(frozen=True)
class Mentioned:
    """What was understood of a question.

    Attributes:
        words: its words, as they are looked up.
        ids: regions of the frame that it names, in order.
        classes: of which it speaks.
    """

    words: frozenset[str]
    ids: tuple[int, ...]
    classes: tuple[str, ...]


def example(mentioned: Mentioned, regions: RegionSet) -> Program | None:
    """A question that works, and is like one of which so much was understood.

    None for a frame without regions.
    """
    if not len(regions):
        return None
    return _Example(mentioned, regions).program()


class _Example:
    """Makes a question that is like another one, of the same regions and classes if these work."""

    def __init__(self, mentioned: Mentioned, regions: RegionSet) -> None:
        self._words = mentioned.words
        by_class: dict[str, list[int]] = {}
        for region in regions:
            by_class.setdefault(known_class(region.label), []).append(region.id)
        self._zones = by_class.pop(ZONE, [])
        zones = [id for id in mentioned.ids if id in self._zones]
        objects = [id for id in mentioned.ids if id not in zones]
        classes = [name for name in mentioned.classes if by_class.get(name)]
        largest = max(by_class, key=lambda name: len(by_class[name]), default="")
        self._class = (classes or [largest])[0]
        self._named = [selections.Region(id) for id in (*objects, *zones)]
        carriers = [id for id in objects if id in by_class.get(CARRIER, ())]
        self._carriers = [selections.Region(id) for id in carriers]
        members = objects or by_class.get(self._class) or self._zones
        self._first = selections.Region(members[0])
        self._zone = selections.Region((zones or self._zones or members)[0])
        others = [id for id in (*mentioned.ids, *self._zones, *members) if id != members[0]]
        self._other = selections.Region(others[0]) if others else selections.Camera()

    def program(self) -> Program:
        """The question."""
        for makes in (
            self._room, self._carrying, self._how_many, self._side, self._far, self._size,
            self._which,
        ):  # fmt: skip
            program = makes()
            if program is not None:
                return program
        if self._has(WHETHER) and self._zones and self._first != self._zone:
            return questions.Whether(self._first, predicates.In(self._zone))
        return questions.Measure(self._first, attributes.Distance(self._other))

    def _has(self, words: frozenset[str]) -> bool:
        return bool(words & self._words)

    def _room(self) -> Program | None:
        if not self._has(ROOM) or not self._zones:
            return None
        if self._has(MANY | {"most", "capacity"}):
            return questions.Measure(self._zone, attributes.Capacity())
        return questions.Whether(self._zone, predicates.HasRoom())

    def _carrying(self) -> Program | None:
        if not self._has(CARRYING) or not self._carriers:
            return None
        return questions.Whether(self._carriers[0], predicates.Empty())

    def _how_many(self) -> Program | None:
        if not self._has(MANY) or not self._class:
            return None
        chosen = selections.All(self._class)
        inside = selections.Where(chosen, predicates.In(self._zone))
        return questions.Count(inside if self._zones else chosen)

    def _side(self) -> Program | None:
        if not self._has(SIDES):
            return None
        return questions.Side(self._first, self._other, "left_right")

    def _size(self) -> Program | None:
        """How tall an object is, or whether it is taller than another that is named."""
        if self._first == self._zone:
            return None
        for attribute, words in SIZES.items():
            if self._has(words):
                return questions.Measure(self._first, attribute())
        return questions.Dimensions(self._first) if self._has(LARGE) else None

    def _far(self) -> Program | None:
        if not self._has(FAR):
            return None
        place = self._other if len(self._named) > 1 else selections.Camera()
        return questions.Measure(self._first, attributes.Distance(place))

    def _which(self) -> Program | None:
        if not self._has(WHICH) or not self._class:
            return None
        place = self._named[0] if self._named else selections.Camera()
        nearest = attributes.Distance(place)
        return selections.Extreme(selections.All(self._class), nearest, "least", 1.0)
