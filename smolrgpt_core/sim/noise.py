"""Adds the noise of a stereo RGB-D camera to a perfect frame: depth errors, holes, exposure.

The defaults follow a RealSense D455 (baseline 95 mm, global shutter) and its usual filters.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.depth import PLAUSIBLE_DEPTH_M
from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.object_classes import ZONE, known_class
from smolrgpt_core.regions import Region, RegionSet


@dataclass(frozen=True)
class SensorNoise:
    """Strength of every disturbance; 0 switches one off.

    Attributes:
        depth_noise_per_m: standard deviation of depth in meters at 1 m; it grows with the square
            of the distance.
        depth_noise_patch_px: size of the patches in which stereo matching errs alike, pixels.
        depth_step_m: depth is rounded to multiples of this.
        min_range_m: nearer surfaces have no reading.
        dropout_fraction: pixels that lose their reading one by one.
        dropout_blobs: mean number of larger holes in an image (poor texture, glare).
        dropout_blob_px: mean diameter of a hole, pixels of an image 640 wide.
        edge_jump_ratio: a step in depth of more than this fraction of the distance makes an edge.
        flying_fraction: pixels beside an edge whose reading lies between the two surfaces.
        edge_dropout_fraction: pixels beside an edge that lose their reading.
        exposure_deviation: relative standard deviation of the brightness of an image.
        white_balance_deviation: relative standard deviation of the red and blue gain.
        color_noise: standard deviation of a gray value of 128, of 255; shot noise.
        object_dropout_fraction: objects without any reading, each by itself: glass, black wrap,
            what lies beyond the range of the camera. Zones on the floor keep theirs.
        mask_edge_px: masks grow or shrink by up to this many pixels, each on its own.

    Raises:
        SpatialError: BAD_INPUT, naming the field that is wrong.
    """

    depth_noise_per_m: float = 0.0018
    depth_noise_patch_px: float = 3.0
    depth_step_m: float = 0.001
    min_range_m: float = 0.4
    dropout_fraction: float = 0.01
    dropout_blobs: float = 6.0
    dropout_blob_px: float = 14.0
    edge_jump_ratio: float = 0.05
    flying_fraction: float = 0.35
    edge_dropout_fraction: float = 0.35
    exposure_deviation: float = 0.08
    white_balance_deviation: float = 0.03
    color_noise: float = 3.0
    object_dropout_fraction: float = 0.0
    mask_edge_px: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            highest = 1.0 if field.name.endswith(("fraction", "ratio", "deviation")) else 1000.0
            if not 0 <= value <= highest:
                raise bad_input(
                    f"SensorNoise.{field.name} must lie within 0 to {highest:g}, got {value!r}",
                )
        if self.flying_fraction + self.edge_dropout_fraction > 1:
            raise bad_input(
                "SensorNoise.flying_fraction + edge_dropout_fraction must be at most 1, got "
                f"{self.flying_fraction + self.edge_dropout_fraction}",
            )


def apply_sensor_noise(frame: RGBDFrame, noise: SensorNoise, rng: np.random.Generator) -> RGBDFrame:
    """A new frame with noise on color, depth and masks; the given one is unchanged.

    Args:
        frame: without noise.
        noise: strength of each effect.
        rng: random numbers.
    """
    noisy = replace(
        frame,
        rgb=noisy_color(frame.rgb, noise, rng),
        depth=noisy_depth(frame.depth, noise, rng),
        regions=noisy_regions(frame.regions, noise, rng),
    )
    _lose_objects(noisy.depth, frame.regions, noise, rng)
    return noisy


def _lose_objects(
    depth: NDArray[np.float32], regions: RegionSet, noise: SensorNoise, rng: np.random.Generator
) -> None:
    """Remove the readings of whole objects from a depth image (H, W)."""
    if noise.object_dropout_fraction == 0:
        return
    for region in regions:
        is_lost = rng.random() < noise.object_dropout_fraction
        if is_lost and known_class(region.label) != ZONE:
            depth[regions.full_mask(region.id)] = np.nan


def noisy_depth(
    depth: NDArray[np.float32], noise: SensorNoise, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Depth with noise, float32 (H, W), meters, NaN = no reading; holes only grow.

    Args:
        depth: float32 (H, W), meters, NaN = no reading.
        noise: strength of each effect.
        rng: random numbers.
    """
    result = _mix_at_edges(depth, noise, rng)
    patch = _smooth_noise(depth.shape, noise.depth_noise_patch_px, rng)
    result += patch * (noise.depth_noise_per_m * np.square(result))
    if noise.depth_step_m > 0:
        result = np.round(result / noise.depth_step_m) * np.float32(noise.depth_step_m)
    lost = rng.random(depth.shape) < noise.dropout_fraction
    lost |= _blobs(depth.shape, noise, rng)
    with np.errstate(invalid="ignore"):
        lost |= result < max(noise.min_range_m, 1e-3)
        lost |= result > PLAUSIBLE_DEPTH_M[1]
    result[lost] = np.nan
    return result.astype(np.float32)


