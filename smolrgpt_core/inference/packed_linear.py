"""Linear layers in the memory layout that is fastest on the CPU.

PyTorch's own product of a few rows with a large matrix reorders the matrix at every call, which for
a language model that writes one token after another costs as much as the product. Here the order of
oneDNN is made once. PyTorch's compiler does the same with frozen weights, through the same
operators, but needs a C++ compiler where the model runs.

These operators are private to PyTorch: another version may change them. So they are tried on a
small layer first; where they are missing or compute something else, layers stay as they are.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import nn

from smolrgpt_core.model.adapters import is_tuner_layer

logger = logging.getLogger(__name__)

LEAST_FLOAT32 = 512 * 512
"""Weights of a layer in float32 from which on it is packed: reading a smaller one takes less time
than the operator of packed layers needs to begin. In bfloat16 packed layers of all sizes are
faster."""

_TRIED_WIDTH = 32
"""Inputs, and outputs, of the layer that the operators are tried on."""

_TOLERANCES = {torch.float32: 1e-5, torch.bfloat16: 2e-2}
"""By type, how far the product of the operators may be off, relative to the largest one."""


class InferenceLinear(nn.Module):
    """Takes the place of a linear layer, for inference on the CPU only.

    It has no parameters: it cannot be trained, saved or moved to another device.

    Args:
        linear: the layer.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features

    def extra_repr(self) -> str:
        """Sizes, as `nn.Linear` shows them."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


class PackedLinear(InferenceLinear):
    """Computes what a linear layer computes.

    Args:
        linear: whose weight (out, in) and bias (out,) are taken; may be dropped afterwards.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self.bias = None if linear.bias is None else linear.bias.detach().clone()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(..., out) of features (..., in)."""
        return torch.ops.mkldnn._linear_pointwise(features, self._weight, self.bias, "none", [], "")

    def extra_repr(self) -> str:
        """Sizes, as `nn.Linear` shows them."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether packed layers work, and are faster, on this device with this type.

    Where this version of PyTorch cannot compute them, the log mentions it, once.
    """
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return False
    return dtype in _TOLERANCES and _operators_work(dtype)


@lru_cache(maxsize=len(_TOLERANCES))
def _operators_work(dtype: torch.dtype) -> bool:
    problem = _problem_of_operators(dtype)
    if problem:
        logger.warning(
            "linear layers are not packed, so answers take longer: PyTorch %s cannot compute "
            "packed ones in %s here: %s",
            torch.__version__, dtype, problem,
        )  # fmt: skip
    return not problem


def _problem_of_operators(dtype: torch.dtype) -> str:
    """Why a small packed layer does not compute what the layer computes; empty if it does."""
    layer, features = small_layer(dtype)
    try:
        if dtype == torch.bfloat16 and not torch.ops.mkldnn._is_mkldnn_bf16_supported():
            return "the CPU computes no bfloat16"
        with torch.inference_mode():
            found, wanted = PackedLinear(layer)(features), layer(features)
    except (AttributeError, RuntimeError, TypeError) as error:
        return str(error).partition("\n")[0]
    tolerance = _TOLERANCES[dtype] * float(wanted.abs().max())
    is_same = found.shape == wanted.shape and float((found - wanted).abs().max()) <= tolerance
    return "" if is_same else "the product is another one"


def small_layer(dtype: torch.dtype) -> tuple[nn.Linear, torch.Tensor]:
    """A layer to try operators on, and features (rows, in) for it."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(3, _TRIED_WIDTH, _TRIED_WIDTH, generator=generator).to(dtype)
    layer = nn.Linear(_TRIED_WIDTH, _TRIED_WIDTH, dtype=dtype, device="meta")
    layer.weight, layer.bias = nn.Parameter(values[0]), nn.Parameter(values[1, 0])
    return layer, values[2]


def pack_linears(model: nn.Module) -> None:
    """Replace the linear layers of a model by packed ones where these are faster.

    A weight that is tied to another module stays there as well. Layers within one of an adapter
    that is not merged stay, since it reads their weights.
    """
    replace_linears(model, lambda linear: PackedLinear(linear) if _gains(linear.weight) else linear)
    # What is left would keep the whole file of a loaded checkpoint mapped.
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()


def replace_linears(module: nn.Module, replaced: Callable[[nn.Linear], nn.Module]) -> None:
    """Replace the linear layers within a module, but for those of an adapter that is not merged.

    Args:
        module: any but a linear layer.
        replaced: gives what takes the place of a layer; may be the layer itself.
    """
    # One after the other, holding none of them, so that no two copies are there for long.
    for name in [name for name, _ in module.named_children()]:
        child = module.get_submodule(name)
        if is_tuner_layer(child):
            continue
        # A derived class may compute something else.
        if type(child) is nn.Linear:
            setattr(module, name, replaced(child))
        else:
            replace_linears(child, replaced)


def _gains(weight: torch.Tensor) -> bool:
    return weight.dtype != torch.float32 or weight.numel() >= LEAST_FLOAT32
