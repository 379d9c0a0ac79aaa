"""Metric points to features of the image's patches, and the layer where both join.

After HiSpatial (arXiv 2603.25411, section 3). Shapes: N images, H x W pixels, h x w patches of
p x p pixels, C channels of a coded point, D channels of a patch.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from smolrgpt_core.model.point_map.code import PointCode
from smolrgpt_core.model.sinusoids import sinusoidal_code

VALIDITY = 3
"""Channel of a point map (4, H, W) behind x, y and z: 1 = there is a reading, 0 = there is none."""

_BLOCK_NUMBERS = 2**23
"""Coded numbers that are held at once, 32 MB; a whole map of 448 x 448 pixels would be 155 MB."""


class PointEncoder(nn.Module):
    """Codes a point map and cuts it into patches, some rows of patches at a time.

    The coded map is about 50 times as large as the points, so it never exists as a whole: neither
    here nor, in training, for the backward pass, which codes the rows again.

    Args:
        code: how points are coded.
        patch_size: p.
        width: D.
    """

    def __init__(self, code: PointCode, patch_size: int, width: int) -> None:
        super().__init__()
        self.code = code
        self.conv = nn.Conv2d(code.channels, width, patch_size, stride=patch_size)
        self.block_rows: int | None = None
        """Rows of patches that are coded at once; None = as many as `_BLOCK_NUMBERS` allows."""

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        """Features (N, h, w, D) of point maps (N, 4, H, W) in meters.

        Raises:
            ValueError: when H or W is not a multiple of the patch size.
        """
        patch = self.conv.stride[0]
        if points.dim() != 4 or points.shape[1] != 4 or any(n % patch for n in points.shape[2:]):
            raise ValueError(
                f"expected point maps (N, 4, H, W) with H and W multiples of {patch}, got "
                f"{tuple(points.shape)}; prepare them with PointMapProcessor"
            )
        blocks = points.split(self._rows_at_once(points.shape) * patch, dim=2)
        if len(blocks) == 1 or not torch.is_grad_enabled():
            encoded = [self._patches(block) for block in blocks]
        else:
            encoded = [checkpoint(self._patches, block, use_reentrant=False) for block in blocks]
        return torch.cat(encoded, dim=2).permute(0, 2, 3, 1)

    def _rows_at_once(self, shape: torch.Size) -> int:
        if self.block_rows is not None:
            return self.block_rows
        numbers_of_a_row = shape[0] * self.code.channels * self.conv.stride[0] * shape[3]
        return max(1, _BLOCK_NUMBERS // numbers_of_a_row)

    def _patches(self, points: torch.Tensor) -> torch.Tensor:
        """(N, D, rows, w) of some rows of a point map."""
        if self.code.missing_points == "coded":
            codes = point_codes(points, self.code)
            return self._product(codes, self.conv.weight, self.conv.bias)
        return self._mean_over_readings(points)

    def _product(
        self, codes: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
    ) -> torch.Tensor:
        """(N, D, rows, w) of codes (N, C, rows * p, W): what the convolution gives.

        A matrix product reads the weights as they are; a convolution would rewrite them, which are
        larger than the codes, for every block.
        """
        patch = self.conv.stride[0]
        images, channels, height, width = codes.shape
        cut = codes.to(weight.dtype).view(
            images, channels, height // patch, patch, width // patch, patch
        )
        patches = cut.permute(0, 2, 4, 1, 3, 5).flatten(3)  # (N, rows, w, C * p * p)
        return functional.linear(patches, weight.flatten(1), bias).permute(0, 3, 1, 2)

    def _mean_over_readings(self, points: torch.Tensor) -> torch.Tensor:
        """As the convolution, but codes of pixels without a reading count for nothing.

        Otherwise a patch with few readings would look like one with weak codes.
        """
        valid = points[:, VALIDITY:]  # (N, 1, H, W)
        weight = self.conv.weight  # (D, C, p, p); the last channel is the validity's
        patch = self.conv.stride[0]
        codes = point_codes(points, self.code)[:, :-1] * valid
        fraction = functional.avg_pool2d(valid, patch).clamp_min(1 / patch**2)
        of_codes = self._product(codes, weight[:, :-1])
        of_validity = self._product(valid, weight[:, -1:], self.conv.bias)
        return of_codes / fraction.to(weight.dtype) + of_validity


def point_codes(points: torch.Tensor, code: PointCode) -> torch.Tensor:
    """Codes (N, C, H, W) of point maps (N, 4, H, W).

    Channels: sines and cosines of x, of y and of z, `axis_channels` / 2 of each; validity. They are
    float32 whatever the type of the points: in bfloat16 a meter has steps of 8 mm.
    """
    codes = sinusoidal_code(
        points[:, :VALIDITY], code.axis_channels, code.shortest_m, code.longest_m
    )  # (N, 3, H, W, axis_channels)
    return torch.cat([codes.movedim(-1, 2).flatten(1, 2), points[:, VALIDITY:].float()], dim=1)


class JoinedProjection(nn.Linear):
    """A projector's linear layer over image features, widened for point features behind them.

    The new half begins at zero: a model that was trained without points answers as before until
    training has found a use for them.

    Args:
        layer: the layer as it was; its weights are copied.
        point_features: features of points for each of its rows.

    Attributes:
        points: point features (rows, Dp) of the images that are encoded now, where a
            vision-language model calls this layer with its images alone.
    """

    points: torch.Tensor | None = None

    def __init__(self, layer: nn.Linear, point_features: int) -> None:
        super().__init__(
            layer.in_features + point_features,
            layer.out_features,
            bias=layer.bias is not None,
            device=layer.weight.device,
            dtype=layer.weight.dtype,
        )
        self.image_features = layer.in_features
        with torch.no_grad():
            self.weight.zero_()
            self.weight[:, : self.image_features] = layer.weight
            if self.bias is not None:
                self.bias.copy_(layer.bias)

    def zero_started(self) -> torch.Tensor:
        """The weight (out, in) with nothing for points."""
        weight = self.weight.detach().clone()
        weight[:, self.image_features :] = 0
        return weight

    def forward(self, image: torch.Tensor, points: torch.Tensor | None = None) -> torch.Tensor:
        """Rows (..., out) of image features (..., Di) and point features (..., Dp).

        Without points the layer is what it was before it was widened.
        """
        known, new = self.weight.split([image.shape[-1], self.in_features - image.shape[-1]], dim=1)
        rows = functional.linear(image, known, self.bias)
        # Two products, not one of joined features: what is zero then changes no bit.
        return rows if points is None else rows + functional.linear(points, new)


def token_blocks(patches: torch.Tensor, block_size: int) -> torch.Tensor:
    """Patches (N, h, w, D) to rows (N, T, block_size ** 2 * D), one for each block, row by row.

    Raises:
        ValueError: when the blocks do not fit the grid.
    """
    images, height, width, channels = patches.shape
    if height % block_size or width % block_size:
        raise ValueError(
            f"blocks of {block_size} x {block_size} patches do not fit a grid of {height} x {width}"
        )
    blocks = patches.reshape(
        images, height // block_size, block_size, width // block_size, block_size, channels
    )
    return blocks.transpose(2, 3).flatten(3).flatten(1, 2)
