"""The parts of the query node that exist only while it is active: inputs, frames, worker."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from functools import partial

import numpy as np
from rclpy.node import Node

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.geometry.rigid_transform import RigidTransform
from smolrgpt_core.language import Category, SpatialQuestion
from smolrgpt_core.language.answer_wording import answer_sentence
from smolrgpt_core.regions import RegionSet
from smolrgpt_ros.inputs.frame_buffer import (
    FrameBuffer,
    FrameRequest,
    FrameUnavailableError,
)
from smolrgpt_ros.inputs.frame_decoder import FrameDecoder
from smolrgpt_ros.inputs.frame_transforms import (
    FrameTransforms,
    TransformListener,
)
from smolrgpt_ros.inputs.mounting import MountingSource
from smolrgpt_ros.inputs.sensor_inputs import SensorInputs, input_topics, input_types
from smolrgpt_ros.parameters.query import EVERY_FRAME, QueryParameters
from smolrgpt_ros.query.answer_worker import (
    AnswerWorker,
    Inquiry,
    WorkerSettings,
)
from smolrgpt_ros.query.statistics import ServiceStatistics


class QuerySession:
    """Exists from activation to deactivation of the query node.

    Args:
        node: provides names, clock and graph.
        answerer: gives the answers.
        parameters: at activation.
        statistics: counts the calls of the answerer.

    Attributes:
        buffer: latest messages.
        inputs: fill the buffer.
        transforms: to `target_frame`; None if it is empty.

    Raises:
        ModuleNotFoundError: a package that the parameters need is missing; the message says how to
            install it.
    """

    def __init__(
        self,
        node: Node,
        answerer: Answerer,
        parameters: QueryParameters,
        statistics: ServiceStatistics,
    ) -> None:
        self._clock = node.get_clock()
        self._region_source = parameters.region_source
        self._transports = parameters.transports
        types = input_types(parameters.region_source, self._transports)
        self._tf = _transform_listener(node, parameters)
        self.transforms: FrameTransforms | None = None
        if self._tf and parameters.target_frame:
            self.transforms = FrameTransforms(self._tf, parameters.target_frame, "target_frame")
        self._mounting: MountingSource | None = None
        if parameters.needs_mounting:
            self._mounting = MountingSource(node, parameters, self._tf)
        self.buffer = FrameBuffer(parameters.buffer_size, input_topics(node, types))
        self.inputs = SensorInputs(
            node,
            self.buffer.add,
            types,
            parameters.input_reliability,
        )
        self._worker = AnswerWorker(
            answerer,
            self.buffer,
            self.now_ns,
            self._worker_settings(parameters),
            statistics.record_batch,
            node.get_logger(),
        )
        self.buffer.on_message = self._worker.look

    def apply(self, parameters: QueryParameters) -> None:
        """Apply the parameters that may change while active."""
        self._worker.settings = self._worker_settings(parameters)

    def answer(self, inquiry: Inquiry, request: FrameRequest) -> SpatialAnswer:
        """Wait for the frame, then for the answer.

        Raises:
            SpatialError: there is no answer; the message says why.
            ClosedError: the session was closed before the question was processed.
        """
        try:
            samples = self.buffer.wait(request, self.now_ns, inquiry.arrived_s)
            inquiry.samples = samples
            return self._worker.answer(inquiry, request, samples)
        except FrameUnavailableError as error:
            raise self.inputs.explain(error) from error

    def in_target_frame(
        self, answer: SpatialAnswer, inquiry: Inquiry, request: FrameRequest
    ) -> SpatialAnswer:
        """The answer with its positions and directions in `target_frame`, if it is set.

        Waits for the transform in the thread of the request, as long as for other inputs.

        Args:
            answer: in the optical frame.
            inquiry: its question and frame.
            request: has the time limits.

        Raises:
            SpatialError: NO_TRANSFORM.
            ClosedError: the session was closed meanwhile.
        """
        transforms, frame = self.transforms, inquiry.frame
        if transforms is None or frame is None or frame.frame_id == transforms.target_frame:
            return answer
        if not (np.isfinite(answer.centers).any() or _depends_on_frame(answer)):
            return replace(answer, centers_frame=transforms.target_frame)
        left_s = max(request.timeout_s - inquiry.elapsed_s(), 0.0)
        started = time.monotonic()
        try:
            transform = transforms.wait(
                frame.frame_id, frame.stamp_ns, min(request.input_wait_s, left_s)
            )
        finally:
            inquiry.latency_s["transform"] = time.monotonic() - started
        located = replace(
            answer,
            centers=transform.apply(answer.centers),
            centers_frame=transforms.target_frame,
        )
        assert inquiry.question is not None
        return _with_turned_vector(located, inquiry.question, transform, frame.regions)

    def now_ns(self) -> int:
        """The node's clock, which may be simulated."""
        return self._clock.now().nanoseconds

    @property
    def newest_regions(self) -> RegionSet | None:
        """The regions decoded last; None before, and after parameter changes."""
        return self._worker.settings.decoder.newest_regions

    @property
    def queue_length(self) -> int:
        """Number of questions that have a frame and wait for their turn."""
        return self._worker.queue_length

    def close(self) -> None:
        """Release waiting requests and end the inputs; a running answer is finished."""
        self._worker.close()
        self.buffer.close()
        if self._mounting:
            self._mounting.close()
        if self._tf:
            self._tf.close()
        self.inputs.close()

    def give_up(self) -> None:
        """After `close`: also release requests that wait for a running answer."""
        self._worker.give_up()

    @property
    def answering(self) -> threading.Thread:
        """Uses the answerer, until some time after `close`; keeps nothing when it has ended."""
        return self._worker.thread

    def _worker_settings(self, parameters: QueryParameters) -> WorkerSettings:
        find_mounting = None
        if self._mounting:
            find_mounting = partial(self._mounting.find, wait_s=parameters.input_wait)
        decoder = FrameDecoder(
            self._region_source,
            parameters.sensor_settings(),
            parameters.region_labels(),
            self._transports,
            self.inputs.topics["rgb"],
            find_mounting,
        )
        is_eager = parameters.encode == EVERY_FRAME
        newest = _newest_frame(parameters) if is_eager else None
        return WorkerSettings(decoder, parameters.max_batch, newest)


