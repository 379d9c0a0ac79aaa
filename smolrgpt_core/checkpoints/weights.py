"""The weights of a checkpoint on disk, in one file or in several, and their fingerprint."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from smolrgpt_core.files import file_error, read_json

WEIGHTS_FILE = "model.safetensors"

INDEX_FILE = "model.safetensors.index.json"
"""Says which tensor is in which file, where `save_pretrained` wrote several."""

_BLOCK_BYTES = 2**20

_SHA256 = re.compile("[0-9a-f]{64}")

_MAX_HEADER_BYTES = 10**8
"""As the format allows."""


@dataclass(frozen=True)
class _Tensor:
    """A tensor in a file: bytes `begin` to `end`."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def weights_files(find: Callable[[str], Path | None]) -> list[Path]:
    """The files with the weights of a checkpoint; empty where there are none.

    Args:
        find: gives the path of a file of the checkpoint by its name, None where it has none.

    Raises:
        SpatialError: BAD_INPUT when the index cannot be used, or a file that it names is missing.
    """
    whole = find(WEIGHTS_FILE)
    if whole is not None:
        return [whole]
    index = find(INDEX_FILE)
    if index is None:
        return []
    content = read_json(index)
    places = content.get("weight_map") if isinstance(content, Mapping) else None
    if not isinstance(places, Mapping) or not places:
        raise file_error(index, "expected an object with `weight_map`, the file of each tensor")
    found = []
    for name in sorted(set(map(str, places.values()))):
        # A name from the outside must not lead out of the checkpoint.
        path = find(name) if Path(name).name == name else None
        if path is None:
            raise file_error(index, f"names the file {name!r}, which the checkpoint lacks")
        found.append(path)
    return found


def in_folder(folder: Path) -> Callable[[str], Path | None]:
    """How `weights_files` finds the files of a folder."""
    return lambda name: folder / name if (folder / name).is_file() else None


def weights_fingerprint(files: Sequence[Path]) -> str:
    """SHA-256 of all tensors: names, types, shapes and bytes, in the order of the names.

    It is that of the weights, however they are spread over files.

    Args:
        files: safetensors.

    Returns:
        64 hexadecimal digits.

    Raises:
        SpatialError: BAD_INPUT that names the file which cannot be read.
    """
    digest = hashlib.sha256()
    tensors: dict[str, _Tensor] = {}
    for path in files:
        tensors |= _tensors_of(path)
    for name, tensor in sorted(tensors.items()):
        digest.update(json.dumps([name, tensor.dtype, tensor.shape]).encode())
        for block in _blocks(tensor):
            digest.update(block)
    return digest.hexdigest()


def check_fingerprint(weights_sha256: str) -> None:
    """Check the fingerprint that a file beside the weights names.

    Raises:
        ValueError: when it is none.
    """
    if not _SHA256.fullmatch(weights_sha256):
        raise ValueError(
            "weights_sha256 must be the 64 hexadecimal digits of the fingerprint of the weights, "
            f"got {weights_sha256!r}, which does not show what weights it was made for; run "
            "`smolrgpt calibrate` again"
        )


def check_weights(path: Path, weights_sha256: str, weights: str) -> None:
    """Check that a file beside the weights was made for them.

    Args:
        path: of the file, for the message.
        weights_sha256: the fingerprint that it names.
        weights: that of the weights.

    Raises:
        SpatialError: BAD_INPUT when it was made for others.
    """
    if weights_sha256 != weights:
        raise file_error(
            path,
            f"it was made for weights with the fingerprint {weights_sha256}, but these have "
            f"{weights}, so it does not apply: run `smolrgpt calibrate` again",
        )


def _tensors_of(path: Path) -> dict[str, _Tensor]:
    """Tensors by name, from the header of a file: its length in 8 bytes, then JSON."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(_read(file, 8), "little")
            if length > _MAX_HEADER_BYTES:
                raise ValueError(f"a header of {length} bytes")
            header: dict[str, Any] = json.loads(_read(file, length))
        header.pop("__metadata__", None)
        return {
            name: _Tensor(
                path,
                entry["dtype"],
                tuple(entry["shape"]),
                *(8 + length + offset for offset in entry["data_offsets"]),
            )
            for name, entry in header.items()
        }
    except OSError as error:
        raise file_error(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise file_error(path, f"expected a safetensors file: {error}") from error


def _blocks(tensor: _Tensor) -> Iterator[bytes]:
    try:
        with tensor.path.open("rb") as file:
            file.seek(tensor.begin)
            for start in range(tensor.begin, tensor.end, _BLOCK_BYTES):
                yield _read(file, min(_BLOCK_BYTES, tensor.end - start))
    except OSError as error:
        raise file_error(tensor.path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise file_error(tensor.path, f"expected a safetensors file: {error}") from error


def _read(file: BinaryIO, count: int) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise ValueError("it ends early")
    return content
