"""ROS 2 nodes around smolrgpt_core."""
