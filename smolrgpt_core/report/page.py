"""Rows as a page for the browser: one file with everything in it.

The templates in `templates/` escape all text that they insert.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from numpy.typing import NDArray

from smolrgpt_core.errors import Status
from smolrgpt_core.files import encode_image, write_file
from smolrgpt_core.language import Category
from smolrgpt_core.report.rows import (
    TOTAL,
    ReportRow,
    agreement_text,
    median_latency,
    milliseconds_text,
    percent_text,
)


@dataclass(frozen=True)
class TableCell:
    """A cell of a table on a page.

    Attributes:
        text: content.
        verdict: `correct`, `wrong` or `no-answer`, which color it; empty: neither.
    """

    text: str
    verdict: str = ""


@dataclass(frozen=True)
class PageTable:
    """A table on a page.

    Attributes:
        title: heading.
        about: a sentence below it; may be empty.
        head: names of the columns.
        rows: a cell for each column; none: the heading stands alone.
        notes: a line each below the table.
    """

    title: str
    about: str
    head: Sequence[str]
    rows: Sequence[Sequence[TableCell]]
    notes: Sequence[str] = ()


def write_html_report(
    rows: Sequence[ReportRow],
    path: Path,
    title: str,
    subtitle: str,
    overview: Mapping[str, NDArray[np.uint8]] | None = None,
    tiles: Mapping[str, str] | None = None,
    tables: Sequence[PageTable] = (),
    heading: str = "",
) -> None:
    """Write a self-contained HTML report.

    Args:
        rows: one card each.
        path: file to write.
        title: heading.
        subtitle: a sentence below it: what was asked, with which settings.
        overview: images above the cards by caption, uint8 (H, W, 3) RGB.
        tiles: numbers at the top by name; None: the number of correct rows.
        tables: above the cards.
        heading: of the cards; may be empty.
    """
    write_page(
        path,
        "report.html",
        title=title,
        subtitle=subtitle,
        tiles=_totals(rows) if tiles is None else tiles,
        overview=overview or {},
        tables=tables,
        heading=heading,
        rows=[{"row": row, "labels": _labels(row), "facts": _facts(row)} for row in rows],
    )


def write_page(path: Path, template: str, **values: Any) -> None:
    """Write a page.

    Args:
        path: file to write.
        template: file in `templates/`.
        values: what it shows; `image_data` makes an image part of the page.
    """
    write_file(path, _templates().get_template(template).render(**values).encode())


@cache
def _templates() -> Environment:
    templates = Environment(
        loader=PackageLoader("smolrgpt_core.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    templates.filters["image_data"] = _image_data
    return templates


def _image_data(image: NDArray[np.uint8]) -> str:
    """An address that holds the image itself."""
    data = base64.b64encode(encode_image(image, ".jpg")).decode("ascii")
    return f"data:image/jpeg;base64,{data}"


def _totals(rows: Sequence[ReportRow]) -> dict[str, str]:
    """Numbers for the tiles of the page, by name."""
    totals = {"answers correct": _correct_of(rows)}
    for category in Category:
        of_category = [row for row in rows if row.category is category]
        if of_category:
            totals[_category_name(category)] = _correct_of(of_category)
    latency = median_latency(rows, TOTAL)
    if latency is not None:
        totals["median latency"] = f"{milliseconds_text(latency)} ms"
    return totals


def _correct_of(rows: Sequence[ReportRow]) -> str:
    return f"{sum(row.within_tolerance for row in rows)} / {len(rows)}"


def _category_name(category: Category | str) -> str:
    if isinstance(category, str):
        return category
    names = {Category.LEFT_RIGHT: "left or right", Category.MCQ: "which one"}
    return names.get(category, category.name.lower())


def _labels(row: ReportRow) -> list[str]:
    status = [] if row.status is Status.OK else [row.status.name]
    return [_category_name(row.category), *status]


def _facts(row: ReportRow) -> dict[str, str]:
    """What a card shows of a row, by name; nothing empty."""
    times = [f"{stage} {milliseconds_text(seconds)} ms" for stage, seconds in row.latency.items()]
    facts = {
        "Answer": row.answer_text,
        "Truth": row.truth_text,
        "Error": row.error_text,
        "Model and geometry agree": agreement_text(row.agreement),
        "Model, geometry": row.both_values,
        "Confidence": percent_text(row.confidence),
        "Note": row.note,
        "Latency": " · ".join(times),
    }
    return {name: text for name, text in facts.items() if text}
