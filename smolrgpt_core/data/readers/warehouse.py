"""Reads PhysicalAI-Spatial-Intelligence-Warehouse, and what is written in its layout.

See `smolrgpt_core.data.warehouse_format`. The public set has no `cameras.json`; its 16 bit depth is
then read with the `depth_scale` of the configuration.
"""

from __future__ import annotations

from typing import Any

from smolrgpt_core.data.readers.annotated import AnnotatedDataset, json_entries
from smolrgpt_core.data.readers.config import DatasetConfig
from smolrgpt_core.data.samples import Annotation, DepthFile, ImageFile
from smolrgpt_core.data.warehouse_format import CameraRecord, SplitFolder, WarehouseRecord


def open_layout(config: DatasetConfig) -> AnnotatedDataset:
    """The questions of one split.

    Raises:
        SpatialError: BAD_INPUT when annotations or cameras cannot be read.
    """
    folder = SplitFolder(config.folder, config.split)
    layout = _WarehouseLayout(config, folder)
    return AnnotatedDataset(
        config, json_entries(config, folder.records_path, "image"), layout.annotation
    )


class _WarehouseLayout:
    def __init__(self, config: DatasetConfig, folder: SplitFolder) -> None:
        self._folder = folder
        self._depth_scale = config.depth_scale
        self._cameras: dict[str, CameraRecord] = {}
        if folder.cameras_path.is_file():
            self._cameras = folder.read_cameras()

    def annotation(self, entry: Any) -> Annotation:
        record = WarehouseRecord.from_json(entry)
        camera = self._cameras.get(record.image)
        return annotation_of_record(
            record,
            ImageFile(self._folder.image_path(record.image)),
            DepthFile(
                self._folder.depth_path(record.image),
                metres_per_unit=camera.depth_scale if camera else self._depth_scale,
            ),
            camera,
        )


def annotation_of_record(
    record: WarehouseRecord, image: ImageFile, depth: DepthFile, camera: CameraRecord | None
) -> Annotation:
    """A record with its files, wherever those are."""
    return Annotation(
        id=record.id,
        image=image,
        turns=record.conversations,
        rle=record.rle,
        depth=depth,
        camera=camera,
        category=record.category,
        normalized_answer=record.normalized_answer,
    )
