"""Decoder for RVL, a lossless compression of 16 bit depth.

After A. D. Wilson, "Fast Lossless Depth Image Compression", ISS 2017. The numbers in the stream are
split into groups of three bits, lowest first, each stored in four bits of which the highest is a
continuation flag; eight groups fill a little-endian 32 bit word from its highest bits. The numbers
alternate: a count of zeros, a count of other pixels, and these pixels as differences to the
previous pixel, with the sign in the lowest bit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GROUP_BITS = 3
MORE_FOLLOW = 8
MOST_GROUPS = 11
"""Groups of a number of 32 bits."""


def decode_rvl(content: bytes, size: tuple[int, int]) -> NDArray[np.uint16]:
    """Depth uint16 (H, W).

    Args:
        content: the stream.
        size: (H, W).

    Raises:
        ValueError: the stream is truncated or damaged.
    """
    numbers = _numbers(content)
    pixel_count = size[0] * size[1]
    is_difference = np.zeros(len(numbers), bool)
    is_reading = np.zeros(pixel_count, bool)
    done = position = 0
    while done < pixel_count:
        if position + 2 > len(numbers):
            raise ValueError(f"the stream ends after {done} of {pixel_count} pixels")
        zeros, others = int(numbers[position]), int(numbers[position + 1])
        first, position = done + zeros, position + 2
        done = first + others
        if done > pixel_count or position + others > len(numbers):
            raise ValueError(f"the stream is damaged before pixel {first} of {pixel_count}")
        is_reading[first:done] = True
        is_difference[position : position + others] = True
        position += others
    folded = numbers[is_difference]
    readings = np.cumsum((folded >> 1) ^ -(folded & 1))
    if readings.size and not 0 <= readings.min() <= readings.max() <= np.iinfo(np.uint16).max:
        raise ValueError("the stream is damaged: readings of more than 16 bits")
    depth = np.zeros(pixel_count, np.uint16)
    depth[is_reading] = readings
    return depth.reshape(size)


def _numbers(content: bytes) -> NDArray[np.int64]:
    """All numbers in the stream; padding zeros may follow in the last word."""
    words = np.frombuffer(content, "<u4", count=len(content) // 4)
    octets = words.astype(">u4").view(np.uint8)
    groups = np.stack([octets >> 4, octets & 15], axis=1).ravel()
    last = np.flatnonzero(groups < MORE_FOLLOW)
    if not last.size:
        return np.zeros(0, np.int64)
    first = np.concatenate([[0], last[:-1] + 1])
    lengths = last - first + 1
    if lengths.max() > MOST_GROUPS:
        raise ValueError("the stream is damaged: a number of more than 32 bits")
    used = int(last[-1]) + 1
    place = np.arange(used) - np.repeat(first, lengths)
    bits = (groups[:used] & (MORE_FOLLOW - 1)).astype(np.int64) << (GROUP_BITS * place)
    return np.add.reduceat(bits, first)
