"""Reads a question that fits no pattern by what it speaks of, in whatever order and frame.

    "Pallet 7 stands taller than 5, does it?"  ->  ONE taller ONE(than)  ->  the gist of these

The words become items: regions, nouns, lengths, and senses such as "far" or "taller" (`[senses]` of
a lexicon); `[neutral]` words mean nothing here. A gist (`[gists]`) lists senses and slots and says
what they ask together. Every item must be used and every word must be known: a word that might
change the meaning is never passed over. Two gists that fit are two meanings, and are refused.

    taller ONE:a THAN:b => whether(a, compared_to(Height(), "more", b))

`SLOTS` defines what fits each kind of slot; what fits one without a name adds nothing. `?far` and
`?ME` may be missing; `left..?ending..right` are senses in this order, each once at most;
`[marks]` has senses that may stand for others.
`PRED:p` and `SUP:s` stand for any gist `PRED: ... => ...` or `SUP: ...`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from typing import Any

from smolrgpt_core.language.builders import MENTIONED, SAME_NOUN, Asked, Nominal, Noun, ask, nominal
from smolrgpt_core.language.grammar import (
    Build,
    Costly,
    Edge,
    GrammarError,
    NoReadingError,
    Parse,
    Reading,
    compile_expression,
)
from smolrgpt_core.language.meant import classes_of
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Program, ProgramError
from smolrgpt_core.language.types import Type
from smolrgpt_core.object_classes import CARGO, CARRIER, ZONE, known_class
from smolrgpt_core.regions import RegionSet

PRONOUN = "pronoun"
"""Kind of the items for "it" and "those"."""

NOTHING = "nothing"
"""The sense of phrases that mean nothing here."""

DANGLING = "dangling"
"""The sense of a preposition with nothing behind it: "which shelf is pallet 3 nearest to"."""

IN_UNIT = "in_"
"""Before the SI unit of a unit that was asked for, as a sense that a gist may need."""

OF_UNITS = ("count", "howmany", "amount")
"""Senses of "how many feet"; it is the unit that counts."""

OTHER_MARKS = (
    "pronouns",
    "objects",
    "ids",
    "sides",
    "aliases",
    "asks",
    "yes_no",
    "there",
    "bound",
    "tells",
    "whether",
    "commands",
    "joins",
    "measures",
    "sizes",
)
"""Entries of `[marks]` that are no prepositions."""

PLACE_MARKS = frozenset({"to", "from"})
"""Marks of what a distance is measured to."""

ID_MARKS = PLACE_MARKS | {"than", "of"}
"""Marks behind which a number alone is a region."""

SYMMETRIC = (
    attributes.Distance, attributes.HorizontalDistance, attributes.VerticalDistance,
    attributes.Clearance,
)  # fmt: skip
"""What is the same from both ends."""

ITEM_RULES = (
    ("LIST", "LIST"), ("ME", "CAMERA"), ("LEN", "LEN"), ("UNIT", "UNIT"), ("ORD", "ORD"),
    ("CLASS", "NOUN"), ("ONE", "ONE"),
)  # fmt: skip
"""Kinds of items, and the rules by which they are read."""

PLACE_RULES = ("ONE", "BARE_ID", "LIST", "CAMERA", "LEN")
"""Rules of what a preposition may say the place of."""

BARE = ("left", "right")
"""Not sides of a region with another preposition: "are left in buffer 1", "right at shelf 80"."""

MAX_ITEMS = 9
"""More items than this are more than one question."""

MAX_STEPS = 400
"""Places tried on all ways to take a sentence apart; what is not found by then is not read."""

Phrase = tuple[str, ...]


@dataclass(frozen=True)
class Item:
    """What some words stand for.

    Attributes:
        kind: "sense", or a kind of slot: "ONE", "ME", "LIST", "CLASS", "LEN".
        value: name of the sense, program, noun or amount.
        marks: what the prepositions before it are marks of.
        after: the side that was named right before it; "" for none.
        known: its class, as far as it is known.
        repeats: of a noun: whether it only repeats what the regions with ids are.
    """

    kind: str
    value: Any
    marks: frozenset[str] = frozenset()
    after: str = ""
    known: str = ""
    repeats: bool = False


@dataclass(frozen=True)
class Slot:
    """A place for an item in a gist."""

    kind: str
    name: str
    optional: bool = False


@dataclass(frozen=True, eq=False)
class Gist:
    """What some senses and slots ask together.

    Attributes:
        senses: that must be there.
        allowed: that may be there.
        slots: for the other items, in the order of the sentence among slots of one kind.
        orders: senses that come in this order.
        build: the value, from the items by slot.
    """

    senses: frozenset[str]
    allowed: frozenset[str]
    slots: tuple[Slot, ...]
    build: Build
    orders: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class GistTable:
    """All gists of a language.

    Attributes:
        senses: by phrase.
        neutral: words without meaning here.
        prepositions: what each is a mark of, by word: "to", "than" or "other".
        pronouns: words that speak of what was named before.
        objects: those of them that are never without meaning, as the "it" of "is it" may be.
        before_ids: words behind which a number alone is a region.
        sides: senses behind which a region is what another one is compared with.
        aliases: senses that may stand for another one where a gist does not know them.
        asks: senses that ask for another one: they may stand for it where a gist needs it.
        yes_no: words with which a question for yes or no begins.
        there: words behind one of `yes_no` that ask whether something is there.
        bound: prepositions that mean nothing but with a region or a length right behind them.
        tells: words with which a sentence begins that asks for something else than yes or no,
            unless there is one of `whether` in it.
        whether: words before what may be so or not.
        commands: verbs that order the robot to do something where a sentence begins with them.
        joins: words behind which another measure is another question.
        measures: senses that are measured or reported, and sides.
        sizes: measures that can be asked for together.
        gists: whole questions, parts put in.
    """

    senses: Mapping[Phrase, str]
    neutral: frozenset[str]
    prepositions: Mapping[str, str]
    pronouns: frozenset[str]
    objects: frozenset[str]
    before_ids: frozenset[str]
    sides: frozenset[str]
    aliases: Mapping[str, str]
    asks: Mapping[str, str]
    yes_no: frozenset[str]
    there: frozenset[str]
    bound: frozenset[str]
    tells: frozenset[str]
    whether: frozenset[str]
    commands: frozenset[str]
    joins: frozenset[str]
    measures: frozenset[str]
    sizes: frozenset[str]
    gists: tuple[Gist, ...]

    def senses_from(self, word: str) -> Sequence[tuple[Phrase, str]]:
        """Phrases that begin with a word, with their senses."""
        return self.by_first_word.get(word, ())

    def gists_with(self, senses: Sequence[str]) -> Iterator[Gist]:
        """The gists that some of the senses, or what they stand for, might fit."""
        # In a fixed order, as the first of two readings that are the same is taken.
        stand_for = (
            table.get(sense, "") for table in (self.aliases, self.asks) for sense in senses
        )
        meant = dict.fromkeys(["", *senses, *stand_for])
        return chain.from_iterable(self.by_sense.get(sense, ()) for sense in meant)

    @cached_property
    def by_sense(self) -> Mapping[str, Sequence[Gist]]:
        """Gists by the rarest of the senses that they need; "" for those without any."""
        number = Counter(chain.from_iterable(gist.senses for gist in self.gists))
        found: dict[str, list[Gist]] = {}
        for gist in self.gists:
            rarest = min(gist.senses, key=lambda sense: (number[sense], sense), default="")
            found.setdefault(rarest, []).append(gist)
        return found

    @cached_property
    def by_first_word(self) -> Mapping[str, Sequence[tuple[Phrase, str]]]:
        """Phrases with their senses by their first word."""
        found: dict[str, list[tuple[Phrase, str]]] = {}
        for phrase, sense in self.senses.items():
            found.setdefault(phrase[0], []).append((phrase, sense))
        return found

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word of the table."""
        return frozenset(
            {*chain.from_iterable(self.senses), *self.neutral, *self.prepositions, *self.pronouns}
        )


