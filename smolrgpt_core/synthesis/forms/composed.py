"""Random well-typed programs: nested selections, in canonical words."""

from __future__ import annotations

import numpy as np

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language.operators import attributes, predicates, questions, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.reader import read_text
from smolrgpt_core.language.wording import say
from smolrgpt_core.synthesis.drafts import Draft
from smolrgpt_core.synthesis.forms.draws import classes, pick, region, where
from smolrgpt_core.synthesis.forms.registry import form
from smolrgpt_core.synthesis.view import MarginView

DEPTH = 3
"""Most selections within each other."""


@form
def composed(view: MarginView, rng: np.random.Generator) -> Draft | None:
    """A question of several steps, such as "how many pallets are in the buffer nearest to ..."."""
    drawn = Composer(view, rng).question(int(rng.integers(1, DEPTH + 1)))
    if drawn is None:
        return None
    # The reader has one program for what can be composed in several ways.
    text = say(drawn, view.regions)
    try:
        return Draft(read_text(text, view.regions).program, text=text)
    except SpatialError:
        # So deeply nested that the words have two meanings: nobody could answer it.
        return None


class Composer:
    """Draws expressions of each type about one frame."""

    def __init__(self, view: MarginView, rng: np.random.Generator) -> None:
        self._view, self._rng = view, rng
        self._classes = [label for label in classes(view) if view.whole(label)]
        self._objects = [label for label in self._classes if label != "buffer"]

    def question(self, depth: int) -> Program | None:
        """A question; None if the frame offers too little to ask about."""
        if "buffer" not in self._classes or len(self._objects) < 2:
            return None
        makers = (
            lambda: questions.Count(self._filtered(depth)),
            lambda: questions.Exists(self._filtered(depth)),
            lambda: questions.Whether(self._region(depth - 1), self._predicate(depth)),
            lambda: questions.Measure(
                self._region(depth), attributes.Distance(self._region(depth - 1))
            ),
            lambda: self._singled_out(depth),
            lambda: self._filtered(depth),
        )
        return pick(makers, self._rng)()

    def _region(self, depth: int) -> Program:
        if depth <= 0 or self._rng.random() < 0.3:
            return region(pick(self._view.whole(*self._objects), self._rng))
        return self._singled_out(depth)

    def _singled_out(self, depth: int) -> Program:
        chosen = self._set(depth - 1)
        if self._rng.random() < 0.2:
            return selections.The(where(chosen, self._predicate(depth - 1)))
        end = pick(["least", "most"], self._rng)
        rank = float(self._rng.integers(1, 3))
        return selections.Extreme(chosen, self._attribute(depth - 1), end, rank)

    def _set(self, depth: int) -> Program:
        if depth > 0 and self._rng.random() < 0.5:
            return self._filtered(depth)
        return selections.All(pick(self._objects, self._rng))

    def _filtered(self, depth: int) -> Program:
        label = pick(self._objects, self._rng)
        return where(selections.All(label), self._predicate(depth - 1))

    def _attribute(self, depth: int) -> Program:
        if self._rng.random() < 0.5:
            return attributes.Distance(self._region(depth))
        plain = (attributes.Column, attributes.Forward, attributes.Height)
        return pick(plain, self._rng)()

    def _predicate(self, depth: int) -> Program:
        if depth > 0 and self._rng.random() < 0.3:
            joined = pick((predicates.And, predicates.Or), self._rng)
            return joined(self._predicate(depth - 1), self._predicate(depth - 1))
        if self._rng.random() < 0.15:
            return predicates.Not(self._simple(0))
        return self._simple(depth)

    def _simple(self, depth: int) -> Program:
        kind = pick(("zone", "zone", "place", "place", "near"), self._rng)
        if kind == "zone":
            return predicates.In(self._zone(depth))
        other = self._region(depth)
        if kind == "near":
            limit = questions.Amount(float(self._rng.integers(2, 8)), "m")
            how = pick(("less", "more"), self._rng)
            return predicates.Measures(attributes.Distance(other), how, limit)
        sides = (
            predicates.LeftOf, predicates.RightOf, predicates.InFrontOf, predicates.Behind,
        )  # fmt: skip
        return pick(sides, self._rng)(other)

    def _zone(self, depth: int) -> Program:
        if depth <= 0 or self._rng.random() < 0.5:
            return region(pick(self._view.whole("buffer"), self._rng))
        zones = selections.All("buffer")
        return selections.Extreme(zones, self._attribute(depth - 1), "least", 1.0)
