"""Reading images and depth from files, and writing files atomically.

Reads one aligned frame at a time; data sets have their own readers in `smolrgpt_core.data`. Every
error names the file, what was expected and what was found.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.depth import DepthLimits, DepthReadings, depth_readings, depth_to_units
from smolrgpt_core.errors import SpatialError, Status

METERS_PER_UNIT = {"uint16": 0.001, "float32": 1.0, "float64": 1.0}
"""Default depth scale by data type: 16 bit images are in millimeters, float images in meters."""


def read_rgb(
    path: Path, content: bytes | None = None, is_turned: bool = False
) -> NDArray[np.uint8]:
    """A color image, uint8 (H, W, 3) RGB, as stored: a rotation flag in the file is ignored.

    Args:
        path: an image in a format that OpenCV reads.
        content: of the file, if already in memory, such as from an archive.
        is_turned: turn the image by its rotation flag; what is aligned to the pixels as stored
            no longer fits then.

    Raises:
        SpatialError: BAD_INPUT when the file is not an image.
    """
    flags = cv2.IMREAD_COLOR | (0 if is_turned else cv2.IMREAD_IGNORE_ORIENTATION)
    bgr = decode_image(path, flags, "a color image", content)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), dtype=np.uint8)


def read_depth(path: Path, meters_per_unit: float | None = None) -> NDArray[np.float32]:
    """Depth, float32 (H, W), meters, NaN where there is no reading: see `read_depth_readings`."""
    return read_depth_readings(path, meters_per_unit).meters


def read_depth_readings(
    path: Path, meters_per_unit: float | None = None, limits: DepthLimits | None = None
) -> DepthReadings:
    """The readings of a depth file, and how much of it was rejected.

    Args:
        path: a 16 bit image in millimeters, or a float image or `.npy` array in meters.
        meters_per_unit: overrides the unit; required for every other data type.
        limits: range of the camera; None: the defaults.

    Raises:
        SpatialError: BAD_INPUT when the file is not a depth image, or its unit is unknown.
    """
    raw = read_plane(path, "a depth image")
    if meters_per_unit is None:
        meters_per_unit = METERS_PER_UNIT.get(raw.dtype.name)
    if meters_per_unit is None:
        raise file_error(
            path,
            "expected 16 bit depth in millimeters or float depth in meters, found "
            f"{raw.dtype}: such an image is usually a visualization without a unit; if it is "
            "metric depth, give the depth scale (meters per unit)",
        )
    try:
        return depth_readings(raw, meters_per_unit, limits)
    except SpatialError as error:
        raise type(error)(error.status, f"{path}: {error.message}") from error


def read_plane(path: Path, expected: str) -> NDArray:
    """One number per pixel, (H, W), from an image or `.npy` file, as stored.

    Args:
        path: an image in a format that OpenCV reads, or a NumPy array.
        expected: what it should be, for the error message.

    Raises:
        SpatialError: BAD_INPUT when the file cannot be read or has several numbers per pixel.
    """
    if path.suffix.lower() == ".npy":
        array = load_array(path, expected)
    else:
        array = decode_image(path, cv2.IMREAD_UNCHANGED, expected)
    if array.ndim != 2 or array.dtype.kind not in "uif":
        raise file_error(
            path,
            f"expected {expected} with one number per pixel (height, width), found "
            f"{array.dtype} {array.shape}",
        )
    return array


def decode_image(path: Path, flags: int, expected: str, content: bytes | None = None) -> NDArray:
    """An image as OpenCV decodes it; `cv2.imread` would only print a warning for a missing file.

    Args:
        path: of the file.
        flags: `cv2.IMREAD_*`.
        expected: what it should be, for the error message.
        content: of the file, if already in memory.

    Raises:
        SpatialError: BAD_INPUT when the file is not an image.
    """
    data = np.frombuffer(read_bytes(path) if content is None else content, dtype=np.uint8)
    try:
        image = cv2.imdecode(data, flags) if data.size else None
    except cv2.error as error:
        raise file_error(path, f"expected {expected}, but OpenCV reports: {error.err}") from error
    if image is None:
        raise file_error(
            path,
            f"expected {expected}, but OpenCV {cv2.__version__} cannot read this file: it is "
            "damaged, or in a format that this build does not support (PNG always works)",
        )
    return np.asarray(image)


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        SpatialError: BAD_INPUT when it cannot be opened; the message names the file.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise file_error(path, f"cannot be opened: {error.strerror}") from error


def read_json(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        SpatialError: BAD_INPUT when it cannot be read.
    """
    try:
        return json.loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise file_error(path, f"expected JSON: {error}") from error


def read_json_object(path: Path) -> dict[str, Any]:
    """The content of a JSON file that holds an object.

    Raises:
        SpatialError: BAD_INPUT when it cannot be read, or holds anything else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise file_error(path, f"expected an object {{...}}, got {content!r:.40}")
    return content


def write_depth(
    path: Path,
    depth: NDArray[np.float32],
    meters_per_unit: float = METERS_PER_UNIT["uint16"],
) -> None:
    """Write depth as a 16 bit image, 0 where there is no reading.

    Readings beyond 16 bits (over 65.5 m in millimeters) are written as missing.

    Args:
        path: in a format with 16 bits, such as PNG.
        depth: float32 (H, W), meters, NaN = no reading.
        meters_per_unit: scale of the file.
    """
    write_image(path, depth_to_units(depth, meters_per_unit))


def write_image(path: Path, image: NDArray) -> None:
    """Write an image, RGB (H, W, 3) uint8 or single-channel (H, W), in the format of the suffix."""
    write_file(path, encode_image(image, path.suffix))


def encode_image(image: NDArray, suffix: str) -> bytes:
    """An image, RGB (H, W, 3) uint8 or single-channel (H, W), as the bytes of a file.

    Raises:
        ValueError: when OpenCV cannot write this format.
    """
    check_image_suffix(suffix)
    bgr = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
    return bytes(cv2.imencode(suffix, bgr)[1].tobytes())


def check_image_suffix(suffix: str) -> None:
    """Check that images can be written in the format of this suffix.

    Raises:
        ValueError: OpenCV cannot write this format.
    """
    if not cv2.haveImageWriter(f"image{suffix}"):
        raise ValueError(f"images cannot be written as {suffix!r}; use .png or .jpg")


def write_file(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write a file atomically; its folder is created if needed.

    Args:
        path: of the file.
        content: of it, whole or in pieces, which are never all in memory.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with temporary.open("wb") as file:
            file.writelines((content,) if isinstance(content, bytes) else content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A temporary folder to write to; it is renamed to `path` at the end, or removed on an error.

    Raises:
        SpatialError: BAD_INPUT when `path` already exists.
    """
    path = path.resolve()
    if path.exists():
        raise file_error(path, "already exists; choose another name, or remove it")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        temporary.rename(path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


class FileError(SpatialError):
    """A file cannot be used; the message begins with its path."""


def file_error(path: Path, message: str) -> FileError:
    """A BAD_INPUT error for a file that cannot be used; the message begins with its path."""
    return FileError(Status.BAD_INPUT, f"{path}: {message}")


def load_array(path: Path, expected: str) -> NDArray:
    """A NumPy array from an `.npy` file.

    Args:
        path: of the file.
        expected: what it should be, for the error message.

    Raises:
        SpatialError: BAD_INPUT when the file is not an array.
    """
    try:
        return np.asarray(np.load(path, allow_pickle=False))
    except (OSError, ValueError, EOFError) as error:
        raise file_error(path, f"expected {expected} as a NumPy array: {error}") from error
