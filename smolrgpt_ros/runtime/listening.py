"""Nodes on threads of their own, for what the node that serves must not wait for.

On the node that serves questions, each message of a camera would make rclpy rebuild the wait set of
about forty entities and pass three threads.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from smolrgpt_ros.runtime.spinning import spin


def hidden_node(serving: Node, purpose: str, remappings: Mapping[str, str] | None = None) -> Node:
    """A node that `ros2 node list` does not show.

    Args:
        serving: whose name, namespace and context are used.
        purpose: of it, in one word, for its name.
        remappings: names and what they stand for.
    """
    rules = [part for item in (remappings or {}).items() for part in ("-r", ":=".join(item))]
    return Node(
        f"_{serving.get_name()}_{purpose}",  # the underscore hides it
        context=serving.context,
        namespace=serving.get_namespace(),
        cli_args=["--ros-args", *rules] if rules else None,
        use_global_arguments=False,  # a remapped node name is for the node that serves
        enable_rosout=False,
        start_parameter_services=False,
        parameter_overrides=[Parameter("start_type_description_service", value=False)],
    )


class NodeThread:
    """Executes the callbacks of one node from `start` to `close`, which also destroys the node.

    Args:
        node: of nobody else.
        name: of the thread.
        daemon: the thread does not keep the process alive.

    Attributes:
        node: for subscriptions, clients and timers.
    """

    def __init__(self, node: Node, name: str, daemon: bool = False) -> None:
        self.node = node
        self._executor = SingleThreadedExecutor(context=node.context)
        self._thread = threading.Thread(
            target=spin, args=(self._executor, node.get_logger()), name=name, daemon=daemon
        )

    @property
    def is_current(self) -> bool:
        """Whether the caller is a callback of the node."""
        return threading.current_thread() is self._thread

    def start(self) -> None:
        """Start to execute callbacks."""
        self._executor.add_node(self.node)
        self._thread.start()

    def close(self) -> None:
        """End everything that the node does."""
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()


class Listener(NodeThread):
    """Receives on a hidden node.

    Args:
        serving: whose names, namespace and context are used.
        purpose: of it, in one word, for the names of node and thread.
        remappings: names and what they stand for.
    """

    def __init__(
        self, serving: Node, purpose: str, remappings: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(hidden_node(serving, purpose, remappings), purpose)
