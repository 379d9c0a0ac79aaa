"""Published files are fetched from the hub by the id of their data set."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app

from ..hub_server import COMMIT, hub_server


@pytest.fixture
def hub(folder) -> Iterator[str]:
    """Address of a hub with one data set, owner/home: the fixture of RoboSpatial-Home."""
    root = folder / "robospatial_home"
    names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]

    def content_of(path: str) -> bytes:
        if path.startswith("/api/datasets/owner/home/revision/"):
            siblings = [{"rfilename": name} for name in names]
            return json.dumps({"id": "owner/home", "sha": COMMIT, "siblings": siblings}).encode()
        if path.startswith("/api/datasets/owner/home/tree/"):
            return json.dumps([
                {"type": "file", "path": name, "oid": COMMIT, "size": (root / name).stat().st_size}
                for name in names
            ]).encode()  # fmt: skip
        if path.startswith("/datasets/owner/home/resolve/"):
            return (root / path.split("/", 6)[6]).read_bytes()
        return b""

    with hub_server(content_of) as address:
        yield address


def test_data_are_fetched_by_hub_id_with_their_images(hub, tmp_path) -> None:
    command = [sys.executable, "-c", "from smolrgpt_core.cli.application import app; app()",
               "benchmark", "robospatial-home", "--data", "owner/home", "--model", "guess",
               "--json", "result.json"]  # fmt: skip
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "result.json").read_text())
    assert result["questions"] == 28
    assert not any("outside" in note for note in result["notes"])
    assert (tmp_path / "benchmark-data" / "owner-home" / "annotations.json").is_file()


@pytest.mark.parametrize("data", ["no such folder", "a/b/c"])
def test_what_is_no_path_and_no_id_is_refused(data: str) -> None:
    done = CliRunner().invoke(app, ["benchmark", "pope", "--data", data, "--model", "guess"])
    assert done.exit_code == 2
    assert "a file, a folder or a hub id" in done.output
