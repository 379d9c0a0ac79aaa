"""A replay says what the node said, and the node records what a replay and a data set need."""

from __future__ import annotations

import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from rosbags.rosbag2 import Reader
from smolrgpt_ros.srv import SpatialQuery

from smolrgpt_core.answerers.geometric import GeometricAnswerer
from smolrgpt_core.cli.ask import answer_as_json
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.language import Category
from smolrgpt_core.messages.answers import answer_from_message
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.recordings.options import ReplayOptions
from smolrgpt_core.recordings.question_bag import read_recorded_questions
from smolrgpt_core.recordings.replay import replay
from smolrgpt_core.sim import RenderOptions
from smolrgpt_core.sim.drive import SimulatedDrive
from smolrgpt_core.simulated_data.bag import FIRST_STAMP_NS, write_simulated_bag
from smolrgpt_ros.messages.conversions import message_class, time_from_ns

INPUTS = ("rgb", "depth", "camera_info", "regions")
PATIENT = ("-p", "max_age:=3600.0", "-p", "timeout:=60.0")
"""A busy machine would refuse a question as stale or too slow; the former is not recorded."""

DRIVE = SimulatedDrive(
    seed=3,
    frame_count=3,
    rate_hz=10.0,
    intrinsics=CameraIntrinsics.from_vertical_fov(160, 120, 60.0),
    options=RenderOptions(shadows=False, supersampling=1, min_region_pixels=20),
)


@pytest.fixture
def query_node(start_node: Any, graph: Any, wait_for: Any) -> Iterator[Any]:
    """Start the one query node of a test; it ends with the test."""
    client = graph.client(SpatialQuery, "/spatial_query")
    started = []

    def start(*arguments: str) -> Any:
        started.append(start_node("spatial_query_node", *arguments))
        return started[-1]

    yield start
    for process in started:
        process.stop()
    wait_for(lambda: not client.service_is_ready(), "the end of the service", timeout=30.0)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("drives") / "drive"
    write_simulated_bag(path, DRIVE)
    return path


class Player:
    """Publishes the frames of a recording, with stamps that are now."""

    def __init__(self, bag: Path, graph: Any, shift_ns: int) -> None:
        self.stamps_ns: list[int] = []
        self._node = graph.node
        self._publishers: dict[str, Any] = {}
        self._messages: list[tuple[str, Any]] = []
        with Reader(bag) as reader:
            for connection, _, raw in reader.messages():
                name = connection.topic.removeprefix("/")
                if name in INPUTS:
                    self._add(name, message_class(connection.msgtype), bytes(raw), shift_ns)

    def _add(self, name: str, kind: type, serialized: bytes, shift_ns: int) -> None:
        message = deserialize_message(serialized, kind)
        stamp_ns = time_to_ns(message.header.stamp) + shift_ns
        message.header.stamp = time_from_ns(stamp_ns)
        self._messages.append((name, message))
        if name == "rgb":
            self.stamps_ns.append(stamp_ns)
        if name not in self._publishers:
            self._publishers[name] = self._node.create_publisher(
                kind, name, qos_profile_sensor_data
            )

    def publish(self) -> None:
        """Send everything; what a new subscription misses arrives the next time."""
        for name, message in self._messages:
            self._publishers[name].publish(message)

    def close(self) -> None:
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)


def comparable(answer: Any, question: str) -> dict[str, Any]:
    found = answer_as_json(answer, question)
    del found["latency_s"]
    found["valid_depth"] = as_float32(found["valid_depth"])
    return found


def as_float32(shares: list[float | None]) -> list[float | None]:
    """What is left of them over the wire, up to the rounding of the JSON."""
    return [share if share is None else round(share, 3) for share in shares]


def questions(regions: list[int]) -> list[dict[str, Any]]:
    """Of every kind, good and bad, about all frames."""
    first, second = regions[:2]
    return [
        {"question": "How many pallets are visible?"},
        {"question": f"How far is region {first} from region {second}?", "frame": 0},
        {"question": "", "category": Category.LEFT_RIGHT, "ids": [first, second], "frame": 1},
        {"question": "Is <mask> left of <mask>?", "ids": [second, first], "frame": 2},
        {"question": "Which pallet is nearest to the camera?", "frame": 0},
        {"question": "How heavy is it?", "frame": 1},
        {"question": "How far is pallet 4000 from the camera?", "frame": 1},
        {"question": "", "category": Category.DISTANCE, "frame": 2},
        {"question": "Is <mask> left of <mask>?", "ids": [first], "frame": 2},
        {"question": "How many pallets?", "category": Category.MCQ, "frame": 2},
        {"question": "How many pallets are visible?", "frame": 0.5},
    ]


