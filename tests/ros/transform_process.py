"""Publishes tf with the real tf2, as a process of its own that a test can stop.

The camera stands still on a robot (/tf_static), the robot drives along the x axis of the map (/tf).
Takes two arguments: the time in seconds at which the robot was at x = 0, and its speed in m/s.
"""

from __future__ import annotations

import sys

import rclpy
from geometry_msgs.msg import Quaternion, TransformStamped, Vector3
from rclpy.executors import ExternalShutdownException
from rclpy.node import Node
from rclpy.time import Time
from tf2_ros import StaticTransformBroadcaster, TransformBroadcaster

PERIOD_S = 0.02


def main(start_s: float, speed: float) -> None:
    rclpy.init()
    node = Node("transforms_of_the_test")
    camera = TransformStamped(child_frame_id="camera_optical_frame")
    camera.header.frame_id = "base_link"
    camera.transform.translation = Vector3(x=0.0, y=0.0, z=1.5)
    camera.transform.rotation = Quaternion(x=-0.5, y=0.5, z=-0.5, w=0.5)
    fixed, moving = StaticTransformBroadcaster(node), TransformBroadcaster(node)
    camera.header.stamp = node.get_clock().now().to_msg()
    fixed.sendTransform(camera)
    robot = TransformStamped(child_frame_id="base_link")
    robot.header.frame_id = "map"

    def move() -> None:
        now: Time = node.get_clock().now()
        robot.header.stamp = now.to_msg()
        robot.transform.translation.x = speed * (now.nanoseconds / 1e9 - start_s)
        moving.sendTransform(robot)

    node.create_timer(PERIOD_S, move)
    try:
        rclpy.spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        # The test has ended it.
        node.destroy_node()


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]))