def load_gists(
    sections: Mapping[str, str], functions: Mapping[str, Callable[..., Any]]
) -> GistTable:
    """The table of a lexicon; an empty one where it has none.

    Raises:
        GrammarError: it cannot be used.
    """
    senses: dict[Phrase, str] = {}
    for key, phrases in _entries(sections.get("senses", "")):
        senses |= {tuple(phrase.split()): key for phrase in phrases.split("|")}
    marks = dict(_entries(sections.get("marks", "")))
    return GistTable(
        senses=senses,
        neutral=frozenset(sections.get("neutral", "").split()),
        prepositions={
            word: mark
            for mark, words in marks.items() if mark not in OTHER_MARKS
            for word in words.split()
        },
        pronouns=frozenset(marks.get("pronouns", "").split()),
        objects=frozenset(marks.get("objects", "").split()),
        before_ids=frozenset(marks.get("ids", "").split()),
        sides=frozenset(marks.get("sides", "").split()),
        aliases=dict(pair.split("=") for pair in marks.get("aliases", "").split()),
        asks=dict(pair.split("=") for pair in marks.get("asks", "").split()),
        yes_no=frozenset(marks.get("yes_no", "").split()),
        there=frozenset(marks.get("there", "").split()),
        bound=frozenset(marks.get("bound", "").split()),
        tells=frozenset(marks.get("tells", "").split()),
        whether=frozenset(marks.get("whether", "").split()),
        commands=frozenset(marks.get("commands", "").split()),
        joins=frozenset(marks.get("joins", "").split()),
        measures=frozenset(marks.get("measures", "").split()),
        sizes=frozenset(marks.get("sizes", "").split()),
        gists=tuple(_gists(sections.get("gists", ""), functions)),
    )  # fmt: skip


