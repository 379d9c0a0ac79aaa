"""Runs the behavior tree of `nearest_pallet_tree.xml` with BehaviorTree.CPP, from Python.

    pip install behaviortreepy
    python examples/run_nearest_pallet_tree.py

The exit status is 0 when the tree succeeds. On a robot, plugins in C++ may do the same with typed
ports. `behaviortreepy` has numbers and texts only, so lists and poses are JSON here; and it cannot
declare ports, so each action is the only node of a subtree, which has them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import rclpy
from action_msgs.msg import GoalStatus
from behaviortreepy import BehaviorTreeFactory, Blackboard, NodeStatus, TreeNode
from drive_to_nearest_pallet import (
    MAP,
    NAV2_TIMEOUT_S,
    SPIN_S,
    NoAnswerError,
    goal_in_front_of,
    robot_position,
    wait_for,
)
from geometry_msgs.msg import Point, PoseStamped
from nav2_msgs.action import NavigateToPose
from rclpy.action import ActionClient
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.task import Future

from smolrgpt_ros.client import QueryAnswer, SpatialQueryClient

TREE = Path(__file__).with_name("nearest_pallet_tree.xml")
ACTIONS = ("SpatialQuery", "PoseOfRegion", "NavigateToPose")


class Actions:
    """What the tree can do.

    Args:
        node: that asks tf and Nav2.
        client: of the query node.
    """

    def __init__(self, node: Node, client: SpatialQueryClient) -> None:
        self._node = node
        self._client = client
        self._navigation = ActionClient(node, NavigateToPose, "navigate_to_pose")
        self._sent: Future | None = None

    def register(self, factory: BehaviorTreeFactory) -> None:
        """Make the actions known, each as `CallNAME`."""
        _register(factory, "CallSpatialQuery", self._ask, _put_answer)
        _register(
            factory, "CallNavigateToPose", self._drive, lambda _, reached: reached, self._stop
        )
        factory.register_simple_action("CallPoseOfRegion", self._pose_of_region)

    def _ask(self, ports: Blackboard) -> Future:
        return self._client.ask_async(ports.get_string("question"))

    def _pose_of_region(self, tree_node: TreeNode) -> NodeStatus:
        ports = tree_node.config().blackboard
        ids = json.loads(ports.get_string("region_ids"))
        x, y, z = json.loads(ports.get_string("centers"))[ids.index(ports.get_int("region_id"))]
        frame = ports.get_string("centers_frame")
        if frame != MAP:
            print(f"centers are in {frame!r}; start the query node with `-p target_frame:={MAP}`")
            return NodeStatus.FAILURE
        robot = robot_position(self._node)
        goal = goal_in_front_of(Point(x=x, y=y, z=z), robot, ports.get_double("standoff"))
        place, turn = goal.pose.position, goal.pose.orientation
        ports.set_string("goal", json.dumps([place.x, place.y, turn.z, turn.w]))
        return NodeStatus.SUCCESS

    def _drive(self, ports: Blackboard) -> Future:
        goal = PoseStamped()
        goal.header.frame_id = MAP
        goal.header.stamp = self._node.get_clock().now().to_msg()
        place, turn = goal.pose.position, goal.pose.orientation
        place.x, place.y, turn.z, turn.w = json.loads(ports.get_string("goal"))
        if not self._navigation.wait_for_server(NAV2_TIMEOUT_S):
            raise NoAnswerError("Nav2 is not there: nobody offers the action navigate_to_pose")
        reached = Future()
        self._sent = self._navigation.send_goal_async(NavigateToPose.Goal(pose=goal))
        self._sent.add_done_callback(lambda sent: self._on_accepted(sent.result(), reached))
        return reached

    def _on_accepted(self, driving: Any, reached: Future) -> None:
        if not driving.accepted:
            reached.set_result(False)
            return
        driving.get_result_async().add_done_callback(
            lambda ended: reached.set_result(ended.result().status == GoalStatus.STATUS_SUCCEEDED)
        )

    def _stop(self, _: TreeNode) -> None:
        if self._sent is None:
            return
        # Nav2 may have been asked and not have accepted yet: it would drive nevertheless.
        driving = wait_for(self._node, self._sent, NAV2_TIMEOUT_S)
        if driving.accepted:
            wait_for(self._node, driving.cancel_goal_async(), NAV2_TIMEOUT_S)


def _put_answer(ports: Blackboard, answer: QueryAnswer) -> bool:
    """Copy an answer to the output ports; whether it is one."""
    if not answer.ok:
        print(f"{answer.status.name}: {answer.message}")
        return False
    print(answer.text, flush=True)
    ports.set_double("value", answer.value or 0.0)
    ports.set_int("region_id", answer.region_id or 0)
    ports.set_int("agreement", answer.agreement)
    ports.set_string("region_ids", json.dumps(answer.region_ids))
    ports.set_string("centers", json.dumps(answer.centers.tolist()))
    ports.set_string("centers_frame", answer.centers_frame)
    return True


def _register(
    factory: BehaviorTreeFactory,
    name: str,
    start: Callable[[Blackboard], Future],
    finish: Callable[[Blackboard, Any], bool],
    halt: Callable[[TreeNode], None] | None = None,
) -> None:
    """An action that runs until a future is done, and succeeds if `finish` says so."""
    futures: dict[int, Future] = {}

    def on_start(node: TreeNode) -> NodeStatus:
        futures[node.uid()] = start(node.config().blackboard)
        return NodeStatus.RUNNING

    def on_running(node: TreeNode) -> NodeStatus:
        future = futures[node.uid()]
        if not future.done():
            return NodeStatus.RUNNING
        succeeded = finish(node.config().blackboard, future.result())
        return NodeStatus.SUCCESS if succeeded else NodeStatus.FAILURE

    factory.register_simple_stateful_action(name, on_start, on_running, halt)


def tree_with_subtrees(path: Path) -> str:
    """The XML of the tree, with each of `ACTIONS` as a subtree around `CallNAME`."""
    root = ElementTree.parse(path).getroot()
    for element in [element for element in root.iter() if element.tag in ACTIONS]:
        element.set("ID", element.tag)
        element.tag = "SubTree"
    models = root.find("TreeNodesModel")
    if models is not None:
        root.remove(models)
    for name in ACTIONS:
        subtree = ElementTree.SubElement(root, "BehaviorTree", ID=name)
        ElementTree.SubElement(subtree, f"Call{name}")
    return ElementTree.tostring(root, encoding="unicode")


def run(node: Node, actions: Actions) -> NodeStatus:
    """Tick until the tree has succeeded or failed."""
    factory = BehaviorTreeFactory()
    actions.register(factory)
    text = tree_with_subtrees(TREE)
    factory.register_behavior_tree_from_text(text)
    tree = factory.create_tree(ElementTree.fromstring(text).get("main_tree_to_execute"))
    try:
        while (status := tree.tick_once()) == NodeStatus.RUNNING:
            rclpy.spin_once(node, timeout_sec=SPIN_S)
    finally:
        tree.halt_tree()
    return status


def main(arguments: list[str] | None = None) -> int:
    """Run the tree; 0 when it succeeds."""
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("nearest_pallet_tree")
    try:
        with SpatialQueryClient(node) as client:
            status = run(node, Actions(node, client))
        print(f"the tree ended with {status.name}")
        return 0 if status == NodeStatus.SUCCESS else 1
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
