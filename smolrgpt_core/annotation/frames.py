"""One image with its depth, calibration and regions, from files or from models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.annotation.filters import (
    NO_CALIBRATION,
    NO_DEPTH,
    NO_REGIONS,
    UNREADABLE,
    PhotographFilter,
    SkippedError,
    check_photograph,
)
from smolrgpt_core.annotation.settings import Sources
from smolrgpt_core.data.warehouse_format import CameraRecord, read_camera_records
from smolrgpt_core.depth import DepthReadings, depth_readings
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import read_depth_readings, read_rgb
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.perception.stages import (
    BoxDetector,
    BoxSegmenter,
    DepthEstimator,
    ImageTextModel,
    RegionFinder,
)
from smolrgpt_core.region_files import read_regions
from smolrgpt_core.region_files.reading import READERS
from smolrgpt_core.regions import RegionSet

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
DEPTH_SUFFIXES = (".png", ".tif", ".tiff", ".exr", ".npy")


@dataclass(frozen=True)
class Models:
    """The models named in the sources; None where a file, or nothing, replaces them."""

    depth: DepthEstimator | None = None
    regions: RegionFinder | None = None
    detector: BoxDetector | None = None
    box_segmenter: BoxSegmenter | None = None
    words: ImageTextModel | None = None


def load_models(sources: Sources) -> Models:
    """Load the models named in the sources.

    Raises:
        OSError: there is no such checkpoint, or it cannot be read; the message names it.
        SpatialError: BAD_INPUT for a checkpoint of another kind, or models that do not go together.
        ImportError: a package for models is missing.
    """
    try:
        return _load(sources)
    except ValueError as error:
        raise bad_input(str(error)) from error


def _load(sources: Sources) -> Models:
    depth = regions = detector = segmenter = words = None
    if sources.depth_model:
        from smolrgpt_core.perception.depth import load_depth_estimator

        depth = load_depth_estimator(sources.depth_model, sources.device)
    if sources.regions is None:
        from smolrgpt_core.perception.regions import RegionFinderSettings, load_region_finder

        regions = load_region_finder(
            RegionFinderSettings(
                sources.segmenter,
                "" if sources.segmenter else sources.detector,
                "" if sources.segmenter else sources.box_segmenter,
                sources.classes,
                device=sources.device,
            )
        )
    if sources.caption_model:
        from smolrgpt_core.perception.captions import load_image_text_model
        from smolrgpt_core.perception.detection import load_box_detector
        from smolrgpt_core.perception.masks import load_box_segmenter

        words = load_image_text_model(sources.caption_model, sources.device)
        detector = load_box_detector(sources.detector, sources.device)
        segmenter = load_box_segmenter(sources.box_segmenter, sources.device)
    return Models(depth, regions, detector, segmenter, words)


def images_in(folder: Path) -> list[Path]:
    """The images of a folder, by name.

    Raises:
        SpatialError: BAD_INPUT when there are none, or two of the same stem.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise bad_input(
            f"{folder}: expected images ({', '.join(IMAGE_SUFFIXES)}), found none; give the folder "
            "that holds them"
        )
    stems: dict[str, Path] = {}
    for path in found:
        if stems.setdefault(path.stem, path) != path:
            raise bad_input(
                f"{path} and {stems[path.stem].name} have the same name but for the suffix, so "
                "their depth and regions cannot be distinguished; rename one of them"
            )
    return found


