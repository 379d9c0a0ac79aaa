"""Memory of this process: resident size, and releasing unused memory."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from pathlib import Path

_STATM = Path("/proc/self/statm")

_M_ARENA_MAX = -8
"""Of `mallopt` in glibc's malloc.h."""


def use_one_arena() -> None:
    """Make all threads of this process allocate from one arena, which `release_memory` can empty.

    To be called before anything starts threads, as NumPy does when it is imported. glibc gives
    threads arenas of their own, and keeps the free memory at the end of each: `malloc_trim` cuts
    off that of the first arena only. A model that one thread loads and another one uses would leave
    50 MB in each of them. The threads of a node rarely allocate at the same time.
    """
    libc = _linux_libc()
    if libc is not None and hasattr(libc, "mallopt"):  # musl has none, and no arenas
        libc.mallopt(_M_ARENA_MAX, 1)


def resident_bytes() -> int | None:
    """Resident memory of this process in bytes, including shared libraries; None without /proc."""
    if not _STATM.exists():
        return None
    resident_pages = int(_STATM.read_text().split()[1])
    return resident_pages * os.sysconf("SC_PAGE_SIZE")


def release_memory() -> None:
    """Return memory of unreferenced objects to the system.

    Collects reference cycles, also of what `settle` left out; empties PyTorch's cache of GPU
    memory, which other processes cannot use meanwhile; and on Linux has the C library hand back the
    free pages between those in use, which it would keep for later. Libraries that were loaded stay
    loaded.
    """
    gc.unfreeze()
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    libc = _linux_libc()
    if libc is not None and hasattr(libc, "malloc_trim"):  # musl has none
        libc.malloc_trim(0)


def _linux_libc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
