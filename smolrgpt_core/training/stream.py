"""The rows of a run in a fixed order, independent of the number of readers.

A run is a sequence of groups of `micro_rows` rows; group `i` comes from one data set, determined by
its number. All processes and workers traverse the whole sequence, but each decodes only its own
groups: the order does not depend on their number, and a position in the sequence is a few numbers.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from smolrgpt_core.data.readers import (
    Order,
    Position,
    SampleDataset,
    SampleIterator,
    open_dataset,
)
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.model.point_map.processing import PointMapProcessor
from smolrgpt_core.synthesis.mixtures import MIXTURES
from smolrgpt_core.training.config import DataConfig, SourceConfig, TrainConfig
from smolrgpt_core.training.distillation import teacher_answers
from smolrgpt_core.training.point_map_rows import PointMapRows
from smolrgpt_core.training.rows import Row, RowCutter, RowKind
from smolrgpt_core.training.smolrgpt_rows import SmolRGPTRows
from smolrgpt_core.training.start import Processor

logger = logging.getLogger(__name__)

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
    """The rows of one data set, epoch after epoch."""

    def __init__(
        self, dataset: SampleDataset, cutter: RowCutter, seed: int, state: State | None = None
    ) -> None:
        """Start, or resume at the state of another reader of the same data set."""
        self._dataset = dataset
        self._cutter = cutter
        self._seed = seed
        state = state or {"epoch": 0, "block": 0, "sample": 0, "given": 0, "rows": 0}
        self._epoch, self._rows_of_epoch = state["epoch"], state["rows"]
        self._returned = 0
        self._pending: deque[Row] = deque()
        self._here = Position(state["block"], state["sample"])
        self._samples = self._iterate(self._here)
        if state["given"]:
            self._read_sample()
            for _ in range(state["given"]):
                self._pending.popleft()
            self._returned = state["given"]
            self._rows_of_epoch = state["rows"]

    @property
    def state(self) -> State:
        """Position of the next row."""
        here = self._here if self._pending else self._samples.position
        return {
            "epoch": self._epoch,
            "block": here.block,
            "sample": here.sample,
            "given": self._returned if self._pending else 0,
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
            SpatialError: BAD_INPUT when too many consecutive samples are broken, or none is left.
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
        self._returned += 1
        self._rows_of_epoch += 1
        return self._pending.popleft()

    def _read_sample(self) -> None:
        self._here = self._samples.position
        self._returned = 0
        sample = next(self._samples)
        self._pending.extend(self._cutter.rows(sample, self._epoch))

    def _next_epoch(self) -> None:
        if not self._rows_of_epoch:
            raise bad_input(
                f"the data set {self._dataset.root} has no usable sample{self._cutter.wanted}"
            )
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
        """Record a broken sample.

        Raises:
            SpatialError: BAD_INPUT when there are only broken samples.
        """
        self.broken.append(reason)
        if len(self.broken) >= ENOUGH_SAMPLES:
            raise bad_input(
                f"{len(self.broken)} samples for one batch cannot be used; check the data set "
                f"with `smolrgpt data check`. The first: {self.broken[0]}"
            )


class BrokenSamples:
    """Counts broken samples over a run and stops it when there are too many."""

    def __init__(self, allowed_fraction: float, state: State | None = None) -> None:
        """Start, or resume at a state."""
        self._allowed_fraction = allowed_fraction
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
            logger.warning("skipped a broken sample: %s", reason)
        enough = self.samples >= ENOUGH_SAMPLES
        if facts.broken and enough and self.broken > self._allowed_fraction * self.samples:
            raise bad_input(
                f"{self.broken} of {self.samples} samples cannot be used, more than "
                f"data.broken_fraction = {self._allowed_fraction}; check the data set with "
                f"`smolrgpt data check`. The last: {facts.broken[-1]}"
            )


@dataclass(frozen=True)
class Draw:
    """What rows are drawn from: a source, or one family of tasks in it.

    Attributes:
        source: with the family as its category.
        place: of the source in the configuration.
        weight: relative to the other draws.
        is_left_out: whether its rows are replaced by rows of a source without a mixture.
        is_general: whether it may supply such replacements.
    """

    source: SourceConfig
    place: int
    weight: float
    is_left_out: bool = False
    is_general: bool = False


def draws_of(config: DataConfig) -> list[Draw]:
    """All draws of the mixture, with the weights of its families of tasks."""
    draws = []
    for place, source in enumerate(config.sources):
        if not source.mixture:
            draws.append(Draw(source, place, source.weight, is_general=True))
            continue
        families = MIXTURES[source.mixture].families
        whole = sum(family.weight for family in families.values())
        draws += [
            Draw(
                replace(source, categories=(name,), mixture=""),
                place,
                source.weight * family.weight / whole,
                is_left_out=family.level in config.levels_left_out,
            )
            for name, family in families.items()
        ]
    return draws


class RowGroups:
    """All rows of a run, in groups.

    Args:
        sources: of each draw; None for one that is skipped.
        draws: of the configuration.
        seed: of the run.
        micro_rows: rows of a group.
        mixes: whether each row of a group is drawn separately, instead of all together.
        number: of the group to start at; the sources must be at its position.
    """

    def __init__(
        self,
        sources: Sequence[SourceRows | None],
        draws: Sequence[Draw],
        seed: int,
        micro_rows: int,
        mixes: bool,
        number: int = 0,
    ) -> None:
        self._sources = list(sources)
        weights = np.array([draw.weight for draw in draws])
        self._probabilities = weights / weights.sum()
        self._left_out = [draw.is_left_out for draw in draws]
        general = weights * [draw.is_general for draw in draws]
        self._general = general / max(general.sum(), np.finfo(float).tiny)
        self._seed = seed
        self._micro_rows = micro_rows
        self._mixes = mixes
        self.number = number

    @property
    def state(self) -> State:
        """Position of the next group."""
        states = [source.state if source else None for source in self._sources]
        return {"group": self.number, "sources": states}

    def next_group(self, report: ReadReport) -> tuple[list[int], list[Row]]:
        """The next group: its rows, and the draw of each.

        Raises:
            SpatialError: as `SourceRows.next_row`.
        """
        places = self._drawn()
        self.number += 1
        return places, [self._source(place).next_row(report) for place in places]

    def reader_behind(self, place: int) -> SourceRows:
        """A separate reader of a draw's rows after those already returned."""
        return self._source(place).clone()

    def _drawn(self) -> list[int]:
        """Draws of the rows of a group."""
        generator = np.random.default_rng([self._seed, self.number])
        count = self._micro_rows if self._mixes else 1
        # All first: what is skipped must not change the others.
        places = generator.choice(len(self._probabilities), count, p=self._probabilities).tolist()
        for index, place in enumerate(places):
            if self._left_out[place]:
                places[index] = int(generator.choice(len(self._general), p=self._general))
        return places if self._mixes else places * self._micro_rows

    def _source(self, place: int) -> SourceRows:
        source = self._sources[place]
        assert source is not None
        return source


