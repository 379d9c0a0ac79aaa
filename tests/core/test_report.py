"""The table and the page of a report: complete, correct, and safe with any text."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from rich.console import Console

from smolrgpt_core.answer import Agreement, Side, SpatialAnswer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import Category, SpatialQuestion
from smolrgpt_core.language.operators import attributes, questions, selections
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.report import (
    ReportRow,
    answer_text,
    both_values_text,
    compare_with_truth,
    print_report,
    report_row,
    summary,
    write_html_report,
)
from smolrgpt_core.synthesis import QuestionWithTruth

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
        image=np.full((30, 40, 3), (20, 30, 160), np.uint8),
    ),
]  # fmt: skip


REGIONS = RegionSet((48, 64), (Region.from_box(12, "pallet", Box(1, 1, 9, 9)),))


def asked(category: Category, **truth: Any) -> QuestionWithTruth:
    region = selections.Region(12)
    program = {
        Category.DISTANCE: questions.Measure(region, attributes.Distance(selections.Camera())),
        Category.COUNT: questions.Count(region),
        Category.LEFT_RIGHT: questions.Side(region, selections.Camera(), "left_right"),
        Category.MCQ: selections.The(region),
    }[category]
    (value,) = truth.values()
    return QuestionWithTruth(
        form="any",
        text="How about <mask>?",
        region_ids=(12,),
        question=SpatialQuestion(category, "<mask>", (12,), program),
        truth=value.name.lower() if isinstance(value, Side) else value,
        freeform_answer="",
        normalized_answer="",
    )


def answered(category: Category, **fields: Any) -> SpatialAnswer:
    return SpatialAnswer(Status.OK, category, **fields)


@pytest.mark.parametrize(
    ("category", "truth", "given", "expected"),
    [
        (Category.DISTANCE, 4.0, 4.0, ("4.00 m", "+0.00 m (0.0%)", True)),
        (Category.DISTANCE, 4.0, 4.39, ("4.00 m", "+0.39 m (9.7%)", True)),
        (Category.DISTANCE, 4.0, 3.59, ("4.00 m", "-0.41 m (10.3%)", False)),
        (Category.DISTANCE, 4.0, 0.0, ("4.00 m", "-4.00 m (100.0%)", False)),
        (Category.DISTANCE, 0.0, 0.0, ("0.00 m", "+0.00 m", True)),
        (Category.DISTANCE, 0.0, 0.01, ("0.00 m", "+0.01 m", False)),
        (Category.DISTANCE, 4.0, float("nan"), ("4.00 m", "+nan m (nan%)", False)),
        (Category.COUNT, 2.0, 2.0, ("2", "0", True)),
        (Category.COUNT, 20.0, 21.0, ("20", "+1", False)),
        (Category.COUNT, 0.0, 1.0, ("0", "+1", False)),
    ],
)
def test_values_are_compared_by_the_rules_of_the_challenge(
    category: Category, truth: float, given: float, expected: tuple[str, str, bool]
) -> None:
    question = asked(category, value=truth)
    assert compare_with_truth(question, answered(category, value=given)) == expected


def test_sides_and_regions_must_be_equal() -> None:
    side = asked(Category.LEFT_RIGHT, side=Side.LEFT)
    for given, expected in (
        (Side.LEFT, ("left", "", True)),
        (Side.RIGHT, ("left", "differs", False)),
    ):
        assert compare_with_truth(side, answered(Category.LEFT_RIGHT, side=given)) == expected
    choice = asked(Category.MCQ, region_id=12)
    for id, expected in ((12, ("pallet 12", "", True)), (7, ("pallet 12", "differs", False))):
        answer = answered(Category.MCQ, region_id=id)
        assert compare_with_truth(choice, answer, REGIONS) == expected
    assert compare_with_truth(choice, answered(Category.MCQ, region_id=12))[0] == "region 12"


def test_no_answer_is_never_correct() -> None:
    refusal = SpatialAnswer.refusal(SpatialError(Status.CANNOT_TELL, "too close to call"))
    for question in (asked(Category.COUNT, value=0.0), asked(Category.LEFT_RIGHT, side=Side.NONE)):
        assert compare_with_truth(question, refusal)[1:] == ("", False)
    row = report_row(asked(Category.COUNT, value=0.0), refusal, REGIONS)
    assert (row.verdict, row.status) == ("no answer", Status.CANNOT_TELL)
    assert (row.answer_text, row.truth_text) == ("too close to call", "0")


def test_refusal_that_was_due_is_correct() -> None:
    due = ReportRow("?", Category.MCQ, "what?", "", "", True, status=Status.BAD_QUESTION)
    assert due.verdict == "correct"
    assert summary([due]) == "1 of 1 answers correct"


def test_row_of_an_answer() -> None:
    answer = answered(Category.MCQ, region_id=12, text="Pallet 12.", latency_s={"answer": 0.01})
    row = report_row(asked(Category.MCQ, region_id=12), answer, REGIONS)
    assert (row.question, row.answer_text) == ("How about pallet 12?", "pallet 12")
    assert (row.verdict, row.latency) == ("correct", {"answer": 0.01})


class Page(HTMLParser):
    """Collects what a browser would show, and which tags are open at the end."""

    void = ("meta", "img", "link", "br")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.words: list[str] = []
        self.sources: list[str] = []
        self.descriptions: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.sources += [value or "" for name, value in attributes if name in ("src", "href")]
        self.descriptions += [value or "" for name, value in attributes if name == "alt"]
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
    output = io.StringIO()
    print_report(rows, Console(file=output, width=width))
    return output.getvalue()


def written(tmp_path: Path, **options: Any) -> Page:
    path = tmp_path / "new" / "report.html"
    write_html_report(ROWS, path, "Demo <1>", "seed 3 & noise", **options)
    return Page(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("width", [80, 100, 140])
def test_table_fits_and_is_complete(width: int) -> None:
    text = printed(ROWS, width)
    assert max(map(len, text.splitlines())) <= width
    for word in ("3.42 m", "3.50 m", "-0.08 m (2 %)", "NO_VALID_DEPTH", "✓", "✗", "total", "500"):
        assert word in text
    assert ("convert" in text.split("correct")[0]) == (width == 140)
    assert "NO_VALID_DEPTH: too few pixels under pallet 7" in " ".join(text.split())


def test_table_shows_markup_as_text() -> None:
    row = ReportRow("[red]pallet[/red] [Region 3]?", Category.COUNT, "[bold]", "[/]", "", False)
    text = printed([row], 120)
    assert "[red]pallet[/red] [Region 3]?" in text
    assert "[bold]" in text


def test_summary_counts_and_takes_medians() -> None:
    line = "1 of 3 answers correct; median latency: convert 1.6 ms, answer 16 ms, total 20 ms"
    assert summary(ROWS) == line
    assert summary([]) == "0 of 0 answers correct"
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
    for text in ("Demo <1>", "seed 3 & noise", "1 / 3", "20 ms", "no answer", "NO_VALID_DEPTH"):
        assert text in page.text


def test_images_are_inside_the_page(tmp_path: Path) -> None:
    overview = {"The <camera>": np.full((20, 50, 3), (10, 200, 40), np.uint8)}
    page = written(tmp_path, overview=overview)
    assert "The <camera>" in page.text
    assert page.descriptions == ["The <camera>", ROWS[0].question, ROWS[2].question]
    colors = [(10, 200, 40), (200, 30, 60), (20, 30, 160)]
    for source, color in zip(page.sources, colors, strict=True):
        address = re.fullmatch(r"(data:image/jpeg;base64,)(.*)", source)
        assert address is not None
        prefix, data = address.groups()
        image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        assert prefix
        assert image is not None
        assert image[..., ::-1].reshape(-1, 3).mean(axis=0) == pytest.approx(color, abs=4)


def test_what_model_and_geometry_say_of_each_other_is_shown() -> None:
    rows = [
        replace(ROWS[0], agreement=Agreement.AGREE, confidence=0.984, both_values="3.4, 3.42"),
        replace(ROWS[0], agreement=Agreement.DISAGREE, note="the model disagrees: 2 m"),
    ]
    text = printed(rows, 140)
    assert re.search(r"3.42 m +yes 98%", text)
    assert "3.4, 3.42" in text
    assert re.search(r"3.42 m +no ", text)
    assert "sure" not in printed([ROWS[0]], 140)


def test_the_values_of_both_are_shown_where_both_have_one() -> None:
    answer = answered(Category.DISTANCE, value=3.42)
    assert both_values_text(answer) == ""
    assert both_values_text(replace(answer, model_value=3.4)) == ""
    assert both_values_text(replace(answer, model_value=3.4, geometric_value=3.4213)) == "3.4, 3.42"
    assert both_values_text(replace(answer, model_value=2.0, geometric_value=2.0)) == "2, 2"


def test_the_page_shows_how_a_question_was_understood(tmp_path: Path) -> None:
    answer = answered(
        Category.MCQ,
        region_id=12,
        understood="Which pallet is <nearest>?",
        steps=("the buffer & all: 2", "<script>alert(2)</script> is pallet 12"),
    )
    row = report_row(asked(Category.MCQ, region_id=12), answer, REGIONS)
    path = tmp_path / "report.html"
    write_html_report([row, ROWS[0]], path, "Demo", "")
    page = Page(path.read_text(encoding="utf-8"))
    assert page.open == []
    assert page.tags.count("li") == 2
    assert "script" not in page.tags
    for text in (f"Understood as: {answer.understood}", *answer.steps):
        assert text in page.text
    assert page.text.count("Understood as") == 1


@pytest.mark.parametrize(
    ("category", "fields", "text"),
    [
        (Category.DISTANCE, {"value": 3.4151, "unit": "m"}, "3.42 m"),
        (Category.COUNT, {"value": 3.0, "unit": "objects"}, "3"),
        (Category.LEFT_RIGHT, {"side": Side.LEFT}, "left"),
        (Category.MCQ, {"region_id": 12}, "pallet 12"),
        (Category.TRUTH, {"truth": False}, "no"),
        (Category.LIST, {"answer_ids": (12, 2)}, "pallet 12, buffer 2"),
        (Category.LIST, {"answer_ids": ()}, "none"),
        (Category.QUANTITY, {"value": -31.2, "unit": "deg"}, "-31 degrees"),
        (Category.RELATION, {"relation": "behind"}, "behind"),
        (Category.POSITION, {"vector": np.array([1.0, -0.5, 6.258])}, "(1.00, -0.50, 6.26) m"),
        (Category.DIRECTION, {"vector": np.array([0.6, 0.0, 0.8])}, "(0.60, 0.00, 0.80)"),
        (Category.SIZE, {"vector": np.array([1.2, 0.8, 1.1])}, "(1.20, 0.80, 1.10) m"),
    ],
)
def test_an_answer_in_a_word_or_two(category: Category, fields: dict, text: str) -> None:
    regions = RegionSet(
        (100, 100),
        (
            Region.from_box(12, "pallet", Box(1, 1, 9, 9)),
            Region.from_box(2, "buffer", Box(20, 20, 9, 9)),
        ),
    )
    assert answer_text(SpatialAnswer(Status.OK, category, **fields), regions) == text
