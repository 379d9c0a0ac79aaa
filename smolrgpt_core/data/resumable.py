"""A data set under construction that can be interrupted at any time and resumed.

    DIR/SETTINGS_FILE    the settings, which stay with the data
    DIR/.parts           what is finished; goes when the data set is complete

The folder is of one run at a time, and of one set of settings.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TextIO

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import file_error, read_json, write_file
from smolrgpt_core.settings_file import with_current_names

PARTS = ".parts"
DONE = ".parts.done"


class ResumableFolder:
    """The folder of a data set under construction; use it in `with folder.locked():`.

    Args:
        root: made if needed.
        settings_file: name of the file with the settings.
        described: the settings as plain values: everything that the bytes follow from.
        command: that makes such folders, for messages.
    """

    def __init__(
        self, root: Path, settings_file: str, described: Mapping[str, Any], command: str
    ) -> None:
        self.root = root
        self.parts = root / PARTS
        self._settings = root / settings_file
        self._described = described
        self._command = command

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Take the folder: check that it is of this run, and clear what a kill left behind.

        Raises:
            SpatialError: BAD_INPUT when the folder holds something else, or BUSY when another
                process is making this data set.
        """
        is_complete = self.is_complete
        shutil.rmtree(self.root / DONE, ignore_errors=True)
        if is_complete:
            yield
            return
        self.parts.mkdir(parents=True, exist_ok=True)
        with (self.parts / "lock").open("w") as lock:
            self._take(lock)
            for leftover in self.root.rglob(".*.part"):
                leftover.unlink()
            write_file(self._settings, json.dumps(self._described, indent=1).encode())
            yield

    def _take(self, lock: TextIO) -> None:
        # Windows has no such locks; the command line must import there.
        import fcntl

        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"{self.root}: another process is making this data set; wait for it"
            raise SpatialError(Status.BUSY, message) from error

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do.

        Raises:
            SpatialError: BAD_INPUT when the folder holds something else; it names the settings
                that differ.
        """
        if self._settings.exists():
            _check_same(self._settings, read_json(self._settings), self._described)
            return not self.parts.exists()
        if self.root.exists():
            foreign = [item.name for item in self.root.iterdir() if not item.name.startswith(".")]
            if foreign:
                raise file_error(
                    self.root,
                    f"expected an empty folder or one that `{self._command}` made, found "
                    f"{', '.join(sorted(foreign)[:5])}; choose another folder",
                )
        return False

    def close(self) -> None:
        """Say that the data set is complete."""
        self.parts.rename(self.root / DONE)
        shutil.rmtree(self.root / DONE)


class ResumableRun:
    """What makes the data of a resumable folder; use it in `with run.locked():`."""

    def __init__(self, data: ResumableFolder) -> None:
        self._data = data

    def locked(self) -> AbstractContextManager[None]:
        """Take the folder; see `ResumableFolder.locked`."""
        return self._data.locked()

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do; see `ResumableFolder.is_complete`."""
        return self._data.is_complete


def _check_same(path: Path, found: Any, wanted: Mapping[str, Any]) -> None:
    """Refuse to mix two data sets in one folder."""
    there, here = (dict(_flat(with_current_names(item))) for item in (found, wanted))
    differing = [name for name in {*there, *here} if there.get(name) != here.get(name)]
    names = sorted(differing, key=lambda name: (name.count("."), name))
    if names:
        shown = "; ".join(
            f"{name}: {there.get(name)!r} there, {here.get(name)!r} now" for name in names[:5]
        )
        raise file_error(
            path,
            f"this folder was started with other settings ({shown}); use the same settings to "
            f"resume, or another folder",
        )


def _flat(entry: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names such as "randomization.camera.width" with their values."""
    if not isinstance(entry, Mapping):
        yield prefix, entry
        return
    for name, value in entry.items():
        yield from _flat(value, f"{prefix}.{name}" if prefix else str(name))
