"""Linear layers in 8-bit integers, on the CPU: each token reads a quarter of the memory.

Weights have a scale for each output, activations one for each row, so that a question is answered
alone as it is among others, and a row of outliers spoils no other. Activations use seven of the
eight bits: CPUs without VNNI instructions add two products in 16 bits, which eight would overflow.

The operators are those that PyTorch quantizes with for x86 and ARM, and may leave it one day. So
they are tried on a small layer first.
"""

from __future__ import annotations

import warnings

import torch
from torch import nn

from smolrgpt_core.inference.packed_linear import InferenceLinear, replace_linears, small_layer
from smolrgpt_core.model.parts import Model, parts_of

LEVELS = 63
"""Steps of an activation on both sides of zero."""

WEIGHT_LEVELS = 127
"""Steps of a weight on both sides of zero."""

_ZERO = 64
"""The unsigned number that stands for an activation of zero."""

_TINY = torch.finfo(torch.float32).tiny
"""In place of the largest number of zeros."""

_TOLERANCE = 0.05
"""How far the product of a small layer may be off, relative to the largest one."""


class Int8Linear(InferenceLinear):
    """Computes nearly what a linear layer in float32 computes.

    Args:
        linear: whose weight (out, in) and bias (out,) are taken; may be dropped afterwards.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__(linear)
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(dim=1).clamp_min(_TINY)
        zeros = torch.zeros(self.out_features, dtype=torch.long)
        with warnings.catch_warnings():
            # That these operators may go one day is what `check_int8` is for.
            warnings.simplefilter("ignore")
            integers = torch.quantize_per_channel(
                weight, scales.double() / WEIGHT_LEVELS, zeros, 0, torch.qint8
            )
        bias = None if linear.bias is None else linear.bias.detach().float()
        self._weight = torch.ops.quantized.linear_prepack(integers, None)
        self.bias = bias

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(..., out) of features (..., in)."""
        rows = features.reshape(-1, self.in_features)
        largest = rows.abs().amax(dim=1, keepdim=True).clamp_min(_TINY)
        product = torch.ops.quantized.linear_with_input_q_dq_qweight_dq_output_fp32(
            rows / largest, 1 / LEVELS, _ZERO, self._weight
        )
        product = (product * largest).view(*features.shape[:-1], self.out_features)
        return product if self.bias is None else product + self.bias


def check_int8(device: torch.device) -> None:
    """Make sure that this machine computes layers in 8-bit integers.

    Raises:
        ValueError: with the reason, and what to set instead.
    """
    problem = _problem_of_int8() if device.type == "cpu" else f"not on the device {device}"
    if problem:
        raise ValueError(
            f"the dtype int8 cannot be computed here: {problem}; set float32 or bfloat16"
        )


def _problem_of_int8() -> str:
    """Why a small layer does not compute what it computes in float32; empty if it does."""
    layer, features = small_layer(torch.float32)
    try:
        with torch.inference_mode():
            found, wanted = Int8Linear(layer)(features), layer(features)
    except (AttributeError, RuntimeError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        return f"PyTorch {torch.__version__} lacks the operators ({reason})"
    is_near = float((found - wanted).abs().max()) <= _TOLERANCE * float(wanted.abs().max())
    return "" if is_near else f"PyTorch {torch.__version__} computes another product"


def quantize_language_model(model: Model) -> None:
    """Replace the linear layers of a model's language model, and its head, by `Int8Linear`.

    The embeddings stay as they are, also where the head was tied to them. Layers of an adapter that
    is not merged stay, since it reads their weights.
    """
    replace_linears(parts_of(model)["language_model"], Int8Linear)
    head = model.get_output_embeddings()
    if type(head) is nn.Linear:
        (name,) = (name for name, module in model.named_modules() if module is head)
        model.set_submodule(name, Int8Linear(head))
