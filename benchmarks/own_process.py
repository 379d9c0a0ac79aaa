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
    """The result of a function, called in a new process that has loaded the same modules.

    The modules are loaded once for all such processes, in one that does nothing else and that they
    are forked from: PyTorch and transformers take seconds.

    Args:
        function: of a module, with a result that can be pickled.
        arguments: of the function.
        named: the same.
    """
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(function, *arguments, **named).result()
