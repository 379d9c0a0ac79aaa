"""What tells a run that has begun and ended early from one that cannot begin."""

from __future__ import annotations

from smolrgpt_core.errors import SpatialError


class RunStoppedError(SpatialError):
    """The run ended before its last step; its checkpoints stay."""
