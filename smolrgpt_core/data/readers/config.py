"""Configuration of a data set, and the reader of each layout."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from smolrgpt_core.data.readers.iteration import SampleDataset
from smolrgpt_core.errors import bad_input
from smolrgpt_core.extras import require
from smolrgpt_core.files import METERS_PER_UNIT

SHARDS = "shards"
"""The kind whose samples have no number."""


@dataclass(frozen=True)
class DatasetConfig:
    """Which data set to read, and from where.

    Attributes:
        kind: layout, a name of `READERS`.
        root: folder of the data set; of shards also the address of a folder or of one shard on a
            server, such as "https://host/shards/train-000000.tar".
        split: "train", "val" or "test", where the layout has splits.
        annotations: file of the annotations in `root`; empty: the name that the layout gives it.
        images: folder of the images in `root`; empty: as the layout has it.
        depths: folder of the depth images in `root`, such as the output of an estimator; empty: as
            the layout has it.
        first_images: use only what is about the first N images; 0: all. Shards have no such order.
        depth_scale: meters per unit of 16 bit depth, where no `cameras.json` says it.
        index_folder: folder for indices of large annotation files, which are then scanned only
            once; empty: they are scanned at every start.

    Raises:
        SpatialError: BAD_INPUT that names the field.
    """

    kind: str
    root: Path | str
    split: str = "train"
    annotations: str = ""
    images: str = ""
    depths: str = ""
    first_images: int = 0
    depth_scale: float = METERS_PER_UNIT["uint16"]
    index_folder: Path | str = ""

    def __post_init__(self) -> None:
        if not self.kind or not str(self.root):
            raise bad_input("kind and root of a data set must not be empty")
        if not self.split or "/" in self.split:
            raise bad_input(f'split must be a name such as "train", got {self.split!r}')
        if self.first_images < 0 or (self.first_images and self.kind == SHARDS):
            raise bad_input(
                "first_images must be 0 or more, and 0 for shards, which are read in stored "
                f"order; got {self.first_images} with {self.kind}",
            )
        if not 0 < self.depth_scale < float("inf"):
            raise bad_input(f"depth_scale must be positive meters per unit, got {self.depth_scale}")

    @property
    def folder(self) -> Path:
        """`root` as a folder on this machine."""
        return Path(self.root)

    @property
    def cache(self) -> Path | None:
        """`index_folder`; None where there is none."""
        return Path(self.index_folder) if self.index_folder else None


READERS = {
    "warehouse": "warehouse",
    "official": "official_parquet",
    "llava": "llava_chat",
    "open_spatial": "open_spatial",
    SHARDS: "shards",
}
"""Module in this package by kind; each has `open_layout(config, grouped) -> SampleDataset`."""


def import_package(package: str) -> ModuleType:
    """A package of the extra `data`, by its name for `import`.

    Raises:
        ImportError: it is not installed; the message says how to install it.
    """
    return require(package, "data", f"this data set needs the package `{package}`")


def open_dataset(config: DatasetConfig, group_by_image: bool = False) -> SampleDataset:
    """Open a data set; images are read only when a sample needs them.

    Args:
        config: of the data set.
        group_by_image: whether all questions about one image become one sample.

    Raises:
        SpatialError: BAD_INPUT for an unknown kind, or annotations that cannot be read.
        ImportError: a package of the extra `data` is not installed; the message names it.
    """
    if config.kind not in READERS:
        known = ", ".join(READERS)
        raise bad_input(f"kind of a data set must be one of {known}, got {config.kind!r}")
    module = importlib.import_module(f"smolrgpt_core.data.readers.{READERS[config.kind]}")
    dataset: SampleDataset = module.open_layout(config, group_by_image)
    return dataset