def _entries(body: str) -> Iterator[tuple[str, str]]:
    for line in filter(str.strip, body.splitlines()):
        key, found, value = line.partition(":")
        if not found:
            raise GrammarError(f"expected 'key: value', got {line!r}")
        yield key.strip(), value.strip()


def _gists(body: str, functions: Mapping[str, Callable[..., Any]]) -> Iterator[Gist]:
    parts: dict[str, list[Gist]] = {"": [], "PRED": [], "SUP": []}
    for line in filter(str.strip, body.splitlines()):
        match = re.fullmatch(r"(?:(PRED|SUP): )?(.*?) => (.*)", line.strip())
        if match is None:
            raise GrammarError(f"expected 'items => expression', got {line!r}")
        name, pattern, expression = match.groups()
        parts[name or ""].append(_gist(pattern.split(), expression, functions))
    for gist in parts[""]:
        yield from _with_parts(gist, parts)


def _gist(
    tokens: Sequence[str], expression: str, functions: Mapping[str, Callable[..., Any]]
) -> Gist:
    slots: list[Slot] = []
    senses: set[str] = set()
    allowed: set[str] = set()
    orders: list[tuple[str, ...]] = []
    for token in tokens:
        optional, word = token[0] == "?", token.lstrip("?")
        if ".." in token:
            steps = token.split("..")
            orders.append(tuple(step.lstrip("?") for step in steps))
            for step in steps:
                (allowed if step[0] == "?" else senses).add(step.lstrip("?"))
        elif word[0].isupper():
            kind, _, name = word.partition(":")
            slots.append(Slot(kind, name, optional))
        else:
            (allowed if optional else senses).add(word)
    build = compile_expression(expression, functions, {slot.name for slot in slots})
    used = set(re.findall(r"\w+", expression))
    if dropped := [slot.name for slot in slots if slot.name and slot.name not in used]:
        raise GrammarError(f"expected an expression with {dropped[0]}, got {expression!r}")
    return Gist(frozenset(senses), frozenset(allowed), tuple(slots), build, tuple(orders))


def _with_parts(gist: Gist, parts: Mapping[str, Sequence[Gist]]) -> Iterator[Gist]:
    """A gist with each of the parts in the place of PRED or SUP."""
    place = next((slot for slot in gist.slots if slot.kind in parts), None)
    if place is None:
        yield gist
        return
    others = tuple(slot for slot in gist.slots if slot is not place)
    for part in parts[place.kind]:
        inner = tuple(replace(slot, name=f"{place.name}.{slot.name}") for slot in part.slots)
        yield Gist(
            gist.senses | part.senses,
            gist.allowed | part.allowed,
            (*others, *inner),
            _nested_build(gist.build, place.name, part.build),
            (*gist.orders, *part.orders),
        )


def _nested_build(outer: Build, name: str, inner: Build) -> Build:
    prefix = f"{name}."

    def build(values: Mapping[str, Any]) -> Any:
        within = {
            key.removeprefix(prefix): value
            for key, value in values.items() if key.startswith(prefix)
        }  # fmt: skip
        return outer({**values, name: Reading(0, _plain(inner(within)))})

    return build


