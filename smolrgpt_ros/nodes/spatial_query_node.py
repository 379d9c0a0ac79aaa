"""The node that answers spatial questions: a lifecycle node around the service `spatial_query`.

It only connects: messages are read in `conversions`, frames are found in `frame_buffer`, answers
come from an `Answerer`. The service exists from the start, so that a request gets a response in any
state, if only with the reason why there is no answer.
"""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from std_srvs.srv import Trigger

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.registry import WITH_CHECKPOINT, make_answerer
from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.closing import ClosedError
from smolrgpt_core.errors import SpatialError, Status, bad_question
from smolrgpt_core.language import Category, load_languages
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_core.recordings.question_bag import RecordedMounting
from smolrgpt_ros.inputs.frame_buffer import FrameRequest
from smolrgpt_ros.inputs.frame_transforms import load_tf2
from smolrgpt_ros.messages.conversions import answer_to_message, duration_to_ns, frame_header
from smolrgpt_ros.msg import SpatialAnswer as SpatialAnswerMessage
from smolrgpt_ros.nodes.managed_node import ManagedNode
from smolrgpt_ros.nodes.node_state import (
    ACTIVE,
    FINALIZED,
    INACTIVE,
    LOADING,
    SHUTTING_DOWN,
    UNCONFIGURED,
)
from smolrgpt_ros.parameters.query import QueryParameters
from smolrgpt_ros.qos import SERVICE_QOS
from smolrgpt_ros.query.answer_worker import AnswererFailedError, Inquiry
from smolrgpt_ros.query.diagnostics import (
    AnswerMonitor,
    InputMonitor,
    label_diagnostic,
    service_diagnostic,
    transform_diagnostic,
)
from smolrgpt_ros.query.report import ServiceReport, described_answerer
from smolrgpt_ros.query.request_group import ConcurrencyLimit, RequestGroup
from smolrgpt_ros.query.session import QuerySession
from smolrgpt_ros.query.statistics import TOTAL, ServiceStatistics
from smolrgpt_ros.query.visualization import AnswerVisuals
from smolrgpt_ros.runtime.ending_signals import EndingSignals
from smolrgpt_ros.runtime.memory import release_memory, resident_bytes
from smolrgpt_ros.runtime.node_process import run_node, serve_on_threads
from smolrgpt_ros.srv import SpatialQuery

if TYPE_CHECKING:
    from smolrgpt_ros.query.recorder import QuestionRecorder

NODE_NAME = "spatial_query"

GIGABYTE = 10**9

TRACEBACK_PERIOD_S = 1.0
"""A failing answerer fails all questions of a batch; its traceback is logged once."""

SPARE_THREADS = 6
"""Threads in addition to one per pending question: for a refusal, a transition that loads,
requests about the lifecycle, parameters, timers, annotated images."""

SHUTDOWN_GRACE_S = 3.0
"""Time for running answers at shutdown; `ros2 launch` kills the process after 5 s."""

DELIVERY_S = 0.5
"""Time for the last response to be received: it is in shared memory that ends with this process,
and rclpy cannot tell when a response has arrived."""

NEXT_TRANSITIONS = {
    UNCONFIGURED: ("configure", "activate"),
    INACTIVE: ("activate",),
}
"""Transitions from each state to `active`."""


