"""Writes a split as WebDataset tar shards, for training from network storage.

    DIR/shards/SPLIT-000000.tar
        000012_03.png           color
        000012_03.depth.png     16 bit depth
        000012_03.json          {"image", "camera", "records"}

`camera` is the entry of `cameras.json`, `records` are the entries of `SPLIT.json` about this image.
The same content gives the same bytes: headers carry neither times nor owners.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from smolrgpt_core.data.warehouse_format import CameraRecord, SplitFolder, WarehouseRecord
from smolrgpt_core.files import write_file

SHARDS = "shards"
"""Folder of the shards in that of the data set."""

ImageRecords = tuple[str, CameraRecord, Sequence[WarehouseRecord]]
"""Name of an image, its camera, and the questions about it."""


def write_shards(folder: SplitFolder, images: Iterable[ImageRecords], shard_images: int) -> int:
    """Write the shards of one split, each completely or not at all.

    Args:
        folder: with the image files.
        images: in the order of the shards.
        shard_images: images in each shard; the last one may have fewer.

    Returns:
        The number of shards.
    """
    waiting = iter(images)
    count = 0
    while content := list(islice(waiting, shard_images)):
        path = folder.root / SHARDS / f"{folder.split}-{count:06}.tar"
        write_file(path, _tar(member for image in content for member in _members(folder, *image)))
        count += 1
    return count


def _members(
    folder: SplitFolder, image: str, camera: CameraRecord, records: Sequence[WarehouseRecord]
) -> Iterator[tuple[str, bytes]]:
    """File names and contents of one sample."""
    key = Path(image).stem
    yield f"{key}.png", folder.image_path(image).read_bytes()
    yield f"{key}.depth.png", folder.depth_path(image).read_bytes()
    sample = {
        "image": image,
        "camera": camera.to_json(),
        "records": [record.to_json() for record in records],
    }
    yield f"{key}.json", json.dumps(sample).encode()


def _tar(members: Iterable[tuple[str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    # The format is fixed: the default of tarfile may change with the version of Python.
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members:
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return buffer.getvalue()
