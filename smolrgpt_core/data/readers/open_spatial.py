r"""Reads the Open Spatial Dataset of SpatialRGPT: 900,000 open images with questions about regions.

    DIR/result_10_depth_convs.json      a JSON list of about 30 GB (JSON Lines are read as well)
        [{"filename": "da0f505346a22fa7",               no suffix
          "conversations": [{"from": "human", "value": "<image>\nIs <mask> <depth> wider ..."},
                            {"from": "gpt", "value": "Region [0] is ..."}, ...],    several turns
          "rle": [{"size": [H, W], "counts": "..."}, ...],    one for each <mask> of all turns
          "bbox": [[x1, y1, x2, y2], ...]}]                   the same regions; not used
    DIR/images/FILENAME.jpg             from Open Images V7
    DIR/depths/FILENAME.png             8 bit depth visualization, three equal channels, no unit

Sources: README.md and llava/data/datasets_mixture.py of the repository AnjieCheng/SpatialRGPT, and
public listings of entries of a8cheng/OpenSpatialDataset. Images and depth are not part of the
release: images come from Open Images, depth is made with Depth Anything V2 as that README says, so
that their folders are settings (`images`, `depths`). "Region [k]" in an answer counts from 0 in
each turn anew. The file is scanned once; with `index_folder` set, the next start is immediate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from smolrgpt_core.data.readers.annotated import AnnotatedDataset, inside, json_entries
from smolrgpt_core.data.readers.config import DatasetConfig
from smolrgpt_core.data.samples import DepthFile, ImageFile, Sample, sample_of
from smolrgpt_core.data.warehouse_format import WarehouseRecord

ANNOTATIONS = "result_10_depth_convs.json"
IMAGES = "images"
DEPTHS = "depths"
IMAGE_SUFFIX = ".jpg"
DEPTH_SUFFIX = ".png"


def open_layout(config: DatasetConfig, grouped: bool) -> AnnotatedDataset:
    """All conversations; the set has no splits.

    Raises:
        SpatialError: BAD_INPUT when the annotations cannot be read.
    """
    path = inside(config.folder, config.annotations or ANNOTATIONS)
    layout = _OpenSpatialLayout(config)
    return AnnotatedDataset(config, grouped, json_entries(config, path, "filename"), layout.sample)


class _OpenSpatialLayout:
    def __init__(self, config: DatasetConfig) -> None:
        self._images = config.folder / (config.images or IMAGES)
        self._depths = config.folder / (config.depths or DEPTHS)
        self._depth_scale = config.depth_scale

    def sample(self, entry: Any) -> Sample:
        # Apart from its name of the image, an entry has the fields of a record of the warehouse.
        if isinstance(entry, Mapping):
            name = entry.get("filename")
            entry = {"id": entry.get("id", name), "image": name, **entry}
        record = WarehouseRecord.from_json(entry)
        return sample_of(
            record,
            ImageFile(inside(self._images, record.image + IMAGE_SUFFIX)),
            DepthFile(
                inside(self._depths, record.image + DEPTH_SUFFIX),
                meters_per_unit=self._depth_scale,
            ),
        )
