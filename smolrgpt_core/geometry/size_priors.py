"""Standard sizes of warehouse objects, for the parts of an object that the camera cannot see.

The numbers are industry standards, data sheets and typical sizes, named beside each;
docs/accuracy.md states what they are good for. A label without a prior is measured only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

DECK_M = 0.5
"""Half of the usual depth of a deck, meters."""


@dataclass(frozen=True)
class SizePrior:
    """Usual sizes of one kind of object.

    Attributes:
        footprints: (length, width) of the standard footprints, meters.
        tolerance: standard deviation of real objects from a standard footprint, meters.
        on_floor: whether such objects always stand on the floor.
        side_std: standard deviation of where a side is seen from where the object ends, meters, as
            the camera sees through a rack, and the mast of a truck stands behind its forks.
        flat_m: what is higher has low parts that may go on behind what ends it higher up, as the
            forks of a truck behind its body, meters.
        deck_m: half of the usual depth of what ends it above, meters.
        tall: of what is higher than `tall_m`, as of a truck with a mast; None: the same.
        tall_m: height above the floor, meters.

    Raises:
        ValueError: when a size is not positive, naming the field.
    """

    footprints: tuple[tuple[float, float], ...]
    tolerance: float
    on_floor: bool
    side_std: float = 0.0
    flat_m: float = math.inf
    deck_m: float = DECK_M
    tall: SizePrior | None = None
    tall_m: float = math.inf

    def __post_init__(self) -> None:
        if not self.footprints or min(min(pair) for pair in self.footprints) <= 0:
            raise ValueError(f"footprints must be positive lengths, got {self.footprints}")
        if self.tolerance <= 0:
            raise ValueError(f"tolerance must be positive, got {self.tolerance}")
        if self.side_std < 0:
            raise ValueError(f"side_std must not be negative, got {self.side_std}")

    def of_height(self, top: float) -> SizePrior:
        """The prior of an object that ends at a height above the floor, meters."""
        return self.tall if self.tall is not None and top > self.tall_m else self


_TRANSPORTER = SizePrior(
    ((1.35, 0.9), (1.65, 0.8), (2.0, 0.9)),
    tolerance=0.1,
    on_floor=True,
    side_std=0.06,
    flat_m=0.6,
    tall=SizePrior(
        ((2.0, 0.9),), tolerance=0.15, on_floor=True, side_std=0.06, flat_m=0.6, deck_m=0.1
    ),
    tall_m=1.5,
)
"""Carriers of one pallet are about as wide as it. Flat mobile robots are hardly longer (MiR1350:
1.35 x 0.91 m); trucks add to 1.15 m of forks a drive unit of 0.5 m (pedestrian) to 0.85 m
(driverless or with a platform). What has a mast is a stacker, about 2 m long."""

SIZE_PRIORS: Mapping[str, SizePrior] = {
    # EUR 1 (EN 13698-1) 1.2 x 0.8 m and EUR 2 / industrial (EN 13698-2) 1.2 x 1.0 m; loads hang
    # over or stay behind the edge by a few centimeters.
    "pallet": SizePrior(((1.2, 0.8), (1.2, 1.0)), tolerance=0.03, on_floor=False),
    "transporter": _TRANSPORTER,
    # Counterbalance trucks for 1.5 to 2.5 t by their data sheets (VDI 2198): 1.1 to 1.25 m wide,
    # 1.95 to 2.35 m long to the face of forks of 1.15 m. The forks are thin and near the floor, so
    # hardly any reading tells at which end they are. What is too low for a mast is a pallet truck.
    "forklift": replace(
        _TRANSPORTER,
        tall=SizePrior(
            ((3.3, 1.15),), tolerance=0.15, on_floor=True, side_std=0.4, flat_m=0.6, deck_m=0.1
        ),
    ),
    # Adults who stand, about 0.5 m across the arms (DIN 33402-2), or make a step.
    "person": SizePrior(
        ((0.5, 0.35), (0.75, 0.5)),
        tolerance=0.1,
        on_floor=True,
        side_std=0.06,
        flat_m=0.6,
        deck_m=0.1,
    ),
    # The usual roll container; EN 12674-1 has names and no sizes. One looks through its wires.
    "cage": SizePrior(((0.8, 0.72),), tolerance=0.05, on_floor=True, side_std=0.06),
    # Steel drum of 216.5 l (ISO 15750-2), 0.585 m across its hoops.
    "drum": SizePrior(((0.585, 0.585),), tolerance=0.03, on_floor=True),
    # Feet of road cones of 0.3, 0.5 and 0.75 m (makers' lists; EN 13422 has no sizes).
    "cone": SizePrior(
        ((0.22, 0.22), (0.29, 0.29), (0.4, 0.4)), tolerance=0.05, on_floor=True, side_std=0.05
    ),
    # Doors of docks (makers' lists) and for people (DIN 18100), with their frames.
    "door": SizePrior(((3.0, 0.12), (2.75, 0.12), (1.0, 0.12)), tolerance=0.1, on_floor=True),
    # One bay of pallet racking for three (two) EUR pallets side by side: 2.7 (1.8) m between the
    # uprights (EN 15620) and one upright of 0.1 m. Frames are 1.1 m deep, so that the pallets on
    # them, 1.2 m long, hang over by 0.05 m on both sides.
    "shelf": SizePrior(((2.8, 1.2), (1.9, 1.2)), tolerance=0.1, on_floor=True, side_std=0.12),
}


def is_cuboid(prior: SizePrior | None) -> bool:
    """Whether objects of a class are boxes as a whole, without low parts that reach farther."""
    return prior is not None and math.isinf(prior.flat_m)
