"""The weights of a refiner, apart from any model class."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor, nn

GeluKind: TypeAlias = Literal["none", "tanh"]
"""PyTorch's names: `none` is the exact GELU, `tanh` its approximation."""


@dataclass(frozen=True, eq=False)
class RefinerLevel:
    """A transposed convolution, kernel 2 and stride 2, then maybe a LayerNorm over channels.

    Attributes:
        weight: (C in, C out, 2, 2), as in `nn.ConvTranspose2d`. In memory format
            `torch.channels_last` it is used as it lies in memory; otherwise each call copies it.
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

    @classmethod
    def from_modules(cls, modules: Iterable[nn.Module]) -> RefinerWeights:
        """From an `nn.Sequential` of ConvTranspose2d, [LayerNorm over channels], GELU, ...

        A norm is any module with `weight`, `bias` and `eps`. Parameters are shared, not copied.

        Raises:
            ValueError: when the modules do not come in this order, or a convolution mixes
                neighbours (another kernel, stride, padding, dilation or groups).
        """
        levels: list[RefinerLevel] = []
        kinds: set[GeluKind] = set()
        stack = list(modules)
        while stack:
            convolution = _take_convolution(stack)
            norm = stack.pop(0) if stack and not isinstance(stack[0], nn.GELU) else None
            gelu = stack.pop(0) if stack else None
            if not isinstance(gelu, nn.GELU):
                raise ValueError("each level of a refiner must end with GELU")
            kinds.add("tanh" if gelu.approximate == "tanh" else "none")
            levels.append(_level(convolution, norm))
        if len(kinds) > 1:
            raise ValueError("all levels of a refiner must use the same kind of GELU")
        return cls(tuple(levels), *kinds)


def _take_convolution(stack: list[nn.Module]) -> nn.ConvTranspose2d:
    module = stack.pop(0)
    if not isinstance(module, nn.ConvTranspose2d):
        raise ValueError(f"expected a ConvTranspose2d in the refiner, got {module}")
    settings = (module.kernel_size, module.stride, module.padding, module.output_padding)
    expected = ((2, 2), (2, 2), (0, 0), (0, 0))
    if settings != expected or module.dilation != (1, 1) or module.groups != 1:
        raise ValueError(f"expected kernel 2, stride 2 and nothing else in a refiner, got {module}")
    return module


def _level(convolution: nn.ConvTranspose2d, norm: nn.Module | None) -> RefinerLevel:
    if norm is None:
        return RefinerLevel(convolution.weight, convolution.bias)
    if not all(hasattr(norm, name) for name in ("weight", "bias", "eps")):
        raise ValueError(f"expected a norm with weight, bias and eps in the refiner, got {norm}")
    epsilon = float(norm.eps)  # type: ignore[arg-type]
    return RefinerLevel(convolution.weight, convolution.bias, norm.weight, norm.bias, epsilon)  # type: ignore[arg-type]
