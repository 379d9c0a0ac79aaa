"""Reads the layout in which the authors of SmolRGPT released their training data.

    DIR/NAME/data/*.parquet               or data/train-*.parquet and data/val*.parquet
        id_db, id, rgb_image, depth_image, rle, texts {user, assistant}, category,
        normalized_answer, dataset_name
    DIR/NAME/[SPLIT/]images/RGB_IMAGE
    DIR/NAME/[SPLIT/]depths/DEPTH_IMAGE

NAME is the `dataset_name` of the row, such as "warehouse-rgbd-smolRGPT". `root` is DIR/NAME; images
are looked for in the folder of the split where there is one. Regions are written as
`<mask_rgb><mask_depth>` in `texts`; `depth_image` and `rle` are null in a set of captions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.data.readers.annotated import AnnotatedDataset, inside
from smolrgpt_core.data.readers.config import DatasetConfig, import_package
from smolrgpt_core.data.samples import DepthFile, ImageFile, Sample, sample_of
from smolrgpt_core.data.warehouse_format import (
    HUMAN,
    MODEL,
    Turn,
    WarehouseRecord,
    masks_of,
    stored_text,
)
from smolrgpt_core.errors import bad_input
from smolrgpt_core.files import file_error

DATA = "data"
IMAGES = "images"
DEPTHS = "depths"


def open_layout(config: DatasetConfig, grouped: bool) -> AnnotatedDataset:
    """The rows of one split; all rows of a data set without splits, whatever `split` says.

    Raises:
        SpatialError: BAD_INPUT when there are no rows, or they cannot be read.
        ImportError: the package `datasets` is not installed.
    """
    files = _parquet_files(config)
    layout = _OfficialLayout(config)
    return AnnotatedDataset(config, grouped, _Rows(files, config.cache), layout.sample)


def _parquet_files(config: DatasetConfig) -> list[Path]:
    if config.annotations:
        return [inside(config.folder, config.annotations)]
    folder = config.folder / DATA
    every = sorted(folder.glob("*.parquet"))
    of_split = [path for path in every if path.name.startswith(config.split)]
    split_names = ("train-", "val", "test-")
    has_splits = len({name for path in every for name in split_names if path.name.startswith(name)})
    files = of_split or ([] if has_splits > 1 else every)
    if not files:
        found = ", ".join(path.name for path in every) or "none"
        raise file_error(folder, f"expected Parquet files of split {config.split!r}, found {found}")
    return files


class _Rows:
    """Rows of Parquet files, in memory only when they are asked for."""

    def __init__(self, files: Sequence[Path], cache: Path | None) -> None:
        self.path = files[0].parent if len(files) > 1 else files[0]
        datasets = import_package("datasets")
        _check_files(files)
        names = [str(path) for path in files]
        try:
            self._rows = datasets.Dataset.from_parquet(
                names, cache_dir=None if cache is None else str(cache)
            )
        except (OSError, ValueError, datasets.exceptions.DatasetGenerationError) as error:
            cause = error.__cause__ or error
            raise file_error(self.path, f"expected Parquet files with rows: {cause}") from error
        _check_columns(self.path, self._rows.column_names)
        self.groups: NDArray[np.int64] = np.unique(
            np.array(self._rows["rgb_image"][:], dtype=object).astype(str), return_inverse=True
        )[1].astype(np.int64)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> Mapping[str, Any]:
        row: Mapping[str, Any] = self._rows[index]
        return row


def _check_files(files: Sequence[Path]) -> None:
    """Name the file that is damaged; `datasets` would only say that one is."""
    parquet = import_package("pyarrow.parquet")
    for path in files:
        try:
            parquet.read_metadata(path)
        except (OSError, ValueError) as error:
            raise file_error(path, f"expected a Parquet file: {error}") from error


def _check_columns(path: Path, columns: Sequence[str]) -> None:
    missing = [name for name in ("rgb_image", "texts") if name not in columns]
    if missing:
        raise file_error(path, f"the column {missing[0]!r} is missing; found {', '.join(columns)}")


class _OfficialLayout:
    def __init__(self, config: DatasetConfig) -> None:
        split = config.folder / config.split
        self._folder = split if split.is_dir() else config.folder
        self._images = config.images or IMAGES
        self._depths = config.depths or DEPTHS
        self._depth_scale = config.depth_scale

    def sample(self, row: Mapping[str, Any]) -> Sample:
        image, depth = _text(row, "rgb_image"), stored_text(row.get("depth_image"))
        ids = (stored_text(row.get(name)) for name in ("id", "id_db", "rgb_image"))
        record = WarehouseRecord(
            next(filter(None, ids), ""),
            image,
            _turns(row["texts"]),
            masks_of(row.get("rle")),
            stored_text(row.get("category")),
            stored_text(row.get("normalized_answer")),
        )
        depth_file = DepthFile(
            inside(self._folder / self._depths, depth), meters_per_unit=self._depth_scale
        ) if depth else None  # fmt: skip
        image_file = ImageFile(inside(self._folder / self._images, image))
        return sample_of(record, image_file, depth_file)


def _turns(texts: Any) -> tuple[Turn, ...]:
    """One pair of question and answer, or a list of them."""
    pairs = texts if isinstance(texts, list) else [texts]
    turns = []
    for pair in pairs:
        if not isinstance(pair, Mapping):
            raise bad_input(f"`texts` must have `user` and `assistant`, got {pair!r:.60}")
        turns.append(Turn(HUMAN, _text(pair, "user")))
        if answer := stored_text(pair.get("assistant")):
            turns.append(Turn(MODEL, answer))
    return tuple(turns)


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    if not isinstance(value, str) or not value:
        raise bad_input(f"`{name}` must be a text that is not empty, got {value!r:.60}")
    return value
