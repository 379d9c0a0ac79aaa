"""Runs a function in a process of its own, whose memory is that of the function alone."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def in_own_process(
    function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """The result of a function, called in a fork of this process.

    PyTorch and transformers take seconds to load; the fork has what this process has. To be called
    before PyTorch has computed anything here: a fork without its threads may hang, and cannot use a
    GPU that this process uses.

    Args:
        function: of a module, with a result that can be pickled.
        arguments: of the function.
        named: the same.
    """
    context = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(function, *arguments, **named).result()
