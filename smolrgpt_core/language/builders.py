"""What grammars of all languages build programs from: nominal phrases, superlatives, lists.

A builder raises `NoReadingError` for words that fit a rule and make no sense, and `SpatialError`
for what nobody can have meant otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

from smolrgpt_core.language.grammar import Costly, Edge, NoReadingError
from smolrgpt_core.language.operators import (
    OPERATORS,
    attributes,
    predicates,
    questions,
    selections,
)
from smolrgpt_core.language.program import Operator, Parameter, Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.object_classes import CARGO, CARRIER, ZONE, known_class

Attribute = Program
BUILDERS: dict[str, Callable[..., Any]] = {}
"""Functions for the expressions of grammar files, by name."""


def builder(function: Callable[..., Any]) -> Callable[..., Any]:
    """Register a function under its name."""
    BUILDERS[function.__name__] = function
    return function


@dataclass(frozen=True)
class Noun:
    """A word for a class.

    Attributes:
        name: the class, as `All` takes it.
        plural: whether it is in the plural.
        refers_back: "one", "ones": what was spoken of before.
        pronouns: relative pronouns that can refer to it, in languages in which they differ by
            gender or number; empty: any.
    """

    name: str
    plural: bool
    refers_back: bool = False
    pronouns: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Superlative:
    """What singles out: the least or most of an attribute, or the middle.

    Attributes:
        attribute: None: the middle one from left to right.
        end: "least" or "most".
        rank: 1 = the first.
        of_two: a comparative, which needs exactly two to choose from unless they are listed.
        among: what must be true of those to choose from.
        noun: the class that was named with it: "the nearest pallet".
    """

    attribute: Program | None
    end: str = "least"
    rank: int = 1
    of_two: bool = False
    among: Program | None = None
    noun: Program | None = None


@dataclass(frozen=True)
class Nominal:
    """A noun with what restricts it.

    Attributes:
        chosen: the set.
        plural: whether the noun is in the plural.
        superlative: what singles out of the set; None where nothing does.
        number: how many there are said to be; 0 where it is not said.
    """

    chosen: Program
    plural: bool
    superlative: Superlative | None = None
    number: int = 0


@dataclass(frozen=True)
class Bare:
    """For "The nearest pallet" of which it is not said to what it is near."""

    nominal: Nominal
    end: str
    rank: int


@dataclass(frozen=True)
class Beside:
    """For "On the left": the leftmost of "the pallet", what is in the left half of "pallets".

    Attributes:
        predicate: for a set.
        superlative: for one.
    """

    predicate: Program
    superlative: Superlative


@dataclass(frozen=True)
class Asked:
    """A program, and the word and size of the unit in which the answer is to be said."""

    program: Program
    unit: tuple[str, float] | None = None


@dataclass(frozen=True)
class Exclusion:
    """For "Other than pallet 3" behind a noun."""

    left_out: Program


@dataclass(frozen=True)
class OfRegion:
    """For "of buffer 2" behind a noun: what is in it; for a zone or a carrier, what holds it."""

    region: Program


@dataclass(frozen=True)
class Domain:
    """For "Among pallets 3 and 4" behind a noun."""

    chosen: Program


def _said(*_: Any) -> Any:
    raise AssertionError("what a pronoun refers to is put in its place before anything is computed")


SAID = Operator("Said", (), Type.REGIONS, _said, "What was spoken of before; only while reading.")
"""Stands for a pronoun until the reader puts in what it refers to."""

SAME_NOUN = Operator("SameNoun", (), Type.REGIONS, _said, "As the noun before; only while reading.")
"""Stands for "one" and "ones" in the same way."""

HOW_LARGE = Operator(
    "HowLarge", (Parameter("region", Type.REGION),), Type.SIZE, _said,
    "The area of a zone, the dimensions of anything else; only while reading.",
)  # fmt: skip
"""Stands for "how large" until the reader knows of what."""

TOP_OF_LOAD = Operator(
    "TopOfLoad", (), Type.ATTRIBUTE, _said, "How high a load reaches; only while reading.", "m"
)
"""Stands for the top of a load, which is a region of its own on a transporter alone."""

PASSING_WIDTH = Operator(
    "PassingWidth", (), Type.ATTRIBUTE, _said, "How wide what passes is; only while reading.", "m"
)
"""Stands for the width of what drives through a gap until the reader knows that it drives."""

OTHER = Operator(
    "Other", (), Type.PREDICATE, _said, "Not the one that is spoken of; only while reading."
)
"""Stands for "other" until the reader knows other than which."""

AT = Operator("At", (Parameter("holders", Type.REGIONS),), Type.PREDICATE, _said,
              "In a zone; nothing exact is said of anything else; only while reading.")  # fmt: skip
"""Stands for "at" until the reader knows at what."""

WITH = Operator("With", (Parameter("chosen", Type.REGIONS),), Type.PREDICATE, _said,
                "Said of what holds something, and of no pallet; only while reading.")  # fmt: skip
"""Stands for "with pallet 3" until the reader knows of what it is said."""

INSIDE = Operator("Inside", (Parameter("holders", Type.REGIONS),), Type.PREDICATE, _said,
                  "In a zone or on a carrier, in no pallet; only while reading.")  # fmt: skip
"""Stands for "inside buffer 2" until the reader knows that it is no pallet."""

UNDER = Operator("Under", (Parameter("region", Type.REGION),), Type.PREDICATE, _said,
                 "With a pallet on it; only while reading.")  # fmt: skip
"""Stands for "under pallet 3" until the reader knows that it is a pallet."""

FULL = Operator("Full", (), Type.PREDICATE, _said, "No room, or loaded; only while reading.")
"""Stands for "full" until the reader knows what is: a zone without room, a loaded transporter."""

TIED = Operator("Tied", (Parameter("region", Type.REGION),), Type.PREDICATE, _said,
                "In a region, or holding it; only while reading.")  # fmt: skip
"""Stands for "Buffer 1, which pallets?" and "Pallet 3, which buffer?" until both are known."""


class AnyOf(Program):
    """A list of which one is meant: "one of pallets 3 and 4"; a plain list when it is read."""


class Alternatives(AnyOf):
    """The same said with a mere "or", which may also ask which of them: "pallets 3 or 4"."""


class AllOf(Program):
    """A set said with "all": "holding all pallets" is not holding any of them."""


class Together(Program):
    """For "Holding pallets 3 and 4": both, of one; of several it might be one each."""


PairMember = selections.Member

Modifier = Program | Superlative | Exclusion | Domain | OfRegion


@builder
def mods(first: Any, rest: Any = None) -> tuple[Any, ...]:
    """One more modifier before others; a word that restricts nothing adds none."""
    return (*((first,) if first is not None else ()), *(rest or ()))


@builder
def nominal(before: Any, noun: Noun, after: Any, number: Any = None) -> Nominal:
    """A noun with adjectives before it and phrases after it."""
    base = SAME_NOUN() if noun.refers_back else selections.All(noun.name)
    return _modified(
        Nominal(base, noun.plural, number=number or 0), (*(before or ()), *(after or ()))
    )


@builder
def listed_nouns(first: Noun, others: Any) -> tuple[Noun, ...]:
    """Several nouns: "pallets and transporters"."""
    nouns = (first, *(others if isinstance(others, tuple) else (others,)))
    if any(noun.refers_back or not noun.plural for noun in nouns):
        raise NoReadingError
    if len({noun.name for noun in nouns}) < len(nouns):
        raise NoReadingError
    return nouns


@builder
def union_nominal(nouns: tuple[Noun, ...], after: Any) -> Nominal:
    """Several nouns with what restricts all of them: "pallets and transporters in buffer 2"."""
    chosen = reduce(selections.Either, [selections.All(noun.name) for noun in nouns])
    return _modified(Nominal(chosen, plural=True), after or ())


@builder
def count_of(noun: Noun, after: Any) -> Program:
    """For "Pallet count in buffer 2"."""
    if noun.refers_back:
        raise NoReadingError
    return how_many(_modified(Nominal(selections.All(noun.name), plural=True), after or ()))


@builder
def listed_class(noun: Noun, after: Any) -> Program:
    """For "Pallet numbers in buffer 2": the pallets themselves."""
    if noun.refers_back or noun.plural:
        raise NoReadingError
    return several(_modified(Nominal(selections.All(noun.name), plural=True), after or ()))


@builder
def set_or_class(chosen: Any, noun: Any) -> Program:
    """For "In neither of buffers 1 and 2", "in neither buffer"."""
    return any_nominal(noun) if chosen is None else chosen


@builder
def listed_nominal(before: Any, chosen: Program, after: Any) -> Nominal:
    """A list of regions as a noun: "the empty ones of pallets 3 and 4"."""
    return _modified(Nominal(chosen, plural=False), (*(before or ()), *(after or ())))


def _modified(given: Nominal, modifiers: tuple[Modifier, ...]) -> Nominal:
    chosen, superlative = given.chosen, given.superlative
    modifiers = tuple(_of_number(item, given.plural) for item in modifiers)
    modifiers = tuple(_of_noun(item, given.chosen) for item in modifiers)
    filters = [item for item in modifiers if isinstance(item, Program)]
    for item in modifiers:
        if isinstance(item, Superlative):
            if superlative is not None:
                raise NoReadingError
            superlative = item
        elif isinstance(item, Domain):
            chosen = _among(chosen, item.chosen)
        elif isinstance(item, Exclusion):
            chosen = selections.Without(chosen, item.left_out)
    if filters:
        chosen = where(chosen, reduce(both, filters))
    return replace(given, chosen=chosen, superlative=superlative)


def _of_number(modifier: Any, plural: bool) -> Any:
    """What "on the left", or "holding pallets 3 and 4", means for one or for several."""
    if plural and isinstance(modifier, Together):
        raise NoReadingError("is one of these meant, or all of them together? ask about one")
    if isinstance(modifier, Beside):
        return modifier.predicate if plural else modifier.superlative
    return modifier


def _of_noun(modifier: Any, chosen: Program) -> Any:
    """What "of pallet 3" means behind a noun."""
    if not isinstance(modifier, OfRegion):
        return modifier
    holders = (selections.All(ZONE), selections.All(CARRIER))
    return (predicates.Holds if chosen in holders else predicates.In)(modifier.region)


def _among(chosen: Program, domain: Program) -> Program:
    """A class among a list: the list itself, which says what its members are."""
    if chosen.operator in (selections.All, SAID, SAME_NOUN):
        return domain
    raise NoReadingError


@builder
def where(chosen: Program, predicate: Program) -> Program:
    """Those of a set of which something is true; filters one after the other become one."""
    if chosen.operator is selections.Where:
        inner, first = chosen.arguments
        return selections.Where(inner, both(first, predicate))
    return selections.Where(chosen, predicate)


@builder
def the(given: Nominal) -> Program:
    """One region: the only one, or the one that a superlative singles out."""
    if given.plural or given.number > 1:
        raise NoReadingError
    if given.superlative is not None:
        return extreme(given, given.superlative)
    return selections.The(given.chosen)


@builder
def several(given: Nominal) -> Program:
    """A set, from a noun in the plural or with "any"."""
    if not given.plural:
        raise NoReadingError
    if given.superlative is None:
        if given.number > 1:
            raise NoReadingError
        return given.chosen
    if given.superlative.attribute is None or given.superlative.rank != 1 or not given.number:
        raise NoReadingError
    found = given.superlative
    return selections.First(given.chosen, found.attribute, found.end, float(given.number))


@builder
def all_of(given: Nominal) -> Program:
    """A set, from a noun with "all"."""
    chosen = several(given)
    return AllOf(chosen.operator, chosen.arguments)


@builder
def all_of_number(number: int, given: Nominal) -> Program:
    """For "The two pallets": a set whose number is checked when it is known."""
    if not given.plural or number < 2:
        raise NoReadingError
    if given.superlative is not None:
        return several(replace(given, number=number))
    return selections.Exactly(given.chosen, float(number))


@builder
def any_of(given: Nominal) -> Program:
    """A set from "a pallet": any of them."""
    if given.superlative is not None or given.plural or given.number > 1:
        raise NoReadingError
    return given.chosen


@builder
def extreme(given: Any, found: Superlative) -> Program:
    """The one of a set that a superlative singles out."""
    chosen = given.chosen if isinstance(given, Nominal) else given
    if isinstance(given, Nominal) and given.superlative not in (None, found):
        raise NoReadingError
    if found.of_two and _is_among_or_between(chosen):
        raise NoReadingError(
            "which of the two, or of what stands between them? ask for one of both"
        )
    if found.noun is not None:
        chosen = _of_same_class(chosen, found.noun)
    if found.among is not None:
        chosen = where(chosen, found.among)
    counted = (selections.Listed, selections.Exactly)
    if found.of_two and chosen.operator not in counted:
        chosen = selections.Exactly(chosen, 2.0)
    if found.attribute is None:
        if chosen.operator is selections.Listed and len(chosen.arguments[0]) == 2:
            raise NoReadingError("none of two is in the middle; ask what is between them")
        return selections.Middle(chosen)
    return selections.Extreme(chosen, found.attribute, found.end, float(found.rank))


def _is_among_or_between(chosen: Program) -> bool:
    """For "Which pallet between pallets 3 and 4 is taller?"."""
    return chosen.operator is selections.Where and (chosen.parts[1].operator is predicates.Between)


def _of_same_class(chosen: Program, noun: Program) -> Program:
    """A set with the noun that was said of its member once more: that noun may not contradict."""
    if chosen.operator is selections.Alike:
        return noun
    classes = [part for part in chosen.walk() if part.operator is selections.All]
    if classes and noun not in classes and noun != selections.All(""):
        raise NoReadingError
    return chosen


@builder
def sup(attribute: Program | None, end: str, rank: Any = None) -> Superlative:
    """A superlative."""
    return Superlative(attribute, end, rank or 1)


@builder
def ranked(found: Superlative, rank: Any) -> Superlative:
    """The second, third, ... of a superlative."""
    return replace(found, rank=rank) if rank else found


@builder
def next_but(found: Superlative, by: int) -> Superlative:
    """For "The rightmost but one" is the second from the right."""
    return replace(found, rank=found.rank + by)


@builder
def sup_among(found: Superlative, predicate: Program) -> Superlative:
    """For "Second from the left in buffer 1": what is singled out is also that."""
    # "Taller than pallet 5 and wider" is no choice between two.
    if found.among is not None or found.of_two:
        raise NoReadingError
    return replace(found, among=predicate)


@builder
def sup_of(found: Superlative, noun: Noun) -> Superlative:
    """For "The nearest pallet" behind "is"."""
    if noun.plural:
        raise NoReadingError
    return replace(found, noun=selections.All(noun.name))


@builder
def of_two(found: Superlative) -> Superlative:
    """A comparative used to single out."""
    return replace(found, of_two=True)


@builder
def bare(given: Nominal, end: str, rank: Any) -> Bare:
    """For "The second nearest pallet", without saying to what."""
    if given.superlative is not None or given.plural:
        raise NoReadingError
    return Bare(given, end, rank or 1)


@builder
def numbered(given: Nominal, rank: int) -> Program:
    """For "The second pallet from the left"; without an order, nobody knows which is the second."""
    if given.superlative is None:
        raise NoReadingError(
            f"number {rank} in what order? say, for example, second from the left or second nearest"
        )
    return extreme(replace(given, superlative=None), ranked(given.superlative, rank))


@builder
def extreme_among(given: Nominal, found: Superlative, after: Any = None) -> Program:
    """For "The nearest pallet to transporter 5 that is not in a buffer"."""
    if given.plural:
        raise NoReadingError
    return extreme(_modified(given, after or ()), found)


@builder
def bare_to(found: Bare, place: Program) -> Program:
    """The nearest pallet, to a place."""
    return extreme(found.nominal, Superlative(attributes.Distance(place), found.end, found.rank))


@builder
def which(given: Nominal, verb: Any) -> Program:
    """For "Which pallet ..." asks for one, "which pallets ..." for all."""
    verb = _of_number(verb, given.plural)
    if isinstance(verb, Superlative):
        if given.plural and not given.number:
            raise NoReadingError
        if given.plural:
            return several(replace(given, superlative=verb))
        return extreme(given, verb)
    if given.superlative is not None:
        raise NoReadingError
    chosen = where(given.chosen, verb)
    if given.number > 1:
        return selections.Exactly(chosen, float(given.number))
    return chosen if given.plural else selections.The(chosen)


@builder
def which_there(given: Nominal, region: Program) -> Program:
    """For "Pallet 3, which buffer?" (what holds it), "buffer 1, which pallets?" (what is in it)."""
    if given.chosen == selections.All(CARRIER):
        raise NoReadingError
    if given.chosen == selections.All(ZONE):
        return which(given, predicates.Holds(region))
    return which(given, predicates.In(region))


@builder
def which_of(chosen: Program, verb: Any) -> Program:
    """For "Which of pallets 3 and 4 ..." asks for one."""
    verb = _of_number(verb, plural=False)
    if isinstance(verb, Superlative):
        return extreme(chosen, verb)
    return selections.The(where(chosen, verb))


@builder
def how_many(given: Any, verb: Any = None) -> Program:
    """How many of a set there are, or of how many something is true."""
    chosen = given.chosen if isinstance(given, Nominal) else given
    if isinstance(given, Nominal):
        if given.superlative is not None or given.number:
            raise NoReadingError
        verb = _of_number(verb, given.plural)
    return questions.Count(where(chosen, predicate(verb)) if verb is not None else chosen)


@builder
def whether(region: Program, verb: Any) -> Program:
    """Whether something is true of one region."""
    if isinstance(verb, Superlative):
        return questions.Whether(region, predicates.Is(extreme(selections.Alike(region), verb)))
    asked = predicate(verb)
    if any(type(part) is Alternatives for part in asked.parts):
        raise _one_or_which(asked.parts[0])
    if any(isinstance(part, AllOf) for part in asked.parts):
        raise NoReadingError("in all of these at once? ask about one, or about any of them")
    return questions.Whether(region, asked)


def _one_or_which(alternatives: Program) -> NoReadingError:
    """For "Is it in buffer 1 or 2?", to which "yes" may be no answer."""
    ids = " and ".join(map(str, alternatives.arguments[0]))
    return NoReadingError(
        f'with this "or" it may be asked whether it is so of any, or of which; say '
        f'"one of {ids}" with their class, or "which of {ids}"'
    )


@builder
def every(chosen: Program, verb: Any) -> Program:
    """Whether something is true of all of a set."""
    if type(chosen) is Alternatives:
        raise _one_or_which(chosen)
    verb = _of_number(verb, plural=True)
    return questions.Every(chosen, predicate(verb))


@builder
def exists(given: Any, verb: Any = None) -> Program:
    """Whether there is any of a set of which something is true."""
    chosen = given.chosen if isinstance(given, Nominal) else given
    if isinstance(given, Nominal):
        if given.superlative is not None:
            raise NoReadingError
        verb = _of_number(verb, given.plural)
    if type(chosen) is Alternatives and verb is not None:
        raise _one_or_which(chosen)
    meant = where(chosen, predicate(verb)) if verb is not None else chosen
    within = (predicates.In, INSIDE)
    holders = [part.parts[0] for part in meant.walk() if part.operator in within]
    if any(isinstance(one, AllOf) or one.operator is selections.Exactly for one in holders):
        raise NoReadingError("in one of these, or in each of them? ask about one")
    return questions.Exists(meant)


@builder
def distance(region: Program, place: Program) -> Any:
    """How far one is from the other."""
    if region == place:
        raise NoReadingError("both sides of the distance are the same region")
    if region.type is not Type.REGION:
        region, place = place, region
    measured = questions.Measure(region, attributes.Distance(place))
    return Costly(measured, 1) if _near_the_camera(region, place) else measured


def _near_the_camera(region: Program, place: Program) -> bool:
    """For "From the nearest buffer" is said of the other object rather than of the camera."""
    nearest = attributes.Distance(selections.Camera())
    return place.type is Type.REGION and any(
        part.operator is selections.Extreme and part.arguments[1] == nearest for part in (place,)
    )


@builder
def distance_of_pair(chosen: Program) -> Any:
    """How far two regions are apart."""
    return distance(*pair(chosen))


@builder
def two(first: Program, second: Program) -> tuple[Program, Program]:
    """What a distance, a gap, ... is measured between."""
    return first, second


@builder
def two_or_camera(first: Program, second: Any) -> tuple[Program, Program]:
    """What is measured from, the camera where nothing else is said."""
    return first, second or selections.Camera()


@builder
def pair_of(chosen: Program) -> tuple[Program, Program]:
    """The two of a set of two."""
    return pair(chosen)


@builder
def span_of(ends: tuple[Program, Program], kind: Any, manner: Any = None) -> Any:
    """A distance, a clearance, ... between two ends.

    Args:
        ends: from `two` or `pair_of`.
        kind: the operator that measures it; None = the distance.
        manner: the operator of an adverb, such as "horizontally", which makes a distance more
            precise.
    """
    kind = kind or "Distance"
    if manner not in (None, kind):
        if kind != "Distance":
            raise NoReadingError
        kind = manner
    if kind == "Distance":
        return distance(*ends)
    first, second = ends if ends[0].type is Type.REGION else ends[::-1]
    return questions.Measure(first, OPERATORS[kind](second))


@builder
def separating(chosen: Any, first: Any, second: Any) -> Any:
    """For "What separates pallets 3 and 4", "what separates pallet 3 from pallet 4"."""
    return distance_of_pair(chosen) if first is None else distance(first, second)


@builder
def pair_measure(kind: str, chosen: Program) -> Any:
    """As `span_of`, between the two of a set."""
    return span_of(pair(chosen), kind)


@builder
def span_from(kind: str, place: Program) -> Program:
    """A distance, a clearance, ... to a place as an attribute."""
    return OPERATORS[kind](place)


@builder
def described(region: Program, by: str) -> Program:
    """The size, the dimensions, the position or the direction of a region."""
    if by == "direction":
        return questions.Direction(region, selections.Camera())
    operators = {
        "size": HOW_LARGE,
        "dimensions": questions.Dimensions,
        "position": questions.Position,
    }
    return operators[by](region)


@builder
def area_or_volume(region: Program, unit: tuple[str, float, str]) -> Asked:
    """For "How many square meters is buffer 2?"."""
    sizes = {"m2": attributes.FootprintArea, "m3": attributes.Volume}
    if unit[0] not in sizes:
        raise NoReadingError
    return ask(questions.Measure(region, sizes[unit[0]]()), unit)


def pair(chosen: Program) -> tuple[Program, Program]:
    """The two regions of a list of two."""
    if chosen.operator is selections.Listed:
        if len(chosen.arguments[0]) != 2:
            raise NoReadingError(f"two regions are needed here, got {len(chosen.arguments[0])}")
        first, second = chosen.arguments[0]
        return selections.Region(first), selections.Region(second)
    if chosen.operator is selections.Either:
        first, second = chosen.arguments
        if first.type is Type.REGION and second.type is Type.REGION:
            return first, second
    first_two = chosen.operator is selections.First and chosen.arguments[3] == 2
    if chosen.operator is SAID:
        chosen = selections.Exactly(chosen, 2.0)
    if chosen.operator is selections.Exactly or first_two:
        return PairMember(chosen, 1.0), PairMember(chosen, 2.0)
    raise NoReadingError


@builder
def between(chosen: Program) -> Program:
    """Between the two of a list."""
    return predicates.Between(*pair(chosen))


@builder
def compared_to(attribute: Program, how: str, other: Program) -> Program:
    """For "Wider than pallet 3": an attribute compared with the same of another region."""
    return predicates.Measures(attribute, how, questions.Measure(other, attribute))


@builder
def at_place(attribute: Program, place: Any) -> Program:
    """A distance that is said to be from a place, unless it was from another."""
    if place is None:
        return attribute
    if attribute != attributes.Distance(selections.Camera()):
        raise NoReadingError
    return attributes.Distance(place)


@builder
def two_distances(first: Program, how: str, second: Program) -> tuple[Program, str, Program]:
    """For "Nearer to buffer 1 than to buffer 2"."""
    return attributes.Distance(first), how, attributes.Distance(second)


@builder
def of_subject(region: Program, compared: tuple[Program, str, Program]) -> Program:
    """Whether two attributes of a region compare so."""
    first, how, second = compared
    return compare(measure(region, first), how, measure(region, second))


@builder
def difference(attribute: Program, first: Program, second: Program) -> Program:
    """By how much an attribute of two regions differs."""
    return questions.Difference(
        questions.Measure(first, attribute), questions.Measure(second, attribute)
    )


@builder
def holding(chosen: Program) -> Program:
    """With something in it or on it; with all of a list."""
    several_meant = (selections.Exactly, selections.First, selections.Either)
    if chosen.operator in several_meant or isinstance(chosen, AllOf):
        raise NoReadingError("is one of these meant, or all of them together? ask about one")
    if chosen.operator is not selections.Listed or isinstance(chosen, AnyOf):
        return predicates.Holds(chosen)
    each = [predicates.Holds(selections.Region(id)) for id in chosen.arguments[0]]
    all_of_them = reduce(predicates.And, each)
    if len(each) == 1:
        return all_of_them
    return Together(all_of_them.operator, all_of_them.arguments)


@builder
def with_it(verb: Any) -> Program:
    """For "With pallet 3" or "with a load"."""
    held = predicate(verb)
    return WITH(held.parts[0]) if held.operator is predicates.Holds else held


@builder
def tied(region: Program) -> Program:
    """For "Buffer 1, which pallets?"."""
    return TIED(region)


@builder
def inside(holders: Program) -> Program:
    """For "Inside buffer 2"."""
    return INSIDE(holders)


@builder
def under(region: Program) -> Program:
    """For "Under pallet 3"."""
    return UNDER(region)


@builder
def at(holders: Program) -> Program:
    """For "At buffer 2"."""
    return AT(holders)


@builder
def other() -> Program:
    """For "Other" before a noun."""
    return OTHER()


@builder
def others(given: Nominal) -> Program:
    """For "Another pallet", "any other pallet"."""
    return where(any_nominal(given), OTHER())


@builder
def any_listed(chosen: Program) -> Program:
    """For "One of pallets 3 and 4"."""
    if chosen.operator is not selections.Listed:
        raise NoReadingError
    return AnyOf(chosen.operator, chosen.arguments)


@builder
def alternatives(first: Program, second: Program) -> Program:
    """For "Pallet 3 or pallet 4"."""
    chosen = listed(first, second)
    if chosen.operator is not selections.Listed:
        return chosen
    return Alternatives(chosen.operator, chosen.arguments)


@builder
def joined(first: Program, by: str, second: Program) -> Program:
    """Two lists, joined by "and" or by "or"."""
    return (alternatives if by == "or" else listed)(first, second)


@builder
def negated(given: Any) -> Program:
    """Not so."""
    if isinstance(given, Superlative):
        raise NoReadingError(
            "what is not the nearest, leftmost, ... has no single answer; ask for what is"
        )
    if isinstance(given, Beside):
        given = given.predicate
    if isinstance(given, Together):
        raise NoReadingError("is it not so of all of these, or of none? ask about one")
    if given.operator is predicates.Not:
        return given.arguments[0]
    if given.operator is predicates.Measures and given.arguments[1] in OTHERWISE:
        attribute, how, limit = given.arguments
        return predicates.Measures(attribute, OTHERWISE[how], limit)
    if given.operator is predicates.And and _is_with(*given.arguments):
        return predicates.Not(given.arguments[0])
    if given.operator in RELATIONS_TO_ONE and given.parts[0].type is Type.REGION:
        # "Not left of pallet 10" is not said of pallet 10.
        return predicates.And(predicates.Not(given), predicates.Not(predicates.Is(given.parts[0])))
    return predicates.Not(given)


def _is_with(place: Program, other: Program) -> bool:
    """Whether predicates are "in the zone of X" and "not X": what is not there may be X no more."""
    if place.operator is not predicates.In or other.operator is not predicates.Not:
        return False
    left_out = other.arguments[0]
    zone = place.parts[0]
    return left_out.operator is predicates.Is and predicates.Holds(left_out.parts[0]) in zone.walk()


OTHERWISE = {"more": "at_most", "at_most": "more", "less": "at_least", "at_least": "less"}
"""What is true of a quantity where a comparison is not."""

RELATIONS_TO_ONE = (
    predicates.LeftOf, predicates.RightOf, predicates.InFrontOf, predicates.Behind,
    predicates.Above, predicates.Below,
)  # fmt: skip
"""Predicates that a region cannot have with itself."""


@builder
def loaded() -> Program:
    """Not empty."""
    return predicates.Not(predicates.Empty())


@builder
def full() -> Program:
    """No room for another pallet in it; loaded."""
    return FULL()


@builder
def within(amount: Program, place: Program) -> Program:
    """Not farther than an amount from a place."""
    return predicates.Measures(attributes.Distance(place), "at_most", amount)


@builder
def measured(attribute: Program, how: str, amount: Program) -> Program:
    """An attribute compared with an amount."""
    if attribute.unit != amount.unit:
        raise NoReadingError
    return predicates.Measures(attribute, how, amount)


@builder
def compare(first: Program, how: str, second: Program) -> Program:
    """Two quantities compared."""
    if first.unit != second.unit:
        raise NoReadingError
    return questions.Compare(first, how, second)


@builder
def count_number(number: int) -> Program:
    """A number of objects."""
    return questions.Amount(float(number), "objects")


@builder
def amount(number: float, unit: tuple[str, float, str]) -> Program:
    """A number with a unit, in SI."""
    name, factor, _ = unit
    return questions.Amount(float(number) * factor, name)


@builder
def ask(program: Program, unit: Any = None) -> Asked:
    """What is asked, and in which unit the answer is to be said."""
    if isinstance(program, Asked):
        return program if unit is None else _in_one_unit(program, ask(program.program, unit))
    if unit is None:
        return Asked(program)
    si_unit, size, word = unit
    if si_unit == "deg" and program.operator is questions.Direction:
        return ask(questions.Measure(program.parts[0], attributes.Bearing(program.parts[1])), unit)
    if si_unit == "share":
        program = _as_share(program)
    if program.type is Type.POINT and si_unit == "m" and size == 1:
        return Asked(program)
    if program.unit != si_unit and program.type is not Type.SIZE:
        raise NoReadingError(f"the answer is no quantity in {word}")
    return Asked(program, (word, size))


def _as_share(program: Program) -> Program:
    """What is free or taken of a zone, as a share of its area."""
    if program.operator is questions.Measure and program.parts[1] == attributes.FreeArea():
        return measure(program.parts[0], attributes.FreeShare())
    if program.operator is not questions.Difference:
        return program
    whole = program.parts[0]
    is_taken = whole.operator is questions.Measure and program == taken_area(whole.parts[0])
    return taken_share(whole.parts[0]) if is_taken else program


def _in_one_unit(given: Asked, wanted: Asked) -> Asked:
    if given.unit not in (None, wanted.unit):
        raise NoReadingError("the answer is asked for in two units; name one")
    return wanted


@builder
def listed(*parts: Program) -> Program:
    """Regions together: a list of ids where all are named, else a union."""
    regions = [part for part in parts if part is not None]
    kinds = [type(part) for part in regions if isinstance(part, AnyOf)]
    ids: list[int] = []
    for part in regions:
        if part.operator is selections.Region:
            ids.append(part.arguments[0])
        elif part.operator is selections.Listed:
            ids.extend(part.arguments[0])
        else:
            break
    else:
        together = list_of(tuple(ids))
        return kinds[0](together.operator, together.arguments) if kinds else together
    return reduce(selections.Either, regions)


@builder
def list_of(ids: tuple[int, ...]) -> Program:
    """Regions by id, each once."""
    if len(set(ids)) < len(ids):
        twice = next(id for id in ids if ids.count(id) > 1)
        raise NoReadingError(f"region {twice} is named twice")
    return selections.Listed(ids)


@builder
def closed(value: Any) -> Any:
    """Words to which nothing can be attached, as those in parentheses."""
    return Edge(value, is_open=False)


@builder
def open(value: Any) -> Any:
    """Words to which something can be attached."""
    return Edge(value, is_open=True)


@builder
def costly(value: Any) -> Any:
    """A reading that counts only where there is no other."""
    return value if isinstance(value, Costly) else Costly(value, 2)


@builder
def refuse(reason: str) -> Any:
    """Words that are understood and cannot be answered."""
    raise NoReadingError(reason)


@builder
def predicate(verb: Any) -> Program:
    """What is true or false of each of a set."""
    if isinstance(verb, Beside):
        return verb.predicate
    if not isinstance(verb, Program) or verb.type is not Type.PREDICATE:
        raise NoReadingError
    return verb


@builder
def on_side(side: str) -> Beside:
    """On the left or right of the image."""
    make, end = (predicates.LeftOf, "least") if side == "left" else (predicates.RightOf, "most")
    return Beside(make(selections.Camera()), Superlative(attributes.Column(), end))


@builder
def camera() -> Program:
    """What "me", "us" and "the robot" mean."""
    return selections.Camera()


@builder
def distance_from(place: Program) -> Program:
    """The distance attribute."""
    return attributes.Distance(place)


@builder
def distance_from_or_camera(place: Any) -> Program:
    """The distance attribute, from the camera where nothing else is said."""
    return attributes.Distance(place or selections.Camera())


@builder
def pronoun() -> Program:
    """For "It": the one that was spoken of."""
    return selections.The(SAID())


@builder
def pronoun_set() -> Program:
    """For "They": those that were spoken of."""
    return SAID()


@builder
def pronoun_nominal(before: Any, after: Any) -> Nominal:
    """For "The one in buffer 2"."""
    return listed_nominal(before, SAME_NOUN(), after)


@builder
def topic(chosen: Program) -> tuple[Program, ...]:
    """What a question speaks of before it asks."""
    return (chosen,)


@builder
def topics(chosen: Program, others: tuple[Program, ...]) -> tuple[Program, ...]:
    """Several of these."""
    return (chosen, *others)


@dataclass(frozen=True)
class OnTopic:
    """A question about what was spoken of before it.

    Attributes:
        topics: sets and regions, none of which is a pronoun.
        asked: in which nouns without ids mean the members of the topics of their class.
    """

    topics: tuple[Program, ...]
    asked: Asked


@builder
def with_topic(spoken_of: tuple[Program, ...], program: Any) -> OnTopic:
    """A question and what it is about, which is no pronoun."""
    if any(part.operator in (SAID, SAME_NOUN) for topic in spoken_of for part in topic.walk()):
        raise NoReadingError
    return OnTopic(spoken_of, ask(program))


@builder
def nearest_several(given: Nominal, number: int, end: str, place: Any) -> Program:
    """For "The two nearest pallets"."""
    attribute = distance_from_or_camera(place)
    return several(replace(given, superlative=Superlative(attribute, end), number=number))


@builder
def end_several(given: Nominal, number: int, found: Superlative) -> Program:
    """For "The two largest pallets"."""
    return several(replace(given, superlative=found, number=number))


@builder
def any_nominal(given: Nominal) -> Program:
    """For "Any pallet", "any of the pallets"."""
    if given.superlative is not None:
        raise NoReadingError
    return given.chosen


@builder
def plural(given: Nominal) -> Nominal:
    """A noun that must be in the plural."""
    if not given.plural or given.superlative is not None:
        raise NoReadingError
    return given


@builder
def all_objects() -> Program:
    """Whatever is no zone."""
    return selections.All("")


@builder
def objects_with(modifiers: tuple[Any, ...]) -> Program:
    """Whatever is no zone and fits."""
    return several(_modified(Nominal(selections.All(""), plural=True), modifiers))


@builder
def objects_where(verb: Any) -> Program:
    """All objects of which something is true."""
    return where(selections.All(""), predicate(verb))


@builder
def how_many_objects(verb: Any) -> Program:
    """How many objects there are of which something is true."""
    return questions.Count(objects_where(verb))


@builder
def objects_exist(verb: Any) -> Program:
    """Whether there is anything."""
    return questions.Exists(objects_where(verb))


@builder
def nothing_exists(verb: Any) -> Program:
    """Whether there is nothing."""
    return questions.Negation(objects_exist(verb))


@builder
def not_exists(given: Nominal, verb: Any = None) -> Program:
    """Whether there is none."""
    return questions.Negation(exists(given, verb))


@builder
def exists_or_one(given: Nominal, verb: Any = None) -> Program:
    """For "Is there a pallet in buffer 2?"."""
    if given.number > 1:
        raise NoReadingError
    return exists(given, verb)


@builder
def every_nominal(given: Nominal, verb: Any) -> Program:
    """Whether something is true of all of a set."""
    if given.superlative is not None:
        raise NoReadingError
    return every(given.chosen, verb)


@builder
def same(first: Program, second: Program) -> Program:
    """Whether two expressions mean the same region."""
    return questions.Whether(first, predicates.Is(second))


@builder
def middle() -> Superlative:
    """The middle one."""
    return Superlative(None)


@builder
def nothing() -> None:
    """A word that restricts nothing."""
    return


@builder
def exclusion(left_out: Program) -> Exclusion:
    """For "Other than pallet 3"."""
    return Exclusion(left_out)


@builder
def domain(chosen: Program) -> Edge:
    """For "Among pallets 3 and 4"."""
    return Edge(Domain(chosen), is_open=True)


@builder
def most_holding(given: Nominal, end: str) -> Superlative:
    """The zone with the most pallets."""
    return Superlative(attributes.Holding(given.chosen), end)


@builder
def holding_attribute(given: Any) -> Program:
    """The number of pallets in a zone."""
    return attributes.Holding(given.chosen if isinstance(given, Nominal) else given)


@builder
def both(first: Program, second: Program) -> Program:
    """Two predicates; several are joined from the left, as filters are."""
    if second.operator is predicates.And:
        return predicates.And(both(first, second.arguments[0]), second.arguments[1])
    return predicates.And(first, second)


@builder
def either(first: Program, second: Program) -> Program:
    """One of two predicates; several are joined from the left."""
    if predicates.Not(first) == second or first == predicates.Not(second):
        raise NoReadingError("one of the two is always true; ask for one of them: is it empty?")
    if {first, second} == {predicates.Empty(), FULL()}:
        raise NoReadingError("there is more between these two; ask for one of them: is it empty?")
    if second.operator is predicates.Or:
        return predicates.Or(either(first, second.arguments[0]), second.arguments[1])
    return predicates.Or(first, second)


@builder
def the_of(chosen: Program, after: Any) -> Any:
    """For "The one of pallets 3 and 4 in buffer 2"."""
    meant = the(_modified(Nominal(chosen, plural=False), after or ()))
    return meant if after else Edge(meant, is_open=True)


@builder
def middle_of(chosen: Program) -> Program:
    """The middle one of a set."""
    return selections.Middle(chosen)


@builder
def float_of(number: int) -> float:
    """A rank as programs have it."""
    return float(number)


@builder
def exactly(chosen: Program, number: int) -> Program:
    """A set of so many."""
    return selections.Exactly(chosen, float(number))


@builder
def first_of(chosen: Program, attribute: Program, end: str, number: int) -> Program:
    """So many of a set with the least or most of something."""
    return selections.First(chosen, attribute, end, float(number))


@builder
def where_set(chosen: Program, verb: Any) -> Program:
    """Those of a set of which something is true."""
    return where(chosen, predicate(verb))


@builder
def holding_any(given: Nominal) -> Program:
    """Holding at least one of a set."""
    return predicates.Holds(any_nominal(given))


@builder
def in_any(given: Nominal) -> Program:
    """In one of a set of zones."""
    return predicates.In(any_nominal(given))


@builder
def holding_number(given: Nominal, how: str, number: int) -> Program:
    """Holding so many."""
    if how == "at_least" and number == 1:
        return holding_any(given)
    return predicates.Measures(holding_attribute(given), how, count_number(number))


@builder
def holding_more(given: Nominal, other: Program) -> Program:
    """Holding more than another zone."""
    return compared_to(holding_attribute(given), "more", other)


@builder
def holding_fewer(given: Nominal, other: Program) -> Program:
    """Holding fewer than another zone."""
    return compared_to(holding_attribute(given), "less", other)


@builder
def closed_value(value: Any) -> Any:
    """The value itself."""
    return value


@builder
def of_class(noun: Noun) -> Program:
    """Of a class."""
    if noun.plural or noun.refers_back:
        raise NoReadingError
    return predicates.OfClass(noun.name)


@builder
def near(place: Program, limit: Program) -> Program:
    """Not farther from a place than an amount."""
    return measured(distance_from(place), "at_most", limit)


@builder
def more(attribute: Program, how: str) -> tuple[Program, str]:
    """A comparative: "wider" is more width."""
    return attribute, how


@builder
def compared_more(comparative: tuple[Program, str], other: Program) -> Program:
    """Wider than another region."""
    return compared_to(*comparative, other)


@builder
def compared_to_both(comparative: tuple[Program, str], chosen: Program) -> Program:
    """Wider than each of two regions."""
    if isinstance(chosen, AnyOf):
        raise _one_or_which(chosen)
    first, second = pair(chosen)
    return both(compared_more(comparative, first), compared_more(comparative, second))


@builder
def measured_more(comparative: tuple[Program, str], limit: Program) -> Program:
    """Wider than an amount."""
    return measured(*comparative, limit)


@builder
def more_sup(comparative: tuple[Program, str]) -> Superlative:
    """The wider one of two."""
    attribute, how = comparative
    return Superlative(attribute, "most" if how == "more" else "least")


@builder
def measure(region: Program, attribute: Program) -> Program:
    """An attribute of a region."""
    return questions.Measure(region, attribute)


@builder
def sum_of(first: Program, second: Program) -> Program:
    """Two quantities together."""
    _same_unit(first, second)
    return questions.Sum(first, second)


@builder
def difference_of(first: Program, second: Program) -> Program:
    """By how much two quantities differ."""
    _same_unit(first, second)
    return questions.Difference(first, second)


def _same_unit(first: Program, second: Program) -> None:
    if first.unit != second.unit:
        raise NoReadingError


@builder
def difference_more(comparative: tuple[Program, str], first: Program, second: Program) -> Program:
    """How much wider one region is than another."""
    return difference(comparative[0], first, second)


@builder
def difference_of_counts(given: Nominal, first: Any, second: Any) -> Program:
    """How many more there are of which one thing is true than of which another is."""
    return questions.Difference(how_many(given, first), how_many(given, second))


@builder
def compare_counts(given: Nominal, first: Any, how: str, second: Any) -> Program:
    """Whether there are more of which one thing is true than of which another is."""
    return questions.Compare(how_many(given, first), how, how_many(given, second))


@builder
def compare_sets(first: Nominal, second: Nominal, verb: Any, how: str) -> Program:
    """Whether there are more of one class than of another."""
    return questions.Compare(how_many(first, verb), how, how_many(second, verb))


@builder
def compare_count(given: Nominal, verb: Any, how: str, number: int) -> Program:
    """Whether there are so many."""
    if how == "at_least" and number == 1:
        return exists(given, verb)
    return questions.Compare(how_many(given, verb), how, count_number(number))


@builder
def fits_between(width: Program, chosen: Program) -> Program:
    """Whether something of a width fits between two regions."""
    return compare(pair_measure("Clearance", chosen), "at_least", width)


@builder
def side_of(region: Program, place: Program, axis: str) -> Program:
    """Which of two opposites holds."""
    return questions.Side(region, place, axis)


@builder
def side_of_same(region: Program, place: Any, other: Any, axis: str) -> Program:
    """For "Pallet 3 is left of pallet 4 or right of pallet 4"."""
    if place != other:
        raise NoReadingError
    return side_of(region, place, axis)


@builder
def direction_or_camera(region: Program, place: Any) -> Program:
    """Direction to a region."""
    return questions.Direction(region, place or selections.Camera())


@builder
def bearing_or_camera(region: Program, place: Any) -> Program:
    """Bearing of a region."""
    return measure(region, attributes.Bearing(place or selections.Camera()))


@builder
def in_degrees(region: Program, unit: tuple[str, float, str]) -> Asked:
    """For "At how many degrees is pallet 3?"."""
    return ask(bearing_or_camera(region, None), unit)


@builder
def clock_or_camera(region: Program, place: Any) -> Program:
    """Clock hour of a region."""
    return measure(region, attributes.ClockHour(place or selections.Camera()))


@builder
def singled_out(region: Program) -> Program:
    """For "The nearest pallet" asks which one it is; "pallet 3" asks nothing."""
    bare = region.operator is selections.The and region.parts[0].operator is not selections.Where
    if bare or region.operator is selections.Region:
        raise NoReadingError
    return region


@builder
def order(attribute: Program, start: str) -> tuple[Program, str]:
    """By what to sort."""
    return attribute, start


@builder
def sorted_by(chosen: Program, by: tuple[Program, str]) -> Program:
    """A set in order."""
    return selections.Sorted(chosen, *by)


@builder
def pixel(column: int, row: int) -> tuple[int, int]:
    """For "Column 320, row 240"."""
    return column, row


@builder
def all_listed(number: int, chosen: Program) -> Program:
    """For "The two pallets 3 and 4"."""
    if len(chosen.arguments[0]) != number:
        raise NoReadingError(f"{number} are said to be meant, but {len(chosen.arguments[0])} named")
    return chosen


@builder
def depth_at(pixel: tuple[int, int]) -> Program:
    """Depth at a pixel."""
    return questions.DepthAt(pixel)


@builder
def set_of(given: Nominal) -> Program:
    """For "Every pallet in buffer 2": all of them."""
    return any_nominal(given)


@builder
def in_same(noun: Noun, region: Program) -> Program:
    """In the zone in which another region stands; that one does not count itself."""
    zone = selections.The(selections.Where(selections.All(noun.name), predicates.Holds(region)))
    return both(predicates.In(zone), predicates.Not(predicates.Is(region)))


@dataclass(frozen=True)
class Relative:
    """A relative clause in a language whose relative pronouns agree with their noun.

    Attributes:
        pronoun: as `Noun.pronouns` has it.
        modifier: what the clause says.
    """

    pronoun: str
    modifier: Any


@builder
def relative(pronoun: str, modifier: Any) -> Relative:
    """A relative clause with its pronoun."""
    return Relative(pronoun, modifier)


@builder
def agreeing(before: Any, noun: Noun, after: Any) -> Nominal:
    """A noun whose relative clauses agree with it: "die Palette im Puffer, die leer ist"."""
    plain = []
    for item in after or ():
        if isinstance(item, Relative):
            if noun.pronouns and item.pronoun not in noun.pronouns:
                raise NoReadingError
            item = item.modifier
        plain.append(item)
    return nominal(before, noun, tuple(plain))


@builder
def agreeing_union(nouns: tuple[Noun, ...], after: Any) -> Nominal:
    """Several nouns with clauses on all of them."""
    plain = [item.modifier if isinstance(item, Relative) else item for item in after or ()]
    return union_nominal(nouns, tuple(plain))


@builder
def how_large(region: Program) -> Program:
    """How large a region is; the reader puts in what that means."""
    return HOW_LARGE(region)


@builder
def only_one(region: Program, given: Nominal) -> Program:
    """Whether a region is the only one of a set."""
    if given.superlative is not None:
        raise NoReadingError
    return questions.Every(given.chosen, predicates.Is(region))


@builder
def located(place: Program, asked: Any) -> Any:
    """For "In buffer 2, which pallet is ...": what is asked for is in it."""
    given = ask(asked)
    return replace(given, program=_restricted(given.program, place))


def _restricted(program: Program, place: Program) -> Program:
    """A question with its main set restricted."""
    return _with_main_set(program, lambda chosen: where(chosen, place))


def _with_main_set(program: Program, change: Callable[[Program], Program]) -> Program:
    """A question with the set that it is about changed."""
    if program.operator in (selections.All, selections.Listed, selections.Either):
        return change(program)
    if program.operator is selections.Where:
        inner, predicate = program.arguments
        return where(_with_main_set(inner, change), predicate)
    if not program.parts or program.type is Type.PLACE or program.operator is questions.Whether:
        raise NoReadingError
    first, *others = program.arguments
    if first.type not in (Type.REGIONS, Type.REGION, Type.QUANTITY, Type.TRUTH):
        raise NoReadingError
    return Program(program.operator, (_with_main_set(first, change), *others))


@builder
def beyond_all_more(comparative: tuple[Program, str]) -> Superlative:
    """For "Taller than all other pallets" is the tallest."""
    return more_sup(comparative)


@builder
def same_as_extreme(region: Program, chosen: Program, found: Superlative) -> Program:
    """Whether a region is the tallest, nearest, ... of a set."""
    return same(region, extreme(chosen, found))


@builder
def passing(region: Program, chosen: Program) -> Program:
    """Whether a region gets through between two others."""
    return fits_between(measure(region, PASSING_WIDTH()), chosen)


@builder
def pallet_alone(noun: Noun) -> None:
    """What room is looked for: for nothing but a pallet."""
    if known_class(noun.name) != CARGO:
        raise NoReadingError("whether there is room can be told for a pallet of 1.2 x 0.8 m alone")


@builder
def standard_room(length: float, width: float) -> Program:
    """Room for a pallet of the size that is looked for."""
    if {round(length, 3), round(width, 3)} != {1.2, 0.8}:
        raise NoReadingError("whether there is room can be told for a pallet of 1.2 x 0.8 m alone")
    return predicates.HasRoom()


@builder
def room_for_more(number: int, how: str | None = None) -> Program:
    """Room for so many more pallets, or for more than so many."""
    if how not in (None, "at_least", "more"):
        raise NoReadingError("is there room for at least so many, or for more than so many?")
    if number == 1 and how != "more":
        return predicates.HasRoom()
    return predicates.Measures(attributes.Capacity(), how or "at_least", count_number(number))


@builder
def attributes_of_pair(attribute: Program, chosen: Program, how: str) -> Program:
    """Sum or difference of an attribute of two regions."""
    first, second = pair(chosen)
    both_measured = measure(first, attribute), measure(second, attribute)
    return sum_of(*both_measured) if how == "sum" else difference_of(*both_measured)


@builder
def chosen_of(chosen: Program, given: Nominal, found: Superlative) -> Program:
    """For "The pallet nearer to buffer 2: 3 or 4"."""
    if given.superlative is not None:
        raise NoReadingError
    return extreme(chosen, found)


@builder
def amount_and_half(number: float, unit: tuple[str, float, str]) -> Program:
    """For "Two and a half meters"."""
    return amount(number + 0.5, unit)


@builder
def top_of_load() -> Program:
    """How high the load reaches; the reader puts in of what that is the top."""
    return TOP_OF_LOAD()


@builder
def carriers() -> Nominal:
    """Any transporter."""
    return Nominal(selections.All(CARRIER), plural=False)


@builder
def both_in_same(noun: Noun, chosen: Program) -> Program:
    """Whether two regions stand in the same zone."""
    first, second = pair(chosen)
    zone = selections.The(selections.Where(selections.All(noun.name), predicates.Holds(second)))
    return questions.Whether(first, predicates.In(zone))


@builder
def at_hour(region: Program, limit: Program) -> Program:
    """Whether a region is at an hour of the clock."""
    if limit.unit != "h":
        raise NoReadingError
    attribute = attributes.ClockHour(selections.Camera())
    return questions.Compare(measure(region, attribute), "equal", limit)


@builder
def taken_area(zone: Program) -> Program:
    """What is not free of a zone."""
    return difference_of(
        measure(zone, attributes.FootprintArea()), measure(zone, attributes.FreeArea())
    )


@builder
def taken_share(zone: Program) -> Program:
    """What is not free of a zone, as a share of its area."""
    return difference_of(questions.Amount(1.0, "share"), measure(zone, attributes.FreeShare()))


@builder
def of_region(region: Program) -> OfRegion:
    """For "Of buffer 2" behind a noun."""
    return OfRegion(region)


@builder
def of_number(given: Nominal, number: int) -> Nominal:
    """For "Which two pallets"."""
    return replace(given, number=number)


@builder
def bare_to_other(found: Bare, other: Program) -> Program:
    """The nearest pallet to another region, which itself is not singled out by the camera."""
    nearest = attributes.Distance(selections.Camera())
    if other.operator is selections.Extreme and other.arguments[1] == nearest:
        raise NoReadingError
    return bare_to(found, other)


@builder
def left_out(excluded: Program, asked: Any) -> Any:
    """For "Apart from pallet 3, which pallet is ...": it does not count."""
    given = ask(asked)
    return replace(given, program=_reduced(given.program, excluded))


def _reduced(program: Program, excluded: Program) -> Program:
    """A question with its main set reduced."""
    return _with_main_set(program, lambda chosen: selections.Without(chosen, excluded))


@builder
def bigger_than(limit: Program, how: str) -> Program:
    """Larger than an area or a volume."""
    sizes = {"m2": attributes.FootprintArea, "m3": attributes.Volume}
    if limit.unit not in sizes:
        raise NoReadingError("larger in which direction? say wider, longer or taller than that")
    return measured(sizes[limit.unit](), how, limit)


@builder
def two_ends(given: Nominal, first: Superlative, second: Superlative) -> Program:
    """For "The leftmost and the rightmost pallet"."""
    if given.plural or given.superlative is not None:
        raise NoReadingError
    return selections.Either(extreme(given, first), extreme(given, second))


@builder
def half() -> Program:
    """Half of something."""
    return questions.Amount(0.5, "share")


@builder
def not_exists_of(chosen: Program, verb: Any) -> Program:
    """Whether something is true of none of a set."""
    return questions.Negation(exists(chosen, verb))


@builder
def picked(region: Program) -> Program:
    """What "find ..." asks for; a region that is named is found already."""
    if region.operator is selections.Region:
        raise NoReadingError("this names a region and asks nothing about it; ask where it is")
    return region


@builder
def load_of(carrier: Program) -> Program:
    """What stands on a region."""
    return selections.The(selections.Where(selections.All(""), predicates.In(carrier)))


@builder
def several_in(given: Nominal, holder: Any) -> Program:
    """All of a noun, or those in a zone."""
    chosen = several(given)
    return chosen if holder is None else where(chosen, predicates.In(holder))


@builder
def single(given: Nominal) -> Nominal:
    """One of a noun in the plural: "which of the buffers"."""
    return replace(given, plural=False)


@builder
def difference_of_pair(attribute: Program, chosen: Program) -> Program:
    """By how much an attribute of the two of a list differs."""
    return difference(attribute, *pair(chosen))
