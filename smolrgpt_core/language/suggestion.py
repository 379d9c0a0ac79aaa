"""What would work in place of a question that is not understood: the nearest that has a reading."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.object_classes import ZONE, known_class
from smolrgpt_core.regions import RegionSet

_CLAUSE = re.compile(r"[,;:.?!]+\s+")
"""Between clauses."""

MOST_SHORTENED = 4
"""Shorter questions that are tried."""


def shortened(text: str, unknown: Sequence[str]) -> Iterator[str]:
    """A question without what may be in the way: the unknown words, or one of its clauses.

    What is skipped may have meant something, so that such a question is proposed and not answered.

    Args:
        text: cleaned.
        unknown: words of it that mean nothing.
    """
    yield from islice(_shortened(text, unknown), MOST_SHORTENED)


def _shortened(text: str, unknown: Sequence[str]) -> Iterator[str]:
    if unknown:
        words = "|".join(map(re.escape, unknown))
        yield " ".join(re.sub(rf"(?<!\w)(?:{words})(?!\w)", " ", text).split())
    clauses = _CLAUSE.split(text)
    if len(clauses) > 1:
        for place in range(len(clauses)):
            yield ", ".join([*clauses[:place], *clauses[place + 1 :]])


def example(words: set[str], regions: RegionSet) -> Program | None:
    """A question about a frame that is like one with these words; None for a frame without regions.

    Args:
        words: of a question that was not understood.
        regions: of the frame.
    """
    by_class: dict[str, list[int]] = {}
    for region in regions:
        by_class.setdefault(known_class(region.label), []).append(region.id)
    ids = [region.id for region in regions]
    if not ids:
        return None
    zones = by_class.pop(ZONE, [])
    name, members = max(by_class.items(), key=lambda item: len(item[1]), default=(ZONE, zones))
    first = selections.Region(members[0])
    others = [id for id in (*zones, *ids) if id != members[0]]
    place = selections.Region(others[0]) if others else selections.Camera()
    if {"fit", "fits", "room", "space", "take", "hold", "capacity"} & words and zones:
        if {"many", "most", "capacity"} & words:
            return questions.Measure(selections.Region(zones[0]), attributes.Capacity())
        return questions.Whether(selections.Region(zones[0]), predicates.HasRoom())
    if {"many", "number", "count"} & words and zones and name != ZONE and name:
        return questions.Count(selections.Where(selections.All(name), predicates.In(place)))
    if {"which", "what", "who", "list", "name"} & words and name and name != ZONE:
        return selections.Extreme(selections.All(name), attributes.Distance(place), "least", 1.0)
    if {"left", "right", "side"} & words and others:
        return questions.Side(first, selections.Region(others[-1]), "left_right")
    if {"wide", "tall", "high", "long", "large", "big", "size", "height"} & words:
        return questions.Dimensions(first)
    if {"is", "are", "does", "do"} & words and "far" not in words and zones and name != ZONE:
        return questions.Whether(first, predicates.In(place))
    return questions.Measure(first, attributes.Distance(place))
