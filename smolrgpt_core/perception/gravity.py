"""The up direction of an image: from tf or an IMU, otherwise from the floor in the depth."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.geometry.ground_plane import find_ground_plane


@dataclass(frozen=True, eq=False)
class UpDirection:
    """The up direction, and its source.

    Attributes:
        up: unit vector (3,) in the optical frame, opposite to gravity.
        from_frame: whether it was set in the frame; otherwise it is the normal of the floor.
        camera_height: of the optical center above the floor, meters; None if it is not known.
    """

    up: NDArray[np.float64]
    from_frame: bool
    camera_height: float | None


def find_up(frame: RGBDFrame) -> UpDirection | None:
    """The up direction of a frame.

    Args:
        frame: with metric depth; its regions keep objects from being taken for the floor.

    Returns:
        None when it is not set and no floor is visible.
    """
    if frame.up is not None:
        return UpDirection(frame.up, True, frame.camera_height)
    floor = find_ground_plane(frame)
    return None if floor is None else UpDirection(floor.up, False, floor.camera_height)
