"""Entries of large JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smolrgpt_core.data import json_entries
from smolrgpt_core.data.json_entries import GroupMembers, JsonEntries
from smolrgpt_core.errors import SpatialError

ENTRIES: list[Any] = [
    {"image": "a.png", "text": "Größe ]},{ \" 日本"},
    {"image": "b.png", "nested": [1, {"x": [2]}]},
    {"image": "a.png", "text": ""},
]  # fmt: skip


def write(path: Path, layout: str) -> Path:
    texts = {
        "list": json.dumps(ENTRIES),
        "list with indent": json.dumps(ENTRIES, indent=2, ensure_ascii=False) + "\n\n",
        "lines": "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in ENTRIES),
    }
    path.write_text(texts[layout], encoding="utf-8")
    return path


@pytest.mark.parametrize("layout", ["list", "list with indent", "lines"])
@pytest.mark.parametrize("chunk", [1, 7, 2**20])
def test_entries_are_those_of_the_file(
    tmp_path: Path, layout: str, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_entries, "CHUNK_BYTES", chunk)
    entries = JsonEntries.scan(write(tmp_path / "a.json", layout), lambda entry: entry["image"])
    assert [entries[i] for i in range(len(entries))] == ENTRIES
    assert not entries.damage
    assert list(GroupMembers(entries.groups)) == [[0, 2], [1]]


@pytest.mark.parametrize("cut", range(60, 150, 10))
def test_a_cut_file_gives_what_is_before_the_cut(tmp_path: Path, cut: int) -> None:
    path = write(tmp_path / "a.json", "list")
    content = path.read_bytes()
    ends = [len(json.dumps(ENTRIES[: n + 1])) - 1 for n in range(len(ENTRIES))]
    whole = sum(end <= cut for end in ends)
    path.write_bytes(content[:cut])
    if whole == 0:
        with pytest.raises(SpatialError, match=r"a\.json"):
            JsonEntries.scan(path)
        return
    entries = JsonEntries.scan(path)
    assert [entries[i] for i in range(len(entries))] == ENTRIES[:whole]
    assert f"the {whole} entries before it can be used" in entries.damage


def test_a_missing_closing_bracket_is_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", "list")
    path.write_bytes(path.read_bytes()[:-1])
    assert len(JsonEntries.scan(path)) == len(ENTRIES)
    assert JsonEntries.scan(path).damage


@pytest.mark.parametrize("content", ["", "no JSON", "[nonsense]"])
def test_a_file_without_entries_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    if content:
        with pytest.raises(SpatialError, match=r"a\.json: expected a JSON list or JSON Lines"):
            JsonEntries.scan(tmp_path / "a.json")
    else:
        assert len(JsonEntries.scan(tmp_path / "a.json")) == 0


def test_the_index_is_reused_and_a_changed_file_is_scanned_again(tmp_path: Path) -> None:
    path = write(tmp_path / "a.json", "lines")
    first = JsonEntries.scan(path, lambda entry: entry["image"], tmp_path / "index")

    def never(entry: object) -> str:
        raise AssertionError("scanned again")

    again = JsonEntries.scan(path, never, tmp_path / "index")
    assert again.spans.tolist() == first.spans.tolist()
    assert again.groups.tolist() == first.groups.tolist()
    path.write_text(path.read_text() + json.dumps({"image": "c.png"}))
    assert len(JsonEntries.scan(path, index_folder=tmp_path / "index")) == len(ENTRIES) + 1
