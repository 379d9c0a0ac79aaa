"""What is up in an image: as tf or an IMU says, else by the floor that depth shows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.ground_plane import GroundPlaneConfig, find_ground_plane


@dataclass(frozen=True, eq=False)
class UpDirection:
    """What is up, and how it is known.

    Attributes:
        up: unit vector (3,) in the optical frame, opposite to gravity.
        from_frame: whether the frame says so; otherwise it is the floor's.
        camera_height: of the optical center above the floor, meters; None if it is not known.
    """

    up: NDArray[np.float64]
    from_frame: bool
    camera_height: float | None


def find_up(frame: RGBDFrame, config: GroundPlaneConfig | None = None) -> UpDirection | None:
    """What is up in a frame.

    Args:
        frame: with metric depth; its regions keep objects from being taken for the floor.
        config: how the floor is searched.

    Returns:
        None when the frame does not say it and no floor is seen.
    """
    if frame.up is not None:
        return UpDirection(frame.up, True, frame.camera_height)
    floor = find_ground_plane(frame, config)
    return None if floor is None else UpDirection(floor.up, False, floor.camera_height)
