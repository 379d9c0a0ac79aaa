"""ROS 2 recordings (bags) without ROS: turned into data sets, and written from the simulator.

Needs `rosbags` (`pip install smolrgpt[data]`). Topics that are neither images, calibrations nor
regions are never looked at.
"""
