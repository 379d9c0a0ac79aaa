"""The files of a recording: their names, order and formats.

Of `metadata.yaml` only the order of the files is used, and whether all are there. What else it
states (quality of service, compression, counts) is in the files themselves, and people edit it.
"""

from __future__ import annotations

import re
import struct
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import file_error
from smolrgpt_core.recordings import mcap_files, sqlite_storage
from smolrgpt_core.settings_file import import_yaml

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

METADATA = "metadata.yaml"
STORAGE_SUFFIXES = (sqlite_storage.SUFFIX, mcap_files.SUFFIX)
PACKED_SUFFIXES = (".zstd", ".zst")

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
"""Begins what is compressed with zstd; a serialized message begins with a zero."""

ROS1_MAGIC, ROS1_SUFFIX = b"#ROSBAG V", ".bag"
MCAP_PROFILE = struct.Struct("<8xBQI")
"""Begins an MCAP file: the magic, opcode and length of the header, length of the profile."""

CHUNK = 1 << 20


@dataclass(frozen=True)
class StorageFiles:
    """The files that were found.

    Attributes:
        paths: in the order of recording.
        problems: missing files, and differences from `metadata.yaml`.
    """

    paths: tuple[Path, ...]
    problems: tuple[str, ...]


def find_storage_files(path: Path) -> StorageFiles:
    """The files of a recording that hold messages.

    Args:
        path: folder with files of messages, or one such file.

    Raises:
        SpatialError: BAD_INPUT when there is none.
    """
    if not path.exists():
        raise file_error(path, "there is no such recording")
    if not path.is_dir():
        return StorageFiles((path,), ())
    found = _files_by_name(path)
    listed, problems = _listed_names(path)
    missing = [name for name in listed if _unpacked_name(name) not in found]
    names = [name for name in map(_unpacked_name, listed) if name in found]
    unlisted = sorted(found.keys() - set(names), key=_part_number)
    if listed:
        problems += [_missing(path, name) for name in missing]
        problems += [f"{found[n].name} is read, but not listed in {METADATA}" for n in unlisted]
    if not found:
        raise _no_files(path, problems)
    return StorageFiles(tuple(found[name] for name in [*names, *unlisted]), tuple(problems))


def check_is_ros2(path: Path) -> None:
    """Refuse recordings of ROS 1, regardless of their name.

    Raises:
        SpatialError: BAD_INPUT; the message says how to convert it.
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(ROS1_MAGIC):
        raise _ros1_error(path)
    if head.startswith(mcap_files.MCAP_MAGIC) and len(head) > MCAP_PROFILE.size:
        _, _, length = MCAP_PROFILE.unpack_from(head)
        profile = head[MCAP_PROFILE.size :][:length]
        if profile == b"ros1":
            raise file_error(
                path,
                "this MCAP file contains ROS 1 messages, expected ROS 2; convert the original "
                "ROS 1 bag with rosbags-convert",
            )


def is_packed(path: Path) -> bool:
    """Whether a file is compressed as a whole."""
    with path.open("rb") as file:
        return file.read(len(ZSTD_MAGIC)) == ZSTD_MAGIC


def unpack(path: Path, folder: Path) -> tuple[Path, str]:
    """Decompress a file as far as possible.

    Args:
        path: a file that `is_packed`.
        folder: gets the decompressed one.

    Returns:
        The new file, and what is wrong with the old one, empty if nothing is.

    Raises:
        SpatialError: BAD_INPUT when nothing comes of it, or there is no room.
    """
    target = folder / _unpacked_name(path.name)
    damage = ""
    try:
        with path.open("rb") as source, target.open("wb") as out:
            try:
                _decompress(source, out)
            except (EOFError, zstd.ZstdError) as error:
                damage = f"{path.name} is truncated or damaged: {error}"
    except OSError as error:
        raise file_error(
            path,
            f"cannot be decompressed to {folder}: {error.strerror}; free some space there, or set "
            "TMPDIR",
        ) from error
    if damage and not target.stat().st_size:
        raise file_error(path, f"it cannot be decompressed at all: {damage}")
    return target, damage


def unpack_message(serialized: bytes) -> bytes:
    """A message that may be compressed by itself, as rosbag2 does in the mode `message`.

    Raises:
        zstd.ZstdError: it cannot be decompressed.
    """
    return zstd.decompress(serialized) if serialized[:4] == ZSTD_MAGIC else serialized


def _decompress(source: Any, out: Any) -> None:
    """All frames of a file, each chunk written as soon as it is there.

    Raises:
        EOFError: the file ends within a frame.
        zstd.ZstdError: it is damaged.
    """
    decompressor = zstd.ZstdDecompressor()
    while chunk := source.read(CHUNK):
        while chunk:
            if decompressor.eof:
                decompressor = zstd.ZstdDecompressor()
            out.write(decompressor.decompress(chunk))
            chunk = decompressor.unused_data
    if not decompressor.eof:
        raise EOFError("it ends before its end marker")


def _files_by_name(folder: Path) -> dict[str, Path]:
    """Files with messages by their name without compression; those not compressed are preferred.

    Both are there while rosbag2 compresses a file, and the compressed one may be half.
    """
    packed = [file for file in folder.iterdir() if file.suffix in PACKED_SUFFIXES]
    plain = [file for file in folder.iterdir() if file.suffix in STORAGE_SUFFIXES]
    by_name = {_unpacked_name(file.name): file for file in [*packed, *plain]}
    return {name: file for name, file in by_name.items() if name.endswith(STORAGE_SUFFIXES)}


def _listed_names(folder: Path) -> tuple[list[str], list[str]]:
    """Names of files in `metadata.yaml`, and what is wrong with it."""
    path = folder / METADATA
    if not path.exists():
        return [], [f"{METADATA} is missing, as when the recorder was killed"]
    yaml = import_yaml("a recording")
    try:
        paths: Sequence[str] = yaml.safe_load(path.read_text(encoding="utf-8"))[
            "rosbag2_bagfile_information"
        ]["relative_file_paths"]
        return [PurePosixPath(item.replace("\\", "/")).name for item in paths], []
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        return [], [f"{METADATA} cannot be read: {error!r}"]


def _unpacked_name(name: str) -> str:
    for suffix in PACKED_SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def _part_number(name: str) -> tuple[list[int], str]:
    """What orders the parts of a recording: rosbag2 numbers them."""
    return [int(part) for part in re.findall(r"\d+", name.partition(".")[0])], name


def _missing(folder: Path, name: str) -> str:
    if not (folder / name).exists():
        return f"{name} is listed in {METADATA}, but missing"
    expected = " or ".join(STORAGE_SUFFIXES)
    return f"{name} is not read: expected {expected}, or these compressed with zstd"


def _no_files(folder: Path, problems: Sequence[str]) -> SpatialError:
    ros1 = sorted(file for file in folder.iterdir() if file.suffix == ROS1_SUFFIX)
    if ros1:
        return _ros1_error(ros1[0])
    return file_error(
        folder,
        f"expected a ROS 2 recording, a folder with {METADATA} or a "
        f"{' or '.join(STORAGE_SUFFIXES)} file; {'; '.join(problems)}",
    )


def _ros1_error(path: Path) -> SpatialError:
    return file_error(
        path,
        f"this is a ROS 1 bag; convert it with `rosbags-convert --src {path} --dst "
        f"{path.with_name(path.stem)}_ros2 --dst-typestore ros2_humble` (part of rosbags), and use "
        "the folder that it writes",
    )
