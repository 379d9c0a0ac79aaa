"""Records of a released shard: a tar as `webdataset` writes it, read member by member.

Nothing is extracted, and no name of the archive becomes a name of a file. A record is the members
of one key that follow each other:

    wild        K.jpg, K.png, K.intrinsics.pt, K.pt
    CA-1M       B_image.jpg, B_depth.npy, B_intrinsics.pt, B_qa.pt
    general     K.jpg, K.pt, K.json
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import file_error

MAX_MEMBER_BYTES = 2**28
"""Limit for one member; the largest are point maps, 16 bytes per pixel."""

MAX_MEMBERS = 16
"""Limit for one record."""

_CA1M_NAME = re.compile(r"(.+)_(image\.jpg|depth\.npy|intrinsics\.pt|qa\.pt|meta\.json)")


@dataclass
class StoredRecord:
    """A record as stored.

    Attributes:
        key: names it in its shard.
        members: contents by their names without the key and separator, such as "png",
            "intrinsics.pt" or "depth.npy".
        problem: why it cannot be used; empty if none is known so far.
    """

    key: str
    members: dict[str, bytes] = field(default_factory=dict)
    problem: str = ""


def read_shard(path: Path) -> Iterator[StoredRecord]:
    """Every record of a shard, in its order.

    Args:
        path: of the tar.

    Raises:
        SpatialError: BAD_INPUT when the shard cannot be read to its end, after the records before.
    """
    record: StoredRecord | None = None
    problem = ""
    try:
        with path.open("rb") as file, tarfile.open(fileobj=file, mode="r|") as archive:
            for header in archive:
                if header.isdir():
                    continue
                key, name = _split_name(header.name)
                if record is not None and key != record.key:
                    yield record
                    record = None
                record = record or StoredRecord(key)
                _add_member(record, name, archive, header)
            end = archive.offset
        problem = _missing_end(path, end)
    except (tarfile.TarError, EOFError, OSError) as error:
        problem = str(error)
    if record is not None:
        yield record
    if problem:
        raise file_error(path, f"the shard cannot be read to its end: {problem}")


def _split_name(name: str) -> tuple[str, str]:
    """The key of a member, and its name without it."""
    place = PurePosixPath(name)
    of_ca1m = _CA1M_NAME.fullmatch(place.name)
    stem, _, suffix = place.name.partition(".")
    if of_ca1m:
        stem, suffix = of_ca1m[1], of_ca1m[2]
    return str(place.parent / stem), suffix


def _add_member(
    record: StoredRecord, name: str, archive: tarfile.TarFile, header: tarfile.TarInfo
) -> None:
    try:
        _check_member(record, name, header)
    except SpatialError as error:
        record.problem = record.problem or error.message
        return
    content = archive.extractfile(header)
    assert content is not None
    record.members[name] = content.read()


def _check_member(record: StoredRecord, name: str, header: tarfile.TarInfo) -> None:
    place = PurePosixPath(header.name)
    problem = ""
    if place.is_absolute() or ".." in place.parts:
        problem = "its name leads out of the archive"
    elif not header.isreg():
        problem = "it is a link or a device, not a file"
    elif header.size > MAX_MEMBER_BYTES:
        problem = f"it has {header.size} bytes, more than {MAX_MEMBER_BYTES}"
    elif name in record.members:
        problem = "it occurs twice"
    elif len(record.members) >= MAX_MEMBERS:
        problem = f"its record has more than {MAX_MEMBERS} members"
    if problem:
        raise file_error(Path(header.name), f"a member that no record has: {problem}")


def _missing_end(path: Path, end: int) -> str:
    """What is wrong with the end of an archive.

    `tarfile` takes whatever is no header for the end, as where an archive was cut off.
    """
    with path.open("rb") as file:
        file.seek(end)
        block = file.read(tarfile.BLOCKSIZE)
    if block == bytes(tarfile.BLOCKSIZE):
        return ""
    return f"expected the end mark of a tar at byte {end}, found {'damage' if block else 'none'}"
