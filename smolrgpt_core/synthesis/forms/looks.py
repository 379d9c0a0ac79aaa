"""Question forms that only the color image answers: what color something is.

The simulator knows the paint of transporters, and the color of loads that have a single one. The
colors are drawn first, so that none is more frequent than the frames make it, and a color that is
asked about is as often there as not.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language.operators import predicates, questions, selections
from smolrgpt_core.scene.spatial_scene import COLORS
from smolrgpt_core.synthesis.drafts import Draft
from smolrgpt_core.synthesis.forms.draws import (
    listed,
    named,
    objects,
    pick,
    region,
    several,
    some,
    where,
)
from smolrgpt_core.synthesis.forms.registry import form
from smolrgpt_core.synthesis.view import NO_ANSWER, MarginView

MOST_COUNTED = 3
"""Frames seldom show more objects of one color and class."""


@form
def color(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """The color of an object."""
    by_color = _by_color(view, _label(view, rng))
    if not by_color:
        return None
    (id,) = some(by_color[pick(sorted(by_color), rng)], 1, rng)
    return Draft(questions.Color(region(id)), {"target": named(id)})


@form
def is_colored(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Whether an object has a color: as often so as not."""
    by_color = _by_color(view, _label(view, rng))
    if len(by_color) < 2:
        return None
    names = sorted(by_color)
    asked, other = (names[int(place)] for place in rng.permutation(len(names))[:2])
    (id,) = some(by_color[asked if rng.random() < 0.5 else other], 1, rng)
    return Draft(
        questions.Whether(region(id), predicates.Colored(asked)),
        {"target": named(id)},
        {"color": asked},
    )


@form
def which_colored(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """Which one of some objects has a color that no other one of them has."""
    label = _label(view, rng)
    by_color = _by_color(view, label)
    if len(by_color) < 2:
        return None
    asked = pick(sorted(by_color), rng)
    others = [id for name, ids in by_color.items() if name != asked for id in ids]
    wrong = several(others, rng, least=1)
    targets = some([*some(by_color[asked], 1, rng), *wrong], len(wrong) + 1, rng)
    return Draft(
        selections.The(where(listed(targets), predicates.Colored(asked))),
        {"targets": named(*targets)},
        {"color": asked, "noun": label},
    )


@form
def count_colored(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """How many of some objects have a color: each small number as often as the frames allow."""
    by_color = _by_color(view, _label(view, rng))
    number = int(rng.integers(MOST_COUNTED + 1))
    enough = [name for name, ids in sorted(by_color.items()) if len(ids) >= number]
    if not enough:
        return None
    asked = pick(enough, rng)
    others = [id for name, ids in by_color.items() if name != asked for id in ids]
    wrong = several(others, rng, least=max(1, 2 - number))
    targets = some([*some(by_color[asked], number, rng), *wrong], number + len(wrong), rng)
    if len(targets) < 2:
        return None
    return Draft(
        questions.Count(where(listed(targets), predicates.Colored(asked))),
        {"targets": named(*targets)},
        {"color": asked},
    )


COLOR_FORMS = tuple(make.__name__ for make in (color, is_colored, which_colored, count_colored))
"""Forms about colors, which geometry cannot answer."""


def _label(view: MarginView, rng: np.random.Generator) -> str:
    return pick(objects(view), rng)


def _by_color(view: MarginView, label: str) -> dict[str, list[int]]:
    """The visible objects of a class whose color is known, by it."""
    return view.cached(("color", label), lambda: _sorted_by_color(view, label))


def _sorted_by_color(view: MarginView, label: str) -> dict[str, list[int]]:
    found: defaultdict[str, list[int]] = defaultdict(list)
    for id in view.seen(label):
        try:
            weights = view.scene.colors(id).weights
        except SpatialError as error:
            if error.status not in NO_ANSWER:
                raise
            continue
        found[COLORS[int(np.argmax(weights))]].append(id)
    return dict(found)
