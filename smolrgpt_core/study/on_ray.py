"""Runs the jobs of a study as Ray tasks, on machines of a cluster that share its folders."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from smolrgpt_core.ray_workers import start_ray
from smolrgpt_core.study.jobs import Job
from smolrgpt_core.study.processes import Outcome, attempt


@dataclass(frozen=True)
class JobsOnRay:
    """Runs jobs with Ray.

    Attributes:
        address: of a cluster, or `ray_workers.LOCAL`.
        workers: CPUs of a cluster on this machine; one for each run.
        gpus: number that each run needs; with 0, Ray hides all GPUs from it.
    """

    address: str
    workers: int
    gpus: float = 0.0

    def __call__(self, jobs: Sequence[Job]) -> Iterator[Outcome]:
        """Run jobs in any order; a job whose machine is lost is repeated.

        Raises:
            ImportError: Ray is missing; the message says how to get it.
            ConnectionError: there is no cluster at this address.
        """
        ray = start_ray(self.address, self.workers, "a study with workers")
        try:
            # A process for each run: memory is that of one run.
            task = ray.remote(num_cpus=1, num_gpus=self.gpus, max_calls=1)(attempt)
            waiting = {task.remote(job): job for job in jobs}
            while waiting:
                (done, *_), _ = ray.wait(list(waiting))
                yield waiting.pop(done), _outcome(ray, done)
        finally:
            ray.shutdown()


def _outcome(ray: ModuleType, task: Any) -> str:
    try:
        problem: str = ray.get(task)
    except ray.exceptions.RayError as error:
        return f"a worker of Ray failed: {error}"
    return problem
