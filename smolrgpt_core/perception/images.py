"""Converts images to model inputs, and output maps back to the size of the image.

transformers' image processors are used wherever they run without torchvision. `StretchProcessor`
stands in for the families whose only processor needs it: DepthPro and SAM 2 stretch the image to a
fixed size and normalize it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from transformers.image_processing_base import ImageProcessingMixin

from smolrgpt_core.errors import bad_input

_BILINEAR = 2
"""As Pillow numbers its filters."""


def check_rgb(rgb: NDArray[np.uint8]) -> None:
    """Check the type and shape of a color image.

    Raises:
        SpatialError: BAD_INPUT when it is not uint8 (H, W, 3).
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.size == 0:
        raise bad_input(f"rgb must be uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}")


def resize_maps(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize maps (N, h, w) bilinearly, so that no value exceeds its neighbors.

    Args:
        maps: floats.
        size: (height, width).

    Returns:
        (N, height, width).
    """
    return functional.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


@dataclass(frozen=True)
class StretchProcessor:
    """Stretches an image to a fixed size and normalizes it.

    Attributes:
        size: (height, width) that the model takes.
        mean, std: of each channel, of values from 0 to 1.
        scale: factor of the bytes before `mean` and `std` apply.
        antialias: whether shrinking averages over all pixels, as Pillow does, or only over the
            nearest four.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    scale: float = 1 / 255
    antialias: bool = True

    @classmethod
    def from_pretrained(
        cls, checkpoint: str | Path, defaults: Mapping[str, Any], antialias: bool
    ) -> StretchProcessor:
        """From the settings of a checkpoint's image processor.

        Args:
            checkpoint: folder or hub id.
            defaults: of the family's processor, for settings that the checkpoint leaves out.
            antialias: as the family's processor does it; no setting of checkpoints.

        Raises:
            OSError: when the checkpoint has no settings of an image processor.
            ValueError: for settings that this does not follow.
        """
        found, _ = ImageProcessingMixin.get_image_processor_dict(checkpoint)
        settings = {
            **defaults,
            **{name: value for name, value in found.items() if value is not None},
        }
        _refuse_other_steps(settings, checkpoint)
        size = settings["size"]
        return cls(
            (int(size["height"]), int(size["width"])),
            tuple(settings["image_mean"]),
            tuple(settings["image_std"]),
            float(settings["rescale_factor"]),
            antialias,
        )

    def __call__(self, rgb: NDArray[np.uint8]) -> Tensor:
        """Values that the model takes, float32 (1, 3, height, width).

        Args:
            rgb: uint8 (H, W, 3).
        """
        channels = torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1)[None].float()
        if channels.shape[-2:] != self.size:
            channels = functional.interpolate(
                channels, size=self.size, mode="bilinear", antialias=self.antialias
            )
        mean, std = torch.tensor(self.mean), torch.tensor(self.std)
        return (channels * self.scale - mean[:, None, None]) / std[:, None, None]


def _refuse_other_steps(settings: Mapping[str, Any], checkpoint: str | Path) -> None:
    expected = {"do_resize": True, "do_rescale": True, "do_normalize": True, "resample": _BILINEAR}
    for name, value in expected.items():
        if settings.get(name, value) != value:
            raise ValueError(
                f"the image processor of {str(checkpoint)!r} must have {name} = {value}, got "
                f"{settings[name]}; use the settings that the checkpoint was published with"
            )
    if set(settings["size"]) != {"height", "width"}:
        raise ValueError(
            f"the image processor of {str(checkpoint)!r} must have a size of height and width, "
            f"got {settings['size']}"
        )
