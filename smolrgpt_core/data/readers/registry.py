"""Which reader reads which layout. A reader is imported when it is used."""

from __future__ import annotations

import importlib

from smolrgpt_core.data.readers.config import DatasetConfig
from smolrgpt_core.data.readers.iteration import SampleDataset
from smolrgpt_core.errors import SpatialError, Status

READERS = {
    "warehouse": "warehouse",
    "official": "official_parquet",
    "llava": "llava_chat",
    "open_spatial": "open_spatial",
    "shards": "shards",
}
"""Module in this package by kind; each has `open_layout(config) -> SampleDataset`."""


def open_dataset(config: DatasetConfig) -> SampleDataset:
    """Open a data set; its pictures are read only when a sample is asked for them.

    Raises:
        SpatialError: BAD_INPUT for an unknown kind, or annotations that cannot be read.
        ImportError: a package of the extra `data` is not installed; the message names it.
    """
    if config.kind not in READERS:
        known = ", ".join(READERS)
        raise SpatialError(
            Status.BAD_INPUT, f"kind of a data set must be one of {known}, got {config.kind!r}"
        )
    module = importlib.import_module(f"smolrgpt_core.data.readers.{READERS[config.kind]}")
    dataset: SampleDataset = module.open_layout(config)
    return dataset
