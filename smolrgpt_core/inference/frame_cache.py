"""Encoded frames: what can be reused from one question to the next, bounded by memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame

Array: TypeAlias = Any
"""A tensor of PyTorch, or a NumPy array, by what computes."""


@dataclass(frozen=True, eq=False)
class EncodedFrame:
    """What is computed once for a frame.

    Attributes:
        frame: what was encoded.
        image_tokens: what regions are pooled from, for each modality: tokens (1, N, D), or what
            they refine to.
        prefix: keys and values of the prompt up to and with the image tokens, for each layer or of
            all layers together.
        region_features: of the regions asked about so far, by region id: (D,) for each modality
            that is an image, and what the metric depth branch takes.
        foot: (3,), point of the floor below the camera, NaN where no floor is found; None for
            models without `region_measures`.
    """

    frame: RGBDFrame
    image_tokens: dict[str, Array]
    prefix: tuple[tuple[Array, ...], ...]
    foot: NDArray[np.float32] | None = None
    region_features: dict[int, dict[str, Array]] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """Memory of the tensors, and of the frame that they keep alive."""
        masks = sum(region.mask.nbytes for region in self.frame.regions)
        images = self.frame.rgb.nbytes + self.frame.depth.nbytes
        return images + masks + sum(tensor.nbytes for tensor in self._tensors())

    def _tensors(self) -> Iterator[Array]:
        yield from self.image_tokens.values()
        for keys_values in self.prefix:
            yield from keys_values
        for features in self.region_features.values():
            yield from features.values()


class FrameCache:
    """An LRU cache of encoded frames. Not thread-safe.

    A frame is known by its identity: two frames with equal pixels are two frames.

    Args:
        max_bytes: memory for all of them; the latest is never dropped.
        max_frames: number of them, at least 1.
    """

    def __init__(self, max_bytes: int, max_frames: int) -> None:
        self._max_bytes = max_bytes
        self._max_frames = max_frames
        self._frames: OrderedDict[int, EncodedFrame] = OrderedDict()

    def __len__(self) -> int:
        return len(self._frames)

    def __contains__(self, frame: RGBDFrame) -> bool:
        return id(frame) in self._frames

    @property
    def nbytes(self) -> int:
        """Memory of all frames."""
        return sum(encoded.nbytes for encoded in self._frames.values())

    def get(self, frame: RGBDFrame) -> EncodedFrame | None:
        """The cached encoding of a frame, which counts as a use; None if there is none."""
        encoded = self._frames.get(id(frame))
        if encoded is not None:
            self._frames.move_to_end(id(frame))
        return encoded

    def put(self, encoded: EncodedFrame) -> None:
        """Keep a frame; it keeps its `frame` alive, so that no other can take its identity."""
        self._frames[id(encoded.frame)] = encoded
        self.trim()

    def trim(self) -> None:
        """Drop frames until the rest fits, after one was added or has grown."""
        while len(self._frames) > 1 and self._is_too_much():
            self._frames.popitem(last=False)

    def _is_too_much(self) -> bool:
        return len(self._frames) > self._max_frames or self.nbytes > self._max_bytes

    def clear(self) -> None:
        """Drop all frames."""
        self._frames.clear()
