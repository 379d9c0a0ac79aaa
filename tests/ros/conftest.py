"""Real processes on a real graph: every test session has its own domain, nothing survives it."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.msg import SetParametersResult
from rcl_interfaces.srv import SetParameters
from rclpy.client import Client
from rclpy.context import Context
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile, qos_profile_sensor_data
from rclpy.task import Future
from sensor_msgs.msg import CameraInfo, Image
from smolrgpt_ros.msg import RegionArray, SpatialAnswer
from smolrgpt_ros.srv import SpatialQuery
from std_msgs.msg import Header

from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.language import Category
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.sim import SimulatedFrame, WarehouseRenderer, build_scene
from smolrgpt_ros.messages.conversions import (
    image_to_message,
    intrinsics_to_camera_info,
    regions_to_array,
    time_from_ns,
)

ROOT = Path(__file__).resolve().parents[2]

HEIGHT, WIDTH = 120, 160
GRAY = 90
INTRINSICS = CameraIntrinsics(WIDTH, HEIGHT, 100.0, 100.0, 79.5, 59.5)
PERIOD_S = 0.04
DEPTH_M = 3.0

REGIONS = RegionSet(
    (HEIGHT, WIDTH),
    (
        Region.from_box(1, "pallet", Box(20, 50, 20, 20)),
        Region.from_box(2, "pallet", Box(120, 50, 20, 20)),
        Region.from_box(3, "buffer", Box(50, 90, 60, 30)),
    ),
)

WALL = RGBDFrame(
    np.full((HEIGHT, WIDTH, 3), GRAY, np.uint8),
    np.full((HEIGHT, WIDTH), DEPTH_M, np.float32),
    INTRINSICS,
    REGIONS,
)
"""Two pallets and a buffer in front of a wall; no floor."""


@dataclass
class NodeProcess:
    """A node in its own process, and the file that everything it prints goes to.

    Attributes:
        name: for messages.
        process: a `subprocess.Popen`, or of `fork_python`, which has the same methods.
    """

    name: str
    process: Any
    _file: Path
    _forgotten: int = 0

    @property
    def output(self) -> str:
        """What it has printed, but for what was forgotten."""
        text = self._file.read_text(errors="replace") if self._file.exists() else ""
        return text[self._forgotten :]

    def forget_output(self) -> None:
        self._forgotten += len(self.output)

    def stop(self, signal_number: int = signal.SIGINT, timeout: float = 30.0) -> int:
        """Send a signal, wait for the end, return the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        return self.wait(timeout)

    def wait(self, timeout: float = 30.0) -> int:
        """Wait for the end; a process that does not end is killed and fails the test."""
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"{self.name} did not end within {timeout} s:\n{self.output}")
        return status

    def kill(self) -> None:
        """End the process and its children at once."""
        if self.process.poll() is not None:
            return
        for child in psutil.Process(self.process.pid).children(recursive=True):
            child.kill()
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def ros_domain() -> Iterator[int]:
    """A domain that no other session on this machine is likely to use, for this process too."""
    domain = 1 + os.getpid() % 100
    saved = os.environ.get("ROS_DOMAIN_ID")
    os.environ["ROS_DOMAIN_ID"] = str(domain)
    yield domain
    if saved is None:
        del os.environ["ROS_DOMAIN_ID"]
    else:
        os.environ["ROS_DOMAIN_ID"] = saved


@pytest.fixture(scope="module")
def started(ros_domain: int) -> Iterator[list[NodeProcess]]:
    """Processes that are ended after the module."""
    processes: list[NodeProcess] = []
    yield processes
    end_all(processes)


@pytest.fixture(scope="session")
def output_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Path]:
    """Call: a new file for what a process prints."""
    folder = tmp_path_factory.mktemp("output")
    numbers = itertools.count()
    return lambda: folder / f"{next(numbers)}.txt"


