"""The program of the query node computes NumPy's linear algebra with one thread."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "spatial_query_node"

THREADS = """
import numpy, threadpoolctl
found = [item for item in threadpoolctl.threadpool_info() if item["internal_api"] == "openblas"]
print(max(item["num_threads"] for item in found))
"""


@pytest.mark.parametrize(("given", "used"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")])
def test_before_numpy_is_imported(given: dict[str, str], used: str) -> None:
    # All that the script does before it starts the node.
    beginning = re.sub(r"\n    from .*\n\n    main\(\)\n", "\n", SCRIPT.read_text())
    assert "main()" not in beginning
    others = {name: value for name, value in os.environ.items() if "NUM_THREADS" not in name}
    done = subprocess.run(
        [sys.executable, "-c", beginning + THREADS],
        env=others | given, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == used
