"""The `smolrgpt` command: questions about images on disk, a simulated demo, data sets, training.

Independent of ROS. Exit status: 0 on success, 1 when something is missing or an answer of the demo
is wrong, 2 for an invalid command line, 3 when a question has no answer.
"""

from __future__ import annotations

import sys

from smolrgpt_core.doctor import CheckResult, examine_core


def main() -> None:
    """Entry point of the console script."""
    try:
        from smolrgpt_core.cli.application import app
    except ImportError as error:
        print(f"smolrgpt cannot start: {error}", file=sys.stderr)
        for check in examine_core():
            if check.verdict is CheckResult.FAILED:
                print(f"{check.name}: {check.found}; {check.remedy}", file=sys.stderr)
        sys.exit(1)
    app()
