"""The one place that imports MuJoCo, and says what is missing when that fails."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

MISSING_MUJOCO = (
    "the simulated warehouse needs MuJoCo, which is not installed; "
    "install it with: pip install smolrgpt[sim]"
)
MISSING_OSMESA = (
    "MuJoCo cannot render without a display because the OSMesa library is missing; "
    "install it with: apt-get install libosmesa6 (or, with a GPU, set MUJOCO_GL=egl)"
)


def import_mujoco() -> ModuleType:
    """MuJoCo with an off-screen renderer: OSMesa unless MUJOCO_GL says otherwise.

    Raises:
        ImportError: MuJoCo or its renderer is not installed; the message says what to install.
    """
    if sys.platform == "linux":
        os.environ.setdefault("MUJOCO_GL", "osmesa")
    try:
        return importlib.import_module("mujoco")
    except ModuleNotFoundError as error:
        if error.name != "mujoco":
            raise
        raise ImportError(MISSING_MUJOCO) from error
    except (AttributeError, ImportError) as error:
        raise ImportError(f"{MISSING_OSMESA}; the cause was: {error!r}") from error
