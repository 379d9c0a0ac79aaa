"""Which frames are chosen, and which messages make one."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import pytest
from rosbags.interfaces import MessageDefinition, MessageDefinitionFormat

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.messages.stamps import read_stamp_ns
from smolrgpt_core.messages.types import IMAGE, REGION_ARRAY
from smolrgpt_core.recordings.bag_reader import RecordedMessage
from smolrgpt_core.recordings.bag_types import BagTypes, BrokenMessageError, known_types
from smolrgpt_core.recordings.motion import MotionConfig, MotionFilter
from smolrgpt_core.recordings.synchronization import read_moments, synchronize
from smolrgpt_core.regions import RegionSet

MILLISECOND = 1_000_000
TOPICS = {name: f"/{name}" for name in ("rgb", "depth", "camera_info", "regions")}


def frame(gray: int = 100, depth_m: float = 4.0, share: float = 0.0) -> RGBDFrame:
    """A wall of which a share, from the left, is nearer and brighter."""
    rgb = np.full((120, 160, 3), 100, np.uint8)
    depth = np.full((120, 160), 4.0, np.float32)
    columns = round(share * 160)
    rgb[:, :columns], depth[:, :columns] = gray, depth_m
    intrinsics = CameraIntrinsics.from_vertical_fov(160, 120, 60.0)
    return RGBDFrame(rgb, depth, intrinsics, RegionSet((120, 160)))


@pytest.mark.parametrize(
    ("change", "chosen"),
    [
        ({"gray": 160, "share": 0.3}, True),
        ({"gray": 160, "share": 0.1}, False),
        ({"gray": 110, "share": 1.0}, False),
        ({"depth_m": 4.5, "share": 0.3}, True),
        ({"depth_m": 4.1, "share": 1.0}, False),
        ({"depth_m": float("nan"), "share": 1.0}, False),
    ],
)
def test_fraction_of_the_image_that_changed(change: dict[str, Any], chosen: bool) -> None:
    motion = MotionFilter(MotionConfig(min_change=0.2))
    assert motion.choose(frame())
    assert not motion.choose(frame())
    assert motion.choose(frame(**change)) is chosen


def test_slow_motion_adds_up() -> None:
    motion = MotionFilter(MotionConfig(min_change=0.2))
    chosen = [motion.choose(frame(gray=200, share=step * 0.06)) for step in range(9)]
    assert chosen == [True, False, False, False, True, False, False, False, True]


@pytest.mark.parametrize("field", ["min_change", "depth_ratio", "color_levels"])
def test_motion_out_of_range(field: str) -> None:
    with pytest.raises(SpatialError, match=field):
        MotionConfig(**{field: -0.1})


class Listing:
    """Messages of a recording that hold nothing but a stamp, in a given order."""

    def __init__(self, *messages: tuple[str, int]) -> None:
        self._messages = [
            RecordedMessage(f"/{name}", number, _with_stamp(stamp_ms))
            for number, (name, stamp_ms) in enumerate(messages)
        ]

    def messages(self, topics: Collection[str]) -> Iterator[RecordedMessage]:
        return (item for item in self._messages if item.topic in topics)


def _with_stamp(stamp_ms: int) -> bytes:
    seconds, milliseconds = divmod(stamp_ms, 1000)
    nanoseconds = milliseconds * MILLISECOND
    return b"\0\1\0\0" + seconds.to_bytes(4, "little") + nanoseconds.to_bytes(4, "little")


def test_nearest_messages_whatever_their_order() -> None:
    bag: Any = Listing(
        ("regions", 2000), ("rgb", 1000), ("depth", 1990), ("camera_info", 5), ("rgb", 2000),
        ("depth", 1010), ("regions", 1300), ("regions", 1001), ("rgb", 3000), ("depth", 2003),
    )  # fmt: skip
    found = synchronize(bag, TOPICS, 0.02)
    stamps = [
        {name: read_stamp_ns(raw) // MILLISECOND for name, raw in serialized.items()}
        for _, serialized in read_moments(bag, TOPICS, found.moments)
    ]
    assert stamps == [
        {"rgb": 1000, "depth": 1010, "camera_info": 5, "regions": 1001},
        {"rgb": 2000, "depth": 2003, "camera_info": 5, "regions": 2000},
    ]
    assert found.images == 3
    assert found.skipped == {"no depth within 20 ms": 1}


def test_input_that_never_came() -> None:
    bag: Any = Listing(("rgb", 1000), ("depth", 1000), ("regions", 1000))
    assert synchronize(bag, TOPICS, 0.02).skipped == {"without any camera_info": 1}


def test_types_without_definitions_are_those_of_jazzy_and_ours() -> None:
    types = known_types()
    image: Any = types.types[IMAGE](
        header=types.types["std_msgs/msg/Header"](
            stamp=types.types["builtin_interfaces/msg/Time"](sec=1, nanosec=2), frame_id="eye"
        ),
        height=1, width=1, encoding="mono8", is_bigendian=0, step=1,
        data=np.array([7], np.uint8),
    )  # fmt: skip
    serialized = bytes(types.serialize_cdr(image, IMAGE))
    assert BagTypes({}).decode(serialized, IMAGE).data.tolist() == [7]
    regions = types.types[REGION_ARRAY](
        header=image.header, image_height=1, image_width=1, regions=[]
    )
    serialized = bytes(types.serialize_cdr(regions, REGION_ARRAY))
    assert BagTypes({}).decode(serialized, REGION_ARRAY).regions == []


def test_definition_in_the_recording_goes_first() -> None:
    """An older Image, say, is read as it was written."""
    definition = MessageDefinition(MessageDefinitionFormat.MSG, "uint32 height\nuint8 other")
    decoded = BagTypes({IMAGE: definition}).decode(b"\0\1\0\0\5\0\0\0\6", IMAGE)
    assert (decoded.height, decoded.other) == (5, 6)


def test_broken_message_and_unknown_type() -> None:
    with pytest.raises(BrokenMessageError, match="cannot be decoded"):
        BagTypes({}).decode(b"\0\1\0\0\1", IMAGE)
    with pytest.raises(SpatialError, match="no definition of other_msgs/msg/Thing"):
        BagTypes({}).decode(b"\0\1\0\0\1", "other_msgs/msg/Thing")
