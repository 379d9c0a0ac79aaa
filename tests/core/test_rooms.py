"""Packages import each other in one direction only, and load no more than they need."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import smolrgpt_core

ROOT = Path(smolrgpt_core.__file__).parent


def room(module: str) -> str:
    """The package of a module, or the module itself where it stands beside the packages."""
    return module.split(".")[1] if "." in module else ""


def imported_modules(path: Path) -> set[str]:
    """Modules of this project that a file imports anywhere, also within functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == ROOT.name:
            found |= {f"{ROOT.name}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return {name for name in found if name.split(".")[0] == ROOT.name}


def imports_of_rooms() -> dict[str, set[str]]:
    """For each room the others that it imports."""
    graph: dict[str, set[str]] = defaultdict(set)
    for path in ROOT.rglob("*.py"):
        own = room(".".join(path.relative_to(ROOT.parent).with_suffix("").parts))
        graph[own] |= {room(name) for name in imported_modules(path)} - {own}
    return graph


def test_no_package_imports_one_that_imports_it() -> None:
    graph = imports_of_rooms()
    assert {"frame", "errors", "language"} <= graph["answerers"]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"packages import each other: {' -> '.join(error.args[1])}")


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("recordings.dataset", ["smolrgpt_core.sim", "smolrgpt_core.simulated_data", "torch"]),
        ("recordings.replay", ["smolrgpt_core.sim", "torch"]),
        (
            "annotation.run",
            ["smolrgpt_core.sim", "smolrgpt_core.simulated_data", "torch", "sklearn", "ray"],
        ),
        ("data.readers", ["smolrgpt_core.synthesis", "smolrgpt_core.sim", "torch"]),
        ("quality.check", ["smolrgpt_core.sim", "torch"]),
        ("cli.application", ["torch", "rosbags"]),
        ("answerers.registry", ["smolrgpt_core.inference", "torch"]),
    ],
)
def test_a_module_loads_only_what_it_needs(module: str, unwanted: list[str]) -> None:
    code = (
        f"import sys, smolrgpt_core.{module}\n"
        f"print([name for name in {[*unwanted, 'mujoco', 'rclpy']} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT.parent
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
