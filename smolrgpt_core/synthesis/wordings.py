"""The wordings of question forms from `wordings.txt`."""

from __future__ import annotations

from pathlib import Path

_FILE = Path(__file__).with_name("wordings.txt")


def _read(text: str) -> dict[str, tuple[str, ...]]:
    """Wordings by the name of the form.

    Raises:
        ValueError: a wording stands above the first heading, or a form has two headings.
    """
    found: dict[str, list[str]] = {}
    names: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.startswith("#"):
            continue
        if line.startswith("["):
            names = line.strip("[]").split()
            if twice := set(names) & set(found):
                raise ValueError(f"{_FILE.name}: {sorted(twice)} have two headings")
            found.update({name: [] for name in names})
            continue
        if not names:
            raise ValueError(f"{_FILE.name}: {line!r} does not belong to a form")
        for name in names:
            found[name].append(line)
    return {name: tuple(wordings) for name, wordings in found.items()}


WORDINGS: dict[str, tuple[str, ...]] = _read(_FILE.read_text(encoding="utf-8"))
"""Templates by the name of their form."""
