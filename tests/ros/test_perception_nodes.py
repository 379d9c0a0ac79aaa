"""`depth_node` and `region_node` as processes, and what camera_only.launch.py makes of them."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from lifecycle_msgs.srv import GetState
from rcl_interfaces.srv import SetParameters
from rclpy.parameter import Parameter
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import Image
from smolrgpt_ros.msg import RegionArray
from transformers import (
    DepthAnythingConfig,
    DepthAnythingForDepthEstimation,
    Dinov2Config,
    DPTImageProcessorPil,
)

from smolrgpt_core.errors import Status
from smolrgpt_core.messages.reading import depth_from_image, regions_from_array
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_core.sim import SimulatedFrame

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).parent / "launch_stand_in"
LAUNCH_FILE = ROOT / "launch" / "camera_only.launch.py"
MISSING_INPUT = {
    Status.NO_RGB, Status.NO_DEPTH, Status.NO_CAMERA_INFO, Status.NO_REGIONS, Status.STALE,
    Status.OUT_OF_SYNC, Status.NOT_ACTIVE,
}  # fmt: skip


@pytest.fixture(scope="module")
def depth_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny metric Depth Anything that sees everything at 3 m, a quarter of its range."""
    blocks: dict[str, Any] = {"out_indices": [1, 2, 3, 4]}
    backbone = Dinov2Config(
        hidden_size=16, num_hidden_layers=4, num_attention_heads=2, mlp_ratio=1, image_size=28,
        patch_size=14, reshape_hidden_states=False, **blocks,
    )  # fmt: skip
    config = DepthAnythingConfig(
        backbone_config=backbone, reassemble_hidden_size=16, neck_hidden_sizes=[8, 8, 8, 8],
        fusion_hidden_size=8, head_hidden_size=4, depth_estimation_type="metric", max_depth=12,
    )  # fmt: skip
    model = DepthAnythingForDepthEstimation(config)
    with torch.no_grad():
        model.head.conv3.weight.zero_()
        assert model.head.conv3.bias is not None
        model.head.conv3.bias.fill_(float(torch.logit(torch.tensor(0.25))))
    folder = tmp_path_factory.mktemp("depth_model")
    model.save_pretrained(folder)
    DPTImageProcessorPil(size={"height": 28, "width": 28}).save_pretrained(folder)
    return folder


class Watch:
    """What a node says about itself, and what it publishes."""

    def __init__(self, graph: Any, node: str) -> None:
        self._graph, self._node = graph, node
        self._reports = graph.collect(DiagnosticArray, "/diagnostics")

    def status(self, name: str) -> DiagnosticStatus | None:
        """The last status of a part, or of the whole node (""); None before the first."""
        wanted = f"{self._node}: {name}" if name else self._node
        of_it = [s for report in list(self._reports) for s in report.status if s.name == wanted]
        return of_it[-1] if of_it else None

    def value(self, name: str, key: str) -> str:
        status = self.status(name)
        return "" if status is None else {v.key: v.value for v in status.values}.get(key, "")

    def state(self) -> str:
        service = f"/{self._node}/get_state"
        return self._graph.call(GetState, service, GetState.Request()).current_state.label


@pytest.fixture
def watch(graph: Any) -> Callable[[str], Watch]:
    """Call: watch("depth_estimator")."""
    return lambda node: Watch(graph, node)


def stamps(messages: list[Any]) -> set[int]:
    return {time_to_ns(message.header.stamp) for message in list(messages)}


