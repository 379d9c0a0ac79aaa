"""Parameters of `page_node`; `parameters.pages` documents them."""

from __future__ import annotations

from dataclasses import dataclass

from smolrgpt_ros.parameters.declaration import (
    Effect,
    check_parameters,
    parameter,
    same_parameter,
)
from smolrgpt_ros.parameters.query import QueryParameters

READING = (
    "rgb_transport",
    "depth_transport",
    "region_source",
    "instance_labels",
    "label_map",
    "depth_scale",
    "min_depth",
    "max_depth",
    "rectify",
)
"""How frames are read; to be set as in the query node, so that both see the same."""


@dataclass(frozen=True)
class PageParameters:
    """Parameters of `page_node`; durations in seconds.

    Raises:
        ValueError: a parameter is out of range or inconsistent; the message names it.
    """

    autostart: bool = same_parameter(QueryParameters, "autostart")
    host: str = parameter(
        "127.0.0.1",
        "Address to listen on. Unless it is loopback, visitors need the token that is logged at "
        "start; nothing is encrypted.",
        effect=Effect.AT_CONFIGURE,
        more="security.md#the-page",
    )
    port: int = parameter(
        8080,
        "Port to listen on.",
        limits=(1, 65535),
        effect=Effect.AT_CONFIGURE,
    )
    rate: float = parameter(
        2.0,
        "Maximum number of frames per second shown on the page; other frames are never decoded.",
        limits=(0.1, 30.0),
    )
    timeout: float = same_parameter(QueryParameters, "timeout")
    max_age: float = same_parameter(QueryParameters, "max_age")
    buffer_size: int = same_parameter(QueryParameters, "buffer_size")
    sync_tolerance: float = same_parameter(QueryParameters, "sync_tolerance")
    input_reliability: str = same_parameter(QueryParameters, "input_reliability")
    rgb_transport: str = same_parameter(QueryParameters, "rgb_transport")
    depth_transport: str = same_parameter(QueryParameters, "depth_transport")
    region_source: str = same_parameter(QueryParameters, "region_source")
    instance_labels: tuple[str, ...] = same_parameter(QueryParameters, "instance_labels")
    label_map: str = same_parameter(QueryParameters, "label_map")
    depth_scale: float = same_parameter(QueryParameters, "depth_scale")
    min_depth: float = same_parameter(QueryParameters, "min_depth")
    max_depth: float = same_parameter(QueryParameters, "max_depth")
    rectify: str = same_parameter(QueryParameters, "rectify")

    def __post_init__(self) -> None:
        check_parameters(self)
        if not self.host.strip():
            raise ValueError("host must not be empty: give an address, such as 127.0.0.1")
        self.reading()

    def reading(self) -> QueryParameters:
        """Parameters of a query node that reads frames in the same way."""
        return QueryParameters(**{name: getattr(self, name) for name in READING})
