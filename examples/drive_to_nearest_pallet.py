"""Drives with Nav2 to the pallet in a buffer that is nearest to the robot, if there is one.

    python examples/drive_to_nearest_pallet.py 1 --standoff 1.5

Asks first how many pallets stand in the buffer, and drives only if it is not zero. An answer on
which model and geometry disagree is asked for again, with a new frame. Needs a robot that Nav2
drives, tf from the camera to the map, and the query node with `target_frame: map`, which tells the
centers of pallets in the map. `nav2_simple_commander`, which comes with Nav2, is imported here
only; nothing else of this project needs it.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass

import rclpy
from builtin_interfaces.msg import Duration
from geometry_msgs.msg import Point, PoseStamped
from smolrgpt_ros.msg import SpatialAnswer
from smolrgpt_ros.srv import SpatialQuery
from spatial_query_client import SpatialQueryClient, status_name

ATTEMPTS = 5
MAP = "map"
ROBOT = "base_link"
TRANSFORM_TIMEOUT_S = 2.0

Ask = Callable[..., SpatialAnswer]


class NoAnswerError(Exception):
    """The robot stays where it is: there is no answer that it may act upon."""


@dataclass(frozen=True)
class Pallet:
    """The chosen pallet.

    Attributes:
        region_id: its id in the frame that was asked about.
        centre: metres, in the map, where it stood at the stamp of the image.
    """

    region_id: int
    centre: Point


class TryAgainError(NoAnswerError):
    """Another frame may give a better answer."""


def nearest_pallet(ask: Ask, buffer_id: int) -> Pallet | None:
    """The pallet in the buffer that is nearest to the camera; None when no pallet stands there.

    When model and geometry disagree, everything is asked again about a new frame.

    Raises:
        NoAnswerError: a question has no answer, or model and geometry go on disagreeing.
    """
    for _ in range(ATTEMPTS - 1):
        try:
            return _nearest_pallet_of_one_frame(ask, buffer_id)
        except TryAgainError as error:
            print(f"{error}; asking again")
    return _nearest_pallet_of_one_frame(ask, buffer_id)


def _nearest_pallet_of_one_frame(ask: Ask, buffer_id: int) -> Pallet | None:
    count = _agreed(ask(f"How many pallets are in buffer {buffer_id}?"))
    if count.value == 0:
        return None

    def distance(*region_ids: int) -> SpatialAnswer:
        # Ids may mean other objects in the next frame, so the frame stays the same.
        return _agreed(
            ask(
                category=SpatialQuery.Request.CATEGORY_DISTANCE,
                region_ids=region_ids,
                stamp=count.header.stamp,
                max_age=Duration(sec=60),
            )
        )

    # A distance of 0 m to a buffer means: it stands in it.
    pallets = [id for id in count.region_ids if id != buffer_id]
    inside = [id for id in pallets if distance(id, buffer_id).value == 0]
    if len(inside) != count.value:
        raise TryAgainError(f"{count.text!r}, but {len(inside)} have the distance 0 to the buffer")
    to_camera = {id: distance(id) for id in inside}
    nearest = min(inside, key=lambda id: to_camera[id].value)
    return Pallet(nearest, _centre_in_the_map(to_camera[nearest]))


def _agreed(answer: SpatialAnswer) -> SpatialAnswer:
    """The answer, if the robot may act upon it."""
    if answer.status == SpatialAnswer.STATUS_STALE:
        raise TryAgainError(f"the frame has gone: {answer.message}")
    if answer.status == SpatialAnswer.STATUS_NO_TRANSFORM:
        raise TryAgainError(f"the place in the map is not known: {answer.message}")
    if answer.status != SpatialAnswer.STATUS_OK:
        raise NoAnswerError(f"{status_name(answer)}: {answer.message}")
    if answer.agreement == SpatialAnswer.AGREEMENT_DISAGREE:
        raise TryAgainError(f"geometry does not agree with {answer.text!r}")
    return answer


def _centre_in_the_map(answer: SpatialAnswer) -> Point:
    """Of the one region that the answer is about."""
    if answer.centers_frame != MAP:
        raise NoAnswerError(
            f"centers are told in {answer.centers_frame!r}; start the query node with "
            f"`-p target_frame:={MAP}`"
        )
    (centre,) = answer.centers
    if not all(map(math.isfinite, (centre.x, centre.y, centre.z))):
        raise NoAnswerError("the chosen pallet has no depth to drive by")
    return centre


def goal_in_front_of(target: Point, robot: Point, standoff: float) -> PoseStamped:
    """Where to stand `standoff` metres before the target, looking at it; all in the map."""
    ahead = math.atan2(target.y - robot.y, target.x - robot.x)
    goal = PoseStamped()
    goal.header.frame_id = MAP
    goal.pose.position.x = target.x - standoff * math.cos(ahead)
    goal.pose.position.y = target.y - standoff * math.sin(ahead)
    goal.pose.orientation.z = math.sin(ahead / 2)
    goal.pose.orientation.w = math.cos(ahead / 2)
    return goal


def drive(client: SpatialQueryClient, pallet: Pallet, standoff: float) -> bool:
    """Drive to the pallet with Nav2; whether the robot got there."""
    from nav2_simple_commander.robot_navigator import BasicNavigator, TaskResult
    from rclpy.duration import Duration as ClockDuration
    from rclpy.time import Time
    from tf2_ros import Buffer, TransformListener

    transforms = Buffer()
    TransformListener(transforms, client, spin_thread=True)
    timeout = ClockDuration(seconds=TRANSFORM_TIMEOUT_S)
    here = transforms.lookup_transform(MAP, ROBOT, Time(), timeout).transform.translation
    robot = Point(x=here.x, y=here.y, z=here.z)
    navigator = BasicNavigator()
    navigator.waitUntilNav2Active()
    goal = goal_in_front_of(pallet.centre, robot, standoff)
    goal.header.stamp = navigator.get_clock().now().to_msg()
    navigator.goToPose(goal)
    while not navigator.isTaskComplete():
        pass  # waits a tenth of a second inside
    return navigator.getResult() == TaskResult.SUCCEEDED


def main(arguments: list[str] | None = None) -> int:
    """Ask, then drive; 0 when the robot got there, or had no reason to drive."""
    parser = argparse.ArgumentParser(description="Drive to the nearest pallet in a buffer.")
    parser.add_argument("buffer", type=int, help="region id of the buffer")
    parser.add_argument("--standoff", type=float, default=1.5, help="metres before the pallet")
    options, ros_arguments = parser.parse_known_args(arguments)
    rclpy.init(args=ros_arguments)
    client = SpatialQueryClient()
    try:
        pallet = nearest_pallet(client.ask, options.buffer)
        if pallet is None:
            print(f"no pallet stands in buffer {options.buffer}; the robot stays")
            return 0
        print(f"driving to pallet {pallet.region_id}")
        return 0 if drive(client, pallet, options.standoff) else 1
    except (NoAnswerError, TimeoutError) as error:
        print(f"{error}; the robot stays", file=sys.stderr)
        return 1
    finally:
        client.destroy_node()
        rclpy.shutdown()


if __name__ == "__main__":
    sys.exit(main())
