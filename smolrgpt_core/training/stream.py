"""The rows of a run in a fixed order, independent of the number of readers.

A run is a sequence of groups of `micro_rows` rows; group `i` comes from one data set, determined by
its number. All processes and workers traverse the whole sequence, but each decodes only its own
groups: the order does not depend on their number, and a position in the sequence is a few numbers.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from smolrgpt_core.data.readers import (
    DatasetConfig,
    Order,
    Position,
    SampleDataset,
    SampleIterator,
    open_dataset,
)
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.language import CATEGORIES
from smolrgpt_core.model.packing import pack_batch
from smolrgpt_core.model.processing_smolrgpt import IGNORED_LABEL, SmolRGPTProcessor
from smolrgpt_core.training.config import DataConfig, SourceConfig, TrainConfig
from smolrgpt_core.training.rows import Row, RowCutter

logger = logging.getLogger(__name__)

LOSS_CATEGORIES = (*CATEGORIES, "other")
"""Question categories for which losses are reported."""

ENOUGH_SAMPLES = 50
"""Minimum number of samples before the fraction of broken ones is checked."""

State = dict[str, Any]
"""Position of a reader, as JSON."""


@dataclass(frozen=True)
class GroupFacts:
    """Metadata of a batch.

    Attributes:
        number: of the group in the run.
        ids: of the conversations.
        rows, questions, tokens: their numbers, without padding.
        samples: number of samples read for it, including broken ones.
        broken: why samples could not be used.
        state: position of the next group.
    """

    number: int
    ids: tuple[str, ...]
    rows: int
    questions: int
    tokens: int
    samples: int
    broken: tuple[str, ...]
    state: State


class SourceRows:
    """Rows of one data set, epoch after epoch."""

    def __init__(
        self, dataset: SampleDataset, cutter: RowCutter, seed: int, state: State | None = None
    ) -> None:
        """Start, or resume at the state of another reader of the same data set."""
        self._dataset = dataset
        self._cutter = cutter
        self._seed = seed
        state = state or {"epoch": 0, "block": 0, "sample": 0, "given": 0, "rows": 0}
        self._epoch, self._rows_of_epoch = state["epoch"], state["rows"]
        self._given = 0
        self._pending: deque[Row] = deque()
        self._here = Position(state["block"], state["sample"])
        self._samples = self._iterate(self._here)
        if state["given"]:
            self._read_sample()
            for _ in range(state["given"]):
                self._pending.popleft()
            self._given = state["given"]
            self._rows_of_epoch = state["rows"]

    @property
    def state(self) -> State:
        """Position of the next row."""
        here = self._here if self._pending else self._samples.position
        return {
            "epoch": self._epoch,
            "block": here.block,
            "sample": here.sample,
            "given": self._given if self._pending else 0,
            "rows": self._rows_of_epoch,
        }

    def clone(self) -> SourceRows:
        """Another reader at the same position."""
        return SourceRows(self._dataset, self._cutter, self._seed, self.state)

    def rows_of_epoch(self) -> int:
        """Rows of the whole first epoch; reads every text once. Broken samples have none."""
        reader = SourceRows(self._dataset, self._cutter, self._seed)
        rows = 0
        while True:
            try:
                reader._read_sample()
            except SpatialError:
                continue
            except StopIteration:
                return rows
            rows += len(reader._pending)
            reader._pending.clear()

    def next_row(self, report: ReadReport) -> Row:
        """The next row; broken samples are reported and skipped.

        Raises:
            SpatialError: BAD_INPUT when too many samples in a row are broken, or none is left.
        """
        while not self._pending:
            try:
                self._read_sample()
            except StopIteration:
                self._next_epoch()
                continue
            except SpatialError as error:
                report.samples += 1
                report.add_broken(str(error))
                continue
            report.samples += 1
        self._given += 1
        self._rows_of_epoch += 1
        return self._pending.popleft()

    def _read_sample(self) -> None:
        self._here = self._samples.position
        self._given = 0
        sample = next(self._samples)
        self._pending.extend(self._cutter.rows(sample, self._epoch))

    def _next_epoch(self) -> None:
        if not self._rows_of_epoch:
            raise bad_input(f"the data set {self._dataset.name!r} has no sample that can be used")
        self._epoch += 1
        self._rows_of_epoch = 0
        self._samples = self._iterate(Position())

    def _iterate(self, position: Position) -> SampleIterator:
        order = Order(self._seed, self._epoch)
        return SampleIterator(self._dataset, order, position=position)


@dataclass
class ReadReport:
    """Report on reading rows.

    Attributes:
        samples: how many were read, broken ones included.
        broken: why samples could not be used.
    """

    samples: int = 0
    broken: list[str] = field(default_factory=list)

    def add_broken(self, reason: str) -> None:
        """Note a broken sample.

        Raises:
            SpatialError: BAD_INPUT when nothing but broken samples comes.
        """
        self.broken.append(reason)
        if len(self.broken) >= ENOUGH_SAMPLES:
            raise bad_input(
                f"{len(self.broken)} samples that were needed for one batch cannot be used; check "
                f"the data set with `smolrgpt data check`. The first: {self.broken[0]}"
            )


class BrokenSamples:
    """Counts broken samples over a run and stops it when there are too many."""

    def __init__(self, allowed_share: float, state: State | None = None) -> None:
        """Start, or resume at a state."""
        self._allowed_share = allowed_share
        self.samples: int = (state or {}).get("samples", 0)
        self.broken: int = (state or {}).get("broken", 0)

    @property
    def state(self) -> State:
        """Counts so far."""
        return {"samples": self.samples, "broken": self.broken}

    def add(self, facts: GroupFacts) -> None:
        """Count those of a batch and name them in the log.

        Raises:
            SpatialError: BAD_INPUT when their fraction exceeds the limit.
        """
        self.samples += facts.samples
        self.broken += len(facts.broken)
        for reason in facts.broken:
            logger.warning("left out a broken sample: %s", reason)
        enough = self.samples >= ENOUGH_SAMPLES
        if facts.broken and enough and self.broken > self._allowed_share * self.samples:
            raise bad_input(
                f"{self.broken} of {self.samples} samples cannot be used, more than "
                f"data.broken_share = {self._allowed_share}; check the data set with `smolrgpt "
                f"data check`. The last: {facts.broken[-1]}"
            )


class Mixture:
    """All rows of a run, in groups."""

    def __init__(
        self,
        sources: Sequence[SourceRows],
        weights: Sequence[float],
        seed: int,
        micro_rows: int,
        number: int = 0,
    ) -> None:
        """Start at a group; the sources must be at its position."""
        self._sources = list(sources)
        self._shares = np.array(weights) / np.sum(weights)
        self._seed = seed
        self._micro_rows = micro_rows
        self.number = number

    @property
    def state(self) -> State:
        """Position of the next group."""
        return {"group": self.number, "sources": [source.state for source in self._sources]}

    def next_group(self, report: ReadReport) -> tuple[int, list[Row]]:
        """The next group: its source and its rows.

        Raises:
            SpatialError: as `SourceRows.next_row`.
        """
        generator = np.random.default_rng([self._seed, self.number])
        source = int(generator.choice(len(self._shares), p=self._shares))
        self.number += 1
        return source, [self._sources[source].next_row(report) for _ in range(self._micro_rows)]

    def reader_behind(self, source: int) -> SourceRows:
        """A reader of its own for the rows of a source that come after those given."""
        return self._sources[source].clone()


class TrainingStream(IterableDataset):
    """The batches of one process, from a group on, without end.

    An item is a batch for the model with two more entries: `answer_categories` int64 (N,), the
    place in `LOSS_CATEGORIES` of each answer token, and `facts`. Where reading fails for good, it
    is {"error": SpatialError}.

    Attributes:
        counts_from: number of the first group to return.
    """

    def __init__(
        self,
        config: TrainConfig,
        processor: SmolRGPTProcessor,
        rank: int = 0,
        world_size: int = 1,
        state: State | None = None,
        counts_from: int = 0,
    ) -> None:
        """Open the data sets.

        Args:
            config: of the run.
            processor: of the model.
            rank: of the process.
            world_size: number of processes; each gets every world_size-th group.
            state: of `GroupFacts`, at or before `counts_from`; None: the beginning.
            counts_from: number of the first group.

        Raises:
            SpatialError: BAD_INPUT when a data set cannot be opened.
        """
        self._config = config
        self._processor = processor
        self._rank, self._world_size = rank, world_size
        self._state = state
        self._datasets = [open_source(source, config.data) for source in config.data.sources]
        self.counts_from = counts_from

    def rows_of_epoch(self) -> int:
        """Rows of all sources together in the first epoch; reads every text once."""
        return sum(source.rows_of_epoch() for source in self._sources(None))

    def loader(self) -> DataLoader:
        """Batches read ahead by `data.workers` processes."""
        workers = self._config.data.workers
        if workers:
            # Workers share the cores, and inherit this. Set in a worker, it would wait for ever for
            # threads that OpenCV had here, which a fork does not copy.
            cv2.setNumThreads(1)
        return DataLoader(
            self,
            batch_size=None,
            num_workers=workers,
            pin_memory=torch.cuda.is_available(),
            # A generator of its own, so that starting to read draws nothing from the global one.
            generator=torch.Generator().manual_seed(self._config.seed),
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Batches in order."""
        worker = get_worker_info()
        reader, readers = (worker.id, worker.num_workers) if worker else (0, 1)
        number = (self._state or {"group": 0})["group"]
        try:
            mixture = self._mixture(number)
            while True:
                report = ReadReport()
                number = mixture.number
                source, rows = mixture.next_group(report)
                place, rank = divmod(number - self.counts_from, self._world_size)
                if place >= 0 and rank == self._rank and place % readers == reader:
                    yield self._batch(number, source, rows, mixture, report)
        except SpatialError as error:
            yield {"error": error}

    def _mixture(self, number: int) -> Mixture:
        weights = [source.weight for source in self._config.data.sources]
        states = (self._state or {}).get("sources")
        return Mixture(
            self._sources(states),
            weights,
            self._config.seed,
            self._config.optimizer.micro_rows,
            number,
        )

    def _sources(self, states: Sequence[State] | None) -> list[SourceRows]:
        config = self._config
        return [
            SourceRows(
                dataset,
                RowCutter(self._processor, config.data, source, config.seed),
                config.seed + place,
                states[place] if states else None,
            )
            for place, (dataset, source) in enumerate(
                zip(self._datasets, config.data.sources, strict=True)
            )
        ]

    def _batch(
        self, number: int, source: int, rows: list[Row], mixture: Mixture, report: ReadReport
    ) -> dict[str, Any]:
        pictures = self._config.data.sources[source].pictures
        used, batch = make_batch(
            self._processor, rows, pictures, report, lambda: mixture.reader_behind(source)
        )
        batch["facts"] = GroupFacts(
            number=number,
            ids=tuple(item.id for row in used for item in row.conversations),
            rows=len(used),
            questions=sum(len(row.conversations) for row in used),
            tokens=int((batch["segment_ids"] >= 0).sum()),
            samples=report.samples,
            broken=tuple(report.broken),
            state=mixture.state,
        )
        return batch


