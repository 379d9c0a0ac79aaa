"""Runs the jobs of a study on this machine, each in a separate process.

So memory is measured per run, and a killed run does not affect the others.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing.connection import Connection

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import write_file
from smolrgpt_core.study.jobs import Job

LOG_FILE, FAILURE_FILE = "log.txt", "failure.txt"
"""In the folder of a job: what it printed, and where it failed."""

Outcome = tuple[Job, str]
"""A job that has ended, and why it failed; empty when it did not."""

_CONTEXT = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class InProcesses:
    """Runs jobs on this machine.

    Attributes:
        workers: number of simultaneous jobs.
    """

    workers: int = 1

    def __call__(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run jobs, in any order."""
        with ThreadPoolExecutor(self.workers) as threads:
            futures = {threads.submit(_in_own_process, job): job for job in jobs}
            try:
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                threads.shutdown(wait=False, cancel_futures=True)


def attempt(job: Job) -> str:
    """Run a job; returns why it failed, or an empty string."""
    try:
        job.do()
    except SpatialError as error:
        return str(error)
    # Whatever it is belongs to this run alone; the others of the study go on.
    except Exception as error:
        write_file(job.folder / FAILURE_FILE, traceback.format_exc().encode())
        return f"{type(error).__name__}: {error}; {job.folder / FAILURE_FILE} says where"
    return ""


def _in_own_process(job: Job) -> str:
    receiver, sender = _CONTEXT.Pipe(duplex=False)
    process = _CONTEXT.Process(target=_work, args=(job, sender))
    process.start()
    sender.close()
    try:
        problem: str = receiver.recv()
    except EOFError:
        process.join()
        problem = f"its process ended with the exit code {process.exitcode}"
    process.join()
    return problem


def _work(job: Job, sender: Connection) -> None:
    job.folder.mkdir(parents=True, exist_ok=True)
    with (job.folder / LOG_FILE).open("a") as log:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(log.fileno(), stream.fileno())
    threading.Thread(target=_end_with_the_study, daemon=True).start()
    sender.send(attempt(job))


def _end_with_the_study() -> None:
    """A run that goes on alone would be in the way of the study that is started again."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
