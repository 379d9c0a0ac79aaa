"""The newest frame of a running camera, for those who look at it from time to time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from rclpy.node import Node

from smolrgpt_core.closing import ClosedError
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_ros.inputs.frame_buffer import (
    FrameBuffer,
    FrameRequest,
    FrameUnavailableError,
)
from smolrgpt_ros.inputs.frame_decoder import FrameDecoder
from smolrgpt_ros.inputs.sensor_inputs import SensorInputs, input_topics, input_types
from smolrgpt_ros.parameters.page import PageParameters

NOT_ACTIVE = SpatialError(
    Status.NOT_ACTIVE,
    "the page node is not active; activate it: `ros2 lifecycle set page activate`",
)


@dataclass(frozen=True, eq=False)
class _Reception:
    """What exists while the node is active."""

    buffer: FrameBuffer
    inputs: SensorInputs
    decoder: FrameDecoder
    parameters: PageParameters


class LiveFrames:
    """A source of frames for the page: one frame, which changes.

    Messages are kept serialized. A frame is decoded when it is asked for, so that frames between
    are dropped and never queued, and a camera that nobody looks at costs their reception alone.

    Args:
        name: that visitors see.
        now_ns: the clock of the stamps.
    """

    count = 1
    is_live = True

    def __init__(self, name: str, now_ns: Callable[[], int]) -> None:
        self.name = name
        self._now_ns = now_ns
        self._reception: _Reception | None = None
        self._decoding = threading.Lock()

    @property
    def inputs(self) -> SensorInputs | None:
        """What is received; None while inactive."""
        reception = self._reception
        return reception.inputs if reception else None

    def open(self, node: Node, parameters: PageParameters) -> None:
        """Begin to receive.

        Args:
            node: provides names and graph.
            parameters: how frames are received and read.
        """
        reading = parameters.reading()
        types = input_types(reading.region_source, reading.transports)
        buffer = FrameBuffer(parameters.buffer_size, input_topics(node, types))
        inputs = SensorInputs(node, buffer.add, types, parameters.input_reliability)
        decoder = FrameDecoder(
            reading.region_source,
            reading.sensor_settings(),
            reading.region_labels(),
            reading.transports,
            inputs.topics["rgb"],
        )
        self._reception = _Reception(buffer, inputs, decoder, parameters)

    def close(self) -> None:
        """Receive nothing more, and release those who wait."""
        reception, self._reception = self._reception, None
        if reception:
            reception.buffer.close()
            reception.inputs.close()

    def frame(self, index: int) -> RGBDFrame:
        """The newest complete frame; waits for one if there is none yet.

        Args:
            index: 0.

        Raises:
            SpatialError: there is none, as the query node would explain it; NOT_ACTIVE.
        """
        return self._decode(stamp_ns=0)

    def frame_at(self, stamp_ns: int) -> RGBDFrame:
        """The frame of an answer.

        Args:
            stamp_ns: of its images, nanoseconds.

        Raises:
            SpatialError: it is no longer there, as the query node would explain it; NOT_ACTIVE.
        """
        return self._decode(stamp_ns)

    def _decode(self, stamp_ns: int) -> RGBDFrame:
        reception = self._reception
        if reception is None:
            raise NOT_ACTIVE
        request = _request(reception.parameters, stamp_ns)
        try:
            samples = reception.buffer.wait(request, self._now_ns)
        except FrameUnavailableError as error:
            raise reception.inputs.explain(error) from error
        except ClosedError as error:
            raise NOT_ACTIVE from error
        with self._decoding:
            return reception.decoder.decode(samples)[0].frame


def _request(parameters: PageParameters, stamp_ns: int) -> FrameRequest:
    # An answer takes as long as its timeout; until then its frame must be found.
    waited_s = parameters.timeout if stamp_ns else 0.0
    return FrameRequest(
        stamp_ns=stamp_ns,
        max_age_ns=int((parameters.max_age + waited_s) * 1e9),
        sync_tolerance_ns=int(parameters.sync_tolerance * 1e9),
        input_wait_s=1.0,
        timeout_s=1.0,
    )