def open_source(source: SourceConfig, config: DataConfig) -> SampleDataset:
    """Open a data set of the mixture; questions are grouped by image where rows have several.

    Raises:
        SpatialError: BAD_INPUT when it cannot be opened.
    """
    root: Path | str = source.root if "://" in source.root else Path(source.root)
    grouped = config.questions_per_row > 1
    return open_dataset(
        DatasetConfig(
            source.kind,
            root,
            split=source.split,
            depth_scale=source.depth_scale,
            group_by_image=grouped,
        )
    )


def make_batch(
    processor: SmolRGPTProcessor,
    rows: Sequence[Row],
    pictures: str,
    report: ReadReport,
    reader_behind: Callable[[], SourceRows],
) -> tuple[list[Row], dict[str, Any]]:
    """A batch of rows; a row that cannot be used is replaced by a later one.

    Args:
        processor: of the model.
        rows: of one source.
        pictures: as in `SourceConfig`.
        report: where broken samples are noted.
        reader_behind: creates a reader of the following rows.

    Returns:
        The rows that were used, and the arguments of the model's `forward` with
        `answer_categories` as in `TrainingStream`.

    Raises:
        SpatialError: BAD_INPUT when too many are broken.
    """
    try:
        return list(rows), _pack(processor, rows, pictures)
    except SpatialError:
        # Only after a failure is it worth the time to try each row alone.
        used = _usable_rows(processor, rows, pictures, report, reader_behind)
        return used, _pack(processor, used, pictures)


