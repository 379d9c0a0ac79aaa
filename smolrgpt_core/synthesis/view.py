"""Selects what can be asked about a frame: visible objects and unambiguous answers."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language.interpreter import Run, evaluate
from smolrgpt_core.language.operators import attributes, predicates, selections
from smolrgpt_core.language.program import Program
from smolrgpt_core.language.types import Type
from smolrgpt_core.object_classes import ZONE, known_class, named_labels
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.scene.copies import Mask, SceneCopies
from smolrgpt_core.scene.spatial_scene import Placed, SpatialScene, touches_border
from smolrgpt_core.synthesis.margins import AmbiguityMargins, WithMargins

COPIES = 64
"""Of a scene at its margins."""

SLACK = 4.0
"""A quantity is the same while it changes by no more than so many margins of a center: that is what
moving two centers explains; another object, or a zone left, changes it by more."""

NEAR_M = 1.5
"""An object reaches no farther than this from its center."""

NO_ANSWER = (Status.CANNOT_TELL, Status.NO_VALID_DEPTH, Status.BAD_QUESTION)
"""Why a program has no answer on a scene."""

_BY_ALL_OBJECTS = (
    attributes.FreeArea, attributes.FreeShare, attributes.Capacity, predicates.HasRoom,
    predicates.Empty,
)  # fmt: skip
_T = TypeVar("_T")


class _ByCenters(SceneCopies):
    """Copies in which columns are those of the centers, as if nothing hid a part of an object."""

    def see(self, which: Mask) -> None:
        """Make `column` valid for regions (N,) or (K, N)."""
        super().see(which)
        self.measure(which)
        optical = self.to_optical(self.center)
        focal = float(self.regions.image_size[1])
        with np.errstate(invalid="ignore", divide="ignore"):
            ahead = np.where(optical[..., 2] > 0, optical[..., 0] / optical[..., 2], np.nan)
        needed = which if which.ndim == 1 else which.any(axis=0)
        columns = self.scene.middle_column + focal * ahead
        self.column[:, needed] = np.nan_to_num(columns[:, needed], nan=self.scene.middle_column)


class MarginView:
    """A frame, with margins applied.

    Args:
        scene: the simulator's truth, or what geometry measures of a recording.
        margins: what is too close to call.
        rng: source of the order in which whole classes are listed.
    """

    def __init__(
        self, scene: SpatialScene, margins: AmbiguityMargins, rng: np.random.Generator
    ) -> None:
        self.scene, self.margins = scene, margins
        # In the order of the frame, a class that is listed as a whole would tell where its objects
        # are.
        order = rng.permutation(len(scene.regions))
        self.ids = [scene.regions.regions[int(index)].id for index in order]
        blurred = WithMargins(scene, margins)
        self._copies = SceneCopies(blurred, COPIES, at_limits=True, ratio_std=margins.ratio_std)
        self._by_centers = _ByCenters(blurred, COPIES, at_limits=True, ratio_std=margins.ratio_std)
        self._nominal = SceneCopies(scene, copies=1)
        self._cache: dict[Hashable, Any] = {}

    @property
    def regions(self) -> RegionSet:
        """The regions of the frame."""
        return self.scene.regions

    def label(self, id: int) -> str:
        """Of a region."""
        return self.regions[id].label

    def is_zone(self, id: int) -> bool:
        """Whether a region is painted on the floor."""
        return known_class(self.label(id)) == ZONE

    def cached(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """Cache a value that several questions about this frame need."""
        if key not in self._cache:
            self._cache[key] = make()
        return self._cache[key]

    @cached_property
    def placed(self) -> dict[int, Placed]:
        """Regions that are located precisely enough, in random order."""
        found = {id: self._place(id) for id in self.ids}
        return {id: placed for id, placed in found.items() if placed is not None}

    def seen(self, *labels: str) -> list[int]:
        """Regions with one of these labels that are visible enough to be asked about."""
        return [
            id for id, placed in self.placed.items()
            if self.label(id) in labels and self._is_visible(id, placed)
        ]  # fmt: skip

    def whole(self, *labels: str) -> list[int]:
        """Like `seen`, without regions cut off by the image border, whose centers are not
        visible.
        """
        size = self.regions.image_size
        return [id for id in self.seen(*labels) if not touches_border(self.regions[id], size)]

    def whole_class(self, label: str) -> tuple[int, ...]:
        """All regions of a class, in random order; none if one is too hidden to count."""
        ids = tuple(id for id in self.ids if self.label(id) == label)
        return ids if ids and set(ids) <= set(self.seen(label)) else ()

    def split(self, predicate: Program, ids: Sequence[int]) -> tuple[list[int], list[int]]:
        """Split regions into those for which a predicate is clearly true and clearly false."""
        if not ids:
            return [], []
        values = [self._hold(predicate, copies, ids) for copies in self._needed_copies(predicate)]
        true = np.all([value.all(axis=0) for value in values], axis=0)
        false = ~np.any([value.any(axis=0) for value in values], axis=0)
        return (
            [id for id, holds in zip(ids, true, strict=True) if holds],
            [id for id, fails in zip(ids, false, strict=True) if fails],
        )

    def values(self, attribute: Program, ids: Sequence[int]) -> dict[int, float]:
        """An attribute of these regions in the undisturbed copy; NaN if it is unknown."""
        if not ids:
            return {}
        columns = [self._copies.index(id) for id in ids]
        which = np.zeros((COPIES, self._copies.number), dtype=bool)
        which[:, columns] = True
        found = Run(self._copies).value(attribute)(which)[0, columns]
        return dict(zip(ids, map(float, found), strict=True))

    def truth(self, program: Program) -> Any | None:
        """The answer to a question; None if it is too close to call or has no answer.

        It survives the margins when it is the same, and so is every set and region in it, in
        nearly all copies.
        """
        if not self._is_open(program):
            return None
        try:
            # The region itself first: what is left of the wrong one may seem clear.
            parts = [part for part in program.walk() if _is_selection(part)]
            for copies in self._needed_copies(program):
                if not all(self._survives(part, copies) for part in {*parts, program}):
                    return None
                by_copies = [evaluate(part, copies).value for part in parts]
                if by_copies != [evaluate(part, self._nominal).value for part in parts]:
                    return None
            value = evaluate(program, self._nominal).value
            if len(self._needed_copies(program)) > 1 and program.type not in _NUMBERS:
                by_centers = evaluate(program, self._by_centers).value
                return value if by_centers == value else None
            return value
        except SpatialError as error:
            if error.status not in NO_ANSWER:
                raise
            return None

    def _survives(self, program: Program, copies: SceneCopies) -> bool:
        slack = SLACK * self.margins.center_std_m
        return evaluate(program, copies, slack).confidence >= self.margins.min_same_fraction

    def _needed_copies(self, program: Program) -> list[SceneCopies]:
        by_column = any(
            part.operator in _BY_COLUMN or "left_right" in part.arguments for part in program.walk()
        )
        return [self._copies, self._by_centers] if by_column else [self._copies]

    def _hold(self, predicate: Program, copies: SceneCopies, ids: Sequence[int]) -> Mask:
        columns = [copies.index(id) for id in ids]
        which = np.zeros((COPIES, copies.number), dtype=bool)
        which[:, columns] = True
        return np.asarray(Run(copies).value(predicate)(which)[:, columns], dtype=bool)

    def _is_open(self, program: Program) -> bool:
        """Whether all regions that decide the answer are seen well enough."""
        seen = self.cached("seen", lambda: set(self.seen(*self.regions.labels)))
        classes = {part.arguments[0] for part in program.walk() if part.operator is selections.All}
        needed = {id for id in self.ids for name in classes if self._is_of(id, name)}
        if any(part.operator in _BY_ALL_OBJECTS for part in program.walk()):
            needed |= self._around_zones(program)
        return seen.issuperset(needed)

    def _is_of(self, id: int, name: str) -> bool:
        if not name:
            return not self.is_zone(id)
        return self.label(id) in named_labels(name, self.regions.labels)

    def _around_zones(self, program: Program) -> set[int]:
        """Objects that may reach into the zones that a program names."""
        found: set[int] = set()
        objects = [id for id in self.placed if not self.is_zone(id)]
        for part in program.walk():
            if part.operator is selections.Region and self.is_zone(part.arguments[0]):
                zone = self.placed[part.arguments[0]]
                reach = float(np.linalg.norm(zone.size[:2])) / 2 + NEAR_M
                meters = self.values(attributes.HorizontalDistance(part), objects)
                found |= {id for id in objects if meters[id] < reach}
        return found

    def _place(self, id: int) -> Placed | None:
        try:
            placed = self.scene.place(id)
        except SpatialError as error:
            if error.status not in NO_ANSWER:
                raise
            return None
        sure = float(np.linalg.norm(placed.center_std)) <= self.margins.max_center_std_m
        return placed if sure and placed.has_footprint else None

    def _is_visible(self, id: int, placed: Placed) -> bool:
        min_fraction = self.margins.min_visible_fraction
        if self.is_zone(id):
            min_fraction = self.margins.min_buffer_visible_fraction
        enough = self.regions[id].area >= self.margins.min_visible_pixels
        return enough and placed.visible_fraction >= min_fraction


_BY_COLUMN = (attributes.Column, predicates.LeftOf, predicates.RightOf, selections.Middle)


_NUMBERS = (Type.POINT, Type.VECTOR, Type.SIZE)


def _is_selection(part: Program) -> bool:
    """Whether which regions a part stands for follows from where they are."""
    return part.type in (Type.REGION, Type.REGIONS) and bool(part.parts)
