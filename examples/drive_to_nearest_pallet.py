"""Drives with Nav2 to the pallet in a buffer that is nearest to the robot, if there is one.

    python examples/drive_to_nearest_pallet.py 1 --standoff 1.5

Asks first how many pallets stand in the buffer, and drives only if it is not zero. An answer on
which model and geometry disagree is asked for again, with a new frame. Ctrl-C cancels the drive.
Needs a robot that Nav2 drives, tf, and the query node with `target_frame: map`, which gives the
centers of pallets in the map. Only what drives imports `nav2_msgs` and `tf2_ros`, which come with
Nav2.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import rclpy
from action_msgs.msg import GoalStatus
from geometry_msgs.msg import Point, PointStamped, PoseStamped
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future
from rclpy.time import Time

from smolrgpt_core.answer import Agreement
from smolrgpt_core.errors import Status
from smolrgpt_ros.client import QueryAnswer, SpatialQueryClient

ATTEMPTS = 5
MAP = "map"
ROBOT = "base_link"
TRANSFORM_TIMEOUT_S = 2.0
NAV2_TIMEOUT_S = 10.0
SPIN_S = 0.1
"""How soon Ctrl-C is noticed: Python looks at signals between two calls of rclpy."""

Ask = Callable[..., QueryAnswer]


class NoAnswerError(Exception):
    """The robot stays where it is: there is no answer that it may act upon."""


class TryAgainError(NoAnswerError):
    """Another frame may give a better answer."""


@dataclass(frozen=True)
class Pallet:
    """The chosen pallet.

    Attributes:
        region_id: its id in the frame that was asked about.
        center: meters, in the map, where it stood at the stamp of the image.
    """

    region_id: int
    center: PointStamped


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
    # Ids may mean other objects in the next frame, so the frame stays the same.
    nearest = _agreed(
        ask(
            f"Which pallet in buffer {buffer_id} is nearest to the camera?",
            stamp=count.stamp,
            max_age=60.0,
        )
    )
    assert nearest.region_id is not None
    if nearest.region_id not in count.answer_ids:
        raise TryAgainError(f"{count.text!r} and {nearest.text!r} contradict each other")
    return Pallet(nearest.region_id, _center_in_the_map(nearest))


def _agreed(answer: QueryAnswer) -> QueryAnswer:
    """The answer, if the robot may act upon it."""
    if answer.status is Status.STALE:
        raise TryAgainError(f"the frame has gone: {answer.message}")
    if answer.status is Status.NO_TRANSFORM:
        raise TryAgainError(f"the place in the map is not known: {answer.message}")
    if not answer.ok:
        raise NoAnswerError(f"{answer.status.name}: {answer.message}")
    if answer.agreement is Agreement.DISAGREE:
        raise TryAgainError(f"geometry does not agree with {answer.text!r}")
    return answer


def _center_in_the_map(answer: QueryAnswer) -> PointStamped:
    """Of the region that was chosen."""
    if answer.centers_frame != MAP:
        raise NoAnswerError(
            f"centers are in {answer.centers_frame!r}; start the query node with "
            f"`-p target_frame:={MAP}`"
        )
    try:
        return answer.center_of(answer.region_id or 0)
    except ValueError as error:
        raise NoAnswerError(f"nowhere to drive to: {error}") from error


def goal_in_front_of(target: Point, robot: Point, standoff: float) -> PoseStamped:
    """Where to stand `standoff` meters before the target, looking at it; all in the map."""
    ahead = math.atan2(target.y - robot.y, target.x - robot.x)
    goal = PoseStamped()
    goal.header.frame_id = MAP
    goal.pose.position.x = target.x - standoff * math.cos(ahead)
    goal.pose.position.y = target.y - standoff * math.sin(ahead)
    goal.pose.orientation.z = math.sin(ahead / 2)
    goal.pose.orientation.w = math.cos(ahead / 2)
    return goal


def wait_for(node: Node, future: Future, timeout_s: float = math.inf) -> Any:
    """The result of a future, for which the node spins.

    Raises:
        TimeoutError: it does not come in time.
    """
    deadline = time.monotonic() + timeout_s
    while not future.done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing came within {timeout_s:g} s")
        rclpy.spin_once(node, timeout_sec=SPIN_S)
    return future.result()


def robot_position(node: Node) -> Point:
    """Where the robot is now, in the map, by tf.

    Raises:
        NoAnswerError: tf does not know.
    """
    from tf2_ros import Buffer, TransformListener

    transforms = Buffer()
    listener = TransformListener(transforms, node)
    try:
        known = transforms.wait_for_transform_async(MAP, ROBOT, Time())
        wait_for(node, known, TRANSFORM_TIMEOUT_S)
        place = transforms.lookup_transform(MAP, ROBOT, Time()).transform.translation
    except TimeoutError:
        raise NoAnswerError(f"tf does not know where {ROBOT} is in {MAP}") from None
    finally:
        listener.unregister()
    return Point(x=place.x, y=place.y, z=place.z)


def drive(node: Node, goal: PoseStamped) -> bool:
    """Drive to a goal with Nav2; whether the robot got there.

    Raises:
        NoAnswerError: Nav2 is not there, or does not accept the goal.
    """
    from nav2_msgs.action import NavigateToPose
    from rclpy.action import ActionClient

    navigation = ActionClient(node, NavigateToPose, "navigate_to_pose")
    if not navigation.wait_for_server(NAV2_TIMEOUT_S):
        raise NoAnswerError("Nav2 is not there: nobody offers the action navigate_to_pose")
    goal.header.stamp = node.get_clock().now().to_msg()
    sent = navigation.send_goal_async(NavigateToPose.Goal(pose=goal))
    try:
        driving = wait_for(node, sent)
        if not driving.accepted:
            raise NoAnswerError("Nav2 does not accept the goal")
        ended = wait_for(node, driving.get_result_async())
    except KeyboardInterrupt:
        # Nav2 may have been asked and not have accepted yet: it would drive nevertheless.
        driving = wait_for(node, sent, NAV2_TIMEOUT_S)
        if driving.accepted:
            wait_for(node, driving.cancel_goal_async(), NAV2_TIMEOUT_S)
        raise
    return bool(ended.status == GoalStatus.STATUS_SUCCEEDED)


def main(arguments: list[str] | None = None) -> int:
    """Ask, then drive; 0 when the robot got there, or had no reason to drive."""
    parser = argparse.ArgumentParser(description="Drive to the nearest pallet in a buffer.")
    parser.add_argument("buffer", type=int, help="region id of the buffer")
    parser.add_argument("--standoff", type=float, default=1.5, help="meters before the pallet")
    options, ros_arguments = parser.parse_known_args(arguments)
    # With its own handlers, rclpy would end at Ctrl-C before the drive is canceled.
    rclpy.init(args=ros_arguments, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("drive_to_nearest_pallet")
    try:
        with SpatialQueryClient(node) as client:
            pallet = nearest_pallet(client.ask, options.buffer)
        if pallet is None:
            print(f"no pallet stands in buffer {options.buffer}; the robot stays")
            return 0
        print(f"driving to pallet {pallet.region_id}", flush=True)
        goal = goal_in_front_of(pallet.center.point, robot_position(node), options.standoff)
        return 0 if drive(node, goal) else 1
    except (NoAnswerError, TimeoutError) as error:
        print(f"{error}; the robot stays", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("canceled", file=sys.stderr)
        return 130
    finally:
        node.destroy_node()
        rclpy.shutdown()


if __name__ == "__main__":
    sys.exit(main())
