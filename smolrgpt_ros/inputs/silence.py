"""Why nothing comes of a topic, as far as the graph shows."""

from __future__ import annotations

from dataclasses import dataclass

from rclpy.node import Node
from rclpy.qos import QoSCompatibility, QoSProfile, qos_check_compatible
from rclpy.topic_endpoint_info import TopicEndpointInfo


@dataclass(frozen=True)
class Silence:
    """Why an input is silent, and what the operator can do."""

    advice: str
    is_quality_of_service: bool = False


def cause_of_silence(
    graph: Node, topic: str, message_type: type, quality: QoSProfile, without_publisher: str
) -> Silence:
    """Why a subscription gets nothing.

    Args:
        graph: a node of the graph.
        topic: full name.
        message_type: of the subscription.
        quality: of service, of the subscription.
        without_publisher: what to do if nobody publishes there.
    """
    publishers = graph.get_publishers_info_by_topic(topic)
    names = ", ".join(sorted({_full_name(publisher) for publisher in publishers}))
    if not publishers:
        return Silence(f"there is no publisher; {without_publisher}")
    expected = _type_name(message_type)
    if all(publisher.topic_type != expected for publisher in publishers):
        return Silence(
            f"{names} publishes {publishers[0].topic_type} there, expected {expected}; remap "
            "to the correct topic"
        )
    clashes = [_clash(publisher, quality) for publisher in publishers]
    if all(clashes):
        return Silence(
            f"the quality of service of {names} is incompatible ({clashes[0]}); change the "
            "publisher, or set input_reliability to best_effort and activate again",
            is_quality_of_service=True,
        )
    return Silence(f"{names} has a publisher there, but sends nothing; check that node")


def _clash(publisher: TopicEndpointInfo, quality: QoSProfile) -> str:
    """Which policies are incompatible; empty if none are."""
    compatibility, reason = qos_check_compatible(publisher.qos_profile, quality)
    if compatibility != QoSCompatibility.ERROR:
        return ""
    return reason.replace("ERROR:", "").strip(" ;").lower()


def _full_name(publisher: TopicEndpointInfo) -> str:
    return f"{publisher.node_namespace.rstrip('/')}/{publisher.node_name}"


def _type_name(message_type: type) -> str:
    return f"{message_type.__module__.split('.')[0]}/msg/{message_type.__name__}"
