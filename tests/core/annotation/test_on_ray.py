"""Workers of Ray make the same data set, even if one of them is killed."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from smolrgpt_core.annotation.on_ray import IMAGES_AT_ONCE, AnnotationOnRay
from smolrgpt_core.annotation.run import AnnotationRun, in_this_process
from smolrgpt_core.ray_workers import LOCAL

pytest.importorskip("ray.data")


def processes_of_ray() -> list[psutil.Process]:
    """Descendants of this process that belong to Ray."""
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:  # it has just ended
            continue
        if "ray::" in command or "raylet" in command or "gcs_server" in command:
            found.append(process)
    return found


def test_workers_give_the_same_bytes_and_a_killed_one_costs_nothing(
    photographs, tmp_path, tree, make_data_set
):
    make_data_set(photographs.settings, tmp_path / "one", in_this_process)
    run = AnnotationRun(photographs.settings, tmp_path / "ray")
    killed: list[int] = []
    with run.locked():
        assert len(run.missing()) > 3 * IMAGES_AT_ONCE
        for _ in run.annotate(AnnotationOnRay(LOCAL, 2)):
            if not killed:
                workers = [item for item in processes_of_ray() if "MapWorker" in item.cmdline()[0]]
                killed = [workers[0].pid]
                os.kill(workers[0].pid, signal.SIGKILL)
        run.finish()
    assert killed
    assert tree(tmp_path / "ray") == tree(tmp_path / "one")
    assert psutil.wait_procs(processes_of_ray(), timeout=60)[1] == []
