"""How the model answers, in words that need no PyTorch: for parameters and options."""

from __future__ import annotations

import re
from dataclasses import dataclass

DTYPES = ("float32", "bfloat16", "float16")
ANSWER_STYLES = ("sentence", "short")
AUTO = "auto"
DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")
STYLE_CHOICES = (AUTO, *ANSWER_STYLES)


@dataclass(frozen=True)
class ModelSettings:
    """What steers `ModelAnswerer` beside its checkpoint.

    Attributes:
        device: "auto" (CUDA where there is one, else the CPU), or a device of PyTorch: "cpu",
            "cuda", "cuda:1", "xpu", "mps". Whether this machine has it shows when it is used.
        dtype: of weights and computation, one of `DTYPES`.
        answer_style: "sentence", "short" = the value only, or "auto" = the style that the
            checkpoint was made for, as its `config.json` says.
        raw_confidence: give the engine's own confidence, which is no probability of being right,
            instead of the calibrated one. For fitting a calibration.

    Raises:
        ValueError: naming the field that is none of its choices.
    """

    device: str = "auto"
    dtype: str = "float32"
    answer_style: str = AUTO
    raw_confidence: bool = False

    def __post_init__(self) -> None:
        if not DEVICE.fullmatch(self.device):
            raise ValueError(
                f"device must be auto, cpu, cuda, cuda:1, xpu or mps, got {self.device!r}"
            )
        for name, choices in (("dtype", DTYPES), ("answer_style", STYLE_CHOICES)):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name} must be one of {', '.join(choices)}, got {getattr(self, name)!r}"
                )
