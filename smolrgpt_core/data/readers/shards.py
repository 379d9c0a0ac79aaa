"""Reads WebDataset tar shards as `smolrgpt_core.data.shards` writes them, from disk or a server.

`root` is the folder of the data set or of its shards, one shard, or the address of a shard; an
address with a number in braces, "https://host/train-{000000..000041}.tar", stands for many. Whole
shards are dealt to the readers and read from front to end, each into memory as it is stored; in a
shard the samples are shuffled. A shard that is cut off gives the samples before the cut, then an
error. HTTP needs nothing more; other addresses (s3://, gs://, hf://) are opened by `fsspec` and the
package that it names.
"""

from __future__ import annotations

import json
import re
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.request import urlopen

from smolrgpt_core.data.readers.config import DatasetConfig, import_package
from smolrgpt_core.data.readers.iteration import Order, ReaderPart, SampleBlock, Subset
from smolrgpt_core.data.samples import DepthFile, ImageFile, Sample, merged, sample_of
from smolrgpt_core.data.shards import SHARDS
from smolrgpt_core.data.warehouse_format import CameraRecord, WarehouseRecord
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import file_error

_NUMBERS = re.compile(r"\{(\d+)\.\.(\d+)\}")

DEPTH_MEMBER = "depth.png"
IMAGE_MEMBER = "png"
RECORDS_MEMBER = "json"

SERVER_TIMEOUT_S = 60.0
"""How long a server may be silent."""


def open_layout(config: DatasetConfig, grouped: bool) -> ShardDataset:
    """The shards of one split.

    Raises:
        SpatialError: BAD_INPUT when there are none.
    """
    return ShardDataset(config, grouped, _find_shards(config))


class ShardDataset:
    """Samples in shards.

    Attributes:
        root: of the data set.
        shards: paths or addresses.
    """

    def __init__(self, config: DatasetConfig, grouped: bool, shards: Sequence[str]) -> None:
        self.root = config.root
        self.shards = tuple(shards)
        self._grouped = grouped

    def blocks(self, order: Order, part: ReaderPart) -> Sequence[Callable[[], SampleBlock]]:
        """The shards of one reader, shuffled.

        Raises:
            SpatialError: BAD_INPUT when there are more readers than shards.
        """
        if part.world_size > len(self.shards):
            raise bad_input(
                f"{len(self.shards)} shards are too few for {part.world_size} readers; write "
                "more and smaller shards, or use fewer processes and workers"
            )
        chosen = order.indices(len(self.shards))[part.rank :: part.world_size]
        return [partial(self._read, index, order) for index in chosen]

    def _read(self, index: int, order: Order) -> SampleBlock:
        shard = _Shard(self.shards[index], self._grouped)
        return Subset(shard, order.indices(len(shard), salt=index + 1))


def _find_shards(config: DatasetConfig) -> list[str]:
    """Paths or addresses, in order."""
    root = str(config.root)
    numbers = _NUMBERS.search(root)
    if numbers:
        first, last = numbers.groups()
        counts = range(int(first), int(last) + 1)
        return [_NUMBERS.sub(f"{count:0{len(first)}}", root, count=1) for count in counts]
    if "://" in root or root.endswith(".tar"):
        return [root]
    folders = (config.folder, config.folder / SHARDS)
    found = [path for folder in folders for path in folder.glob(f"{config.split}-*.tar")]
    if not found:
        raise file_error(
            config.folder, f"expected shards {config.split}-*.tar here or in {SHARDS}, found none"
        )
    return [str(path) for path in sorted(found)]


class _Shard:
    """The samples of one shard, encoded, in memory."""

    def __init__(self, address: str, grouped: bool) -> None:
        self._makers: list[Callable[[], Sample]] = []
        try:
            for key, members in _groups(address):
                self._makers += self._samples(Path(address), key, members, grouped)
        except (tarfile.TarError, HTTPException, EOFError, OSError) as error:
            broken = bad_input(f"{address}: the shard cannot be read to its end: {error}")
            if not self._makers:
                raise broken from error
            self._makers.append(partial(_fail, broken))

    def __len__(self) -> int:
        return len(self._makers)

    def __getitem__(self, index: int) -> Sample:
        return self._makers[index]()

    def _samples(
        self, shard: Path, key: str, members: Mapping[str, bytes], grouped: bool
    ) -> list[Callable[[], Sample]]:
        """One for the image, or one for each question about it; the broken ones raise."""
        try:
            makers = _makers(shard / key, members)
        except SpatialError as error:
            return [partial(_fail, error)]
        parts = [makers] if grouped else [[maker] for maker in makers]
        return [partial(_made, shard / key, part) for part in parts]


def _groups(address: str) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Key and members by suffix of each sample; the members of one sample follow each other."""
    key, members = "", dict[str, bytes]()
    with _opened(address) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        for header in archive:
            content = archive.extractfile(header)
            if content is None:
                continue
            name, _, suffix = header.name.partition(".")
            if members and name != key:
                yield key, members
                members = {}
            key = name
            members[suffix] = content.read()
    if members:
        yield key, members


def _opened(address: str) -> AbstractContextManager[IO[bytes]]:
    if "://" not in address:
        return Path(address).open("rb")
    if address.startswith(("http://", "https://")):
        response: AbstractContextManager[IO[bytes]] = urlopen(address, timeout=SERVER_TIMEOUT_S)
        return response
    remote: AbstractContextManager[IO[bytes]] = import_package("fsspec").open(address, "rb")
    return remote


def _makers(place: Path, members: Mapping[str, bytes]) -> list[Callable[[], Sample]]:
    """What makes the sample of each question about the image of one key."""
    for suffix in (IMAGE_MEMBER, DEPTH_MEMBER, RECORDS_MEMBER):
        if suffix not in members:
            raise file_error(place, f"expected a member {place.name}.{suffix}, found none")
    try:
        content: Any = json.loads(members[RECORDS_MEMBER])
        camera = CameraRecord.from_json(content["camera"])
        records = [WarehouseRecord.from_json(entry) for entry in content["records"]]
    except (ValueError, KeyError, TypeError, SpatialError) as error:
        raise file_error(place, f"{place.name}.{RECORDS_MEMBER} is broken: {error}") from error
    image = ImageFile(place.with_name(f"{place.name}.{IMAGE_MEMBER}"), members[IMAGE_MEMBER])
    depth = DepthFile(
        place.with_name(f"{place.name}.{DEPTH_MEMBER}"), members[DEPTH_MEMBER], camera.depth_scale
    )
    return [partial(sample_of, record, image, depth, camera) for record in records]


def _made(place: Path, makers: Sequence[Callable[[], Sample]]) -> Sample:
    try:
        return merged([make() for make in makers])
    except SpatialError as error:
        raise file_error(place, str(error)) from error


def _fail(error: SpatialError) -> Sample:
    raise error
