"""The error of a run that ended early, as opposed to one that cannot start."""

from __future__ import annotations

from smolrgpt_core.errors import SpatialError


class RunStoppedError(SpatialError):
    """The run ended before its last step; its checkpoints remain."""
