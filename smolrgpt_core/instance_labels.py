"""Labels for the ids of an instance image, which itself carries numbers only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class InstanceLabels:
    """Which label an instance id has.

    Attributes:
        ranges: (first id, last id, label), ends included; the first range that fits counts.
    """

    ranges: tuple[tuple[int, int, str], ...] = ()

    def __getitem__(self, id: int) -> str:
        """Label of an id, empty if it has none."""
        return next((label for low, high, label in self.ranges if low <= id <= high), "")

    @classmethod
    def parse(cls, entries: Iterable[str]) -> InstanceLabels:
        """From entries such as "7:transporter" and "10-59:pallet"; empty ones are left out.

        Raises:
            ValueError: naming the entry that cannot be read.
        """
        return cls(tuple(_parse_range(entry) for entry in entries if entry))


def _parse_range(entry: str) -> tuple[int, int, str]:
    ids, _, label = entry.partition(":")
    low, _, high = ids.partition("-")
    try:
        first, last = int(low), int(high or low)
    except ValueError:
        first, last = 0, -1
    if not label.strip() or not 0 < first <= last:
        raise ValueError(
            f'labels of ids must read like "7:transporter" or "10-59:pallet", got {entry!r}'
        )
    return first, last, label.strip().lower()