def noisy_color(
    rgb: NDArray[np.uint8], noise: SensorNoise, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) with changed exposure and white balance, and shot noise.

    Args:
        rgb: uint8 (H, W, 3).
        noise: strength of each effect.
        rng: random numbers.
    """
    exposure = 1.0 + rng.normal(0, noise.exposure_deviation)
    red, blue = 1.0 + rng.normal(0, noise.white_balance_deviation, size=2)
    gain = np.array([red, 1.0, blue], np.float32) * np.float32(max(exposure, 0.2))
    image = rgb * gain
    grain = rng.standard_normal(rgb.shape, dtype=np.float32)
    image += grain * (noise.color_noise * np.sqrt(np.maximum(image, 8.0) / 128.0))
    return np.clip(np.round(image), 0, 255).astype(np.uint8)


def noisy_regions(regions: RegionSet, noise: SensorNoise, rng: np.random.Generator) -> RegionSet:
    """Every mask grown or shrunk by some pixels; a mask that would vanish is unchanged.

    Args:
        regions: without noise.
        noise: strength of each effect.
        rng: random numbers.
    """
    if noise.mask_edge_px == 0:
        return regions
    shifted = []
    for region in regions:
        step = int(rng.integers(-noise.mask_edge_px, noise.mask_edge_px + 1))
        mask = _shift_edge(regions.full_mask(region.id), step)
        changed = Region.from_bitmap(region.id, region.label, mask) if mask.any() else region
        shifted.append(changed)
    return RegionSet(regions.image_size, tuple(shifted))


def _mix_at_edges(
    depth: NDArray[np.float32], noise: SensorNoise, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Depth in which pixels beside a jump lie between the surfaces, or are lost."""
    seen = np.nan_to_num(depth, nan=0.0)
    kernel = np.ones((3, 3), np.uint8)
    near = cv2.erode(np.where(seen > 0, seen, np.inf).astype(np.float32), kernel)
    far = cv2.dilate(seen, kernel)
    edge = (seen > 0) & _depth_edges(seen, noise.edge_jump_ratio)
    draw = rng.random(depth.shape)
    flying = edge & (draw < noise.flying_fraction)
    lost = edge & (draw > 1.0 - noise.edge_dropout_fraction)
    mix = rng.random(depth.shape, dtype=np.float32)[flying]
    result = depth.copy()
    result[flying] = near[flying] + mix * (far[flying] - near[flying])
    result[lost] = np.nan
    return result


def _depth_edges(seen: NDArray[np.float32], jump_ratio: float) -> NDArray[np.bool_]:
    """(H, W) bool: pixels beside a step. Inverse depth is linear on a plane, however slanted."""
    inverse = np.divide(1.0, seen, out=np.zeros_like(seen), where=seen > 0)
    return np.abs(cv2.Laplacian(inverse, cv2.CV_32F)) > jump_ratio * np.maximum(inverse, 1e-6)


def _smooth_noise(
    shape: tuple[int, ...], patch_px: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """(H, W) noise with standard deviation 1 that is alike within a patch."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    if patch_px <= 1:
        return noise
    noise = cv2.GaussianBlur(noise, (0, 0), patch_px / 2)
    return noise / max(float(noise.std()), 1e-6)


def _blobs(
    shape: tuple[int, ...], noise: SensorNoise, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(H, W) bool: larger holes of irregular form."""
    holes = np.zeros(shape, np.uint8)
    scale = shape[1] / 640.0
    for _ in range(rng.poisson(noise.dropout_blobs)):
        center = (int(rng.integers(shape[1])), int(rng.integers(shape[0])))
        axes = np.maximum(1, rng.gamma(3.0, noise.dropout_blob_px / 6.0, size=2) * scale)
        angle = float(rng.uniform(0, 180))
        cv2.ellipse(holes, center, (int(axes[0]), int(axes[1])), angle, 0, 360, 1, -1)
    return holes.astype(bool)


def _shift_edge(mask: NDArray[np.bool_], step: int) -> NDArray[np.bool_]:
    """The mask (H, W) grown by step pixels, or shrunk if negative."""
    if step == 0:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(step) + 1,) * 2)
    change = cv2.dilate if step > 0 else cv2.erode
    return change(mask.astype(np.uint8), kernel).astype(bool)
