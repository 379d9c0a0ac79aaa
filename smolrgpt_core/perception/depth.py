"""Metric depth from color alone.

Only checkpoints whose depth is in meters are loaded. Relative depth looks the same but has no unit
and often runs the other way round, so a checkpoint that does not say that it is metric is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import AutoModelForDepthEstimation

from smolrgpt_core.errors import SpatialError, Status, bad_input
from smolrgpt_core.frame import PLAUSIBLE_VIEW_DEG, CameraIntrinsics
from smolrgpt_core.perception.images import StretchProcessor, check_rgb, resize_maps
from smolrgpt_core.perception.loading import (
    load_config,
    load_image_processor,
    load_model,
    wrong_kind,
)
from smolrgpt_core.perception.stages import DepthEstimate, DepthEstimator

_WHAT = "a metric depth model"

_DEPTH_PRO_DEFAULTS = {
    "size": {"height": 1536, "width": 1536},
    "image_mean": (0.5, 0.5, 0.5),
    "image_std": (0.5, 0.5, 0.5),
    "rescale_factor": 1 / 255,
}
"""Of transformers' DepthProImageProcessor."""

_FARTHEST_M = 1e4
"""DepthPro's limit of depth: what it puts there has none, such as the sky."""

_ZOE_PADDING = 3
"""ZoeDepth's processor pads a side of n pixels by this times the root of n / 2 at either end."""


def load_depth_estimator(checkpoint: str | Path, device: str = "cpu") -> DepthEstimator:
    """The depth estimator of a checkpoint.

    Args:
        checkpoint: folder or hub id of DepthPro, Depth Anything V2 metric, ZoeDepth or GLPN, or of
            any other kind whose configuration says `depth_estimation_type: metric`.
        device: "auto", or a device of PyTorch.

    Raises:
        OSError: when there is no such checkpoint, or a file of it cannot be read.
        ValueError: when its depth is relative, it is no depth model, its weights are incomplete, or
            there is no such device.
    """
    config = load_config(checkpoint, _WHAT)
    kind = str(config.model_type)
    if kind in _REFUSED:
        raise wrong_kind(checkpoint, kind, _WHAT, _KINDS, _REFUSED[kind])
    depth_kind = getattr(config, "depth_estimation_type", None)
    if depth_kind is not None and depth_kind != "metric":
        raise ValueError(
            f"{_WHAT} must give meters, but the configuration of {str(checkpoint)!r} "
            f"has depth_estimation_type = {depth_kind!r}; use the metric version of this "
            "checkpoint, such as depth-anything/Depth-Anything-V2-Metric-Indoor-Small-hf"
        )
    if kind not in _KINDS and depth_kind is None:
        raise wrong_kind(checkpoint, kind, _WHAT, _KINDS)
    return _KINDS.get(kind, _load_plain)(checkpoint, device)


@dataclass(frozen=True, eq=False)
class PlainDepthEstimator:
    """A model whose output is depth in meters; a calibration does not change it.

    Attributes:
        model: with `predicted_depth` (1, h, w) in its output.
        processor: image processor of transformers.
    """

    model: Any
    processor: Any

    def estimate(
        self, rgb: NDArray[np.uint8], intrinsics: CameraIntrinsics | None = None
    ) -> DepthEstimate:
        """The depth of an image; see `DepthEstimator`."""
        check_input(rgb, intrinsics)
        depth = resize_maps(self._predict(rgb), rgb.shape[:2])[0]
        return DepthEstimate(_meters(depth), intrinsics)

    @torch.inference_mode()
    def _predict(self, rgb: NDArray[np.uint8]) -> Tensor:
        pixels = self.processor(images=rgb, return_tensors="pt")["pixel_values"]
        return self.model(pixel_values=pixels.to(self.model.device)).predicted_depth


@dataclass(frozen=True, eq=False)
class ZoeDepthEstimator(PlainDepthEstimator):
    """ZoeDepth: the processor pads the image by reflection, which is cut off again."""

    def estimate(
        self, rgb: NDArray[np.uint8], intrinsics: CameraIntrinsics | None = None
    ) -> DepthEstimate:
        """The depth of an image; see `DepthEstimator`."""
        check_input(rgb, intrinsics)
        height, width = rgb.shape[:2]
        above, left = (
            _zoe_padding(side) if self.processor.do_pad else 0 for side in (height, width)
        )
        padded = resize_maps(self._predict(rgb), (height + 2 * above, width + 2 * left))[0]
        depth = padded[above : above + height, left : left + width]
        return DepthEstimate(_meters(depth), intrinsics)


