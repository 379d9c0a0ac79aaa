"""Pickles of a shard, read by a process of their own, see `pickled_values`."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import bad_input
from smolrgpt_core.hispatial_data.pickled_values import ARRAY_KEY, LENGTH, READ, TREE, send

PROGRAM = "smolrgpt_core.hispatial_data.pickled_values"


class Unpickler:
    """Reads pickles; use it in a `with` statement. The process starts with the first one."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Unpickler:
        return self

    def __exit__(self, *exception: object) -> None:
        self._end()

    def read(self, content: bytes) -> Any:
        """The values of a file of `torch.save`: as JSON has them, with arrays for tensors.

        Args:
            content: of the file.

        Raises:
            SpatialError: BAD_INPUT when it holds anything else, or cannot be read.
        """
        if self._process is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Ctrl-C ends this process, which ends that one.
                start_new_session=True,
            )
        try:
            reply = _asked(self._process, content)
        except (OSError, EOFError) as error:
            status = self._end()
            raise bad_input(
                f"a pickle ended the process that reads it (exit status {status})"
            ) from error
        except BaseException:
            # A reply that nobody took would be taken for that to the next pickle.
            self._end()
            raise
        if not reply.startswith(READ):
            raise bad_input(f"a pickle is refused: {reply[1:].decode(errors='replace')}")
        with np.load(io.BytesIO(reply[1:]), allow_pickle=False) as arrays:
            return _with_arrays(json.loads(arrays[TREE].tobytes()), arrays)

    def _end(self) -> int | None:
        """Stop the process; its exit status."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.kill()
        assert process.stdin is not None
        # What it has not taken is lost with it.
        with suppress(BrokenPipeError):
            process.stdin.close()
        with process:
            return process.wait()


def _asked(process: subprocess.Popen[bytes], content: bytes) -> bytes:
    assert process.stdin is not None
    assert process.stdout is not None
    send(process.stdin, content)  # type: ignore[arg-type]
    header = process.stdout.read(LENGTH.size)
    length = LENGTH.unpack(header)[0] if len(header) == LENGTH.size else 0
    reply = process.stdout.read(length)
    if not reply or len(reply) != length:
        raise EOFError
    return reply


def _with_arrays(value: Any, arrays: Any) -> Any:
    if isinstance(value, list):
        return [_with_arrays(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    if ARRAY_KEY in value:
        array: NDArray = arrays[str(value[ARRAY_KEY])]
        return array
    return {key: _with_arrays(item, arrays) for key, item in value.items()}
