"""What image_transport compresses: a sensor_msgs/CompressedImage as the plain image that it was.

`compressed` is a JPEG or PNG file. `compressedDepth` is a header of twelve bytes (a number that
says nothing, and two parameters), then a PNG or RVL image of 16 bits: the depth itself (16UC1), or
for 32FC1 a quantized inverse of it. `format` begins with the encoding of the image before it was
compressed, where image_transport made it ("16UC1; compressedDepth png"); drivers that do it
themselves say just "jpeg" or "png". So what the bytes are is seen from the bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.messages.encodings import COLOR_ENCODINGS, DEPTH_ENCODINGS, canonical
from smolrgpt_core.messages.making import image_message
from smolrgpt_core.messages.rvl import decode_rvl
from smolrgpt_core.messages.types import COMPRESSED_IMAGE, IMAGE, Message

RAW = "raw"
COMPRESSED, COMPRESSED_DEPTH = "compressed", "compressedDepth"
TRANSPORTS = {"rgb": (RAW, COMPRESSED), "depth": (RAW, COMPRESSED_DEPTH)}
"""How images may come, by input; the names are those of image_transport."""

Transports: TypeAlias = Mapping[str, str]
"""How images come, by input: one of `TRANSPORTS` for each."""

ALL_RAW: Transports = dict.fromkeys(TRANSPORTS, RAW)

MOST_PIXELS = 2**26
"""More than any camera has; a small file can promise many more."""

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_SIZE_OFFSET = 16
JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
JPEG_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
JPEG_SIZE = tuple(marker for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC))

HEADER = struct.Struct("<iff")
"""Of `compressedDepth`: an unused number, and the parameters A and B."""

RVL_SIZE = struct.Struct("<II")
"""Columns and rows, before the stream."""


@dataclass(frozen=True)
class PlainImage:
    """The fields of sensor_msgs/Image."""

    header: Message
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: NDArray[np.uint8]


def transported(topic: str, transport: str) -> tuple[str, str]:
    """Name and type of the topic on which image_transport sends the images of a topic."""
    return (topic, IMAGE) if transport == RAW else (f"{topic}/{transport}", COMPRESSED_IMAGE)


def plain_image(message: Message, is_depth: bool = False) -> Message:
    """The image that a message stands for: itself, unless it is a CompressedImage.

    Args:
        message: an Image or a CompressedImage.
        is_depth: it must be depth, so that a JPEG, which changes its values, is refused.

    Raises:
        SpatialError: BAD_INPUT when it is damaged, too large or of an unknown form.
    """
    if not hasattr(message, "format"):
        return message
    content = bytes(message.data)
    original = canonical(message.format.partition(";")[0].strip())
    if content.startswith(PNG_START):
        pixels, encoding = _decoded_png(message, content, original)
    elif content.startswith(JPEG_START):
        if is_depth or _is_depth_only(original):
            raise _bad(
                message, "JPEG changes the values of depth; use compressedDepth, or PNG of 16 bits"
            )
        pixels, encoding = _decoded_jpeg(message, content, original)
    elif original in DEPTH_ENCODINGS and COMPRESSED_DEPTH.lower() in message.format.lower():
        pixels, encoding = _decoded_depth(message, content, original)
    else:
        raise _bad(
            message,
            f"expected JPEG, PNG, or depth with a format such as '16UC1; {COMPRESSED_DEPTH} png', "
            f"the data begin with {content[:12].hex(' ') or 'nothing'}",
        )
    return image_message(_plain, pixels, encoding, message.header)


def _is_depth_only(encoding: str) -> bool:
    return encoding in DEPTH_ENCODINGS and encoding not in COLOR_ENCODINGS


def _decoded_png(message: Message, content: bytes, original: str) -> tuple[NDArray, str]:
    """Pixels and encoding of a PNG without a header of `compressedDepth`."""
    pixels = _png_pixels(message, content)
    if not _is_depth_only(original):
        return pixels, _color_encoding(message, pixels, original)
    if pixels.ndim != 2 or pixels.dtype != DEPTH_ENCODINGS[original][0]:
        raise _bad(message, f"the PNG holds {_described(pixels)}, which is no {original}")
    return pixels, original


def _decoded_jpeg(message: Message, content: bytes, original: str) -> tuple[NDArray, str]:
    pixels = _opencv_pixels(message, content, _jpeg_size(message, content))
    return pixels, _color_encoding(message, pixels, original)


def _color_encoding(message: Message, pixels: NDArray, original: str) -> str:
    """OpenCV decodes blue first; what was red first when it was compressed, comes so."""
    bits = 8 * pixels.dtype.itemsize
    if pixels.ndim == 2:
        # A mosaic is compressed as it is.
        is_mosaic = original.startswith("bayer_") and original.endswith(str(bits))
        return original if is_mosaic and original in COLOR_ENCODINGS else f"mono{bits}"
    is_red_first = "compressed rgb" in message.format.lower()
    alpha = "a" if pixels.shape[2] == 4 else ""
    return f"{'rgb' if is_red_first else 'bgr'}{alpha}{bits}"


def _decoded_depth(message: Message, content: bytes, original: str) -> tuple[NDArray, str]:
    """Pixels and encoding of a header with what follows it."""
    if len(content) <= HEADER.size:
        raise _bad(message, f"it ends after {len(content)} bytes, within its header")
    _, a, b = HEADER.unpack_from(content)
    body = content[HEADER.size :]
    # Its first versions knew PNG only, and did not name it.
    is_rvl = "rvl" in message.format.lower()
    units = _rvl_pixels(message, body) if is_rvl else _png_pixels(message, body)
    if units.ndim != 2 or units.dtype != np.uint16:
        raise _bad(message, f"expected one plane of 16 bits, got {_described(units)}")
    if DEPTH_ENCODINGS[original][0] == np.uint16:
        return units, original
    if original != "32FC1":
        raise _bad(message, f"expected 16UC1 or 32FC1 before '; {COMPRESSED_DEPTH}'")
    return _from_inverse(message, units, a, b), original


def _from_inverse(
    message: Message, units: NDArray[np.uint16], a: float, b: float
) -> NDArray[np.float32]:
    """Metres (H, W) from A / depth + B, rounded; NaN where that is 0."""
    if not (np.isfinite([a, b]).all() and a > 0):
        raise _bad(message, f"the parameters of its depth must be numbers, A > 0, got {a} and {b}")
    with np.errstate(divide="ignore"):
        depth = np.float32(a) / (units.astype(np.float32) - np.float32(b))
    return np.where(units == 0, np.float32(np.nan), depth)


def _rvl_pixels(message: Message, body: bytes) -> NDArray[np.uint16]:
    if len(body) < RVL_SIZE.size:
        raise _bad(message, "it ends within its size")
    width, height = RVL_SIZE.unpack_from(body)
    _check_size(message, (height, width))
    try:
        return decode_rvl(body[RVL_SIZE.size :], (height, width))
    except ValueError as error:
        raise _bad(message, str(error)) from error


def _png_pixels(message: Message, content: bytes) -> NDArray:
    if not content.startswith(PNG_START) or len(content) < PNG_SIZE_OFFSET + 8:
        raise _bad(message, f"expected a PNG, the data begin with {content[:12].hex(' ')}")
    width, height = struct.unpack_from(">II", content, PNG_SIZE_OFFSET)
    return _opencv_pixels(message, content, (height, width))


def _jpeg_size(message: Message, content: bytes) -> tuple[int, int]:
    """(H, W) of a JPEG file that has an end.

    OpenCV before 5 fills what is missing with grey, and says so on standard error only.
    """
    position = len(JPEG_START)
    while position + 9 <= len(content) and content[position] == 0xFF:
        marker = content[position + 1]
        if marker == 0xFF:
            position += 1
        elif marker in JPEG_WITHOUT_LENGTH:
            position += 2
        elif marker in JPEG_SIZE and content.find(JPEG_END, position) > 0:
            height, width = struct.unpack_from(">HH", content, position + 5)
            return height, width
        else:
            (length,) = struct.unpack_from(">H", content, position + 2)
            position += 2 + length
    raise _bad(message, f"the JPEG of {len(content)} bytes is cut or damaged")


def _opencv_pixels(message: Message, content: bytes, size: tuple[int, int]) -> NDArray:
    """What OpenCV decodes, (H, W) or (H, W, C), uint8 or uint16, blue first."""
    _check_size(message, size)
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _bad(message, f"OpenCV says: {error.err}") from error
    if pixels is None or pixels.shape[:2] != size:
        raise _bad(message, f"the image of {len(content)} bytes is cut or damaged")
    return np.asarray(pixels)


def _check_size(message: Message, size: tuple[int, int]) -> None:
    height, width = size
    if not 0 < height * width <= MOST_PIXELS:
        raise _bad(message, f"it says it has {width}x{height} pixels, allowed are {MOST_PIXELS}")


def _described(pixels: NDArray) -> str:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    return f"{channels} x {8 * pixels.dtype.itemsize} bits a pixel"


def _plain(type_name: str, /, **fields: Any) -> PlainImage:
    return PlainImage(**fields)


def _bad(message: Message, problem: str) -> SpatialError:
    return bad_input(
        f"a compressed image ({message.format!r}) cannot be read: {problem}",
    )
