"""The options in pyproject.toml: pytest starts beside the plugins of a sourced ROS."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

OLD_HOOK = """
def pytest_collect_file(path, parent):
    return None
"""
"""As launch_testing of ROS 2 Jazzy has it; pytest 9 knows no argument `path`."""

UNKNOWN_HOOK = """
def pytest_launch_collect_makemodule(path, parent, entrypoint):
    return None
"""
"""As launch_testing_ros has it: a hook that only launch_testing declares."""

PLUGINS = {
    "launch_testing": OLD_HOOK,
    "launch_testing_ros": UNKNOWN_HOOK,
    "launch_testing_ros_pytest_entrypoint": UNKNOWN_HOOK,
    "launch_pytest": OLD_HOOK,
    "ament_lint": OLD_HOOK,
}


def run_pytest(folder: Path, options: Path) -> subprocess.CompletedProcess:
    (folder / "test_nothing.py").write_text("def test_nothing():\n    pass\n")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", options, "--rootdir", folder, folder],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )


def test_pytest_starts_beside_the_plugins_of_ros(tmp_path: Path) -> None:
    for name, hook in PLUGINS.items():
        (tmp_path / f"stand_in_{name}.py").write_text(hook)
        information = tmp_path / f"{name}-1.0.dist-info"
        information.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        (information / "METADATA").write_text(metadata)
        (information / "entry_points.txt").write_text(f"[pytest11]\n{name} = stand_in_{name}\n")
    without_options = run_pytest(tmp_path, Path(os.devnull))
    assert without_options.returncode != 0, "the stand-ins do no harm"
    with_options = run_pytest(tmp_path, ROOT / "pyproject.toml")
    assert with_options.returncode == 0, with_options.stdout + with_options.stderr
