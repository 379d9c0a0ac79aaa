"""An HTML page about a run: the figures of all rules side by side, the answers that rules read
differently or not at all, and wrong answers with their images.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.public_benchmarks.benchmark import BenchmarkReport
from smolrgpt_core.public_benchmarks.figure_table import figure_rows
from smolrgpt_core.public_benchmarks.predictions import Reply
from smolrgpt_core.public_benchmarks.questions import draw_marks
from smolrgpt_core.public_benchmarks.records import OPTION_LETTERS, BenchmarkRecord
from smolrgpt_core.public_benchmarks.scoring import PERCENT, Verdict
from smolrgpt_core.report import PageTable, ReportRow, TableCell, write_html_report

Item = TypeVar("Item")

SHOWN_FAILURES = 24
"""So many wrong or missing answers are shown, evenly over the categories."""

LISTED = 200
"""So many answers are listed that rules read differently, and as many that none reads."""

TILES = 8
"""So many figures stand at the top."""

LONGEST = 600
"""Characters of an answer that are shown beside its image."""

LONGEST_LISTED = 200
"""Characters of a question or an answer in a list."""

NOTHING = "—"
"""Stands for what a rule reads where it reads nothing."""


@dataclass(frozen=True, eq=False)
class AnswerRow:
    """An answer, and what each rule makes of it.

    Attributes:
        record: the question.
        reply: the answer, or why there is none.
        verdicts: by name of the rule, of those that are about the question.
    """

    record: BenchmarkRecord
    reply: Reply
    verdicts: Mapping[str, Verdict]

    @property
    def is_unread(self) -> bool:
        """Whether no rule reads anything."""
        return not any(verdict.read for verdict in self.verdicts.values())

    @property
    def differs(self) -> bool:
        """Whether two rules read something else, or judge the same otherwise."""
        return len({(verdict.read, verdict.hit) for verdict in self.verdicts.values()}) > 1


def write_run_page(
    path: Path, report: BenchmarkReport, replies: Mapping[str, Reply], model: str
) -> None:
    """Write the page, one file with everything in it; its tiles and images are by the first rule.

    Args:
        path: where to write.
        report: with at least one rule.
        replies: by id of the question; one for each.
        model: name of the model.
    """
    rule, outcome = next(iter(report.outcomes.items()))
    tiles = {
        name.replace("_", " "): f"{figure.value:.1f} %"
        for name, figure in outcome.figures.items()
        if figure.unit == PERCENT
    }
    read = {item.record.id: item for item in _read_by_all(report, replies)}
    wrong = [(read[item.id], item) for item in outcome.verdicts if item.hit < 1]
    rows = [
        _row(item.record, verdict, item.reply)
        for item, verdict in _in_turn(wrong, lambda pair: pair[0].record)[:SHOWN_FAILURES]
    ]
    write_html_report(
        rows,
        path,
        f"{model} on {report.benchmark.title}",
        f"{len(outcome.verdicts)} questions, scored by {rule} "
        f"({report.benchmark.scorers[rule].about}).",
        tiles=dict(islice(tiles.items(), TILES)),
        tables=[_figures(report), *_lists(report, list(read.values()))],
        heading=f"{len(rows)} of {len(wrong)} wrong or missing answers, by {rule}",
    )


def _read_by_all(report: BenchmarkReport, replies: Mapping[str, Reply]) -> list[AnswerRow]:
    verdicts: defaultdict[str, dict[str, Verdict]] = defaultdict(dict)
    for name, outcome in report.outcomes.items():
        for verdict in outcome.verdicts:
            verdicts[verdict.id][name] = verdict
    return [
        AnswerRow(record, replies[record.id], verdicts[record.id])
        for record in report.data.records
        if record.id in verdicts
    ]


def _figures(report: BenchmarkReport) -> PageTable:
    """All figures, with a column for each rule, and the notes about them."""
    rules = report.benchmark.scorers
    return PageTable(
        "Figures by rule",
        "In %, unless a unit is named; denominators in brackets.",
        ("", *report.outcomes),
        [tuple(map(TableCell, row)) for row in figure_rows(report.outcomes)],
        [*(f"{name}: {rules[name].about}" for name in report.outcomes), *report.notes()],
    )


def _lists(report: BenchmarkReport, read: Sequence[AnswerRow]) -> list[PageTable]:
    """The answers that rules read differently, if there are several, and those that none reads."""
    unread = [item for item in read if item.is_unread]
    lists = [
        _list(
            "Read by no rule",
            "Wrong in every figure, unless a note says otherwise.",
            unread,
            (),
        )
    ]
    if len(report.outcomes) > 1:
        differing = [item for item in read if item.differs]
        about = (
            f"What each rule reads, and whether that is correct; {NOTHING}: nothing; empty: the "
            "rule is not about this question."
        )
        lists.insert(0, _list("Read differently", about, differing, tuple(report.outcomes)))
    return lists


def _list(title: str, about: str, found: Sequence[AnswerRow], rules: Sequence[str]) -> PageTable:
    shown = _in_turn(found, lambda item: item.record)[:LISTED]
    some = "" if len(shown) == len(found) else f"The first {len(shown)} of all categories. "
    return PageTable(
        f"{title}: {len(found)}",
        f"{some}{about}" if found else "",
        ("id", "question", "answer", "truth", *rules),
        [_listed(item, rules) for item in shown],
    )


def _listed(item: AnswerRow, rules: Sequence[str]) -> tuple[TableCell, ...]:
    record, reply = item.record, item.reply
    answer = _shortened(reply.text or "(empty)", LONGEST_LISTED)
    return (
        TableCell(f"{record.id}\n{record.category}"),
        TableCell(_shortened(_in_a_line(record), LONGEST_LISTED)),
        TableCell(answer if reply.text is not None else reply.problem),
        TableCell(_shortened(_truth(record), LONGEST_LISTED)),
        *(_reading(item.verdicts.get(rule)) for rule in rules),
    )


def _reading(verdict: Verdict | None) -> TableCell:
    if verdict is None:
        return TableCell("")
    if not verdict.read:
        return TableCell(NOTHING, "no-answer")
    if verdict.hit == 1:
        return TableCell(f"{verdict.read}\u00a0✓", "correct")
    return TableCell(f"{verdict.read}\u00a0✗", "wrong")


def _in_turn(found: Sequence[Item], record: Callable[[Item], BenchmarkRecord]) -> list[Item]:
    """One of each category, then the next of each, and so on."""
    queues: defaultdict[str, list[Item]] = defaultdict(list)
    for item in found:
        queues[record(item).category].append(item)
    return [item for item in chain.from_iterable(zip_longest(*queues.values())) if item]


def _row(record: BenchmarkRecord, verdict: Verdict, reply: Reply) -> ReportRow:
    shown = _shortened(reply.text or "(empty)", LONGEST)
    return ReportRow(
        question=_question(record),
        category=record.category,
        answer_text=shown if reply.text is not None else reply.problem,
        truth_text=_truth(record),
        error_text=f"read as {verdict.read}" if verdict.read else "not read",
        within_tolerance=False,
        status=Status.OK if reply.text is not None else Status[reply.status],
        image=_image(record),
    )


def _truth(record: BenchmarkRecord) -> str:
    return f"{record.truth:g}" if isinstance(record.truth, float) else str(record.truth)


def _question(record: BenchmarkRecord) -> str:
    return record.question if record.regions else record.prompt


def _in_a_line(record: BenchmarkRecord) -> str:
    """The question with its options, without the words around them that are always the same."""
    missing = [
        f"({letter}) {option}"
        for letter, option in zip(OPTION_LETTERS, record.options, strict=False)
        if option not in record.question
    ]
    return " ".join([*record.question.split(), *missing])


def _shortened(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]} ..."


def _image(record: BenchmarkRecord) -> NDArray[np.uint8] | None:
    """The image with its regions; None where there is none that decodes."""
    if record.image is None:
        return None
    try:
        rgb = record.image.rgb()
    except SpatialError:
        # Counted among the questions without an answer; here there is nothing to show.
        return None
    return draw_marks(rgb, record.regions) if record.regions else rgb