@dataclass(frozen=True, eq=False)
class DepthProEstimator:
    """DepthPro: depth relative to the focal length, which is given or estimated.

    Attributes:
        model: gives `predicted_depth` (1, h, w), the inverse depth of a camera whose focal length
            is the image width, and `field_of_view` (1,), horizontal, degrees, unless it has no head
            for it.
        processor: of the image.
    """

    model: Any
    processor: StretchProcessor

    @torch.inference_mode()
    def estimate(
        self, rgb: NDArray[np.uint8], intrinsics: CameraIntrinsics | None = None
    ) -> DepthEstimate:
        """The depth of an image; see `DepthEstimator`.

        Raises:
            SpatialError: BAD_INPUT without a calibration if the checkpoint estimates none;
                MODEL_ERROR when it estimates a field of view that no camera has.
        """
        check_input(rgb, intrinsics)
        output = self.model(pixel_values=self.processor(rgb).to(self.model.device))
        height, width = rgb.shape[:2]
        if intrinsics is None:
            intrinsics = _seen_camera(output.field_of_view, width, height)
        inverse = resize_maps(output.predicted_depth, (height, width))[0] * width / intrinsics.fx
        depth = torch.where(inverse > 1 / _FARTHEST_M, 1 / inverse, torch.nan)
        return DepthEstimate(_meters(depth), intrinsics)


def check_input(rgb: NDArray[np.uint8], intrinsics: CameraIntrinsics | None) -> None:
    """Check an image and its calibration.

    Raises:
        SpatialError: BAD_INPUT when the image is not uint8 (H, W, 3), or the calibration is of an
            image of another size.
    """
    check_rgb(rgb)
    if intrinsics is not None and (intrinsics.height, intrinsics.width) != rgb.shape[:2]:
        raise bad_input(
            f"the calibration is for {intrinsics.width}x{intrinsics.height} pixels, but the image "
            f"has {rgb.shape[1]}x{rgb.shape[0]}; give the calibration of this image"
        )


def _seen_camera(field_of_view: Tensor | None, width: int, height: int) -> CameraIntrinsics:
    """The camera by the estimated horizontal field of view (1,) in degrees."""
    if field_of_view is None:
        raise bad_input(
            "this DepthPro checkpoint estimates no field of view (use_fov_model = false), so its "
            "depth has no scale without a calibration; give the calibration of the camera"
        )
    degrees, (low, high) = float(field_of_view[0]), PLAUSIBLE_VIEW_DEG
    if not low <= degrees <= high:
        raise SpatialError(
            Status.MODEL_ERROR,
            f"DepthPro estimates a field of view of {degrees:.4g} degrees, expected {low:g} to "
            f"{high:g}; give the calibration of the camera",
        )
    focal = 0.5 * width / math.tan(0.5 * math.radians(degrees))
    return CameraIntrinsics(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)


def _meters(depth: Tensor) -> NDArray[np.float32]:
    """Float32 (H, W) on the CPU, NaN where the model gives no positive number."""
    values = depth.float().cpu().numpy()
    with np.errstate(invalid="ignore"):
        return np.where(np.isfinite(values) & (values > 0), values, np.float32(np.nan))


def _zoe_padding(pixels: int) -> int:
    return int(math.sqrt(pixels / 2) * _ZOE_PADDING)


def _load_plain(checkpoint: str | Path, device: str) -> DepthEstimator:
    model = load_model(AutoModelForDepthEstimation, checkpoint, device, _WHAT)
    return PlainDepthEstimator(model, load_image_processor(checkpoint))


def _load_zoe_depth(checkpoint: str | Path, device: str) -> DepthEstimator:
    model = load_model(AutoModelForDepthEstimation, checkpoint, device, _WHAT)
    return ZoeDepthEstimator(model, load_image_processor(checkpoint))


def _load_depth_pro(checkpoint: str | Path, device: str) -> DepthEstimator:
    model = load_model(AutoModelForDepthEstimation, checkpoint, device, _WHAT)
    # Its processor resizes after it normalized, which is the same, and does not average.
    processor = StretchProcessor.from_pretrained(checkpoint, _DEPTH_PRO_DEFAULTS, antialias=False)
    return DepthProEstimator(model, processor)


_KINDS: dict[str, Callable[[str | Path, str], DepthEstimator]] = {
    "depth_anything": _load_plain,
    "depth_pro": _load_depth_pro,
    "glpn": _load_plain,
    "zoedepth": _load_zoe_depth,
}
"""By `model_type` of a checkpoint."""

_REFUSED = {
    "dpt": "DPT and MiDaS give relative inverse depth without a unit",
    "prompt_depth_anything": "it needs the depth of a sensor as a prompt, which this stage does "
    "not have",
    "chmv2": "it gives the height of trees seen from above, not the distance from the camera",
}
"""Kinds of depth models that do not give the meters of an image, and why."""
