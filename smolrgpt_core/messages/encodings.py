"""Encodings of sensor_msgs/Image and their conversion to color, depth or region ids.

The names are those of `sensor_msgs/image_encodings.hpp`, in any letter case, and those of OpenCV's
types. Generic types with three or four channels (8UC3, 8UC4, 16UC3, 16UC4) are in OpenCV's BGR
order, as published by programs that use OpenCV images. Z16 is librealsense's name for 16UC1.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.messages.types import Message

COMMON_PIXEL_BYTES = (1, 2, 3, 4, 6, 8)
"""Possible numbers of bytes per pixel; see `check_step`."""

SMALLEST_CAMERA_WIDTH = 64
"""In a narrower image, the padding may be as wide as the image."""


@dataclass(frozen=True)
class ColorEncoding:
    """Conversion of an encoding to RGB.

    Attributes:
        dtype: of the values; 16 bits are scaled to 8, so that 65535 becomes 255.
        channels: values per pixel in a row.
        to_rgb: converts values (rows, W, channels) to RGB (H, W, 3) of the same type.
        chroma_half_rows: number of chroma rows after the image, in halves of its height.
        multiples: height and width are multiples of these.
        smallest: height and width are at least this.
    """

    dtype: DTypeLike
    channels: int
    to_rgb: Callable[[NDArray[Any]], NDArray[Any]]
    chroma_half_rows: int = 0
    multiples: tuple[int, int] = (1, 1)
    smallest: int = 1


def _unchanged(pixels: NDArray[Any]) -> NDArray[Any]:
    return pixels


def _opencv(code: int) -> Callable[[NDArray[Any]], NDArray[Any]]:
    return lambda pixels: cv2.cvtColor(pixels, code)


def _nv24_to_rgb(planes: NDArray[Any]) -> NDArray[Any]:
    """A luma plane (H, W), followed by U and V for each pixel, in rows of 2 W values."""
    height, width = planes.shape[0] // 3, planes.shape[1]
    brightness = planes[:height, :, 0]
    chroma = planes[height:, :, 0].reshape(height, width, 2)
    # OpenCV has no such conversion: every pixel becomes two equal pixels of UYVY.
    pairs = np.stack([chroma[:, :, 0], brightness, chroma[:, :, 1], brightness], axis=-1)
    uyvy = pairs.reshape(height, 2 * width, 2)
    return np.asarray(cv2.cvtColor(uyvy, cv2.COLOR_YUV2RGB_UYVY)[:, ::2])


def _bayer(bits: int) -> dict[str, ColorEncoding]:
    dtype = np.dtype(f"u{bits // 8}")
    codes = {
        "rggb": cv2.COLOR_BayerRGGB2RGB,
        "bggr": cv2.COLOR_BayerBGGR2RGB,
        "gbrg": cv2.COLOR_BayerGBRG2RGB,
        "grbg": cv2.COLOR_BayerGRBG2RGB,
    }
    # Below 3 pixels, OpenCV makes black pixels.
    return {
        f"bayer_{pattern}{bits}": ColorEncoding(dtype, 1, _opencv(code), smallest=3)
        for pattern, code in codes.items()
    }


_BGR, _GRAY = _opencv(cv2.COLOR_BGR2RGB), _opencv(cv2.COLOR_GRAY2RGB)
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
    "mono8": ColorEncoding(np.uint8, 1, _GRAY),
    "rgb16": ColorEncoding(np.uint16, 3, _unchanged),
    "bgr16": ColorEncoding(np.uint16, 3, _BGR),
    "rgba16": ColorEncoding(np.uint16, 4, _RGBA),
    "bgra16": ColorEncoding(np.uint16, 4, _BGRA),
    "mono16": ColorEncoding(np.uint16, 1, _GRAY),
    "8UC1": ColorEncoding(np.uint8, 1, _GRAY),
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
"""Depth encodings: pixel type and default meters per unit."""

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
    """An encoding as spelled in the tables of this module; unchanged if unknown."""
    return _SPELLINGS.get(encoding.lower(), encoding)


def image_array(
    message: Message, dtype: DTypeLike, channels: int, rows: int | None = None
) -> NDArray[Any]:
    """Pixels (rows, W, channels) in native byte order, without padding.

    Args:
        message: an image.
        dtype: of the values.
        channels: values per pixel.
        rows: number of rows in the data; by default the height of the image.

    Raises:
        SpatialError: BAD_INPUT when size, step and data are inconsistent.
    """
    rows = message.height if rows is None else rows
    row_bytes = message.width * channels * np.dtype(dtype).itemsize
    needed = message.step * rows
    if message.height == 0 or message.width == 0 or message.step < row_bytes:
        raise _wrong(
            message,
            f"needs rows of at least {row_bytes} bytes and at least one pixel, but its step is "
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
    """Check that the step does not imply more bytes per pixel than the encoding has.

    Padding that adds up to a whole number of bytes per pixel comes from a wrong encoding, which
    would show a part of the image, stretched.

    Raises:
        SpatialError: BAD_INPUT when it does.
    """
    if message.width < SMALLEST_CAMERA_WIDTH or message.step <= message.width * pixel_bytes:
        return
    found, rest = divmod(message.step, message.width)
    if rest == 0 and found in COMMON_PIXEL_BYTES:
        raise _wrong(
            message,
            f"has {pixel_bytes} bytes per pixel, but its step of {message.step} implies {found}: "
            "the encoding does not match the data, or the rows are those of a wider image",
        )


def rgb_pixels(message: Message) -> NDArray[np.uint8]:
    """Color uint8 (H, W, 3) in RGB order; monochrome images become gray.

    Raises:
        SpatialError: BAD_INPUT for an encoding that is not in `COLOR_ENCODINGS`, or data that do
            not match it.
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
            f"is invalid: height and width must be multiples of {tall} and {wide}, and at least "
            f"{smallest}",
        )
    rows = message.height * (2 + encoding.chroma_half_rows) // 2
    pixels = image_array(message, encoding.dtype, encoding.channels, rows)
    rgb = encoding.to_rgb(pixels)
    if rgb.dtype == np.uint16:
        rgb = cv2.convertScaleAbs(rgb, alpha=255 / 65535)
    return np.ascontiguousarray(rgb)


