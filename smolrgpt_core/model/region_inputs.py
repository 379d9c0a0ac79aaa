"""Images and their regions as the model takes them, and masks laid onto its refined grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch

from smolrgpt_core.kernels.masks import MasksOfImage
from smolrgpt_core.kernels.weights import mask_weights
from smolrgpt_core.model.configuration_smolrgpt import SmolRGPTConfig


@dataclass(frozen=True)
class RegionInputs:
    """Images of B rows and what is known of their regions; everything None for text alone.

    Attributes:
        pixel_values: (B, 3, H, W) in `config.rgb_range`; None for text without image, or, with the
            metric depth branch, for regions without an image.
        depth_values: (B, 3, H, W) in `config.depth_range`; the depth branch "image" needs them
            where there are regions.
        point_values: (B, 4, H, W), meters of each pixel and whether there is a reading, where
            `config.point_fusion` is set.
        region_masks: B tensors (M_i, h, w), in the order of the placeholders: bool or integer masks
            of any size, aligned to the image, or float weights as the processor gives them; or any
            other form that `smolrgpt_core.kernels` takes.
        region_samples: B tensors (M_i, K, 3) of `region_samples`; the depth branch "metric" needs
            them where there are regions.
        region_colors: B tensors (M_i, K, 3) of `region_colors`; a model with `config.region_colors`
            needs them where there are regions and an image.
        region_indices: B tensors (N_i,): which of the row's regions each placeholder is; by default
            the first is region 0, and so on.
        question_ids: (B, T), a number above 0 for the tokens of each question, 0 for others; the
            depth branch "metric" needs them.
    """

    pixel_values: torch.Tensor | None = None
    depth_values: torch.Tensor | None = None
    point_values: torch.Tensor | None = None
    region_masks: Sequence[MasksOfImage] | None = None
    region_samples: Sequence[torch.Tensor] | None = None
    region_colors: Sequence[torch.Tensor] | None = None
    region_indices: Sequence[torch.Tensor] | None = None
    question_ids: torch.Tensor | None = None

    @classmethod
    def taken_from(cls, arguments: dict[str, Any]) -> RegionInputs:
        """Those of keyword arguments, which are removed from them."""
        return cls(**{name: arguments.pop(name, None) for name in REGION_INPUT_NAMES})

    def check_that_none_is_ignored(self) -> None:
        """Refuse images and regions beside embeddings, which have them inside already.

        Raises:
            ValueError: when any of them is given.
        """
        present = [name for name in REGION_INPUT_NAMES if getattr(self, name) is not None]
        if present:
            raise ValueError(
                f"inputs_embeds came with {', '.join(present)}, which would be ignored: embeddings "
                "have images and regions inside already; give input_ids, or embed them first with "
                "SmolRGPTModel.embed_inputs"
            )

    def check_rows(self, rows: int) -> None:
        """Refuse images, masks and samples that are not as many as the rows of input_ids.

        Raises:
            ValueError: when an entry has another length.
        """
        for name in REGION_INPUT_NAMES:
            values = getattr(self, name)
            if name != "question_ids" and values is not None and len(values) != rows:
                raise ValueError(
                    f"{name} must have one entry for each of the {rows} rows of input_ids, got "
                    f"{len(values)}"
                )

    def check_regions(self, depth_branch: str) -> None:
        """Refuse regions without what this depth branch knows them by.

        Raises:
            ValueError: when an input is missing, or another branch's.
        """
        if depth_branch == "metric":
            if self.region_samples is None or self.depth_values is not None:
                raise ValueError(
                    "regions of the metric depth branch need region_samples, and no depth_values; "
                    "prepare them with SmolRGPTProcessor"
                )
        elif self.pixel_values is None or self.depth_values is None:
            raise ValueError("region_masks need pixel_values and depth_values beside them")


REGION_INPUT_NAMES = tuple(field.name for field in fields(RegionInputs))
"""Keyword arguments of the model that `RegionInputs` gathers."""


@torch.compiler.disable
def region_weights(
    masks: Sequence[MasksOfImage],
    config: SmolRGPTConfig,
    image_sizes: Sequence[tuple[int, int]] | None = None,
) -> list[torch.Tensor]:
    """Weight of each cell of the refined grid under each mask, by `config.mask_pooling`.

    The result stands wherever masks are expected, so both modalities share it, and the full-size
    masks need not travel.

    Args:
        masks: for each image, in any form that `smolrgpt_core.kernels` takes.
        config: the model's.
        image_sizes: (height, width) that the masks of each image must have; needed for `Region`s.

    Returns:
        float32 (M_i, G, G) for each image, G = `config.refined_grid`.

    Raises:
        SpatialError: BAD_INPUT for a mask of another size or form, and for masks that cover no cell
            while `config.empty_masks` is "error".
    """
    grid = config.refined_grid
    return mask_weights(
        masks, (grid, grid), config.mask_pooling, config.empty_masks, image_sizes=image_sizes
    )
