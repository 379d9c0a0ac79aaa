"""Settings of the answerers: how the model computes and answers, and when it agrees with geometry.

For parameters and options, so that nothing here needs PyTorch.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

from smolrgpt_core.answer import DISTANCE_TOLERANCE
from smolrgpt_core.language import MASK, Category

INT8 = "int8"
DTYPES = ("float32", "bfloat16", "float16", INT8)
ANSWER_STYLES = ("sentence", "short")
AUTO = "auto"
DEVICE = re.compile(r"auto|cpu|mps|(cuda|xpu)(:\d+)?")
TORCH = "torch"
ONNX = "onnx"
RUNTIMES = (AUTO, TORCH, ONNX)
STYLE_CHOICES = (AUTO, *ANSWER_STYLES)

MODEL = "model"
GEOMETRY = "geometry"
CONFIDENT = "confident"
PREFER_CHOICES = (CONFIDENT, MODEL, GEOMETRY)


@dataclass(frozen=True)
class AnswerStyle:
    """How an answer is asked for.

    Attributes:
        instruction: written behind the question, after a space; empty for the question alone.
        max_new_tokens: limit of an answer, the end token included.

    Raises:
        ValueError: when a value is outside its range, naming the field.
    """

    instruction: str = ""
    max_new_tokens: int = 120

    def __post_init__(self) -> None:
        if self.max_new_tokens < 1:
            raise ValueError(f"max_new_tokens must be at least 1, got {self.max_new_tokens}")

    def write(self, question: str) -> str:
        """The question followed by the instruction; an empty question stays empty."""
        is_empty = not question.replace(MASK, "").strip()
        return question if is_empty or not self.instruction else f"{question} {self.instruction}"


SHORT = AnswerStyle("Answer with the value only.", max_new_tokens=32)
"""The value only. The released checkpoints were not trained on the instruction."""

SENTENCE = AnswerStyle()
"""As the model was trained to answer, with the length limit of the released code."""


@dataclass(frozen=True)
class ComputeSettings:
    """How a model computes.

    Attributes:
        device: "auto" (CUDA where there is one, else the CPU), or a device of PyTorch: "cpu",
            "cuda", "cuda:1", "xpu", "mps". Whether this machine has it shows when it is used.
        dtype: of weights and computation, one of `DTYPES`; "int8", on a CPU, of the language
            model's linear layers, and float32 of all else.
        threads: of the computation on a CPU, during the calls of the model alone; 0 = one for a
            small model such as nano, otherwise as many as PyTorch is set to.
        runtime: what computes: "torch", "onnx" = ONNX Runtime, with a folder that `smolrgpt
            export-onnx` wrote, or "auto" = the one that the checkpoint is for.

    Raises:
        ValueError: naming the field that is none of its choices, or out of range.
    """

    device: str = AUTO
    dtype: str = "float32"
    threads: int = 0
    runtime: str = AUTO

    def __post_init__(self) -> None:
        if not DEVICE.fullmatch(self.device):
            raise ValueError(
                f"device must be auto, cpu, cuda, cuda:1, xpu or mps, got {self.device!r}"
            )
        _check_choice("dtype", self.dtype, DTYPES)
        _check_choice("runtime", self.runtime, RUNTIMES)
        if self.threads < 0:
            raise ValueError(
                f"threads must be 0 (by the size of the model) or more, got {self.threads}"
            )


@dataclass(frozen=True)
class ModelSettings(ComputeSettings):
    """Settings of `ModelAnswerer` other than its checkpoint.

    Attributes:
        answer_style: "sentence", "short" = the value only, or "auto" = the style that the
            checkpoint was made for, as stated in its `config.json`.
        raw_confidence: give the engine's own confidence, which is no probability of being correct,
            instead of the calibrated one. For fitting a calibration.
        adapter: folder of an adapter of the checkpoint; empty: none.

    Raises:
        ValueError: naming the field that is none of its choices, or out of range.
    """

    answer_style: str = AUTO
    raw_confidence: bool = False
    adapter: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_choice("answer_style", self.answer_style, STYLE_CHOICES)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")


@dataclass(frozen=True)
class AgreementTolerances:
    """How far apart two answers may be and still agree.

    Counts, sides and regions must be equal; distances may differ by the larger of both tolerances.

    Attributes:
        distance_relative: fraction of the larger distance.
        distance_m: meters, for short distances.

    Raises:
        ValueError: for a negative or infinite tolerance, naming the field.
    """

    distance_relative: float = DISTANCE_TOLERANCE
    distance_m: float = 0.05

    def __post_init__(self) -> None:
        for name in ("distance_relative", "distance_m"):
            value = getattr(self, name)
            if not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number and not negative, got {value}")

    def agree(self, category: Category, first: float | str, second: float | str) -> bool:
        """Whether two answers agree.

        Args:
            category: of both.
            first: meters, number of objects, side, or the chosen region.
            second: the same of the other answer.
        """
        if category is not Category.DISTANCE:
            return first == second
        larger = max(float(first), float(second))
        allowed = max(self.distance_m, self.distance_relative * larger)
        return abs(float(first) - float(second)) <= allowed


@dataclass(frozen=True)
class FusionSettings:
    """Settings of `FusedAnswerer` other than its two answerers.

    Attributes:
        prefer: whose answer is returned where both have one: "model", "geometry", or "confident":
            that of geometry where they agree, else the one that is more often correct by the
            calibration of the checkpoint; geometry's where there is none.
        abstain_below: an answer with less confidence is refused as CANNOT_TELL, and so is one
            whose confidence is not known; 0 = never.
        tolerances: what counts as agreement.

    Raises:
        ValueError: when a value is outside its range, naming the field.
    """

    prefer: str = CONFIDENT
    abstain_below: float = 0.0
    tolerances: AgreementTolerances = field(default_factory=AgreementTolerances)

    def __post_init__(self) -> None:
        _check_choice("prefer", self.prefer, PREFER_CHOICES)
        if not 0 <= self.abstain_below <= 1:
            raise ValueError(f"abstain_below must be 0 to 1, got {self.abstain_below}")
