"""Regions from the raw masks of a model: only objects, and each pixel in at most one region."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.label_map import LabelMap
from smolrgpt_core.object_classes import known_class
from smolrgpt_core.regions import MAX_REGIONS, Region, RegionSet

DEFAULT_MIN_SCORE = 0.3
DEFAULT_MIN_PIXELS = 25
"""Both as SpatialRGPT's pipeline has them."""

_BLOCK_ROWS = 64
"""Rows of the masks that are turned into floats at once."""


@dataclass(frozen=True)
class MaskRules:
    """Which masks are objects.

    Attributes:
        min_score: lowest confidence.
        min_pixels: smallest mask, also after the overlaps are resolved.
        max_fraction: largest mask, as a fraction of the image; what covers more is the background.
        duplicate_iou: two masks that overlap by more are one object, named by the better one.
        min_left: fraction of a mask that must be left when better ones took their pixels.
        classes: only these, by any name that the questions know them by; empty: all.

    Raises:
        ValueError: when a value is outside its range, naming the field.
    """

    min_score: float = DEFAULT_MIN_SCORE
    min_pixels: int = DEFAULT_MIN_PIXELS
    max_fraction: float = 0.9
    duplicate_iou: float = 0.7
    min_left: float = 0.2
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("min_score", "max_fraction", "duplicate_iou", "min_left"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be within 0 to 1, got {getattr(self, name)}")
        if self.min_pixels < 1:
            raise ValueError(f"min_pixels must be at least 1, got {self.min_pixels}")


def select_regions(
    masks: NDArray[np.bool_],
    labels: Sequence[str],
    scores: NDArray[np.floating],
    rules: MaskRules,
) -> RegionSet:
    """The objects among masks, numbered from 0 in order of decreasing score.

    Where two overlap, the pixels go to the smaller one if it lies mostly inside of the other, for
    an object stands in front of what surrounds it; else to the one with the better score.

    Args:
        masks: (N, H, W).
        labels: (N,), as the model names them.
        scores: (N,), 0 to 1.
        rules: which masks are objects.

    Returns:
        Regions with the labels that the label map gives, no pixel in two of them.
    """
    size = (int(masks.shape[1]), int(masks.shape[2]))
    pixels = np.count_nonzero(masks, axis=(1, 2))
    largest = rules.max_fraction * size[0] * size[1]
    fits = (scores >= rules.min_score) & (pixels >= rules.min_pixels) & (pixels <= largest)
    order = [
        index
        for index in np.argsort(-scores, kind="stable")
        if fits[index] and _is_wanted(labels[index], rules.classes)
    ]
    common = _common_pixels(masks[order])
    selected = _without_duplicates(common, rules.duplicate_iou)[:MAX_REGIONS]
    order, common = [order[place] for place in selected], common[np.ix_(selected, selected)]
    owners = _owners(masks[order], common)
    regions: list[Region] = []
    for place, index in enumerate(order):
        left = owners == place
        if np.count_nonzero(left) >= max(rules.min_pixels, rules.min_left * pixels[index]):
            score = float(np.clip(scores[index], 0, 1))
            regions.append(Region.from_bitmap(len(regions), labels[index], left, score))
    return LabelMap().apply(RegionSet(size, tuple(regions)))


def _is_wanted(label: str, classes: Collection[str]) -> bool:
    """Whether a label is one of these classes, by any of its names: a forklift is a transporter."""
    names = LabelMap()
    wanted = {known_class(names.class_of(name)) for name in classes}
    return not classes or known_class(names.class_of(label)) in wanted


def _common_pixels(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Number of pixels (N, N) that each two of the masks (N, H, W) share."""
    common = np.zeros((len(masks), len(masks)), dtype=np.float32)
    for start in range(0, masks.shape[1], _BLOCK_ROWS):
        block = masks[:, start : start + _BLOCK_ROWS].astype(np.float32)
        common += np.tensordot(block, block, axes=((1, 2), (1, 2)))
    return common


def _without_duplicates(common: NDArray[np.float32], duplicate_iou: float) -> list[int]:
    """Positions, in order, of the masks that do not repeat an earlier one."""
    pixels = np.diagonal(common)
    iou = common / np.maximum(pixels[:, None] + pixels - common, 1)
    selected: list[int] = []
    for place in range(len(common)):
        if not np.any(iou[place, selected] > duplicate_iou):
            selected.append(place)
    return selected


def _owners(masks: NDArray[np.bool_], common: NDArray[np.float32]) -> NDArray[np.int64]:
    """For each pixel (H, W) the place of the mask (N, H, W) that it belongs to, or -1."""
    pixels = np.diagonal(common)
    lies_in = (pixels[:, None] < pixels) & (common > 0.5 * pixels[:, None])
    owners = np.full(masks.shape[1:], -1, dtype=np.int64)
    # From the weakest claim to the strongest one, which is painted over the others.
    for place in sorted(range(len(masks)), key=lambda place: (lies_in[place].sum(), -place)):
        owners[masks[place]] = place
    return owners
