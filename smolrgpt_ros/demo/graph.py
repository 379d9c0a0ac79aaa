"""The demo's own node: calls the service, and receives frames, ground truth and annotated images.

The ground truth is only used for comparison with the answers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image

from smolrgpt_core.evaluation.region_matching import RegionMatch, as_found
from smolrgpt_core.messages.encodings import rgb_pixels
from smolrgpt_core.messages.reading import regions_from_array
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.truth import SceneTruth
from smolrgpt_ros.client import QueryAnswer, SpatialQueryClient
from smolrgpt_ros.messages.conversions import time_from_ns
from smolrgpt_ros.messages.truth_conversions import truth_from_message
from smolrgpt_ros.msg import RegionArray
from smolrgpt_ros.msg import SceneTruth as SceneTruthMessage
from smolrgpt_ros.srv import SpatialQuery

Viewpoint = tuple[tuple[int, float, float, float], ...]
"""Id and center in the optical frame of every object, which identify the camera pose."""

OWN_REGIONS = "own_regions"
"""Topic of the regions that are found in the image of the camera."""

MESSAGE_QUEUE = 20
MAX_FRAME_AGE_S = 40
"""The questions about a frame are asked within this time, on a busy machine too."""
ANSWER_TIMEOUT_S = 30
"""The inputs of the node for one answer."""
IMAGE_TIMEOUT_S = 30.0


class DemoError(Exception):
    """Something that the demo needs did not arrive."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """Regions and ground truth of one frame.

    Attributes:
        stamp_ns: of the frame.
        viewpoint: the same for all frames from one camera pose.
        regions, truth: of the frame; with own masks, in the numbers of the found regions.
        named: the regions that an answer can name.
        matches: the objects that were found with own masks; None with the simulator's.
    """

    stamp_ns: int
    viewpoint: Viewpoint
    regions: RegionSet
    truth: SceneTruth
    named: RegionSet
    matches: tuple[RegionMatch, ...] | None = None


class DemoNode(Node):
    """Everything happens on the thread that calls; each wait has a time limit.

    Args:
        while_waiting: is called again and again during each wait; may raise.
        own_masks: whether questions are about the regions of `OWN_REGIONS`.
    """

    def __init__(self, while_waiting: Callable[[], None], own_masks: bool = False) -> None:
        super().__init__("demo")
        self._while_waiting = while_waiting
        self._regions: dict[int, RegionArray] = {}
        self._found: dict[int, RegionArray] | None = None
        self._truths: dict[int, SceneTruthMessage] = {}
        self._annotated: Image | None = None
        self._client = SpatialQueryClient(self, timeout=ANSWER_TIMEOUT_S)
        self.create_subscription(
            RegionArray, "regions", lambda m: _keep(self._regions, m), qos_profile_sensor_data
        )
        if own_masks:
            found = self._found = {}
            self.create_subscription(
                RegionArray, OWN_REGIONS, lambda m: _keep(found, m), qos_profile_sensor_data
            )
        self.create_subscription(
            SceneTruthMessage, "ground_truth", lambda m: _keep(self._truths, m), MESSAGE_QUEUE
        )
        self.create_subscription(
            Image, "spatial_query/annotated_image", self._on_annotated_image, 1
        )
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self)

    def destroy_node(self) -> None:
        """Stop listening."""
        self._client.close()
        self._executor.shutdown()
        super().destroy_node()

    def _on_annotated_image(self, message: Image) -> None:
        self._annotated = message

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> bool:
        """Spin until a condition holds; returns whether it did within the time."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline:
                return False
            self._while_waiting()
            self._executor.spin_once(timeout_sec=0.05)
        return True

    @property
    def service_is_there(self) -> bool:
        """Whether the service is available."""
        return self._client.service_is_ready

    def newest_stamp(self, viewpoint: Viewpoint | None = None) -> int | None:
        """Stamp in nanoseconds of the latest frame with regions and truth.

        Args:
            viewpoint: that it must show; None: any.
        """
        stamps = self._regions.keys() & self._truths.keys()
        if self._found is not None:
            stamps &= self._found.keys()
        return max(
            (t for t in stamps if viewpoint in (None, _viewpoint(self._truths[t]))), default=None
        )

    def viewpoints(self, count: int, timeout_s: float) -> list[Snapshot]:
        """The viewpoints that the camera shows in turn, those with most regions first.

        The order does not depend on which one the camera shows now.

        Raises:
            DemoError: not enough arrived in time.
        """
        seen: dict[Viewpoint, Snapshot] = {}

        def all_seen() -> bool:
            stamp_ns = self.newest_stamp()
            if stamp_ns is not None:
                view = self._snapshot(stamp_ns)
                seen[view.viewpoint] = view
            return len(seen) >= count

        if not self.wait_for(all_seen, timeout_s):
            raise DemoError(f"{len(seen)} of {count} viewpoints arrived within {timeout_s:g} s")
        return sorted(seen.values(), key=lambda view: (-len(view.regions), view.viewpoint))

    def snapshot(self, viewpoint: Viewpoint, timeout_s: float) -> Snapshot:
        """A fresh frame of a viewpoint.

        Raises:
            DemoError: none arrived in time.
        """
        before = self.newest_stamp() or 0
        if not self.wait_for(lambda: (self.newest_stamp(viewpoint) or 0) > before, timeout_s):
            raise DemoError(f"no frame of this viewpoint arrived within {timeout_s:g} s")
        stamp_ns = self.newest_stamp(viewpoint)
        assert stamp_ns is not None
        return self._snapshot(stamp_ns)

    def _snapshot(self, stamp_ns: int) -> Snapshot:
        message = self._truths[stamp_ns]
        regions, truth = regions_from_array(self._regions[stamp_ns]), truth_from_message(message)
        if self._found is None:
            return Snapshot(stamp_ns, _viewpoint(message), regions, truth, regions)
        scene = as_found(regions, truth, regions_from_array(self._found[stamp_ns]))
        return Snapshot(
            stamp_ns, _viewpoint(message), scene.true, scene.truth, scene.named, scene.matches
        )

    def ask(self, request: SpatialQuery.Request, stamp_ns: int = 0) -> QueryAnswer:
        """The answer to a question about the frame with a stamp, 0 = the latest.

        Raises:
            DemoError: no response arrived in time.
        """
        self._annotated = None
        future = self._client.ask_async(
            request.question,
            category=request.category,
            region_ids=request.region_ids,
            stamp=time_from_ns(stamp_ns),
            max_age=MAX_FRAME_AGE_S if stamp_ns else 0,
        )
        self.wait_for(future.done, math.inf)  # ends: the client gives a question up in time
        try:
            return future.result()
        except TimeoutError as error:
            raise DemoError(str(error)) from error

    def annotated_image(self, answer: QueryAnswer) -> NDArray[np.uint8] | None:
        """The annotated image of the last answer, uint8 (H, W, 3); None if none arrives."""
        came = self.wait_for(
            lambda: self._annotated is not None and self._annotated.header.stamp == answer.stamp,
            IMAGE_TIMEOUT_S,
        )
        return rgb_pixels(self._annotated) if came and self._annotated else None


def _viewpoint(truth: SceneTruthMessage) -> Viewpoint:
    centers = [(item.id, item.pose.position) for item in truth.objects]
    return tuple((id, center.x, center.y, center.z) for id, center in centers)


def _keep(messages: dict, message: RegionArray | SceneTruthMessage) -> None:
    """Add a message under its stamp; drop the oldest."""
    messages[time_to_ns(message.header.stamp)] = message
    while len(messages) > MESSAGE_QUEUE:
        del messages[min(messages)]
