"""The types of the language: what an expression stands for, and where one fits in for another."""

from __future__ import annotations

from enum import Enum


class Type(Enum):
    """What an expression, or a literal argument of an operator, is.

    Expressions of the first group have a value on a scene. A predicate and an attribute are
    functions of a region: "is in buffer 2", "how wide it is". The last group are literals.
    """

    REGIONS = "regions"
    """A set of regions, ordered where the expression orders it."""
    REGION = "region"
    """One region; fits wherever a place or a set is wanted."""
    PLACE = "place"
    """What distances and sides are measured from: a region, the camera, or an observer."""
    QUANTITY = "quantity"
    """A number with a unit: m, m2, m3, deg, h, objects, share."""
    TRUTH = "truth"
    RELATION = "relation"
    """left, right, front, behind, above, below, inside or outside."""
    COLOR = "color"
    """One of the names of colors."""
    POINT = "point"
    """(3,) meters."""
    VECTOR = "vector"
    """(3,) unit vector."""
    SIZE = "size"
    """(3,) length, width, height in meters."""

    PREDICATE = "predicate"
    ATTRIBUTE = "attribute"

    CLASS = "class"
    """Literal: a class of objects such as "pallet"; "" is any object, zones not counted."""
    ID = "id"
    """Literal: a region id."""
    IDS = "ids"
    """Literal: several region ids, in order."""
    NUMBER = "number"
    """Literal: a float."""
    WORD = "word"
    """Literal: one of the words that the operator allows."""
    PIXEL = "pixel"
    """Literal: (column, row) in pixels."""


LITERALS = frozenset({Type.CLASS, Type.ID, Type.IDS, Type.NUMBER, Type.WORD, Type.PIXEL})

QUESTIONS = frozenset(
    {
        Type.REGIONS,
        Type.REGION,
        Type.QUANTITY,
        Type.TRUTH,
        Type.RELATION,
        Type.COLOR,
        Type.POINT,
        Type.VECTOR,
        Type.SIZE,
    }
)
"""Types whose expressions can be asked for."""

_FITS = {Type.PLACE: {Type.PLACE, Type.REGION}, Type.REGIONS: {Type.REGIONS, Type.REGION}}


def fits(given: Type, wanted: Type) -> bool:
    """Whether an expression of one type can stand where another is wanted."""
    return given in _FITS.get(wanted, {wanted})
