"""The value of a program on a scene, how sure it is, and how it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.language.operators.questions import Share
from smolrgpt_core.language.operators.registry import Chosen, as_mask, standpoint_of
from smolrgpt_core.language.operators.selections import The
from smolrgpt_core.language.program import Parameter, Program
from smolrgpt_core.language.types import LITERALS, Type
from smolrgpt_core.scene.copies import SceneCopies

TOLERANCE = 0.1
"""Quantities that differ by less than this share are the same answer (the challenge's rule)."""

SAME_ANGLE_DEG = 10.0
"""Angles, and directions of vectors, that differ by less are the same answer."""

WRONGLY_PRESUMED = 0.05
"""How likely it is that a question takes something for granted that is not so: assumed."""

_LENGTHS = ("m", "m2", "m3")

_CONTINUOUS = {*_LENGTHS, "share"}

_FUNCTIONS = {Type.PREDICATE, Type.ATTRIBUTE}


@dataclass(frozen=True, eq=False)
class Step:
    """What one expression within a program stands for in the undisturbed copy.

    Attributes:
        program: the expression: a region or a set of regions that is not named by its id.
        ids: the regions, in order where there is one.
        value: of the attribute by which it was singled out; None where there is none.
        unit: of the value.
    """

    program: Program
    ids: tuple[int, ...]
    value: float | None = None
    unit: str = ""


@dataclass(frozen=True, eq=False)
class Finding:
    """The answer to a program on a scene.

    Attributes:
        program: what was asked.
        value: float for a quantity, bool for a truth, str for a relation or a color, a region id, a
            tuple of ids for a set, float64 (3,) for point, vector and size (point and vector in the
            optical frame).
        confidence: fraction of the disturbed copies that have the same answer, of those in which
            there is the one region that each "the" of the question means.
        rival: the most frequent other answer, None where there is none; not for quantities.
        steps: what the parts of the program stand for.
        ids: every region that the answer is about, in the order of the program.
        counted: of a count, the regions.
        found: the value of every expression on all copies, as `operators` describes.
    """

    program: Program
    value: Any
    confidence: float
    rival: Any = None
    steps: tuple[Step, ...] = ()
    ids: tuple[int, ...] = ()
    counted: tuple[int, ...] = ()
    found: Mapping[Program, Any] = field(default_factory=dict)


def evaluate(program: Program, copies: SceneCopies, slack: float = 0.0) -> Finding:
    """The answer to a question.

    Args:
        program: an expression of one of the types in `types.QUESTIONS`.
        copies: of the scene.
        slack: lengths, areas, volumes and fractions count as the same when they differ by so much
            more than `TOLERANCE`.

    Raises:
        SpatialError: UNKNOWN_REGION, NO_VALID_DEPTH, CANNOT_TELL or BAD_QUESTION. A value that
            few copies share is no error here: see `confidence`.
    """
    run = Run(copies)
    values = run.value(program)
    answers = _answers(program, values, copies)
    same = _same(program, values, answers, slack)
    confidence = _confidence(same, _presumed(run))
    others = [answer for answer, equal in zip(answers, same, strict=True) if not equal]
    rival = max(others, key=others.count) if others and _is_discrete(program) else None
    ids = _ids(run, answers[0])
    counted = run.counted if program.unit == "objects" else ()
    return Finding(
        program, answers[0], confidence, rival, tuple(run.steps), ids, counted, run.found
    )


def _presumed(run: Run) -> NDArray[np.bool_]:
    """(K,) copies in which there is the one region that each "the" of a question means."""
    presumed = np.ones(run.copies.count, dtype=bool)
    for program, value in run.found.items():
        if program.operator is The:
            presumed &= value >= 0
    return presumed


def _confidence(same: NDArray[np.bool_], presumed: NDArray[np.bool_]) -> float:
    """How likely an answer is, 0 to 1.

    Whoever asks for "the empty transporter" knows that one is empty, so copies in which none or two
    are empty are not what is there, except where the question is wrong.

    Args:
        same: (K,) copies that have the answer.
        presumed: (K,) copies in which there is what the question takes for granted.
    """
    if len(same) == 1:
        return 1.0
    # Half a copy on either side: a finite number of copies proves nothing for certain.
    answered = ((same & presumed)[1:].sum() + 0.5) / (presumed[1:].sum() + 1)
    is_so = presumed[1:].mean()
    believed = is_so / (is_so + (1 - is_so) * WRONGLY_PRESUMED)
    return float(answered * believed)


@dataclass
class Run:
    """One evaluation.

    Attributes:
        copies: of the scene.
        steps: filled on the way.
        named: ids of the regions that the program names, filled on the way.
        counted: members of the set that was evaluated last.
        found: values of expressions, filled on the way.
    """

    copies: SceneCopies
    steps: list[Step] = field(default_factory=list)
    named: list[int] = field(default_factory=list)
    counted: tuple[int, ...] = ()
    found: dict[Program, Any] = field(default_factory=dict)

    def value(self, program: Program) -> Any:
        """The value on all copies, as `operators` describes."""
        operator = program.operator
        arguments = [
            self._argument(parameter, argument)
            for parameter, argument in zip(operator.parameters, program.arguments, strict=True)
        ]
        if operator.returns in _FUNCTIONS:
            function = partial(_applied, program, self.copies, arguments)
            self.found[program] = function
            return function
        value = operator.evaluate(self.copies, *arguments)
        self.found[program] = value
        self._note(program, arguments, value)
        return value

    def _argument(self, parameter: Parameter, argument: Any) -> Any:
        if parameter.type in LITERALS:
            return argument
        value = self.value(argument)
        if argument.type is Type.REGION and parameter.type is Type.PLACE:
            return standpoint_of(self.copies, value)
        if argument.type is Type.REGION and parameter.type is Type.REGIONS:
            return Chosen(as_mask(self.copies, value))
        return value

    def _note(self, program: Program, arguments: list[Any], value: Any) -> None:
        if program.type is Type.REGION:
            ids: tuple[int, ...] = (self.copies.ids[int(value[0])],)
        elif program.type is Type.REGIONS:
            ids = self.counted = ordered_ids(self.copies, value)
        else:
            return
        if not program.parts:
            if program.arguments and not isinstance(program.arguments[0], str):
                self.named.extend(ids)
            return
        attribute = next((part for part in program.parts if part.type is Type.ATTRIBUTE), None)
        number = None
        if attribute is not None and program.type is Type.REGION:
            function = arguments[program.arguments.index(attribute)]
            number = float(function(as_mask(self.copies, value))[0, int(value[0])])
        unit = attribute.unit if attribute is not None else ""
        self.steps.append(Step(program, ids, number, unit))


def _applied(program: Program, copies: SceneCopies, arguments: list[Any], subjects: Any) -> Any:
    values = program.operator.evaluate(copies, subjects, *arguments)
    disturbed = program.type is Type.ATTRIBUTE and program.unit in ("", *_LENGTHS)
    return values * copies.factors if disturbed else values


def ordered_ids(copies: SceneCopies, chosen: Chosen) -> tuple[int, ...]:
    """Ids of a set in the undisturbed copy, in its order or in that of the frame."""
    found = np.flatnonzero(chosen.mask[0])
    if chosen.order is not None:
        found = found[np.argsort(chosen.order[0, found], kind="stable")]
    return tuple(copies.ids[int(index)] for index in found)


def _answers(program: Program, values: Any, copies: SceneCopies) -> list[Any]:
    """The answer of every copy, comparable with `==` where it is discrete; None where none."""
    if program.type is Type.REGION:
        return [copies.ids[int(index)] if index >= 0 else None for index in values]
    if program.type is Type.REGIONS:
        return _sets(values, copies)
    if program.type is Type.TRUTH:
        return [None if np.isnan(value) else bool(value) for value in values]
    if program.type in (Type.POINT, Type.VECTOR):
        turned = copies.to_optical(values)
        if program.type is Type.VECTOR:
            turned = values @ copies.scene.axes
        return list(turned)
    if program.type is Type.SIZE:
        return list(values)
    return [value.item() for value in values]


def _sets(chosen: Chosen, copies: SceneCopies) -> list[Any]:
    ids = np.array(copies.ids)
    answers = []
    for copy in range(copies.count):
        found = np.flatnonzero(chosen.mask[copy])
        if chosen.order is not None:
            found = found[np.argsort(chosen.order[copy, found], kind="stable")]
        answers.append(tuple(int(id) for id in ids[found]))
    return answers


def _same(program: Program, values: Any, answers: list[Any], slack: float) -> Any:
    """(K,) whether a copy has the answer of the first."""
    first = answers[0]
    if program.type is Type.QUANTITY:
        with np.errstate(invalid="ignore"):
            if is_counted(program):
                return values == values[0]
            if program.unit == "deg":
                turned = (values - values[0] + 180) % 360 - 180
                return np.abs(turned) <= SAME_ANGLE_DEG
            if program.unit == "h":
                return values == values[0]
            allowed = TOLERANCE * abs(values[0]) + (slack if program.unit in _CONTINUOUS else 0.0)
            return np.abs(values - values[0]) <= allowed
    if program.type is Type.VECTOR:
        cosine = np.array([answer @ first for answer in answers])
        return cosine >= np.cos(np.deg2rad(SAME_ANGLE_DEG))
    if program.type in (Type.POINT, Type.SIZE):
        offset = np.linalg.norm(np.array(answers) - first, axis=1)
        return offset <= TOLERANCE * np.linalg.norm(first)
    return np.array([answer == first for answer in answers])


def _is_discrete(program: Program) -> bool:
    discrete = (Type.REGION, Type.REGIONS, Type.TRUTH, Type.RELATION, Type.COLOR)
    return program.type in discrete or is_counted(program)


def is_counted(program: Program) -> bool:
    """Whether a quantity follows from how many there are, so that it is right or wrong."""
    return program.unit == "objects" or program.operator is Share


def _ids(run: Run, answer: Any) -> tuple[int, ...]:
    ids = [*run.named]
    for step in run.steps:
        ids.extend(step.ids if len(step.ids) == 1 else ())
    if isinstance(answer, tuple):
        ids.extend(answer)
    return tuple(dict.fromkeys(ids))
