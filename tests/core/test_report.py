"""The table and the page of a report: complete, correct, and safe with any text."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from smolrgpt_core.errors import Status
from smolrgpt_core.question import Category
from smolrgpt_core.report import ReportRow, print_report, summary, write_html_report

ROWS = [
    ReportRow(
        question="How far is pallet 12 from buffer 2?",
        category=Category.DISTANCE,
        answer_text="3.42 m",
        truth_text="3.50 m",
        error_text="-0.08 m (2 %)",
        within_tolerance=True,
        latency={"convert": 0.0031, "answer": 0.012, "total": 0.0151},
        image=np.full((30, 40, 3), (200, 30, 60), np.uint8),
    ),
    ReportRow(
        question="How many pallets are in buffer 2?",
        category=Category.COUNT,
        answer_text="3",
        truth_text="2",
        error_text="+1",
        within_tolerance=False,
        latency={"convert": 0.0, "answer": 0.02, "total": 0.0201},
    ),
    ReportRow(
        question="Which <b>pallet</b> is \"nearest\" & so on?",
        category=Category.MCQ,
        answer_text="too few pixels under pallet 7 have depth; <script>alert(1)</script>",
        truth_text="pallet 7",
        error_text="",
        within_tolerance=False,
        latency={"total": 0.5},
        status=Status.NO_VALID_DEPTH,
    ),
]  # fmt: skip


class Page(HTMLParser):
    """Collects what a browser would show, and which tags are open at the end."""

    void = ("meta", "img", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.sources: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def printed(rows: list[ReportRow], width: int) -> str:
    console = Console(file=io.StringIO(), width=width)
    print_report(rows, console)
    return console.file.getvalue()


def written(tmp_path: Path, **options: object) -> Page:
    path = tmp_path / "new" / "report.html"
    write_html_report(ROWS, path, "Demo <1>", "seed 3 & noise", **options)
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_table_fits_and_is_complete(width: int) -> None:
    text = printed(ROWS, width)
    assert max(map(len, text.splitlines())) <= width
    for word in ("3.42 m", "3.50 m", "-0.08 m (2 %)", "NO_VALID_DEPTH", "✓", "✗", "total", "500"):
        assert word in text
    assert ("convert" in text.split("right")[0]) == (width == 140)
    assert "NO_VALID_DEPTH: too few pixels under pallet 7" in " ".join(text.split())


def test_table_shows_markup_as_text() -> None:
    row = ReportRow("[red]pallet[/red] [Region 3]?", Category.COUNT, "[bold]", "[/]", "", False)
    text = printed([row], 120)
    assert "[red]pallet[/red] [Region 3]?" in text
    assert "[bold]" in text


def test_summary_counts_and_takes_medians() -> None:
    line = "1 of 3 answers right; median latency: convert 1.6 ms, answer 16 ms, total 20 ms"
    assert summary(ROWS) == line
    assert summary([]) == "0 of 0 answers right"
    assert printed([], 80).strip().endswith(summary([]))


def test_page_is_well_formed_complete_and_escaped(tmp_path: Path) -> None:
    page = written(tmp_path)
    assert page.open == []
    assert page.tags.count("article") == len(ROWS)
    assert "script" not in page.tags
    assert page.tags.count("b") == 5  # one for each tile
    for row in ROWS:
        for text in (row.question, row.answer_text, row.truth_text, row.error_text):
            assert " ".join(text.split()) in page.text
    for text in ("Demo <1>", "seed 3 & noise", "1 / 3", "20 ms", "no answer: NO_VALID_DEPTH"):
        assert text in page.text


def test_pictures_are_inside_the_page(tmp_path: Path) -> None:
    overview = {"The <camera>": np.full((20, 50, 3), (10, 200, 40), np.uint8)}
    page = written(tmp_path, overview=overview)
    assert "The <camera>" in page.text
    assert len(page.sources) == 2
    for source, colour in zip(page.sources, [(10, 200, 40), (200, 30, 60)], strict=True):
        prefix, data = re.fullmatch(r"(data:image/jpeg;base64,)(.*)", source).groups()
        image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert prefix
        assert image[..., ::-1].reshape(-1, 3).mean(axis=0) == pytest.approx(colour, abs=4)