def _plain(value: Any) -> Any:
    """What a builder returned, without its notes for the grammar."""
    while isinstance(value, (Costly, Edge)):
        value = value.value
    return value


def read_gist(
    table: GistTable, keys: Sequence[str], parse: Parse, regions: RegionSet
) -> list[Asked]:
    """What the gists that fit a sentence ask; empty where none does.

    Args:
        table: of its language.
        keys: the words; "" for a number or an id.
        parse: of the same words, which knows the phrases in them.
        regions: of the frame, for the classes of regions with ids.
    """
    if keys and keys[0] in table.commands:
        return []
    if keys and keys[0] in table.yes_no:
        there = keys[1:2] and keys[1] in table.there
        return [
            asked for asked in _by_items(table, keys, parse, regions)
            if (asked.program.type is Type.TRUTH if there else _is_yes_or_no(asked))
        ]  # fmt: skip
    found = _by_items(table, keys, parse, regions)
    if keys and keys[0] in table.tells and table.whether.isdisjoint(keys):
        # "Specify all pallets left of shelf 80" does not ask whether all are.
        return [asked for asked in found if asked.program.type is not Type.TRUTH]
    return found


def _by_items(
    table: GistTable, keys: Sequence[str], parse: Parse, regions: RegionSet
) -> list[Asked]:
    # First "pallet in buffer 2" is one region, as with an article; only if that asks nothing, its
    # words are taken one by one, or "empty pallets in buffer 2" for a class.
    return (
        _read(table, keys, parse, regions, split=False)
        or _read(table, keys, parse, regions, split=True)
        or _read(table, keys, parse, regions, split=True, filtered=True)
    )


def _is_yes_or_no(asked: Asked) -> bool:
    """Whether "Is ...?" may ask this; "Is pallet 3 tall?" does not ask how tall it is."""
    program = asked.program
    if program.operator is selections.Extreme:
        # "Is pallet 3 or pallet 7 nearer?" chooses; "Is it the tallest pallet?" speaks of another.
        return program.parts[0].operator is selections.Listed
    is_measured = program.type in (Type.QUANTITY, Type.POINT, Type.SIZE)
    return not is_measured and program.operator is not selections.The


def _read(
    table: GistTable,
    keys: Sequence[str],
    parse: Parse,
    regions: RegionSet,
    split: bool,
    filtered: bool = False,
) -> list[Asked]:
    found: dict[Asked, int] = {}
    for sequence in _sequences(table, keys, parse, split, filtered):
        items = _with_antecedent(_compared_once(sequence))
        if _refers_to_nothing(items, table) or _is_all_of_another(items):
            continue
        senses = [
            item.value for item in items if item.kind == "sense" and item.value != NOTHING
        ]  # fmt: skip
        if any(item.value == "area" and "place" in item.marks for item in items):
            continue  # "A pallet in this area" does not ask how large it is.
        if any(senses.count(side) > 1 for side in BARE):
            continue  # "My left is your right, is it left of pallet 3?"
        things = _things(items, regions)
        units = [item.value for item in items if item.kind == "UNIT"]
        if len(units) < 2:
            unit_senses = [IN_UNIT + unit[0] for unit in units]
            for gist in table.gists_with([*senses, *unit_senses]):
                for asked in _asked(gist, senses, table, things, *units):
                    found[asked] = max(found.get(asked, 0), len(items))
    # What passes over fewer words is nearer to the question's words.
    most = max(found.values(), default=0)
    likely = [asked for asked, used in found.items() if used == most]
    return [
        asked for place, asked in enumerate(likely)
        if _mirrored(asked) not in likely[:place]
        and not {_of_several(asked), _of_holder(asked)} & {*likely}
    ]  # fmt: skip


def _things(items: Sequence[Item], regions: RegionSet) -> list[Item]:
    """The items for slots, with what is known of their classes."""
    things = [item for item in items if item.kind not in ("sense", "UNIT", PRONOUN)]
    named = {name for item in things for name in _classes_named(item, regions)}
    return [
        replace(
            item,
            known=_class_of(item.value, regions),
            repeats=isinstance(item.value, Noun) and {known_class(item.value.name)} <= named | {""},
        )
        for item in things
    ]


