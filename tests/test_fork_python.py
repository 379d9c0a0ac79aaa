"""Programs that are forked from a process with everything loaded run as in a new one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

PROGRAM = """
import json, os, sys
loaded = [name for name in ("torch", "smolrgpt_core.training.run") if name in sys.modules]
from smolrgpt_core.language.lexicon import load_lexicon
found = [loaded, load_lexicon.cache_info().currsize, sys.argv[1:], os.getcwd(), os.environ["ADDED"]]
print(json.dumps([*found, os.environ.get("PYTHONPATH", "")]))
sys.exit(7)
"""


def test_a_program_finds_all_loaded_and_its_own_words_folder_and_environment(
    fork_python: Callable[..., Any], tmp_path: Path
) -> None:
    program, output = tmp_path / "program", tmp_path / "output.txt"
    program.write_text(PROGRAM)
    variables = {"ADDED": "yes", "PYTHONPATH": "/added"}
    process = fork_python([program, "one", "two"], output, tmp_path, variables)
    assert process.wait(60.0) == 7, output.read_text()
    loaded, languages, words, folder, added, path = json.loads(output.read_text())
    assert loaded == ["torch", "smolrgpt_core.training.run"]
    assert languages == 2
    assert (words, folder) == (["one", "two"], str(tmp_path))
    assert (added, path) == ("yes", "/added")
