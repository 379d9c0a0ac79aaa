"""The doctor finds what is there, and works where the rest cannot even be imported."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from smolrgpt_core.doctor import PACKAGES, Check, CheckResult, examine_core, healthy


def environment(**changes: str) -> dict[str, str]:
    return {**os.environ, **changes}


def shadow(folder: Path, module: str, content: str) -> str:
    """A PYTHONPATH on which a module of ours hides the installed one."""
    package = folder / module
    package.mkdir()
    (package / "__init__.py").write_text(content)
    return os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])


def test_packages_are_those_that_the_project_declares() -> None:
    declared: dict[str, set[str]] = {}
    for line in importlib.metadata.requires("smolrgpt") or []:
        marker = re.search(r'extra == "([\w-]+)"', line)
        name = re.match(r"[\w.-]+", line)
        assert name
        declared.setdefault(marker[1] if marker else "", set()).add(name[0])
    for extra, packages in PACKAGES.items():
        assert set(packages.values()) == declared[extra] - {"smolrgpt"}


def test_core_is_found_with_versions() -> None:
    checks = {check.name: check for check in examine_core()}
    assert set(checks) == {"python", *PACKAGES[""]}
    assert healthy(list(checks.values()))
    for check in checks.values():
        assert re.match(r"\d+\.\d+", check.found)
        assert check.remedy == ""


def test_only_what_everything_needs_makes_it_unhealthy() -> None:
    checks = [Check("core", "x", verdict, "") for verdict in CheckResult]
    assert not healthy(checks)
    assert healthy([check for check in checks if check.verdict is not CheckResult.FAILED])


@pytest.mark.parametrize(
    "content", ["raise ImportError('libGL.so.1: cannot open')", "1 / 0", "import os; os.abort()"]
)
def test_broken_package_of_the_core_is_reported_and_fails(tmp_path: Path, content: str) -> None:
    path = shadow(tmp_path, "rich", content)
    program = (
        "from smolrgpt_core.doctor import *; checks = examine_core()\n"
        "[print(c.name, c.verdict.value, c.found, c.remedy, sep='|') for c in checks]\n"
        "sys.exit(not healthy(checks))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(PYTHONPATH=path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    lines = {line.partition("|")[0]: line for line in done.stdout.splitlines()}
    assert done.returncode == 1
    line = lines.pop("rich")
    assert line.startswith("rich|failed|cannot be imported: ")
    assert line.endswith("|pip install --force-reinstall rich")
    assert lines.keys() == {"python", *PACKAGES[""]} - {"rich"}
    assert all(other.startswith(f"{name}|ok|") for name, other in lines.items())
