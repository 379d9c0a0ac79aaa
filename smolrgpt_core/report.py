"""Reports of questions and answers: a table for the terminal and an HTML page.

Compares answers with the truth by the project's rules; otherwise computes only counts and medians.
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
"""The latency stage for the total time of a question."""

WIDE_CONSOLE = 110
"""From this terminal width on, the table has one column for each latency stage."""


@dataclass(frozen=True, eq=False)
class ReportRow:
    """One question with its answer and the truth.

    Attributes:
        question: as asked, with regions by name.
        category: kind of answer asked for; a text where it is none of ours.
        answer_text: the answer, or the reason for none.
        truth_text: the true answer.
        error_text: difference between answer and truth; empty if undefined.
        within_tolerance: whether the answer, or the refusal, is correct.
        latency: seconds by stage; `TOTAL` is the sum.
        status: outcome of the question.
        image: annotated image, uint8 (H, W, 3) RGB, or None.
        agreement: of model and geometry, if both were asked.
        confidence: probability that the answer is correct; NaN if unknown.
        both_values: values of model and geometry; empty unless both have one.
        note: message of an answer, such as the other answerer's answer.
        understood: canonical sentence for the question as interpreted.
        steps: intermediate results, one sentence each.
    """

    question: str
    category: Category | str
    answer_text: str
    truth_text: str
    error_text: str
    within_tolerance: bool
    latency: Mapping[str, float] = field(default_factory=dict)
    status: Status = Status.OK
    image: NDArray[np.uint8] | None = None
    agreement: Agreement = Agreement.UNKNOWN
    confidence: float = math.nan
    both_values: str = ""
    note: str = ""
    understood: str = ""
    steps: Sequence[str] = ()

    @property
    def verdict(self) -> str:
        """`correct`, `wrong` or `no answer`; an expected refusal is correct."""
        if self.within_tolerance:
            return "correct"
        return "wrong" if self.status is Status.OK else "no answer"


def compare_with_truth(
    question: QuestionWithTruth, answer: SpatialAnswer, regions: RegionSet | None = None
) -> tuple[str, str, bool]:
    """The truth as text, the error as text, and whether the answer counts as correct.

    Without an answer there is no error, and it is not correct; see `is_right` for what is.

    Args:
        question: with its true answer.
        answer: the answer, or a refusal.
        regions: to name regions in the text; None: by id.
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
    """The answer in short form, such as "3.42 m" or "pallet 7"; for a refusal, the reason."""
    if not answer.ok or answer.category is None:
        return answer.message
    return _content_text(answer.category, _content(answer, answer.category), answer.unit, regions)


def both_values_text(answer: SpatialAnswer) -> str:
    """The values of model and geometry, such as "3.4, 3.42"; empty unless both have one."""
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
    """The row of one question.

    Args:
        question: with its true answer.
        answer: the answer, or a refusal.
        regions: to name regions in the text.
        image: annotated image, uint8 (H, W, 3) RGB.
    """
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
        both_values=both_values_text(answer),
        note=answer.message if answer.ok else "",
        understood=answer.understood,
        steps=answer.steps,
    )


def print_report(rows: Sequence[ReportRow], console: Console) -> None:
    """Print a table with a row per question, followed by the reasons of refusals and totals."""
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
    """One line: the number of correct answers, and the median latency of each stage."""
    correct = sum(row.within_tolerance for row in rows)
    stages = dict.fromkeys(stage for row in rows for stage in row.latency)
    times = ", ".join(f"{stage} {_milliseconds(_median(rows, stage))} ms" for stage in stages)
    latency = f"; median latency: {times}" if times else ""
    return f"{correct} of {len(rows)} answers correct{latency}"


