"""Reads pickles as plain values: `python -m ...`, a program of its own.

Files from elsewhere are unpickled where nothing else is. PyTorch builds tensors and plain
values only (`weights_only`), a restriction that has been bypassed before; this process can write no
file. Requests come on standard input and replies go to standard output, each behind its length. A
request is the content of a file of `torch.save`; a reply begins with `READ`, followed by an `.npz`
as `packed` writes it, or with `REFUSED` and the reason.
"""

from __future__ import annotations

import io
import json
import resource
import struct
import sys
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from smolrgpt_core.plain_pickles import load_plain

READ, REFUSED = b"+", b"-"

LENGTH = struct.Struct(">Q")
"""Precedes each request and reply: its length in bytes."""

TREE = "tree"
"""Array of the `.npz` with the values as JSON; the others are tensors, by number."""

ARRAY_KEY = "\0array"
"""{ARRAY_KEY: number} stands for a tensor."""

MAX_VALUES = 2**21
"""Limit for one pickle; one that repeats references to a list can expand to more than it holds."""

MAX_NUMBERS = 2**26
"""Limit for all tensors of one pickle together."""


def main() -> None:
    """Answer requests until standard input ends."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    while header := sys.stdin.buffer.read(LENGTH.size):
        content = sys.stdin.buffer.read(LENGTH.unpack(header)[0])
        send(sys.stdout.buffer, reply_to(content))


def send(stream: BinaryIO, message: bytes) -> None:
    """Write one request or reply."""
    stream.write(LENGTH.pack(len(message)))
    stream.write(message)
    stream.flush()


def reply_to(content: bytes) -> bytes:
    """The reply to the content of a file of `torch.save`."""
    try:
        return READ + packed(load_plain(io.BytesIO(content)))
    except (ValueError, TypeError, RuntimeError, RecursionError) as error:
        # Tensors may also be of kinds that have no array, and lists too deep.
        return REFUSED + str(error).encode()


def packed(value: Any) -> bytes:
    """Plain values and tensors as an `.npz`.

    Raises:
        ValueError: there is something else in it, or more than a record has.
    """
    writer = _Writer()
    tree = json.dumps(writer.plain(value)).encode()
    named: dict[str, Any] = {str(number): array for number, array in enumerate(writer.arrays)}
    named[TREE] = np.frombuffer(tree, np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **named)
    return buffer.getvalue()


class _Writer:
    """Values as JSON has them, with tensors set apart."""

    def __init__(self) -> None:
        self.arrays: list[NDArray] = []
        self._values = 0
        self._numbers = 0

    def plain(self, value: Any) -> Any:
        self._values += 1
        if self._values > MAX_VALUES:
            raise ValueError(f"it has more than {MAX_VALUES} values")
        if value is None or isinstance(value, (bool, int, float, str)):
            return value
        if isinstance(value, (list, tuple)):
            return [self.plain(item) for item in value]
        if isinstance(value, dict):
            return {self._key(key): self.plain(item) for key, item in value.items()}
        if isinstance(value, torch.Tensor):
            return {ARRAY_KEY: self._array(value)}
        kind = type(value)
        raise ValueError(
            "expected tensors, dictionaries, lists, texts and numbers, found "
            f"{kind.__module__}.{kind.__qualname__}"
        )

    def _key(self, key: Any) -> str:
        if not isinstance(key, (str, int)) or key == ARRAY_KEY:
            raise ValueError(f"expected keys that are texts or numbers, found {key!r:.40}")
        return str(key)

    def _array(self, tensor: torch.Tensor) -> int:
        # Before it is copied: a view may claim far more than its file holds.
        self._numbers += tensor.numel()
        if self._numbers > MAX_NUMBERS:
            raise ValueError(f"its tensors have more than {MAX_NUMBERS} numbers")
        if tensor.is_floating_point():
            tensor = tensor.to(torch.float32)
        self.arrays.append(tensor.detach().numpy())
        return len(self.arrays) - 1


if __name__ == "__main__":
    main()
