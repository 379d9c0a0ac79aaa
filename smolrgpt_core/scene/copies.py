"""Many copies of a scene at once, disturbed by what its measurements may be wrong by.

A value that is computed on all copies together shows how sure it is: the fraction of the copies in
which it comes out the same. The first copy is undisturbed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status, bad_question
from smolrgpt_core.geometry.box_fitting import TAIL
from smolrgpt_core.geometry.fronts import Front
from smolrgpt_core.geometry.object_pixels import is_box
from smolrgpt_core.object_classes import (
    CARGO,
    CARRIER,
    LABEL_SYNONYMS,
    ZONE,
    known_class,
    named_labels,
)
from smolrgpt_core.scene.spatial_scene import (
    COLORS,
    Placed,
    SeenColors,
    SpatialScene,
    cannot_tell,
    mask_column,
)

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]

NOTHING, UNSEEN = -1, -2
"""Cargo that is not there, and cargo that has no region."""

ANY_REGION = "region"
"""The class of everything, zones too."""

PIXEL_STREAM = 3
"""Number of the disturbances of pixels, beside those of regions."""

CHOICE_STREAM = 4
"""The same of the sizes that regions have."""

LOAD_STREAM = 5
"""The same of what carriers carry."""

COLOR_STREAM = 6
"""The same of the colors that regions have."""

FRONT_STREAM, END_STREAM = 7, 8
"""The same of where fronts point, and of which end is the front."""

BOX_COLUMN_STD = 0.1
"""Standard deviation of the middle of a mask from that of its box, relative to the width of the
box: 0.07 of pallets and shelves to 0.10 of zones and trucks in 36 simulated halls."""

SEED = 0
"""Of the disturbances; those of a region do not depend on which others are measured."""

COPIES = 128
"""Enough for a confidence that is good to a few percent."""


class SceneCopies:
    """K copies of the N regions of a scene; regions are measured when they are needed.

    Args:
        scene: what is known.
        copies: K, with the undisturbed one.
        at_limits: every quantity is off by its standard deviation in one direction or the other,
            instead of distributed around it: what is the same in all copies holds as long as
            nothing is off by more.
        ratio_std: lengths, areas and volumes that are measured of regions are off by this fraction.

    Attributes:
        factors: (K, N) by which lengths, areas and volumes of regions are off.
        center: (K, N, 3) right, forward, height, meters; NaN until `measure`.
        size: (K, N, 3) along the first side, across, upwards, meters; NaN until `measure`.
        yaw: (N,) radians.
        cargo: (K, N) index of what a transporter carries, or `NOTHING`, or `UNSEEN`.
        column: (K, N) middle of the masks in the image, pixels.
        color: (K, N) place of the color in `COLORS`; -1 until `look`, and where it is unknown.
        heading: (K, N) where the front points, from right towards forward, radians; NaN until
            `face`, and for what has no front.
    """

    def __init__(
        self,
        scene: SpatialScene,
        copies: int = COPIES,
        at_limits: bool = False,
        ratio_std: float = 0.0,
    ) -> None:
        self.scene = scene
        self.regions = scene.regions
        self.ids = [region.id for region in scene.regions]
        self.count, self.number = copies, len(self.ids)
        self._index = {id: index for index, id in enumerate(self.ids)}
        self._labels = np.array([region.label for region in scene.regions])
        self._known = np.array([known_class(region.label) for region in scene.regions])
        self._at_limits = at_limits
        shape = (copies, self.number)
        self.center = np.full((*shape, 3), np.nan)
        self.size = np.full((*shape, 3), np.nan)
        self.yaw = np.zeros(self.number)
        self.cargo = np.full(shape, NOTHING)
        self.column = np.zeros(shape)
        self._measured = np.zeros(self.number, dtype=bool)
        self._needed = np.zeros(self.number, dtype=bool)
        self._pixel_needed = False
        self._seen = np.zeros(self.number, dtype=bool)
        self.color = np.full(shape, -1)
        self.heading = np.full(shape, np.nan)
        self._fronts: dict[int, Front | SpatialError] = {}
        self._colors: dict[int, SeenColors | SpatialError] = {}
        self._looked = np.zeros(self.number, dtype=bool)
        self.factors = np.ones(shape)
        for index in range(self.number if ratio_std else 0):
            self.factors[:, index] += ratio_std * self._draws(index, stream=2, width=1)[:, 0]

    def index(self, id: int) -> int:
        """Place of a region in the arrays.

        Raises:
            SpatialError: UNKNOWN_REGION.
        """
        return self._index[self.regions[id].id]

    def of_class(self, name: str) -> Mask:
        """(N,) regions of a class, as `named_labels` has it.

        "" = whatever is no zone; `ANY_REGION` = all.
        """
        if not name:
            return ~self.zones
        if name == ANY_REGION:
            return np.ones(self.number, dtype=bool)
        return np.isin(self._labels, list(named_labels(name, self.regions.labels)))

    @property
    def known(self) -> Mask:
        """(N,) regions of a known class."""
        return np.isin(self._known, list(LABEL_SYNONYMS))

    @property
    def zones(self) -> Mask:
        """(N,) what is painted on the floor."""
        return np.asarray(self._known == ZONE)

    @property
    def carriers(self) -> Mask:
        """(N,) what may carry cargo."""
        return np.asarray(self._known == CARRIER)

    @property
    def cargo_like(self) -> Mask:
        """(N,) what makes a carrier loaded."""
        return np.asarray(self._known == CARGO)

    @property
    def camera(self) -> NDArray[np.float64]:
        """(3,) of the optical center."""
        return np.array([0.0, 0.0, self.scene.camera_height])

    def measure(self, which: Mask) -> None:
        """Make `center`, `size`, `yaw` and `cargo` valid for regions (N,) or (K, N).

        Raises:
            SpatialError: why one of them cannot be measured.
        """
        needed = which if which.ndim == 1 else which.any(axis=0)
        self._needed |= needed
        new = np.flatnonzero(needed & ~self._measured).tolist()
        self.scene.expect([self.ids[index] for index in new])
        for index in new:
            self._measure(index)

    def measure_footprints(self, which: Mask) -> None:
        """As `measure`, and refuse where no floor shows what stands where.

        Raises:
            SpatialError: as `measure`; CANNOT_TELL.
        """
        self.measure(which)
        for index in self._each(which):
            if not self.scene.place(self.ids[index]).has_footprint:
                raise cannot_tell(
                    f"too little of the floor is visible to tell where {self.name(index)} stands; "
                    "let the camera see the floor around the objects, and check that depth is "
                    "aligned to RGB"
                )

    def measure_sizes(self, which: Mask) -> None:
        """As `measure_footprints`, and refuse what has no known size.

        Raises:
            SpatialError: as `measure_footprints`; CANNOT_TELL.
        """
        self.measure_footprints(which)
        for index in self._each(which):
            unsized = self.scene.place(self.ids[index]).unsized
            if unsized:
                raise cannot_tell(f"{self.name(index)} {unsized}")

    def see(self, which: Mask) -> None:
        """Make `column` valid for regions (N,) or (K, N)."""
        needed = which if which.ndim == 1 else which.any(axis=0)
        for index in np.flatnonzero(needed & ~self._seen):
            noise = self._draws(int(index), stream=1, width=1)[:, 0]
            column = self._nominal_column(int(index))
            self.column[:, index] = column + self._column_std(int(index)) * noise
            self._seen[index] = True

    def look(self, which: Mask) -> None:
        """Make `color` valid for regions (N,) or (K, N); unknown ones keep -1.

        Raises:
            SpatialError: BAD_QUESTION for a zone, or for a scene without colors; CANNOT_TELL where
                none of the regions has a known color.
        """
        needed = which if which.ndim == 1 else which.any(axis=0)
        if (needed & self.zones).any():
            raise bad_question(
                f"{self.names(needed & self.zones)} is part of the floor; ask for the color of an "
                "object"
            )
        self._looked |= needed
        found = [self._look_at(index) for index in map(int, np.flatnonzero(needed))]
        problems = [item for item in found if isinstance(item, SpatialError)]
        if problems and len(problems) == len(found):
            raise problems[0]

    def _look_at(self, index: int) -> SeenColors | SpatialError:
        """The colors of a region, or why they are unknown; in the first copy the likeliest."""
        if index in self._colors:
            return self._colors[index]
        try:
            seen = self._colors[index] = self.scene.colors(self.ids[index])
        except SpatialError as error:
            if error.status is not Status.CANNOT_TELL:
                raise
            self._colors[index] = error
            return error
        generator = np.random.default_rng((SEED, self.ids[index], COLOR_STREAM))
        self.color[:, index] = generator.choice(len(COLORS), self.count, p=seen.weights)
        self.color[0, index] = np.argmax(seen.weights)
        return seen

    def face(self, which: Mask) -> None:
        """Make `heading` valid for regions (N,) or (K, N).

        What has a front that points nobody knows where may point anywhere in each copy but the
        first, so that no answer which depends on it is sure.

        Raises:
            SpatialError: BAD_QUESTION where none of the regions has a front; CANNOT_TELL where it
                is known of none.
        """
        found = [self._front_of(index) for index in self._each(which)]
        problems = [item for item in found if isinstance(item, SpatialError)]
        if problems and len(problems) == len(found):
            unknown = [item for item in problems if item.status is Status.CANNOT_TELL]
            raise (unknown or problems)[0]

    def _front_of(self, index: int) -> Front | SpatialError:
        """The front of a region, or why it is unknown or not there."""
        if index in self._fronts:
            return self._fronts[index]
        id = self.ids[index]
        generator = np.random.default_rng((SEED, id, END_STREAM))
        try:
            front = self._fronts[index] = self.scene.front(id)
        except SpatialError as error:
            if error.status not in (Status.CANNOT_TELL, Status.BAD_QUESTION):
                raise
            self._fronts[index] = error
            if error.status is Status.CANNOT_TELL:
                self.heading[1:, index] = generator.uniform(-np.pi, np.pi, self.count - 1)
            return error
        noise = self._draws(index, stream=FRONT_STREAM, width=1)[:, 0]
        self.heading[:, index] = front.angle + front.std * noise
        if not self._at_limits:
            others = generator.random(self.count - 1) >= front.certainty
            turns = generator.integers(1, 4, self.count - 1) * np.pi / 2
            self.heading[1:, index] += np.where(others, turns, 0.0)
        return front

    def has_color(self, place: int) -> Mask:
        """(K, N) what has a color after `look`, by its place in `COLORS`.

        What has an unknown color has it in every second copy, so that no answer which depends on
        it is sure.
        """
        every_second = (np.arange(self.count) % 2 == 1)[:, None]
        return np.asarray(np.where(self.color < 0, every_second, self.color == place))

    def color_notes(self, certainty: float, ids: Sequence[int]) -> list[str]:
        """What an answer mentions about colors that were read since `begin_question`.

        Args:
            certainty: a color that is less likely than this, 0 to 1, is unsure.
            ids: regions that are mentioned, too, where most of their pixels have another color.
        """
        notes = []
        for index in map(int, np.flatnonzero(self._looked)):
            seen = self._colors[index]
            if isinstance(seen, SpatialError):
                notes.append(seen.message)
                continue
            is_odd = self.ids[index] in ids and np.argmax(seen.fractions) != np.argmax(seen.weights)
            if is_odd or seen.weights.max() < certainty:
                notes.append(f"{self.name(index)} is {seen.in_words()}")
        return notes

    def has_unclear_colors(self, certainty: float) -> bool:
        """Whether some colors that were read since `begin_question` are known, and not all of them.

        Args:
            certainty: a color that is less likely than this, 0 to 1, is unsure.
        """
        read = [self._colors[index] for index in map(int, np.flatnonzero(self._looked))]
        seen = [colors for colors in read if isinstance(colors, SeenColors)]
        is_clear = [colors.weights.max() >= certainty for colors in seen]
        return bool(seen) and not (len(seen) == len(read) and all(is_clear))

    def has_mixed_colors(self, certainty: float) -> bool:
        """Whether something of an unsure color that was read since `begin_question` has several.

        Args:
            certainty: a color that is less likely than this, 0 to 1, is unsure.
        """
        read = (self._colors[index] for index in map(int, np.flatnonzero(self._looked)))
        return any(
            isinstance(seen, SeenColors) and seen.weights.max() < certainty and seen.is_mixed
            for seen in read
        )

    def name(self, index: int) -> str:
        """Such as "pallet 3"."""
        return self.regions.regions[index].name

    def names(self, which: Mask) -> str:
        """Names of regions (N,), in words."""
        return in_words([self.name(int(index)) for index in np.flatnonzero(which)]) or "none"

    def begin_question(self) -> None:
        """Forget what was needed for the question before; what was measured stays cached."""
        self._needed[:] = False
        self._looked[:] = False
        self._pixel_needed = False

    def is_needed(self, id: int) -> bool:
        """Whether the measurement of a region was needed since `begin_question`."""
        return bool(self._needed[self._index[id]])

    @property
    def pixel_is_needed(self) -> bool:
        """Whether the depth at a pixel was needed since `begin_question`."""
        return self._pixel_needed

    def depth_at(self, column: int, row: int) -> Values:
        """(K,) depth at a pixel, meters; NaN without a reading.

        Raises:
            SpatialError: BAD_QUESTION for a scene without image.
        """
        self._pixel_needed = True
        depth = float(self.scene.point_at(column, row)[2])
        if np.isnan(depth):
            return np.full(self.count, np.nan)
        noise = self._noise((column, row, PIXEL_STREAM), 1)[:, 0]
        return depth + self.scene.depth_std(column, row) * noise

    def to_optical(self, floor_points: Values) -> Values:
        """Points (..., 3) right, forward, height in the optical frame, meters."""
        return (floor_points - self.camera) @ self.scene.axes

    def _each(self, which: Mask) -> list[int]:
        return [int(i) for i in np.flatnonzero(which if which.ndim == 1 else which.any(axis=0))]

    def _measure(self, index: int) -> None:
        placed = self.scene.place(self.ids[index])
        noise = self._draws(index, stream=0, width=9)
        chosen, shift_std, face_std = self._choose(index, placed)
        outward = noise[:, 3:].reshape(-1, 3, 2) * face_std + chosen
        offset = noise[:, :3] * shift_std + (outward[..., 1] - outward[..., 0]) / 2
        cosine, sine = np.cos(placed.yaw), np.sin(placed.yaw)
        turned = offset.copy()
        turned[:, 0] = cosine * offset[:, 0] - sine * offset[:, 1]
        turned[:, 1] = sine * offset[:, 0] + cosine * offset[:, 1]
        self.center[:, index] = placed.center + turned
        self.size[:, index] = np.maximum(placed.size + outward.sum(axis=2), 0.0)
        self.yaw[index] = placed.yaw
        self.cargo[:, index] = self._loads(index, placed)
        self._measured[index] = True

    def _choose(self, index: int, placed: Placed) -> tuple[Values, Values, Values]:
        """How far out the faces (K, 3, 2) of a region lie by the sizes that it has in each copy.

        Also the standard deviations of its place and faces beside that. At limits, those of the
        sizes are in these.
        """
        choices = placed.choices
        if choices is None or self._at_limits:
            return np.zeros((self.count, 3, 2)), placed.shift_std, placed.face_std
        generator = np.random.default_rng((SEED, self.ids[index], CHOICE_STREAM))
        size = generator.choice(len(choices.weights), self.count, p=choices.weights)
        outward = choices.outward[size]
        outward[0] = 0.0
        return outward, choices.shift_std, choices.face_std

    def _loads(self, index: int, placed: Placed) -> NDArray[np.intp]:
        """(K,) what a region carries; more likely than not in the first copy, and at limits."""
        cargo = UNSEEN if placed.cargo is None else self._index.get(placed.cargo, UNSEEN)
        loaded = np.full(self.count, placed.loaded >= 0.5)
        if not self._at_limits:
            generator = np.random.default_rng((SEED, self.ids[index], LOAD_STREAM))
            loaded[1:] = generator.random(self.count - 1) < placed.loaded
        return np.where(loaded, cargo, NOTHING)

    def _column_std(self, index: int) -> float:
        region, own = self.regions.regions[index], self.scene.column_std
        return float(np.hypot(own, BOX_COLUMN_STD * region.box.width)) if is_box(region) else own

    def _nominal_column(self, index: int) -> float:
        return mask_column(self.regions.regions[index])

    def _draws(self, index: int, stream: int, width: int) -> Values:
        """(K, width) disturbances of a region in standard deviations; none in the first copy."""
        return self._noise((self.ids[index], stream), width)

    def _noise(self, of: tuple[int, ...], width: int) -> Values:
        """(K, width) disturbances of something, always the same ones."""
        generator = np.random.default_rng((SEED, *of))
        noise = generator.standard_t(TAIL, (self.count, width)) / np.sqrt(TAIL / (TAIL - 2))
        noise = np.sign(noise) if self._at_limits else noise
        noise[0] = 0.0
        return np.asarray(noise)


def in_words(names: list[str]) -> str:
    """Such as "pallet 3, pallet 4 and pallet 5"; empty for none."""
    *head, last = names or [""]
    return f"{', '.join(head)} and {last}" if head else last
