"""Tables in Markdown, and pages of the documentation of which programs write single sections."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table, without a newline at its end.

    Args:
        columns: their titles.
        rows: a text for each column.
    """
    lines = [columns, ("---",) * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def replace_section(page: str, title: str, section: str) -> str:
    """The page with one section replaced, or added at its end; the others as they were.

    Args:
        page: Markdown.
        title: of the section, a heading of the second level.
        section: with its heading.
    """
    head, *sections = page.split("\n## ")
    found = {text.partition("\n")[0]: f"## {text.strip()}" for text in sections}
    found[title] = section
    return "\n\n".join([head.strip(), *found.values()]) + "\n"
