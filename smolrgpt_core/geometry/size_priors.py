"""Standard sizes of warehouse objects, for the parts of an object that the camera cannot see.

The numbers are industry standards and data sheets, named beside each; docs/accuracy.md says what
they are good for. A label without a prior is measured only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SizePrior:
    """Usual sizes of one kind of object.

    Attributes:
        footprints: (length, width) of the standard footprints, metres.
        tolerance: standard deviation of real objects from a standard footprint, metres.
        on_floor: whether such objects always stand on the floor.

    Raises:
        ValueError: when a size is not positive, naming the field.
    """

    footprints: tuple[tuple[float, float], ...]
    tolerance: float
    on_floor: bool

    def __post_init__(self) -> None:
        if not self.footprints or min(min(pair) for pair in self.footprints) <= 0:
            raise ValueError(f"footprints must be positive lengths, got {self.footprints}")
        if self.tolerance <= 0:
            raise ValueError(f"tolerance must be positive, got {self.tolerance}")


SIZE_PRIORS: Mapping[str, SizePrior] = {
    # EUR 1 (EN 13698-1) 1.2 x 0.8 m and EUR 2 / industrial (EN 13698-2) 1.2 x 1.0 m; loads hang
    # over or stay behind the edge by a few centimetres.
    "pallet": SizePrior(((1.2, 0.8), (1.2, 1.0)), tolerance=0.03, on_floor=False),
    # Carriers for one pallet: flat mobile robots (MiR1350: 1.35 x 0.91 m) and counterbalanced or
    # hand pallet trucks (EUR pallet jack: 1.55 x 0.54 m).
    "transporter": SizePrior(((1.35, 0.91), (1.55, 0.54)), tolerance=0.15, on_floor=True),
    # One bay of pallet racking for three EUR pallets side by side: 2.7 m between the uprights,
    # frame depth 1.1 m (EN 15620, FEM 10.3.01).
    "shelf": SizePrior(((2.7, 1.1), (1.8, 1.1)), tolerance=0.15, on_floor=True),
}
