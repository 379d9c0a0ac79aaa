"""The order in which samples are read, the split between readers, and the position to resume from.

The order is the same for the same seed, whatever the machine. Every reader of a run (process and
worker) gets its own part, no sample is in two parts, and a reader that knows its position goes on
where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from smolrgpt_core.data.samples import Sample
from smolrgpt_core.errors import SpatialError, bad_input


@dataclass(frozen=True)
class Order:
    """Order of an epoch.

    Attributes:
        seed: of the shuffling; None: as stored.
        epoch: each epoch has another order.
    """

    seed: int | None = None
    epoch: int = 0

    def __post_init__(self) -> None:
        if (self.seed is not None and self.seed < 0) or self.epoch < 0:
            raise bad_input(
                f"seed and epoch must not be negative, got {self.seed} and {self.epoch}"
            )

    def indices(self, count: int, salt: int = 0) -> list[int]:
        """The numbers 0 to count - 1 in this order; another salt gives another order."""
        if self.seed is None:
            return list(range(count))
        generator = np.random.default_rng([self.seed, self.epoch, salt])
        return [int(index) for index in generator.permutation(count)]


@dataclass(frozen=True)
class ReaderPart:
    """Which part of the samples one reader gets: every `world_size`-th, beginning with `rank`."""

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.rank < self.world_size:
            raise bad_input(
                f"rank must be 0 to world_size - 1, got rank {self.rank} of {self.world_size}"
            )

    def of_worker(self, worker: int, workers: int) -> ReaderPart:
        """The part of one of the workers of this process."""
        ReaderPart(worker, workers)
        return ReaderPart(self.rank * workers + worker, self.world_size * workers)


@dataclass(frozen=True)
class Position:
    """Position of a reader: samples handed out of its current block."""

    block: int = 0
    sample: int = 0


class SampleBlock(Protocol):
    """Samples that are opened together."""

    def __len__(self) -> int:
        """Number of samples, broken ones included."""
        ...

    def __getitem__(self, index: int) -> Sample:
        """One sample.

        Raises:
            SpatialError: BAD_INPUT that names file and record when it is broken.
        """
        ...


class SampleDataset(Protocol):
    """What every reader offers. A folder is one block, every shard is a block of its own."""

    root: Path | str

    def blocks(self, order: Order, part: ReaderPart) -> Sequence[Callable[[], SampleBlock]]:
        """The blocks of one reader in their order; calling one opens it.

        Raises:
            SpatialError: BAD_INPUT when the data set cannot be cut into so many parts.
        """
        ...


class SampleIterator(Iterator[Sample]):
    """Reads one part of a data set, once.

    A broken sample raises a `SpatialError` that names it; the next call goes on behind it.

    Attributes:
        position: where the next sample comes from; give it to a new iterator to go on there.
    """

    def __init__(
        self,
        dataset: SampleDataset,
        order: Order | None = None,
        part: ReaderPart | None = None,
        position: Position | None = None,
    ) -> None:
        self.position = position or Position()
        self._blocks = dataset.blocks(order or Order(), part or ReaderPart())
        self._open: SampleBlock | None = None

    def __next__(self) -> Sample:
        while self.position.block < len(self._blocks):
            block = self._opened()
            at = self.position
            if at.sample < len(block):
                self.position = Position(at.block, at.sample + 1)
                return block[at.sample]
            self.position, self._open = Position(at.block + 1), None
        raise StopIteration

    def _opened(self) -> SampleBlock:
        if self._open is None:
            at = self.position
            try:
                self._open = self._blocks[at.block]()
            except SpatialError:
                self.position = Position(at.block + 1)
                raise
        return self._open


class Subset:
    """Some samples of a block, in an order of their own."""

    def __init__(self, block: SampleBlock, indices: Sequence[int]) -> None:
        self._block = block
        self._indices = indices

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index: int) -> Sample:
        return self._block[self._indices[index]]


def part_of_block(block: SampleBlock, order: Order, part: ReaderPart) -> Callable[[], SampleBlock]:
    """The samples of one reader from a block that all readers share.

    Args:
        block: of samples.
        order: in which the block is read.
        part: which reader of how many.
    """
    indices = order.indices(len(block))[part.rank :: part.world_size]
    return lambda: Subset(block, indices)
