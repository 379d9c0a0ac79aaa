"""Encodings of sensor_msgs/Image: how the bytes of each become color, depth or region ids.

The names are those of `sensor_msgs/image_encodings.hpp`, in any letter case, and those of OpenCV's
types. Three and four numbers without a name (8UC3, 8UC4, 16UC3, 16UC4) are in the order of OpenCV,
blue first, as programs send them that publish what OpenCV gave them. Z16 is what librealsense calls
16UC1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.messages.types import Message

COMMON_PIXEL_BYTES = (1, 2, 3, 4, 6, 8)
"""Bytes of a pixel that encodings have; see `check_step`."""

SMALLEST_CAMERA_WIDTH = 64
"""Of an image that is narrower, padding may be as wide as the image."""


@dataclass(frozen=True)
class ColorEncoding:
    """How an image becomes RGB.

    Attributes:
        dtype: of its numbers; 16 bit are scaled to 8, 65535 being 255.
        channels: numbers of a pixel in a row.
        to_rgb: numbers (rows, W, channels) to RGB (H, W, 3) of the same type.
        chroma_half_rows: rows after the image that hold its color, as so many halves of its height.
        multiples: height and width are multiples of these.
        smallest: height and width are at least this.
    """

    dtype: DTypeLike
    channels: int
    to_rgb: Callable[[NDArray], NDArray]
    chroma_half_rows: int = 0
    multiples: tuple[int, int] = (1, 1)
    smallest: int = 1


def _unchanged(pixels: NDArray) -> NDArray:
    return pixels


def _opencv(code: int) -> Callable[[NDArray], NDArray]:
    return lambda pixels: cv2.cvtColor(pixels, code)


def _nv24_to_rgb(planes: NDArray) -> NDArray:
    """A plane of brightness (H, W), then one of U and V for each pixel, in rows of 2 W numbers."""
    height, width = planes.shape[0] // 3, planes.shape[1]
    brightness = planes[:height, :, 0]
    chroma = planes[height:, :, 0].reshape(height, width, 2)
    # OpenCV has no such conversion: every pixel becomes two equal ones of UYVY.
    pairs = np.stack([chroma[:, :, 0], brightness, chroma[:, :, 1], brightness], axis=-1)
    uyvy = pairs.reshape(height, 2 * width, 2)
    return cv2.cvtColor(uyvy, cv2.COLOR_YUV2RGB_UYVY)[:, ::2]


def _bayer(bits: int) -> dict[str, ColorEncoding]:
    dtype = np.dtype(f"u{bits // 8}")
    codes = {
        "rggb": cv2.COLOR_BayerRGGB2RGB,
        "bggr": cv2.COLOR_BayerBGGR2RGB,
        "gbrg": cv2.COLOR_BayerGBRG2RGB,
        "grbg": cv2.COLOR_BayerGRBG2RGB,
    }
    # Of less than 3 pixels OpenCV makes black ones.
    return {
        f"bayer_{pattern}{bits}": ColorEncoding(dtype, 1, _opencv(code), smallest=3)
        for pattern, code in codes.items()
    }


_BGR, _GREY = _opencv(cv2.COLOR_BGR2RGB), _opencv(cv2.COLOR_GRAY2RGB)
_RGBA, _BGRA = _opencv(cv2.COLOR_RGBA2RGB), _opencv(cv2.COLOR_BGRA2RGB)
_UYVY = ColorEncoding(np.uint8, 2, _opencv(cv2.COLOR_YUV2RGB_UYVY), multiples=(1, 2))
_YUYV = ColorEncoding(np.uint8, 2, _opencv(cv2.COLOR_YUV2RGB_YUYV), multiples=(1, 2))


def _half_size_chroma(code: int) -> ColorEncoding:
    return ColorEncoding(np.uint8, 1, _opencv(code), chroma_half_rows=1, multiples=(2, 2))


COLOR_ENCODINGS: dict[str, ColorEncoding] = {
    "rgb8": ColorEncoding(np.uint8, 3, _unchanged),
    "bgr8": ColorEncoding(np.uint8, 3, _BGR),
    "rgba8": ColorEncoding(np.uint8, 4, _RGBA),
    "bgra8": ColorEncoding(np.uint8, 4, _BGRA),
    "mono8": ColorEncoding(np.uint8, 1, _GREY),
    "rgb16": ColorEncoding(np.uint16, 3, _unchanged),
    "bgr16": ColorEncoding(np.uint16, 3, _BGR),
    "rgba16": ColorEncoding(np.uint16, 4, _RGBA),
    "bgra16": ColorEncoding(np.uint16, 4, _BGRA),
    "mono16": ColorEncoding(np.uint16, 1, _GREY),
    "8UC1": ColorEncoding(np.uint8, 1, _GREY),
    "8UC3": ColorEncoding(np.uint8, 3, _BGR),
    "8UC4": ColorEncoding(np.uint8, 4, _BGRA),
    "16UC3": ColorEncoding(np.uint16, 3, _BGR),
    "16UC4": ColorEncoding(np.uint16, 4, _BGRA),
    "yuv422": _UYVY,
    "uyvy": _UYVY,
    "yuv422_yuy2": _YUYV,
    "yuyv": _YUYV,
    "nv12": _half_size_chroma(cv2.COLOR_YUV2RGB_NV12),
    "nv21": _half_size_chroma(cv2.COLOR_YUV2RGB_NV21),
    "nv24": ColorEncoding(np.uint8, 1, _nv24_to_rgb, chroma_half_rows=4),
    **_bayer(8),
    **_bayer(16),
}

DEPTH_ENCODINGS: dict[str, tuple[DTypeLike, float]] = {
    "16UC1": (np.uint16, 0.001),
    "mono16": (np.uint16, 0.001),
    "Z16": (np.uint16, 0.001),
    "16SC1": (np.int16, 0.001),
    "32FC1": (np.float32, 1.0),
    "64FC1": (np.float64, 1.0),
}
"""Depth encodings: type of a pixel, metres per unit unless the camera says otherwise."""

INSTANCE_ENCODINGS: dict[str, DTypeLike] = {
    "8UC1": np.uint8,
    "mono8": np.uint8,
    "16UC1": np.uint16,
    "mono16": np.uint16,
    "32SC1": np.int32,
}
"""Encodings of an image whose pixel value is the id of a region, 0 = background."""

MASK_ENCODINGS = ("mono8", "8UC1")

_SPELLINGS = {
    name.lower(): name for name in (*COLOR_ENCODINGS, *DEPTH_ENCODINGS, *INSTANCE_ENCODINGS)
}


def canonical(encoding: str) -> str:
    """An encoding as the tables here spell it; unchanged if no table has it."""
    return _SPELLINGS.get(encoding.lower(), encoding)


def image_array(
    message: Message, dtype: DTypeLike, channels: int, rows: int | None = None
) -> NDArray:
    """Pixels (rows, W, channels) in the byte order of this machine, without padding.

    Args:
        message: an image.
        dtype: of a number.
        channels: numbers of a pixel.
        rows: in the data; by default the height of the image.

    Raises:
        SpatialError: BAD_INPUT when size, step and data do not fit each other.
    """
    rows = message.height if rows is None else rows
    row_bytes = message.width * channels * np.dtype(dtype).itemsize
    needed = message.step * rows
    if message.height == 0 or message.width == 0 or message.step < row_bytes:
        raise _wrong(
            message,
            f"needs rows of at least {row_bytes} bytes and at least one pixel, its step is "
            f"{message.step}",
        )
    if len(message.data) != needed:
        raise _wrong(
            message, f"with step {message.step} needs {needed} bytes, got {len(message.data)}"
        )
    lines = np.frombuffer(message.data, np.uint8).reshape(rows, message.step)
    stored = np.dtype(dtype).newbyteorder(">" if message.is_bigendian else "<")
    pixels = np.ascontiguousarray(lines[:, :row_bytes]).view(stored)
    return pixels.reshape(rows, message.width, channels).astype(dtype, copy=False)


def check_step(message: Message, pixel_bytes: int) -> None:
    """Refuse a step that says that pixels have more bytes than their encoding has.

    Padding that makes just a whole number of common bytes for each pixel comes from an encoding
    that is not that of the data, and would show a part of the picture, stretched.

    Raises:
        SpatialError: BAD_INPUT.
    """
    if message.width < SMALLEST_CAMERA_WIDTH or message.step <= message.width * pixel_bytes:
        return
    found, rest = divmod(message.step, message.width)
    if rest == 0 and found in COMMON_PIXEL_BYTES:
        raise _wrong(
            message,
            f"has {pixel_bytes} bytes for each pixel, its step of {message.step} says {found}: "
            "the encoding is not that of the data, or the rows are those of a wider image",
        )


def rgb_pixels(message: Message) -> NDArray[np.uint8]:
    """Color uint8 (H, W, 3) in RGB order; what has no color becomes grey.

    Raises:
        SpatialError: BAD_INPUT for an encoding that is not in `COLOR_ENCODINGS`, or data that do
            not fit it.
    """
    encoding = COLOR_ENCODINGS.get(canonical(message.encoding))
    if encoding is None:
        raise bad_input(
            f"a color image must be one of {', '.join(COLOR_ENCODINGS)}, got "
            f"{message.encoding!r}; change the camera's encoding, or convert the image (image_proc)"
        )
    check_step(message, encoding.channels * np.dtype(encoding.dtype).itemsize)
    tall, wide = encoding.multiples
    smallest = encoding.smallest
    size = (message.height, message.width)
    if size[0] % tall or size[1] % wide or min(size) < smallest:
        raise _wrong(
            message,
            f"is impossible: height and width must be multiples of {tall} and {wide}, and at least "
            f"{smallest}",
        )
    rows = message.height * (2 + encoding.chroma_half_rows) // 2
    pixels = image_array(message, encoding.dtype, encoding.channels, rows)
    rgb = encoding.to_rgb(pixels)
    if rgb.dtype == np.uint16:
        rgb = cv2.convertScaleAbs(rgb, alpha=255 / 65535)
    return np.ascontiguousarray(rgb)


def depth_encoding(encoding: str) -> tuple[DTypeLike, float]:
    """Type of a pixel, and metres per unit.

    Raises:
        SpatialError: BAD_INPUT for an encoding that is not in `DEPTH_ENCODINGS`.
    """
    try:
        return DEPTH_ENCODINGS[canonical(encoding)]
    except KeyError:
        raise bad_input(
            f"a depth image must be one of {', '.join(DEPTH_ENCODINGS)}, got {encoding!r}; is "
            "`depth` the right topic?"
        ) from None


def depth_pixels(message: Message) -> tuple[NDArray, float]:
    """Depth (H, W) as it is stored, and metres per unit by its encoding.

    Raises:
        SpatialError: BAD_INPUT for an encoding that is not in `DEPTH_ENCODINGS`, or data that do
            not fit it.
    """
    dtype, scale = depth_encoding(message.encoding)
    check_step(message, np.dtype(dtype).itemsize)
    return image_array(message, dtype, 1)[:, :, 0], scale


def id_pixels(message: Message) -> NDArray:
    """Region ids (H, W) of an instance image, whole numbers.

    Raises:
        SpatialError: BAD_INPUT for an encoding that is not in `INSTANCE_ENCODINGS`, or data that do
            not fit it.
    """
    dtype = INSTANCE_ENCODINGS.get(canonical(message.encoding))
    if dtype is None:
        raise bad_input(
            f"an instance image must be one of {', '.join(INSTANCE_ENCODINGS)}, got "
            f"{message.encoding!r}; is `instances` the right topic?"
        )
    check_step(message, np.dtype(dtype).itemsize)
    return image_array(message, dtype, 1)[:, :, 0]


def _wrong(message: Message, problem: str) -> SpatialError:
    return bad_input(
        f"a {message.encoding} image of {message.width}x{message.height} {problem}; the driver "
        "fills sensor_msgs/Image wrongly"
    )
