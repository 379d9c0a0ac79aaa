"""What `region_node` and `depth_node` have in common: images in, a model, a message out."""

from __future__ import annotations

import time
import traceback
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.messages.input_stamps import StampedMessage
from smolrgpt_ros.inputs.sensor_inputs import InputTypes, SensorInputs
from smolrgpt_ros.nodes.image_worker import Images, ImageWorker, NewestImages
from smolrgpt_ros.nodes.input_watch import InputWatch
from smolrgpt_ros.nodes.managed_node import ManagedNode
from smolrgpt_ros.nodes.node_state import FINALIZED, INACTIVE, SHUTTING_DOWN, UNCONFIGURED
from smolrgpt_ros.runtime.diagnostic_status import diagnostic
from smolrgpt_ros.runtime.ending_signals import EndingSignals
from smolrgpt_ros.runtime.memory import release_memory
from smolrgpt_ros.runtime.node_process import serve_on_threads

THREADS = 4
"""For a transition that loads, requests about the lifecycle, parameters, and diagnostics."""

ENDING_GRACE_S = 3.0
"""Time for the image that is being processed at the end; `ros2 launch` kills after 5 s."""

ERROR_PERIOD_S = 5.0
"""A model that fails, fails on each image; its error is logged once in this time."""


class ImageParameters(Protocol):
    """Parameters that all image nodes have; see `parameters.perception`."""

    @property
    def autostart(self) -> bool: ...  # noqa: D102
    @property
    def rate(self) -> float: ...  # noqa: D102
    @property
    def input_reliability(self) -> str: ...  # noqa: D102
    @property
    def sync_tolerance(self) -> float: ...  # noqa: D102


NodeParameters = TypeVar("NodeParameters", bound=ImageParameters)


class ImageNode(ManagedNode[NodeParameters]):
    """Loads a model at configure; while active, processes the newest images at a limited rate.

    A subclass names its inputs, loads its model, and makes a message of the images.
    """

    def __init__(self, name: str, kind: type[NodeParameters]) -> None:
        super().__init__(name, kind)
        self._model: Any = None
        self._inputs: SensorInputs | None = None
        self._worker: ImageWorker | None = None
        self._watch: InputWatch | None = None
        self.start(self.parameters.autostart)

    # For subclasses

    @abstractmethod
    def _input_types(self) -> InputTypes:
        """Relative topic name and message type of each input."""

    @abstractmethod
    def _synchronized(self) -> Sequence[str]:
        """Inputs that must belong together, the color image first."""

    @abstractmethod
    def _loader_of_model(self) -> tuple[str, Callable[[], Any]]:
        """Name of the model for the log, and what loads it."""

    @abstractmethod
    def _process(self, images: Images) -> None:
        """Make a message of the images and publish it."""

    # Lifecycle

    def _configure(self) -> None:
        name, load = self._loader_of_model()
        self.get_logger().info(f"loading {name} ...")
        started = time.monotonic()
        self._model = self._loader.load(load)
        self.get_logger().info(f"loaded {name} in {time.monotonic() - started:.1f} s")

    def _is_loaded(self) -> bool:
        return self._model is not None

    def _activate(self) -> None:
        values, types = self.parameters, self._input_types()
        images = self._synchronized()
        others = [name for name in types if name not in images]
        newest = NewestImages(images, others, values.sync_tolerance, values.rate)
        worker = ImageWorker(self._process, values.rate, self._on_error)

        def add(name: str, stamp_ns: int, serialized: bytes) -> None:
            found = newest.add(name, StampedMessage(stamp_ns, serialized))
            if found:
                worker.offer(found)

        self._newest, self._worker = newest, worker
        self._inputs = SensorInputs(self, add, types, values.input_reliability)
        self._watch = InputWatch(self.get_name(), self._inputs, images)
        if self._state.is_ending:
            self._stop(SHUTTING_DOWN)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close the inputs; the image that is being processed is finished."""
        self._stop(INACTIVE)
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release the model, and return its memory to the system."""
        self._state.set(UNCONFIGURED)
        self._model = None
        release_memory()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Release everything."""
        self._stop(FINALIZED)
        self._model = None
        return super().on_shutdown(state)

    def finish(self) -> None:
        """End loading and processing, for the end of the process."""
        self._loader.abandon()
        self._stop(SHUTTING_DOWN)

    def _stop(self, state: str) -> None:
        self._state.set(state)
        inputs, self._inputs, self._watch = self._inputs, None, None
        worker, self._worker = self._worker, None
        if inputs:
            inputs.close()
        if worker and not worker.close(ENDING_GRACE_S):
            self.get_logger().warning(
                "processing an image is taking too long; its result will not be published"
            )

    def _on_error(self, error: Exception) -> None:
        text = str(error)
        if not isinstance(error, SpatialError):
            text = "".join(traceback.format_exception(error))
        self.get_logger().error(text, throttle_duration_sec=ERROR_PERIOD_S)

    # Parameters and diagnostics

    def _parameters_changed(self) -> None:
        if self._worker:
            self._newest.rate = self._worker.rate = self.parameters.rate

    def _diagnostic_parts(self) -> list[DiagnosticStatus]:
        watch, worker = self._watch, self._worker
        if not watch or not worker:
            return []
        name, statistics = self.get_name(), worker.statistics
        level = DiagnosticStatus.ERROR if statistics.last_error else DiagnosticStatus.OK
        values = {"rate_limit_hz": f"{self.parameters.rate:g}", **statistics.values()}
        return [
            *watch.diagnostics(),
            diagnostic(f"{name}: images", level, statistics.last_error, values),
        ]


def serve(node: ImageNode[Any], signals: EndingSignals) -> int:
    """Execute callbacks until a signal asks to end; returns the exit status."""
    return serve_on_threads(node, signals, THREADS, node.finish)