def test_depth_of_the_images_of_a_camera_without_a_sensor(
    start_node: Any, camera: Any, graph: Any, depth_model: Path, watch: Any, wait_for: Any
) -> None:
    images = graph.collect(Image, "rgb", qos_profile_sensor_data)
    depth = graph.collect(Image, "made/depth", qos_profile_sensor_data)
    node = start_node(
        "depth_node", "-p", f"checkpoint:={depth_model}", "-p", "rate:=20.0",
        "-r", "depth:=made/depth",
    )  # fmt: skip
    wait_for(lambda: len(depth) >= 3, "depth")
    assert stamps(depth[:3]) <= stamps(images)
    assert depth[0].header.frame_id == images[0].header.frame_id
    meters = depth_from_image(depth[0])
    assert meters.shape == (images[0].height, images[0].width)
    np.testing.assert_allclose(meters, 3.0, atol=1e-3)
    seen = watch("depth_estimator")
    wait_for(lambda: seen.value("images", "processed") not in ("", "0"), "the report")
    assert seen.status("").level == DiagnosticStatus.OK
    assert node.stop() == 0


def test_holes_are_filled_and_readings_stay(
    start_node: Any, camera: Any, graph: Any, depth_model: Path, wait_for: Any
) -> None:
    """The sensor says 2.5 m, the model 3 m: the model is fitted to the sensor."""

    def leave_a_hole(message: Image) -> None:
        pixels = np.full((message.height, message.width), 2500, np.uint16)
        pixels[50:60, 70:80] = 0
        message.data = pixels.tobytes()

    filled = graph.collect(Image, "filled", qos_profile_sensor_data)
    with camera.fault(changes={"depth": leave_a_hole}):
        node = start_node(
            "depth_node", "-p", f"checkpoint:={depth_model}", "-p", "mode:=complete",
            "-p", "rate:=20.0", "-r", "sensor_depth:=/depth", "-r", "depth:=filled",
        )  # fmt: skip
        wait_for(lambda: filled, "filled depth")
    meters = depth_from_image(filled[0])
    np.testing.assert_allclose(meters[50:60, 70:80], 2.5, atol=0.02)
    readings = np.delete(meters, np.s_[50:60], axis=0)
    np.testing.assert_array_equal(readings, np.float32(2.5))
    assert node.stop() == 0


def test_broken_image_is_reported_and_the_next_one_processed(
    start_node: Any, camera: Any, graph: Any, depth_model: Path, watch: Any, wait_for: Any
) -> None:
    depth = graph.collect(Image, "after/depth", qos_profile_sensor_data)
    node = start_node(
        "depth_node", "-p", f"checkpoint:={depth_model}", "-p", "rate:=20.0",
        "-r", "depth:=after/depth",
    )  # fmt: skip
    wait_for(lambda: depth, "depth")
    seen = watch("depth_estimator")

    def cut(message: Image) -> None:
        message.data = message.data[:100]

    with camera.fault(changes={"rgb": cut}):
        wait_for(
            lambda: (status := seen.status("images")) and status.level == DiagnosticStatus.ERROR,
            "the error",
        )
    assert "rgb" in seen.status("images").message
    count = len(depth)
    wait_for(lambda: len(depth) > count, "depth of the next image")
    assert node.stop() == 0
    assert "Traceback" not in node.output, "bad input is no fault of the node"


def test_silent_camera_is_named(
    start_node: Any, graph: Any, depth_model: Path, watch: Any, wait_for: Any
) -> None:
    node = start_node(
        "depth_node", "-p", f"checkpoint:={depth_model}", "-r", "rgb:=/nobody/rgb",
        "-r", "__node:=lonely",
    )  # fmt: skip
    seen = watch("lonely")
    wait_for(lambda: seen.status("rgb"), "the report", 120.0)
    status = seen.status("rgb")
    assert status.level == DiagnosticStatus.ERROR
    assert "there is no publisher" in status.message
    assert seen.value("rgb", "topic") == "/nobody/rgb"
    assert node.stop() == 0


@pytest.mark.parametrize(
    ("checkpoint", "reason"),
    [("", "checkpoint is empty; give"), ("/nowhere/at/all", "/nowhere/at/all")],
)
def test_missing_checkpoint_is_reported_and_the_node_stays(
    start_node: Any, watch: Any, wait_for: Any, checkpoint: str, reason: str
) -> None:
    name = "without_path" if checkpoint else "without_name"
    node = start_node("depth_node", "-p", f"checkpoint:='{checkpoint}'", "-r", f"__node:={name}")
    seen = watch(name)
    wait_for(lambda: seen.status("loading"), "the failure", 120.0)
    status = seen.status("loading")
    assert status.level == DiagnosticStatus.ERROR
    assert reason in status.message
    wait_for(lambda: seen.state() == "unconfigured", "the end of the transition")
    assert node.stop() == 0