def write_html_report(
    rows: Sequence[ReportRow],
    path: Path,
    title: str,
    subtitle: str,
    overview: Mapping[str, NDArray[np.uint8]] | None = None,
    tiles: Mapping[str, str] | None = None,
) -> None:
    """Write a self-contained HTML report.

    Args:
        rows: one card each.
        path: file to write.
        title: heading.
        subtitle: a sentence below it: what was asked, with which settings.
        overview: images above the cards by caption, uint8 (H, W, 3) RGB.
        tiles: numbers at the top by name; None: the number of correct rows.
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
    """The content of the true answer; for a side asked as a yes/no question, the side."""
    if question.category is Category.LEFT_RIGHT:
        return question.side
    return question.region_id if question.category is Category.MCQ else question.truth


def _content_text(category: Category, content: Any, unit: str, regions: RegionSet | None) -> str:
    """The content of an answer in short form."""
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
    relative = f" ({abs(error) / truth:.1%})" if truth else ""
    return f"{round(error, 2) + 0.0:+.2f} {unit}{relative}"


def _agreement_text(agreement: Agreement) -> str:
    return {Agreement.AGREE: "yes", Agreement.DISAGREE: "no"}.get(agreement, "")


def _judgement_text(row: ReportRow) -> str:
    judged = f"{_agreement_text(row.agreement)} {_percent_text(row.confidence)}".strip()
    return f"{judged}\n{row.both_values}".strip()


def _percent_text(fraction: float) -> str:
    return "" if math.isnan(fraction) else f"{fraction:.0%}"


def _mark(row: ReportRow) -> Text:
    marks = {"correct": ("✓", "green"), "wrong": ("✗", "bold red"), "no answer": ("-", "yellow")}
    return Text(*marks[row.verdict])


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f}" if seconds >= 0.01 else f"{seconds * 1000:.1f}"


def _median(rows: Sequence[ReportRow], stage: str) -> float | None:
    times = [row.latency[stage] for row in rows if stage in row.latency]
    return median(times) if times else None


def _totals(rows: Sequence[ReportRow]) -> dict[str, str]:
    """Numbers for the tiles of the page, by name."""
    totals = {"answers correct": _correct_of(rows)}
    for category in Category:
        of_category = [row for row in rows if row.category is category]
        if of_category:
            totals[_category_name(category)] = _correct_of(of_category)
    latency = _median(rows, TOTAL)
    if latency is not None:
        totals["median latency"] = f"{_milliseconds(latency)} ms"
    return totals


def _correct_of(rows: Sequence[ReportRow]) -> str:
    return f"{sum(row.within_tolerance for row in rows)} / {len(rows)}"


def _category_name(category: Category | str) -> str:
    if isinstance(category, str):
        return category
    names = {Category.LEFT_RIGHT: "left or right", Category.MCQ: "which one"}
    return names.get(category, category.name.lower())


def _tile(value: str, name: str) -> str:
    return f'<div class="tile"><b>{escape(value)}</b><span>{escape(name)}</span></div>'


def _figure(image: NDArray[np.uint8], caption: str) -> str:
    return (
        f"<figure>{_image_tag(image, caption)}<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _image_tag(image: NDArray[np.uint8], description: str) -> str:
    data = base64.b64encode(encode_image(image, ".jpg")).decode("ascii")
    return f'<img src="data:image/jpeg;base64,{data}" alt="{escape(description)}">'


def _card(row: ReportRow) -> str:
    facts = {
        "Answer": row.answer_text,
        "Truth": row.truth_text,
        "Error": row.error_text,
        "Model and geometry agree": _agreement_text(row.agreement),
        "Model, geometry": row.both_values,
        "Confidence": _percent_text(row.confidence),
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
        picture="" if row.image is None else _image_tag(row.image, row.question),
        facts=lines,
    )


def _understood(row: ReportRow) -> str:
    """How a question was interpreted, and the steps to its answer, if known."""
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
  --correct: #15803d; --wrong: #c0262d; --none: #a16207;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12141a; --card: #1b1e27; --text: #e8eaf0; --soft: #98a1b3; --line: #2c313d;
    --correct: #4ade80; --wrong: #f87171; --none: #facc15;
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
.tile b {
  display: block; font-size: 1.5rem; white-space: nowrap; font-variant-numeric: tabular-nums;
}
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
.correct .verdict { color: var(--correct); }
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
