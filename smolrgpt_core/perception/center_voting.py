"""Instance masks by a small network: every pixel predicts its class and the center of its object.

As in Panoptic-DeepLab (Cheng et al. 2020, arXiv 1911.10194), objects are clusters of these votes.
Unlike there, a pixel also predicts the size of its object, and votes are clustered in units of it,
so that one threshold suits near and far objects. The network is a segmentation model of
transformers (UperNet on a small ResNet); its outputs beyond the classes are the vote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from transformers import ResNetConfig, UperNetConfig, UperNetForSemanticSegmentation

from smolrgpt_core.checkpoints import check_that_it_exists
from smolrgpt_core.errors import bad_input
from smolrgpt_core.instance_labels import BACKGROUND
from smolrgpt_core.perception.images import check_rgb
from smolrgpt_core.perception.loading import load_model
from smolrgpt_core.perception.mask_selection import MaskRules, select_regions
from smolrgpt_core.perception.vote_clusters import Votes, cluster
from smolrgpt_core.regions import RegionSet

VOTE_UNIT = 32.0
"""Pixels of the network's input by which its outputs for offsets and sizes are divided."""

VOTE_CHANNELS = ("offset_x", "offset_y", "log_width", "log_height")
"""Outputs after those of the classes."""

STRIDE = 32
"""Sides of the network's input are multiples of this."""


@dataclass(frozen=True)
class NetworkSize:
    """Size of the network.

    Attributes:
        image_height: of the network's input; the width follows from the image.
        embedding_size: channels of the first convolution.
        hidden_sizes, depths: channels and blocks of each of the four stages of the ResNet.
        head_size: channels of the UperNet head.

    Raises:
        SpatialError: BAD_INPUT, naming the field that is wrong.
    """

    image_height: int = 288
    embedding_size: int = 16
    hidden_sizes: tuple[int, ...] = (32, 48, 96, 160)
    depths: tuple[int, ...] = (1, 2, 2, 2)
    head_size: int = 32

    def __post_init__(self) -> None:
        if self.image_height < STRIDE or self.image_height % STRIDE:
            raise bad_input(
                f"image_height must be a positive multiple of {STRIDE}, got {self.image_height}"
            )
        for name in ("hidden_sizes", "depths"):
            value = getattr(self, name)
            if len(value) != 4 or min(value) < 1:
                raise bad_input(f"{name} must be four positive numbers, got {value}")


def new_network(size: NetworkSize, classes: Sequence[str]) -> UperNetForSemanticSegmentation:
    """A network with random weights, drawn from torch's generator.

    Args:
        size: of the network.
        classes: labels of the objects, without the background.
    """
    outputs = [BACKGROUND, *classes, *VOTE_CHANNELS]
    backbone = ResNetConfig(
        embedding_size=size.embedding_size,
        hidden_sizes=list(size.hidden_sizes),
        depths=list(size.depths),
        layer_type="basic",
    )
    backbone.out_features = [f"stage{number}" for number in range(1, 5)]
    config = UperNetConfig(
        backbone_config=backbone,
        hidden_size=size.head_size,
        use_auxiliary_head=False,
        id2label=dict(enumerate(outputs)),
        label2id={name: index for index, name in enumerate(outputs)},
    )
    config.offset_channels = len(VOTE_CHANNELS)
    config.image_height = size.image_height
    return UperNetForSemanticSegmentation(config)


def input_size(image_size: tuple[int, int], image_height: int) -> tuple[int, int]:
    """(height, width) of the network's input for an image.

    Args:
        image_size: (height, width) of the image.
        image_height: of the network's input.
    """
    height, width = image_size
    columns = max(1, round(image_height * width / height / STRIDE))
    return image_height, columns * STRIDE


def network_input(rgb: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.float32]:
    """The network's input for an image: float32 (3, height, width), about -2 to 2.

    Args:
        rgb: uint8 (H, W, 3).
        size: (height, width) of the network's input.
    """
    resized = cv2.resize(rgb, size[::-1], interpolation=cv2.INTER_AREA)
    scaled = resized.astype(np.float32) / 64 - 2
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))


