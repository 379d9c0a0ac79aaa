"""Writes a recording of a simulated camera, with the topics and messages of its node."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from rosbags.interfaces import (
    Connection,
    Qos,
    QosDurability,
    QosHistory,
    QosLiveliness,
    QosReliability,
    QosTime,
)
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys.store import Typestore

from smolrgpt_core.files import file_error
from smolrgpt_core.messages.making import header_message
from smolrgpt_core.messages.stamps import NANOSECONDS
from smolrgpt_core.messages.types import CAMERA_TOPICS, Message, OfferedTopic, Reliability
from smolrgpt_core.recordings.bag_types import BAG_VERSION, known_types
from smolrgpt_core.sim.drive import SimulatedDrive
from smolrgpt_core.simulated_data.camera_messages import frame_messages

Storage = Literal["sqlite3", "mcap"]

FIRST_STAMP_NS = 1_700_000_000 * NANOSECONDS
"""Stamp of the first frame. A fixed one: the same drive gives the same recording."""

UNSPECIFIED = QosTime(0, 0)

SENSORS: Reliability = "best_effort"
"""What the topics of the camera offer when the recording is played, as drivers of cameras do."""

RELIABILITIES = {
    "best_effort": QosReliability.BEST_EFFORT,
    "reliable": QosReliability.RELIABLE,
}


def write_simulated_bag(
    path: Path,
    drive: SimulatedDrive,
    storage: Storage = "sqlite3",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Record a drive through a simulated warehouse; complete or not written at all.

    Args:
        path: folder of the recording; must not exist.
        drive: what the camera sees; `drive.rate_hz` sets the stamps.
        storage: file format.
        progress: called with the number of frames written, and of all.

    Raises:
        SpatialError: BAD_INPUT when the path exists, or the drive is impossible.
        ImportError: MuJoCo or its renderer is missing.
        OSError: the recording cannot be written.
    """
    path = path.resolve()
    if path.exists():
        raise file_error(path, "already exists; choose another name, or remove it")
    path.parent.mkdir(parents=True, exist_ok=True)
    # The files of a recording have its name, so it is the folder around it that is temporary.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as temporary:
        unfinished = Path(temporary) / path.name
        plugin = StoragePlugin[storage.upper()]
        with Writer(unfinished, version=BAG_VERSION, storage_plugin=plugin) as writer:
            _write_frames(writer, drive, progress)
        unfinished.rename(path)


def _write_frames(
    writer: Writer,
    drive: SimulatedDrive,
    progress: Callable[[int, int], None],
) -> None:
    types = known_types()
    connections = {
        name: _add_topic(writer, types, name, topic) for name, topic in CAMERA_TOPICS.items()
    }

    def make(type_name: str, /, **fields: Any) -> Message:
        return types.types[type_name](**fields)

    for index, simulated in enumerate(drive.frames()):
        stamp_ns = FIRST_STAMP_NS + round(index / drive.rate_hz * NANOSECONDS)
        stamped = replace(simulated, frame=replace(simulated.frame, stamp_ns=stamp_ns))
        header = header_message(make, stamp_ns, drive.frame_id)
        messages = frame_messages(make, stamped, header, drive.depth_encoding)
        for name, message in messages.items():
            serialized = types.serialize_cdr(message, CAMERA_TOPICS[name].type_name)
            writer.write(connections[name], stamp_ns, serialized)
        progress(index + 1, drive.frame_count)


def _add_topic(
    writer: Writer,
    types: Typestore,
    name: str,
    topic: OfferedTopic,
) -> Connection:
    offered = Qos(
        history=QosHistory.KEEP_LAST,
        depth=topic.queue_depth,
        reliability=RELIABILITIES[topic.reliability or SENSORS],
        durability=QosDurability.VOLATILE,
        deadline=UNSPECIFIED,
        lifespan=UNSPECIFIED,
        liveliness=QosLiveliness.AUTOMATIC,
        liveliness_lease_duration=UNSPECIFIED,
        avoid_ros_namespace_conventions=False,
    )
    return writer.add_connection(
        f"/{name}", topic.type_name, typestore=types, offered_qos_profiles=[offered]
    )
