"""A data set of annotations on disk with one layout: samples by number."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.data.json_entries import GroupMembers, JsonEntries
from smolrgpt_core.data.readers.config import DatasetConfig
from smolrgpt_core.data.readers.iteration import Order, ReaderPart, SampleBlock, part_of_block
from smolrgpt_core.data.samples import Sample, merged
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import file_error

logger = logging.getLogger(__name__)


class Entries(Protocol):
    """Entries of an annotation file by number, and which of them are about one image."""

    @property
    def path(self) -> Path:
        """The file, for error messages."""
        ...

    @property
    def groups(self) -> NDArray[np.int64]:
        """int64 (N,), equal for entries about the same image."""
        ...

    def __len__(self) -> int:
        """Number of entries."""
        ...

    def __getitem__(self, index: int) -> Any:
        """One entry as stored."""
        ...


class AnnotatedDataset:
    """Samples of annotations on disk.

    Attributes:
        root: of the data set.
    """

    def __init__(
        self,
        config: DatasetConfig,
        grouped: bool,
        entries: Entries,
        sample_of: Callable[[Any], Sample],
    ) -> None:
        """Keep what is needed to read samples; reads none.

        Args:
            config: of the data set.
            grouped: whether all questions about one image become one sample.
            entries: its annotations.
            sample_of: reads one of them; raises SpatialError when it is broken.
        """
        self.root = config.root
        self._entries = entries
        self._sample_of = sample_of
        first = config.first_images or len(entries)
        self._used = np.flatnonzero(entries.groups < first)
        groups = entries.groups[self._used] if grouped else np.arange(len(self._used))
        self._members = GroupMembers(groups)

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._members)

    def __getitem__(self, index: int) -> Sample:
        """One sample.

        Raises:
            SpatialError: BAD_INPUT that names file and record.
        """
        return merged([self._sample(int(self._used[place])) for place in self._members[index]])

    def blocks(self, order: Order, part: ReaderPart) -> Sequence[Callable[[], SampleBlock]]:
        """One block: the samples of this reader."""
        return [part_of_block(self, order, part)]

    def _sample(self, number: int) -> Sample:
        entry = self._entries[number]
        try:
            return self._sample_of(entry)
        except SpatialError as error:
            raise file_error(self._entries.path, f"record {number}: {error}") from error


def json_entries(config: DatasetConfig, path: Path, image_field: str) -> JsonEntries:
    """Entries of a JSON file, grouped by the image that they name.

    A file that is cut off is used as far as it goes, with an error in the log.

    Args:
        config: of the data set; its index folder is used.
        path: of the JSON file.
        image_field: name of the field with the image of an entry.

    Raises:
        SpatialError: BAD_INPUT when there is not one entry to be read.
    """

    def image_of(entry: Any) -> str:
        return str(entry.get(image_field)) if isinstance(entry, dict) else ""

    entries = JsonEntries.scan(path, image_of, config.cache)
    if entries.damage:
        logger.error("%s: %s", path, entries.damage)
    return entries


def inside(folder: Path, name: str) -> Path:
    """A file in a folder.

    Raises:
        SpatialError: BAD_INPUT for a name that leads out of the folder.
    """
    if not name or Path(name).is_absolute() or ".." in Path(name).parts:
        raise file_error(folder, f"a file must be in this folder, got {name!r}")
    return folder / name
