"""`smolrgpt data`: checks, shows and summarizes a data set in the warehouse layout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from smolrgpt_core.cli.exits import WRONG_CALL, exit_on
from smolrgpt_core.cli.options import parsed, writing
from smolrgpt_core.cli.progress import progress_by_name
from smolrgpt_core.data.warehouse_format import SPLITS
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import check_image_suffix, write_file
from smolrgpt_core.quality.problems import DEFAULT_EXAMPLES, CheckReport
from smolrgpt_core.text_tables import headed_table

if TYPE_CHECKING:
    from smolrgpt_core.quality.statistics import SplitStatistics

app = typer.Typer(help="Check, show and summarize a data set.", no_args_is_help=True)

PROBLEMS = 1
"""Exit status of `check` when there are problems."""

Root = Annotated[
    Path,
    typer.Argument(
        help="Folder of a data set with train.json, val.json or test.json.",
        exists=True,
        file_okay=False,
        metavar="DIR",
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="File for the result as JSON.", dir_okay=False)
]
Workers = Annotated[int, typer.Option(help="Number of processes.", min=1, max=256)]
Examples = Annotated[int, typer.Option(help="Examples shown per kind of problem.", min=1)]
Sheet = Annotated[
    Path, typer.Option("--out", help="Contact sheet, such as sheet.png.", dir_okay=False)
]
SplitName = Annotated[str, typer.Option(help=f"{', '.join(SPLITS)}; by default the first.")]
TileCount = Annotated[int, typer.Option("--count", help="Number of questions.", min=1, max=200)]
Columns = Annotated[int, typer.Option(help="Questions side by side.", min=1, max=8)]
Seed = Annotated[int, typer.Option(help="Seed of the selection of questions.", min=0)]


@app.command()
def check(
    root: Root,
    workers: Workers = 1,
    examples: Examples = DEFAULT_EXAMPLES,
    json_file: JsonFile = None,
) -> None:
    """Find broken or inconsistent files, masks, questions and answers.

    The exit status is 0 without problems, 1 with problems, 2 for an invalid command line.
    """
    from smolrgpt_core.quality.check import check_dataset

    with exit_on(WRONG_CALL, SpatialError), progress_by_name() as progress:
        report = check_dataset(root, workers, examples, progress)
    if json_file is not None:
        _write_json(json_file, report.to_json())
    _print_report(report)
    raise typer.Exit(0 if report.clean else PROBLEMS)


@app.command()
def show(
    root: Root,
    out: Sheet,
    split: SplitName = "",
    count: TileCount = 12,
    columns: Columns = 2,
    seed: Seed = 0,
) -> None:
    """Draw random questions on a contact sheet, with masks, depth and answers.

    An HTML page with the same questions is written next to it. The exit status is 0, or 2 for an
    invalid command line.
    """
    from smolrgpt_core.quality.contact_sheet import choose_tiles, write_contact_sheet, write_index

    parsed("--out", check_image_suffix, out.suffix)
    parsed("--split", _check_split, split)
    with exit_on(WRONG_CALL, SpatialError):
        tiles = choose_tiles(root, split, count, seed)
    index = out.with_suffix(".html")
    with writing("--out"):
        write_contact_sheet(tiles, out, min(columns, len(tiles)))
        write_index(tiles, index, root)
    typer.echo(f"{len(tiles)} questions: {out}, {index}")


@app.command()
def stats(root: Root, json_file: JsonFile = None) -> None:
    """Count questions, answers, regions and words by split and category.

    The exit status is 0, or 2 for an invalid command line.
    """
    from smolrgpt_core.quality.statistics import dataset_statistics

    with exit_on(WRONG_CALL, SpatialError):
        statistics = dataset_statistics(root)
    if json_file is not None:
        found = {split: counted.to_json() for split, counted in statistics.items()}
        _write_json(json_file, found)
    console = Console()
    console.print(_split_table(statistics))
    console.print(_answer_table(statistics))
    for split, counted in statistics.items():
        if counted.broken or counted.damage:
            message = f"{split}: {counted.broken} broken records. {counted.damage}"
            console.print(Text(message.strip(), "bold red"))


def _write_json(path: Path, content: object) -> None:
    with writing("--json"):
        write_file(path, json.dumps(content, indent=2).encode())


def _check_split(name: str) -> None:
    if name and name not in SPLITS:
        raise ValueError(f"expected one of {', '.join(SPLITS)}, got {name!r}")


_NO_UNIT_NOTE = (
    "the depth of {} images is an 8 bit visualization without a unit: neither geometry nor a "
    "metric model can answer from it"
)


def _print_report(report: CheckReport) -> None:
    console = Console()
    checked = ", ".join(
        f"{split} {report.questions[split]} questions about {report.images[split]} images"
        for split in report.images
    )
    console.print(Text(f"Checked: {checked or 'nothing'}"))
    for split, images in report.depth_without_unit.items():
        if images:
            console.print(Text(f"{split}: {_NO_UNIT_NOTE.format(images)}", "yellow"))
    if report.clean:
        console.print(Text("✓ no problems", "green"))
        return
    table = headed_table()
    table.add_column("Problem", overflow="fold")
    table.add_column("Count", justify="right")
    for kind, number in report.counts.most_common():
        table.add_row(Text(kind.title), str(number))
    console.print(table)
    for kind, _ in report.counts.most_common():
        console.print(Text(kind.title, "bold red"))
        for problem in report.examples[kind]:
            console.print(Text(f"  {problem.place}\n    {problem.message}"), soft_wrap=True)


def _split_table(statistics: dict[str, SplitStatistics]) -> Table:
    """Questions by category and split, and their properties."""
    from smolrgpt_core.quality.statistics import mean_of

    table = headed_table("Questions")
    table.add_column("")
    for split in statistics:
        table.add_column(split, justify="right")
    every = statistics.values()
    for category in sorted({name for counted in every for name in counted.questions}):
        table.add_row(
            category or "no category", *(str(counted.questions[category]) for counted in every)
        )
    table.add_section()
    rows: dict[str, list[object]] = {
        "questions": [sum(counted.questions.values()) for counted in every],
        "images": [len(counted.images) for counted in every],
        "regions per question": [f"{mean_of(counted.regions):.1f}" for counted in every],
        "most regions": [max(counted.regions, default=0) for counted in every],
        "words per question": [f"{mean_of(counted.question_lengths):.1f}" for counted in every],
        "different words": [len(counted.words) for counted in every],
        "different wordings": [len(counted.wordings) for counted in every],
    }
    for name, values in rows.items():
        table.add_row(name, *map(str, values))
    return table


def _answer_table(statistics: dict[str, SplitStatistics]) -> Table:
    """How often each answer occurs, by category and split."""
    from smolrgpt_core.quality.statistics import in_order

    table = headed_table("Answers")
    table.add_column("")
    table.add_column("")
    for split in statistics:
        table.add_column(split, justify="right")
    every = list(statistics.values())
    for category in sorted({name for counted in every for name in counted.answers}):
        table.add_section()
        by_split: list[Mapping[str, int]] = [counted.answers.get(category, {}) for counted in every]
        totals = {answer: 0 for answers in by_split for answer in answers}
        for number, (answer, _) in enumerate(in_order(totals)):
            cells = (_frequency(answers.get(answer, 0), answers) for answers in by_split)
            table.add_row(category if number == 0 else "", answer, *cells)
    return table


def _frequency(count: int, answers: Mapping[str, int]) -> str:
    total = sum(answers.values())
    return f"{count} ({count / total:.0%})" if count else "-"
