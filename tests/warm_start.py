"""Runs a program in a forked process as in a new one, for `fork_python` in conftest.py."""

from __future__ import annotations

import gc
import multiprocessing
import os
import runpy
import sys
from pathlib import Path


def run(
    program: str, words: list[str], output: str, folder: str, environment: dict[str, str]
) -> None:
    """Run a file, or a module by its name.

    Args:
        program: the file, or the name of the module.
        words: what follows it on the command line.
        output: file that gets what is printed to stdout and stderr.
        folder: working directory.
        environment: all variables. What they say of PyTorch's threads comes too late.
    """
    # Of what was loaded before nothing becomes garbage.
    gc.freeze()
    to_file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(to_file, 1)
    os.dup2(to_file, 2)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    # By these NiceGUI takes a process for a test of its own, or for a worker.
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    multiprocessing.current_process().name = "MainProcess"
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(os.pathsep))
    sys.argv = [program, *words]
    if Path(program).is_file():
        sys.path.insert(0, str(Path(program).parent))
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "warm_start":
    run(*globals()["START"])
