"""What exists only while the query node is active: inputs, frames and the thread that answers."""

from __future__ import annotations

from rclpy.node import Node

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_ros.answer_worker import AnswerWorker, Inquiry, WorkerClosedError
from smolrgpt_ros.frame_buffer import (
    BufferClosedError,
    FrameBuffer,
    FrameRequest,
    FrameUnavailableError,
)
from smolrgpt_ros.frame_decoder import FrameDecoder
from smolrgpt_ros.inputs import SensorInputs, input_topics
from smolrgpt_ros.parameters import QueryParameters


class SessionClosedError(Exception):
    """The node was deactivated before the question had its turn."""


class QuerySession:
    """From activation to deactivation of the query node.

    Args:
        node: whose names, clock and graph are used.
        answerer: gives the answers.
        parameters: as they are at activation.
    """

    def __init__(self, node: Node, answerer: Answerer, parameters: QueryParameters) -> None:
        self._clock = node.get_clock()
        self._region_source = parameters.region_source
        topics = input_topics(node, parameters.region_source)
        self.buffer = FrameBuffer(parameters.buffer_size, topics)
        self.inputs = SensorInputs(
            node, self.buffer, parameters.region_source, parameters.input_reliability
        )
        self._worker = AnswerWorker(answerer, self._decoder(parameters))

    def apply(self, parameters: QueryParameters) -> None:
        """Take over the parameters that may change while active."""
        self._worker.decoder = self._decoder(parameters)

    def answer(self, inquiry: Inquiry, request: FrameRequest) -> SpatialAnswer:
        """Wait for the frame, then for the answer.

        Raises:
            SpatialError: with the reason when there is none.
            SessionClosedError: when the session is closed before the question has its turn.
        """
        try:
            samples = self.buffer.wait(request, self.now_ns)
            return self._worker.answer(inquiry, samples, request.timeout_s)
        except FrameUnavailableError as error:
            raise self.inputs.explain(error) from error
        except (BufferClosedError, WorkerClosedError) as error:
            raise SessionClosedError from error

    def now_ns(self) -> int:
        """The node's clock, which may be simulated."""
        return self._clock.now().nanoseconds

    def close(self) -> None:
        """Release everybody who waits and end the inputs; a running answer is finished."""
        self._worker.close()
        self.buffer.close()
        self.inputs.close()

    def _decoder(self, parameters: QueryParameters) -> FrameDecoder:
        return FrameDecoder(
            self._region_source, parameters.depth_scale, parameters.parsed_instance_labels()
        )
