"""The page of a run: all rules side by side, and the answers that they read differently or not."""

from __future__ import annotations

import json
from collections import defaultdict
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from smolrgpt_core.cli.application import app

CASES = {
    "cv-bench": ("cv_bench", "cv_bench/predictions.jsonl"),
    "q-spatial": ("q_spatial", "q_spatial/predictions.jsonl"),
    "robospatial-home": ("robospatial_home/annotations.json", "robospatial_home/results.json"),
    "3dsrbench": ("3dsrbench", "3dsrbench/predictions.jsonl"),
    "pope": ("general_vqa/pope.jsonl", "general_vqa/pope_predictions.jsonl"),
}


class Tables(HTMLParser):
    """The tables of a page by their heading: rows of texts, the head first."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.rows: dict[str, list[list[str]]] = {}
        self._inside = self._heading = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        if tag == "h2":
            self._heading = ""
        elif tag == "table":
            self.rows[self._heading] = []
        elif tag == "tr":
            self.rows[self._heading].append([])
        elif tag in ("td", "th"):
            self.rows[self._heading][-1].append("")
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "h2":
            self._heading += data
        elif self._inside in ("td", "th"):
            self.rows[self._heading][-1][-1] += data


def run(*options: str) -> Any:
    return CliRunner(env={"COLUMNS": "140"}).invoke(app, ["benchmark", *options])


@pytest.mark.parametrize("name", CASES)
def test_rules_side_by_side_and_what_they_read_differently(name, folder, tmp_path) -> None:
    data, predictions = (str(folder / file) for file in CASES[name])
    done = run(name, "--data", data, "--predictions", predictions, "--output", str(tmp_path),
               "--json", str(tmp_path / "all.json"))  # fmt: skip
    assert done.exit_code == 0, done.output
    scorers = json.loads((tmp_path / "all.json").read_text())["scorers"]
    tables = Tables((tmp_path / "report.html").read_text()).rows
    head, *figures = tables["Figures by rule"]
    assert head == ["", *scorers]
    for place, found in enumerate(scorers.values(), start=1):
        shown = {row[0]: row[place] for row in figures if row[place]}
        denominators = {figure: int(text.split("(")[1][:-1]) for figure, text in shown.items()}
        missing = denominators.pop("unreadable or missing")
        assert missing == found["questions"]
        assert denominators == {key: item["of"] for key, item in found["figures"].items()}
    differing, unread = expected_lists(scorers)
    assert listed(tables, "Read differently") == differing
    assert listed(tables, "Read by no rule") == unread
    assert 0 < len(differing) < len(next(iter(scorers.values()))["verdicts"])


def expected_lists(scorers: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Ids of the answers that scorers read differently, and of those that none reads."""
    found: defaultdict[str, set[tuple[str, float]]] = defaultdict(set)
    for outcome in scorers.values():
        for verdict in outcome["verdicts"]:
            found[verdict["id"]].add((verdict["read"], verdict["hit"]))
    differing = {id for id, verdicts in found.items() if len(verdicts) > 1}
    return differing, {id for id, verdicts in found.items() if not any(r for r, _ in verdicts)}


def listed(tables: dict[str, list[list[str]]], title: str) -> set[str]:
    (rows,) = [rows for heading, rows in tables.items() if heading.startswith(f"{title}:")] or [[]]
    return {row[0].split("\n")[0] for row in rows[1:]}


def test_readings_and_verdicts_of_an_answer(folder: Path, tmp_path: Path) -> None:
    place = folder / "cv_bench"
    done = run("cv-bench", "--data", str(place), "--predictions", str(place / "predictions.jsonl"),
               "--output", str(tmp_path))  # fmt: skip
    assert done.exit_code == 0, done.output
    tables = Tables((tmp_path / "report.html").read_text()).rows
    rows = {row[0].split("\n")[0]: row for row in tables["Read differently: 10"]}
    assert rows["id"][4:] == ["official", "lmms_eval", "vlmevalkit", "flagevalmm", "hispatial"]
    assert rows["16"][2:] == [
        "Both (A) and (B) are equally close.", "A",
        "B\u00a0✗", "B\u00a0✗", "—", "B\u00a0✗", "AB\u00a0✓",
    ]  # fmt: skip
    assert rows["1"][1:] == [
        "How many green discs are drawn? (A) 0 (B) 1 (C) 2 (D) 4 (E) 3", "3", "E",
        "—", "—", "E\u00a0✓", "—", "",
    ]  # fmt: skip


def test_a_question_without_a_prediction_is_listed(folder: Path, tmp_path: Path) -> None:
    place = folder / "cv_bench"
    lines = (place / "predictions.jsonl").read_text().splitlines()
    kept = [line for line in lines if json.loads(line)["idx"] != 5]
    (tmp_path / "some.jsonl").write_text("\n".join(kept))
    done = run("cv-bench", "--data", str(place), "--predictions", str(tmp_path / "some.jsonl"),
               "--output", str(tmp_path / "out"))  # fmt: skip
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert "some.jsonl on CV-Bench" in page
    (unread,) = [rows for name, rows in Tables(page).rows.items() if "no rule" in name]
    assert ["5\nRelation", "the file has no prediction for it"] in [row[::2][:2] for row in unread]