def test_wrong_parameters_are_refused(
    start_node: Any, graph: Any, depth_model: Path, watch: Any
) -> None:
    node = start_node("region_node", "-p", "autostart:=false", "-r", "__node:=strict")
    service = "/strict/set_parameters"
    for parameter, word in (
        (Parameter("rate", value=0.0), "rate"),
        (Parameter("detector", value="some/detector"), "box_segmenter"),
    ):
        request = SetParameters.Request(parameters=[parameter.to_parameter_msg()])
        result = graph.call(SetParameters, service, request).results[0]
        assert not result.successful
        assert word in result.reason
    assert node.stop() == 0
    broken = start_node("region_node", "-p", "segmenter:=one", "-p", "detector:=two")
    assert broken.wait() == 1
    assert "use either segmenter, or detector" in broken.output


def test_signal_while_a_model_loads_ends_the_node(
    start_new_node: Any, depth_model: Path, wait_for: Any
) -> None:
    node = start_new_node("depth_node", "-p", f"checkpoint:={depth_model}", "-r", "__node:=early")
    wait_for(lambda: "loading" in node.output, "the beginning of the load")
    assert node.stop(signal.SIGTERM) == 0


def test_objects_of_a_simulated_hall_with_ids_that_stay(
    start_node: Any, show: Any, hall: SimulatedFrame, graph: Any, wait_for: Any
) -> None:
    """The segmenter of the package, on a camera that stands still."""
    show(hall.frame, period_s=0.2, prefix="hall/")
    found = graph.collect(RegionArray, "hall/found", qos_profile_sensor_data)
    node = start_node(
        "region_node", "-r", "rgb:=/hall/rgb", "-r", "regions:=/hall/found", "-p", "rate:=5.0"
    )
    wait_for(lambda: len(found) >= 3, "regions", 120.0)
    first, *others = [regions_from_array(message) for message in found[:3]]
    assert {"pallet", "buffer"} <= {region.label for region in first}
    names = [(region.id, region.label) for region in first]
    assert names
    for regions in others:
        assert [(region.id, region.label) for region in regions] == names
    assert node.stop() == 0


def test_camera_alone_gets_an_answer(
    start_command: Any, show: Any, hall: SimulatedFrame, graph: Any, depth_model: Path,
    make_operator: Any, wait_for: Any,
) -> None:  # fmt: skip
    """A camera that publishes color and calibration only."""
    camera = show(hall.frame, period_s=0.2, prefix="plain/")
    camera.silent = {"depth", "regions", "instances"}
    command, environment = ["ros2", "launch"], {}
    if shutil.which("ros2") is None:
        command = [sys.executable, str(STAND_IN / "ros2_launch.py")]
        path = os.pathsep.join([str(STAND_IN), os.environ.get("PYTHONPATH", "")])
        environment = {"PYTHONPATH": path}
    system = start_command(
        *command, LAUNCH_FILE, "namespace:=plain", f"depth_checkpoint:={depth_model}",
        "answerer:=geometric", "rate:=5.0", environment=environment,
    )  # fmt: skip
    operator = make_operator(graph, "/plain/spatial_query", "/plain/spatial_query")
    answers: list[Any] = []

    def has_its_inputs() -> bool:
        answers.append(operator.ask("How many pallets are there?"))
        return Status(answers[-1].status) not in MISSING_INPUT

    wait_for(has_its_inputs, "an answer", 180.0)
    assert Status(answers[-1].status) is Status.OK, answers[-1].message
    assert answers[-1].value >= 1
    system.stop(signal.SIGINT, timeout=30.0)
    assert "Traceback" not in system.output