@pytest.fixture(scope="module")
def start_command(
    started: list[NodeProcess], output_file: Callable[[], Path]
) -> Callable[..., NodeProcess]:
    """Start a program as a process; ended after the module.

    Call: start_command("ros2", "launch", ..., environment={...}).
    """

    def start(*command: str | Path, environment: dict[str, str] | None = None) -> NodeProcess:
        path, words = output_file(), [str(part) for part in command]
        variables = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        with path.open("wb") as file:
            process = subprocess.Popen(words, stdout=file, stderr=file, env=variables)
        started.append(NodeProcess(" ".join(words), process, path))
        return started[-1]

    return start


def end_all(processes: list[NodeProcess]) -> None:
    """Ask politely first: what is killed stays on the graph for a while."""
    running = [node for node in processes if node.process.poll() is None]
    for node in running:
        node.process.send_signal(signal.SIGINT)
    for node in running:
        with contextlib.suppress(subprocess.TimeoutExpired):
            node.process.wait(15.0)
        node.kill()


def node_command(executable: str | Path, ros_arguments: Sequence[str]) -> list[str | Path]:
    """Script and words of a node; the query node answers from geometry unless asked otherwise."""
    path = executable if isinstance(executable, Path) else ROOT / "scripts" / executable
    words = [*ros_arguments]
    if executable == "spatial_query_node" and "answerer:=" not in " ".join(words):
        words = ["-p", "answerer:=geometric", *words]
    return [path, *(["--ros-args", *words] if words else [])]


@pytest.fixture(scope="module")
def start_node(
    started: list[NodeProcess],
    output_file: Callable[[], Path],
    fork_python: Callable[..., Any],
) -> Callable[..., NodeProcess]:
    """Start an executable of scripts/ (or any Python file) as a process; ended after the module.

    Call: start_node("spatial_query_node", "-p", "max_age:=2.0", environment={...}). It is forked
    from a process that has loaded the modules of a node; see also `start_new_node`.
    """

    def start(
        executable: str | Path, *ros_arguments: str, environment: dict[str, str] | None = None
    ) -> NodeProcess:
        path, command = output_file(), node_command(executable, ros_arguments)
        process = fork_python(command, path, Path.cwd(), environment or {})
        started.append(NodeProcess(" ".join(map(str, command)), process, path))
        return started[-1]

    return start


@pytest.fixture(scope="module")
def start_new_node(start_command: Callable[..., NodeProcess]) -> Callable[..., NodeProcess]:
    """As `start_node`, in a new Python: for tests of how a node starts, and of its memory."""

    def start(
        executable: str | Path, *ros_arguments: str, environment: dict[str, str] | None = None
    ) -> NodeProcess:
        command = node_command(executable, ros_arguments)
        return start_command(sys.executable, *command, environment=environment)

    return start


LEASE = """
        <builtin>
          <discovery_config>
            <leaseDuration><sec>8</sec></leaseDuration>
            <leaseAnnouncement><sec>1</sec></leaseAnnouncement>
          </discovery_config>
        </builtin>
"""


