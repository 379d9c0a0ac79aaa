"""Every operator of the language, in one table.

An operator is a function that computes its value on all K copies of a scene together:

    @operator("Count", takes=[regions()], returns=Type.QUANTITY, unit="objects",
              about="how many there are")
    def count(copies, chosen): ...

What the function gets for an argument, and returns, by type:

| type | value |
| --- | --- |
| REGIONS | `Chosen`: bool (K, N), and float (K, N) where they are ordered |
| REGION | int (K,) index of the region, -1 where there is none in that copy |
| PLACE | `Standpoint` |
| QUANTITY | float (K,), NaN where there is none |
| TRUTH | float (K,): 1, 0, or NaN where it has no meaning |
| RELATION, COLOR | str (K,), "" where there is none |
| POINT, VECTOR, SIZE | float (K, 3), floor frame |
| PREDICATE | a function of regions bool (K, N) that returns bool (K, N) |
| ATTRIBUTE | a function of regions bool (K, N) that returns float (K, N), NaN elsewhere |
| literals | themselves |

An operator that returns a predicate or an attribute gets those regions as its second argument. The
undisturbed copy is the first; an operator raises `SpatialError` where it has no value there.
"""

from smolrgpt_core.language.operators import (
    arrangements,
    attributes,
    benchmarks,
    fronts,
    predicates,
    questions,
    selections,
)
from smolrgpt_core.language.operators.registry import OPERATORS

__all__ = [
    "OPERATORS",
    "arrangements",
    "attributes",
    "benchmarks",
    "fronts",
    "predicates",
    "questions",
    "selections",
]
