"""The look of all tables that are printed on a terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table


def headed_table(title: str | None = None) -> Table:
    """An empty table whose columns have names."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", title=title)


def plain_table() -> Table:
    """An empty table whose columns have no names."""
    return Table(box=box.SIMPLE_HEAD, pad_edge=False, show_header=False)


def counts_table() -> Table:
    """An empty table with three columns: what is counted, its number, and details."""
    table = plain_table()
    table.add_column(no_wrap=True)
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    return table
