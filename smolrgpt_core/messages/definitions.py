"""Locates the `.msg` files of this project: inside this package, or in the source tree."""

from __future__ import annotations

from pathlib import Path

from smolrgpt_core.messages.types import OWN_PACKAGE

INSTALLED = Path(__file__).parent / "msg"
"""Where pip and colcon install the files of `msg/`."""

IN_SOURCE_TREE = Path(__file__).resolve().parents[2] / "msg"


def own_definitions() -> dict[str, str]:
    """Text of each `.msg` file by type name, such as "smolrgpt_ros/msg/Region".

    Raises:
        FileNotFoundError: the installation does not contain the files.
    """
    folder = next((path for path in (INSTALLED, IN_SOURCE_TREE) if path.is_dir()), None)
    if folder is None:
        raise FileNotFoundError(
            f"{INSTALLED} is missing: reinstall smolrgpt, because its message definitions are "
            "missing"
        )
    return {
        f"{OWN_PACKAGE}/msg/{path.stem}": path.read_text(encoding="utf-8")
        for path in sorted(folder.glob("*.msg"))
    }
