"""Pages of the documentation of which programs write single sections."""

from __future__ import annotations


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
