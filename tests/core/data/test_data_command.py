"""`smolrgpt data` as a person calls it, and what it writes."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app
from smolrgpt_core.files import read_rgb
from smolrgpt_core.quality.contact_sheet import MASK_COLORS, choose_tiles
from smolrgpt_core.quality.statistics import dataset_statistics


def call(*words: object) -> Any:
    return CliRunner(env={"COLUMNS": "120"}).invoke(app, ["data", *map(str, words)])


class TestCheck:
    def test_clean(self, warehouse: Path) -> None:
        done = call("check", warehouse)
        assert done.exit_code == 0, done.output
        assert "24 questions about 6 images" in done.stdout
        assert "no problems" in done.stdout

    def test_problems_are_counted_and_shown(self, warehouse: Path, tmp_path: Path) -> None:
        broken = warehouse / "train" / "images" / "000002_01.png"
        broken.write_bytes(broken.read_bytes()[:100])
        report = tmp_path / "new" / "report.json"
        done = call("check", warehouse, "--json", report)
        assert done.exit_code == 1
        assert re.search(r"image missing or not decodable +1", done.stdout)
        assert str(broken) in done.stdout
        written = json.loads(report.read_text())
        assert not written["clean"]
        assert written["problems"]["image"]["count"] == 1
        assert written["problems"]["image"]["examples"][0]["place"] == str(broken)

    def test_no_data_set_is_a_wrong_call(self, tmp_path: Path) -> None:
        done = call("check", tmp_path)
        assert done.exit_code == 2
        assert "expected a data set" in done.stderr
        assert call("check", tmp_path / "nowhere").exit_code == 2
        assert call("check", tmp_path, "--workers", 0).exit_code == 2


class TestStats:
    def test_counts(self, warehouse: Path, tmp_path: Path) -> None:
        done = call("stats", warehouse, "--json", tmp_path / "stats.json")
        assert done.exit_code == 0, done.output
        assert re.search(r"left_right +left +6 \(100%\) +2 \(100%\)", done.stdout)
        assert re.search(r"distance +2-4 m +6 \(100%\) +2 \(100%\)", done.stdout)
        train = json.loads((tmp_path / "stats.json").read_text())["train"]
        assert train["questions"] == 24
        assert train["images"] == 6
        assert train["categories"] == {"count": 6, "distance": 6, "left_right": 6, "mcq": 6}
        assert train["answers"]["count"] == {"1": 6}
        assert train["regions_per_question"] == {"2": 12, "3": 12}
        assert train["distinct_wordings"] == 4
        assert train["frequent_words"]["pallets"] == 12
        assert "mask" not in train["frequent_words"]

    def test_broken_records_are_counted(self, warehouse: Path, edit_records: Any) -> None:
        edit_records(warehouse, "train", lambda entries: entries[0].pop("image"))
        done = call("stats", warehouse)
        assert done.exit_code == 0
        assert "train: 1 broken records" in done.stdout

    def test_distances_are_counted_in_classes(self, warehouse: Path, edit_records: Any) -> None:
        def change(entries: list[Any]) -> None:
            asked = [entry for entry in entries if entry["category"] == "distance"]
            for entry, answer in zip(asked, ["0", "0.5", "2.0", "11.9", "1.99", "12"], strict=True):
                entry["normalized_answer"] = answer

        edit_records(warehouse, "train", change)
        answers = dataset_statistics(warehouse)["train"].to_json()["answers"]["distance"]
        assert answers == {"0 m": 1, "0-2 m": 2, "2-4 m": 1, "10-12 m": 1, "12-14 m": 1}
        assert list(answers) == ["0 m", "0-2 m", "2-4 m", "10-12 m", "12-14 m"]


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.images: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


class TestShow:
    def test_sheet_and_index(self, warehouse: Path, tmp_path: Path) -> None:
        sheet = tmp_path / "new" / "sheet.png"
        done = call("show", warehouse, "--out", sheet, "--count", 6, "--columns", 3)
        assert done.exit_code == 0, done.output
        assert sorted(path.name for path in sheet.parent.iterdir()) == ["sheet.html", "sheet.png"]
        height, width = read_rgb(sheet).shape[:2]
        assert width > 3 * 2 * 480
        assert height > 2 * 320
        page = _Page(sheet.with_suffix(".html").read_text())
        assert len(page.images) == 6
        assert all(source.startswith("data:image/jpeg;base64,") for source in page.images)
        text = " ".join("".join(page.words).split())
        assert "How far is the pallet [Region 0] from the pallet [Region 1]?" in text
        assert "The pallet [Region 0] is 3.42 meters from the pallet [Region 1]. = 3.42" in text

    def test_masks_are_drawn_where_they_are(self, warehouse: Path) -> None:
        (tile,) = choose_tiles(warehouse, "train", 1, seed=0)
        assert tile.image is not None
        assert tile.image.shape == (320, 960, 3)
        name = tile.title.split(" · ")[1]
        plain = np.kron(read_rgb(warehouse / "train" / "images" / name), np.ones((5, 5, 1)))
        changed = np.abs(tile.image[:, :480].astype(float) - plain).max(axis=2) > 40
        # The first mask is columns 6 to 21, rows 20 to 31, at five times the size.
        assert changed[100:160, 30:110].mean() > 0.5
        assert changed[180:, 30:110].mean() < changed[100:160, 30:110].mean() / 2
        rim = np.abs(tile.image.astype(int) - MASK_COLORS[0]).max(axis=2) < 12
        assert rim[130:155, 28:34].any(), "outline on the image"
        assert rim[130:155, 508:514].any(), "outline on the depth"

    def test_categories_in_turn_and_the_seed_decides(self, warehouse: Path) -> None:
        titles = [tile.title for tile in choose_tiles(warehouse, "", 4, seed=1)]
        assert {title.split(" · ")[0] for title in titles} == {
            "count", "distance", "left_right", "mcq",
        }  # fmt: skip
        assert titles == [tile.title for tile in choose_tiles(warehouse, "", 4, seed=1)]
        assert titles != [tile.title for tile in choose_tiles(warehouse, "", 4, seed=2)]

    def test_broken_files_get_a_tile_that_says_so(
        self, warehouse: Path, tmp_path: Path, edit_records: Any
    ) -> None:
        for path in (warehouse / "val" / "images").glob("*.png"):
            path.write_bytes(path.read_bytes()[:200])
        edit_records(warehouse, "val", lambda entries: entries[0].pop("conversations"))
        tiles = choose_tiles(warehouse, "val", 20, seed=0)
        assert len(tiles) == 8
        assert all(tile.image is None for tile in tiles)
        assert sum("`conversations` is missing" in tile.problem for tile in tiles) == 1
        assert sum("val/images/000003_0" in tile.problem for tile in tiles) == 7
        done = call("show", warehouse, "--split", "val", "--out", tmp_path / "sheet.png")
        assert done.exit_code == 0, done.output

    @pytest.mark.parametrize(
        "words", [("--out", "sheet.txt"), ("--out", "a.png", "--split", "holdout"), ()]
    )
    def test_wrong_calls(self, warehouse: Path, words: tuple[str, ...]) -> None:
        assert call("show", warehouse, *words).exit_code == 2

    def test_no_data_set(self, tmp_path: Path) -> None:
        done = call("show", tmp_path, "--out", tmp_path / "sheet.png")
        assert done.exit_code == 2
        assert "expected a data set" in done.stderr
        assert not (tmp_path / "sheet.png").exists()
