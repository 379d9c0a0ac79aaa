"""An HTML page about a run: figures, and wrong answers with their images."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import chain, islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.public_benchmarks.benchmark import Report
from smolrgpt_core.public_benchmarks.questions import draw_marks
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord
from smolrgpt_core.public_benchmarks.scoring import PERCENT, Verdict
from smolrgpt_core.report import ReportRow, write_html_report

if TYPE_CHECKING:
    from smolrgpt_core.public_benchmarks.replies import Reply

SHOWN_FAILURES = 24
"""So many wrong or missing answers are shown, evenly over the categories."""

TILES = 8
"""So many figures stand at the top."""

LONGEST = 600
"""Characters of an answer that are shown."""


def write_failures(path: Path, report: Report, replies: Mapping[str, Reply], model: str) -> None:
    """Write the page, one file with everything in it, by the first rule of a report.

    Args:
        path: where to write.
        report: with at least one rule.
        replies: by id of the question.
        model: name of the model.
    """
    rule, outcome = next(iter(report.outcomes.items()))
    tiles = {
        name: f"{figure.value:.1f} %"
        for name, figure in outcome.figures.items()
        if figure.unit == PERCENT
    }
    asked = {record.id: record for record in report.data.records}
    wrong = [(asked[item.id], item) for item in outcome.verdicts if item.hit < 1]
    rows = [
        _row(record, verdict, replies[record.id])
        for record, verdict in _in_turn(wrong)[:SHOWN_FAILURES]
    ]
    write_html_report(
        rows,
        path,
        f"{model} on {report.benchmark.title}",
        f"{len(outcome.verdicts)} questions, scored by {rule} "
        f"({report.benchmark.scorers[rule].about}). Below: {len(rows)} of {len(wrong)} wrong or "
        "missing answers.",
        tiles=dict(islice(tiles.items(), TILES)),
    )


def _in_turn(
    wrong: Sequence[tuple[BenchmarkRecord, Verdict]],
) -> list[tuple[BenchmarkRecord, Verdict]]:
    """One of each category, then the next of each, and so on."""
    queues: defaultdict[str, list[tuple[BenchmarkRecord, Verdict]]] = defaultdict(list)
    for record, verdict in wrong:
        queues[record.category].append((record, verdict))
    return [item for item in chain.from_iterable(zip_longest(*queues.values())) if item]


def _row(record: BenchmarkRecord, verdict: Verdict, reply: Reply) -> ReportRow:
    text = reply.text or "(empty)"
    shown = text if len(text) <= LONGEST else f"{text[:LONGEST]} ..."
    return ReportRow(
        question=record.question if record.regions else record.prompt,
        category=record.category,
        answer_text=shown if reply.text is not None else reply.problem,
        truth_text=str(record.truth),
        error_text=f"read as {verdict.read}" if verdict.read else "not read",
        within_tolerance=False,
        status=Status.OK if reply.text is not None else Status[reply.status],
        image=_image(record),
    )


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
