"""The examples that drive: processes on a real graph, with a query node that sees a simulated hall.

Nav2 and tf2 are stood in for: a process that offers Nav2's action, and a file with one transform.
What comes of a question, a goal and a drive goes over DDS, as on a robot.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from std_msgs.msg import Empty

from smolrgpt_core.errors import Status
from smolrgpt_core.sim import SimulatedFrame
from smolrgpt_ros.client import SpatialQueryClient

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
EXAMPLES = ROOT / "examples"
DRIVE = EXAMPLES / "drive_to_nearest_pallet.py"
TREE = EXAMPLES / "run_nearest_pallet_tree.py"

BUFFER = 1
STANDOFF_M = 1.5
ROBOT = (3.0, -2.0)
"""In the map, meters."""
CAMERA = (3.2, -2.0, 1.5)
"""In the map, looking along x; the axes of an optical frame are turned by:"""
TO_MAP = [-0.5, 0.5, -0.5, 0.5]
ENDLESS_NS = 2**62


def stand_in_for_tf(path: Path, source: str, place: tuple[float, ...], turn: list[float]) -> dict:
    """Environment of a process that is to know one transform to the map."""
    known = {"frames": ["map", source], "rotation": turn, "translation": place}
    path.write_text(json.dumps(known | {"from_ns": 0, "to_ns": ENDLESS_NS}))
    return {"TF2_STAND_IN_FILE": str(path)}


@pytest.fixture(scope="module")
def nav2_messages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment in which Python finds Nav2's action, and tf2's stand-in."""
    prefix = tmp_path_factory.mktemp("nav2")
    package = HERE / "nav2_stand_in" / "nav2_msgs"
    folders = {"base-paths": package, "build-base": prefix / "build", "install-base": prefix}
    command = ["colcon", "--log-base", str(prefix / "log"), "--log-level", "error", "build"]
    command += [part for name, path in folders.items() for part in (f"--{name}", str(path))]
    command += ["--merge-install", "--event-handlers", "console_cohesion-", "--cmake-args"]
    command += [f"-DPython3_EXECUTABLE={sys.executable}", "-DBUILD_TESTING=OFF"]
    subprocess.run(command, check=True, cwd=prefix)
    [messages] = prefix.glob("lib/python*/site-packages")
    return {
        "AMENT_PREFIX_PATH": joined(prefix, "AMENT_PREFIX_PATH"),
        "LD_LIBRARY_PATH": joined(prefix / "lib", "LD_LIBRARY_PATH"),
        "PYTHONPATH": joined(HERE / "tf2_stand_in", messages, "PYTHONPATH"),
    }


def joined(*parts: Path | str) -> str:
    """Folders before those that a variable of this process has, the last argument."""
    *folders, variable = parts
    return os.pathsep.join([*map(str, folders), os.environ.get(str(variable), "")])


@pytest.fixture(scope="module")
def robot(
    nav2_messages: dict[str, str],
    hall: SimulatedFrame,
    show: Any,
    start_node: Any,
    wait_for: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, str]:
    """Environment of an example; the query node sees the hall and knows where its camera is."""
    folder = tmp_path_factory.mktemp("tf")
    show(hall.frame, period_s=0.2)
    camera = stand_in_for_tf(folder / "camera.json", "camera_optical_frame", CAMERA, TO_MAP)
    start_node("spatial_query_node", "-p", "target_frame:=map", environment=nav2_messages | camera)
    with SpatialQueryClient(timeout=30.0) as client:
        wait_for(lambda: client.ask("Where is buffer 1?").status is Status.OK, "an answer")
    base = stand_in_for_tf(folder / "base.json", "base_link", (*ROBOT, 0.0), [0.0, 0.0, 0.0, 1.0])
    return nav2_messages | base


@pytest.fixture
def navigator(
    nav2_messages: dict[str, str], start_command: Any, wait_for: Any
) -> Iterator[Callable[[str], Any]]:
    """Start what stands in for Nav2, for a test: navigator("reach")."""
    started = []

    def start(fate: str) -> Any:
        process = start_command(
            sys.executable, HERE / "nav2_stand_in" / "navigator.py", fate, environment=nav2_messages
        )
        started.append(process)
        wait_for(lambda: "navigator is ready" in process.output, "the navigator")
        return process

    yield start
    for process in started:
        process.stop()


