"""An object of the warehouse: parts around an origin, placed in the world."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.sim.footprints import Footprint
from smolrgpt_core.sim.parts import ConvexPart, bounding_box, part_vertices, yaw_rotation


@dataclass(frozen=True, eq=False)
class SceneObject:
    """One object that can become a region.

    Attributes:
        id: stable in its scene, from `LABEL_ID_RANGES`.
        label: pallet, buffer, transporter or shelf.
        kind: what sort of it, such as "EUR cartons" or "large_deck".
        origin: (3,) world position of the origin of the object axes, meters.
        yaw: direction of the object's x axis, radians about world z.
        parts: in object axes; empty for a buffer, which is paint on the floor.
        paint_size: (length, width) of a buffer; (0, 0) for everything else.
        tint: factor on the colors, red, green, blue.
        carrier_id: the transporter or pallet that this pallet stands on, None for the floor.
        cargo_id: the pallet that stands on this transporter or pallet, None if there is none.
    """

    id: int
    label: str
    kind: str
    origin: tuple[float, float, float]
    yaw: float
    parts: tuple[ConvexPart, ...] = ()
    paint_size: tuple[float, float] = (0.0, 0.0)
    tint: tuple[float, float, float] = (1.0, 1.0, 1.0)
    carrier_id: int | None = None
    cargo_id: int | None = None

    @cached_property
    def _box(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if not self.parts:
            return np.zeros(3), np.array([*self.paint_size, 0.0])
        return bounding_box(self.parts)

    @property
    def rotation(self) -> NDArray[np.float64]:
        """(3, 3), object axes to world axes."""
        return yaw_rotation(self.yaw)

    @cached_property
    def center(self) -> NDArray[np.float64]:
        """(3,) world position of the middle of the bounding box, meters."""
        return self.rotation @ self._box[0] + np.asarray(self.origin)

    @property
    def size(self) -> NDArray[np.float64]:
        """(3,) bounding box along the object axes, meters."""
        return self._box[1]

    @cached_property
    def world_hulls(self) -> list[NDArray[np.float64]]:
        """Convex hulls of the parts: arrays (N, K, 3) of world points, one for each K.

        A buffer has one hull, its flat rectangle.
        """
        if not self.parts:
            return [np.column_stack([self.footprint.corners, np.zeros(4)])[None]]
        groups: dict[int, list[NDArray[np.float64]]] = {}
        for part in self.parts:
            vertices = part_vertices(part) @ self.rotation.T + np.asarray(self.origin)
            groups.setdefault(len(vertices), []).append(vertices)
        return [np.stack(group) for group in groups.values()]

    @property
    def footprint(self) -> Footprint:
        """The bounding box seen from above."""
        x, y, _ = self.center
        return Footprint(float(x), float(y), float(self.size[0]), float(self.size[1]), self.yaw)

    @property
    def footprint_center(self) -> tuple[float, float]:
        """World x, y of the middle of the footprint."""
        return float(self.center[0]), float(self.center[1])

    @property
    def loaded(self) -> bool:
        """Whether this is a transporter that carries a pallet."""
        return self.label == "transporter" and self.cargo_id is not None
