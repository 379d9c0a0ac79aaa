"""What was asked and answered, for people: a table in the terminal and a page for the browser.

Compares answers with the truth by the project's rules; counts and medians are all it computes.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from statistics import median
from string import Template
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smolrgpt_core.answer import Agreement, SpatialAnswer
from smolrgpt_core.answer.scoring import VECTORS, is_right
from smolrgpt_core.drawing import name_regions
from smolrgpt_core.errors import Status
from smolrgpt_core.files import encode_image, write_file
from smolrgpt_core.language import Category
from smolrgpt_core.language.operators import selections
from smolrgpt_core.language.wording import quantity
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.synthesis import QuestionWithTruth

TOTAL = "total"
"""The latency stage that stands for the whole way of a question."""

WIDE_CONSOLE = 110
"""Columns from which on the table has one column for each latency stage."""


@dataclass(frozen=True, eq=False)
class ReportRow:
    """One question and what came of it.

    Attributes:
        question: as asked, regions by their names.
        category: what was asked.
        answer_text: the answer, or the reason for none.
        truth_text: the right answer.
        error_text: how far the answer is from the truth; empty if nothing can be said.
        within_tolerance: whether the answer, or the refusal, is the right one.
        latency: seconds by stage; `TOTAL` is the whole.
        status: outcome of the question.
        image: annotated picture, uint8 (H, W, 3) RGB, or None.
        agreement: of model and geometry, where both were asked.
        confidence: probability that the answer is right; NaN where it is not known.
        said: what the model and geometry each say to a question with a value; empty where only one
            of them was asked, or both say the same region or side.
        note: what else was said with an answer, such as what the other one answers.
        understood: the question as a canonical sentence.
        steps: how the answer was found, a sentence each.
    """

    question: str
    category: Category
    answer_text: str
    truth_text: str
    error_text: str
    within_tolerance: bool
    latency: Mapping[str, float] = field(default_factory=dict)
    status: Status = Status.OK
    image: NDArray[np.uint8] | None = None
    agreement: Agreement = Agreement.UNKNOWN
    confidence: float = math.nan
    said: str = ""
    note: str = ""
    understood: str = ""
    steps: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        """`right`, `wrong` or `no answer`; a refusal that was due is right."""
        if self.within_tolerance:
            return "right"
        return "wrong" if self.status is Status.OK else "no answer"


def compare_with_truth(
    question: QuestionWithTruth, answer: SpatialAnswer, regions: RegionSet | None = None
) -> tuple[str, str, bool]:
    """The truth as text, the error as text, and whether the answer counts as right.

    Without an answer there is no error, and it is not right; see `is_right` for what is.

    Args:
        question: with its true answer.
        answer: the answer, or a refusal.
        regions: for the names of regions in the text.
    """
    category, unit, content = question.category, question.program.unit, _true_content(question)
    truth = _content_text(category, content, unit, regions)
    if not answer.ok:
        return truth, "", False
    ordered = question.program.operator in (selections.Sorted, selections.First)
    right = is_right(category, _content(answer, category), content, unit, ordered=ordered)
    if question.value is not None:
        error = (np.nan if answer.value is None else answer.value) - question.value
        return truth, _error_text(unit, error, question.value), right
    return truth, "" if right else "differs", right


def answer_text(answer: SpatialAnswer, regions: RegionSet | None = None) -> str:
    """The answer in a word or two, such as "3.42 m" or "pallet 7"; why not if there is none."""
    if not answer.ok or answer.category is None:
        return answer.message
    return _content_text(answer.category, _content(answer, answer.category), answer.unit, regions)


def said_text(answer: SpatialAnswer) -> str:
    """The values of model and geometry side by side, such as "3.4, 3.42"; empty without both."""
    values = (answer.model_value, answer.geometric_value)
    if any(value is None for value in values):
        return ""
    return ", ".join(f"{value:.3g}" for value in values)


def report_row(
    question: QuestionWithTruth,
    answer: SpatialAnswer,
    regions: RegionSet,
    image: NDArray[np.uint8] | None = None,
) -> ReportRow:
    """The row of one question."""
    truth, error, right = compare_with_truth(question, answer, regions)
    return ReportRow(
        question=name_regions(question.text, question.region_ids, regions),
        category=question.category,
        answer_text=answer_text(answer, regions),
        truth_text=truth,
        error_text=error,
        within_tolerance=right,
        latency=answer.latency_s,
        status=answer.status,
        image=image,
        agreement=answer.agreement,
        confidence=answer.confidence,
        said=said_text(answer),
        note=answer.message if answer.ok else "",
        understood=answer.understood,
        steps=answer.steps,
    )


def print_report(rows: Sequence[ReportRow], console: Console) -> None:
    """Print a table with a row for each question; below it, why answers are missing, and totals."""
    stages = list(dict.fromkeys(stage for row in rows for stage in row.latency))
    shown = stages if console.width >= WIDE_CONSOLE else [s for s in stages if s == TOTAL]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    table.add_column("", no_wrap=True)
    table.add_column("Question", ratio=1, min_width=11)
    table.add_column("Answer", overflow="fold")
    judged = any(row.agreement is not Agreement.UNKNOWN for row in rows)
    if judged:
        table.add_column("Agree, sure;\nmodel, geometry")
    table.add_column("Truth", overflow="fold")
    table.add_column("Error", justify="right")
    for stage in shown:
        table.add_column(f"{stage}\nms", justify="right", no_wrap=True)
    for row in rows:
        answer = row.answer_text if row.status is Status.OK else row.status.name
        judgement = [_judgement_text(row)] if judged else []
        cells = [row.question, answer, *judgement, row.truth_text, row.error_text]
        times = [_milliseconds(row.latency.get(stage)) for stage in shown]
        table.add_row(_mark(row), *(Text(cell) for cell in [*cells, *times]))
    console.print(table)
    for row in rows:
        if row.status is not Status.OK:
            console.print(Text(f"{row.status.name}: {row.answer_text}", "yellow"))
    console.print(Text(summary(rows)))


def summary(rows: Sequence[ReportRow]) -> str:
    """One line: how many answers are right, and the median latency of each stage."""
    right = sum(row.within_tolerance for row in rows)
    stages = dict.fromkeys(stage for row in rows for stage in row.latency)
    times = ", ".join(f"{stage} {_milliseconds(_median(rows, stage))} ms" for stage in stages)
    return f"{right} of {len(rows)} answers right" + (f"; median latency: {times}" if times else "")


def write_html_report(
    rows: Sequence[ReportRow],
    path: Path,
    title: str,
    subtitle: str,
    overview: Mapping[str, NDArray[np.uint8]] | None = None,
    tiles: Mapping[str, str] | None = None,
) -> None:
    """Write one HTML file that needs no other file.

    Args:
        rows: a card each.
        path: where to write.
        title: heading.
        subtitle: a sentence below it: what was asked, with which settings.
        overview: pictures above the cards by their caption, uint8 (H, W, 3) RGB.
        tiles: figures at the top by their name; None: how many rows are right.
    """
    figures = _totals(rows) if tiles is None else tiles
    page = PAGE.substitute(
        title=escape(title),
        subtitle=escape(subtitle),
        style=STYLE,
        tiles="".join(_tile(value, name) for name, value in figures.items()),
        overview="".join(_figure(image, caption) for caption, image in (overview or {}).items()),
        cards="".join(_card(row) for row in rows),
    )
    write_file(path, page.encode())


def _content(answer: SpatialAnswer, category: Category) -> Any:
    """What an answer consists of: the field that a category fills."""
    return {
        Category.LEFT_RIGHT: answer.side,
        Category.MCQ: answer.region_id,
        Category.TRUTH: answer.truth,
        Category.LIST: answer.answer_ids,
        Category.RELATION: answer.relation,
        Category.POSITION: answer.vector,
        Category.DIRECTION: answer.vector,
        Category.SIZE: answer.vector,
    }.get(category, answer.value)


def _true_content(question: QuestionWithTruth) -> Any:
    """The same of the truth, which for a side that is asked as yes or no is the side."""
    if question.category is Category.LEFT_RIGHT:
        return question.side
    return question.region_id if question.category is Category.MCQ else question.truth


def _content_text(category: Category, content: Any, unit: str, regions: RegionSet | None) -> str:
    """What an answer consists of, in a word or two."""
    if category is Category.LEFT_RIGHT:
        return str(content.name.lower())
    if category is Category.MCQ:
        return _region_text(content, regions)
    if category is Category.TRUTH:
        return "yes" if content else "no"
    if category is Category.LIST:
        return ", ".join(_region_text(id, regions) for id in content) or "none"
    if category is Category.RELATION:
        return str(content)
    if category in VECTORS:
        numbers = ", ".join(f"{number:.2f}" for number in content)
        return f"({numbers}){'' if category is Category.DIRECTION else ' m'}"
    return quantity(content, unit)


def _region_text(id: int | None, regions: RegionSet | None) -> str:
    if regions is None or id is None or id not in regions:
        return f"region {id}"
    return regions[id].name


def _error_text(unit: str, error: float, truth: float) -> str:
    if unit == "objects":
        return f"{error:+.0f}" if error else "0"
    share = f" ({abs(error) / truth:.1%})" if truth else ""
    return f"{round(error, 2) + 0.0:+.2f} {unit}{share}"


def _agreement_text(agreement: Agreement) -> str:
    return {Agreement.AGREE: "yes", Agreement.DISAGREE: "no"}.get(agreement, "")


def _judgement_text(row: ReportRow) -> str:
    judged = f"{_agreement_text(row.agreement)} {_share_text(row.confidence)}".strip()
    return f"{judged}\n{row.said}".strip()


def _share_text(share: float) -> str:
    return "" if math.isnan(share) else f"{share:.0%}"


def _mark(row: ReportRow) -> Text:
    marks = {"right": ("✓", "green"), "wrong": ("✗", "bold red"), "no answer": ("-", "yellow")}
    return Text(*marks[row.verdict])


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"


def _median(rows: Sequence[ReportRow], stage: str) -> float | None:
    times = [row.latency[stage] for row in rows if stage in row.latency]
    return median(times) if times else None


def _totals(rows: Sequence[ReportRow]) -> dict[str, str]:
    """Figures of the page's tiles by their name."""
    totals = {"answers right": _share(rows)}
    for category in Category:
        of_category = [row for row in rows if row.category is category]
        if of_category:
            totals[_category_name(category)] = _share(of_category)
    latency = _median(rows, TOTAL)
    if latency is not None:
        totals["median latency"] = f"{_milliseconds(latency)} ms"
    return totals