class SpatialQueryNode(ManagedNode[QueryParameters]):
    """See `docs/ros_interfaces.md` for topics, service and parameters.

    Raises:
        ValueError: a parameter is out of range.
        rclpy.exceptions.ParameterException: a parameter has the wrong type.
    """

    def __init__(self) -> None:
        super().__init__(NODE_NAME, QueryParameters)
        self._started_s = time.monotonic()
        self._answerer: Answerer | None = None
        self._description: dict[str, str] = {}
        self._session: QuerySession | None = None
        self._ended_session: QuerySession | None = None
        self._answering: threading.Thread | None = None
        self._closing = threading.Lock()
        self._monitor: InputMonitor | None = None
        self._recorder: QuestionRecorder | None = None
        self._statistics = ServiceStatistics()
        self._answer_monitor = AnswerMonitor()
        self._concurrency = ConcurrencyLimit(self.parameters.max_pending)
        self._requests = RequestGroup()
        self._answers = self.create_lifecycle_publisher(SpatialAnswerMessage, "~/answers", 10)
        self._visuals = AnswerVisuals(self)
        self.create_service(
            SpatialQuery,
            "spatial_query",
            self._on_request,
            qos_profile=SERVICE_QOS,
            callback_group=self._requests,
        )
        self.create_service(Trigger, "~/stats", self._on_stats, callback_group=self._reports)
        self.start(self.parameters.autostart)

    # Lifecycle

    def _configure(self) -> None:
        values = self.parameters
        if values.needs_tf2:
            # Before the checkpoint is loaded, not only at activation.
            load_tf2(values.needs_tf2)
        # Otherwise a checkpoint may be set for a later change to `answerer: model`.
        checkpoint = values.checkpoint if values.answerer in WITH_CHECKPOINT else ""
        sources = " and ".join(filter(None, (checkpoint, values.model_settings().adapter)))
        name = f"{values.answerer} with {sources}" if sources else values.answerer
        self.get_logger().info(f"loading {name} ...")
        started = time.monotonic()
        self._answerer = self._loader.load(lambda: _load_answerer(values, checkpoint))
        self._description = described_answerer(values)
        self.get_logger().info(f"loaded {name} in {time.monotonic() - started:.1f} s")

    def _is_loaded(self) -> bool:
        return self._answerer is not None

    def _activate(self) -> None:
        assert self._answerer is not None
        values = self.parameters
        # Before anything is started that would have to be stopped if this fails.
        recorder_kind = _recorder_kind() if values.record else None
        self._session = QuerySession(self, self._answerer, values, self._statistics)
        self._monitor = InputMonitor(self._session)
        if recorder_kind:
            self._recorder = recorder_kind(
                Path(values.record_folder).expanduser(),
                values.region_source,
                int(values.record_limit * GIGABYTE),
                self.get_logger(),
                values.transports,
            )
        # Parameters may have changed meanwhile.
        self._session.apply(self.parameters)
        if self._state.is_ending:
            self._close_session(SHUTTING_DOWN)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the inputs; a running answer is finished."""
        self._close_session(INACTIVE)
        recorder, self._recorder = self._recorder, None
        threading.Thread(target=self._finish_recording, args=[recorder], name="recording").start()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the answerer, and return its memory to the system."""
        self._state.set(UNCONFIGURED)
        self._release_answerer()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything; the service keeps refusing until the process ends."""
        self._close_session(FINALIZED)
        self._finish_recording(self._recorder)
        self._release_answerer()
        return super().on_shutdown(state)

    def _release_answerer(self) -> None:
        self._answerer, self._description = None, {}
        self._ended_session = None
        answering = self._answering
        if answering:
            answering.join(SHUTDOWN_GRACE_S)
        if answering and answering.is_alive():
            self.get_logger().warning(
                "the answerer is still busy; its memory is released when it has finished"
            )
            threading.Thread(
                target=_release_after, args=[answering], name="release", daemon=True
            ).start()
        else:
            release_memory()

    def _close_session(self, state: str) -> None:
        self._state.set(state)
        with self._closing:
            session, self._session, self._monitor = self._session, None, None
        if session:
            self._ended_session, self._answering = session, session.answering
            session.close()

    def finish_requests(self) -> None:
        """Refuse new requests, and give running answers some time; then refuse them too."""
        deadline = time.monotonic() + SHUTDOWN_GRACE_S
        self._close_session(SHUTTING_DOWN)
        self._loader.abandon()
        session = self._ended_session
        if not self._requests.wait_until_idle(SHUTDOWN_GRACE_S) and session:
            self.get_logger().error("an answer is taking too long; the process exits without it")
            session.give_up()
            self._requests.wait_until_idle(DELIVERY_S)
        if self._recorder:
            self._recorder.close(max(deadline - time.monotonic(), DELIVERY_S))

    def wait_for_delivery(self) -> None:
        """Give the last response the time to be received."""
        time.sleep(max(0.0, DELIVERY_S - self._requests.seconds_since_last_response()))

    def _finish_recording(self, recorder: QuestionRecorder | None) -> None:
        """End a recording after the last answer that belongs to it."""
        if recorder:
            self._requests.wait_until_idle(SHUTDOWN_GRACE_S)
            recorder.close()

    # Requests

    def _on_request(
        self, request: SpatialQuery.Request, response: SpatialQuery.Response
    ) -> SpatialQuery.Response:
        inquiry = Inquiry(request.question, None, tuple(request.region_ids))
        recorder = self._recorder
        try:
            answer = self._answer(request, inquiry)
            response.answer = _message(answer, inquiry)
        except Exception as error:
            # A request always gets a response.
            answer = self._refusal(error, inquiry)
            response.answer = _message(answer, inquiry)
        self._statistics.record(answer.status, _latency_s(answer, inquiry))
        if inquiry.frame:
            self._statistics.record_frame(inquiry.warnings, inquiry.facts)
        self._answers.publish(response.answer)
        # A question that waited while the node was loading came before the recorder.
        recorder = recorder or self._recorder
        if recorder and inquiry.samples:
            stamp_ns = inquiry.samples.rgb.stamp_ns
            asked = AskedQuestion(inquiry.text, inquiry.category, inquiry.region_ids, stamp_ns)
            mounting = RecordedMounting.of(inquiry.frame) if inquiry.frame else None
            recorder.record(asked, response.answer, inquiry.samples, inquiry.regions, mounting)
        return response

    def _answer(self, request: SpatialQuery.Request, inquiry: Inquiry) -> SpatialAnswer:
        inquiry.category = _category(request.category)
        frame_request = _frame_request(request, self.parameters)
        with self._concurrency.take():
            self._state.wait_while_loading(frame_request.timeout_s - inquiry.elapsed_s())
            session = self._session
            if session is None:
                raise self._not_active()
            try:
                answer = session.answer(inquiry, frame_request)
                located = session.in_target_frame(answer, inquiry, frame_request)
            except ClosedError as error:
                raise self._not_active() from error
        if inquiry.frame:
            # Images are annotated in the optical frame.
            self._visuals.show(inquiry.frame, inquiry.text, answer)
        return located

    def _refusal(self, error: Exception, inquiry: Inquiry) -> SpatialAnswer:
        if not isinstance(error, SpatialError):
            trace = "".join(traceback.format_exception(error))
            self.get_logger().error(trace, throttle_duration_sec=TRACEBACK_PERIOD_S)
            cause = error.__cause__ if isinstance(error, AnswererFailedError) else error
            error = SpatialError(
                Status.MODEL_ERROR,
                f"the answerer {self.parameters.answerer!r} failed with {cause!r}; the log of "
                f"{self.get_fully_qualified_name()} has the details",
            )
        refusal = SpatialAnswer.refusal(error, inquiry.question)
        return refusal if inquiry.question else replace(refusal, category=inquiry.category)

    def _not_active(self) -> SpatialError:
        name, state = self.get_fully_qualified_name(), self._state.name
        commands = [
            f"`ros2 lifecycle set {name} {transition}`"
            for transition in NEXT_TRANSITIONS.get(state, ())
        ]
        remedy = f"run {' and '.join(commands)}" if commands else "start it again"
        if state in (LOADING, ACTIVE):  # it has just become active
            remedy = (
                f"ask again in about {self._state.loading_left_s()} s, or with a timeout of at "
                "least that"
            )
        failure = f"{self._failure}; fix the cause, then " if self._failure else ""
        return SpatialError(Status.NOT_ACTIVE, f"{name} is {state}: {failure}{remedy}")

    # Parameters and diagnostics

    def _parameters_changed(self) -> None:
        if self._session:
            self._session.apply(self.parameters)

    def _diagnostic_parts(self) -> list[DiagnosticStatus]:
        name, monitor = self.get_name(), self._monitor
        parts = monitor.diagnostics(name, self.parameters.max_age) if monitor else []
        report = self._service_report()
        parts.append(self._answer_monitor.diagnostic(f"{name}: answers", report.statistics))
        parts.append(service_diagnostic(f"{name}: service", report))
        regions = self._session.newest_regions if self._session else None
        if regions is not None:
            label_map = self.parameters.label_map
            parts.append(label_diagnostic(f"{name}: labels", label_map, regions))
        transforms = self._session.transforms if self._session else None
        if transforms:
            now_ns = self.get_clock().now().nanoseconds
            parts.append(transform_diagnostic(f"{name}: transforms", transforms, now_ns))
        recorder = self._recorder
        if recorder:
            parts.append(recorder.diagnostic(f"{name}: recording"))
        return parts

    def _on_stats(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = True, self._service_report().to_json()
        return response

    def _service_report(self) -> ServiceReport:
        session = self._session
        return ServiceReport(
            state=self._state.name,
            uptime_s=time.monotonic() - self._started_s,
            answerer=self._description,
            queue_length=session.queue_length if session else 0,
            pending=self._concurrency.taken,
            max_pending=self._concurrency.limit,
            memory_bytes=resident_bytes(),
            threads=threading.active_count(),
            inputs=session.inputs.statistics if session else {},
            statistics=self._statistics.snapshot(),
        )


def _release_after(answering: threading.Thread) -> None:
    answering.join()
    release_memory()


def _latency_s(answer: SpatialAnswer, inquiry: Inquiry) -> dict[str, float]:
    """Seconds of a response by stage, including the answerer's own parts."""
    parts = {f"answer.{part}": seconds for part, seconds in answer.latency_s.items()}
    return {**inquiry.latency_s, **parts, TOTAL: inquiry.elapsed_s()}


