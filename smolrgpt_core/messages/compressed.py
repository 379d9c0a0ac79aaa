"""Decodes a sensor_msgs/CompressedImage of image_transport to the plain image.

`compressed` is a JPEG or PNG file. `compressedDepth` is a header of twelve bytes (an unused number
and two parameters), then a PNG or RVL image of 16 bits: the depth itself (16UC1), or for 32FC1 its
quantized inverse. If image_transport compressed it, `format` begins with the encoding of the
original image ("16UC1; compressedDepth png"); drivers that compress themselves write just "jpeg" or
"png". So the file format is detected from the data.
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
"""Possible transports of each input, as image_transport names them."""

Transports: TypeAlias = Mapping[str, str]
"""The transport of each input, one of `TRANSPORTS`."""

ALL_RAW: Transports = dict.fromkeys(TRANSPORTS, RAW)

MOST_PIXELS = 2**26
"""More than any camera has; the header of a small file can claim many more."""

PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_SIZE_OFFSET = 16
JPEG_START = b"\xff\xd8"
JPEG_END = b"\xff\xd9"
JPEG_WITHOUT_LENGTH = (0x01, *range(0xD0, 0xD9))
JPEG_SIZE = tuple(marker for marker in range(0xC0, 0xD0) if marker not in (0xC4, 0xC8, 0xCC))

HEADER = struct.Struct("<iff")
"""Header of `compressedDepth`: an unused number, and the parameters A and B."""

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
    """Name and type of the topic on which image_transport publishes the images of a topic."""
    return (topic, IMAGE) if transport == RAW else (f"{topic}/{transport}", COMPRESSED_IMAGE)


def plain_image(message: Message, is_depth: bool = False) -> Message:
    """The decompressed image of a CompressedImage; an Image is returned as it is.

    Args:
        message: an Image or a CompressedImage.
        is_depth: whether it must be depth; a JPEG, which changes the values, is then refused.

    Raises:
        SpatialError: BAD_INPUT when it is damaged, too large or in an unknown format.
    """
    if not hasattr(message, "format"):
        return message
    content = bytes(message.data)
    original = canonical(message.format.partition(";")[0].strip())
    if content.startswith(PNG_START):
        pixels, encoding = _decoded_png(message, content, original)
    elif content.startswith(JPEG_START):
        if is_depth or _is_depth_only(original):
            raise _bad(message, "JPEG changes depth values; use compressedDepth, or 16 bit PNG")
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


def _decoded_png(message: Message, content: bytes, original: str) -> tuple[NDArray[Any], str]:
    """Pixels and encoding of a PNG without a header of `compressedDepth`."""
    pixels = _png_pixels(message, content)
    if not _is_depth_only(original):
        return pixels, _color_encoding(message, pixels, original)
    if pixels.ndim != 2 or pixels.dtype != DEPTH_ENCODINGS[original][0]:
        raise _bad(message, f"the PNG has {_described(pixels)}, which is not {original}")
    return pixels, original


def _decoded_jpeg(message: Message, content: bytes, original: str) -> tuple[NDArray[Any], str]:
    pixels = _opencv_pixels(message, content, _jpeg_size(message, content))
    return pixels, _color_encoding(message, pixels, original)


def _color_encoding(message: Message, pixels: NDArray[Any], original: str) -> str:
    """OpenCV decodes to BGR; an image that was RGB when it was compressed stays RGB."""
    bits = 8 * pixels.dtype.itemsize
    if pixels.ndim == 2:
        # A Bayer mosaic is compressed as it is.
        is_mosaic = original.startswith("bayer_") and original.endswith(str(bits))
        return original if is_mosaic and original in COLOR_ENCODINGS else f"mono{bits}"
    is_red_first = "compressed rgb" in message.format.lower()
    alpha = "a" if pixels.shape[2] == 4 else ""
    return f"{'rgb' if is_red_first else 'bgr'}{alpha}{bits}"


def _decoded_depth(message: Message, content: bytes, original: str) -> tuple[NDArray[Any], str]:
    """Pixels and encoding of a `compressedDepth` message."""
    if len(content) <= HEADER.size:
        raise _bad(message, f"it ends after {len(content)} bytes, inside its header")
    _, a, b = HEADER.unpack_from(content)
    body = content[HEADER.size :]
    # Its first versions supported only PNG, and did not name it.
    is_rvl = "rvl" in message.format.lower()
    units = _rvl_pixels(message, body) if is_rvl else _png_pixels(message, body)
    if units.ndim != 2 or units.dtype != np.uint16:
        raise _bad(message, f"expected one channel of 16 bits, got {_described(units)}")
    if DEPTH_ENCODINGS[original][0] == np.uint16:
        return units, original
    if original != "32FC1":
        raise _bad(message, f"expected 16UC1 or 32FC1 before '; {COMPRESSED_DEPTH}'")
    return _from_inverse(message, units, a, b), original


def _from_inverse(
    message: Message, units: NDArray[np.uint16], a: float, b: float
) -> NDArray[np.float32]:
    """Depth (H, W) in meters from round(A / depth + B); NaN where that is 0."""
    if not (np.isfinite([a, b]).all() and a > 0):
        raise _bad(
            message, f"its depth parameters must be finite, with A > 0, got A = {a} and B = {b}"
        )
    with np.errstate(divide="ignore"):
        depth = np.float32(a) / (units.astype(np.float32) - np.float32(b))
    return np.where(units == 0, np.float32(np.nan), depth)


def _rvl_pixels(message: Message, body: bytes) -> NDArray[np.uint16]:
    if len(body) < RVL_SIZE.size:
        raise _bad(message, "it ends before its size")
    width, height = RVL_SIZE.unpack_from(body)
    _check_size(message, (height, width))
    try:
        return decode_rvl(body[RVL_SIZE.size :], (height, width))
    except ValueError as error:
        raise _bad(message, str(error)) from error


def _png_pixels(message: Message, content: bytes) -> NDArray[Any]:
    if not content.startswith(PNG_START) or len(content) < PNG_SIZE_OFFSET + 8:
        raise _bad(message, f"expected a PNG, the data begin with {content[:12].hex(' ')}")
    width, height = struct.unpack_from(">II", content, PNG_SIZE_OFFSET)
    return _opencv_pixels(message, content, (height, width))


def _jpeg_size(message: Message, content: bytes) -> tuple[int, int]:
    """(H, W) of a JPEG file, which must contain an end marker.

    OpenCV before 5 fills missing parts with gray, and reports it only on standard error.
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
    raise _bad(message, f"the JPEG of {len(content)} bytes is truncated or damaged")


def _opencv_pixels(message: Message, content: bytes, size: tuple[int, int]) -> NDArray[Any]:
    """Pixels as OpenCV decodes them, (H, W) or (H, W, C), uint8 or uint16, BGR."""
    _check_size(message, size)
    try:
        pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise _bad(message, f"OpenCV reports: {error.err}") from error
    if pixels is None or pixels.shape[:2] != size:
        raise _bad(message, f"the image of {len(content)} bytes is truncated or damaged")
    return np.asarray(pixels)


def _check_size(message: Message, size: tuple[int, int]) -> None:
    height, width = size
    if not 0 < height * width <= MOST_PIXELS:
        raise _bad(
            message,
            f"its header claims {width}x{height} pixels, but at most {MOST_PIXELS} are allowed",
        )


def _described(pixels: NDArray[Any]) -> str:
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    return f"{channels} x {8 * pixels.dtype.itemsize} bits per pixel"


def _plain(type_name: str, /, **fields: Any) -> PlainImage:
    return PlainImage(**fields)


def _bad(message: Message, problem: str) -> SpatialError:
    return bad_input(
        f"a compressed image ({message.format!r}) cannot be decoded: {problem}",
    )
