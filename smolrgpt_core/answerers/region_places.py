"""Where the regions of an answer are: what every answer says about them, whoever found it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.geometry.frame_geometry import FrameGeometry
from smolrgpt_core.geometry.surface import valid_depth_share


def region_places(
    geometry: FrameGeometry, ids: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centers (M, 3) in metres, NaN where depth does not tell them, and shares of valid depth (M,).

    Raises:
        SpatialError: UNKNOWN_REGION.
    """
    centers = np.array([_centre(id, geometry) for id in ids]).reshape(-1, 3)
    regions = geometry.frame.regions
    shares = np.array([valid_depth_share(geometry.frame, regions[id]) for id in ids])
    return centers, shares


def region_notes(geometry: FrameGeometry, ids: Sequence[int]) -> str:
    """What was assumed of regions that were located, for the message of an answer; else empty.

    Such as "pallet 3: from a box, not a mask".
    """
    told = []
    for id in dict.fromkeys(ids):
        try:
            notes = geometry.locate(id).notes
        except SpatialError as error:
            if error.status not in (Status.NO_VALID_DEPTH, Status.CANNOT_TELL):
                raise
            continue
        if notes:
            told.append(f"{geometry.frame.regions[id].name}: {', '.join(notes)}")
    return "; ".join(told)


def _centre(id: int, geometry: FrameGeometry) -> NDArray[np.float64]:
    try:
        return geometry.locate(id).centre
    except SpatialError as error:
        if error.status in (Status.NO_VALID_DEPTH, Status.CANNOT_TELL):
            return np.full(3, np.nan)
        raise