def _share(rows: Sequence[ReportRow]) -> str:
    return f"{sum(row.within_tolerance for row in rows)} / {len(rows)}"


def _category_name(category: Category) -> str:
    names = {Category.LEFT_RIGHT: "left or right", Category.MCQ: "which one"}
    return names.get(category, category.name.lower())


def _tile(value: str, name: str) -> str:
    return f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'


def _figure(image: NDArray[np.uint8], caption: str) -> str:
    return f"<figure>{_picture(image, caption)}<figcaption>{escape(caption)}</figcaption></figure>"


def _picture(image: NDArray[np.uint8], description: str) -> str:
    data = base64.b64encode(encode_image(image, ".jpg")).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(description)}">'


def _card(row: ReportRow) -> str:
    facts = {
        "Answer": row.answer_text,
        "Truth": row.truth_text,
        "Error": row.error_text,
        "Model and geometry agree": _agreement_text(row.agreement),
        "Model, geometry": row.said,
        "Confidence": _share_text(row.confidence),
        "Note": row.note,
    }
    times = [f"{stage} {_milliseconds(seconds)} ms" for stage, seconds in row.latency.items()]
    facts["Latency"] = " · ".join(times)
    lines = "".join(
        f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in facts.items() if text
    )
    labels = [_category_name(row.category)]
    if row.status is not Status.OK:
        labels.append(row.status.name)
    return CARD.substitute(
        kind=row.verdict.replace(" ", "-"),
        verdict=row.verdict,
        labels="".join(f"<span>{escape(label)}</span>" for label in labels),
        question=escape(row.question),
        understood=_understood(row),
        picture="" if row.image is None else _picture(row.image, row.question),
        facts=lines,
    )


