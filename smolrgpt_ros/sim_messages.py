"""The messages of one simulated frame, built once and sent many times with a new stamp."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from builtin_interfaces.msg import Time
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from smolrgpt_core.sim import SimulatedFrame
from smolrgpt_ros.conversions import (
    DEPTH_ENCODINGS,
    image_to_message,
    intrinsics_to_camera_info,
    regions_to_array,
)
from smolrgpt_ros.msg import RegionArray
from smolrgpt_ros.msg import SceneTruth as SceneTruthMessage
from smolrgpt_ros.truth_conversions import truth_to_message


@dataclass(frozen=True)
class FrameMessages:
    """Everything that the camera sends for one frame, each field on the topic of its name.

    All messages hold the same header object, so one stamp is set for all of them.
    """

    header: Header
    rgb: Image
    depth: Image
    camera_info: CameraInfo
    regions: RegionArray
    instances: Image
    ground_truth: SceneTruthMessage

    def set_stamp(self, stamp: Time) -> None:
        """Give all messages this stamp."""
        self.header.stamp = stamp


def frame_messages(simulated: SimulatedFrame, frame_id: str, depth_encoding: str) -> FrameMessages:
    """Convert a frame.

    Args:
        simulated: pixels, regions and truth.
        frame_id: optical frame for all headers.
        depth_encoding: 16UC1 or 32FC1.
    """
    header, frame = Header(frame_id=frame_id), simulated.frame
    ids = frame.regions.to_label_image().astype(np.uint8)
    return FrameMessages(
        header=header,
        rgb=image_to_message(frame.rgb, "rgb8", header),
        depth=image_to_message(encode_depth(frame.depth, depth_encoding), depth_encoding, header),
        camera_info=intrinsics_to_camera_info(frame.intrinsics, header),
        regions=regions_to_array(frame.regions, header),
        instances=image_to_message(ids, "mono8", header),
        ground_truth=truth_to_message(simulated.truth, header),
    )


def encode_depth(depth: NDArray[np.float32], encoding: str) -> NDArray:
    """Pixels of a depth image (H, W) from metres (H, W), NaN = no reading.

    Whole numbers are rounded; 0 stands for no reading and for what they cannot hold.
    """
    dtype, metres_per_unit = DEPTH_ENCODINGS[encoding]
    if np.issubdtype(dtype, np.floating):
        return depth.astype(dtype)
    units = np.nan_to_num(np.round(depth / metres_per_unit), nan=0.0)
    return np.where(units <= np.iinfo(dtype).max, units, 0).astype(dtype)
