"""A Python client of the query node that takes care of what every client of it must know.

    from smolrgpt_ros.client import SpatialQueryClient

    with SpatialQueryClient() as client:
        answer = client.ask("How far is pallet 20 from buffer 1?").raise_for_status()
        print(answer.value, answer.unit, answer.confidence)

A client receives on a thread of its own. Therefore `ask` may be called from a callback of a node
that spins, on whatever executor, and nobody has to spin anything for it.
"""

from __future__ import annotations

import atexit
import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import rclpy
from builtin_interfaces.msg import Duration, Time
from geometry_msgs.msg import Point, PointStamped
from rclpy.clock import Clock, ClockType
from rclpy.context import Context
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from std_msgs.msg import Header

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.closing import Closing
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import Category
from smolrgpt_core.messages.answers import answer_from_message
from smolrgpt_core.messages.stamps import NANOSECONDS
from smolrgpt_ros.msg import SpatialAnswer as SpatialAnswerMessage
from smolrgpt_ros.parameters.query import QueryParameters
from smolrgpt_ros.qos import SERVICE_QOS
from smolrgpt_ros.runtime.listening import NodeThread, hidden_node
from smolrgpt_ros.srv import SpatialQuery

SERVICE = "spatial_query"

DEFAULT_TIMEOUT_S = QueryParameters.timeout
"""As long as the node takes for a request that names no timeout."""

DELIVERY_S = 1.0
"""The node responds within the timeout of the request; after this much more, the answer is lost."""

POLL_S = 0.05
"""How often a client with unanswered questions checks the service and the time."""


class NoServiceError(TimeoutError):
    """The service is not available."""


@dataclass(frozen=True, eq=False)
class QueryAnswer(SpatialAnswer):
    """The answer of the node: the attributes of `SpatialAnswer`, and which image it is about.

    `centers_frame` always names a frame where there are centers.

    Attributes:
        stamp: of the images that were asked about, to ask more about them; zero if none were.
        frame_id: their optical frame; empty if none were asked about.
    """

    stamp: Time = field(default_factory=Time)
    frame_id: str = ""

    def raise_for_status(self) -> QueryAnswer:
        """The answer itself.

        Raises:
            SpatialError: it is a refusal: `status` is the reason, `message` says what to do.
        """
        if not self.ok:
            raise SpatialError(self.status, self.message)
        return self

    def center_of(self, region_id: int) -> PointStamped:
        """Where a region was at the stamp of the images, in meters in `centers_frame`.

        Args:
            region_id: one of `region_ids`.

        Raises:
            ValueError: the answer is not about this region, or the region has no depth.
        """
        if region_id not in self.region_ids:
            raise ValueError(f"the answer is about the regions {self.region_ids}, not {region_id}")
        center = self.centers[self.region_ids.index(region_id)]
        if not np.isfinite(center).all():
            raise ValueError(f"region {region_id} has no center: too little depth under its mask")
        x, y, z = center.tolist()
        header = Header(stamp=self.stamp, frame_id=self.centers_frame)
        return PointStamped(header=header, point=Point(x=x, y=y, z=z))


@dataclass(eq=False)
class _Asked:
    """A question without an answer yet.

    Attributes:
        timeout_s: seconds for the service to be there and the node to respond.
        deadline_s: when they are over, on the monotonic clock.
        response: what the service will respond; None while the request is not sent.
    """

    request: SpatialQuery.Request
    timeout_s: float
    deadline_s: float
    future: Future = field(default_factory=Future)
    response: Future | None = None


