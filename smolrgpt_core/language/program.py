"""A question as an expression: immutable, well-typed by construction, with a JSON form.

    Count(Where(All("pallet"), In(Extreme(All("buffer"), Distance(Region(5)), "least", 1))))

What each operator means, and how it is computed, is in `operators/`; this module knows none of them
by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from smolrgpt_core.language.types import LITERALS, Type, fits

Literal = str | int | float | tuple[int, ...]
Argument = "Program | Literal"

MAX_DEPTH = 40
"""Deepest nesting of a program; no question that a person asks comes near."""


class ProgramError(ValueError):
    """An expression that is not well-typed; the message states what was expected and what came."""


@dataclass(frozen=True)
class Parameter:
    """One argument of an operator.

    Attributes:
        name: in words, for the table of operators and for errors.
        type: what fits.
        words: the words that a literal of type WORD may be.
        unit: of a quantity that is wanted; "" = any.
    """

    name: str
    type: Type
    words: tuple[str, ...] = ()
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Operator:
    """One entry of the language.

    Attributes:
        name: such as "Count".
        parameters: what it takes.
        returns: what an expression with it is.
        evaluate: its value on the copies of a scene, see `operators/__init__`.
        about: definition in one sentence, for the table of operators.
        unit: of a quantity or an attribute; a function of the arguments where it follows from them.
    """

    name: str
    parameters: tuple[Parameter, ...]
    returns: Type
    evaluate: Callable[..., Any]
    about: str
    unit: str | Callable[..., str] = ""

    def __call__(self, *arguments: Any) -> Program:
        """The expression with these arguments.

        Raises:
            ProgramError: they do not fit.
        """
        return Program(self, tuple(arguments))

    def __reduce__(self) -> tuple[Callable[[str], Operator], tuple[str]]:
        # By its name, which is that of its function, too: pickle takes one for the other.
        return _operator_named, (self.name,)


def _operator_named(name: str) -> Operator:
    # Operators are built of this class.
    from smolrgpt_core.language.operators import OPERATORS

    return OPERATORS[name]


@dataclass(frozen=True)
class Program:
    """An expression.

    Attributes:
        operator: what it does.
        arguments: expressions and literals, one for each parameter of the operator.
        parts: the expressions among the arguments.
        depth: of the nesting.

    Raises:
        ProgramError: an argument does not fit its parameter, or the nesting is too deep.
    """

    operator: Operator
    arguments: tuple[Any, ...]
    parts: tuple[Program, ...] = field(init=False, compare=False, repr=False)
    depth: int = field(init=False, compare=False, repr=False)
    _hash: int = field(init=False, compare=False, repr=False)

    def __hash__(self) -> int:
        """Computed once: readings are compared often."""
        return self._hash

    def __post_init__(self) -> None:
        parameters = self.operator.parameters
        if len(self.arguments) != len(parameters):
            raise ProgramError(
                f"{self.operator.name} takes {len(parameters)} arguments, got {len(self.arguments)}"
            )
        for parameter, argument in zip(parameters, self.arguments, strict=True):
            _check(self.operator, parameter, argument)
        parts = tuple([item for item in self.arguments if isinstance(item, Program)])
        object.__setattr__(self, "parts", parts)
        depth = 1 + max([part.depth for part in parts], default=0)
        if depth > MAX_DEPTH:
            raise ProgramError(f"an expression may be nested {MAX_DEPTH} deep, got {depth}")
        object.__setattr__(self, "depth", depth)
        object.__setattr__(self, "_hash", hash((self.operator.name, self.arguments)))

    def __reduce__(self) -> tuple[type[Program], tuple[Operator, tuple[Any, ...]]]:
        # Built anew: the hash of a text is another one in each process.
        return Program, (self.operator, self.arguments)

    @property
    def type(self) -> Type:
        """What the expression stands for."""
        return self.operator.returns

    @property
    def unit(self) -> str:
        """Of a quantity or an attribute."""
        unit = self.operator.unit
        return unit if isinstance(unit, str) else unit(*self.arguments)

    def walk(self) -> Iterator[Program]:
        """The expression and all within, the outermost first, in the order of the text."""
        yield self
        for part in self.parts:
            yield from part.walk()

    def replaced(self, change: Callable[[Program], Program]) -> Program:
        """The expression after `change` was made to every part, from the inside outwards."""
        arguments = tuple(
            item.replaced(change) if isinstance(item, Program) else item for item in self.arguments
        )
        return change(self if arguments == self.arguments else Program(self.operator, arguments))

    def __str__(self) -> str:
        """Such as `Count(All("pallet"))`."""
        inner = ", ".join(
            f'"{item}"' if isinstance(item, str) else str(item) for item in self.arguments
        )
        return f"{self.operator.name}({inner})"

    def to_json(self) -> list[Any]:
        """Nested lists: the name of the operator, then its arguments."""
        return [
            self.operator.name,
            *(
                item.to_json()
                if isinstance(item, Program)
                else list(item)
                if isinstance(item, tuple)
                else item
                for item in self.arguments
            ),
        ]


def _check(operator: Operator, parameter: Parameter, argument: Any) -> None:
    if parameter.type in LITERALS:
        problem = _literal_problem(parameter, argument)
    elif not isinstance(argument, Program):
        problem = f"expected an expression ({parameter.type.value}), got {argument!r}"
    elif not fits(argument.type, parameter.type):
        problem = f"expected {parameter.type.value}, got {argument.type.value} {argument}"
    elif parameter.unit and argument.unit != parameter.unit:
        problem = f"expected the unit {parameter.unit}, got {argument.unit or 'none'}"
    else:
        problem = ""
    if problem:
        raise ProgramError(f"{operator.name}, {parameter.name}: {problem}")


def _literal_problem(parameter: Parameter, value: Any) -> str:
    kind = parameter.type
    whole = isinstance(value, int) and not isinstance(value, bool)
    wholes = isinstance(value, tuple) and all(type(item) is int for item in value)
    right = {
        Type.CLASS: isinstance(value, str),
        Type.ID: whole and value >= 0,
        Type.IDS: wholes and len(set(value)) == len(value) > 0 and min(value) >= 0,
        Type.NUMBER: isinstance(value, float) and math.isfinite(value),
        Type.WORD: value in parameter.words,
        Type.PIXEL: wholes and len(value) == 2,
    }[kind]
    allowed = f" ({', '.join(parameter.words)})" if parameter.words else ""
    return "" if right else f"expected a literal: {kind.value}{allowed}, got {value!r}"
