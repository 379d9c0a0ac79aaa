"""Kinds of questions that ask for a side."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np

from smolrgpt_core.answer import Side
from smolrgpt_core.data.drafts import Draft
from smolrgpt_core.data.facts import SceneFacts
from smolrgpt_core.data.kinds.registry import kind
from smolrgpt_core.data.kinds.selection import CLASSES, named, pick
from smolrgpt_core.language import Category


@kind
def left_or_right(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """On which side of another object an object is."""
    return _sides(facts, rng, asked="")


@kind
def is_on_side(facts: SceneFacts, rng: np.random.Generator) -> Draft | None:
    """Whether an object is on a given side of another one."""
    return _sides(facts, rng, asked=pick(["left", "right"], rng))


def _sides(facts: SceneFacts, rng: np.random.Generator, asked: str) -> Draft | None:
    classes = _classes_with_both_sides(facts)
    if not classes:
        return None
    by_side = classes[pick(sorted(classes), rng)]
    side = pick(["left", "right"], rng)
    target, anchor = pick(by_side[side], rng)
    agreed = {"": "", side: "Yes, "}.get(asked, "No, ")
    return Draft(
        Category.LEFT_RIGHT,
        {"target": named([target]), "anchor": named([anchor])},
        {"side": asked} if asked else {},
        side=Side[side.upper()],
        answer=f"{agreed}{{target}} is to the {side} of {{anchor}}.",
        answer_ids={"target": target, "anchor": anchor},
    )


def _classes_with_both_sides(
    facts: SceneFacts,
) -> dict[tuple[str, str], dict[str, list[tuple[int, int]]]]:
    """Clear pairs (target, anchor) by their labels and side, where both sides are possible.

    In a frame whose only shelf is far left, "is the shelf ..." would say the side.
    """
    found: dict[tuple[str, str], dict[str, list[tuple[int, int]]]] = {
        labels: {"left": [], "right": []} for labels in product(CLASSES, CLASSES)
    }
    for pair in permutations(facts.seen(*CLASSES), 2):
        side = facts.side(*pair)
        if side is not None:
            target, anchor = pair
            found[facts[target].label, facts[anchor].label][side].append(pair)
    return {labels: sides for labels, sides in found.items() if all(sides.values())}
