"""The version stands in several files that no tool can share: they agree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

VERSION = re.compile(r'^version = "(.+)"$', re.MULTILINE)
WHERE = {
    "package.xml": re.compile(r"<version>(.+)</version>"),
    "CITATION.cff": re.compile(r"^version: (.+)$", re.MULTILINE),
    # The newest entry is the first.
    "CHANGELOG.rst": re.compile(r"^(\d+\.\d+\.\d+) \(.+\)$", re.MULTILINE),
}


@pytest.mark.parametrize("name", sorted(WHERE))
def test_the_version_is_that_of_the_package(name: str) -> None:
    version = VERSION.search((ROOT / "pyproject.toml").read_text())
    found = WHERE[name].search((ROOT / name).read_text())
    assert version is not None
    assert found is not None
    assert found[1] == version[1]


def test_the_built_package_is_typed(tmp_path: Path) -> None:
    command = ["setup.py", "-q", "build", "--build-base", str(tmp_path / "base")]
    subprocess.run(
        [sys.executable, *command, "--build-lib", str(tmp_path / "lib"),
         "egg_info", "--egg-base", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert (tmp_path / "lib" / "smolrgpt_core" / "py.typed").is_file()


def test_the_ros_package_is_typed(tmp_path: Path) -> None:
    """The rule of CMakeLists.txt, on its own: a whole build takes minutes."""
    rules = (ROOT / "CMakeLists.txt").read_text()
    rule = re.search(
        r"^install\(DIRECTORY (smolrgpt_ros/\n)(.*\n)( +PATTERN.*)$", rules, re.MULTILINE
    )
    assert rule is not None
    script = tmp_path / "install.cmake"
    script.write_text(f"file(INSTALL {ROOT}/{rule[1]} DESTINATION {tmp_path}/installed {rule[3]})")
    subprocess.run(["cmake", "-P", str(script)], check=True, capture_output=True)
    assert (tmp_path / "installed" / "py.typed").is_file()
    assert (tmp_path / "installed" / "nodes" / "spatial_query_node.py").is_file()