def depth_encoding(encoding: str) -> tuple[DTypeLike, float]:
    """Pixel type and meters per unit.

    Raises:
        SpatialError: BAD_INPUT for an encoding that is not in `DEPTH_ENCODINGS`.
    """
    try:
        return DEPTH_ENCODINGS[canonical(encoding)]
    except KeyError:
        visualized = COLOR_ENCODINGS.get(canonical(encoding))
        is_visualization = visualized is not None and visualized.dtype == np.uint8
        reason = " (8 bits show depth, but do not measure it)" if is_visualization else ""
        raise bad_input(
            f"a depth image must be one of {', '.join(DEPTH_ENCODINGS)}, got {encoding!r}{reason}; "
            "is `depth` remapped to the correct topic?"
        ) from None


def depth_pixels(message: Message) -> tuple[NDArray[Any], float]:
    """Depth (H, W) as stored, and meters per unit according to the encoding.

    Raises:
        SpatialError: BAD_INPUT for an encoding that is not in `DEPTH_ENCODINGS`, or data that do
            not fit it.
    """
    dtype, scale = depth_encoding(message.encoding)
    check_step(message, np.dtype(dtype).itemsize)
    return image_array(message, dtype, 1)[:, :, 0], scale


def id_pixels(message: Message) -> NDArray[Any]:
    """Region ids (H, W) of an instance image, integers.

    Raises:
        SpatialError: BAD_INPUT for an encoding that is not in `INSTANCE_ENCODINGS`, or data that do
            not fit it.
    """
    dtype = INSTANCE_ENCODINGS.get(canonical(message.encoding))
    if dtype is None:
        raise bad_input(
            f"an instance image must be one of {', '.join(INSTANCE_ENCODINGS)}, got "
            f"{message.encoding!r}; is `instances` remapped to the correct topic?"
        )
    check_step(message, np.dtype(dtype).itemsize)
    return image_array(message, dtype, 1)[:, :, 0]


def _wrong(message: Message, problem: str) -> SpatialError:
    return bad_input(
        f"a {message.encoding} image of {message.width}x{message.height} {problem}; the driver "
        "fills sensor_msgs/Image incorrectly"
    )
