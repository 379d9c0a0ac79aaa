"""Bottleneck adapters: layers that are followed by a narrow detour, as parts of the model.

A detour is no linear map, so it cannot be merged into the layer. A checkpoint states in its
`config.json` which layers have one and of which kind, and loads them like all other weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn


class SerialBottleneck(nn.Module):
    """A linear layer, and behind it a narrow detour (Houlsby et al. 2019, arXiv 1902.00751).

    It starts as the layer alone.

    Args:
        layer: taken over.
        width: of the detour.
        dropout: within it, in training.
    """

    adapter_layer_names = ("down", "up")
    """Where the weights of the adapter are, by the name that peft has for it."""

    def __init__(self, layer: nn.Linear, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        place = {"device": layer.weight.device, "dtype": layer.weight.dtype}
        self.layer = layer
        self.down = nn.Linear(layer.out_features, width, **place)  # type: ignore[arg-type]
        self.dropout = nn.Dropout(dropout)
        self.up = nn.Linear(width, layer.out_features, **place)  # type: ignore[arg-type]
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)
        for linear in (self.down, self.up):
            for weight in linear.parameters():
                weight._is_hf_initialized = True  # type: ignore[attr-defined]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(..., out) of features (..., in)."""
        straight = self.layer(features)
        detour = self.up(self.dropout(nn.functional.gelu(self.down(straight))))
        return straight + detour


SERIAL = "serial"
KINDS = {SERIAL: SerialBottleneck}
"""Kinds of detours by the name that a checkpoint gives them."""


def described_bottlenecks(layers: Sequence[str], width: int) -> dict[str, Any]:
    """The field `bottlenecks` of a configuration.

    Args:
        layers: dotted names of linear layers, from the model without its head.
        width: of each detour.
    """
    return {"kind": SERIAL, "width": width, "layers": list(layers)}


def add_bottlenecks(
    root: nn.Module, bottlenecks: Mapping[str, Any] | None, dropout: float = 0.0
) -> None:
    """Put a detour behind the layers that a configuration names.

    Args:
        root: the model without its head.
        bottlenecks: from `described_bottlenecks`; None: there are none.
        dropout: within them, in training.

    Raises:
        ValueError: for a kind that is not known, or a layer that is not there.
    """
    if bottlenecks is None:
        return
    kind = bottlenecks.get("kind")
    if kind not in KINDS:
        raise ValueError(
            f"bottlenecks.kind must be one of {', '.join(KINDS)}, got {kind!r}: another version "
            "wrote it; without its layers the model would answer differently"
        )
    for name in bottlenecks["layers"]:
        layer = dict(root.named_modules()).get(name)
        if not isinstance(layer, nn.Linear):
            raise ValueError(
                f"bottlenecks.layers names {name}, which is no linear layer of this model"
            )
        root.set_submodule(name, KINDS[kind](layer, bottlenecks["width"], dropout))
