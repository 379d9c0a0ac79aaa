"""Starts Ray, for commands that spread their work over processes and machines."""

from __future__ import annotations

import logging
import os
from types import ModuleType

from smolrgpt_core.extras import require

LOCAL = "local"
"""In the place of an address: workers on this machine alone, which end with the run."""

STORE_BYTES = 256 * 2**20
"""Shared memory of workers on this machine."""


def start_ray(address: str, workers: int, need: str) -> ModuleType:
    """Connect to a cluster, or start one on this machine; the caller shuts it down.

    Args:
        address: of a cluster, or `LOCAL`.
        workers: CPUs of a cluster on this machine.
        need: what needs it, for the message.

    Returns:
        The module `ray`.

    Raises:
        ImportError: Ray is missing; the message says how to get it.
        ConnectionError: there is no cluster at this address.
    """
    ray = require("ray", "ray", f"{need} needs ray[data]")
    for name in ("ray", "ray.data"):
        logging.getLogger(name).setLevel(logging.ERROR)
    if address != LOCAL:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        return ray
    # Nothing is reported to anybody outside; the user's own setting goes before this one.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        num_cpus=workers,
        object_store_memory=STORE_BYTES,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    return ray
