"""Statistics of the query node at one moment, as returned by the service `~/stats`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from smolrgpt_core.answerers.registry import WITH_CHECKPOINT
from smolrgpt_core.checkpoints import NANO
from smolrgpt_ros.inputs.sensor_inputs import InputStatistics
from smolrgpt_ros.parameters.query import QueryParameters
from smolrgpt_ros.query.statistics import StatisticsSnapshot


@dataclass(frozen=True)
class ServiceReport:
    """State of the query node at one moment.

    Attributes:
        state: of the lifecycle.
        uptime_s: since the node started.
        answerer: what it was configured with: answerer, and with a model checkpoint, device and
            dtype; empty while unconfigured.
        queue_length: questions that have a frame and wait for the answerer.
        pending: questions without a response, those that wait for a frame or are being answered
            too.
        max_pending: limit of it.
        memory_bytes: resident memory of the process; None if the system does not report it.
        threads: Python threads of the process.
        inputs: messages since activation; empty while not active.
        statistics: since the node started.
    """

    state: str
    uptime_s: float
    answerer: Mapping[str, str]
    queue_length: int
    pending: int
    max_pending: int
    memory_bytes: int | None
    threads: int
    inputs: Mapping[str, InputStatistics]
    statistics: StatisticsSnapshot

    def to_json(self) -> str:
        """The JSON object that docs/ros_interfaces.md describes."""
        statistics = self.statistics
        return json.dumps(
            {
                "state": self.state,
                "uptime_s": round(self.uptime_s, 3),
                "answerer": dict(self.answerer),
                "queue": {
                    "length": self.queue_length,
                    "pending": self.pending,
                    "max_pending": self.max_pending,
                },
                "answers": statistics.answers,
                "refusals": statistics.refusals,
                "calls": statistics.calls,
                "questions_per_call": statistics.mean_batch,
                "latency": {name: asdict(item) for name, item in statistics.latencies.items()},
                "memory_bytes": self.memory_bytes,
                "threads": self.threads,
                "inputs": {name: asdict(item) for name, item in self.inputs.items()},
            }
        )


def described_answerer(parameters: QueryParameters) -> dict[str, str]:
    """Description of an answerer that was built with these parameters."""
    if parameters.answerer not in WITH_CHECKPOINT:
        return {"answerer": parameters.answerer}
    # Needs PyTorch, which only answerers with a checkpoint have loaded.
    from smolrgpt_core.inference.config import EngineConfig

    adapter = parameters.model_settings().adapter
    return {
        "answerer": parameters.answerer,
        "checkpoint": parameters.checkpoint or str(NANO),
        **({"adapter": adapter} if adapter else {}),
        "device": str(EngineConfig(device=parameters.device).torch_device()),
        "dtype": parameters.dtype,
    }