def _message(answer: SpatialAnswer, inquiry: Inquiry) -> SpatialAnswerMessage:
    latency_s = {**inquiry.latency_s, TOTAL: inquiry.elapsed_s()}
    return answer_to_message(answer, inquiry.text, frame_header(inquiry.frame), latency_s)


def _recorder_kind() -> type[QuestionRecorder]:
    try:
        # rosbags, which it needs, is not part of ROS.
        from smolrgpt_ros.query.recorder import QuestionRecorder
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "rosbags":
            raise
        raise ModuleNotFoundError(
            "record needs rosbags, which is not installed; run `pip install rosbags`, or set "
            "record to false"
        ) from error
    return QuestionRecorder


def _load_answerer(values: QueryParameters, checkpoint: str) -> Answerer:
    """Everything that the first question would have to wait for."""
    load_languages()
    return make_answerer(
        values.answerer,
        checkpoint,
        values.model_settings(),
        values.fusion_settings(),
        values.object_sizes,
    )


def _category(value: int) -> Category | None:
    """Category of a request; None if its text determines it."""
    if value == SpatialQuery.Request.CATEGORY_FREE_FORM:
        return None
    try:
        return Category(value)
    except ValueError:
        known = ", ".join(f"{category.value} ({category.name})" for category in Category)
        raise bad_question(f"category must be 0 (free form) or {known}, got {value}") from None