def _classes_named(item: Item, regions: RegionSet) -> set[str]:
    """The classes of the regions of an item."""
    return classes_of(item.value, regions) if item.kind in ("ONE", "LIST") else set()


def _of_several(asked: Asked) -> Asked | None:
    """The same with a noun in the plural, which some nouns do not show; None for all else."""
    program = asked.program
    return replace(asked, program=program.parts[0]) if program.operator is selections.The else None


def _of_holder(asked: Asked) -> Asked | None:
    """Whether a region holds any of a class, worded as whether any is in it; None for all else."""
    program = asked.program
    if (
        program.operator is not questions.Exists
        or program.parts[0].operator is not selections.Where
    ):
        return None
    chosen, predicate = program.parts[0].parts
    if predicate.operator is not predicates.In:
        return None
    (holder,) = predicate.parts
    if holder.type is not Type.REGION:
        return None
    return replace(asked, program=questions.Whether(holder, predicates.Holds(chosen)))


def _mirrored(asked: Asked) -> Asked | None:
    """The same distance, from the other end; None for all else."""
    program = asked.program
    if program.operator is not questions.Measure or len(program.parts[1].parts) != 1:
        return None
    region, attribute = program.parts
    if attribute.operator not in SYMMETRIC:
        return None
    (place,) = attribute.parts
    if place.type is not Type.REGION:
        return None
    return replace(asked, program=questions.Measure(place, attribute.operator(region)))


