"""The node that finds the objects of a camera's images, for robots without a segmenter.

RGB in, `RegionArray` out, with ids that stay with the objects from image to image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rclpy.qos import qos_profile_sensor_data

from smolrgpt_core.messages.compressed import plain_image, transported
from smolrgpt_core.messages.encodings import rgb_pixels
from smolrgpt_core.perception.settings import RegionFinderSettings
from smolrgpt_core.perception.stages import RegionFinder
from smolrgpt_core.perception.tracking import RegionTracker
from smolrgpt_ros.inputs.sensor_inputs import InputTypes
from smolrgpt_ros.messages.conversions import deserialized, message_class, regions_to_array
from smolrgpt_ros.msg import RegionArray
from smolrgpt_ros.nodes.image_node import ImageNode, serve
from smolrgpt_ros.nodes.image_worker import Images
from smolrgpt_ros.parameters.perception import RegionParameters
from smolrgpt_ros.runtime.node_process import run_node

NODE_NAME = "region_finder"

SHIPPED = "the segmenter of the package"


class RegionNode(ImageNode[RegionParameters]):
    """See `docs/perception.md` for topics and parameters."""

    def __init__(self) -> None:
        super().__init__(NODE_NAME, RegionParameters)
        self._regions = self.create_lifecycle_publisher(
            RegionArray, "regions", qos_profile_sensor_data
        )

    def _input_types(self) -> InputTypes:
        topic, kind = transported("rgb", self.parameters.rgb_transport)
        return {"rgb": (topic, message_class(kind))}

    def _synchronized(self) -> Sequence[str]:
        return ("rgb",)

    def _loader_of_model(self) -> tuple[str, Callable[[], RegionFinder]]:
        settings = self.parameters.finder_settings()
        name = settings.segmenter or SHIPPED
        if settings.detector:
            name = f"{settings.detector} with {settings.box_segmenter}"
        return name, lambda: _load(settings)

    def _activate(self) -> None:
        self._tracker = RegionTracker(self.parameters.tracking_settings())
        super()._activate()

    def _process(self, images: Images) -> None:
        sample = images["rgb"]
        _, kind = self._input_types()["rgb"]
        message = deserialized(sample.payload, kind, "rgb")
        rgb = rgb_pixels(plain_image(message))
        regions = self._tracker.update(rgb, self._model.find(rgb), sample.stamp_ns)
        self._regions.publish(regions_to_array(regions, message.header))


def _load(settings: RegionFinderSettings) -> RegionFinder:
    # Here, on the loading thread: importing PyTorch takes seconds.
    from smolrgpt_core.perception.regions import load_region_finder

    return load_region_finder(settings)


def main(args: list[str] | None = None) -> None:
    """Run the node until SIGINT or SIGTERM."""
    run_node(NODE_NAME, RegionNode, serve, args)
