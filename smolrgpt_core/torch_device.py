"""Where PyTorch computes, from the name of a device."""

from __future__ import annotations

import torch


def torch_device(name: str) -> torch.device:
    """The device of a name: "auto" (CUDA where there is one, else the CPU), or PyTorch's own name.

    Raises:
        ValueError: when there is no such device.
    """
    asked = name
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ValueError(
            f"device must be auto or one that this PyTorch can use, got {asked!r}: "
            f"{str(error).splitlines()[0]}"
        ) from error
    return device


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has instructions for bfloat16; without, it is far slower than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def finish(device: torch.device) -> None:
    """Wait until a device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
