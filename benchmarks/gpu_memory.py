"""What one GPU trains: memory by model and method, computed and not measured.

    python benchmarks/gpu_memory.py --write-docs

Numbers of weights are exact: the models are built without memory. Activations are an estimate, by
the usual count of 34 bytes for each token, layer and channel in 16 bits.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from performance_page import Table
from torch import nn

from smolrgpt_core.files import write_file
from smolrgpt_core.markdown import replace_section
from smolrgpt_core.model import SmolRGPTConfig, SmolRGPTForConditionalGeneration
from smolrgpt_core.model.parts import weights_of_part

PAGE = Path(__file__).resolve().parent.parent / "docs" / "studies.md"
TITLE = "What one GPU trains"

RANK = 8
CARDS_GB = (8, 16, 24, 80)
RESERVED_GB = 1.0
"""Of CUDA itself and of what is lost between blocks."""

TOKENS = 2048
"""Of one row, the default of `data.row_tokens`."""

WEIGHT, GRADIENT, ADAM, CAST = 4, 4, 8, 2
"""Bytes of a weight: in float32, and if trained its gradient, two moments, its copy in bfloat16."""

BYTES_OF_LAYER, BYTES_BETWEEN_LAYERS = 34, 4
"""Activations of a token, for each channel; with checkpoints only those between layers stay."""

NOTE = (
    "**Computed, not measured**: `python benchmarks/gpu_memory.py --write-docs`. Weights are "
    "exact, activations an estimate. SmolRGPT as released but for the language model; AdamW, "
    f"bfloat16 with weights in float32, one row of {TOKENS:,} tokens in a micro-batch, "
    f"{RESERVED_GB:g} GB for CUDA. `fsdp` divides weights and what belongs to them by the number "
    "of GPUs."
)

QWEN = {"model_type": "qwen2", "pad_token_id": 0}
LANGUAGE_MODELS: dict[str, dict[str, Any]] = {
    "as released (SmolLM2-360M)": {},
    "SmolLM2-1.7B": {
        "model_type": "llama", "vocab_size": 49155, "hidden_size": 2048, "num_hidden_layers": 24,
        "intermediate_size": 8192, "num_attention_heads": 32, "num_key_value_heads": 32,
        "pad_token_id": 2,
    },
    "Qwen2.5-3B": {
        **QWEN, "vocab_size": 151939, "hidden_size": 2048, "num_hidden_layers": 36,
        "intermediate_size": 11008, "num_attention_heads": 16, "num_key_value_heads": 2,
    },
    "Qwen2.5-7B": {
        **QWEN, "vocab_size": 152067, "hidden_size": 3584, "num_hidden_layers": 28,
        "intermediate_size": 18944, "num_attention_heads": 28, "num_key_value_heads": 4,
    },
}  # fmt: skip
"""Sizes as published; everything else of the model is as released."""


@dataclass(frozen=True)
class Need:
    """Bytes of a training step with one row.

    Attributes:
        weights: all of them, with what belongs to the trained ones.
        activations: without checkpoints of activations.
        saved: with them.
    """

    weights: int
    activations: int
    saved: int


def need(model: SmolRGPTForConditionalGeneration, trained: int) -> Need:
    """What a step needs where so many weights are trained."""
    total = sum(weight.numel() for weight in model.parameters())
    text = model.config.text_config
    row = TOKENS * text.hidden_size
    layers = text.num_hidden_layers
    return Need(
        WEIGHT * total + (GRADIENT + ADAM + CAST) * trained,
        BYTES_OF_LAYER * row * layers,
        (BYTES_BETWEEN_LAYERS * layers + BYTES_OF_LAYER) * row,
    )


def rows_of(name: str, text: dict[str, Any]) -> list[tuple[str, ...]]:
    """Training of the whole language model, and of LoRA on it, with and without checkpoints."""
    config = SmolRGPTConfig(text_config=text) if text else SmolRGPTConfig.preset("smolrgpt")
    with torch.device("meta"):
        model = SmolRGPTForConditionalGeneration(config)
    total = sum(weight.numel() for weight in model.parameters())
    language = {id(weight): weight for _, weight in weights_of_part(model, "language_model")}
    full = sum(weight.numel() for weight in language.values())
    rows: list[tuple[str, ...]] = []
    for method, trained in (("language model", full), (f"LoRA, rank {RANK}", of_lora(model))):
        found = need(model, trained)
        for checkpoints, activations in (("no", found.activations), ("yes", found.saved)):
            gigabytes = (found.weights + activations) / 1e9 + RESERVED_GB
            fits = [f"{card} GB" for card in CARDS_GB if gigabytes <= card]
            rows.append(
                (
                    name, f"{total / 1e6:,.0f} M", method, f"{trained / 1e6:,.1f} M", checkpoints,
                    f"{gigabytes:.1f}", fits[0] if fits else "none of these",
                )
            )  # fmt: skip
    return rows


def of_lora(model: SmolRGPTForConditionalGeneration) -> int:
    """Weights of two factors beside each linear layer of the language model."""
    linear = [layer for layer in model.model.language_model.modules() if type(layer) is nn.Linear]
    return sum(RANK * (layer.in_features + layer.out_features) for layer in linear)


def main() -> None:
    """Print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write-docs", action="store_true", help="update docs/studies.md")
    table = Table(
        "Gigabytes of a training step with one row",
        ("language model", "weights", "trained", "of them", "activation checkpoints",
         "GB", "smallest GPU"),
        tuple(row for name, text in LANGUAGE_MODELS.items() for row in rows_of(name, text)),
    )  # fmt: skip
    table.show()
    if parser.parse_args().write_docs:
        section = "\n\n".join([f"## {TITLE}", NOTE, table.as_markdown()])
        write_file(PAGE, replace_section(PAGE.read_text(), TITLE, section).encode())


if __name__ == "__main__":
    main()
