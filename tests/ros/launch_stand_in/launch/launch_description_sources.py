"""Where the description of an included launch file comes from."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from launch import LaunchDescription


class PythonLaunchDescriptionSource:
    def __init__(self, launch_file_path: str) -> None:
        self._path = Path(launch_file_path)

    def description(self) -> LaunchDescription:
        name = f"launch_file_{self._path.name.partition('.')[0]}"
        spec = importlib.util.spec_from_file_location(name, self._path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.generate_launch_description()
