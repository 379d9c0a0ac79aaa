"""What the process has loaded that `fork_python` in conftest.py forks programs from.

Not the modules of the nodes: those that a test starts add answerers before they are imported.
"""

from __future__ import annotations

import contextlib
import importlib

import smolrgpt_core.cli.application
import smolrgpt_core.inference
import smolrgpt_core.training.run  # noqa: F401
from smolrgpt_core.language.lexicon import load_languages

for name in ("smolrgpt_core.page.app", "rclpy.lifecycle", "smolrgpt_ros.query.recorder"):
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module(name)

load_languages()