def replayed(fork_python: Any, recording: Path, questions: Path, out: Path) -> list[dict[str, Any]]:
    """The lines that `smolrgpt replay` writes."""
    command = [
        "smolrgpt_core.cli", "replay", recording, "--questions", questions, "--out", out,
        "--answerer", "geometric",
    ]  # fmt: skip
    printed = out.with_suffix(".txt")
    assert fork_python(command, printed, out.parent, {}).wait(300.0) == 0, printed.read_text()
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_replay_answers_as_the_node_does(
    query_node: Any, graph: Any, make_operator: Any, drive: Path, wait_for: Any, tmp_path: Path,
    fork_python: Any,
) -> None:  # fmt: skip
    query_node(*PATIENT)
    operator = make_operator(graph)
    shift_ns = graph.node.get_clock().now().nanoseconds - FIRST_STAMP_NS - 10**9
    period_ns = round(1e9 / DRIVE.rate_hz)
    player = Player(drive, graph, shift_ns)

    def has_all_frames() -> bool:
        player.publish()
        stamps = map(time_from_ns, player.stamps_ns)
        return all(operator.ask("How many?", stamp=item).header.stamp == item for item in stamps)

    wait_for(has_all_frames, "the frames")
    player.close()
    regions = [region.id for region in next(iter(DRIVE.frames())).frame.regions]
    file, expected, lines = tmp_path / "questions.jsonl", [], []
    for item in questions(regions):
        category, ids = item.get("category"), item.get("ids", [])
        stamp_ns = FIRST_STAMP_NS + round(item["frame"] * period_ns) if "frame" in item else 0
        message = operator.ask(
            item["question"],
            category=int(category or 0),
            region_ids=ids,
            stamp=time_from_ns(stamp_ns + shift_ns if stamp_ns else 0),
        )
        expected.append(comparable(answer_from_message(message), item["question"]))
        seconds, nanoseconds = divmod(stamp_ns, 10**9)
        lines.append(
            {
                "question": item["question"],
                "category": category.name.lower() if category else "free_form",
                "region_ids": ids,
                "stamp": {"sec": seconds, "nanosec": nanoseconds},
            }
        )
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    found = replayed(fork_python, drive, file, tmp_path / "answers.jsonl")
    assert [item.pop("line") for item in found] == list(range(1, len(lines) + 1))
    statuses = set()
    for line, answer in zip(found, expected, strict=True):
        statuses.add(line["status"])
        del line["stamp"], line["frame_id"], line["latency_s"]
        line["valid_depth"] = as_float32(line["valid_depth"])
        if line["status"] == "STALE":
            line["message"] = answer["message"]  # one is about a buffer, the other a recording
        assert line == answer
    assert {"OK", "BAD_QUESTION", "UNKNOWN_REGION", "STALE"} <= statuses


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_recording_has_every_question_and_each_frame_once(
    query_node: Any, graph: Any, camera: Any, make_operator: Any, wait_for: Any,
    tmp_path: Path, end: signal.Signals,
) -> None:  # fmt: skip
    # A killed node stays on the graph for a while, so it gets a name of its own.
    names = [f"__ns:=/{end.name}", *(f"{name}:=/{name}" for name in INPUTS)]
    process = query_node(
        *[*PATIENT, "-p", "record:=true", "-p", f"record_folder:={tmp_path}"],
        *[argument for name in names for argument in ("-r", name)],
    )
    name = f"/{end.name}/spatial_query"
    operator = make_operator(graph, node=name, service=name)
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
    # At its end a node waits for the disk, but only for seconds.
    wait_for(lambda: any(tmp_path.rglob("*.mcap")), "the beginning of the recording")
    # More frames would push that of the stamp out of the buffer before it is asked about.
    with camera.fault(silent=set(INPUTS)):
        stamp = operator.ask_distance().header.stamp
        asked = [
            operator.ask("How many pallets are in the buffer?", stamp=stamp),
            operator.ask("Is <mask> left of <mask>?", region_ids=[1, 2], stamp=stamp),
            operator.ask("How heavy is it?", stamp=stamp),
            operator.ask("How far is pallet 1 from buffer 3?"),
        ]
    assert not {Status.STALE, Status.OUT_OF_SYNC, Status.TIMEOUT} & {item.status for item in asked}
    if end is signal.SIGKILL:
        # What is not written yet is lost.
        wait_for(lambda: last_question(tmp_path) == asked[-1].question, "the disk")
    process.process.send_signal(end)
    process.wait()
    (bag,) = tmp_path.iterdir()
    with BagReader(bag) as reader:
        assert bool(reader.damage) == (end is signal.SIGKILL)
        recorded = read_recorded_questions(reader)[-len(asked) :]
        stamps = [
            reader.decode(topic, raw).header.stamp for topic, _, raw in reader.messages(["/rgb"])
        ]
    assert len(stamps) == len({(item.sec, item.nanosec) for item in stamps})
    for item, message in zip(recorded, asked, strict=True):
        assert item.asked.text == message.question
        assert item.asked.stamp_ns == time_to_ns(message.header.stamp)
        assert comparable(item.answer, "") == comparable(answer_from_message(message), "")
    found = replay(bag, [item.asked for item in recorded], GeometricAnswerer(), ReplayOptions())
    for item, again in zip(recorded, found.answers, strict=True):
        assert comparable(again.answer, "") == comparable(item.answer, "")