@pytest.fixture(scope="session")
def soon_missed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of a process that is to be killed: others miss it after 8 s instead of 20 s."""
    profile = (ROOT / "config" / "fastdds.xml").read_text()
    assert profile.count("</rtps>") == 1
    path = tmp_path_factory.mktemp("fastdds") / "short_lease.xml"
    path.write_text(profile.replace("</rtps>", f"{LEASE}</rtps>"))
    return {"FASTRTPS_DEFAULT_PROFILES_FILE": str(path)}


@pytest.fixture(scope="session")
def wait_for() -> Callable[..., None]:
    """Wait until a condition holds: wait_for(lambda: ..., "what", timeout=60.0)."""

    def wait(condition: Callable[[], object], what: str, timeout: float = 60.0) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if time.monotonic() > deadline:
                pytest.fail(f"waited {timeout} s for {what}")
            time.sleep(0.02)

    return wait


class GraphNode:
    """A node of the test itself, spinning on a thread: publishes, subscribes, calls services."""

    def __init__(self, name: str) -> None:
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = Node(name, context=self.context)
        self._executor = SingleThreadedExecutor(context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=self._spin)
        self._thread.start()
        self._clients: dict[str, Client] = {}

    def _spin(self) -> None:
        with contextlib.suppress(ExternalShutdownException):
            self._executor.spin()

    def client(self, service_type: type, name: str) -> Client:
        """The one client of a service."""
        if name not in self._clients:
            self._clients[name] = self.node.create_client(service_type, name)
        return self._clients[name]

    def call_async(self, service_type: type, name: str, request: object) -> Future:
        """Send a request; wait for the service if it is not there yet."""
        client = self.client(service_type, name)
        if not client.wait_for_service(60.0):
            pytest.fail(f"service {name} is not there")
        return client.call_async(request)

    def call(self, service_type: type, name: str, request: object, timeout: float = 60.0) -> Any:
        """Send a request and wait for the response."""
        return self.result(self.call_async(service_type, name, request), timeout)

    def result(self, future: Future, timeout: float = 60.0) -> Any:
        """Wait for the response to `call_async`."""
        done = threading.Event()
        future.add_done_callback(lambda _: done.set())
        if not done.wait(timeout):
            pytest.fail(f"no response within {timeout} s")
        return future.result()

    def collect(self, message_type: type, topic: str, qos: QoSProfile | int = 10) -> list:
        """Subscribe; the list grows with the messages."""
        received: list = []
        self.node.create_subscription(message_type, topic, received.append, qos)
        return received

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture(scope="module")
def graph(ros_domain: int) -> Iterator[GraphNode]:
    """A node of the test in the test process."""
    node = GraphNode("test")
    yield node
    node.close()


class Camera:
    """Publishes one frame again and again; tests take inputs away or break them.

    Args:
        graph: whose node publishes.
        period_s: from one frame to the next.
        shown: the frame.
        prefix: of the names of the topics.
    """

    rate_hz = 1 / PERIOD_S

    def __init__(
        self,
        graph: GraphNode,
        period_s: float = PERIOD_S,
        shown: RGBDFrame = WALL,
        prefix: str = "",
    ) -> None:
        self._node = graph.node
        self._period_s = period_s
        self._prefix = prefix
        depth = np.nan_to_num(shown.depth * 1000).round().astype(np.uint16)
        labels = shown.regions.to_label_image().astype(np.uint16)
        self._make = {
            "rgb": lambda header: image_to_message(shown.rgb, "rgb8", header),
            "depth": lambda header: image_to_message(depth, "16UC1", header),
            "camera_info": lambda header: intrinsics_to_camera_info(shown.intrinsics, header),
            "regions": lambda header: regions_to_array(shown.regions, header),
            "instances": lambda header: image_to_message(labels, "16UC1", header),
        }
        self._publishers = {name: self._create_publisher(name) for name in self._make}
        self.silent: set[str] = set()
        self.offsets_s: dict[str, float] = {}
        self.changes: dict[str, Callable[[Any], None]] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _create_publisher(self, name: str) -> Publisher:
        kind = {"camera_info": CameraInfo, "regions": RegionArray}.get(name, Image)
        return self._node.create_publisher(kind, self._prefix + name, qos_profile_sensor_data)

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            now_ns = self._node.get_clock().now().nanoseconds
            with self._lock:
                for name in self._publishers.keys() - self.silent:
                    self._publish(name, now_ns)

    def _publish(self, name: str, now_ns: int) -> None:
        stamp = time_from_ns(now_ns + int(self.offsets_s.get(name, 0.0) * 1e9))
        message = self.message(name, Header(stamp=stamp, frame_id="camera_optical_frame"))
        if name in self.changes:
            self.changes[name](message)
        self._publishers[name].publish(message)

    def message(self, name: str, header: Header) -> Any:
        """What the camera sends on a topic when nothing is wrong."""
        return self._make[name](header)

    @contextlib.contextmanager
    def fault(
        self,
        silent: set[str] | None = None,
        offsets_s: dict[str, float] | None = None,
        changes: dict[str, Callable[[Any], None]] | None = None,
        period_s: float | None = None,
    ) -> Iterator[None]:
        """Something is wrong with the camera for a while."""
        usual_s, self._period_s = self._period_s, period_s or self._period_s
        self.silent, self.offsets_s = silent or set(), offsets_s or {}
        self.changes = changes or {}
        try:
            yield
        finally:
            self.silent, self.offsets_s, self.changes = set(), {}, {}
            self._period_s = usual_s

    @contextlib.contextmanager
    def without_publisher(self, name: str) -> Iterator[None]:
        """A topic is not even advertised for a while."""
        with self._lock:
            self._node.destroy_publisher(self._publishers.pop(name))
        try:
            yield
        finally:
            with self._lock:
                self._publishers[name] = self._create_publisher(name)

    def close(self) -> None:
        self._stop.set()
        self._thread.join()


@pytest.fixture(scope="module")
def show(graph: GraphNode) -> Iterator[Callable[..., Camera]]:
    """Publish a frame until the end of the module: show(frame, period_s=0.2, prefix="hall/")."""
    cameras: list[Camera] = []

    def start(shown: RGBDFrame, period_s: float = PERIOD_S, prefix: str = "") -> Camera:
        cameras.append(Camera(graph, period_s, shown, prefix))
        return cameras[-1]

    yield start
    for camera in cameras:
        camera.close()


@pytest.fixture(scope="module")
def camera(show: Callable[..., Camera]) -> Camera:
    """Shows `WALL`."""
    return show(WALL)


@pytest.fixture(scope="session")
def hall() -> SimulatedFrame:
    """A view of a simulated hall with floor, and what is true of it."""
    scene = build_scene(0)
    with WarehouseRenderer(scene) as renderer:
        return renderer.render(scene.camera_poses(1)[0])


class SlowAnswer:
    """Holds the answer to a question of left or right back, in a node with a scripted answerer.

    Attributes:
        environment: for the node.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self.environment = {"SLOW_ANSWER_FILE": str(file)}

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """The answer does not come before the end of the block."""
        self._file.touch()
        try:
            yield
        finally:
            self._file.unlink()


