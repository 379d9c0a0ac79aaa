"""Queue depth of requests and responses in the middleware, for the node and its clients."""

from __future__ import annotations

from rclpy.qos import QoSProfile

SERVICE_QUALITY = QoSProfile(depth=1000)
"""Reliable, as services are by default, but for many more than the 10 that wait by default.

A burst of more requests than that never reaches the node as a whole. And in DDS every client
receives the responses to all clients, and drops those of others when it looks at them: while it is
busy, 10 of them push out its own, and it waits in vain.
"""
