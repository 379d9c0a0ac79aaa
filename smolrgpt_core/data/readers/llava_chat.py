r"""Reads LLaVA-CC3M-Pretrain-595K: captions of images, without depth and regions.

    DIR/chat.json       [{"id", "image": "GCC_train_002582585.jpg", "conversations":
                          [{"from": "human", "value": "Describe the image.\n<image>"},
                           {"from": "gpt", "value": "..."}]}]
    DIR/images/NAME     or DIR/NAME, depending on how the archive was unpacked: set `images`

The placeholder `<image>` stands at the beginning or at the end of the first question.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from smolrgpt_core.data.readers.annotated import AnnotatedDataset, inside, json_entries
from smolrgpt_core.data.readers.config import DatasetConfig
from smolrgpt_core.data.samples import ImageFile, Sample, sample_of
from smolrgpt_core.data.warehouse_format import WarehouseRecord

ANNOTATIONS = "chat.json"
IMAGES = "images"


def open_layout(config: DatasetConfig, grouped: bool) -> AnnotatedDataset:
    """All conversations; the set has no splits.

    Raises:
        SpatialError: BAD_INPUT when the annotations cannot be read.
    """
    path = inside(config.folder, config.annotations or ANNOTATIONS)
    images = config.folder / (config.images or IMAGES)
    return AnnotatedDataset(
        config, grouped, json_entries(config, path, "image"), partial(_sample, images)
    )


def _sample(images: Path, entry: Any) -> Sample:
    record = WarehouseRecord.from_json(entry)
    return sample_of(record, ImageFile(inside(images, record.image)))
