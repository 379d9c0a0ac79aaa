"""Threads of NumPy's linear algebra in a node."""

from __future__ import annotations

import os


def use_one_blas_thread() -> None:
    """Have OpenBLAS compute with one thread, unless the environment sets another number.

    To be called before NumPy is imported, by a program and not by a library. The matrices of
    geometry are small: a second thread does little but wait for them, and takes a core to do so.
    """
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