@pytest.fixture(scope="module")
def slow_answer(tmp_path_factory: pytest.TempPathFactory) -> SlowAnswer:
    """Start the scripted node with `slow_answer.environment`, use `with slow_answer.held()`."""
    return SlowAnswer(tmp_path_factory.mktemp("slow") / "held")


@pytest.fixture(scope="session")
def camera_frame() -> RGBDFrame:
    """What the camera shows, as an answerer gets it."""
    return WALL


class Operator:
    """Asks, sets parameters and changes states, as a client on the graph."""

    def __init__(
        self, graph: GraphNode, node: str = "/spatial_query", service: str = "/spatial_query"
    ) -> None:
        self.graph, self._node, self._service = graph, node, service

    def ask_async(self, question: str = "", **fields: Any) -> Any:
        request = SpatialQuery.Request(question=question, **fields)
        return self.graph.call_async(SpatialQuery, self._service, request)

    def ask(self, question: str = "", **fields: Any) -> SpatialAnswer:
        return self.graph.result(self.ask_async(question, **fields)).answer

    def ask_distance(self, **fields: Any) -> SpatialAnswer:
        return self.ask(category=Category.DISTANCE, region_ids=[1, 2], **fields)

    def change(self, transition: int) -> bool:
        request = ChangeState.Request(transition=Transition(id=transition))
        return self.graph.call(ChangeState, f"{self._node}/change_state", request).success

    def restart(self) -> None:
        """Forget all messages."""
        assert self.change(Transition.TRANSITION_DEACTIVATE)
        assert self.change(Transition.TRANSITION_ACTIVATE)

    def set(self, **values: Any) -> SetParametersResult:
        parameters = [Parameter(k, value=v).to_parameter_msg() for k, v in values.items()]
        request = SetParameters.Request(parameters=parameters)
        return self.graph.call(SetParameters, f"{self._node}/set_parameters", request).results[0]


@pytest.fixture(scope="session")
def make_operator() -> type[Operator]:
    """Call: make_operator(graph) or make_operator(graph, node="/name", service="/service")."""
    return Operator
