"""Settings in files of earlier versions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from smolrgpt_core.answerers.likeness import read_likeness
from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.checkpoints.files import LIKENESS_FILE
from smolrgpt_core.data.resumable import ResumableFolder
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.settings_file import RENAMED, from_entries, to_entries, with_current_names
from smolrgpt_core.simulated_data.randomization import Randomization, read_randomization
from smolrgpt_core.simulated_data.scenes import SimulationSettings
from smolrgpt_core.training.config import DataConfig, SourceConfig

EARLIER = {now: before for before, now in RENAMED.items()}


def earlier(entries: Any) -> Any:
    """Entries as an earlier version wrote them."""
    if isinstance(entries, list):
        return [earlier(item) for item in entries]
    if not isinstance(entries, dict):
        return entries
    return {EARLIER.get(name, name): earlier(value) for name, value in entries.items()}


def test_earlier_names_of_keys_are_read(tmp_path: Path) -> None:
    settings = Randomization()
    entries = earlier(to_entries(settings))
    assert "noise_share" in entries
    assert "min_same_share" in entries["margins"]
    path = tmp_path / "randomization.yaml"
    path.write_text(json.dumps(entries | {"noise_share": 0.25}))
    read = read_randomization(path)
    assert read.noise_fraction == 0.25
    assert read.margins == settings.margins


def test_earlier_names_in_lists_are_read() -> None:
    source = SourceConfig("warehouse", "hall", inputs="geometry")
    entries = to_entries(DataConfig((source,)))
    before = earlier(entries)
    assert before["sources"][0]["pictures"] == "geometry"
    assert from_entries(DataConfig, before).sources == (source,)
    assert with_current_names(before) == entries


def test_a_key_under_both_names_is_refused() -> None:
    with pytest.raises(SpatialError, match="`broken_share` is the earlier name of `broken_fract"):
        from_entries(DataConfig, {"sources": [], "broken_share": 0.1, "broken_fraction": 0.2})
    with pytest.raises(SpatialError, match="`shares` is the earlier name of `split_fractions`"):
        with_current_names({"a": {"shares": 1, "split_fractions": 2}})


def test_a_name_is_earlier_only_where_the_current_one_is_known() -> None:
    with pytest.raises(SpatialError, match="unknown key `noise_share`"):
        from_entries(DataConfig, {"sources": [], "noise_share": 0.1})


def test_a_folder_that_an_earlier_version_began_is_resumed(tmp_path: Path) -> None:
    described = SimulationSettings(scenes=2).to_json()
    (tmp_path / ".parts").mkdir()
    (tmp_path / "simulation.json").write_text(json.dumps(earlier(described)))
    folder = ResumableFolder(tmp_path, "simulation.json", described, "smolrgpt simulate")
    with folder.locked():
        assert not folder.is_complete
    written = json.loads((tmp_path / "simulation.json").read_text())
    assert written["split_fractions"] == [0.9, 0.05, 0.05]
    assert "shares" not in written


def test_ranges_of_a_checkpoint_of_an_earlier_version_are_read(tmp_path: Path) -> None:
    current = NANO / LIKENESS_FILE
    path = tmp_path / LIKENESS_FILE
    path.write_text(json.dumps(earlier(json.loads(current.read_text()))))
    assert "region_depth_share" in path.read_text()
    assert read_likeness(path) == read_likeness(current)
