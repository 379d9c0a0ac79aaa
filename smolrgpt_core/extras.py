"""Optional packages and the command to install them, which needs a clone of the repository.

The only module with this remedy. Imports only the standard library, for the doctor.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import shlex
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit
from urllib.request import url2pathname

DISTRIBUTION = "smolrgpt"


def install_command(extra: str) -> str:
    """The command that installs an extra, such as `pip install -e '/home/me/smolrgpt_ros[sim]'`.

    If the clone cannot be located, the command is relative to it: `pip install '.[sim]'`.
    """
    clone = _running_clone()
    if clone is not None:
        return f"pip install -e {shlex.quote(f'{clone}[{extra}]')}"
    clone = _installed_clone()
    if clone is not None:
        return f"pip install {shlex.quote(f'{clone}[{extra}]')}"
    return f"pip install '.[{extra}]' in the clone of smolrgpt_ros"


def require(package: str, extra: str, need: str) -> ModuleType:
    """Import a package of an extra.

    Args:
        package: name to import, such as "pyarrow.parquet".
        extra: extra of this package that installs it.
        need: beginning of the message, such as "plots need matplotlib".

    Raises:
        ImportError: it is not installed; the message says how to install it.
        ModuleNotFoundError: it is installed, but one of its own dependencies is not.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name not in (package, package.partition(".")[0]):
            raise
        raise ImportError(
            f"{need}, which is not installed; install it with: {install_command(extra)}"
        ) from error


def _is_clone(folder: Path) -> bool:
    project = folder / "pyproject.toml"
    return project.is_file() and f'name = "{DISTRIBUTION}"' in project.read_text()


def _running_clone() -> Path | None:
    """The clone that this code runs from, directly or through colcon's symlinks."""
    folder = Path(__file__).resolve().parents[1]
    return folder if _is_clone(folder) else None


def _installed_clone() -> Path | None:
    """The clone from which pip installed this package, if it still exists."""
    try:
        noted = importlib.metadata.distribution(DISTRIBUTION).read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        return None
    url = urlsplit(json.loads(noted or "{}").get("url", ""))
    folder = Path(url2pathname(url.path))
    return folder if url.scheme == "file" and _is_clone(folder) else None
