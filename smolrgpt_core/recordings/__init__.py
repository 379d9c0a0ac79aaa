"""ROS 2 recordings (bags) without ROS: turned into data sets, and written from the simulator.

Needs `rosbags` (the extra `data`). Topics that are neither images, calibrations nor
regions are never read.
"""
