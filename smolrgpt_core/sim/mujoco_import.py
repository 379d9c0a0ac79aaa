"""Imports MuJoCo for all modules, and reports what is missing if it cannot render."""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.extras import install_command

MISSING_MUJOCO = (
    "the simulated warehouse needs MuJoCo, which is not installed; "
    f"install it with: {install_command('sim')}"
)
MISSING_RENDERER = (
    "MuJoCo cannot render without a display: the library for MUJOCO_GL={backend} is missing; "
    "install it with: apt-get install libosmesa6 (or, with a GPU, set MUJOCO_GL=egl); "
    "the cause was: {cause!r}"
)


def import_mujoco() -> ModuleType:
    """MuJoCo with an off-screen renderer: OSMesa unless MUJOCO_GL names another.

    Raises:
        ImportError: MuJoCo or its renderer is not installed; the message says what to install.
    """
    if sys.platform == "linux":
        os.environ.setdefault("MUJOCO_GL", "osmesa")
    _load_triton_before_mesa()
    try:
        return importlib.import_module("mujoco")
    except ModuleNotFoundError as error:
        if error.name != "mujoco":
            raise
        raise ImportError(MISSING_MUJOCO) from error
    except (AttributeError, ImportError) as error:
        raise _missing_renderer(error) from error


def _load_triton_before_mesa() -> None:
    """Let both libraries with an LLVM of their own live in one process.

    Mesa's is loaded for all to see, so that Triton, which comes with PyTorch for CUDA, would take
    that one in place of its own and crash the process, unless it was loaded first.
    """
    triton = importlib.util.find_spec("triton")
    for folder in (triton and triton.submodule_search_locations) or ():
        for library in Path(folder, "_C").glob("libtriton*.so"):
            ctypes.CDLL(str(library))


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
            f"MuJoCo cannot draw offscreen with MUJOCO_GL={os.environ.get('MUJOCO_GL')}: {error}; "
            "set MUJOCO_GL=osmesa (no GPU) or MUJOCO_GL=egl (GPU) before starting",
        ) from error


def _missing_renderer(cause: Exception) -> ImportError:
    backend = os.environ.get("MUJOCO_GL", "")
    return ImportError(MISSING_RENDERER.format(backend=backend, cause=cause))
