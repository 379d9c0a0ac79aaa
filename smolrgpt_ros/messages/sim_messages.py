"""The messages of one simulated frame, built once and published repeatedly with new stamps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from builtin_interfaces.msg import Time
from std_msgs.msg import Header

from smolrgpt_core.messages.types import Message
from smolrgpt_core.sim import SimulatedFrame
from smolrgpt_core.sim.drive import DepthEncoding
from smolrgpt_core.simulated_data import camera_messages
from smolrgpt_ros.messages.conversions import make_message


@dataclass(frozen=True)
class FrameMessages:
    """All messages of the camera for one frame, by topic.

    The messages share one header object, so a stamp is set for all of them.
    """

    header: Header
    by_topic: Mapping[str, Message]

    def set_stamp(self, stamp: Time) -> None:
        """Set the stamp of all messages."""
        self.header.stamp = stamp


def frame_messages(
    simulated: SimulatedFrame, frame_id: str, depth_encoding: DepthEncoding
) -> FrameMessages:
    """Convert a frame.

    Args:
        simulated: pixels, regions and truth.
        frame_id: optical frame for all headers.
        depth_encoding: 16UC1 or 32FC1.
    """
    header = Header(frame_id=frame_id)
    messages = camera_messages.frame_messages(make_message, simulated, header, depth_encoding)
    return FrameMessages(header, messages)
