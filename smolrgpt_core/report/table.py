"""Rows as a table for the terminal, and their totals."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from smolrgpt_core.answer import Agreement
from smolrgpt_core.errors import Status
from smolrgpt_core.report.rows import (
    TOTAL,
    ReportRow,
    agreement_text,
    median_latency,
    milliseconds_text,
    percent_text,
)
from smolrgpt_core.text_tables import headed_table

WIDE_CONSOLE = 110
"""From this terminal width on, the table has one column for each latency stage."""


def print_report(rows: Sequence[ReportRow], console: Console) -> None:
    """Print a table with a row per question, followed by the reasons of refusals and totals."""
    stages = list(dict.fromkeys(stage for row in rows for stage in row.latency))
    shown = stages if console.width >= WIDE_CONSOLE else [s for s in stages if s == TOTAL]
    table = headed_table()
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
        judgment = [_judgment_text(row)] if judged else []
        cells = [row.question, answer, *judgment, row.truth_text, row.error_text]
        times = [milliseconds_text(row.latency.get(stage)) for stage in shown]
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
    times = ", ".join(
        f"{stage} {milliseconds_text(median_latency(rows, stage))} ms" for stage in stages
    )
    latency = f"; median latency: {times}" if times else ""
    return f"{correct} of {len(rows)} answers correct{latency}"


def _judgment_text(row: ReportRow) -> str:
    judged = f"{agreement_text(row.agreement)} {percent_text(row.confidence)}".strip()
    return f"{judged}\n{row.both_values}".strip()


def _mark(row: ReportRow) -> Text:
    marks = {"correct": ("✓", "green"), "wrong": ("✗", "bold red"), "no answer": ("-", "yellow")}
    return Text(*marks[row.verdict])
