"""Files that visitors upload: accepted types and sizes."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from smolrgpt_core.errors import bad_input

MEBIBYTE = 2**20

MAX_UPLOAD_BYTES = 32 * MEBIBYTE
"""Of one file."""

MAX_UPLOAD_PIXELS = 2**25
"""Of one image: a file of some kilobytes may hold an image that fills the memory."""

KINDS = {
    "rgb": (".png", ".jpg", ".jpeg"),
    "depth": (".png", ".npy"),
    "regions": (".json", ".png"),
}
"""The files of a frame that are taken, and their suffixes."""

PNG_HEAD = struct.Struct(">8s4x4sII")
PNG_MAGIC, JPEG_MAGIC = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"
JPEG_SIZES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""Markers of JPEG segments that hold the size of the image."""


@dataclass(frozen=True)
class UploadedFile:
    """An uploaded file."""

    name: str
    content: bytes


def check_upload(kind: str, file: UploadedFile) -> None:
    """Check an uploaded file before it is written to disk.

    Args:
        kind: of `KINDS`.
        file: the uploaded one.

    Raises:
        SpatialError: BAD_INPUT when it is too large or of an unsupported type.
    """
    expected = " or ".join(KINDS[kind])
    suffix = suffix_of(file)
    if suffix not in KINDS[kind]:
        raise bad_input(f"the {kind} file must be {expected}, got {file.name[-40:]!r}")
    if len(file.content) > MAX_UPLOAD_BYTES:
        size = len(file.content)
        raise bad_input(
            f"the {kind} file has {size} bytes, but at most {MAX_UPLOAD_BYTES} are read"
        )
    if suffix in (".png", ".jpg", ".jpeg"):
        width, height = image_size(file.content)
        if width * height > MAX_UPLOAD_PIXELS:
            raise bad_input(
                f"the {kind} image has {width}x{height} pixels, but at most {MAX_UPLOAD_PIXELS} in "
                "all are read"
            )


def suffix_of(file: UploadedFile) -> str:
    """The suffix of its name in lower case, the only part that is used."""
    return Path(file.name).suffix.lower()


def pinhole_of(values: Sequence[float | None]) -> tuple[float, ...] | None:
    """The calibration; None if there is none.

    Args:
        values: fx, fy, cx, cy in pixels; None where none was entered.

    Raises:
        SpatialError: BAD_INPUT when only some are given.
    """
    provided = [value for value in values if value is not None]
    if provided and len(provided) < len(values):
        raise bad_input("the calibration needs all of fx, fy, cx and cy, or none of them")
    return tuple(provided) or None


def image_size(content: bytes) -> tuple[int, int]:
    """(width, height) that a PNG or JPEG file declares, without decoding it.

    Raises:
        SpatialError: BAD_INPUT when it is neither.
    """
    if content.startswith(PNG_MAGIC) and len(content) >= PNG_HEAD.size:
        _, chunk, width, height = PNG_HEAD.unpack_from(content)
        if chunk == b"IHDR":
            return width, height
    if content.startswith(JPEG_MAGIC):
        place = len(JPEG_MAGIC)
        while place + 9 <= len(content) and content[place] == 0xFF:
            marker, (length,) = content[place + 1], struct.unpack_from(">H", content, place + 2)
            if marker in JPEG_SIZES:
                height, width = struct.unpack_from(">HH", content, place + 5)
                return width, height
            place += 2 + length
    raise bad_input("expected a PNG or JPEG image; is the file damaged, or in another format?")
