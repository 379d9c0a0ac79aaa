"""Conventions of other benchmarks: operators that replace ours.

    SPATIALRGPT.meant(Measure(Region(3), Width()))  ->  Measure(Region(3), Span())

Questions have the same wording under all conventions; program, value, steps and the restated
question follow the convention.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from smolrgpt_core.language.operators import attributes, benchmarks, predicates, questions
from smolrgpt_core.language.program import Operator, Program
from smolrgpt_core.language.types import Type

Replacement = Callable[[Program], Program]


@dataclass(frozen=True)
class Conventions:
    """The meaning of operators.

    Attributes:
        name: on the command line.
        replaced: replacement of an expression, by its operator.
    """

    name: str
    replaced: Mapping[Operator, Replacement] = field(default_factory=dict)

    def meant(self, program: Program) -> Program:
        """The program under these conventions."""
        return program.replaced(self._meant)

    def _meant(self, part: Program) -> Program:
        replacement = self.replaced.get(part.operator)
        return part if replacement is None else replacement(part)

    def __reduce__(self) -> tuple[Callable[[str], Conventions], tuple[str]]:
        # By the name: replacements are functions without one.
        return _conventions_named, (self.name,)


def _by(operator: Operator) -> Replacement:
    """Another operator of the same arguments."""
    return lambda part: operator(*part.arguments)


def _between_regions(operator: Operator) -> Replacement:
    """The same for two regions; from the camera or an observer nothing changes."""
    return lambda part: operator(*part.arguments) if _is_of_region(part) else part


def _compared(attribute: Operator, how: str) -> Replacement:
    """A relation to a region, decided by an attribute of both."""

    def replace(part: Program) -> Program:
        if not _is_of_region(part):
            return part
        other = questions.Measure(part.arguments[0], attribute())
        return predicates.Measures(attribute(), how, other)

    return replace


def _is_of_region(part: Program) -> bool:
    return part.arguments[0].type is Type.REGION


_ALONG_THE_AXES: Mapping[Operator, Replacement] = {
    attributes.HorizontalDistance: _by(attributes.SidewaysDistance),
    attributes.Width: _by(attributes.Span),
    attributes.Forward: _by(benchmarks.NearestForward),
    predicates.InFrontOf: _compared(benchmarks.NearestForward, "less"),
    predicates.Behind: _compared(benchmarks.NearestForward, "more"),
}

WAREHOUSE = Conventions("warehouse")
"""The definitions of docs/questions.md."""

HISPATIAL = Conventions("hispatial", _ALONG_THE_AXES)
"""HiSpatial (arXiv 2603.25411): extents along the axes of the gravity-aligned camera, "horizontal"
is sideways alone, in front is whose nearest point is nearer."""

SPATIALRGPT = Conventions(
    "spatialrgpt",
    {
        **_ALONG_THE_AXES,
        attributes.Distance: _between_regions(benchmarks.SurfaceDistance),
        attributes.Column: _by(benchmarks.Rightward),
        attributes.Bigness: _by(benchmarks.AlignedVolume),
        attributes.ClockHour: _by(benchmarks.ClockSector),
        predicates.LeftOf: _compared(benchmarks.Rightward, "less"),
        predicates.RightOf: _compared(benchmarks.Rightward, "more"),
    },
)
"""SpatialRGPT-Bench (arXiv 2406.01584), by the generator of its training data: as HiSpatial, and
the distance of two objects is the mean of those between their nearest points, left is by centers,
large by the box along the axes, and clock hours are rounded down."""


CONVENTIONS = {item.name: item for item in (WAREHOUSE, HISPATIAL, SPATIALRGPT)}
"""Every table by name."""


def _conventions_named(name: str) -> Conventions:
    return CONVENTIONS[name]
