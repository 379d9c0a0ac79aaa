"""The node that serves a web page about the running query node: what it sees, what it is asked.

Visitors see the newest frame, ask the query node, and read its answers to everybody else.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.node import Node

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.asking import AskedQuestion, refusal
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.messages.answers import answer_from_message
from smolrgpt_core.messages.stamps import SYNCHRONIZED, time_to_ns
from smolrgpt_core.page.feed import Feed
from smolrgpt_core.page.health import HealthBoard, Level, NodeReport
from smolrgpt_ros.client import SERVICE, SpatialQueryClient
from smolrgpt_ros.inputs.live_frames import NOT_ACTIVE, LiveFrames
from smolrgpt_ros.msg import SpatialAnswer as SpatialAnswerMessage
from smolrgpt_ros.nodes.input_watch import InputWatch
from smolrgpt_ros.nodes.managed_node import ManagedNode
from smolrgpt_ros.nodes.node_state import FINALIZED, INACTIVE, SHUTTING_DOWN, UNCONFIGURED
from smolrgpt_ros.parameters.page import PageParameters
from smolrgpt_ros.runtime.diagnostic_status import diagnostic
from smolrgpt_ros.runtime.ending_signals import EndingSignals
from smolrgpt_ros.runtime.listening import Listener
from smolrgpt_ros.runtime.node_process import run_node, serve_on_threads

if TYPE_CHECKING:
    from smolrgpt_core.page.app import PageServer
    from smolrgpt_core.page.visit import Shared

NODE_NAME = "page"

THREADS = 4
"""For a transition that loads, requests about the lifecycle, parameters, and diagnostics."""

ANSWERS = "spatial_query/answers"
"""Where the query node publishes all of its answers."""


class ServiceDesk:
    """Asks the query node, always about its latest frame.

    Args:
        node: that asks.
        frames: of the camera, to show what an answer is about.
        timeout_s: of a question, in seconds.
    """

    def __init__(self, node: Node, frames: LiveFrames, timeout_s: float) -> None:
        self._client = SpatialQueryClient(node, SERVICE, timeout_s)
        self._frames = frames

    def answer(self, frame: RGBDFrame, asked: AskedQuestion) -> tuple[RGBDFrame, SpatialAnswer]:
        """The node's answer, and the frame that it is about.

        Args:
            frame: that the visitor sees.
            asked: the question.
        """
        try:
            answer: SpatialAnswer = (found := self._client.ask(
                asked.text, category=asked.category or 0, region_ids=asked.region_ids
            ))  # fmt: skip
        except (TimeoutError, RuntimeError) as error:
            return frame, refusal(SpatialError(Status.NOT_ACTIVE, str(error)), asked)
        stamp_ns = time_to_ns(found.stamp)
        if not stamp_ns:
            return frame, answer
        try:
            return self._frames.frame_at(stamp_ns), answer
        except SpatialError as error:
            note = f"the image shown is not the one the question was about: {error.message}"
            return frame, replace(answer, message="; ".join(filter(None, (answer.message, note))))

    def close(self) -> None:
        """Ask nothing more; questions without an answer are refused."""
        self._client.close()


class DeskOfTheNode:
    """The desk of the current activation; without one, questions are refused."""

    def __init__(self) -> None:
        self.current: ServiceDesk | None = None

    def answer(self, frame: RGBDFrame, asked: AskedQuestion) -> tuple[RGBDFrame, SpatialAnswer]:
        """See `ServiceDesk.answer`."""
        desk = self.current
        return desk.answer(frame, asked) if desk else (frame, refusal(NOT_ACTIVE, asked))


def report_of(status: DiagnosticStatus) -> NodeReport:
    """A status of `/diagnostics` for those who watch the page."""
    part = status.name.partition(": ")[2]
    level = Level(int.from_bytes(status.level, "little"))
    return NodeReport(part, level, status.message, {item.key: item.value for item in status.values})


class PageNode(ManagedNode[PageParameters]):
    """See `docs/page.md`."""

    def __init__(self) -> None:
        super().__init__(NODE_NAME, PageParameters)
        name = f"Camera {self.resolve_topic_name('rgb')}"
        self._frames = LiveFrames(name, lambda: self.get_clock().now().nanoseconds)
        self._desk = DeskOfTheNode()
        self._feed = Feed()
        self._health = HealthBoard(time.monotonic)
        self._answers: Listener | None = None
        self._watch: InputWatch | None = None
        self._server: PageServer | None = None
        self.start(self.parameters.autostart)

    def _configure(self) -> None:
        self._server = self._loader.load(self._serve)
        self.get_logger().info(f"page: {self._server.address.url}")

    def _serve(self) -> PageServer:
        # Here, on the loading thread: NiceGUI takes seconds to import.
        from smolrgpt_core.page.app import PageServer, address_of

        parameters = self.parameters
        server = PageServer(self._shared(), address_of(parameters.host, parameters.port))
        server.start()
        return server

    def _shared(self) -> Shared:
        from smolrgpt_core.page.visit import Shared

        return Shared(
            start=self._frames,
            desk=self._desk,
            library=None,
            corrections=None,
            feed=self._feed,
            health=self._health,
            rate=lambda: self.parameters.rate,
        )

    def _is_loaded(self) -> bool:
        return self._server is not None

    def _activate(self) -> None:
        parameters = self.parameters
        self._frames.open(self, parameters)
        inputs = self._frames.inputs
        assert inputs is not None
        self._watch = InputWatch(self.get_name(), inputs, SYNCHRONIZED)
        self._desk.current = ServiceDesk(self, self._frames, parameters.timeout)
        self._answers = Listener(self, "answers")
        self._answers.node.create_subscription(
            SpatialAnswerMessage, self.resolve_topic_name(ANSWERS), self._hear, 10
        )
        self._answers.node.create_subscription(
            DiagnosticArray, "/diagnostics", self._hear_reports, 10
        )
        self._answers.start()
        if self._state.is_ending:
            self._stop(SHUTTING_DOWN)

    def _hear(self, message: SpatialAnswerMessage) -> None:
        self._feed.add(message.question, answer_from_message(message))

    def _hear_reports(self, message: DiagnosticArray) -> None:
        """Note what a node of the same robot reports; there are nodes of others on the topic."""
        node = message.status[0].hardware_id if message.status else ""
        namespace, _, name = node.rpartition("/")
        if namespace == self.get_namespace().rstrip("/") and message.status[0].name == name:
            self._health.put(node, [report_of(status) for status in message.status])

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Receive and ask nothing more; the page stays and says so."""
        self._stop(INACTIVE)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Serve no page."""
        self._state.set(UNCONFIGURED)
        self._close_page()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        self._stop(FINALIZED)
        self._close_page()
        return super().on_shutdown(state)

    def finish(self) -> None:
        """End loading, receiving and serving, for the end of the process."""
        self._loader.abandon()
        self._stop(SHUTTING_DOWN)
        self._close_page()

    def _stop(self, state: str) -> None:
        self._state.set(state)
        self._watch = None
        desk, self._desk.current = self._desk.current, None
        answers, self._answers = self._answers, None
        closing: list[Callable[[], None]] = [self._frames.close]
        closing += [part.close for part in (desk, answers) if part]
        for close in closing:
            close()
        self._health.clear()

    def _close_page(self) -> None:
        server, self._server = self._server, None
        if server:
            server.stop()

    def _diagnostic_parts(self) -> list[DiagnosticStatus]:
        watch, server = self._watch, self._server
        inputs = watch.diagnostics() if watch else []
        if not server:
            return inputs
        values = {"address": f"{server.address.host}:{server.address.port}"}
        served = diagnostic(f"{self.get_name()}: served", DiagnosticStatus.OK, "", values)
        return [*inputs, served]


def serve(node: PageNode, signals: EndingSignals) -> int:
    """Execute callbacks until a signal asks to end; returns the exit status."""
    return serve_on_threads(node, signals, THREADS, node.finish)


def main(args: list[str] | None = None) -> None:
    """Run the node until SIGINT or SIGTERM."""
    run_node(NODE_NAME, PageNode, serve, args)
