"""The one place that imports MuJoCo, and says what is missing when it cannot render."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

from smolrgpt_core.errors import SpatialError, Status

MISSING_MUJOCO = (
    "the simulated warehouse needs MuJoCo, which is not installed; "
    "install it with: pip install smolrgpt[sim]"
)
MISSING_RENDERER = (
    "MuJoCo cannot render without a display: the library for MUJOCO_GL={backend} is missing; "
    "install it with: apt-get install libosmesa6 (or, with a GPU, set MUJOCO_GL=egl); "
    "the cause was: {cause!r}"
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
        raise _missing_renderer(error) from error


def open_graphics(width: int, height: int) -> Any:
    """An off-screen graphics context.

    Raises:
        ImportError: the graphics library is missing; the message says what to install.
        SpatialError: MODEL_ERROR when the library is there but cannot draw off screen.
    """
    mujoco = import_mujoco()
    try:
        return mujoco.GLContext(width, height)
    except (AttributeError, ImportError) as error:
        raise _missing_renderer(error) from error
    except RuntimeError as error:
        raise SpatialError(
            Status.MODEL_ERROR,
            f"MuJoCo cannot draw off screen with MUJOCO_GL={os.environ.get('MUJOCO_GL')}: {error}; "
            "set MUJOCO_GL=osmesa (no GPU) or MUJOCO_GL=egl (GPU) before starting",
        ) from error


def _missing_renderer(cause: Exception) -> ImportError:
    backend = os.environ.get("MUJOCO_GL", "")
    return ImportError(MISSING_RENDERER.format(backend=backend, cause=cause))
