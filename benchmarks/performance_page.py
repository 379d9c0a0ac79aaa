"""What the benchmarks share: fair timing, tables, and their sections of docs/performance.md.

Every script measures its baseline in the same run, states machine, versions and command, and
replaces its own section of the page and nothing else, so that no number is written by hand.
"""

from __future__ import annotations

import os
import platform
import shlex
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table as RichTable

from smolrgpt_core.files import write_file
from smolrgpt_core.markdown import markdown_table, replace_section

if TYPE_CHECKING:
    import torch

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"

HEADER = """# Performance

Written by the scripts under `benchmarks/` with `--write-docs`; each names its machine. Ratios are
against the baseline of the same row, measured in the same run, alternating with it.
"""


@dataclass(frozen=True)
class Table:
    """Numbers as text, one column each for what was measured.

    Attributes:
        title: what the rows have in common.
        columns: headings.
        rows: as many cells as headings.
        note: what a reader must know to read it, in a sentence or two.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def show(self) -> None:
        """Print it."""
        table = RichTable(title=self.title, caption=self.note or None)
        for column in self.columns:
            table.add_column(column)
        for row in self.rows:
            table.add_row(*row)
        Console().print(table)

    def as_markdown(self) -> str:
        """The same for the page."""
        lines = [f"### {self.title}", "", markdown_table(self.columns, self.rows)]
        return "\n".join([*lines, "", self.note] if self.note else lines)


def median_ms(
    cases: Mapping[str, Callable[[], object]], repeats: int, device: torch.device
) -> dict[str, float]:
    """Median time of each case in milliseconds.

    Cases alternate, so that whatever else the machine does meets all of them alike; the first
    round warms up and does not count.
    """
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repeats + 1):
        for name, case in cases.items():
            _synchronize(device)
            started = time.perf_counter()
            case()
            _synchronize(device)
            times[name].append((time.perf_counter() - started) * 1e3)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def describe_machine(devices: Iterable[torch.device] = ()) -> str:
    """Processor, cores, GPU, and the versions that matter.

    PyTorch's threads are those of this process; a script that does not load it has none.
    """
    parts = [f"{_processor()}, {len(os.sched_getaffinity(0))} cores"]
    if "torch" in sys.modules:
        parts.append(f"{sys.modules['torch'].get_num_threads()} PyTorch threads")
    if any(device.type == "cuda" for device in devices):
        parts.append(sys.modules["torch"].cuda.get_device_name())
    parts.append(f"Python {platform.python_version()}")
    parts.append(f"torch {version('torch')}, numpy {version('numpy')}")
    return "; ".join(parts)


def section_title(title: str, devices: Iterable[torch.device]) -> str:
    """Sections of a GPU stand beside those of the processor."""
    return f"{title}, on a GPU" if any(device.type == "cuda" for device in devices) else title


def publish(title: str, machine: str, tables: list[Table], write_docs: bool) -> None:
    """Print the tables and, if asked, replace this script's section of the page.

    Args:
        title: of the section.
        machine: from `describe_machine`.
        tables: what was measured.
        write_docs: whether to write docs/performance.md.
    """
    Console().print(machine, highlight=False)
    for table in tables:
        table.show()
    if write_docs:
        command = shlex.join(["python", f"benchmarks/{Path(sys.argv[0]).name}", *sys.argv[1:]])
        lines = [f"## {title}", f"`{command}` on {machine}."]
        section = "\n\n".join([*lines, *(table.as_markdown() for table in tables)])
        write_file(PAGE, replace_section(_read_page(), title, section).encode())


def _read_page() -> str:
    return PAGE.read_text() if PAGE.exists() else HEADER


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        sys.modules["torch"].cuda.synchronize(device)


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
