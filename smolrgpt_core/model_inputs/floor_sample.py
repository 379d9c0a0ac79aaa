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


def with_floor(
    samples: NDArray[np.float32],
    depth: NDArray[np.float32],
    intrinsics: CameraIntrinsics,
    up: NDArray[np.float64] | None = None,
    camera_height: float | None = None,
) -> NDArray[np.float32]:
    """Samples of regions with the camera's foot behind them.

    The floor is searched without the regions, of which a training row has only some.

    Args:
        samples: float32 (M, K, 3) of `region_samples`.
        depth: float32 (H, W), meters, NaN = no reading, of the same image.
        intrinsics: calibration of the same image.
        up: as of `RGBDFrame`.
        camera_height: as of `RGBDFrame`.

    Returns:
        float32 (M, K + 1, 3): the last is the point of the floor below the camera, optical frame,
        meters; NaN where no floor is found.
    """
    size = (intrinsics.height, intrinsics.width)
    frame = RGBDFrame(
        np.zeros((*size, 3), dtype=np.uint8), depth, intrinsics, RegionSet(size),
        up=up, camera_height=camera_height,
    )  # fmt: skip
    floor = find_floor(frame)
    foot = np.full(3, np.nan) if floor is None else -floor.camera_height * floor.up
    last = np.broadcast_to(foot.astype(np.float32), (len(samples), 1, 3))
    return np.concatenate([samples, last], axis=1)
