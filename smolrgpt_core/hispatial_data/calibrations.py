"""How each stream of the released data writes depth and calibration, see `docs/data_formats.md`."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from smolrgpt_core.errors import bad_input
from smolrgpt_core.files import file_error
from smolrgpt_core.frame import CameraIntrinsics

CA1M_FAR_M = 30.0
"""CA-1M: the authors treat readings from this distance on as invalid."""

MAX_MISFIT_PX = 1.0
"""Points are those of a pinhole camera if nearly all project this close to their pixels."""

_INFINITE_LEVEL = 65535


@dataclass(frozen=True, eq=False)
class CalibratedDepth:
    """Depth with the calibration of its own pixels.

    Attributes:
        meters: float32 (H, W), NaN = no reading, inf = sky.
        camera: of an image of this size.
    """

    meters: NDArray[np.float32]
    camera: CameraIntrinsics

    def resized(self, height: int, width: int) -> CalibratedDepth:
        """Resized to an image of another size: each pixel takes the reading of one pixel.

        Args:
            height: of the image, pixels.
            width: of the image, pixels.
        """
        rows, columns = self.meters.shape
        if (rows, columns) == (height, width):
            return self
        meters = cv2.resize(self.meters, (width, height), interpolation=cv2.INTER_NEAREST)
        across, down = width / columns, height / rows
        camera = replace(
            self.camera,
            width=width,
            height=height,
            fx=self.camera.fx * across,
            fy=self.camera.fy * down,
            # The edges of the outer pixels stay where they are, not the pixels' centers.
            cx=(self.camera.cx + 0.5) * across - 0.5,
            cy=(self.camera.cy + 0.5) * down - 0.5,
        )
        return CalibratedDepth(np.asarray(meters, dtype=np.float32), camera)


def log_depth(path: Path, content: bytes) -> NDArray[np.float32]:
    """Depth (H, W) in meters of a 16-bit PNG on a logarithmic scale; NaN = none, inf = sky.

    Level 0 is no depth and 65535 infinity; the others go from `near` to `far`, which the PNG's
    text chunks hold.

    Args:
        path: names the file in messages.
        content: of the file.

    Raises:
        SpatialError: BAD_INPUT when it is no such image.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            texts, levels = dict(getattr(image, "text", {})), np.asarray(image)
        near, far = float(texts.get("near", "nan")), float(texts.get("far", "nan"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise file_error(path, f"expected a 16-bit PNG: {error}") from error
    is_16_bit = levels.ndim == 2 and levels.dtype in (np.uint16, np.int32)
    if not is_16_bit or not 0 < near < far < float("inf"):
        raise file_error(
            path,
            "expected depth on a logarithmic scale, a 16-bit PNG with the texts near and far, got "
            f"{levels.dtype} {levels.shape} with {texts or 'no texts'}",
        )
    along = (levels.astype(np.float64) - 1) / (_INFINITE_LEVEL - 2)
    depth = near ** (1 - along) * far**along
    depth[levels == 0], depth[levels == _INFINITE_LEVEL] = np.nan, np.inf
    return depth.astype(np.float32)


def wild_depth(meters: NDArray[np.float32], normalized: NDArray[np.floating]) -> CalibratedDepth:
    """Of COYO and Objects365: half-pixel centers, calibration (3, 3) as fractions of the image.

    Args:
        meters: depth (H, W), NaN = none, inf = sky.
        normalized: the calibration.

    Raises:
        SpatialError: BAD_INPUT for a calibration that no camera has.
    """
    height, width = meters.shape
    sizes = np.array([[width], [height], [1.0]])
    pixels = _matrix(normalized) * sizes
    pixels[:2, 2] -= 0.5
    return CalibratedDepth(meters, _camera(pixels, height, width))


def ca1m_depth(meters: NDArray[np.floating], pixels: NDArray[np.floating]) -> CalibratedDepth:
    """Of CA-1M: centers of pixels at whole numbers, calibration (3, 3) in pixels; 0 = no depth.

    Args:
        meters: depth (H, W) in meters, which holds no information from `CA1M_FAR_M` on.
        pixels: the calibration.

    Raises:
        SpatialError: BAD_INPUT for depth that is no depth, or a calibration that no camera has.
    """
    if meters.ndim != 2 or meters.dtype.kind != "f":
        raise bad_input(
            f"expected depth (H, W) in meters, found numbers {meters.dtype} {meters.shape}"
        )
    is_reading = (meters > 0) & (meters < CA1M_FAR_M)
    known = np.where(is_reading, meters, np.nan).astype(np.float32)
    return CalibratedDepth(known, _camera(_matrix(pixels), *meters.shape))


def general_depth(points: NDArray[np.floating], mask: NDArray) -> CalibratedDepth:
    """Of general questions: the points of an estimator, whose calibration follows from them.

    Args:
        points: (H, W, 3) in meters, in the camera's optical frame.
        mask: (H, W), 0 where there is no point.

    Raises:
        SpatialError: BAD_INPUT when they are not points that a pinhole camera sees.
    """
    if points.ndim != 3 or points.shape[2] != 3 or mask.shape != points.shape[:2]:
        raise bad_input(
            f"expected points (H, W, 3) and a mask (H, W), got {points.shape} and {mask.shape}"
        )
    points = points.astype(np.float64)
    valid = (mask > 0) & np.isfinite(points).all(axis=-1) & (points[..., 2] > 0)
    if np.count_nonzero(valid) < 2:
        raise bad_input("a record without depth: none of its points is valid")
    rows, columns = np.nonzero(valid)
    x, y, z = points[valid].T
    fx, cx = _fitted(x / z, columns)
    fy, cy = _fitted(y / z, rows)
    pixels = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    meters = np.where(valid, points[..., 2], np.nan).astype(np.float32)
    return CalibratedDepth(meters, _camera(pixels, *meters.shape))


def _fitted(slopes: NDArray[np.float64], pixels: NDArray[np.intp]) -> tuple[float, float]:
    """Focal length and principal point of points along one axis of the image."""
    if np.ptp(slopes) == 0:
        raise bad_input("its points lie on one line, from which no calibration follows")
    focal, center = np.polyfit(slopes, pixels, 1)
    misfit = float(np.quantile(np.abs(slopes * focal + center - pixels), 0.99))
    if misfit > MAX_MISFIT_PX:
        raise bad_input(
            f"its points are not those of a pinhole camera: they project {misfit:.1f} pixels from "
            f"their own, expected at most {MAX_MISFIT_PX}"
        )
    return float(focal), float(center)


def _matrix(values: NDArray) -> NDArray[np.float64]:
    if values.shape != (3, 3) or values.dtype.kind not in "fiu":
        raise bad_input(f"expected a calibration (3, 3), found {values.dtype} {values.shape}")
    return values.astype(np.float64)


def _camera(pixels: NDArray[np.float64], height: int, width: int) -> CameraIntrinsics:
    fx, fy, cx, cy = pixels[0, 0], pixels[1, 1], pixels[0, 2], pixels[1, 2]
    return CameraIntrinsics(width, height, float(fx), float(fy), float(cx), float(cy))
