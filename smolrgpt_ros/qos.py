"""Queue depth of requests and responses in the middleware, for the node and its clients."""

from __future__ import annotations

from rclpy.qos import QoSProfile

SERVICE_QOS = QoSProfile(depth=1000)
"""Reliable, as services are by default, but with a queue depth far above the default of 10.

A burst of more requests than the depth never reaches the node completely. And in DDS every client
receives the responses to all clients, and discards those of others when it takes them: while it is
busy, 10 of them can displace its own, and it waits in vain.
"""
