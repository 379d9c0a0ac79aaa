"""Facts about a recorded frame, measured from its depth, in the form that questions are made from.

As good as the geometric answerer and no better: what is measured badly is left out, and wider
margins (`AmbiguityMargins`) leave out what is close. How much of an object is hidden is not known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.frame_geometry import FrameGeometry, Located
from smolrgpt_core.object_classes import known_class
from smolrgpt_core.regions import Region

MAX_STD_M = 0.35
"""An object whose centre is less certain than this is not asked about."""

_NOT_LOCATED = (Status.NO_VALID_DEPTH, Status.CANNOT_TELL)
_STANDING = ("pallet", "transporter")


@dataclass(frozen=True, eq=False)
class MeasuredObject:
    """One object; see `facts.ObjectFacts`. `std` is that of the centre, metres."""

    id: int
    label: str
    centre: NDArray[np.float64]
    visible_share: float
    buffer_ids: tuple[int, ...]
    buffer_margin: float
    loaded: bool
    std: float


@dataclass(frozen=True, eq=False)
class MeasuredFrame:
    """The objects of a frame that could be located, in the order of its regions."""

    objects: tuple[MeasuredObject, ...]


def facts_from_geometry(
    frame: RGBDFrame, geometry: FrameGeometry | None = None, max_std_m: float = MAX_STD_M
) -> MeasuredFrame:
    """Measure every region of a frame, for `generate_questions(facts, frame.regions, rng)`.

    Regions without enough depth, those that are not located well enough, and, in a frame without
    visible floor, all of them are left out. Labels must be those of the warehouse ("pallet",
    "buffer", "transporter", "shelf") for questions to be made.

    Args:
        frame: with regions and depth.
        geometry: of the same frame, if it has been measured before.
        max_std_m: largest standard deviation of a centre, metres.
    """
    geometry = geometry or FrameGeometry(frame)
    if geometry.plane is None:
        return MeasuredFrame(())
    places = {region.id: _locate(geometry, region.id) for region in frame.regions}
    sure = {id: place for id, place in places.items() if place and place.std <= max_std_m}
    zones = [id for id in sure if geometry.is_zone(id)]
    return MeasuredFrame(
        tuple(_measured(frame.regions[id], place, geometry, zones) for id, place in sure.items())
    )


def _locate(geometry: FrameGeometry, id: int) -> Located | None:
    try:
        place = geometry.locate(id)
    except SpatialError as error:
        if error.status not in _NOT_LOCATED:
            raise
        return None
    return place if place.footprint is not None else None


def _measured(
    region: Region, place: Located, geometry: FrameGeometry, zones: list[int]
) -> MeasuredObject:
    stands = known_class(region.label) in _STANDING
    margins = {zone: geometry.depth_inside(region.id, zone) for zone in zones} if stands else {}
    return MeasuredObject(
        id=region.id,
        label=region.label,
        centre=place.centre,
        visible_share=1.0,
        buffer_ids=tuple(zone for zone, inside in margins.items() if inside > 0),
        buffer_margin=max(margins.values(), default=float("nan")),
        loaded=place.cargo is not None,
        std=place.std,
    )
