"""A recording, played as `smolrgpt simulate --bag` recommends, is answered, also in a loop."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import deserialize_message
from rosgraph_msgs.msg import Clock
from smolrgpt_ros.msg import SpatialAnswer

from smolrgpt_core.errors import Status
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.messages.stamps import time_to_ns
from smolrgpt_core.recordings.bag_reader import BagReader
from smolrgpt_core.sim import RenderOptions
from smolrgpt_core.sim.drive import SimulatedDrive
from smolrgpt_core.simulated_data.bag import FIRST_STAMP_NS, write_simulated_bag
from smolrgpt_ros.messages.conversions import message_class, time_from_ns

DRIVE = SimulatedDrive(
    seed=3,
    frame_count=6,
    intrinsics=CameraIntrinsics.from_vertical_fov(160, 120, 60.0),
    options=RenderOptions(shadows=False, supersampling=1, min_region_pixels=20),
)
INPUTS = ("/rgb", "/depth", "/camera_info", "/regions")


@contextmanager
def played(bag: Path, graph: Any) -> Iterator[list[int]]:
    """Plays a recording as `ros2 bag play --clock --loop` does; yields a count of the loops."""
    with BagReader(bag) as reader:
        kinds = {topic.name: message_class(topic.type_name) for topic in reader.topics}
        messages = [
            (topic, received_ns, deserialize_message(serialized, kinds[topic]))
            for topic, received_ns, serialized in reader.messages(INPUTS)
        ]
    clock = graph.node.create_publisher(Clock, "/clock", 10)
    publishers = {
        topic: graph.node.create_publisher(kinds[topic], topic, qos_profile_sensor_data)
        for topic in INPUTS
    }
    stop, loops = threading.Event(), [0]

    def run() -> None:
        while not stop.is_set():
            now_ns = 0
            for topic, received_ns, message in messages:
                if received_ns > now_ns and stop.wait(1 / DRIVE.rate_hz):
                    return
                now_ns = received_ns
                clock.publish(Clock(clock=time_from_ns(now_ns)))
                publishers[topic].publish(message)
            loops[0] += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield loops
    finally:
        stop.set()
        thread.join()
        for publisher in (clock, *publishers.values()):
            graph.node.destroy_publisher(publisher)


def test_played_in_a_loop(
    tmp_path: Path, graph: Any, start_node: Any, make_operator: Any, wait_for: Any
) -> None:
    write_simulated_bag(tmp_path / "drive", DRIVE)
    start_node("spatial_query_node", "-p", "use_sim_time:=true")
    operator, answers = make_operator(graph), list[SpatialAnswer]()
    with played(tmp_path / "drive", graph) as loops:

        def is_answered_again() -> bool:
            answers.append(operator.ask("How many pallets are visible?"))
            return loops[0] > 3 and answers[-1].status == Status.OK

        wait_for(is_answered_again, "an answer in the fourth loop", 60.0)
    good = [answer for answer in answers if answer.status == Status.OK]
    pallets = {
        FIRST_STAMP_NS + round(index / DRIVE.rate_hz * 1e9): len(
            simulated.frame.regions.with_label("pallet")
        )
        for index, simulated in enumerate(DRIVE.frames())
    }
    for answer in good:
        assert answer.value == pallets[time_to_ns(answer.header.stamp)]
    assert len(good) > len(answers) / 2
