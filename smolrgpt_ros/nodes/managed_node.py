"""What the nodes that load a model have in common: life cycle, parameters, diagnostics.

A subclass implements `_configure` (load), `_activate` (start), and what undoes them.
"""

from __future__ import annotations

import traceback
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, Generic, TypeVar

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rclpy._rclpy_pybind11 import RCLError
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup, ReentrantCallbackGroup
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNodeMixin, LifecycleState, TransitionCallbackReturn
from rclpy.node import Node
from rclpy.parameter import Parameter

from smolrgpt_ros.nodes.node_state import ACTIVE, INACTIVE, LOADING, UNCONFIGURED, NodeState
from smolrgpt_ros.parameters.declaration import declare, normalized
from smolrgpt_ros.runtime.background_loader import BackgroundLoader, LoadingAbandonedError
from smolrgpt_ros.runtime.diagnostic_status import diagnostic, overall

DIAGNOSTICS_PERIOD_S = 1.0

NodeParameters = TypeVar("NodeParameters")


class ManagedNode(LifecycleNodeMixin, Node, Generic[NodeParameters]):
    """A lifecycle node that loads in the background and can start on its own.

    Args:
        name: of the node.
        kind: dataclass of its parameters; a field `autostart` decides whether the node configures
            and activates itself.

    Attributes:
        parameters: their current values.

    Raises:
        ValueError: a parameter is out of range.
        rclpy.exceptions.ParameterException: a parameter has the wrong type.
    """

    parameters: NodeParameters

    def __init__(self, name: str, kind: type[NodeParameters]) -> None:
        Node.__init__(self, name)
        # Concurrently, so that the state can be queried while a transition is loading.
        self._transitions = ReentrantCallbackGroup()
        LifecycleNodeMixin.__init__(self, callback_group=self._transitions)
        self._refuse_impossible_transitions()
        self._kind = kind
        self.parameters = declare(self, kind)
        self.add_on_set_parameters_callback(self._check_parameters)
        self.add_post_set_parameters_callback(self._take_parameters)
        self._state = NodeState()
        self._is_starting = False
        self._failure = ""
        self._loader = BackgroundLoader()
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", 10)
        # In real time: a paused simulation must stop neither start nor diagnostics.
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._reports = MutuallyExclusiveCallbackGroup()

    def start(self, autostart: bool) -> None:
        """Begin to report, and to load; called by the subclass when it is complete.

        Args:
            autostart: configure and activate as soon as callbacks are executed.
        """
        self.create_timer(
            DIAGNOSTICS_PERIOD_S, self._report, callback_group=self._reports, clock=self._steady
        )
        if autostart:
            self._is_starting = True
            self._state.set(LOADING)
            self._autostart = self.create_timer(
                0.0, self._start, callback_group=self._transitions, clock=self._steady
            )

    def _start(self) -> None:
        self._autostart.cancel()
        try:
            if self.trigger_configure() == TransitionCallbackReturn.SUCCESS:
                self.trigger_activate()
        except RCLError as error:
            self.get_logger().warning(
                f"autostart skipped: another transition is in progress: {error}"
            )
        self._is_starting = False
        if self._state.name == LOADING:
            self._state.set(INACTIVE if self._is_loaded() else UNCONFIGURED)

    # For subclasses

    @abstractmethod
    def _configure(self) -> None:
        """Load what the node needs; an exception fails the transition and is shown."""

    @abstractmethod
    def _activate(self) -> None:
        """Subscribe and work; an exception fails the transition and is shown."""

    @abstractmethod
    def _is_loaded(self) -> bool:
        """Whether `_configure` has succeeded and nothing has been released since."""

    def _parameters_changed(self) -> None:
        """Apply `parameters` to what is running."""

    def _diagnostic_parts(self) -> list[DiagnosticStatus]:
        """Statuses beside the overall one."""
        return []

    # Lifecycle

    def _refuse_impossible_transitions(self) -> None:
        """Respond to a request for a transition that is not possible in this state.

        rclpy raises without sending a response: `ros2 lifecycle set` would wait forever.
        """
        service = self._service_change_state
        change_state = service.callback

        def change_or_refuse(
            request: ChangeState.Request, response: ChangeState.Response
        ) -> ChangeState.Response:
            try:
                return change_state(request, response)
            except RCLError as error:
                self.get_logger().warning(f"transition not possible in this state: {error}")
                response.success = False
                return response

        service.callback = change_or_refuse

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load."""
        self._state.set(LOADING)
        failed = self._attempt("configure", self._configure)
        if failed:
            self._state.set(UNCONFIGURED)
        elif not self._is_starting:
            self._state.set(INACTIVE)
        return failed or super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Subscribe to the inputs and work."""
        failed = self._attempt("activate", self._activate)
        self._state.set(INACTIVE if failed else ACTIVE)
        return failed or super().on_activate(state)

    def _attempt(self, name: str, step: Callable[[], None]) -> TransitionCallbackReturn | None:
        """Run a transition; rclpy would drop its exception, so it is stored for the operator."""
        try:
            step()
        except LoadingAbandonedError:
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self._failure = f"{name} failed: {error}"
            self.get_logger().error("".join(traceback.format_exception(error)))
            return TransitionCallbackReturn.FAILURE
        self._failure = ""
        self.get_logger().info(f"{name}d")
        return None

    # Parameters and diagnostics

    def _check_parameters(self, changed: list[Parameter]) -> SetParametersResult:
        try:
            self._with_changes(changed)
        except ValueError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _take_parameters(self, changed: list[Parameter]) -> None:
        self.parameters = self._with_changes(changed)
        self._parameters_changed()

    def _with_changes(self, changed: list[Parameter]) -> NodeParameters:
        names = {item.name for item in fields(self._kind)}  # type: ignore[arg-type]
        values: dict[str, Any] = {item.name: item.value for item in changed if item.name in names}
        return replace(self.parameters, **normalized(values))  # type: ignore[type-var]

    def _report(self) -> None:
        name, parts = self.get_name(), self._diagnostic_parts()
        if self._failure:
            parts = [
                diagnostic(f"{name}: loading", DiagnosticStatus.ERROR, self._failure, {}),
                *parts,
            ]
        message = DiagnosticArray(status=[overall(name, self._state.name, parts), *parts])
        for status in message.status:
            # Names alone are the same for several robots, which share the topic.
            status.hardware_id = self.get_fully_qualified_name()
        message.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(message)
