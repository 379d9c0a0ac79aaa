"""Asks a model the questions of records, in this process or in several, each with a part of them.

Every question gets an answer, or the reason why there is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cached_property
from multiprocessing import get_all_start_methods, get_context
from typing import Any

import torch

from smolrgpt_core.errors import SpatialError, Status, UnansweredError
from smolrgpt_core.public_benchmarks.model_loading import AnyModel, load_benchmark_model
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerSpec
from smolrgpt_core.public_benchmarks.models import BenchmarkModel, ModelOptions
from smolrgpt_core.public_benchmarks.predictions import Reply
from smolrgpt_core.public_benchmarks.questions import question_of
from smolrgpt_core.public_benchmarks.records import BenchmarkRecord

Item = tuple[BenchmarkRecord, AnswerSpec | None]
"""A record, and what its benchmark knows that it asks for."""


def reply_to(model: BenchmarkModel, item: Item) -> Reply:
    """Ask a record's question.

    Raises:
        SpatialError: MODEL_ERROR when nothing can be asked any more.
    """
    try:
        question = question_of(*item)
    except SpatialError as error:
        # A mask that does not decode: the question cannot be shown to any model.
        return Reply(None, f"{item[0].id} has no answer: {error.message}", error.status.name)
    try:
        found = model.answer(question)
        return Reply(found.text, confidence=found.confidence)
    except UnansweredError as error:
        return Reply(None, error.message, error.status.name)


def one_by_one(model: BenchmarkModel, items: Iterable[Item]) -> Iterator[Reply]:
    """Ask several questions in order; errors as of `reply_to`."""
    return (reply_to(model, item) for item in items)


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
        # A forked copy of a process that has used PyTorch's threads may hang; of one that has only
        # loaded it, it begins at once.
        method = "forkserver" if "forkserver" in get_all_start_methods() else "spawn"
        context = get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload([__name__])
        return ProcessPoolExecutor(number, context, **initialization)


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
