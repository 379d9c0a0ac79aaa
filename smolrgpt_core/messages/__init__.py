"""ROS messages as plain objects: read and made without ROS.

A message is any object with the fields of its `.msg` file, so the same code serves the classes of
rclpy (the nodes) and those of rosbags (recordings). Nothing here subscribes, publishes or opens a
file, and nothing imports ROS.
"""
