"""A zip is unpacked only if it is a recording of reasonable size."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.recordings import zipped
from smolrgpt_core.recordings.zipped import unzipped


def write_zip(path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return path


def test_a_folder_stays_as_it_is(tmp_path: Path) -> None:
    with unzipped(tmp_path) as found:
        assert found == tmp_path


def test_a_zip_is_a_folder_of_its_name_for_a_while(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "some.zip", ("a/metadata.yaml", b"x"), ("a/a.mcap", b"y"))
    with unzipped(path) as found:
        assert found.name == "some"
        assert {file.name: file.read_bytes() for file in found.iterdir()} == {
            "metadata.yaml": b"x",
            "a.mcap": b"y",
        }
    assert not found.exists()


@pytest.mark.parametrize(
    "name",
    [
        "../evil.mcap",
        "/etc/evil.mcap",
        "a/../../evil.mcap",
        "a\\..\\evil.mcap",
        "a/b/evil.mcap",
        "a/evil.py",
        "a/.bashrc",
        "evil",
    ],
)
def test_paths_that_lead_elsewhere_and_other_files_are_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    path = write_zip(folder / "some.zip", (name, b"x"))
    with pytest.raises(SpatialError, match="expected"), unzipped(path):
        pass
    assert [item.name for item in tmp_path.rglob("*")] == ["in", "some.zip"]


def test_a_link_in_a_zip_is_a_file_with_its_text(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a/a.mcap")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    path = write_zip(tmp_path / "some.zip", (link, b"/etc/passwd"))
    with unzipped(path) as found:
        (file,) = found.iterdir()
        assert not file.is_symlink()
        assert file.read_bytes() == b"/etc/passwd"


def test_files_of_one_name_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "some.zip", ("a/a.mcap", b"x"), ("b/a.mcap", b"y"))
    with pytest.raises(SpatialError, match="two files"), unzipped(path):
        pass


def test_a_zip_that_holds_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zipped, "MAX_UNPACKED_BYTES", 3 * 2**20)
    path = write_zip(
        tmp_path / "some.zip", *((f"a/{part}.mcap", bytes(2 * 2**20)) for part in range(2))
    )
    assert path.stat().st_size < 10_000
    with pytest.raises(SpatialError, match="more than 3 MiB"), unzipped(path):
        pass


def test_too_many_files_are_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "some.zip", *((f"a/{part}.mcap", b"") for part in range(101)))
    with pytest.raises(SpatialError, match="101 files"), unzipped(path):
        pass


@pytest.mark.parametrize("damage", ["empty", "cut", "changed", "no zip"])
def test_a_damaged_zip_is_refused(tmp_path: Path, damage: str) -> None:
    path = write_zip(tmp_path / "some.zip", ("a/a.mcap", bytes(range(256)) * 40))
    content = bytearray(path.read_bytes())
    if damage == "changed":
        content[60:80] = bytes(20)
    kept = {"empty": b"", "cut": bytes(content[:100]), "no zip": b"hello"}
    path.write_bytes(kept.get(damage, bytes(content)))
    with pytest.raises(SpatialError, match="cannot be read"), unzipped(path):
        pass


def test_the_command_says_what_is_wrong_with_a_zip(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "some.zip", ("../evil.mcap", b"x"))
    done = CliRunner().invoke(app, ["replay", str(path), "--answerer", "geometric"])
    assert done.exit_code == 1
    assert "expected the files of one recording" in done.stderr
