"""What an adapter is: a few weights that change what a trained model does.

For configuration files and the card beside an adapter's weights, so that nothing here needs
PyTorch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

LORA, RSLORA, DORA = "lora", "rslora", "dora"
IA3, LN_TUNING, PROMPT, BOTTLENECK = "ia3", "ln_tuning", "prompt", "bottleneck"
METHODS = (LORA, RSLORA, DORA, IA3, LN_TUNING, PROMPT, BOTTLENECK)

WITH_FACTORS = (LORA, RSLORA, DORA)
WITH_DROPOUT = (*WITH_FACTORS, BOTTLENECK)

LANGUAGE = "language_model"
"""The part that reads the tokens of a trained prompt."""


@dataclass(frozen=True)
class AdapterSettings:
    """Which weights are added to a model, and where.

    Attributes:
        method: "lora", "rslora" (scaled by the root of the rank) and "dora" (with magnitudes of its
            own) add a product of two narrow matrices to linear layers; "ia3" scales the outputs of
            linear layers, or the inputs of the second one of an MLP; "ln_tuning" trains copies of
            norms; "prompt" trains new tokens before the image tokens; "bottleneck" adds a narrow
            detour behind linear layers, which cannot be merged and becomes a part of the model.
        targets: pattern by part of the model (`training.config.PARTS`): a regular expression that
            the end of a layer's dotted name in the part must match whole, such as "q_proj|v_proj",
            "mlp.*" or ".*". Not with "prompt", whose tokens are the language model's.
        rank: width of the matrices of lora, rslora and dora, and of a bottleneck.
        alpha: with lora, rslora and dora, what is added is scaled by alpha / rank (rslora: by
            alpha / the root of the rank).
        dropout: of the inputs of lora, rslora and dora, and within a bottleneck.
        tokens: number of tokens of a prompt.

    Raises:
        ValueError: naming the field that cannot work.
    """

    method: str
    targets: Mapping[str, str] = field(default_factory=dict)
    rank: int = 8
    alpha: float = 16.0
    dropout: float = 0.0
    tokens: int = 8

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"method must be one of {', '.join(METHODS)}, got {self.method!r}")
        for name in ("rank", "tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)!r}")
        if not 0 < self.alpha < float("inf"):
            raise ValueError(f"alpha must be a positive number, got {self.alpha!r}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be from 0 to below 1, got {self.dropout!r}")
        if self.dropout and self.method not in WITH_DROPOUT:
            raise ValueError(
                f"dropout must be 0 with {self.method}, which has none, got {self.dropout!r}"
            )
        self._check_targets()

    def _check_targets(self) -> None:
        if self.method == PROMPT and self.targets:
            raise ValueError(
                "targets must be omitted with prompt, whose tokens are the language model's, got "
                f"{', '.join(self.targets)}"
            )
        if self.method != PROMPT and not self.targets:
            raise ValueError(
                f"targets must name at least one part for {self.method}, such as "
                f"{LANGUAGE}: q_proj|v_proj"
            )
        for part, pattern in self.targets.items():
            try:
                re.compile(pattern)
            except re.error as error:
                raise ValueError(
                    f"targets.{part} must be a regular expression, got {pattern!r}: {error}"
                ) from error

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the model that it changes."""
        return tuple(self.targets) if self.method != PROMPT else (LANGUAGE,)

    def described(self) -> str:
        """Method and size in a few words, such as "lora of rank 8"."""
        if self.method == PROMPT:
            return f"prompt of {self.tokens} tokens"
        has_rank = self.method in WITH_DROPOUT
        return f"{self.method} of rank {self.rank}" if has_rank else self.method
