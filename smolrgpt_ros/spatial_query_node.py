"""The node that answers spatial questions: a lifecycle node around the service `spatial_query`.

It only connects: messages are read in `conversions`, frames are found in `frame_buffer`, answers
come from an `Answerer`. The service is there from the start, so that a request in any state gets
a response, if only with the reason why there is no answer.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields, replace

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.exceptions import ParameterException
from rclpy.executors import MultiThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.logging import get_logger
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.answerers.registry import WITH_CHECKPOINT, make_answerer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_core.question import Category
from smolrgpt_ros.answer_worker import Inquiry
from smolrgpt_ros.conversions import answer_to_message, duration_to_ns, frame_header
from smolrgpt_ros.diagnostics import AnswerStatistics, InputMonitor, overall
from smolrgpt_ros.ending_signals import EndingSignals
from smolrgpt_ros.frame_buffer import FrameRequest
from smolrgpt_ros.msg import SpatialAnswer as SpatialAnswerMessage
from smolrgpt_ros.parameter_declaration import declare, normalised
from smolrgpt_ros.parameters import QueryParameters
from smolrgpt_ros.query_session import QuerySession, SessionClosedError
from smolrgpt_ros.request_group import RequestGroup
from smolrgpt_ros.spinning import spin
from smolrgpt_ros.srv import SpatialQuery
from smolrgpt_ros.visualization import AnswerVisuals

NODE_NAME = "spatial_query"

DIAGNOSTICS_PERIOD_S = 1.0

SPARE_THREADS = 4
"""Beside one for each pending question: a refusal, lifecycle and parameters, timers, pictures."""

SHUTDOWN_GRACE_S = 4.0
"""Time for running answers at the end; `ros2 launch` loses its patience after 5 s."""

DELIVERY_S = 0.5
"""Time for the last response to be fetched: it lies in shared memory that ends with this process,
and rclpy cannot say when a response has arrived."""

NEXT_TRANSITIONS = {
    "unconfigured": ("configure", "activate"),
    "inactive": ("activate",),
}
"""What leads from a state to `active`."""


class SpatialQueryNode(LifecycleNode):
    """See `docs/ros_interfaces.md` for topics, service and parameters.

    Raises:
        ValueError: when a parameter is out of its range.
        rclpy.exceptions.ParameterException: when a parameter has another type.
    """

    def __init__(self) -> None:
        super().__init__(NODE_NAME)
        self.parameters = declare(self, QueryParameters)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._take_parameters)
        self._state = "unconfigured"
        self._failure = ""
        self._answerer: Answerer | None = None
        self._session: QuerySession | None = None
        self._monitor: InputMonitor | None = None
        self._statistics = AnswerStatistics()
        self._places = threading.Semaphore(self.parameters.max_pending)
        self._requests = RequestGroup()
        self._answers = self.create_lifecycle_publisher(SpatialAnswerMessage, "~/answers", 10)
        self._visuals = AnswerVisuals(self)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        self.create_service(
            SpatialQuery, "spatial_query", self._on_request, callback_group=self._requests
        )
        self._create_timers()

    def _create_timers(self) -> None:
        # On real time: a paused simulation must stop neither start nor diagnostics.
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        group = MutuallyExclusiveCallbackGroup()
        self.create_timer(DIAGNOSTICS_PERIOD_S, self._report, callback_group=group, clock=steady)
        if self.parameters.autostart:
            # In the default group, one after another with the lifecycle services.
            self._autostart = self.create_timer(0.0, self._start, clock=steady)

    def _start(self) -> None:
        self._autostart.cancel()
        if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
            self.trigger_activate()

    # Lifecycle

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Build the answerer."""
        return self._attempt("configure", self._configure) or super().on_configure(state)

    def _configure(self) -> None:
        values = self.parameters
        # Otherwise a checkpoint may stand ready for a later change to `answerer: model`.
        checkpoint = values.checkpoint if values.answerer in WITH_CHECKPOINT else ""
        self._answerer = make_answerer(values.answerer, checkpoint, values.model_settings())
        self._state = "inactive"

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the inputs and answer."""
        return self._attempt("activate", self._activate) or super().on_activate(state)

    def _activate(self) -> None:
        assert self._answerer is not None
        self._session = QuerySession(self, self._answerer, self.parameters)
        self._monitor = InputMonitor(self._session)
        self._state = "active"

    def _attempt(self, name: str, step: Callable[[], None]) -> TransitionCallbackReturn | None:
        """Run a step; rclpy would drop its exception, so it is kept for the operator."""
        try:
            step()
        except Exception as error:
            self._failure = f"{name} failed: {error}; repair that, then "
            self.get_logger().error("".join(traceback.format_exception(error)))
            return TransitionCallbackReturn.FAILURE
        self._failure = ""
        self.get_logger().info(self._state)
        return None

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Drop the inputs; a running answer is finished."""
        self._close_session("inactive")
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of the answerer."""
        self._answerer = None
        self._state = "unconfigured"
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let go of everything; the service goes on refusing until the process ends."""
        self._close_session("finalized")
        self._answerer = None
        return super().on_shutdown(state)

    def _close_session(self, state: str) -> None:
        self._state = state
        session, self._session, self._monitor = self._session, None, None
        if session:
            session.close()

    def finish_requests(self) -> bool:
        """Refuse from now on, and whether running answers were sent in the time of grace."""
        self._close_session("shutting down")
        return self._requests.wait_until_idle(SHUTDOWN_GRACE_S)

    # Requests

    def _on_request(
        self, request: SpatialQuery.Request, response: SpatialQuery.Response
    ) -> SpatialQuery.Response:
        inquiry = Inquiry(request.question, None, tuple(request.region_ids))
        try:
            answer = self._answer(request, inquiry)
            response.answer = _message(answer, inquiry)
        except Exception as error:
            # A request gets a response, whatever happens.
            answer = self._refusal(error, inquiry)
            response.answer = _message(answer, inquiry)
        self._statistics.record(answer.status, response.answer.latency_total, inquiry.warnings)
        self._answers.publish(response.answer)
        if answer.ok and inquiry.frame:
            self._visuals.show(inquiry.frame, inquiry.text, answer)
        return response

    def _answer(self, request: SpatialQuery.Request, inquiry: Inquiry) -> SpatialAnswer:
        session = self._session
        if session is None:
            raise self._not_active()
        inquiry.category = _category(request.category)
        frame_request = _frame_request(request, self.parameters)
        with self._place():
            try:
                return session.answer(inquiry, frame_request)
            except SessionClosedError as error:
                raise self._not_active() from error

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of `max_pending` places, or BUSY."""
        if not self._places.acquire(blocking=False):
            raise SpatialError(
                Status.BUSY,
                f"{self.parameters.max_pending} questions are waiting already (max_pending); ask "
                "again later",
            )
        try:
            yield
        finally:
            self._places.release()

    def _refusal(self, error: Exception, inquiry: Inquiry) -> SpatialAnswer:
        if not isinstance(error, SpatialError):
            self.get_logger().error("".join(traceback.format_exception(error)))
            error = SpatialError(
                Status.MODEL_ERROR,
                f"the answerer {self.parameters.answerer!r} failed with {error!r}; the log of "
                f"{self.get_fully_qualified_name()} has the details",
            )
        refusal = SpatialAnswer.refusal(error, inquiry.question)
        return refusal if inquiry.question else replace(refusal, category=inquiry.category)

    def _not_active(self) -> SpatialError:
        name = self.get_fully_qualified_name()
        commands = [
            f"`ros2 lifecycle set {name} {transition}`"
            for transition in NEXT_TRANSITIONS.get(self._state, ())
        ]
        remedy = f"run {' and '.join(commands)}" if commands else "start it again"
        return SpatialError(Status.NOT_ACTIVE, f"{name} is {self._state}: {self._failure}{remedy}")

    # Parameters and diagnostics

    def _check_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        try:
            self._with_changes(changed)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _take_parameters(self, changed: list[Parameter]) -> None:
        self.parameters = self._with_changes(changed)
        if self._session:
            self._session.apply(self.parameters)

    def _with_changes(self, changed: list[Parameter]) -> QueryParameters:
        names = {item.name for item in fields(QueryParameters)}
        values = {item.name: item.value for item in changed if item.name in names}
        return replace(self.parameters, **normalised(values))

    def _report(self) -> None:
        name, monitor = self.get_name(), self._monitor
        parts = monitor.diagnostics(name, self.parameters.max_age) if monitor else []
        parts.append(self._statistics.diagnostic(f"{name}: answers"))
        message = DiagnosticArray(status=[overall(name, self._state, parts), *parts])
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)


def _message(answer: SpatialAnswer, inquiry: Inquiry) -> SpatialAnswerMessage:
    latency_s = {**inquiry.latency_s, "total": inquiry.elapsed_s()}
    return answer_to_message(answer, inquiry.text, frame_header(inquiry.frame), latency_s)


def _category(value: int) -> Category | None:
    """Category of a request; None when its text says it."""
    if value == SpatialQuery.Request.CATEGORY_FREE_FORM:
        return None
    try:
        return Category(value)
    except ValueError:
        known = ", ".join(f"{category.value} ({category.name})" for category in Category)
        raise SpatialError(
            Status.BAD_QUESTION, f"category must be 0 (free form) or {known}, got {value}"
        ) from None


def _frame_request(request: SpatialQuery.Request, defaults: QueryParameters) -> FrameRequest:
    max_age_ns, timeout_ns = duration_to_ns(request.max_age), duration_to_ns(request.timeout)
    if min(max_age_ns, timeout_ns) < 0:
        raise SpatialError(
            Status.BAD_QUESTION,
            f"max_age and timeout must not be negative, got {max_age_ns / 1e9} s and "
            f"{timeout_ns / 1e9} s; zero means the default of the node",
        )
    return FrameRequest(
        stamp_ns=time_to_ns(request.stamp),
        max_age_ns=max_age_ns or int(defaults.max_age * 1e9),
        sync_tolerance_ns=int(defaults.sync_tolerance * 1e9),
        input_wait_s=defaults.input_wait,
        timeout_s=timeout_ns / 1e9 or defaults.timeout,
    )


def main(args: list[str] | None = None) -> None:
    """Run the node until SIGINT or SIGTERM; a running answer is sent before the process ends."""
    signals = EndingSignals()
    rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = SpatialQueryNode()
    except (ParameterException, ValueError) as error:
        get_logger(NODE_NAME).fatal(f"wrong parameter: {error}")
        rclpy.shutdown()
        sys.exit(1)
    executor = MultiThreadedExecutor(node.parameters.max_pending + SPARE_THREADS)
    executor.add_node(node)
    serving = threading.Thread(target=spin, args=(executor, node.get_logger()), name="executor")
    serving.start()
    signals.wait()
    is_idle = node.finish_requests()
    if not is_idle:
        # Threads cannot be stopped in Python, and the interpreter would wait for this one.
        node.get_logger().error("an answer takes too long, the process ends without it")
        os._exit(1)
    time.sleep(DELIVERY_S)
    executor.shutdown()
    serving.join()
    node.destroy_node()
    rclpy.shutdown()
