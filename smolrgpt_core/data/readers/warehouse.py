"""Reads PhysicalAI-Spatial-Intelligence-Warehouse, and what is written in its layout.

See `smolrgpt_core.data.warehouse_format`. The public set has no `cameras.json`; its 16 bit depth is
then read with the `depth_scale` of the configuration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from smolrgpt_core.data.readers.annotated import AnnotatedDataset, json_entries
from smolrgpt_core.data.readers.config import DatasetConfig
from smolrgpt_core.data.samples import DepthFile, ImageFile, Sample, sample_of
from smolrgpt_core.data.warehouse_format import CameraRecord, SplitFolder, WarehouseRecord


def open_layout(config: DatasetConfig, grouped: bool = False) -> AnnotatedDataset:
    """The questions of one split.

    Raises:
        SpatialError: BAD_INPUT when annotations or cameras cannot be read.
    """
    folder = SplitFolder(config.folder, config.split)
    layout = _WarehouseLayout(config, folder)
    return AnnotatedDataset(
        config, grouped, json_entries(config, folder.records_path, "image"), layout.sample
    )


class _WarehouseLayout:
    def __init__(self, config: DatasetConfig, folder: SplitFolder) -> None:
        self._folder = folder
        self._depth_scale = config.depth_scale
        self._depths = config.folder / config.depths if config.depths else None
        self._cameras: dict[str, CameraRecord] = {}
        if folder.cameras_path.is_file():
            self._cameras = folder.read_cameras()

    def sample(self, entry: Any) -> Sample:
        record = WarehouseRecord.from_json(entry)
        camera = self._cameras.get(record.image)
        return sample_of(
            record,
            ImageFile(self._folder.image_path(record.image)),
            DepthFile(
                self._depth_path(record.image),
                meters_per_unit=camera.depth_scale if camera else self._depth_scale,
            ),
            camera,
        )

    def _depth_path(self, image: str) -> Path:
        path = self._folder.depth_path(image)
        return self._depths / path.name if self._depths else path
