"""What computes for the engine: PyTorch, or ONNX Runtime where PyTorch is not even installed.

The engine decides what is asked of which frame, keeps what was computed, and reads the words; here
is what it asks of a runtime. Nothing here needs PyTorch.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference.config import EngineConfig
from smolrgpt_core.inference.frame_cache import EncodedFrame
from smolrgpt_core.inference.stage_clock import StageClock
from smolrgpt_core.model_inputs.prompts import TokenRow


@dataclass(frozen=True)
class Prompt:
    """A question behind the head: its tokens, which of them ask, its regions in order, its end."""

    token_ids: list[int]
    is_question: list[int]
    region_ids: tuple[int, ...]
    deadline: float


class Writing(Protocol):
    """B answers that are being written.

    Attributes:
        tokens: int64 (B,), the most likely next one of each.
        probabilities: float32 (B,) of them.
    """

    tokens: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    def go_on(self) -> None:
        """Append `tokens`, and choose the next ones."""
        ...


class Steps(Protocol):
    """A runtime with a model. It is called by one thread at a time."""

    @property
    def config(self) -> EngineConfig:
        """How to compute."""
        ...

    @property
    def model_config(self) -> Any:
        """Settings in the checkpoint: `answers`, `answer_style` and `max_tokens`."""
        ...

    @property
    def end_ids(self) -> Sequence[int]:
        """Tokens that end an answer."""
        ...

    def computing(self) -> AbstractContextManager[None]:
        """Around all computation of a call."""
        ...

    def finish(self) -> None:
        """Wait until the device has finished its work."""
        ...

    def release(self) -> None:
        """Give memory that nothing uses back to the device."""
        ...

    def tokenize(self, text: str, regions: int) -> TokenRow:
        """The prompt of a question.

        Raises:
            SpatialError: BAD_QUESTION when it cannot be asked.
        """
        ...

    def head_length(self, ids: Sequence[int]) -> int:
        """Number of tokens up to the last image token."""
        ...

    def text_of(self, token_ids: Sequence[int]) -> str:
        """Words without control tokens."""
        ...

    def encode(self, frame: RGBDFrame, head: Sequence[int], clock: StageClock) -> EncodedFrame:
        """Encode a frame.

        Args:
            frame: with its regions.
            head: token ids before the questions.
            clock: measures the stages encode and prefix.

        Raises:
            SpatialError: BAD_INPUT or NO_VALID_DEPTH as of the processor, TIMEOUT.
        """
        ...

    def add_regions(self, encoded: EncodedFrame, ids: Sequence[int]) -> None:
        """Add regions, which are not there yet, to `region_features`.

        Raises:
            SpatialError: BAD_INPUT when one of them cannot be used.
        """
        ...

    def begin(self, encoded: EncodedFrame, prompts: Sequence[Prompt], room: int) -> Writing:
        """Read prompts, to write their answers.

        Args:
            encoded: the frame, with the regions of the prompts.
            prompts: to read.
            room: number of tokens that may follow.
        """
        ...
