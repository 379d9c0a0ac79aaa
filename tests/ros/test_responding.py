"""Responses to clients whose response topic is matched late, or never."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.executors import MultiThreadedExecutor
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger

from smolrgpt_ros.runtime.responding import retry_lost_responses
from smolrgpt_ros.runtime.spinning import spin


class Server:
    """A node with the service `report`, spinning on a thread."""

    def __init__(self) -> None:
        self.context = Context()
        rclpy.init(context=self.context)
        self.node = Node("server", context=self.context)
        self.service = self.node.create_service(Trigger, "report", self._report)
        self._executor = MultiThreadedExecutor(4, context=self.context)
        self._executor.add_node(self.node)
        self._thread = threading.Thread(target=spin, args=(self._executor, self.node.get_logger()))

    def _report(self, request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.message = "here"
        return response

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._executor.shutdown()
        self._thread.join()
        self.node.destroy_node()
        rclpy.shutdown(context=self.context)


@pytest.fixture
def server(ros_domain: int) -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


def test_response_is_sent_again_until_the_client_is_matched(server: Server, graph: Any) -> None:
    send, attempts = server.service.send_response, []

    def matched_at_the_third_attempt(response: object, header: object) -> None:
        attempts.append(response)
        if len(attempts) < 3:
            # As it comes from rclpy, see the test below.
            raise SystemError("an exception is set") from RuntimeWarning(
                "failed to send response (timeout): client will not receive response"
            )
        send(response, header)

    server.service.send_response = matched_at_the_third_attempt
    retry_lost_responses(server.node)
    server.start()
    assert graph.call(Trigger, "/report", Trigger.Request()).message == "here"
    assert len(attempts) == 3


def test_client_that_is_never_matched_costs_one_callback(
    server: Server, graph: Any, wait_for: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    retry_lost_responses(server.node, matching_s=0.5)
    server.start()
    # A reader that wants responses of the past, too, is incompatible with the service.
    incompatible = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
    client = graph.node.create_client(Trigger, "/report", qos_profile=incompatible)
    errors: list[str] = []

    def gave_up() -> bool:
        errors.append(capfd.readouterr().err)
        return "a client of report did not become ready" in "".join(errors)

    assert graph.call(Trigger, "/report", Trigger.Request()).message == "here"
    client.call_async(Trigger.Request())
    wait_for(gave_up, "the end of the attempts")
    assert graph.call(Trigger, "/report", Trigger.Request()).message == "here"


def test_other_errors_are_not_retried(server: Server) -> None:
    attempts = []

    def broken(response: object, header: object) -> None:
        attempts.append(response)
        raise SystemError("the handle is gone")

    server.service.send_response = broken
    retry_lost_responses(server.node)
    with pytest.raises(SystemError, match="handle is gone"):
        server.service.send_response(Trigger.Response(), None)
    assert len(attempts) == 1
    server.start()
