"""The remedy for what is not installed works from a clone, and nothing tells another."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import smolrgpt_core
from smolrgpt_core.extras import install_command

CLONE = Path(smolrgpt_core.__file__).resolve().parents[1]


def test_the_remedy_names_the_clone_that_runs() -> None:
    *command, what = shlex.split(install_command("sim"))
    assert command == ["pip", "install", "-e"]
    assert what == f"{CLONE}[sim]"


@pytest.mark.parametrize("known", [True, False])
def test_the_remedy_of_a_copy_names_the_clone_that_it_came_from(
    tmp_path: Path, known: bool
) -> None:
    site, clone = tmp_path / "site", tmp_path / "a clone"
    clone.mkdir()
    shutil.copy(CLONE / "pyproject.toml", clone)
    (site / "smolrgpt_core").mkdir(parents=True)
    for name in ("__init__.py", "extras.py"):
        shutil.copy(CLONE / "smolrgpt_core" / name, site / "smolrgpt_core")
    info = site / "smolrgpt-9.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: smolrgpt\nVersion: 9\n")
    if known:
        (info / "direct_url.json").write_text(json.dumps({"url": clone.as_uri(), "dir_info": {}}))
    program = (
        f"import sys; sys.path[:0] = [{str(site)!r}]\n"
        "from smolrgpt_core.extras import install_command; print(install_command('sim'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    expected = shlex.quote(f"{clone}[sim]") if known else "'.[sim]' in the clone of smolrgpt_ros"
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"pip install {expected}"


def test_nothing_tells_to_install_a_package_that_is_not_published() -> None:
    wrong = re.compile(r"pip install[^\n]*[ \"'`]smolrgpt(\[|[ \"'`.;)]|$)", re.MULTILINE)
    folders = ("smolrgpt_core", "smolrgpt_ros", "docs", "examples", "launch", "scripts")
    texts = [CLONE / "README.md", CLONE / "Makefile"]
    texts += [path for name in folders for path in (CLONE / name).rglob("*.[pm][yd]")]
    assert len(texts) > 200
    assert wrong.search('run `pip install "smolrgpt[data]"`')
    assert not [path for path in texts if wrong.search(path.read_text())]
