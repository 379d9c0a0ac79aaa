"""Stands in for Nav2's navigator: offers `navigate_to_pose`, prints each goal, and how it ends.

Takes one argument, what becomes of goals: `reach`, `abort`, `reject`, or `hold` until canceled.
"""

from __future__ import annotations

import sys
import threading

import rclpy
from nav2_msgs.action import NavigateToPose
from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.executors import ExternalShutdownException, MultiThreadedExecutor
from rclpy.node import Node

STEPS = 3


class Navigator(Node):
    def __init__(self, fate: str) -> None:
        super().__init__("bt_navigator")
        self._fate = fate
        self._canceled = threading.Event()
        self._server = ActionServer(
            self,
            NavigateToPose,
            "navigate_to_pose",
            self._drive,
            goal_callback=self._decide,
            cancel_callback=self._cancel,
        )
        print("navigator is ready", flush=True)

    def _decide(self, goal: NavigateToPose.Goal) -> GoalResponse:
        place, turn, frame = goal.pose.pose.position, goal.pose.pose.orientation, goal.pose.header
        print(
            f"goal {frame.frame_id} {place.x:.3f} {place.y:.3f} {turn.z:.4f} {turn.w:.4f}",
            flush=True,
        )
        return GoalResponse.REJECT if self._fate == "reject" else GoalResponse.ACCEPT

    def _cancel(self, goal: ServerGoalHandle) -> CancelResponse:
        self._canceled.set()
        return CancelResponse.ACCEPT

    def _drive(self, goal: ServerGoalHandle) -> NavigateToPose.Result:
        for step in range(STEPS):
            left = float(STEPS - 1 - step)
            goal.publish_feedback(NavigateToPose.Feedback(distance_remaining=left))
        if self._fate == "hold":
            self._canceled.wait()
            goal.canceled()
        elif self._fate == "abort":
            goal.abort()
        else:
            goal.succeed()
        print(f"ended {self._fate}", flush=True)
        return NavigateToPose.Result()


def main(fate: str) -> None:
    rclpy.init()
    node = Navigator(fate)
    executor = MultiThreadedExecutor(3)
    executor.add_node(node)
    try:
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        # The test has ended it.
        node.destroy_node()


if __name__ == "__main__":
    main(sys.argv[1])
