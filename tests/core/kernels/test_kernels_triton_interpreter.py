"""The Triton kernels on the CPU, under Triton's interpreter.

Triton chooses between compiler and interpreter when it is imported, so this takes a process of its
own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_triton_kernels_under_the_interpreter() -> None:
    tests = Path(__file__).with_name("test_kernels_triton.py")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=380, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "passed" in result.stdout
    assert "skipped" not in result.stdout