def _frame_request(request: SpatialQuery.Request, defaults: QueryParameters) -> FrameRequest:
    max_age_ns, timeout_ns = duration_to_ns(request.max_age), duration_to_ns(request.timeout)
    if min(max_age_ns, timeout_ns) < 0:
        raise bad_question(
            f"max_age and timeout must not be negative, got {max_age_ns / 1e9} s and "
            f"{timeout_ns / 1e9} s; zero means the default of the node",
        )
    if timeout_ns > defaults.max_timeout * 1e9:
        raise bad_question(
            f"timeout must be at most {defaults.max_timeout:g} s (max_timeout), got "
            f"{timeout_ns / 1e9:g} s; ask for less, or raise the parameter",
        )
    return FrameRequest(
        stamp_ns=time_to_ns(request.stamp),
        max_age_ns=max_age_ns or int(defaults.max_age * 1e9),
        sync_tolerance_ns=int(defaults.sync_tolerance * 1e9),
        input_wait_s=defaults.input_wait,
        timeout_s=timeout_ns / 1e9 or defaults.timeout,
    )


def main(args: list[str] | None = None) -> None:
    """Run the node until SIGINT or SIGTERM; everybody gets a response before the process ends."""
    run_node(NODE_NAME, SpatialQueryNode, _serve, args)


def _serve(node: SpatialQueryNode, signals: EndingSignals) -> int:
    def finish() -> None:
        node.finish_requests()
        node.wait_for_delivery()

    threads = node.parameters.max_pending + SPARE_THREADS
    return serve_on_threads(node, signals, threads, finish)
