"""Records of a tar, whatever the tar is like."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from smolrgpt_core.data.warehouse_format import SplitFolder, Turn, WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.hispatial_data import shards
from smolrgpt_core.hispatial_data.shards import StoredRecord, read_shard


def read_until_error(path: Path) -> tuple[list[StoredRecord], str]:
    """The records before an error, and its message; empty without one."""
    found: list[StoredRecord] = []
    try:
        for record in read_shard(path):
            found.append(record)
    except SpatialError as error:
        return found, error.message
    return found, ""


def test_members_of_a_key_are_a_record(shard, records):
    content = {"a/1.5": records.wild(), "s_1": records.ca1m(), "x_depth": records.general()}
    found, problem = read_until_error(shard("all.tar", content))
    assert problem == ""
    assert [item.key for item in found] == ["a/1", "s_1", "x_depth"]
    assert set(found[1].members) == {"image.jpg", "depth.npy", "intrinsics.pt", "qa.pt"}
    assert set(found[2].members) == {"jpg", "pt", "json"}
    assert found[2].members["jpg"] == records.general()["jpg"]


@pytest.mark.parametrize("name", ["/absolute.jpg", "a/../../b.jpg", "../c.jpg"])
def test_a_name_that_leads_out_of_the_archive_is_refused(tmp_path, name):
    path = tmp_path / "odd.tar"
    with tarfile.open(path, "w") as archive:
        header = tarfile.TarInfo(name)
        header.size = 3
        archive.addfile(header, io.BytesIO(b"abc"))
    (record,) = read_shard(path)
    assert "its name leads out of the archive" in record.problem
    assert record.members == {}
    assert list(tmp_path.iterdir()) == [path]


def test_members_that_no_record_has(shard, records, monkeypatch):
    monkeypatch.setattr(shards, "MAX_MEMBER_BYTES", 10_000)
    many = {f"part{number}": b"x" for number in range(shards.MAX_MEMBERS + 1)}
    path = shard("odd.tar", {"big": records.wild(png=bytes(20_000)), "many": many})
    with tarfile.open(path, "a") as archive:
        for _ in range(2):
            header = tarfile.TarInfo("twice.jpg")
            archive.addfile(header, io.BytesIO())
        header = tarfile.TarInfo("link.jpg")
        header.type, header.linkname = tarfile.LNKTYPE, "big.jpg"
        archive.addfile(header)
    found, problem = read_until_error(path)
    assert problem == ""
    reasons = {item.key: item.problem for item in found}
    assert "it has 20000 bytes, more than 10000" in reasons["big"]
    assert "more than 16 members" in reasons["many"]
    assert "it occurs twice" in reasons["twice"]
    assert "it is a link" in reasons["link"]


def test_an_archive_without_its_end_is_named(shard, records):
    path = shard("cut.tar", {"a": records.wild(), "b": records.wild()})
    with tarfile.open(path) as archive:
        last, middle = archive.getmember("b.pt"), archive.getmember("b.jpg")
    content = path.read_bytes()
    end = last.offset_data + -(-last.size // 512) * 512
    for cut, members, problem in (
        (content[:end], 4, "found none"),
        (content[: last.offset_data + 100], 3, "unexpected end of data"),
        (content[: last.offset + 100], 3, "found damage"),
        (content[: middle.offset] + b"x" * 512 + content[middle.offset + 512 :], 0, "damage"),
    ):
        path.write_bytes(cut)
        found, message = read_until_error(path)
        assert "the shard cannot be read to its end" in message
        assert problem in message
        assert len(found[0].members) == 4
        assert [len(item.members) for item in found[1:]] == ([members] if members else [])
    path.write_bytes(b"no tar at all")
    assert "cannot be read to its end" in read_until_error(path)[1]


def test_records_are_written_one_after_another_as_one_list(tmp_path):
    folder = SplitFolder(tmp_path, "train")
    records = [WarehouseRecord(name, "a.png", (Turn("human", "How far?"),)) for name in "ab"]
    for count in range(3):
        folder.write_records(iter(records[:count]))
        expected = json.dumps([record.to_json() for record in records[:count]])
        assert folder.records_path.read_text() == expected
