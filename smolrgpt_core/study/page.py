"""The section of a study in the documentation."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from smolrgpt_core.files import write_file
from smolrgpt_core.markdown import replace_section
from smolrgpt_core.study.config import StudyConfig
from smolrgpt_core.study.plots import write_plots
from smolrgpt_core.study.table import StudyRow, as_markdown

IMAGES = "images"
"""Folder of images beside a page."""


@dataclass(frozen=True)
class StudyPart:
    """What was done of a study.

    Attributes:
        file: YAML of the study.
        study: the part that was run.
        whole: the complete study.
        changes: KEY=VALUE for all runs.
        unfinished: number of runs of the part that are not finished.
    """

    file: Path
    study: StudyConfig
    whole: StudyConfig
    changes: tuple[str, ...] = ()
    unfinished: int = 0


def write_page(
    page: Path, part: StudyPart, rows: Sequence[StudyRow], hardware: Sequence[str]
) -> None:
    """Replace the section of a study, with its plots beside the page.

    Args:
        page: Markdown.
        part: the part that was run.
        rows: its results, at least one of a trained model.
        hardware: of the runs, each once.
    """
    study = part.study
    plots = page.parent / IMAGES / f"study_{part.file.stem}.png"
    write_plots(study, rows, plots)
    lines = [
        f"## {study.title}",
        _origin(part, hardware),
        as_markdown(study, rows),
        f"![{study.title}: scores by what they cost]({IMAGES}/{plots.name})",
    ]
    text = page.read_text() if page.exists() else "# Studies\n"
    write_file(page, replace_section(text, study.title, "\n\n".join(lines)).encode())


def _origin(part: StudyPart, hardware: Sequence[str]) -> str:
    command = ["smolrgpt", "study", os.fspath(part.file)]
    missing = _left_out(part.study, part.whole)
    only = [f"--only={axis}={','.join(part.study.axes[axis])}" for axis in missing]
    text = f"`{shlex.join([*command, *part.changes, *only])}` on {', '.join(hardware)}."
    remarks = [f"{change} in all runs" for change in part.changes]
    remarks += [f"{axis} {', '.join(names)} not done" for axis, names in missing.items()]
    if part.unfinished:
        runs = math.prod(map(len, part.study.axes.values()))
        remarks.append(
            f"{part.unfinished} of its {runs} runs are not finished, see the column `runs`"
        )
    if not remarks:
        return text
    return (
        f"{text} **This is a part of the study**: {'; '.join(remarks)}. The whole: "
        f"`{shlex.join(command)}`."
    )


def _left_out(study: StudyConfig, whole: StudyConfig) -> Mapping[str, list[str]]:
    left = {
        axis: [name for name in values if name not in study.axes[axis]]
        for axis, values in whole.axes.items()
    }
    return {axis: names for axis, names in left.items() if names}
