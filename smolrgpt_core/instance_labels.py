"""Labels for the ids of an instance image, which itself contains only numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

BACKGROUND = "background"
"""Label of pixels that are not an object."""

_NO_OBJECT = frozenset({"background", "unlabelled", "unlabeled"})
"""Class names of simulators for pixels without an object."""

_TABLES = ("idToSemantics", "idToLabels")
"""Keys of a simulator's label tables; classes take precedence over object paths."""

_CLASS = "class"
"""Key of the class in a simulator's semantics (Omniverse Replicator)."""


@dataclass(frozen=True)
class InstanceLabels:
    """Labels by instance id.

    Attributes:
        ranges: (first id, last id, label), inclusive; the first matching range is used.
    """

    ranges: tuple[tuple[int, int, str], ...] = ()

    def __getitem__(self, id: int) -> str:
        """Label of an id, empty if it has none."""
        return next((label for low, high, label in self.ranges if low <= id <= high), "")

    @classmethod
    def parse(cls, entries: Iterable[str], lowest: int = 1) -> InstanceLabels:
        """From entries such as "7:transporter" and "10-59:pallet"; empty ones are ignored.

        Args:
            entries: ids, a colon and the label.
            lowest: smallest id that may have a label; 0 if the ids can be class indices.

        Raises:
            ValueError: an entry cannot be parsed; the message quotes it.
        """
        return cls(tuple(_parse_range(entry, lowest) for entry in entries if entry))

    @classmethod
    def from_json(cls, content: Any) -> InstanceLabels:
        """From the labels file next to an instance image, hand-written or from a simulator.

        Args:
            content: {"1-9": "buffer", "10": "pallet"}, or {"10": {"class": "pallet"}}, where
                "BACKGROUND" and "Unlabeled" are not objects; may be nested in "idToLabels".

        Raises:
            ValueError: an entry cannot be parsed; the message quotes it.
        """
        if not isinstance(content, Mapping):
            raise ValueError('expected labels by id, such as {"1-9": "buffer", "10": "pallet"}')
        table = next((content[name] for name in _TABLES if name in content), content)
        if not isinstance(table, Mapping):
            raise ValueError(f"expected labels by id in {' or '.join(_TABLES)}, got {table!r:.60}")
        ranges = []
        for ids, value in table.items():
            label = _label_of_json(ids, value)
            if label.lower() in _NO_OBJECT:
                first, last, _ = _parse_range(f"{ids}:{BACKGROUND}", lowest=0)
                ranges.append((first, last, BACKGROUND))
            else:
                ranges.append(_parse_range(f"{ids}:{label}", lowest=1))
        return cls(tuple(ranges))


def _label_of_json(ids: str, value: Any) -> str:
    label = value.get(_CLASS) if isinstance(value, Mapping) else value
    if isinstance(label, str) and label.strip():
        return label.strip()
    if isinstance(value, Mapping) and _CLASS not in value:
        raise ValueError(
            f'the label of {ids!r} must have a "class", such as {{"class": "pallet"}}, got {value}'
        )
    raise ValueError(
        f'the label of {ids!r} must be text, such as {{"10-59": "pallet"}} or {{"10": {{"class": '
        f'"pallet"}}}}, got {value!r}'
    )


def _parse_range(entry: str, lowest: int) -> tuple[int, int, str]:
    ids, _, label = entry.partition(":")
    low, _, high = ids.partition("-")
    try:
        first, last = int(low), int(high or low)
    except ValueError:
        first, last = 0, -1
    if not label.strip() or not lowest <= first <= last:
        raise ValueError(
            f'labels of ids must have the form "7:transporter" or "10-59:pallet", got {entry!r}'
        )
    return first, last, label.strip()
