"""Question forms that ask for a side."""

from __future__ import annotations

import numpy as np

from smolrgpt_core.language.operators import predicates, questions
from smolrgpt_core.synthesis.drafts import Draft
from smolrgpt_core.synthesis.forms.draws import classes, named, pick, region
from smolrgpt_core.synthesis.forms.registry import form
from smolrgpt_core.synthesis.view import MarginView

SIDES = {"left": predicates.LeftOf, "right": predicates.RightOf}

Pairs = dict[tuple[str, str], dict[str, list[tuple[int, int]]]]
"""Pairs (target, anchor) by their labels and by the side of the target."""


@form
def left_or_right(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """On which side of another object an object is."""
    drawn = _pair(view, rng)
    if drawn is None:
        return None
    target, anchor, side = drawn
    return Draft(
        questions.Side(region(target), region(anchor), "left_right"),
        {"target": named(target), "anchor": named(anchor)},
        answer=f"{{target}} is to the {side} of {{anchor}}.",
        answer_parts={"target": region(target), "anchor": region(anchor)},
    )


@form
def is_on_side(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Whether an object is on a given side of another one."""
    asked = pick(["left", "right"], rng)
    drawn = _pair(view, rng)
    if drawn is None:
        return None
    target, anchor, side = drawn
    agreed = "Yes, " if asked == side else "No, "
    return Draft(
        questions.Whether(region(target), SIDES[asked](region(anchor))),
        {"target": named(target), "anchor": named(anchor)},
        {"side": asked},
        answer=f"{agreed}{{target}} is to the {side} of {{anchor}}.",
        answer_parts={"target": region(target), "anchor": region(anchor)},
    )


def _pair(view: MarginView, rng: np.random.Generator) -> tuple[int, int, str] | None:
    """Target, anchor and the side, which is drawn first."""
    both_sided = view.cached("sides of classes", lambda: _classes_with_both_sides(view))
    if not both_sided:
        return None
    by_side = both_sided[pick(sorted(both_sided), rng)]
    side = pick(["left", "right"], rng)
    target, anchor = pick(by_side[side], rng)
    return target, anchor, side


def _classes_with_both_sides(view: MarginView) -> Pairs:
    """Clear pairs where both sides are possible.

    In a frame whose only shelf is far left, "is the shelf ..." would say the side.
    """
    found: Pairs = {}
    seen = view.seen(*classes(view))
    for anchor in seen:
        others = [id for id in seen if id != anchor]
        for side, predicate in SIDES.items():
            for target in view.split(predicate(region(anchor)), others)[0]:
                labels = (view.label(target), view.label(anchor))
                by_side = found.setdefault(labels, {"left": [], "right": []})
                by_side[side].append((target, anchor))
    return {labels: sides for labels, sides in found.items() if all(sides.values())}
