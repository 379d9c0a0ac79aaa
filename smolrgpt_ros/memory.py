"""Memory of this process: how much is resident, and giving back what is no longer used."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")


def resident_bytes() -> int | None:
    """Physical memory of this process, shared libraries included; None where /proc is missing."""
    if not _STATM.exists():
        return None
    resident_pages = int(_STATM.read_text().split()[1])
    return resident_pages * os.sysconf("SC_PAGE_SIZE")


def release_memory() -> None:
    """Return to the system what objects held that nobody refers to any more.

    Collects reference cycles; empties PyTorch's cache of GPU memory, which other processes cannot
    use meanwhile; and on Linux has the C library hand back the free pages between those in use,
    which it would keep for later. Libraries that were loaded stay loaded.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it, musl does not
        if trim is not None:
            trim(0)