class CenterVotingSegmenter:
    """Finds objects with their masks in color images; a `RegionFinder`.

    Attributes:
        classes: labels that it knows.
    """

    def __init__(
        self, network: UperNetForSemanticSegmentation, rules: MaskRules | None = None
    ) -> None:
        """Use a network.

        Args:
            network: of `new_network`, trained, on its device.
            rules: which masks are objects.

        Raises:
            ValueError: when the network gives no votes.
        """
        config = network.config
        channels = getattr(config, "offset_channels", 0)
        if channels != len(VOTE_CHANNELS):
            raise ValueError(
                "a segmenter of this kind must vote for centers, like those trained by "
                "smolrgpt_core.training.region_segmenter: expected offset_channels = "
                f"{len(VOTE_CHANNELS)} in its config, got {channels}; a semantic model does not "
                "separate objects"
            )
        labels: Any = config.id2label
        outputs = [labels[index] for index in range(len(labels))]
        self.classes: tuple[str, ...] = tuple(outputs[1 : -len(VOTE_CHANNELS)])
        self._network = network.eval()
        self._image_height = int(config.image_height)
        self._rules = rules or MaskRules()

    @classmethod
    def from_pretrained(
        cls, checkpoint: str | Path, device: str = "cpu", rules: MaskRules | None = None
    ) -> CenterVotingSegmenter:
        """Load a checkpoint; weights are read from safetensors only.

        Args:
            checkpoint: folder or hub id.
            device: "auto", or a device of PyTorch.
            rules: which masks are objects.

        Raises:
            OSError: when there is no such checkpoint, or a file of it cannot be read.
            ValueError: when the network gives no votes, its weights are incomplete, or there is no
                such device.
        """
        check_that_it_exists(checkpoint)
        network = load_model(
            UperNetForSemanticSegmentation, checkpoint, device, "a center-voting segmenter"
        )
        return cls(network, rules)

    def find(self, rgb: NDArray[np.uint8]) -> RegionSet:
        """The objects of an image; see `RegionFinder`.

        Args:
            rgb: uint8 (H, W, 3).

        Raises:
            SpatialError: BAD_INPUT when the image is not uint8 (H, W, 3).
        """
        check_rgb(rgb)
        size = (rgb.shape[0], rgb.shape[1])
        found = cluster(self.votes(rgb), size)
        masks = np.array([item.mask for item in found], dtype=bool).reshape(-1, *size)
        scores = np.array([item.score for item in found], dtype=np.float32)
        labels = [self.classes[item.kind] for item in found]
        return select_regions(masks, labels, scores, self._rules)

    def votes(self, rgb: NDArray[np.uint8]) -> Votes:
        """The predictions of each cell of the network's grid.

        Args:
            rgb: uint8 (H, W, 3).
        """
        size = input_size((rgb.shape[0], rgb.shape[1]), self._image_height)
        pixels = torch.from_numpy(network_input(rgb, size))[None].to(self._network.device)
        with torch.inference_mode():
            outputs = grid_outputs(self._network, pixels)[0].float()
            split = len(self.classes) + 1
            probabilities = outputs[:split].softmax(0).cpu().numpy()
            vote = outputs[split:].cpu().numpy()
        cells = VOTE_UNIT * probabilities.shape[1] / size[0]
        return Votes(probabilities, cells * vote[:2], cells * np.exp(vote[2:]))


def grid_outputs(network: UperNetForSemanticSegmentation, pixels: torch.Tensor) -> torch.Tensor:
    """Outputs at the resolution of the network, a quarter of its input.

    Args:
        network: of `new_network`.
        pixels: float (N, 3, H, W), of `network_input`.

    Returns:
        Float (N, outputs, H / 4, W / 4): logits of background and classes, then `VOTE_CHANNELS`.
    """
    features = network.backbone(pixels).feature_maps
    return network.decode_head(features)