def check_goal(navigator: Any, hall: SimulatedFrame) -> None:
    """The goal lies before the nearest pallet in the buffer, by what the simulator knows."""
    pallets = [
        item for item in hall.truth.objects if item.label == "pallet" and BUFFER in item.buffer_ids
    ]
    nearest = min(pallets, key=lambda item: np.linalg.norm(item.center))
    right, _, forward = nearest.center
    x, y = CAMERA[0] + forward - ROBOT[0], CAMERA[1] - right - ROBOT[1]
    ahead, away = math.atan2(y, x), math.hypot(x, y) - STANDOFF_M
    [goal] = re.findall(r"goal map (\S+) (\S+) (\S+) (\S+)", navigator.output)
    goal_x, goal_y, turn_z, turn_w = map(float, goal)
    expected = (ROBOT[0] + away * math.cos(ahead), ROBOT[1] + away * math.sin(ahead))
    assert (goal_x, goal_y) == pytest.approx(expected, abs=0.1)
    assert 2 * math.atan2(turn_z, turn_w) == pytest.approx(ahead, abs=0.1)


def command(example: Path) -> list[str | Path]:
    words = [str(BUFFER), "--standoff", str(STANDOFF_M)] if example == DRIVE else []
    return [sys.executable, example, *words]


needs_bindings = pytest.mark.skipif(
    not importlib.util.find_spec("behaviortreepy"), reason="needs behaviortreepy"
)
both = pytest.mark.parametrize(
    "example",
    [pytest.param(DRIVE, id="script"), pytest.param(TREE, id="tree", marks=needs_bindings)],
)


@both
def test_robot_drives_to_the_nearest_pallet(
    example: Path, robot: Any, navigator: Any, hall: SimulatedFrame, start_command: Any
) -> None:
    nav2 = navigator("reach")
    process = start_command(*command(example), environment=robot)
    assert process.wait(60.0) == 0, process.output
    check_goal(nav2, hall)
    assert "ended reach" in nav2.output


@both
@pytest.mark.parametrize("fate", ["abort", "reject"])
def test_a_drive_that_fails(
    example: Path, fate: str, robot: Any, navigator: Any, start_command: Any
) -> None:
    nav2 = navigator(fate)
    process = start_command(*command(example), environment=robot)
    assert process.wait(60.0) == 1, process.output
    assert "Traceback" not in process.output
    assert nav2.output.count("goal map") == 1


@both
def test_interrupt_cancels_the_drive(
    example: Path, robot: Any, navigator: Any, start_command: Any, wait_for: Any
) -> None:
    nav2 = navigator("hold")
    process = start_command(*command(example), environment=robot)
    wait_for(lambda: "goal map" in nav2.output, "the goal")
    assert process.stop(signal.SIGINT) == 130, process.output
    wait_for(lambda: "ended hold" in nav2.output, "the end of the drive")


def python_blocks(page: str) -> list[str]:
    """The blocks of a page that use the client."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    return [block for block in blocks if "SpatialQueryClient" in block]


@pytest.mark.parametrize(
    ("page", "output"),
    [
        ("README.md", r"5\.0 0\.\d+ 5 pallets are in buffer 1\.\n"),
        ("docs/ros_interfaces.md", r"\d+ 0\.\d+ Pallet \d+ is nearest to transporter 60\.\n"),
    ],
)
def test_the_documentation_as_typed(page: str, output: str, robot: Any, start_command: Any) -> None:
    process = start_command(sys.executable, "-c", python_blocks(page)[0])
    assert process.wait(60.0) == 0, process.output
    assert re.fullmatch(output, process.output)


def test_the_documented_node(robot: Any) -> None:
    names: dict[str, Any] = {
        "Node": Node, "Empty": Empty, "SpatialQueryClient": SpatialQueryClient
    }  # fmt: skip
    exec(python_blocks("docs/ros_interfaces.md")[1], names)
    rclpy.init()
    try:
        picker = names["Picker"]()
        executor = SingleThreadedExecutor()
        executor.add_node(picker)
        task = executor.create_task(picker.on_pick, Empty())
        executor.spin_until_future_complete(task, timeout_sec=60.0)
        assert task.done()
        task.result()
        picker.client.close()
        picker.destroy_node()
    finally:
        rclpy.shutdown()


def test_a_buffer_that_is_not_there(robot: Any, navigator: Any, start_command: Any) -> None:
    nav2 = navigator("reach")
    process = start_command(sys.executable, DRIVE, "7", environment=robot)
    assert process.wait(60.0) == 1
    assert "UNKNOWN_REGION: region 7 is not in this frame" in process.output
    assert process.output.endswith("the robot stays\n")
    assert "goal" not in nav2.output