def _compared_once(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """With one region compared to: in "right: pallet 3 relative to pallet 5" it is the second."""
    if not any(item.after == "rel" for item in items):
        return items
    return tuple(replace(item, after="") if item.after in BARE else item for item in items)


def _with_antecedent(items: tuple[Item, ...]) -> tuple[Item, ...]:
    """With what a pronoun stands for in its place: "Shelf 80: how many are left of it"."""
    pronouns = [item for item in items if item.kind == PRONOUN and (item.after or item.marks)]
    named = [item for item in items if item.kind in ("ONE", "LIST")]
    if len(pronouns) != 1 or len(named) != 1 or items.index(named[0]) > items.index(pronouns[0]):
        return items
    (pronoun,), (one,) = pronouns, named
    if one.after or not (pronoun.after or pronoun.marks & ID_MARKS):
        return items
    meant = replace(one, marks=pronoun.marks, after=pronoun.after)
    return tuple(meant if item is pronoun else item for item in items if item is not one)


def _sequences(
    table: GistTable, keys: Sequence[str], parse: Parse, split: bool, filtered: bool
) -> Iterator[tuple[Item, ...]]:
    """The ways to take all words for items, by the longest phrase at each place."""
    waiting: list[tuple[int, tuple[Item, ...], tuple[str, ...], str]] = [(0, (), (), "")]
    for _ in range(MAX_STEPS):
        if not waiting:
            return
        at, items, marks, after = waiting.pop()
        if at == len(keys):
            yield (*items, Item("sense", DANGLING)) if marks else items
            continue
        options = list(_items_at(table, keys, at, parse))
        options += [
            option for option in (_filtered_at(at, parse) if filtered else ())
            if not _goes_on(keys, option[0], table)
        ]  # fmt: skip
        options = _longest(options) + (_split(options) if split else [])
        if all(end == at + 1 and _may_mean_nothing(item, items, marks) for end, item in options):
            if keys[at] in table.bound and not _stands_before_place(at, parse):
                continue
            if keys[at] in table.prepositions:
                waiting.append((at + 1, items, (*marks, table.prepositions[keys[at]]), after))
            elif keys[at] in table.pronouns:
                waiting.append((at + 1, (*items, Item(PRONOUN, keys[at])), marks, ""))
            elif keys[at] in table.neutral:
                waiting.append((at + 1, *_passed_over(keys, at, items, marks, after, table)))
        for end, item in options if len(items) < MAX_ITEMS else ():
            if item.kind == "sense" and _joins_another(item.value, keys, at, items, marks, table):
                continue
            before = items
            if item.kind == "UNIT" and items and items[-1].value in OF_UNITS:
                before = items[:-1]  # "how many" feet
            placed = replace(item, marks=frozenset(marks), after=after)
            last = item.value if item.value in table.sides else ""
            waiting.append((end, (*before, placed), (), last))


def _stands_before_place(at: int, parse: Parse) -> bool:
    """Whether a region or a length begins behind a word: "around pallet 3"; no "round pallets"."""
    return any(next(iter(parse.at(rule, at + 1)), None) for rule in PLACE_RULES)


def _passed_over(
    keys: Sequence[str],
    at: int,
    items: tuple[Item, ...],
    marks: tuple[str, ...],
    after: str,
    table: GistTable,
) -> tuple[tuple[Item, ...], tuple[str, ...], str]:
    """What was found, behind a word without meaning; a comma leaves a preposition with nothing."""
    if keys[at] == "," and at and table.prepositions.get(keys[at - 1]) in ID_MARKS:
        return (*items, Item("sense", DANGLING)), (), after
    return items, marks, "" if keys[at].isalpha() else after


def _joins_another(
    sense: str,
    keys: Sequence[str],
    at: int,
    items: Sequence[Item],
    marks: Sequence[str],
    table: GistTable,
) -> bool:
    """Whether a second question begins: "... and the width"; or a side is what "than" speaks of."""
    if "than" in marks and sense in table.sides:
        return True
    before = at - 1
    while before > 0 and (keys[before] in table.prepositions or keys[before] in table.pronouns):
        before -= 1
    if sense not in table.measures or before < 1 or keys[before] not in table.joins:
        return False
    named = {item.value for item in items if item.kind == "sense"} & table.measures
    if not named:  # "... that is empty and tall"
        return sense in table.sizes and any(item.kind != "sense" for item in items)
    return bool(named - {sense}) and not {*named, sense} <= table.sizes


def _may_mean_nothing(item: Item, before: Sequence[Item], marks: Sequence[str]) -> bool:
    """Whether a word may be one of those without meaning: "you" in "pallets you see"."""
    if item.kind != "ME":
        return item.kind == "sense"
    return not marks and not (before and before[-1].kind == "sense")


def _refers_to_nothing(items: Sequence[Item], table: GistTable) -> bool:
    """Whether "it" stands before all that it could refer to, and is not just the "it" of English.

    "How far is it from pallet 3 to pallet 4?" speaks of no other thing, with one pallet it does.
    """
    if any(item.kind == PRONOUN and item.value in table.objects for item in items):
        return True
    kinds = [item.kind for item in items if item.kind != "sense"]
    return kinds[:1] == [PRONOUN] and sum(kind in ("ONE", "ME", "LIST") for kind in kinds) < 2


def _is_all_of_another(items: Sequence[Item]) -> bool:
    """Whether "all" belongs to a second noun, as in "Are there pallets on every transporter?"."""
    nouns = [place for place, item in enumerate(items) if item.kind == "CLASS"]
    totals = [place for place, item in enumerate(items) if item.value == "all"]
    return len(nouns) > 1 and any(place > nouns[0] for place in totals)


def _goes_on(keys: Sequence[str], end: int, table: GistTable) -> bool:
    """Whether another id belongs to a list that was cut off: "pallets of transporters 5 and 6"."""
    return list(keys[end + 1 : end + 2]) == [""] and keys[end] in table.joins


def _longest(options: Sequence[tuple[int, Item]]) -> list[tuple[int, Item]]:
    """The longest; of a list of regions also its first, as a comma may also begin something new."""
    end = max((end for end, _ in options), default=0)
    longest = [option for option in options if option[0] == end]
    if any(item.kind == "LIST" for _, item in longest):
        longest += _longest([option for option in options if option[1].kind == "ONE"])
    return list(dict.fromkeys(longest))


def _split(options: Sequence[tuple[int, Item]]) -> list[tuple[int, Item]]:
    """What a region that is longer than its name begins with."""
    end = max((end for end, _ in options), default=0)
    kinds = {item.kind for at, item in options if at == end}
    if kinds != {"ONE"} or any(_is_named(item) for at, item in options if at == end):
        return []
    return _longest([option for option in options if option[1].kind != "ONE"])


def _is_named(item: Item) -> bool:
    return isinstance(item.value, Program) and item.value.operator is selections.Region


def _items_at(
    table: GistTable, keys: Sequence[str], at: int, parse: Parse
) -> Iterator[tuple[int, Item]]:
    for phrase, sense in table.senses_from(keys[at]):
        if tuple(keys[at : at + len(phrase)]) == phrase:
            yield at + len(phrase), Item("sense", sense)
    for kind, rule in _item_rules(table, keys, at):
        for reading in parse.at(rule, at):
            if kind != "ONE" or _is_singled_out(reading.value):
                yield reading.end, Item(kind, reading.value)


def _filtered_at(at: int, parse: Parse) -> list[tuple[int, Item]]:
    """Nouns with what restricts them: "empty pallets in buffer 2"."""
    return [
        (reading.end, Item("CLASS", reading.value)) for reading in parse.at("NB", at)
        if isinstance(reading.value, Nominal)
        and reading.value.chosen.operator is selections.Where
        and reading.value.superlative is None
        and not any(part.operator in (MENTIONED, SAME_NOUN) for part in reading.value.chosen.walk())
    ]  # fmt: skip


def _item_rules(
    table: GistTable, keys: Sequence[str], at: int
) -> Iterator[tuple[str, str]]:  # fmt: skip
    """The rules of items; a number alone is a region only where nothing else could be counted."""
    yield from ITEM_RULES
    before = keys[at - 1] if at else ""
    if before in table.before_ids or table.prepositions.get(before) in ID_MARKS:
        yield "ONE", "BARE_ID"
        yield "LIST", "BARE_LIST"


def _is_singled_out(program: Any) -> bool:
    """Whether it is a region by itself; "it" and "the pallet" are not."""
    if not isinstance(program, Program) or program.type is not Type.REGION:
        return False
    if any(part.operator in (MENTIONED, SAME_NOUN) for part in program.walk()):
        return False
    return not (program.operator is selections.The and not program.parts[0].parts)


def _class_of(value: Any, regions: RegionSet) -> str:
    """The class of a noun or of a region, as far as it is known."""
    if isinstance(value, Noun):
        return known_class(value.name)
    value = value.chosen if isinstance(value, Nominal) else value
    for part in value.walk() if isinstance(value, Program) else ():
        if part.operator is selections.All:
            return known_class(part.arguments[0])
        if part.operator is selections.Region:
            return known_class(regions[part.arguments[0]].label)
    return ""


def _asked(
    gist: Gist,
    senses: Sequence[str],
    table: GistTable,
    things: Sequence[Item],
    unit: Any = None,
) -> Iterator[Asked]:
    named_unit = {IN_UNIT + unit[0]} if unit else frozenset()
    if not _fits(gist, senses, table, named_unit) or not _in_order(senses, gist.orders):
        return
    for bound in _bindings(gist.slots, things):
        try:
            yield ask(_plain(gist.build(bound)), unit)
        except (ProgramError, NoReadingError):
            continue


def _fits(gist: Gist, senses: Sequence[str], table: GistTable, named_unit: Collection[str]) -> bool:
    """Whether all that a gist needs is mentioned, and nothing that it does not know.

    What asks for something is known only where that is needed: "which pallet is nearest, and how
    far is it" asks twice.
    """
    known = gist.senses | gist.allowed
    meant = {*senses, *named_unit}
    for sense in senses:
        meant |= {table.aliases.get(sense, sense), table.asks.get(sense, sense)}
    return gist.senses <= meant and all(
        sense in known or table.aliases.get(sense) in known or table.asks.get(sense) in gist.senses
        for sense in senses
    )


def _in_order(senses: Sequence[str], orders: Sequence[Sequence[str]]) -> bool:
    """Whether the senses of each order come in this order, each once at most."""
    mentioned = [[sense for sense in senses if sense in order] for order in orders]
    return all(
        found == [sense for sense in order if sense in found]
        for found, order in zip(mentioned, orders, strict=True)
    )


def _bindings(slots: Sequence[Slot], items: Sequence[Item]) -> Iterator[dict[str, Reading]]:
    """The ways to put all items into the slots; items that fit the same slots keep their order."""
    if not slots:
        if not items:
            yield {}
        return
    # The pickiest choose first.
    slot = min(slots, key=lambda slot: list(SLOTS).index(slot.kind))
    rest = [other for other in slots if other is not slot]
    if slot.kind in ("CARRIER", "HOLDER") and _holds_another(rest, items):
        return
    for place, item in enumerate(items):
        if _fills(slot, item):
            for bound in _bindings(rest, [*items[:place], *items[place + 1 :]]):
                yield {slot.name: Reading(0, _meant(item)), **bound}
            break
    if slot.optional:
        yield from _bindings(rest, items)


def _fills(slot: Slot, item: Item) -> bool:
    """Whether an item fits a slot; what restricts a noun is never skipped."""
    return SLOTS[slot.kind](item) and not (slot.name == "" and isinstance(item.value, Nominal))


def _holds_another(rest: Sequence[Slot], items: Sequence[Item]) -> bool:
    """Whether either of two could be the one that holds the other, and no slot distinguishes
    them.
    """
    holders = [item for item in items if SLOTS["HOLDER"](item)]
    return len(holders) > 1 and not any(other.kind in ("HOLDER", "THAN", "REF") for other in rest)


def _meant(item: Item) -> Any:
    return nominal((), item.value, ()) if isinstance(item.value, Noun) else item.value


def _is_one(item: Item) -> bool:
    return item.kind in ("ONE", "ME")


def _is_noun(item: Item) -> bool:
    return item.kind == "CLASS"


SLOTS: Mapping[str, Callable[[Item], bool]] = {
    "AT": lambda item: _is_one(item) and item.after in ("stand", "spot"),
    "TOWARDS": lambda item: _is_one(item) and item.after == "look",
    "THANTO": lambda item: (
        _is_one(item) and "than" in item.marks and bool(item.marks & PLACE_MARKS)
    ),
    "THANBARE": lambda item: (
        _is_one(item) and "than" in item.marks and not item.marks & PLACE_MARKS
    ),
    "THAN": lambda item: _is_one(item) and ("than" in item.marks or item.after == "rel"),
    "REF": lambda item: (
        _is_one(item)
        and bool(item.after)
        and not (item.after in BARE and item.marks & {"other", "place"})
    ),
    "THANDEST": lambda item: _is_one(item) and {"than", "to"} <= item.marks,
    "DEST": lambda item: _is_one(item) and "to" in item.marks and "than" not in item.marks,
    "SRC": lambda item: _is_one(item) and "to" not in item.marks,
    "TO": lambda item: _is_one(item) and bool(item.marks & PLACE_MARKS),
    "BARE_ZONE": lambda item: (
        item.kind == "ONE" and item.known == ZONE and not item.marks and not item.after
    ),
    "ZONE": lambda item: item.kind == "ONE" and item.known == ZONE,
    "CARRIER": lambda item: item.kind == "ONE" and item.known == CARRIER,
    "HOLDER": lambda item: item.kind == "ONE" and item.known in (ZONE, CARRIER),
    "CARGO": lambda item: item.kind == "ONE" and item.known == CARGO,
    "THING": lambda item: item.kind == "ONE" and item.known != ZONE,
    "ZONES": lambda item: _is_noun(item) and item.known == ZONE,
    "CARRIERS": lambda item: _is_noun(item) and item.known == CARRIER,
    "CARGOS": lambda item: _is_noun(item) and item.known == CARGO,
    "MEMBER": lambda item: (
        _is_noun(item)
        and "to" not in item.marks
        and (not item.value.plural or bool(item.marks & {"of", "from"}))
    ),
    "SINGULAR": lambda item: _is_noun(item) and not item.value.plural,
    "PLURAL": lambda item: _is_noun(item) and item.value.plural,
    "THINGS": lambda item: _is_noun(item) and item.known != ZONE,
    "KIND": lambda item: _is_noun(item) and item.repeats,
    "ROBOT": lambda item: isinstance(item.value, Noun) and item.known in (CARRIER, CARGO, ""),
    "CLASS": _is_noun,
    "NAMED": lambda item: item.kind == "ONE" and not item.marks & (PLACE_MARKS | {"than"}),
    # "The farthest in buffer 2" is not the farthest from it.
    "APART": lambda item: item.kind == "ONE" and "place" not in item.marks,
    "ONE": lambda item: item.kind == "ONE",
    "ME": lambda item: item.kind == "ME",
    "LIST": lambda item: item.kind == "LIST" and not item.marks & PLACE_MARKS,
    # "By 2 m" is a difference and no limit.
    "LEN": lambda item: item.kind == "LEN" and "by" not in item.marks,
    "ORD": lambda item: item.kind == "ORD",
}
"""What fits each kind of slot, the pickiest first."""
