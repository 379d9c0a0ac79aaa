"""A record of each stream of the released data: image, depth, calibration and questions."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import read_rgb
from smolrgpt_core.hispatial_data.calibrations import (
    CalibratedDepth,
    ca1m_depth,
    general_depth,
    log_depth,
    wild_depth,
)
from smolrgpt_core.hispatial_data.shards import StoredRecord
from smolrgpt_core.hispatial_data.unpickling import Unpickler


class Stream(Enum):
    """Where a record comes from, which is how it is stored."""

    WILD = "wild"
    CA1M = "ca1m"
    GENERAL = "general"


MEMBERS = {
    Stream.WILD: ("jpg", "png", "intrinsics.pt", "pt"),
    Stream.CA1M: ("image.jpg", "depth.npy", "intrinsics.pt", "qa.pt"),
    Stream.GENERAL: ("jpg", "pt", "json"),
}
"""Of each stream, what a record needs; the image comes first."""


@dataclass(frozen=True, eq=False)
class ReleasedRecord:
    """A record that can be used.

    Attributes:
        stream: where it comes from.
        image: content of the JPEG.
        depth: of the image, in its size.
        questions: as the stream has them: lists by level (wild), a list (CA-1M), a conversation.
    """

    stream: Stream
    image: bytes
    depth: CalibratedDepth
    questions: Any


def read_record(stored: StoredRecord, unpickler: Unpickler) -> ReleasedRecord:
    """The content of a record.

    Args:
        stored: as it stands in the shard.
        unpickler: reads its pickles.

    Raises:
        SpatialError: BAD_INPUT that says what is missing or broken.
    """
    if stored.problem:
        raise bad_input(stored.problem)
    members = stored.members
    stream = _stream_of(members)
    missing = [name for name in MEMBERS[stream] if name not in members]
    if missing:
        raise bad_input(
            f"a record without {', '.join(missing)}: expected {', '.join(MEMBERS[stream])} "
            f"({stream.value}), found {', '.join(sorted(members))}"
        )
    image = members[MEMBERS[stream][0]]
    height, width = read_rgb(Path(MEMBERS[stream][0]), image).shape[:2]
    depth, questions = _READERS[stream](members, unpickler)
    return ReleasedRecord(stream, image, depth.resized(height, width), questions)


def _stream_of(members: Mapping[str, bytes]) -> Stream:
    """The stream that most of these members belong to."""
    of_ca1m = {name for name in MEMBERS[Stream.CA1M] if name != "intrinsics.pt"}
    if of_ca1m & members.keys():
        return Stream.CA1M
    if {"png", "intrinsics.pt"} & members.keys():
        return Stream.WILD
    return Stream.GENERAL if "json" in members else Stream.WILD


def _read_wild(members: Mapping[str, bytes], unpickler: Unpickler) -> tuple[CalibratedDepth, Any]:
    meters = log_depth(Path("png"), members["png"])
    depth = wild_depth(meters, _array(_unpickled(members, "intrinsics.pt", unpickler)))
    return depth, _unpickled(members, "pt", unpickler)


def _read_ca1m(members: Mapping[str, bytes], unpickler: Unpickler) -> tuple[CalibratedDepth, Any]:
    try:
        meters = np.lib.format.read_array(io.BytesIO(members["depth.npy"]), allow_pickle=False)
    except (ValueError, MemoryError) as error:
        raise bad_input(f"depth.npy is damaged: {error}") from error
    intrinsics = _unpickled(members, "intrinsics.pt", unpickler)
    depth = ca1m_depth(meters, _field(intrinsics, "K"))
    return depth, _unpickled(members, "qa.pt", unpickler)


def _read_general(
    members: Mapping[str, bytes], unpickler: Unpickler
) -> tuple[CalibratedDepth, Any]:
    try:
        conversation = json.loads(members["json"])
    except (ValueError, RecursionError) as error:
        raise bad_input(f"json is damaged: {error}") from error
    estimate = _unpickled(members, "pt", unpickler)
    return general_depth(_field(estimate, "points"), _field(estimate, "mask")), conversation


_READERS = {
    Stream.WILD: _read_wild,
    Stream.CA1M: _read_ca1m,
    Stream.GENERAL: _read_general,
}


def _unpickled(members: Mapping[str, bytes], name: str, unpickler: Unpickler) -> Any:
    try:
        return unpickler.read(members[name])
    except SpatialError as error:
        raise bad_input(f"{error.message} ({name})") from error


def _field(value: Any, name: str) -> NDArray:
    if not isinstance(value, dict) or name not in value:
        found = sorted(value) if isinstance(value, dict) else type(value).__name__
        raise bad_input(f"expected a dictionary with {name}, found {found!s:.60}")
    return _array(value[name])


def _array(value: Any) -> NDArray:
    """A tensor, or numbers in lists."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise bad_input(f"expected a tensor, found lists of different lengths: {error}") from error
    if array.dtype.kind not in "biuf":
        raise bad_input(f"expected a tensor, found {type(value).__name__}")
    return array