def _usable_rows(
    processor: SmolRGPTProcessor,
    rows: Sequence[Row],
    pictures: str,
    report: ReadReport,
    reader_behind: Callable[[], SourceRows],
) -> list[Row]:
    used: list[Row] = []
    waiting = deque(rows)
    behind: SourceRows | None = None
    while len(used) < len(rows):
        if not waiting:
            behind = behind or reader_behind()
            waiting.append(behind.next_row(report))
        row = waiting.popleft()
        try:
            pack_batch(processor, [row.pack(pictures)])
        except SpatialError as error:
            report.add_broken(f"{row.sample.id}: {error}")
        else:
            used.append(row)
    return used


def _pack(processor: SmolRGPTProcessor, rows: Sequence[Row], pictures: str) -> dict[str, Any]:
    batch = dict(pack_batch(processor, [row.pack(pictures) for row in rows]))
    return _with_categories(batch, rows)


def _with_categories(batch: dict[str, Any], rows: Sequence[Row]) -> dict[str, Any]:
    """The batch with the category of each answer token."""
    categories = torch.zeros_like(batch["segment_ids"])
    for place, row in enumerate(rows):
        of_segments = torch.tensor([0, *(_category(item.category) for item in row.conversations)])
        categories[place] = of_segments[batch["segment_ids"][place].clamp(min=0)]
    is_answer = batch["labels"][:, 1:] != IGNORED_LABEL
    return {**batch, "answer_categories": categories[:, 1:][is_answer]}


def _category(name: str) -> int:
    return LOSS_CATEGORIES.index(name if name in LOSS_CATEGORIES else "other")
