"""Intermediate values of parsing, and the table of builder functions.

The operators defined here exist only during parsing: the reader replaces them by their referents.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from smolrgpt_core.language.grammar import NoReadingError
from smolrgpt_core.language.operators import predicates, selections
from smolrgpt_core.language.program import Operator, Parameter, Program
from smolrgpt_core.language.types import Type

Attribute = Program


Function = TypeVar("Function", bound=Callable[..., Any])

BUILDERS: dict[str, Callable[..., Any]] = {}
"""Functions for the expressions of grammar files, by name."""


def builder(function: Function) -> Function:
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
        number: how many there are in the question's words; 0 where it does not mention it.
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
    """A program, and the word and size of the unit in which the answer is to be given."""

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


def _by_reader(*_: Any) -> Any:
    raise AssertionError("what a pronoun refers to is put in its place before anything is computed")


MENTIONED = Operator(
    "Mentioned", (), Type.REGIONS, _by_reader, "What was mentioned before; only while reading."
)
"""Stands for a pronoun until the reader puts in what it refers to."""


SAME_NOUN = Operator(
    "SameNoun", (), Type.REGIONS, _by_reader, "As the noun before; only while reading."
)
"""Stands for "one" and "ones" in the same way."""


HOW_LARGE = Operator(
    "HowLarge", (Parameter("region", Type.REGION),), Type.SIZE, _by_reader,
    "The area of a zone, the dimensions of anything else; only while reading.",
)  # fmt: skip
"""Stands for "how large" until the reader knows of what."""


TOP_OF_LOAD = Operator(
    "TopOfLoad", (), Type.ATTRIBUTE, _by_reader, "How high a load reaches; only while reading.", "m"
)
"""Stands for the top of a load, which is a region of its own on a transporter alone."""


PASSING_WIDTH = Operator(
    "PassingWidth",
    (),
    Type.ATTRIBUTE,
    _by_reader,
    "How wide what passes is; only while reading.",
    "m",
)
"""Stands for the width of what drives through a gap until the reader knows that it drives."""


OTHER = Operator(
    "Other", (), Type.PREDICATE, _by_reader, "Not the one that is spoken of; only while reading."
)
"""Stands for "other" until the reader knows other than which."""


AMONG = Operator(
    "Among", (Parameter("noun", Type.REGIONS), Parameter("listed", Type.REGIONS)), Type.REGIONS,
    _by_reader, "A list whose members are of a class; only while reading.",
)  # fmt: skip
"""Stands for "pallets among 3 and 4" until the reader knows that these are pallets."""


AT = Operator("At", (Parameter("holders", Type.REGIONS),), Type.PREDICATE, _by_reader,
              "In a zone; nothing exact is said of anything else; only while reading.")  # fmt: skip
"""Stands for "at" until the reader knows at what."""


WITH = Operator("With", (Parameter("chosen", Type.REGIONS),), Type.PREDICATE, _by_reader,
                "Said of what holds something, and of no pallet; only while reading.")  # fmt: skip
"""Stands for "with pallet 3" until the reader knows of what it is said."""


INSIDE = Operator("Inside", (Parameter("holders", Type.REGIONS),), Type.PREDICATE, _by_reader,
                  "In a zone or on a carrier, in no pallet; only while reading.")  # fmt: skip
"""Stands for "inside buffer 2" until the reader knows that it is no pallet."""


UNDER = Operator("Under", (Parameter("region", Type.REGION),), Type.PREDICATE, _by_reader,
                 "With a pallet on it; only while reading.")  # fmt: skip
"""Stands for "under pallet 3" until the reader knows that it is a pallet."""


FULL = Operator("Full", (), Type.PREDICATE, _by_reader, "No room, or loaded; only while reading.")
"""Stands for "full" until the reader knows what is: a zone without room, a loaded transporter."""


TIED = Operator("Tied", (Parameter("region", Type.REGION),), Type.PREDICATE, _by_reader,
                "In a region, or holding it; only while reading.")  # fmt: skip
"""Stands for "Buffer 1, which pallets?" and "Pallet 3, which buffer?" until both are known."""


class AnyOf(Program):
    """A list of which one is meant: "one of pallets 3 and 4"; a plain list when it is read."""


class Alternatives(AnyOf):
    """The same with a mere "or", which may also ask which of them: "pallets 3 or 4"."""


class AllOf(Program):
    """A set with "all": "holding all pallets" is not holding any of them."""


class Together(Program):
    """For "Holding pallets 3 and 4": both, of one; of several it might be one each."""


PairMember = selections.Member


Modifier = Program | Superlative | Exclusion | Domain | OfRegion


@builder
def mods(first: Any, rest: Any = None) -> tuple[Any, ...]:
    """One more modifier before others; a word that restricts nothing adds none."""
    return (*((first,) if first is not None else ()), *(rest or ()))


OTHERWISE = {"more": "at_most", "at_most": "more", "less": "at_least", "at_least": "less"}
"""What is true of a quantity where a comparison is not."""


RELATIONS_TO_ONE = (
    predicates.LeftOf, predicates.RightOf, predicates.InFrontOf, predicates.Behind,
    predicates.Above, predicates.Below,
)  # fmt: skip
"""Predicates that a region cannot have with itself."""


@builder
def predicate(verb: Any) -> Program:
    """What is true or false of each of a set."""
    if isinstance(verb, Beside):
        return verb.predicate
    if not isinstance(verb, Program) or verb.type is not Type.PREDICATE:
        raise NoReadingError
    return verb


@dataclass(frozen=True)
class OnTopic:
    """A question about what was spoken of before it.

    Attributes:
        topics: sets and regions, none of which is a pronoun.
        asked: in which nouns without ids mean the members of the topics of their class.
    """

    topics: tuple[Program, ...]
    asked: Asked


@dataclass(frozen=True)
class Numbered:
    """A relative clause with a verb: "that is empty", "that are empty".

    Attributes:
        modifier: its meaning.
        plural: whether it is about several.
    """

    modifier: Any
    plural: bool


@builder
def singular_clause(modifier: Any) -> Numbered:
    """For "that is empty"."""
    return Numbered(modifier, plural=False)


@builder
def plural_clause(modifier: Any) -> Numbered:
    """For "that are empty"."""
    return Numbered(modifier, plural=True)


@builder
def both(first: Program, second: Program) -> Program:
    """Two predicates; several are joined from the left, as filters are; one that is there
    twice counts once.
    """
    if first == second:
        return first
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


@dataclass(frozen=True)
class Relative:
    """A relative clause in a language whose relative pronouns agree with their noun.

    Attributes:
        pronoun: as `Noun.pronouns` has it.
        modifier: the meaning of the clause.
    """

    pronoun: str
    modifier: Any
