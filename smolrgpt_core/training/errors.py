"""Error that distinguishes a run that ended early from one that cannot start."""

from __future__ import annotations

from smolrgpt_core.errors import SpatialError


class RunStoppedError(SpatialError):
    """The run ended before its last step; its checkpoints are kept."""
