"""One sample type for every data set: an image, its depth and masks, and conversations about them.

Images and masks stay encoded until they are asked for, so that a sample costs what its text
costs. Knows nothing of tokens and tensors; the trainer makes those.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.data.warehouse_format import (
    AnswerTruth,
    CameraRecord,
    Turn,
    WarehouseRecord,
    mask_key,
    placeholders_in,
)
from smolrgpt_core.depth import DepthReadings, depth_readings
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import METERS_PER_UNIT, decode_image, file_error, read_rgb
from smolrgpt_core.language import MASK
from smolrgpt_core.regions import check_rle_form, decode_rle


@dataclass(frozen=True)
class ImageFile:
    """A color image that is not decoded yet.

    Attributes:
        path: of the file; of a member of an archive, for error messages.
        content: of the file where it is in memory, as from an archive; None: read from `path`.
    """

    path: Path
    content: bytes | None = field(default=None, repr=False)

    def read(self) -> NDArray[np.uint8]:
        """The image, uint8 (H, W, 3) RGB.

        Raises:
            SpatialError: BAD_INPUT that names the file.
        """
        return read_rgb(self.path, self.content)


@dataclass(frozen=True)
class DepthFile:
    """A depth image that is not decoded yet: 16 bit metric depth, or an 8 bit visualization.

    Attributes:
        path: of the file; of a member of an archive, for error messages.
        content: of the file where it is in memory, as from an archive; None: read from `path`.
        meters_per_unit: of 16 bit depth.
    """

    path: Path
    content: bytes | None = field(default=None, repr=False)
    meters_per_unit: float = METERS_PER_UNIT["uint16"]

    def read(self) -> NDArray[np.uint8] | NDArray[np.uint16]:
        """As stored, (H, W): uint16 in units of `meters_per_unit`, 0 = no reading; or uint8.

        A visualization of depth may have three equal channels in the file.

        Raises:
            SpatialError: BAD_INPUT that names the file.
        """
        levels = decode_image(self.path, cv2.IMREAD_UNCHANGED, "a depth image", self.content)
        if levels.ndim == 3 and bool((levels == levels[..., :1]).all()):
            levels = levels[..., 0]
        if levels.ndim != 2 or levels.dtype not in (np.uint8, np.uint16):
            raise file_error(
                self.path,
                "expected a depth image with 16 or 8 bit and one number for each pixel, found "
                f"{levels.dtype} {levels.shape}",
            )
        return levels

    def read_meters(self) -> NDArray[np.float32]:
        """Depth, float32 (H, W) meters, NaN where there is no reading: see `read_readings`."""
        return self.read_readings().meters

    def read_readings(self) -> DepthReadings:
        """The readings, and the pixels that were rejected.

        Raises:
            SpatialError: BAD_INPUT that names the file; also for a visualization (no unit).
        """
        levels = self.read()
        if levels.dtype != np.uint16:
            raise file_error(
                self.path,
                "expected metric depth (16 bit), found an 8 bit visualization without a unit: "
                "metric questions need the depth itself",
            )
        try:
            return depth_readings(levels, self.meters_per_unit)
        except SpatialError as error:
            raise type(error)(error.status, f"{self.path}: {error.message}") from error


@dataclass(frozen=True)
class Conversation:
    """Questions and answers in turns, about one image.

    Attributes:
        id: of the record that it came from.
        turns: questions and answers, see `warehouse_format.read_dialogue`.
        mask_indices: which of the sample's masks each `<mask>` is, in order through all turns.
        category: "left_right", "count", "distance", "mcq", or as the data set calls it; empty if
            it does not say.
        normalized_answer: the answer in a word or number; empty if unknown.
        reasoning: the answer step by step; empty if there is none.
        truth: what is true of the masks of its first question; None if unknown.

    Raises:
        SpatialError: BAD_INPUT when there is no turn, or the masks do not match the `<mask>`.
    """

    id: str
    turns: tuple[Turn, ...]
    mask_indices: tuple[int, ...] = ()
    category: str = ""
    normalized_answer: str = ""
    reasoning: str = ""
    truth: AnswerTruth | None = None

    def __post_init__(self) -> None:
        if not self.turns:
            raise bad_input(f"conversation {self.id!r} must have at least one turn")
        placeholders = placeholders_in(self.turns)
        if placeholders != len(self.mask_indices):
            raise bad_input(
                f"conversation {self.id!r} has {placeholders} {MASK} but {len(self.mask_indices)} "
                f"masks; there must be one mask for each {MASK}, in order"
            )


@dataclass(frozen=True, eq=False)
class Sample:
    """One image with all conversations about it.

    Attributes:
        id: of its first conversation.
        image: color, not decoded.
        conversations: one, or several where questions about one image were grouped.
        depth: aligned to the image, not decoded; None in a data set without depth.
        rle: the masks as COCO RLE, each once; not decoded.
        camera: calibration where the data set has it.

    Raises:
        SpatialError: BAD_INPUT for a conversation about a mask that is not there.
    """

    id: str
    image: ImageFile
    conversations: tuple[Conversation, ...]
    depth: DepthFile | None = None
    rle: tuple[Mapping[str, Any], ...] = ()
    camera: CameraRecord | None = None

    def __post_init__(self) -> None:
        for conversation in self.conversations:
            beyond = [i for i in conversation.mask_indices if not 0 <= i < len(self.rle)]
            if beyond:
                raise bad_input(
                    f"conversation {conversation.id!r} asks for mask {beyond[0]}, but the sample "
                    f"has {len(self.rle)} masks"
                )

    def mask(self, index: int) -> NDArray[np.bool_]:
        """One mask, bool (H, W).

        Raises:
            SpatialError: BAD_INPUT that names image and mask when it cannot be decoded.
        """
        try:
            return decode_rle(self.rle[index])
        except SpatialError as error:
            raise file_error(
                self.image.path, f"mask {index} of sample {self.id!r}: {error}"
            ) from error

    def masks(self, conversation: Conversation) -> list[NDArray[np.bool_]]:
        """The masks of a conversation, bool (H, W) for each `<mask>`, in order.

        Raises:
            SpatialError: BAD_INPUT that names image and mask when one cannot be decoded.
        """
        decoded = {index: self.mask(index) for index in set(conversation.mask_indices)}
        return [decoded[index] for index in conversation.mask_indices]


def sample_of(
    record: WarehouseRecord,
    image: ImageFile,
    depth: DepthFile | None = None,
    camera: CameraRecord | None = None,
) -> Sample:
    """The sample of one record; a mask that several `<mask>` refer to is stored once.

    Args:
        record: texts and masks, as the reader of a layout finds them.
        image: that the record is about.
        depth: aligned to the image.
        camera: of the image.

    Raises:
        SpatialError: BAD_INPUT when masks and `<mask>` do not match.
    """
    pool = _MaskPool()
    conversation = Conversation(
        record.id,
        record.dialogue,
        pool.indices(record.rle),
        record.category,
        record.normalized_answer,
        record.reasoning,
        record.truth,
    )
    return Sample(record.id, image, (conversation,), depth, pool.masks, camera)


def merged(samples: Sequence[Sample]) -> Sample:
    """One sample from several about the same image; a mask that several use is stored once."""
    first = samples[0]
    if len(samples) == 1:
        return first
    pool = _MaskPool()
    conversations = tuple(
        replace(item, mask_indices=pool.indices(sample.rle[i] for i in item.mask_indices))
        for sample in samples
        for item in sample.conversations
    )
    return replace(first, conversations=conversations, rle=pool.masks)


class _MaskPool:
    """Masks of one image, each once."""

    def __init__(self) -> None:
        self._index_of: dict[tuple[str, str], int] = {}
        self._masks: list[Mapping[str, Any]] = []

    @property
    def masks(self) -> tuple[Mapping[str, Any], ...]:
        return tuple(self._masks)

    def indices(self, rles: Iterable[Any]) -> tuple[int, ...]:
        return tuple(self._index(rle) for rle in rles)

    def _index(self, rle: Any) -> int:
        check_rle_form(rle)
        key = mask_key(rle)
        if key not in self._index_of:
            self._index_of[key] = len(self._masks)
            self._masks.append(rle)
        return self._index_of[key]