def last_question(folder: Path) -> str:
    """The last one that can be read from the recording so far; empty if none can."""
    for bag in folder.iterdir():  # none before the first frame is written
        with contextlib.suppress(SpatialError), BagReader(bag) as reader:
            return read_recorded_questions(reader)[-1].asked.text
    return ""


def test_a_disk_that_fails_ends_the_recording_not_the_service(
    query_node: Any, graph: Any, camera: Any, make_operator: Any, wait_for: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    record = ["-p", "record:=true", "-p", f"record_folder:={tmp_path}/file/below"]
    process = query_node(*PATIENT, *record)
    operator = make_operator(graph)
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
    reports = graph.collect(DiagnosticArray, "/diagnostics")

    def report() -> DiagnosticStatus | None:
        parts = [part for item in reports[-1:] for part in item.status]
        return next((part for part in parts if part.name == "spatial_query: recording"), None)

    def has_ended() -> bool:
        told = report()
        return told is not None and told.level == DiagnosticStatus.ERROR

    wait_for(has_ended, "a report that the recording has ended")
    ended = report()
    assert ended is not None
    assert "Not a directory" in ended.message
    assert "Not a directory" in process.output
    assert operator.ask_distance().status == Status.OK
    assert process.stop() == 0


@pytest.mark.parametrize("distortion", [[0.0] * 5, [-0.3, 0.1, 0.0, 0.0, 0.0]])
def test_regions_of_an_instance_image_are_recorded_with_their_labels(
    query_node: Any,
    graph: Any,
    camera: Any,
    make_operator: Any,
    wait_for: Any,
    tmp_path: Path,
    distortion: list[float],
) -> None:
    """As they were sent: lens distortion is taken out again when they are asked about again."""
    process = query_node(
        *[*PATIENT, "-p", "record:=true", "-p", f"record_folder:={tmp_path}"],
        *["-p", "region_source:=instances", "-p", "instance_labels:=['1-2:pallet','3:buffer']"],
    )
    operator = make_operator(graph)
    with camera.fault(changes={"camera_info": lambda info: setattr(info, "d", distortion)}):
        wait_for(lambda: operator.ask("How many pallets?").status == Status.OK, "an answer")
        said = operator.ask("How far is pallet 1 from pallet 2?")
    wait_for(lambda: last_question(tmp_path) == said.question, "the disk")
    assert process.stop() == 0
    (bag,) = tmp_path.iterdir()
    with BagReader(bag) as reader:
        (*_, last) = read_recorded_questions(reader)
    (again,) = replay(bag, [last.asked], GeometricAnswerer(), ReplayOptions()).answers
    assert said.status == Status.OK
    assert comparable(again.answer, "") == comparable(answer_from_message(said), "")