class SpatialQueryClient(Closing):
    """Asks questions, from any thread, until `close` or the end of a `with` block.

    When the node is restarted, questions that it has not answered are sent again as soon as it is
    back, within their timeout.

    Args:
        node: that asks: its namespace and remappings hold, and it may spin or not. None: the client
            is a node itself, `spatial_query_client`, and starts rclpy if nobody has.
        service: name of the service.
        timeout: of questions that name none, in seconds.
    """

    def __init__(
        self, node: Node | None = None, service: str = SERVICE, timeout: float = DEFAULT_TIMEOUT_S
    ) -> None:
        self._asking = node
        self._own_context = _started_context() if node is None else None
        own = hidden_node(node, "client") if node else _visible_node(self._own_context)
        self.service_name: str = (node or own).resolve_service_name(service)
        self._timeout_s = _checked(timeout)
        self._lock = threading.Lock()
        self._questions: list[_Asked] = []
        self._end = ""
        self._is_closed = False
        self._thread = NodeThread(own, "spatial_query_client", daemon=True)
        self._client = own.create_client(SpatialQuery, self.service_name, qos_profile=SERVICE_QOS)
        self._news = own.create_guard_condition(self._attend)
        # On real time: a paused simulation must not stop timeouts.
        self._timer = own.create_timer(
            POLL_S, self._attend, clock=Clock(clock_type=ClockType.STEADY_TIME)
        )
        own.context.on_shutdown(self._on_shutdown)
        atexit.register(self.close)
        self._thread.start()

    @property
    def service_is_ready(self) -> bool:
        """Whether the service is available."""
        return bool(self._client.service_is_ready())

    def ask(
        self,
        question: str = "",
        *,
        category: Category | int = 0,
        region_ids: Sequence[int] = (),
        stamp: Time | None = None,
        max_age: float = 0.0,
        timeout: float | None = None,
    ) -> QueryAnswer:
        """Ask and wait: `ok` is whether there is an answer, `status` and `message` are why not.

        Waits, and so does whatever the thread that calls has to do, for `timeout` + 1 s at most. In
        a callback of a node that must go on meanwhile, use `ask_async`.

        Args:
            question: plain English; may be empty where category and region_ids are enough.
            category: what is asked; 0: read from the words.
            region_ids: ids for the `<mask>` placeholders of the question, in order, or those that a
                category without words is about.
            stamp: of the images to ask about, such as `stamp` of an answer; None: the newest.
            max_age: oldest images to accept, in seconds; 0: as the node is set.
            timeout: seconds for the service to be there and to answer; None: that of the client.

        Raises:
            NoServiceError: nobody offers the service within the timeout.
            TimeoutError: no response came: the node was killed, or hangs.
            RuntimeError: the client is closed, ROS was shut down, or this is a done callback of
                `ask_async`, in which the client cannot receive.
            ValueError: the timeout is not more than 0.
        """
        if self._thread.is_current:
            raise RuntimeError(
                "ask() in a done callback of ask_async() would wait for itself; use ask_async()"
            )
        future = self.ask_async(
            question,
            category=category,
            region_ids=region_ids,
            stamp=stamp,
            max_age=max_age,
            timeout=timeout,
        )
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        done.wait()  # ends: at its deadline the client gives a question up
        return future.result()

    def ask_async(
        self,
        question: str = "",
        *,
        category: Category | int = 0,
        region_ids: Sequence[int] = (),
        stamp: Time | None = None,
        max_age: float = 0.0,
        timeout: float | None = None,
    ) -> Future:
        """Ask without waiting; the result of the future is the `QueryAnswer`.

        Callbacks of a node may `await` it. Its done callbacks are called on the thread of the
        client, and should be short. `cancel` gives the question up.

        Args:
            question: as for `ask`, like all others.
            category: what is asked; 0: read from the words.
            region_ids: of the question.
            stamp: of the images to ask about; None: the newest.
            max_age: oldest images to accept, in seconds; 0: as the node is set.
            timeout: seconds for the service to be there and to answer; None: that of the client.

        Returns:
            A future with the result or the exception of `ask`.

        Raises:
            RuntimeError: the client is closed, or ROS was shut down.
            ValueError: the timeout is not more than 0.
        """
        timeout_s = self._timeout_s if timeout is None else _checked(timeout)
        request = SpatialQuery.Request(
            question=question,
            category=int(category),
            region_ids=list(region_ids),
            stamp=stamp or Time(),
            max_age=_duration(max_age),
        )
        asked = _Asked(request, timeout_s, time.monotonic() + timeout_s)
        with self._lock:
            if self._end:
                raise RuntimeError(self._end)
            self._questions.append(asked)
            self._news.trigger()
        return asked.future

    def close(self) -> None:
        """Abandon unanswered questions, and leave the graph. May be called more than once."""
        atexit.unregister(self.close)
        self._give_up(f"the client of {self.service_name} is closed")
        with self._lock:
            was_closed, self._is_closed = self._is_closed, True
        if was_closed:
            return
        self._thread.close()
        if self._own_context is not None:
            self._own_context.try_shutdown()

    def _attend(self) -> None:
        """Send, send again, or give up; on the thread of the client."""
        is_ready = self._client.service_is_ready()
        for asked in self._unanswered():
            if asked.response is not None and not is_ready:
                self._client.remove_pending_request(asked.response)
                asked.response = None
            self._attend_to(asked, is_ready)
        if self._unanswered():
            self._timer.reset()
        else:
            self._timer.cancel()

    def _unanswered(self) -> list[_Asked]:
        with self._lock:
            self._questions = [asked for asked in self._questions if not asked.future.cancelled()]
            return list(self._questions)

    def _attend_to(self, asked: _Asked, is_ready: bool) -> None:
        left_s = asked.deadline_s - time.monotonic()
        if asked.response is None and left_s <= 0:
            self._finish(asked, self._no_service(asked))
        elif asked.response is None and is_ready:
            asked.request.timeout = _duration(left_s)
            asked.response = self._client.call_async(asked.request)
            asked.response.add_done_callback(lambda response: self._on_response(asked, response))
        elif asked.response is not None and left_s <= -DELIVERY_S:
            self._client.remove_pending_request(asked.response)
            self._finish(asked, self._no_response(asked))

    def _on_response(self, asked: _Asked, response: Future) -> None:
        try:
            self._finish(asked, _typed(response.result().answer))
        except Exception as error:
            self._finish(asked, error)

    def _finish(self, asked: _Asked, outcome: QueryAnswer | Exception) -> None:
        with self._lock:
            if asked not in self._questions:
                return
            self._questions.remove(asked)
        if asked.future.cancelled():
            return
        if isinstance(outcome, Exception):
            asked.future.set_exception(outcome)
        else:
            asked.future.set_result(outcome)
        executor = self._asking.executor if self._asking else None
        if executor is not None:
            executor.wake()  # for a callback that awaits the future

    def _no_service(self, asked: _Asked) -> NoServiceError:
        return NoServiceError(
            f"{self.service_name} is not available after {asked.timeout_s:g} s; start the query "
            f"node, or look for its service: `ros2 service find smolrgpt_ros/srv/SpatialQuery`"
        )

    def _no_response(self, asked: _Asked) -> TimeoutError:
        return TimeoutError(
            f"{self.service_name} did not answer within {asked.timeout_s + DELIVERY_S:g} s; is "
            f"the node still running? `ros2 lifecycle get {self.service_name}`"
        )

    def _on_shutdown(self) -> None:
        self._give_up("ROS was shut down")

    def _give_up(self, reason: str) -> None:
        """Answer no more questions."""
        with self._lock:
            self._end = self._end or reason
        for asked in self._unanswered():
            self._finish(asked, RuntimeError(self._end))


def _started_context() -> Context | None:
    """A context for this client alone; None where rclpy runs already, with its default one."""
    if rclpy.get_default_context().ok():
        return None
    context = Context()
    rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
    return context


def _visible_node(context: Context | None) -> Node:
    return Node("spatial_query_client", context=context)


def _checked(timeout: float) -> float:
    if not timeout > 0:
        raise ValueError(f"timeout must be more than 0 s, got {timeout!r}")
    return timeout


def _duration(seconds: float) -> Duration:
    # Rounded up: what is left of a timeout must not become 0, which means the default of the node.
    whole, part = divmod(math.ceil(seconds * NANOSECONDS), NANOSECONDS)
    return Duration(sec=whole, nanosec=part)


def _typed(message: SpatialAnswerMessage) -> QueryAnswer:
    fields = vars(answer_from_message(message)) | {"centers_frame": message.centers_frame}
    return QueryAnswer(**fields, stamp=message.header.stamp, frame_id=message.header.frame_id)
