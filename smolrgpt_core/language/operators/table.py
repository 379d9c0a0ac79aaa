"""The table of operators in docs/questions.md, written from the registry.

`python -m smolrgpt_core.language.operators.table docs/questions.md` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from smolrgpt_core.files import write_file
from smolrgpt_core.language.operators import OPERATORS
from smolrgpt_core.language.program import Operator, Parameter
from smolrgpt_core.language.types import Type

START, END = "<!-- operators -->", "<!-- end of operators -->"
"""What is between them on a page is written by `with_table`."""

_HEADER = ("Operator", "Takes", "Returns", "Unit", "Definition")


def operator_table() -> str:
    """Every operator as a row of Markdown, by what it returns and then by name."""
    order = list(Type)
    operators = sorted(OPERATORS.values(), key=lambda item: (order.index(item.returns), item.name))
    rows = [_HEADER, ("---",) * len(_HEADER), *map(_row, operators)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def with_table(page: str) -> str:
    """A page with the table of today between its markers.

    Args:
        page: Markdown that has each marker once, on a line of its own.

    Raises:
        ValueError: when it does not.
    """
    if page.count(START) != 1 or page.count(END) != 1 or page.index(START) > page.index(END):
        raise ValueError(f"expected one {START} and behind it one {END} on the page")
    before, after = page.split(START)[0], page.split(END)[1]
    return f"{before}{START}\n{operator_table()}\n{END}{after}"


def _row(item: Operator) -> tuple[str, ...]:
    takes = ", ".join(map(_parameter, item.parameters)) or "nothing"
    unit = item.unit if isinstance(item.unit, str) else "of its argument"
    return f"`{item.name}`", takes, item.returns.value, unit, item.about


def _parameter(parameter: Parameter) -> str:
    words = f" ({' / '.join(parameter.words)})" if parameter.words else ""
    return parameter.name + words


if __name__ == "__main__":
    target = Path(sys.argv[1])
    write_file(target, with_table(target.read_text()).encode())
