"""PyTorch's Muon, computed in the number format in which the device is fast.

PyTorch orthogonalizes in bfloat16 everywhere. A processor without instructions for it is several
times slower in it than in float32, and most of a training step was spent there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from smolrgpt_core.torch_device import computes_bfloat16


class Muon(torch.optim.Muon):
    """As PyTorch's own, with the learning rates of AdamW (`match_rms_adamw`).

    Args:
        groups: of matrices, with `lr` and `weight_decay`.
    """

    def __init__(self, groups: list[dict[str, Any]]) -> None:
        super().__init__(groups, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(  # type: ignore[override]
        self, closure: Callable[[], float] | None = None
    ) -> float | None:
        """One step of all matrices."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(weight, weight.grad, group)
        return loss

    def _step(self, weight: torch.Tensor, gradient: torch.Tensor, group: dict[str, Any]) -> None:
        """One step of a matrix (A, B)."""
        state = self.state[weight]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(gradient)
        momentum = state["momentum_buffer"].lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(momentum, group["momentum"]) if group["nesterov"] else momentum
        update = orthogonal(update, group["ns_coefficients"], group["ns_steps"], group["eps"])
        weight.mul_(1 - group["lr"] * group["weight_decay"])
        weight.add_(update, alpha=-0.2 * max(weight.shape) ** 0.5 * group["lr"])


def orthogonal(
    matrix: torch.Tensor, coefficients: tuple[float, float, float], steps: int, least_norm: float
) -> torch.Tensor:
    """A matrix (A, B) with all singular values near 1, by Newton-Schulz iteration.

    Args:
        matrix: (A, B).
        coefficients: of the odd polynomial of degree 5 that each step applies.
        steps: number of them.
        least_norm: that the matrix is taken to have.
    """
    dtype = torch.bfloat16 if computes_bfloat16(matrix.device) else torch.float32
    is_tall = matrix.shape[0] > matrix.shape[1]
    wide = (matrix.T if is_tall else matrix).to(dtype)
    wide = wide / wide.norm().clamp(min=least_norm)
    first, third, fifth = coefficients
    for _ in range(steps):
        square = wide @ wide.T
        wide = torch.addmm(wide, third * square + fifth * square @ square, wide, beta=first)
    return (wide.T if is_tall else wide).to(matrix.dtype)
