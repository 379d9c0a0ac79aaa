"""Greedy decoding of a batch of prompts that share a cached prefix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import Cache

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.inference.plain_llama import LanguageModel
from smolrgpt_core.inference.stage_clock import StageClock
from smolrgpt_core.model import SmolRGPTForConditionalGeneration

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


def first_logits(
    language: LanguageModel,
    embeds: torch.Tensor,
    lengths: Sequence[int],
    cache: Cache,
) -> torch.Tensor:
    """Logits (B, V) of the first token of each answer; the prompts go into the cache.

    The prompts stand one after the other in one row, so that nothing is computed for padding, and
    each attends to the prefix and to itself alone.

    Args:
        language: the language model.
        embeds: (1, T, D) of what follows the prefix, T the sum of lengths.
        lengths: tokens of each prompt.
        cache: of one row, holds the prefix of P tokens.
    """
    device, head = embeds.device, cache.get_seq_length()
    counts = torch.tensor(lengths, device=device)
    ends = counts.cumsum(dim=0)
    owner = torch.repeat_interleave(counts)
    order = torch.arange(len(owner), device=device)
    is_seen = (owner[:, None] == owner) & (order[:, None] >= order)
    mask = torch.zeros(1, 1, len(owner), head + len(owner), dtype=embeds.dtype, device=device)
    mask[0, 0, :, head:].masked_fill_(~is_seen, torch.finfo(embeds.dtype).min)
    positions = (head + order - (ends - counts)[owner])[None]
    return language.logits(embeds, cache, positions, mask, keep=ends - 1)[0]


def left_padded_mask(head: int, lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    """Attention mask (B, head + longest), 0 where a prompt is shorter than the longest."""
    longest = max(lengths)
    rows = [[1] * head + [0] * (longest - length) + [1] * length for length in lengths]
    return torch.tensor(rows, device=device)


def decode_greedily(
    language: LanguageModel,
    ends: torch.Tensor,
    forbidden: torch.Tensor,
    logits: torch.Tensor,
    attention_mask: torch.Tensor,
    cache: Cache,
    max_new_tokens: int,
    clock: StageClock,
    deadlines: Sequence[float],
) -> list[Decoded | SpatialError]:
    """The most likely token again and again, until every answer has its end or is late.

    Args:
        language: the language model.
        ends: from `end_tokens`.
        forbidden: from `forbidden_tokens`.
        logits: (B, V) of the first token, from `first_logits`.
        attention_mask: (B, P + T), 0 for padding.
        cache: with the prompts.
        max_new_tokens: limit of an answer.
        clock: tells what is late.
        deadlines: of each answer, by `time.monotonic()`, in seconds.

    Returns:
        For each prompt its answer, or TIMEOUT if its deadline passed first.
    """
    positions = attention_mask.sum(dim=1, keepdim=True)
    has_padding = bool((attention_mask == 0).any())
    tokens, probabilities = [], []
    late: dict[int, SpatialError] = {}
    running = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
    while True:
        if len(forbidden):
            logits = logits.index_fill(1, forbidden, -torch.inf)
        token = logits.argmax(dim=-1, keepdim=True)
        tokens.append(token)
        probabilities.append(logits.float().softmax(dim=-1).gather(1, token))
        running &= ~torch.isin(token[:, 0], ends)
        late |= _end_late(running, deadlines, clock, f"{len(tokens)} of at most {max_new_tokens}")
        if len(tokens) == max_new_tokens or not running.any():
            break
        if has_padding:
            attention_mask = torch.nn.functional.pad(attention_mask, (0, 1), value=1)
        mask = attention_mask if has_padding else None
        logits = language.logits(language.embed(token), cache, positions, mask)[:, -1]
        positions = positions + 1
    decoded = cut_at_end(torch.cat(tokens, dim=1), torch.cat(probabilities, dim=1), ends.tolist())
    return [late.get(row, answer) for row, answer in enumerate(decoded)]


def _end_late(
    running: torch.Tensor, deadlines: Sequence[float], clock: StageClock, progress: str
) -> dict[int, SpatialError]:
    """End the running answers whose deadline has passed; TIMEOUT for each of them, by its row."""
    ended = {}
    for row, deadline in enumerate(deadlines):
        error = clock.lateness(deadline, DECODE, f"{progress} tokens")
        if error and running[row]:
            ended[row] = error
            running[row] = False
    return ended


def end_tokens(model: SmolRGPTForConditionalGeneration, device: torch.device) -> torch.Tensor:
    """Ids (E,) that end an answer; none if the generation configuration names none."""
    ids = model.generation_config.eos_token_id
    ids = [] if ids is None else [ids] if isinstance(ids, int) else list(ids)
    return torch.tensor(ids, dtype=torch.long, device=device)


def forbidden_tokens(model: SmolRGPTForConditionalGeneration, device: torch.device) -> torch.Tensor:
    """Ids (F,) that no answer holds, such as those of a trained prompt."""
    ids = model.generation_config.suppress_tokens or []
    return torch.tensor(ids, dtype=torch.long, device=device)


def cut_at_end(
    tokens: torch.Tensor, probabilities: torch.Tensor, ends: Sequence[int]
) -> list[Decoded]:
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