def _transform_listener(node: Node, parameters: QueryParameters) -> TransformListener | None:
    """A tf listener if one is needed, or if it may help and tf2 is installed."""
    if parameters.needs_tf2:
        return TransformListener(node, parameters.needs_tf2)
    if not parameters.needs_mounting:
        return None
    try:
        return TransformListener(node, "up_source")
    except ModuleNotFoundError:
        # An IMU in the frame of the image needs no tf; another one is refused with this reason.
        return None


def _with_turned_vector(
    answer: SpatialAnswer, question: SpatialQuestion, transform: RigidTransform, regions: RegionSet
) -> SpatialAnswer:
    """The answer with its vector, and the sentence if it contains that, in another frame."""
    if not _depends_on_frame(answer):
        return answer
    assert answer.vector is not None
    assert question.program is not None
    is_direction = answer.category is Category.DIRECTION
    vector = (transform.rotate if is_direction else transform.apply)(answer.vector)
    if answer.value is not None:  # a depth, which stays along the optical axis
        return replace(answer, vector=vector)
    text = answer_sentence(question.program, vector, regions, question.unit)
    return replace(answer, vector=vector, text=text)


def _depends_on_frame(answer: SpatialAnswer) -> bool:
    """Whether the vector of an answer depends on the frame; a size does not."""
    return answer.vector is not None and answer.category is not Category.SIZE


def _newest_frame(parameters: QueryParameters) -> FrameRequest:
    """A request for the latest available frame, with the default limits of questions."""
    return FrameRequest(
        stamp_ns=0,
        max_age_ns=int(parameters.max_age * 1e9),
        sync_tolerance_ns=int(parameters.sync_tolerance * 1e9),
        input_wait_s=0.0,
        timeout_s=0.0,
    )