class TrainingStream(IterableDataset):
    """The endless sequence of batches of one process, from a given group on.

    An item is a batch for the model with two more entries: `answer_categories` int64 (N,), the
    place in `LOSS_CATEGORIES` of each answer token, and `facts`; of runs with further objectives
    also `extras`, see `training.prepared_rows`. If reading fails permanently, it is {"error":
    SpatialError}.

    Attributes:
        counts_from: number of the first group to return.
    """

    def __init__(
        self,
        config: TrainConfig,
        processor: Processor,
        rank: int = 0,
        world_size: int = 1,
        state: State | None = None,
        counts_from: int = 0,
        kind: RowKind | None = None,
    ) -> None:
        """Open the data sets.

        Args:
            config: of the run.
            processor: of the model.
            rank: of the process.
            world_size: number of processes; each gets every world_size-th group.
            state: of `GroupFacts`, at or before `counts_from`; None: the beginning.
            counts_from: number of the first group.
            kind: of the rows; by default that of the processor, without further objectives.

        Raises:
            SpatialError: BAD_INPUT when a data set, or the answers of a teacher, cannot be opened.
        """
        self._config = config
        self._kind = kind or row_kind(processor, config.data)
        self._answer = teacher_answers(config.distillation) if config.distillation else None
        self._draws = draws_of(config.data)
        self._rank, self._world_size = rank, world_size
        self._state = state
        self._datasets = [open_source(source, config.data) for source in config.data.sources]
        self.counts_from = counts_from

    def rows_of_epoch(self) -> int:
        """Rows of all sources together in the first epoch; reads every text once for each draw."""
        return sum(source.rows_of_epoch() for source in self._sources(None) if source)

    def loader(self) -> DataLoader:
        """Batches that are read ahead by `data.workers` processes."""
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
                places, rows = mixture.next_group(report)
                place, rank = divmod(number - self.counts_from, self._world_size)
                if place >= 0 and rank == self._rank and place % readers == reader:
                    yield self._batch(number, places, rows, mixture, report)
        except SpatialError as error:
            yield {"error": error}

    def _mixture(self, number: int) -> RowGroups:
        return RowGroups(
            self._sources((self._state or {}).get("sources")),
            self._draws,
            self._config.seed,
            self._config.optimizer.micro_rows,
            self._kind.mixes,
            number,
        )

    def _sources(self, states: Sequence[State] | None) -> list[SourceRows | None]:
        config = self._config
        return [
            SourceRows(
                self._datasets[draw.place],
                RowCutter(self._kind, config.data, draw.source, config.seed, self._answer),
                config.seed + draw.place,
                states[number] if states else None,
            )
            if not draw.is_left_out
            else None
            for number, draw in enumerate(self._draws)
        ]

    def _batch(
        self,
        number: int,
        places: Sequence[int],
        rows: list[Row],
        mixture: RowGroups,
        report: ReadReport,
    ) -> dict[str, Any]:
        used, batch = make_batch(self._kind, places, rows, report, mixture.reader_behind)
        batch["facts"] = GroupFacts(
            number=number,
            ids=tuple(item.id for row in used for item in row.conversations),
            rows=len(used),
            questions=sum(len(row.conversations) for row in used),
            tokens=self._kind.tokens(batch),
            samples=report.samples,
            broken=tuple(report.broken),
            state=mixture.state,
        )
        return batch


