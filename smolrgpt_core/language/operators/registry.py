"""The table of operators, and what their functions have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.language.program import Operator, Parameter
from smolrgpt_core.language.types import Type
from smolrgpt_core.scene.copies import Mask, SceneCopies, Values

OPERATORS: dict[str, Operator] = {}
"""Every operator by name."""

Indices = NDArray[np.intp]
Predicate = Callable[[Mask], Mask]
Attribute = Callable[[Mask], Values]


def operator(
    name: str,
    takes: Sequence[Parameter],
    returns: Type,
    about: str,
    unit: str | Callable[..., str] = "",
) -> Callable[[Callable[..., Any]], Operator]:
    """Register a function as an operator; the decorated name is the `Operator`.

    Args:
        name: as written in programs.
        takes: its parameters.
        returns: type of its value.
        about: definition in a sentence.
        unit: of its value; a function of the arguments where it depends on them.

    Raises:
        ValueError: the name is taken.
    """

    def register(evaluate: Callable[..., Any]) -> Operator:
        made = Operator(name, tuple(takes), returns, evaluate, about, unit)
        if name in OPERATORS:
            raise ValueError(f"operator {name} is there already")
        OPERATORS[name] = made
        return made

    return register


def a(type: Type, name: str = "", words: Sequence[str] = (), unit: str = "") -> Parameter:
    """A parameter; its name defaults to that of its type.

    Args:
        type: of the argument.
        name: for the table; empty: that of the type.
        words: values that a word may have; empty: any.
        unit: that the argument must have; empty: any.
    """
    return Parameter(name or type.value, type, tuple(words), unit)


@dataclass(frozen=True, eq=False)
class Chosen:
    """A set of regions in every copy.

    Attributes:
        mask: bool (K, N).
        order: float (K, N), increasing in the order of the set; None where it has none.
    """

    mask: Mask
    order: Values | None = None

    @property
    def any_copy(self) -> Mask:
        """(N,) in the set in at least one copy."""
        return np.asarray(self.mask.any(axis=0))


@dataclass(frozen=True, eq=False)
class Standpoint:
    """What something is measured from.

    Attributes:
        center: (K, 3) floor frame; NaN where there is none in that copy.
        region: (K,) index where it is a region, else None.
        forward: (K, 2) unit vector of the viewing direction of an observer; None for a region.
        is_camera: whether it is the camera.
    """

    center: Callable[[], Values]
    region: Indices | None = None
    forward: Values | None = None
    is_camera: bool = False


def as_mask(copies: SceneCopies, index: Indices) -> Mask:
    """(K, N) with the region of each copy alone; empty where the index is -1."""
    return np.asarray(np.arange(copies.number)[None, :] == index[:, None])


def gather(values: NDArray[Any], index: Indices, missing: float = np.nan) -> NDArray[Any]:
    """(K, ...) of values (K, N, ...) at one region for each copy; `missing` where it is -1.

    Args:
        values: (K, N, ...).
        index: (K,), -1 for no region.
        missing: value for no region.
    """
    picked = values[np.arange(len(index)), np.maximum(index, 0)]
    absent = (index < 0).reshape(-1, *[1] * (picked.ndim - 1))
    return np.where(absent, missing, picked)


def standpoint_of(copies: SceneCopies, index: Indices) -> Standpoint:
    """A region as a place; it is measured when its center is asked for."""

    def center() -> Values:
        copies.measure(as_mask(copies, index))
        return gather(copies.center, index)

    return Standpoint(center, index)


def of_region(copies: SceneCopies, attribute: Attribute, index: Indices) -> Values:
    """(K,) an attribute of one region.

    Args:
        copies: of the scene.
        attribute: of regions (K, N).
        index: (K,), index of the region in each copy.
    """
    return gather(attribute(as_mask(copies, index)), index)
