"""A node that estimates depth where there is no sensor, or fills the holes that a sensor leaves."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.messages.camera_info import intrinsics_from_camera_info
from smolrgpt_core.messages.compressed import plain_image, transported
from smolrgpt_core.messages.encodings import rgb_pixels
from smolrgpt_core.messages.reading import depth_from_image
from smolrgpt_core.messages.types import CAMERA_INFO, REGION_ARRAY
from smolrgpt_core.perception.completion import FittedDepthCompleter
from smolrgpt_core.perception.stages import DepthEstimator
from smolrgpt_ros.inputs.sensor_inputs import InputTypes
from smolrgpt_ros.messages.conversions import (
    deserialized,
    image_to_message,
    intrinsics_to_camera_info,
    message_class,
)
from smolrgpt_ros.nodes.image_node import ImageNode, serve
from smolrgpt_ros.nodes.image_worker import Images
from smolrgpt_ros.parameters.perception import COMPLETE, DepthParameters
from smolrgpt_ros.runtime.node_process import run_node

NODE_NAME = "depth_estimator"

SENSOR_DEPTH, REGIONS = "sensor_depth", "regions"


class DepthNode(ImageNode[DepthParameters]):
    """See `docs/perception.md` for topics and parameters."""

    def __init__(self) -> None:
        super().__init__(NODE_NAME, DepthParameters)
        self._depth = self.create_lifecycle_publisher(Image, "depth", qos_profile_sensor_data)
        self._calibration = self.create_lifecycle_publisher(
            CameraInfo, "~/camera_info", qos_profile_sensor_data
        )

    def _input_types(self) -> InputTypes:
        values = self.parameters
        topics = {
            "rgb": transported("rgb", values.rgb_transport),
            "camera_info": ("camera_info", CAMERA_INFO),
        }
        if values.mode == COMPLETE:
            topics[SENSOR_DEPTH] = transported(SENSOR_DEPTH, values.depth_transport)
        if values.with_regions:
            topics[REGIONS] = (REGIONS, REGION_ARRAY)
        return {name: (topic, message_class(kind)) for name, (topic, kind) in topics.items()}

    def _synchronized(self) -> Sequence[str]:
        return [name for name in self._input_types() if name != "camera_info"]

    def _loader_of_model(self) -> tuple[str, Callable[[], DepthEstimator]]:
        checkpoint, device = self.parameters.checkpoint, self.parameters.device
        if not checkpoint:
            raise ValueError(
                "checkpoint is empty; give the folder or hub id of a metric depth model, such as "
                "depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf"
            )
        return checkpoint, lambda: _load(checkpoint, device)

    def _process(self, images: Images) -> None:
        types = self._input_types()
        messages = {
            name: deserialized(sample.payload, types[name][1], name)
            for name, sample in images.items()
            if name != REGIONS
        }
        header = messages["rgb"].header
        rgb = rgb_pixels(plain_image(messages["rgb"]))
        received = _calibration(messages.get("camera_info"), rgb)
        if SENSOR_DEPTH in messages:
            sensor = depth_from_image(plain_image(messages[SENSOR_DEPTH], is_depth=True))
            depth = FittedDepthCompleter(self._model, intrinsics=received).complete(rgb, sensor)
        else:
            estimate = self._model.estimate(rgb, received)
            depth = estimate.depth
            self._publish_calibration(estimate.intrinsics, received, header)
        self._depth.publish(image_to_message(depth, "32FC1", header))

    def _publish_calibration(
        self, estimated: CameraIntrinsics | None, received: CameraIntrinsics | None, header: Header
    ) -> None:
        """What the model estimates stands in for a camera that is not calibrated."""
        if estimated and not received:
            self._calibration.publish(intrinsics_to_camera_info(estimated, header))


def _load(checkpoint: str, device: str) -> DepthEstimator:
    # Here, on the loading thread: importing PyTorch takes seconds.
    from smolrgpt_core.perception.depth import load_depth_estimator

    return load_depth_estimator(checkpoint, device)


def _calibration(message: CameraInfo | None, rgb: NDArray[np.uint8]) -> CameraIntrinsics | None:
    """The calibration of the camera; None if it sends none, or is not calibrated.

    Raises:
        SpatialError: BAD_INPUT when it cannot belong to the image.
    """
    if message is None or not any(message.k):
        return None
    height, width = rgb.shape[:2]
    try:
        return intrinsics_from_camera_info(message, (height, width))
    except SpatialError as error:
        raise bad_input(f"camera_info: {error}") from error


def main(args: list[str] | None = None) -> None:
    """Run the node until SIGINT or SIGTERM."""
    run_node(NODE_NAME, DepthNode, serve, args)
