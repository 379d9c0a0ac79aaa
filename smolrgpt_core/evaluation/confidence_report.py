"""A report on the reliability of confidences: a Markdown page with a diagram."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from smolrgpt_core.evaluation.evaluation import Evaluation
from smolrgpt_core.evaluation.plots import reliability_diagram
from smolrgpt_core.evaluation.reliability import Reliability
from smolrgpt_core.files import write_file, write_image
from smolrgpt_core.markdown import markdown_table

PAGE = "confidence.md"
DIAGRAM = "reliability.png"


def write_confidence_report(evaluation: Evaluation, folder: Path) -> None:
    """Write the page and the diagram; nothing if no answer has a confidence.

    Args:
        evaluation: with true answers.
        folder: where to write.
    """
    with_confidence = [item for item in evaluation.systems if item.reliabilities]
    if not with_confidence:
        return
    data = evaluation.folder.name
    lines = [f"# Confidence on {data}", "", f"{len(evaluation.records)} questions.", ""]
    for item in with_confidence:
        lines += [f"## {item.name}", "", reliability_table(item.reliabilities), ""]
        if item.agreements:
            lines += [_agreement_table(item.agreements), ""]
    best = evaluation.systems[0]
    if best.reliabilities:
        write_image(folder / DIAGRAM, reliability_diagram(best))
        lines += [f"![{best.name}: correct answers over confidence]({DIAGRAM})", ""]
    write_file(folder / PAGE, "\n".join(lines).encode())


def reliability_table(reliabilities: Mapping[str, Reliability]) -> str:
    """A table with a row for each category."""
    rows = (
        (name, found.answers, found.right, found.confidence, found.expected_calibration_error)
        for name, found in reliabilities.items()
    )
    return markdown_table(
        ("", "answers", "correct", "mean confidence", "expected calibration error"),
        ((name, str(answers), *map(_percent, fractions)) for name, answers, *fractions in rows),
    )


def _agreement_table(agreements: Mapping[str, Mapping[str, int]]) -> str:
    return markdown_table(
        ("model and geometry", "answers", "correct"),
        (
            (name.lower(), str(counts["answers"]), _percent(counts["right"] / counts["answers"]))
            for name, counts in agreements.items()
        ),
    )


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.1f} %"