class FrameReader:
    """Makes frames from images, one after another.

    Args:
        sources: where depth, regions and calibrations come from.
        photographs: which images are used.
        models: that the sources name.

    Raises:
        SpatialError: BAD_INPUT when the file of calibrations cannot be used.
    """

    def __init__(self, sources: Sources, photographs: PhotographFilter, models: Models) -> None:
        self._sources, self._photographs, self._models = sources, photographs, models
        self._cameras: Mapping[str, CameraRecord] = (
            read_camera_records(sources.cameras) if sources.cameras else {}
        )

    def read(self, image: Path) -> RGBDFrame:
        """The frame of an image.

        Raises:
            SkippedError: the image is skipped, with the reason.
        """
        with skipping(UNREADABLE):
            rgb = read_rgb(image)
        self._photographs.check_color(rgb)
        if self._models.words is not None:
            check_photograph(rgb, self._models.words)
        with skipping(NO_CALIBRATION):
            camera = self._camera(image, rgb)
        depth, intrinsics = self._depth(image, rgb, camera)
        self._photographs.check_depth(depth.meters)
        regions = self._regions(image, rgb)
        up = self._sources.up
        with skipping(UNREADABLE):
            return RGBDFrame(
                rgb,
                depth.meters,
                intrinsics,
                regions,
                depth_loss=depth.loss,
                up=None if up is None else np.asarray(up, dtype=np.float64),
                camera_height=self._sources.camera_height,
            )

    def _camera(self, image: Path, rgb: NDArray[np.uint8]) -> CameraRecord | None:
        height, width = rgb.shape[:2]
        if self._sources.focal is not None:
            return CameraRecord(CameraIntrinsics(width, height, *self._sources.focal))
        if self._sources.cameras is None:
            return None
        if image.name not in self._cameras:
            raise bad_input(f"{self._sources.cameras} has no calibration of {image.name}")
        return self._cameras[image.name]

    def _depth(
        self, image: Path, rgb: NDArray[np.uint8], camera: CameraRecord | None
    ) -> tuple[DepthReadings, CameraIntrinsics]:
        intrinsics = camera.intrinsics if camera else None
        with skipping(NO_DEPTH):
            if self._models.depth is not None:
                estimate = self._models.depth.estimate(rgb, intrinsics)
                intrinsics = estimate.intrinsics
                readings = depth_readings(estimate.depth, 1.0, self._sources.limits)
            else:
                path = _beside(self._sources.depth, image, DEPTH_SUFFIXES, "_depth")
                scale = self._sources.depth_scale
                if scale is None and self._sources.cameras is not None and camera is not None:
                    scale = camera.depth_scale
                readings = read_depth_readings(path, scale, self._sources.limits)
        if intrinsics is None:
            raise SkippedError(
                NO_CALIBRATION, "give it, or a depth model that estimates the focal length"
            )
        return readings, intrinsics

    def _regions(self, image: Path, rgb: NDArray[np.uint8]) -> RegionSet:
        source = self._sources.regions
        with skipping(NO_REGIONS):
            if source is None:
                assert self._models.regions is not None
                found = self._models.regions.find(rgb)
            else:
                path = source if source.is_file() else _beside(source, image, tuple(READERS), "")
                found = read_regions(path, rgb.shape[:2], self._sources.labels, image.name)
        if source is None:
            found = self._sources.labels.label_map.apply(found)
        if not len(found):
            raise SkippedError(NO_REGIONS, "no object was found")
        return found


def _beside(folder: Path | None, image: Path, suffixes: tuple[str, ...], tail: str) -> Path:
    """The file of the same stem in another folder.

    Raises:
        SpatialError: BAD_INPUT when there is none, or there are several.
    """
    assert folder is not None
    names = [f"{stem}{suffix}" for stem in dict.fromkeys((image.stem, image.stem + tail))
             for suffix in suffixes]  # fmt: skip
    found = [folder / name for name in names if (folder / name).is_file()]
    if len(found) != 1:
        raise bad_input(
            f"expected one file of {folder} for {image.name}, such as {names[0]}, found "
            f"{', '.join(path.name for path in found) or 'none'}"
        )
    return found[0]


@contextmanager
def skipping(reason: str) -> Iterator[None]:
    """Skip the image with this reason if an input cannot be used.

    Raises:
        SkippedError: the input cannot be used.
    """
    try:
        yield
    except SpatialError as error:
        raise SkippedError(reason, error.message) from error
