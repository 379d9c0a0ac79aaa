"""The frame that `smolrgpt ask` asks about, from files and, where there are none, from models."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.depth import DepthLimits, DepthReadings, depth_readings
from smolrgpt_core.errors import bad_input
from smolrgpt_core.files import read_depth_readings, read_rgb
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.perception.settings import RegionFinderSettings
from smolrgpt_core.region_files import read_regions
from smolrgpt_core.regions import RegionSet


@dataclass(frozen=True)
class FrameFiles:
    """Files of one frame, and how to read them.

    Attributes:
        rgb: color image.
        depth: depth image or array, aligned to the color image; None: a model estimates it.
        regions: region file or instance image; None: a model finds the objects.
        pinhole: fx, fy, cx, cy in pixels; None: as the depth model estimates.
        metres_per_unit: scale of the depth file; None: by its data type.
        labels: labels by id, and the label map.
        limits: depth outside of them counts as no reading.
    """

    rgb: Path
    depth: Path | None
    regions: Path | None
    pinhole: tuple[float, ...] | None
    metres_per_unit: float | None = None
    labels: RegionLabels = field(default_factory=RegionLabels)
    limits: DepthLimits = field(default_factory=DepthLimits)


@dataclass(frozen=True)
class FrameModels:
    """Models by folder or hub id, in place of files; see `RegionFinderSettings`."""

    depth: str = ""
    segmenter: str = ""
    detector: str = ""
    box_segmenter: str = ""
    classes: tuple[str, ...] = ()

    def finder_settings(self) -> RegionFinderSettings:
        """Which models find the objects.

        Raises:
            SpatialError: BAD_INPUT when they do not go together.
        """
        try:
            return RegionFinderSettings(
                self.segmenter, self.detector, self.box_segmenter, self.classes, device="auto"
            )
        except ValueError as error:
            raise bad_input(str(error)) from error


def check_sources(files: FrameFiles, models: FrameModels) -> None:
    """Check that everything comes from one place.

    Raises:
        SpatialError: BAD_INPUT when something is given twice, or not at all.
    """
    if (files.depth is None) == (not models.depth):
        raise bad_input("depth comes from a file or from a model: give --depth or --depth-model")
    if files.depth is not None and files.pinhole is None:
        raise bad_input("a depth file needs the calibration of its camera: give --intrinsics")
    if files.regions is None:
        models.finder_settings()
    elif models.segmenter or models.detector or models.box_segmenter:
        raise bad_input(
            "objects come from a file or from a model: give --regions, or the names of models"
        )


def read_frame(files: FrameFiles, models: FrameModels | None = None) -> RGBDFrame:
    """The frame of an image.

    Args:
        files: of the frame.
        models: in place of missing files.

    Raises:
        SpatialError: BAD_INPUT when a file or a model cannot be used, or they do not match.
    """
    models = models or FrameModels()
    rgb = read_rgb(files.rgb)
    depth, intrinsics = _depth(files, models.depth, rgb)
    regions = _regions(files, models, rgb)
    return RGBDFrame(rgb, depth.metres, intrinsics, regions, depth_loss=depth.loss)


def _depth(
    files: FrameFiles, model: str, rgb: NDArray[np.uint8]
) -> tuple[DepthReadings, CameraIntrinsics]:
    height, width = rgb.shape[:2]
    given = CameraIntrinsics(width, height, *files.pinhole) if files.pinhole else None
    if files.depth is not None:
        assert given is not None
        return read_depth_readings(files.depth, files.metres_per_unit, files.limits), given
    from smolrgpt_core.perception.depth import load_depth_estimator

    with _bad_model():
        estimator = load_depth_estimator(model, "auto")
    estimate = estimator.estimate(rgb, given)
    if estimate.intrinsics is None:
        raise bad_input(
            f"{model} estimates no focal length; give --intrinsics, or a model that does, such as "
            "apple/DepthPro-hf"
        )
    return depth_readings(estimate.depth, 1.0, files.limits), estimate.intrinsics


def _regions(files: FrameFiles, models: FrameModels, rgb: NDArray[np.uint8]) -> RegionSet:
    if files.regions is not None:
        return read_regions(files.regions, rgb.shape[:2], files.labels, files.rgb.name)
    from smolrgpt_core.perception.regions import load_region_finder

    with _bad_model():
        finder = load_region_finder(models.finder_settings())
    return files.labels.label_map.apply(finder.find(rgb))


@contextmanager
def _bad_model() -> Iterator[None]:
    """A checkpoint that cannot be used is a refusal with its reason."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise bad_input(str(error)) from error
