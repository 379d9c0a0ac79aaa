"""Writes the documentation of the nodes' parameters from their declarations.

    python -m smolrgpt_ros.parameters.pages

`config/warehouse.yaml` lists all of them with their defaults, `docs/ros_interfaces.md` has a table
of each documented node between two markers.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from smolrgpt_core.files import write_file
from smolrgpt_core.markdown import markdown_table
from smolrgpt_ros.parameters.declaration import Effect
from smolrgpt_ros.parameters.page import PageParameters
from smolrgpt_ros.parameters.perception import DepthParameters, RegionParameters
from smolrgpt_ros.parameters.query import QueryParameters
from smolrgpt_ros.parameters.sim_camera import SimCameraParameters

NODES = {
    "spatial_query": QueryParameters,
    "sim_camera": SimCameraParameters,
    "region_finder": RegionParameters,
    "depth_estimator": DepthParameters,
    "page": PageParameters,
}

YAML, PAGE = "config/warehouse.yaml", "docs/ros_interfaces.md"

HEAD = """\
# Parameters of the nodes, with their defaults. Copy this file, change it, and give its path to
# `ros2 launch smolrgpt_ros warehouse.launch.py params_file:=...`.
# `/**` makes a section apply in any namespace. `ros2 param describe NODE PARAMETER` shows the
# description of a parameter, too.
# Written by `python -m smolrgpt_ros.parameters.pages`.

/**:
"""

EFFECTS = {
    Effect.AT_ONCE: "",
    Effect.AT_ACTIVATE: " (from the next activate on)",
    Effect.AT_CONFIGURE: " (from the next configure on)",
    Effect.AT_START: " (fixed at start)",
}

TABLES = ("spatial_query", "region_finder", "depth_estimator", "page")
"""Nodes with a table; `docs/demo.md` describes the simulated camera in its own words."""

BEGIN = "<!-- parameters of {}: written by `python -m smolrgpt_ros.parameters.pages` -->"
END = "<!-- end of the parameters of {} -->"

WIDTH = 100


def yaml_text() -> str:
    """Content of the parameter file."""
    return HEAD + "\n".join(_section(name, kind) for name, kind in NODES.items())


def _section(node: str, kind: type) -> str:
    lines = [f"  {node}:", "    ros__parameters:"]
    for item in fields(kind):
        text = f"{item.metadata['description']}{_choices(item)}{EFFECTS[item.metadata['effect']]}"
        indent = "      # "
        lines += textwrap.wrap(
            text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
        )
        lines.append(f"      {item.name}: {_as_yaml(item.default)}")
    return "\n".join(lines) + "\n"


def _choices(item: Field) -> str:
    choices = item.metadata["choices"]
    return f" One of {', '.join(choices)}." if choices else ""


def _as_yaml(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value)


def table(kind: type) -> str:
    """Markdown table of the parameters of a node."""
    rows = []
    for item in fields(kind):
        effect, more = item.metadata["effect"].value, item.metadata["more"]
        meaning = f"{item.metadata['description']}{_choices(item)}".replace("|", "\\|")
        if more:
            meaning += f" [More]({more.removeprefix(Path(PAGE).name)})"
        rows.append((f"`{item.name}`", f"`{_as_yaml(item.default)}`", effect, meaning))
    return markdown_table(("Parameter", "Default", "Takes effect", "Meaning"), rows)


def with_tables(page: str) -> str:
    """The page with the current tables between their markers.

    Raises:
        ValueError: a marker is missing.
    """
    for node in TABLES:
        first, last = BEGIN.format(node), END.format(node)
        before, begin, rest = page.partition(first)
        _, end, after = rest.partition(last)
        if not (begin and end):
            raise ValueError(f"expected the lines {first!r} and {last!r} in the page")
        page = f"{before}{first}\n{table(NODES[node])}\n{last}{after}"
    return page


def main() -> None:
    """Write both files in this source tree."""
    root = Path(__file__).parents[2]
    write_file(root / YAML, yaml_text().encode())
    write_file(root / PAGE, with_tables((root / PAGE).read_text()).encode())


if __name__ == "__main__":
    main()
