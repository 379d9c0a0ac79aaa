"""Linear layers in the memory order that the CPU multiplies fastest in.

PyTorch's own product of a few rows with a large matrix reorders the matrix at every call, which for
a language model that writes one token after another costs as much as the product. Here the order of
oneDNN is made once. PyTorch's compiler does the same with frozen weights, through the same
operators, but needs a C++ compiler where the model runs.
"""

from __future__ import annotations

import torch
from torch import nn


class PackedLinear(nn.Module):
    """Computes what a linear layer computes, for inference on the CPU only.

    It has no parameters: it cannot be trained, saved or moved to another device.

    Args:
        linear: whose weight (out, in) and bias (out,) are taken; may be dropped afterwards.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._weight = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach())
        self._bias = None if linear.bias is None else linear.bias.detach().clone()

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(..., out) of features (..., in)."""
        return torch.ops.mkldnn._linear_pointwise(
            features, self._weight, self._bias, "none", [], ""
        )

    def extra_repr(self) -> str:
        """Sizes, as `nn.Linear` shows them."""
        return f"in_features={self.in_features}, out_features={self.out_features}"


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether packed layers work, and are faster, on this device with this type."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    if not torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        return False
    if dtype == torch.bfloat16:
        return torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return dtype == torch.float32


def pack_linears(model: nn.Module) -> None:
    """Put packed layers in place of all linear layers of a model.

    A weight that is tied to another module stays there as well.
    """
    _replace_linears(model)
    # What is left would keep the whole file of a loaded checkpoint mapped.
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data = tensor.data.clone()


def _replace_linears(module: nn.Module) -> None:
    # One after the other, holding none of them, so that no two copies are there for long.
    for name in [name for name, _ in module.named_children()]:
        child = module.get_submodule(name)
        # A derived class may compute something else.
        if type(child) is nn.Linear:
            setattr(module, name, PackedLinear(child))
        else:
            _replace_linears(child)
