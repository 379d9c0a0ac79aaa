"""Where packages are installed."""

from __future__ import annotations

from ament_index_python.packages import get_package_share_directory

from launch import LaunchContext


class FindPackageShare:
    def __init__(self, package: str) -> None:
        self._package = package

    def perform(self, context: LaunchContext) -> str:
        return get_package_share_directory(self._package)