def _understood(row: ReportRow) -> str:
    """How a question was understood, and the steps to its answer, as far as they are known."""
    if not row.understood:
        return ""
    steps = "".join(f"<li>{escape(step)}</li>" for step in row.steps)
    read = f'<p class="understood">Understood as: {escape(row.understood)}</p>'
    return f'{read}<ol class="steps">{steps}</ol>' if steps else read


CARD = Template("""
<article class="$kind">
$picture
<div class="body">
<p class="labels"><span class="verdict">$verdict</span>$labels</p>
<h2>$question</h2>
$understood
<dl>$facts</dl>
</div>
</article>
""")

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>$style</style>
</head>
<body>
<header>
<h1>$title</h1>
<p>$subtitle</p>
<div class="tiles">$tiles</div>
</header>
<section class="overview">$overview</section>
<main>$cards</main>
</body>
</html>
""")

STYLE = """
:root {
  --page: #f4f5f8; --card: #ffffff; --text: #1b1f2a; --soft: #667085; --line: #e2e5ec;
  --right: #15803d; --wrong: #c0262d; --none: #a16207;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12141a; --card: #1b1e27; --text: #e8eaf0; --soft: #98a1b3; --line: #2c313d;
    --right: #4ade80; --wrong: #f87171; --none: #facc15;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 1240px;
  background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
h1 { margin: 0; font-size: 1.9rem; letter-spacing: -0.02em; }
header p { margin: 0.3rem 0 1.4rem; color: var(--soft); }
.tiles { display: flex; flex-wrap: wrap; gap: 0.75rem; }
.tile {
  flex: 1 1 8rem; padding: 0.8rem 1rem; border: 1px solid var(--line); border-radius: 12px;
  background: var(--card);
}
.tile b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
.tile span { color: var(--soft); font-size: 0.85rem; }
.overview, main {
  display: grid; gap: 1.25rem; margin-top: 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 480px), 1fr));
}
figure { margin: 0; }
img { display: block; width: 100%; height: auto; border-radius: 12px; }
figcaption { padding: 0.4rem 0.2rem; color: var(--soft); font-size: 0.85rem; }
article {
  overflow: hidden; border: 1px solid var(--line); border-radius: 12px; background: var(--card);
}
article img { border-radius: 0; }
.body { padding: 1rem 1.2rem 1.2rem; }
.labels { display: flex; gap: 0.5rem; margin: 0; font-size: 0.8rem; color: var(--soft); }
.labels span { padding: 0.1rem 0.6rem; border: 1px solid var(--line); border-radius: 99px; }
.labels .verdict { font-weight: 600; border-color: currentColor; }
.right .verdict { color: var(--right); }
.wrong .verdict { color: var(--wrong); }
.no-answer .verdict { color: var(--none); }
h2 { margin: 0.7rem 0; font-size: 1.05rem; line-height: 1.35; overflow-wrap: anywhere; }
.understood, .steps { margin: 0 0 0.7rem; color: var(--soft); font-size: 0.92rem; }
.steps { padding-left: 1.3rem; }
.understood, .steps li { overflow-wrap: anywhere; }
dl {
  display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1rem; margin: 0;
  font-size: 0.92rem; overflow-wrap: anywhere;
}
dt { color: var(--soft); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
"""
