"""The frame that a person asks about, from files and, where there are none, from models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
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

if TYPE_CHECKING:
    from smolrgpt_core.perception.stages import DepthEstimator, RegionFinder

READ_IMAGE, READ_DEPTH, READ_REGIONS = "Read the image", "Read the depth", "Read the regions"
LOAD_DEPTH_MODEL, ESTIMATE_DEPTH = "Load the depth model", "Estimate the depth"
LOAD_FINDER, FIND_OBJECTS = "Load the model of objects", "Find the objects"
"""Stages of `read_frame`."""

OnStage = Callable[[str], None]
"""Called with the name of each stage before it begins."""


@dataclass(frozen=True)
class FrameFiles:
    """Files of one frame, and how to read them.

    Attributes:
        rgb: color image.
        depth: depth image or array, aligned to the color image; None: a model estimates it.
        regions: region file or instance image; None: a model finds the objects.
        pinhole: fx, fy, cx, cy in pixels; None: as the depth model estimates.
        meters_per_unit: scale of the depth file; None: by its data type.
        labels: labels by id, and the label map.
        limits: depth outside of them counts as no reading.
        max_side: a photograph is reduced to this many pixels on its longer side; None: as it is.
        image_name: of the color image in a region file; empty: that of its own file.
    """

    rgb: Path
    depth: Path | None
    regions: Path | None
    pinhole: tuple[float, ...] | None
    meters_per_unit: float | None = None
    labels: RegionLabels = field(default_factory=RegionLabels)
    limits: DepthLimits = field(default_factory=DepthLimits)
    max_side: int | None = None
    image_name: str = ""

    @property
    def is_photograph(self) -> bool:
        """Whether no other file is aligned to the pixels of the image."""
        return self.depth is None and self.regions is None


@dataclass(frozen=True)
class FrameModels:
    """Models by folder or hub id, in place of files; see `RegionFinderSettings`.

    A model is loaded with its first use, and stays.
    """

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

    @cached_property
    def depth_estimator(self) -> DepthEstimator:
        """The depth model.

        Raises:
            SpatialError: BAD_INPUT when it cannot be used.
            ImportError: a package that it needs is missing.
        """
        from smolrgpt_core.perception.depth import load_depth_estimator

        with _bad_model():
            return load_depth_estimator(self.depth, "auto")

    @cached_property
    def region_finder(self) -> RegionFinder:
        """What finds the objects; see `depth_estimator`."""
        from smolrgpt_core.perception.regions import load_region_finder

        with _bad_model():
            return load_region_finder(self.finder_settings())


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


def read_frame(
    files: FrameFiles, models: FrameModels | None = None, on_stage: OnStage = lambda stage: None
) -> RGBDFrame:
    """The frame of an image.

    Args:
        files: of the frame.
        models: in place of missing files.
        on_stage: called before each stage; what it raises ends the reading.

    Raises:
        SpatialError: BAD_INPUT when a file or a model cannot be used, or they do not match.
        ImportError: a package that a model needs is missing.
    """
    models = models or FrameModels()
    on_stage(READ_IMAGE)
    rgb, camera = _image(files)
    depth, intrinsics = _depth(files, models, rgb, camera, on_stage)
    regions = _regions(files, models, rgb, on_stage)
    return RGBDFrame(rgb, depth.meters, intrinsics, regions, depth_loss=depth.loss)


def stages_of(files: FrameFiles) -> tuple[str, ...]:
    """The stages of `read_frame`, in their order."""
    depth = (LOAD_DEPTH_MODEL, ESTIMATE_DEPTH) if files.depth is None else (READ_DEPTH,)
    regions = (LOAD_FINDER, FIND_OBJECTS) if files.regions is None else (READ_REGIONS,)
    return (READ_IMAGE, *depth, *regions)


def _image(files: FrameFiles) -> tuple[NDArray[np.uint8], CameraIntrinsics | None]:
    """The image with its calibration; a photograph upright, and of the size that is wanted."""
    rgb = read_rgb(files.rgb, is_turned=files.is_photograph)
    height, width = rgb.shape[:2]
    camera = CameraIntrinsics(width, height, *files.pinhole) if files.pinhole else None
    longer = max(height, width)
    if not files.is_photograph or files.max_side is None or longer <= files.max_side:
        return rgb, camera
    scale = files.max_side / longer
    height, width = max(1, round(height * scale)), max(1, round(width * scale))
    reduced = cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(reduced, np.uint8), camera and _scaled(camera, width, height)


def _scaled(camera: CameraIntrinsics, width: int, height: int) -> CameraIntrinsics:
    across, down = width / camera.width, height / camera.height
    cx, cy = (camera.cx + 0.5) * across - 0.5, (camera.cy + 0.5) * down - 0.5
    return CameraIntrinsics(width, height, camera.fx * across, camera.fy * down, cx, cy)


def _depth(
    files: FrameFiles,
    models: FrameModels,
    rgb: NDArray[np.uint8],
    intrinsics: CameraIntrinsics | None,
    on_stage: OnStage,
) -> tuple[DepthReadings, CameraIntrinsics]:
    if files.depth is not None:
        on_stage(READ_DEPTH)
        assert intrinsics is not None
        return read_depth_readings(files.depth, files.meters_per_unit, files.limits), intrinsics
    on_stage(LOAD_DEPTH_MODEL)
    estimator = models.depth_estimator
    on_stage(ESTIMATE_DEPTH)
    estimate = estimator.estimate(rgb, intrinsics)
    if estimate.intrinsics is None:
        raise bad_input(
            f"{models.depth} estimates no focal length; give --intrinsics, or a model that does, "
            "such as apple/DepthPro-hf"
        )
    return depth_readings(estimate.depth, 1.0, files.limits), estimate.intrinsics


def _regions(
    files: FrameFiles, models: FrameModels, rgb: NDArray[np.uint8], on_stage: OnStage
) -> RegionSet:
    if files.regions is not None:
        on_stage(READ_REGIONS)
        image_name = files.image_name or files.rgb.name
        return read_regions(files.regions, rgb.shape[:2], files.labels, image_name)
    on_stage(LOAD_FINDER)
    finder = models.region_finder
    on_stage(FIND_OBJECTS)
    return files.labels.label_map.apply(finder.find(rgb))


@contextmanager
def _bad_model() -> Iterator[None]:
    """A checkpoint that cannot be used is a refusal with its reason."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise bad_input(str(error)) from error
