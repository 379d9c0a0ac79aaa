"""Which back end works on a device."""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec

import torch


def uses_triton(device: torch.device) -> bool:
    """Whether tensors of this device go through the Triton kernels.

    That is CUDA wherever Triton is installed; without it, PyTorch's operators do the work. With
    TRITON_INTERPRET=1 in the environment, Triton's interpreter runs the same kernels on the CPU:
    far slower, for tests.
    """
    if device.type == "cpu":
        return os.environ.get("TRITON_INTERPRET") == "1" and _has_triton()
    return device.type == "cuda" and _has_triton()


@lru_cache(maxsize=1)
def _has_triton() -> bool:
    return find_spec("triton") is not None
