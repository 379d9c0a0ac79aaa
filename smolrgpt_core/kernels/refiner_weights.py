"""The weights of a refiner, apart from any model class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor

GeluKind: TypeAlias = Literal["none", "tanh"]
"""PyTorch's names: `none` is the exact GELU, `tanh` its approximation."""


@dataclass(frozen=True, eq=False)
class RefinerLevel:
    """A transposed convolution, kernel 2 and stride 2, then maybe a LayerNorm over channels.

    Attributes:
        weight: (C in, C out, 2, 2), as in `nn.ConvTranspose2d`. If it lies in memory with the
            output channels last (`torch.channels_last`), it is used as it is; otherwise each call
            copies it.
        bias: (C out,) or None.
        norm_weight, norm_bias: (C out,) each, both None without a LayerNorm.
        norm_epsilon: of the LayerNorm.

    Raises:
        ValueError: when shapes do not fit together.
    """

    weight: Tensor
    bias: Tensor | None = None
    norm_weight: Tensor | None = None
    norm_bias: Tensor | None = None
    norm_epsilon: float = 1e-6

    def __post_init__(self) -> None:
        if self.weight.ndim != 4 or self.weight.shape[2:] != (2, 2):
            raise ValueError(
                f"weight of a refiner level must be (C in, C out, 2, 2), got "
                f"{tuple(self.weight.shape)}"
            )
        for name in ("bias", "norm_weight", "norm_bias"):
            value = getattr(self, name)
            if value is not None and value.shape != (self.weight.shape[1],):
                raise ValueError(
                    f"{name} of a refiner level must be ({self.weight.shape[1]},), got "
                    f"{tuple(value.shape)}"
                )

    @property
    def by_child(self) -> Tensor:
        """The weight as (C in, 4, C out): one matrix for each of the four cells that one becomes.

        Children are ordered row by row.
        """
        return self.weight.permute(0, 2, 3, 1).contiguous().flatten(1, 2)


@dataclass(frozen=True, eq=False)
class RefinerWeights:
    """Levels of a refiner, each followed by GELU.

    Attributes:
        levels: from the coarsest to the finest.
        gelu: kind of GELU.

    Raises:
        ValueError: when the channels of one level do not fit the next.
    """

    levels: tuple[RefinerLevel, ...]
    gelu: GeluKind = "none"

    def __post_init__(self) -> None:
        if not self.levels:
            raise ValueError("a refiner needs at least one level")
        for before, after in zip(self.levels, self.levels[1:], strict=False):
            if before.weight.shape[1] != after.weight.shape[0]:
                raise ValueError(
                    f"a level gives {before.weight.shape[1]} channels, the next expects "
                    f"{after.weight.shape[0]}"
                )

    @property
    def scale(self) -> int:
        """Cells per token along each axis."""
        return int(2 ** len(self.levels))
