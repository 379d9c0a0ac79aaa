"""Where the floor is, as one more sample of each region: what is up, and how high the camera hangs.

A network that sees masks alone cannot know it, and heights, bearings and sizes depend on it. The
floor is that of `geometry.ground_plane`, from the depth of the whole image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.geometry.ground_plane import find_floor
from smolrgpt_core.regions import RegionSet


def camera_foot(
    depth: NDArray[np.float32],
    intrinsics: CameraIntrinsics,
    up: NDArray[np.float64] | None = None,
    camera_height: float | None = None,
) -> NDArray[np.float32]:
    """The point of the floor below the camera, float32 (3,), optical frame, meters.

    The floor is searched without the regions, of which a training row has only some.

    Args:
        depth: float32 (H, W), meters, NaN = no reading.
        intrinsics: calibration of the same image.
        up: as of `RGBDFrame`.
        camera_height: as of `RGBDFrame`.

    Returns:
        NaN where no floor is found.
    """
    size = (intrinsics.height, intrinsics.width)
    frame = RGBDFrame(
        np.zeros((*size, 3), dtype=np.uint8), depth, intrinsics, RegionSet(size),
        up=up, camera_height=camera_height,
    )  # fmt: skip
    floor = find_floor(frame)
    foot = np.full(3, np.nan) if floor is None else -floor.camera_height * floor.up
    return foot.astype(np.float32)


def with_foot(samples: NDArray[np.float32], foot: NDArray[np.float32]) -> NDArray[np.float32]:
    """Samples float32 (M, K, 3) of regions with the camera's foot (3,) behind them."""
    return np.concatenate([samples, np.broadcast_to(foot, (len(samples), 1, 3))], axis=1)
