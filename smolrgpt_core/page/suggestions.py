"""Suggested questions about the selected regions, all of which can be parsed for this frame.

Sentences are generated from programs and parsed again: only those that parse are offered.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import question_of, read_question
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.wording import say
from smolrgpt_core.object_classes import CARGO, CARRIER, ZONE, known_class
from smolrgpt_core.regions import RegionSet

MAX_SUGGESTIONS = 6
MAX_REMEDIES = 4


def suggestions(regions: RegionSet, selected: Sequence[int]) -> list[AskedQuestion]:
    """Questions about the selected regions, or about the whole frame if none is selected.

    Args:
        regions: of the frame.
        selected: ids in the order in which they were selected.
    """
    programs = _programs(regions, list(selected))
    found = (_readable(program, regions) for program in programs)
    return _first(MAX_SUGGESTIONS, found)


def completions(offered: Sequence[AskedQuestion], typed: str) -> list[AskedQuestion]:
    """The questions that contain every typed word, those that begin with the text first."""
    text = " ".join(typed.lower().split())
    words = text.split()
    fitting = [item for item in offered if all(word in item.text.lower() for word in words)]
    return sorted(fitting, key=lambda item: not item.text.lower().startswith(text))


def remedies(
    asked: AskedQuestion, answer: SpatialAnswer, regions: RegionSet
) -> list[AskedQuestion]:
    """Questions to ask instead of one that was refused; what the message proposes comes first.

    Args:
        asked: the question.
        answer: its refusal; there are no remedies for an answer.
        regions: of the frame.
    """
    if answer.ok:
        return []
    quoted = (AskedQuestion(text) for text in re.findall(r'"([^"]+)"', answer.message))
    ids = (*answer.region_ids, *asked.region_ids, *_named(asked.text, regions))
    about = [id for id in dict.fromkeys(ids) if id in regions]
    found = [*_read_for(quoted, regions), *suggestions(regions, about)]
    return _first(MAX_REMEDIES, (item for item in found if item.text != asked.text))


def _named(text: str, regions: RegionSet) -> list[int]:
    """The regions whose names stand in a text, in their order there."""
    words = " ".join(["", *re.findall(r"\w+", text.lower()), ""])
    places = {region.id: words.find(f" {region.name.lower()} ") for region in regions}
    return sorted((id for id, place in places.items() if place >= 0), key=lambda id: places[id])


def _first(limit: int, found: Iterable[AskedQuestion | None]) -> list[AskedQuestion]:
    different = dict.fromkeys(item for item in found if item is not None)
    return list(different)[:limit]


def _read_for(items: Iterable[AskedQuestion], regions: RegionSet) -> Iterator[AskedQuestion]:
    for item in items:
        if is_read(item, regions):
            yield item


def is_read(asked: AskedQuestion, regions: RegionSet) -> bool:
    """Whether a question can be parsed for the regions of a frame."""
    try:
        read_question(asked.text, regions, asked.category, asked.region_ids)
    except SpatialError:
        return False
    return True


def _readable(program: Program, regions: RegionSet) -> AskedQuestion | None:
    """A program in words with names, or with placeholders where names are not read."""
    named = AskedQuestion(say(program, regions))
    if is_read(named, regions):
        return named
    question = question_of(program, regions)
    masked = AskedQuestion(question.text, None, question.region_ids)
    return masked if is_read(masked, regions) else None


def _programs(regions: RegionSet, ids: list[int]) -> Iterator[Program]:
    if not ids:
        return _of_frame(regions)
    if len(ids) == 1:
        return _of_one(regions, ids[0])
    if len(ids) == 2:
        return _of_two(regions, ids[0], ids[1])
    return _of_many(regions, ids)


def _class(regions: RegionSet, id: int) -> str:
    return known_class(regions[id].label)


def _of_class(regions: RegionSet, name: str) -> list[int]:
    return [region.id for region in regions if known_class(region.label) == name]


def _classes(regions: RegionSet) -> list[str]:
    """Classes of the frame, the most frequent first."""
    counted = Counter(filter(None, (known_class(region.label) for region in regions)))
    return [name for name, _ in counted.most_common()]


def _of_frame(regions: RegionSet) -> Iterator[Program]:
    nearness = attributes.Distance(selections.Camera())
    for name in _classes(regions)[:3]:
        yield questions.Count(selections.All(name))
        yield selections.Extreme(selections.All(name), nearness, "least", 1.0)
    zones = _of_class(regions, ZONE)
    if zones:
        holding = predicates.In(selections.Region(zones[0]))
        yield questions.Count(selections.Where(selections.All(CARGO), holding))
        yield questions.Whether(selections.Region(zones[0]), predicates.HasRoom())
    if len(zones) > 1:
        yield selections.Extreme(selections.All(ZONE), attributes.FreeArea(), "most", 1.0)
    if _of_class(regions, CARRIER):
        yield selections.Where(selections.All(CARRIER), predicates.Empty())


def _of_one(regions: RegionSet, id: int) -> Iterator[Program]:
    region, name = selections.Region(id), _class(regions, id)
    yield questions.Measure(region, attributes.Distance(selections.Camera()))
    zones = _of_class(regions, ZONE)
    if name == ZONE:
        holding = predicates.In(region)
        yield questions.Count(selections.Where(selections.All(CARGO), holding))
        yield questions.Whether(region, predicates.HasRoom())
        yield questions.Whether(region, predicates.Empty())
        yield questions.Measure(region, attributes.FreeArea())
    if name == CARRIER:
        yield questions.Whether(region, predicates.Empty())
    if zones and name != ZONE:
        distance = attributes.Distance(region)
        yield selections.Extreme(selections.All(ZONE), distance, "least", 1.0)
        yield questions.Whether(region, predicates.In(selections.Region(zones[0])))
    yield questions.Dimensions(region)
    yield questions.Position(region)
    if name != ZONE:
        yield questions.Measure(region, attributes.Height())


def _of_two(regions: RegionSet, first: int, second: int) -> Iterator[Program]:
    one, other = selections.Region(first), selections.Region(second)
    yield questions.Measure(one, attributes.Distance(other))
    yield questions.Side(one, other, "left_right")
    if _class(regions, second) == ZONE and _class(regions, first) != ZONE:
        yield questions.Whether(one, predicates.In(other))
    yield questions.Whether(one, predicates.LeftOf(other))
    yield questions.Side(one, other, "front_behind")
    pair = selections.Listed((first, second))
    yield selections.Extreme(pair, attributes.Distance(selections.Camera()), "least", 1.0)
    if ZONE not in (_class(regions, first), _class(regions, second)):
        yield questions.Measure(one, attributes.Clearance(other))
        yield selections.Extreme(pair, attributes.Height(), "most", 1.0)


def _of_many(regions: RegionSet, ids: list[int]) -> Iterator[Program]:
    *others, last = ids
    final, listed = selections.Region(last), selections.Listed(tuple(others))
    yield selections.Extreme(listed, attributes.Distance(final), "least", 1.0)
    if _class(regions, last) == ZONE:
        yield questions.Count(selections.Where(listed, predicates.In(final)))
    everything = selections.Listed(tuple(ids))
    yield selections.Extreme(everything, attributes.Distance(selections.Camera()), "least", 1.0)
    yield selections.Extreme(everything, attributes.Column(), "least", 1.0)
    if all(_class(regions, id) != ZONE for id in ids):
        yield selections.Extreme(everything, attributes.Height(), "most", 1.0)
    if len(ids) == 3:
        first, second = (selections.Region(id) for id in others)
        yield questions.Whether(final, predicates.Between(first, second))
