"""A hidden node with its own thread, for messages too frequent for the node that serves questions.

There, each message would make rclpy rebuild the wait set of about forty entities and pass three
threads.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from smolrgpt_ros.spinning import spin


class Listener:
    """Receives messages from `start` to `close`.

    Args:
        serving: provides names, namespace and context.
        purpose: one word for the names of node and thread.
        remappings: from names to new names.

    Attributes:
        node: for subscriptions and timers.
    """

    def __init__(
        self, serving: Node, purpose: str, remappings: Mapping[str, str] | None = None
    ) -> None:
        rules = [part for item in (remappings or {}).items() for part in ("-r", ":=".join(item))]
        self.node = Node(
            f"_{serving.get_name()}_{purpose}",  # the underscore hides it from `ros2 node list`
            context=serving.context,
            namespace=serving.get_namespace(),
            cli_args=["--ros-args", *rules] if rules else None,
            use_global_arguments=False,  # a remapped node name applies to the serving node
            enable_rosout=False,
            start_parameter_services=False,
            parameter_overrides=[Parameter("start_type_description_service", value=False)],
        )
        self._executor = SingleThreadedExecutor(context=serving.context)
        self._thread = threading.Thread(
            target=spin, args=(self._executor, serving.get_logger()), name=purpose
        )

    def start(self) -> None:
        """Start to execute callbacks."""
        self._executor.add_node(self.node)
        self._thread.start()

    def close(self) -> None:
        """End all subscriptions."""
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
