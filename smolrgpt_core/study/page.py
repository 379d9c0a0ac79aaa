"""The section of a study in the documentation."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from smolrgpt_core.files import write_file
from smolrgpt_core.page_sections import replace_section
from smolrgpt_core.study.config import StudyConfig
from smolrgpt_core.study.plots import write_plots
from smolrgpt_core.study.table import Row, as_markdown

IMAGES = "images"
"""Folder of pictures beside a page."""


def write_page(
    page: Path,
    file: Path,
    study: StudyConfig,
    whole: StudyConfig,
    rows: Sequence[Row],
    hardware: Sequence[str],
) -> None:
    """Replace the section of a study, with its plots beside the page.

    Args:
        page: Markdown.
        file: YAML of the study.
        study: the part of it that was done.
        whole: all of it.
        rows: of that part, at least one trained.
        hardware: that the runs name, each once.
    """
    picture = page.parent / IMAGES / f"study_{file.stem}.png"
    write_plots(study, rows, picture)
    parts = [
        f"## {study.title}",
        _origin(file, study, whole, hardware),
        as_markdown(study, rows),
        f"![{study.title}: scores by what they cost]({IMAGES}/{picture.name})",
    ]
    text = page.read_text() if page.exists() else "# Studies\n"
    write_file(page, replace_section(text, study.title, "\n\n".join(parts)).encode())


def _origin(file: Path, study: StudyConfig, whole: StudyConfig, hardware: Sequence[str]) -> str:
    command = ["smolrgpt", "study", os.fspath(file)]
    missing = _left_out(study, whole)
    only = [f"--only={axis}={','.join(study.axes[axis])}" for axis in missing]
    text = f"`{shlex.join([*command, *only])}` on {', '.join(hardware)}."
    if missing:
        omitted = "; ".join(f"{axis} {', '.join(names)}" for axis, names in missing.items())
        text += (
            f" **This is a part of the study**: not done are {omitted}. "
            f"The whole: `{shlex.join(command)}`."
        )
    return text


def _left_out(study: StudyConfig, whole: StudyConfig) -> Mapping[str, list[str]]:
    left = {
        axis: [name for name in values if name not in study.axes[axis]]
        for axis, values in whole.axes.items()
    }
    return {axis: names for axis, names in left.items() if names}
