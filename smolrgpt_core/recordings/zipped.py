"""Recordings in a zip, as the page exports them, unpacked with care: the file may be anybody's."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from smolrgpt_core.files import file_error
from smolrgpt_core.recordings.storage_files import METADATA, STORAGE_SUFFIXES

SUFFIX = ".zip"

MAX_UNPACKED_BYTES = 2**30
"""Of all files of a zip together; a question with its frame has some megabytes."""

MAX_FILES = 100

CHUNK = 1 << 20


@contextmanager
def unzipped(recording: Path) -> Iterator[Path]:
    """A recording as a folder: that in a zip, until the end of the context, or another as it is.

    Args:
        recording: as it was given.

    Raises:
        SpatialError: BAD_INPUT when the zip cannot be read, is too large, or has anything but the
            files of one recording.
    """
    if recording.suffix.lower() != SUFFIX or not recording.is_file():
        yield recording
        return
    with TemporaryDirectory(prefix="smolrgpt_zip_") as folder:
        # The recording keeps its name, by which its questions are named.
        target = Path(folder) / recording.stem
        target.mkdir()
        try:
            with zipfile.ZipFile(recording) as archive:
                _unpack(archive, target, recording)
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise file_error(recording, f"this zip cannot be read: {error}") from error
        yield target


def _unpack(archive: zipfile.ZipFile, target: Path, source: Path) -> None:
    entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if len(entries) > MAX_FILES:
        raise file_error(source, f"has {len(entries)} files, at most {MAX_FILES} are allowed")
    left = MAX_UNPACKED_BYTES
    names: set[str] = set()
    for entry in entries:
        name = _plain_name(entry.filename, source)
        if name in names:
            raise file_error(source, f"has two files with the name {name!r}")
        names.add(name)
        left -= _write(archive, entry, target / name, left, source)


def _plain_name(written: str, source: Path) -> str:
    """The name of a file of a recording, without the folder that it is in.

    Raises:
        SpatialError: BAD_INPUT for a path that leads elsewhere, or another kind of file.
    """
    path = PurePosixPath(written)
    is_inside = not path.is_absolute() and ".." not in path.parts and "\\" not in written
    if not is_inside or len(path.parts) > 2:
        raise file_error(source, f"expected the files of one recording, found {written[:80]!r}")
    if path.name != METADATA and path.suffix not in STORAGE_SUFFIXES:
        expected = f"{METADATA} and {' or '.join(STORAGE_SUFFIXES)} files"
        raise file_error(source, f"expected {expected}, found {written[:80]!r}")
    return path.name


def _write(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, left: int, source: Path
) -> int:
    """Unpack a file as far as there are bytes left, whatever its header declares; returns them."""
    written = 0
    with archive.open(entry) as packed, path.open("xb") as out:
        while chunk := packed.read(CHUNK):
            written += len(chunk)
            if written > left:
                shutil.rmtree(path.parent)
                limit = f"{MAX_UNPACKED_BYTES / 2**20:.0f} MiB"
                raise file_error(source, f"holds more than {limit}; unpack it, and give the folder")
            out.write(chunk)
    return written
