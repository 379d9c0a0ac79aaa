"""Runs a model in several processes, each of which answers part of the questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_context
from typing import Any

import torch

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.public_benchmarks.model_loading import AnyModel, load_benchmark_model
from smolrgpt_core.public_benchmarks.models import ModelOptions
from smolrgpt_core.public_benchmarks.predictions import Reply
from smolrgpt_core.public_benchmarks.replies import Item, reply_to


@dataclass(frozen=True, eq=False)
class Workers:
    """Several processes with the same model, for long runs.

    Attributes:
        name: of the model, see `load_benchmark_model`.
        options: how it is asked.
        number: of processes; the threads of PyTorch are divided among them.
    """

    name: str
    options: ModelOptions
    number: int

    @cached_property
    def described(self) -> Mapping[str, Any]:
        """See `BenchmarkModel`; obtained from a process that loads the model for that purpose.

        Raises:
            OSError, ValueError, ImportError, SpatialError: as of `load_benchmark_model`.
        """
        with self._pool(1) as pool:
            return pool.submit(_described, self.name, self.options).result()

    def replies(self, items: Sequence[Item]) -> Iterator[Reply]:
        """The outcomes of the questions, in order, whichever process finishes first.

        Raises:
            SpatialError: MODEL_ERROR when nothing can be asked any more, or a process died.
        """
        with self._pool(self.number, initializer=_load, initargs=self._model) as pool:
            try:
                yield from pool.map(_reply, items)
            except BrokenProcessPool as error:
                raise SpatialError(
                    Status.MODEL_ERROR,
                    f"one of {self.number} processes with {self.name!r} died, or could not load "
                    "it: is there memory for all of them? Try fewer workers",
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)

    @property
    def _model(self) -> tuple[str, ModelOptions, int]:
        return self.name, self.options, max(1, torch.get_num_threads() // self.number)

    def _pool(self, number: int, **initialization: Any) -> ProcessPoolExecutor:
        # A forked copy of a process that has used PyTorch's threads may hang.
        return ProcessPoolExecutor(number, get_context("spawn"), **initialization)


_model: AnyModel | None = None
"""The model of a worker process."""


def _load(name: str, options: ModelOptions, threads: int) -> None:
    global _model
    torch.set_num_threads(threads)
    _model = load_benchmark_model(name, options)


def _described(name: str, options: ModelOptions) -> Mapping[str, Any]:
    return dict(load_benchmark_model(name, options).described)


def _reply(item: Item) -> Reply:
    assert _model is not None
    return reply_to(_model, item)