def row_kind(processor: Processor, config: DataConfig) -> RowKind:
    """How rows of the model of this processor are cut and computed.

    Raises:
        SpatialError: BAD_INPUT when the model has no such rows.
    """
    if isinstance(processor, PointMapProcessor):
        return PointMapRows(processor, config)
    return SmolRGPTRows(processor, config)


def open_source(source: SourceConfig, config: DataConfig) -> SampleDataset:
    """Open a data set of the mixture; questions are grouped by image where rows have several.

    Raises:
        SpatialError: BAD_INPUT when it cannot be opened.
    """
    return open_dataset(source, group_by_image=config.questions_per_row > 1)


def make_batch(
    kind: RowKind,
    places: Sequence[int],
    rows: Sequence[Row],
    report: ReadReport,
    reader_behind: Callable[[int], SourceRows],
) -> tuple[list[Row], dict[str, Any]]:
    """A batch of rows; a row that cannot be used is replaced by a later one of its draw.

    Args:
        kind: of the model.
        places: the draw of each row.
        rows: that may share a batch.
        report: records broken samples.
        reader_behind: creates a reader of the following rows of a draw.

    Returns:
        The rows that were used, and the arguments of the model's `forward` with
        `answer_categories` as in `TrainingStream`.

    Raises:
        SpatialError: BAD_INPUT when too many are broken.
    """
    try:
        return list(rows), kind.batch(rows)
    except SpatialError:
        # Only after a failure is it worth the time to try each row alone.
        used = _usable_rows(kind, places, rows, report, reader_behind)
        return used, kind.batch(used)


def _usable_rows(
    kind: RowKind,
    places: Sequence[int],
    rows: Sequence[Row],
    report: ReadReport,
    reader_behind: Callable[[int], SourceRows],
) -> list[Row]:
    used: list[Row] = []
    waiting = deque(zip(places, rows, strict=True))
    behind: dict[int, SourceRows] = {}
    while waiting:
        place, row = waiting.popleft()
        try:
            kind.batch([row])
        except SpatialError as error:
            report.add_broken(f"{row.sample.id}: {error}")
            if place not in behind:
                behind[place] = reader_behind(place)
            waiting.append((place, behind[place].next_row(report)))
        else:
            used.append(row)
    return used
