"""The SROS2 policy allows exactly what the running nodes have; the syntax is checked by hand.

`ros2 security create_permission` checks it as well, where sros2 is installed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from rclpy._rclpy_pybind11 import NodeNameNonExistentError
from rclpy.node import Node

from smolrgpt_core.errors import Status

ROOT = Path(__file__).resolve().parents[2]
POLICY = ROOT / "config" / "sros2" / "policy.xml"
TF2_STAND_IN = ROOT / "tests" / "ros" / "tf2_stand_in"

CHILDREN = {
    "policy": {"enclaves"},
    "enclaves": {"enclave"},
    "enclave": {"profiles"},
    "profiles": {"profile"},
    "profile": {"topics", "services"},
    "topics": {"topic"},
    "services": {"service"},
    "topic": set(),
    "service": set(),
}
"""Elements of policy 0.2.0 by parent; actions, which nobody here has, are left out."""

RULES = {"topics": {"publish", "subscribe"}, "services": {"reply", "request"}}

Allowed = dict[tuple[str, str], set[str]]
"""Names by kind and rule, such as ("topics", "publish")."""


def allowed_to(node: str) -> Allowed:
    """What the policy allows a node, with full names."""
    (profile,) = ElementTree.parse(POLICY).getroot().iterfind(f".//profile[@node='{node}']")
    names: Allowed = {}
    for rules in profile:
        for rule in rules.keys():  # noqa: SIM118, an element is no mapping
            found = {(name.text or "").replace("~", f"/{node}") for name in rules}
            names.setdefault((rules.tag, rule), set()).update(found)
    return names


def present_of(observer: Node, node: str) -> Allowed:
    """What the graph knows about a node."""
    lookups = {
        ("topics", "publish"): observer.get_publisher_names_and_types_by_node,
        ("topics", "subscribe"): observer.get_subscriber_names_and_types_by_node,
        ("services", "reply"): observer.get_service_names_and_types_by_node,
        ("services", "request"): observer.get_client_names_and_types_by_node,
    }
    found = {key: {name for name, _ in lookup(node, "/")} for key, lookup in lookups.items()}
    return {key: names for key, names in found.items() if names}


def test_policy_is_well_formed() -> None:
    root = ElementTree.parse(POLICY).getroot()
    assert root.tag == "policy"
    assert root.attrib == {"version": "0.2.0"}
    for element in root.iter():
        assert {child.tag for child in element} <= CHILDREN[element.tag]
        if element.tag in RULES:
            assert set(element.attrib) <= RULES[element.tag]
            assert set(element.attrib.values()) == {"ALLOW"}
        elif element.tag in ("topic", "service"):
            assert (element.text or "").startswith(("/", "~/"))
            assert "*" not in (element.text or "")


def settled(observer: Node, node: str) -> Allowed:
    """What the graph knows about a node after it has seen all that the policy allows, or 60 s."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        with contextlib.suppress(NodeNameNonExistentError):
            if present_of(observer, node) == allowed_to(node):
                break
        time.sleep(0.05)
    return present_of(observer, node)


def test_policy_allows_what_the_client_has(graph: Any, start_command: Any) -> None:
    # It waits for a service that is not there yet.
    client = ROOT / "examples" / "spatial_query_client.py"
    process = start_command(sys.executable, client, "How far?", "--timeout", "100")
    assert settled(graph.node, "spatial_query_client") == allowed_to("spatial_query_client")
    process.kill()


def test_policy_allows_what_the_query_node_has(
    graph: Any, camera: Any, start_node: Any, make_operator: Any, wait_for: Any, tmp_path: Path
) -> None:
    # The frame is that of the images, so that nothing need come over tf.
    start_node(
        "spatial_query_node",
        *["-p", "target_frame:=camera_optical_frame"],
        environment={
            "PYTHONPATH": os.pathsep.join([str(TF2_STAND_IN), os.environ.get("PYTHONPATH", "")]),
            "TF2_STAND_IN_FILE": str(tmp_path / "no_transform.json"),
        },
    )
    operator = make_operator(graph)
    wait_for(lambda: operator.ask_distance().status == Status.OK, "an answer")
    for node in ("spatial_query", "_spatial_query_inputs", "_spatial_query_transforms"):
        assert settled(graph.node, node) == allowed_to(node)


@pytest.mark.skipif(shutil.which("ros2") is None, reason="sros2 comes with a ROS installation only")
def test_sros2_makes_permissions_of_the_policy(tmp_path: Path) -> None:
    security = ["ros2", "security"]
    subprocess.run([*security, "create_keystore", tmp_path], check=True)
    for enclave in ("/spatial_query", "/spatial_query_client"):
        subprocess.run([*security, "create_enclave", tmp_path, enclave], check=True)
        subprocess.run([*security, "create_permission", tmp_path, enclave, POLICY], check=True)
        permissions = tmp_path / "enclaves" / enclave[1:] / "permissions.xml"
        assert "rq/spatial_queryRequest" in permissions.read_text()
