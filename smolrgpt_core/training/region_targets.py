"""Targets and loss of a center-voting network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from smolrgpt_core.perception.center_voting import VOTE_CHANNELS, VOTE_UNIT, network_input
from smolrgpt_core.regions import RegionSet

STEP = 2
"""Pixels of the network's input between two places where the loss is measured."""

LARGE_AREA = 250.0
"""Measured places of an object from which on those of larger objects count less."""

WEIGHTS = (0.4, 4.0)
"""Range of the weight of a place of an object; the background's is 1."""

VOTE_WEIGHT = 1.0
"""Of the error of votes beside the cross-entropy of the classes."""


@dataclass(frozen=True, eq=False)
class TrainingImage:
    """Input of the network, and its targets at every `STEP`th pixel.

    Attributes:
        pixels: float32 (3, H, W), of `network_input`.
        kinds: int64 (h, w), 0 = background, then the classes.
        votes: float32 (4, h, w), `VOTE_CHANNELS` in the units of the outputs; 0 for background.
        weights: float32 (h, w), above 0.
    """

    pixels: NDArray[np.float32]
    kinds: NDArray[np.int64]
    votes: NDArray[np.float32]
    weights: NDArray[np.float32]


def training_image(
    rgb: NDArray[np.uint8], ids: NDArray[np.int16], kinds: Mapping[int, int], size: tuple[int, int]
) -> TrainingImage:
    """Targets of an image.

    Args:
        rgb: uint8 (H, W, 3).
        ids: instance image (H, W), 0 = background.
        kinds: index of the class of each id, 1 is the first class.
        size: (height, width) of the network's input.
    """
    height, width = size[0] // STEP, size[1] // STEP
    small = cv2.resize(ids, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    found = np.zeros((height, width), np.int64)
    votes = np.zeros((len(VOTE_CHANNELS), height, width), np.float32)
    weights = np.ones((height, width), np.float32)
    for id in np.unique(small[small > 0]).tolist():
        mask = small == id
        rows, columns = np.nonzero(mask)
        found[mask] = kinds[id]
        votes[:, mask] = _votes(rows, columns)
        weights[mask] = np.clip(np.sqrt(LARGE_AREA / rows.size), *WEIGHTS)
    return TrainingImage(network_input(rgb, size), found, votes, weights)


def _votes(rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[np.float32]:
    """Votes (4, N) of the places of an object for the middle and the size of its box."""
    unit = VOTE_UNIT / STEP
    low = np.array([columns.min(), rows.min()])
    extent = np.array([columns.max(), rows.max()]) + 1 - low
    places = np.stack([columns, rows]) + 0.5
    offsets = (low + extent / 2)[:, None] - places
    sizes = np.broadcast_to(np.log(extent / unit)[:, None], offsets.shape)
    return np.concatenate([offsets / unit, sizes]).astype(np.float32)


def segmentation_loss(outputs: torch.Tensor, images: Sequence[TrainingImage]) -> torch.Tensor:
    """Cross-entropy of the classes, and the error of votes in units of the objects' sizes.

    Args:
        outputs: float (N, 1 + classes + 4, h, w), of `grid_outputs`.
        images: N of them.
    """
    kinds = torch.from_numpy(np.stack([image.kinds for image in images]))
    votes = torch.from_numpy(np.stack([image.votes for image in images]))
    weights = torch.from_numpy(np.stack([image.weights for image in images]))
    outputs = functional.interpolate(outputs, kinds.shape[1:], mode="bilinear")
    classes, predicted_votes = outputs[:, : -len(VOTE_CHANNELS)], outputs[:, -len(VOTE_CHANNELS) :]
    entropy = functional.cross_entropy(classes, kinds, reduction="none")
    # An offset counts relative to the object, as when votes are clustered; a log size is one.
    units = torch.cat([votes[:, 2:].exp(), torch.ones_like(votes[:, 2:])], dim=1)
    errors = functional.smooth_l1_loss(
        predicted_votes / units, votes / units, reduction="none", beta=0.1
    )
    is_object = weights * (kinds > 0)
    vote_error = (errors.sum(dim=1) * is_object).sum() / is_object.sum().clamp(min=1)
    return (entropy * weights).sum() / weights.sum() + VOTE_WEIGHT * vote_error


def label_kinds(regions: RegionSet, classes: Sequence[str]) -> dict[int, int]:
    """The class of each region: 1 for the first class; 0 for a label that is none of them.

    Args:
        regions: of an image.
        classes: labels.
    """
    index = {label: number for number, label in enumerate(classes, start=1)}
    return {region.id: index.get(region.label, 0) for region in regions}
