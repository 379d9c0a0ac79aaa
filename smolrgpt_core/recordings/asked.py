"""Questions as clients ask them, as lines of JSON: in files, and in recordings of the node."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import file_error, read_bytes
from smolrgpt_core.messages.stamps import NANOSECONDS
from smolrgpt_core.question import CATEGORIES, Category
from smolrgpt_core.regions import MAX_REGION_ID

FREE_FORM = "free_form"
"""Category of a question that says itself what it asks."""

FIELDS = ("question", "category", "region_ids", "stamp")


@dataclass(frozen=True)
class AskedQuestion:
    """A question before anything is known about the frame.

    Attributes:
        text: plain English, or with `<mask>`; may be empty when category and ids say it all.
        category: None = the text says it.
        region_ids: for the `<mask>` placeholders.
        stamp_ns: of the frame to ask about; 0 = the newest.
    """

    text: str
    category: Category | None = None
    region_ids: tuple[int, ...] = ()
    stamp_ns: int = 0

    def to_json(self) -> dict[str, Any]:
        """With the fields of `srv/SpatialQuery`, the category by its name."""
        return {
            "question": self.text,
            "category": self.category.name.lower() if self.category else FREE_FORM,
            "region_ids": list(self.region_ids),
            "stamp": stamp_to_json(self.stamp_ns),
        }

    @classmethod
    def from_json(cls, entry: Any) -> AskedQuestion:
        """Inverse of `to_json`; every field may be left out.

        Raises:
            SpatialError: BAD_INPUT that names the field which is unknown or of another kind.
        """
        if not isinstance(entry, Mapping):
            raise _bad(f"expected an object with some of {', '.join(FIELDS)}, got {entry!r:.60}")
        unknown = entry.keys() - set(FIELDS)
        if unknown:
            raise _bad(f"unknown field {min(unknown)!r}; known are {', '.join(FIELDS)}")
        return cls(
            text=_text(entry.get("question", "")),
            category=_category(entry.get("category", FREE_FORM)),
            region_ids=_region_ids(entry.get("region_ids", [])),
            stamp_ns=_stamp_ns(entry.get("stamp", {})),
        )


def read_questions(path: Path) -> list[tuple[int, AskedQuestion]]:
    """Questions of a file of JSON lines, each with the number of its line, from 1.

    Raises:
        SpatialError: BAD_INPUT that names the file, and the first line that cannot be read.
    """
    questions = []
    for number, line in enumerate(read_bytes(path).splitlines(), 1):
        if not line.strip():
            continue
        try:
            questions.append((number, AskedQuestion.from_json(json.loads(line))))
        except (ValueError, RecursionError, SpatialError) as error:
            raise file_error(path, f"line {number}: {error}") from error
    if not questions:
        raise file_error(
            path, 'expected a question in each line, such as {"question": "How many pallets?"}'
        )
    return questions


def stamp_to_json(stamp_ns: int) -> dict[str, int]:
    """As `builtin_interfaces/Time` is written in a service call."""
    seconds, nanoseconds = divmod(stamp_ns, NANOSECONDS)
    return {"sec": seconds, "nanosec": nanoseconds}


def _text(value: Any) -> str:
    # Longer texts are refused as a question, by the reader that the node uses as well.
    if not isinstance(value, str):
        raise _bad(f"question must be text, got {value!r:.60}")
    return value


def _category(value: Any) -> Category | None:
    if value is None or value == FREE_FORM:
        return None
    if not isinstance(value, str) or value not in CATEGORIES:
        names = ", ".join((*CATEGORIES, FREE_FORM))
        raise _bad(f"category must be one of {names}, got {value!r:.60}")
    return CATEGORIES[value]


def _region_ids(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(_is_whole(id, MAX_REGION_ID) for id in value):
        raise _bad(f"region_ids must be a list of ids such as [7, 2], got {value!r:.60}")
    return tuple(value)


def _stamp_ns(value: Any) -> int:
    known = {"sec": 2**31 - 1, "nanosec": NANOSECONDS - 1}
    if not isinstance(value, Mapping) or not all(
        name in known and _is_whole(part, known[name]) for name, part in value.items()
    ):
        raise _bad(f'stamp must read like {{"sec": 1700000000, "nanosec": 0}}, got {value!r:.60}')
    return int(value.get("sec", 0)) * NANOSECONDS + int(value.get("nanosec", 0))


def _is_whole(value: Any, highest: int) -> bool:
    return type(value) is int and 0 <= value <= highest


def _bad(message: str) -> SpatialError:
    return SpatialError(Status.BAD_INPUT, message)
