"""Published files are fetched from the hub by the id of their data set."""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app

COMMIT = "0" * 40


@pytest.fixture
def hub(folder) -> Iterator[str]:
    """Address of a hub with one data set, owner/home: the fixture of RoboSpatial-Home."""
    root = folder / "robospatial_home"
    names = [path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()]

    class Hub(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            path = urlsplit(self.path).path
            content = b""
            if path.startswith("/api/datasets/owner/home/revision/"):
                siblings = [{"rfilename": name} for name in names]
                about = {"id": "owner/home", "sha": COMMIT, "siblings": siblings}
                content = json.dumps(about).encode()
            elif path.startswith("/api/datasets/owner/home/tree/"):
                content = json.dumps([
                    {"type": "file", "path": name, "oid": COMMIT,
                     "size": (root / name).stat().st_size}
                    for name in names
                ]).encode()  # fmt: skip
            elif path.startswith("/datasets/owner/home/resolve/"):
                content = (root / path.split("/", 6)[6]).read_bytes()
            self.send_response(200 if content else 404)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{len(content)}{abs(hash(path))}"')
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(content)

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_):
            """Keep quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


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
