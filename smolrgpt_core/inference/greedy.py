"""Greedy decoding of a batch of prompts that share a cached prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.inference.frame_cache import Array
from smolrgpt_core.inference.stage_clock import StageClock
from smolrgpt_core.inference.steps import Writing

DECODE = "decode"


@dataclass(frozen=True)
class Decoded:
    """The answer to one prompt.

    Attributes:
        token_ids: with the end token, if the answer came to it.
        probabilities: of each of them, when it was chosen.
        complete: whether the answer came to its end before the limit of tokens.
    """

    token_ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    complete: bool


def decode_greedily(
    writing: Writing,
    ends: Sequence[int],
    max_new_tokens: int,
    clock: StageClock,
    deadlines: Sequence[float],
) -> list[Decoded | SpatialError]:
    """The most likely token again and again, until every answer has its end or is late.

    Args:
        writing: answers whose first token is chosen.
        ends: tokens that end an answer.
        max_new_tokens: limit of an answer.
        clock: knows what is late.
        deadlines: of each answer, by `time.monotonic()`, in seconds.

    Returns:
        For each prompt its answer, or TIMEOUT if its deadline passed first.
    """
    tokens, probabilities = [], []
    late: dict[int, SpatialError] = {}
    running = np.ones(len(deadlines), dtype=bool)
    while True:
        tokens.append(writing.tokens)
        probabilities.append(writing.probabilities)
        running &= [token not in ends for token in writing.tokens]
        late |= _end_late(running, deadlines, clock, f"{len(tokens)} of at most {max_new_tokens}")
        if len(tokens) == max_new_tokens or not running.any():
            break
        writing.go_on()
    decoded = cut_at_end(np.stack(tokens, axis=1), np.stack(probabilities, axis=1), ends)
    return [late.get(row, answer) for row, answer in enumerate(decoded)]


def _end_late(
    running: NDArray[np.bool_], deadlines: Sequence[float], clock: StageClock, progress: str
) -> dict[int, SpatialError]:
    """End the running answers whose deadline has passed; TIMEOUT for each of them, by its row."""
    ended = {}
    for row, deadline in enumerate(deadlines):
        error = clock.lateness(deadline, DECODE, f"{progress} tokens")
        if error and running[row]:
            ended[row] = error
            running[row] = False
    return ended


def cut_at_end(tokens: Array, probabilities: Array, ends: Sequence[int]) -> list[Decoded]:
    """What belongs to each answer of the batch: nothing after its end token.

    Args:
        tokens: (B, T), all that were chosen.
        probabilities: (B, T) of them, when they were chosen.
        ends: ids that end an answer.
    """
    decoded = []
    for ids, chances in zip(tokens.tolist(), probabilities.tolist(), strict=True):
        length = next((place for place, id in enumerate(ids, start=1) if id in ends), None)
        decoded.append(Decoded(tuple(ids[:length]), tuple(chances[:length]), length is not None))
    return decoded
