"""Runs a function in a process of its own, whose memory is that of the function alone."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import ParamSpec, TypeVar

LIBRARIES = ["smolrgpt_core.inference.torch_steps"]
"""Modules that load PyTorch, transformers and the model."""

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def in_own_process(
    function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """The result of a function, called in a new process.

    `LIBRARIES` take seconds to load, and are loaded once for all such processes: in one that does
    nothing else, and that they are forked from.

    Args:
        function: of a module, with a result that can be pickled.
        arguments: of the function.
        named: the same.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(LIBRARIES)
    with ProcessPoolExecutor(1, context) as pool:
        return pool.submit(function, *arguments, **named).result()
