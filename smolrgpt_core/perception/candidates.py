"""Log-likelihoods of candidate answers under an image-text model.

No text is generated and none has to be read; the probabilities of the answers are a confidence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

_PER_TOKEN = ("attention_mask", "token_type_ids", "mm_token_type_ids")
"""Inputs with a value for each token, and what the tokens of an answer have there."""

_OF_ANSWER = {"attention_mask": 1, "token_type_ids": 1, "mm_token_type_ids": 0}


@torch.inference_mode()
def log_likelihoods(
    model: Any, tokenizer: Any, inputs: Mapping[str, torch.Tensor], answers: Sequence[str]
) -> list[float]:
    """Natural logarithms of the probabilities that a model generates an answer and then ends.

    Args:
        model: an image-text model of transformers.
        tokenizer: of the model.
        inputs: of a prompt, with `input_ids` (1, T), as for `model.generate`.
        answers: texts that may follow the prompt.

    Raises:
        ValueError: the model has no token that ends an answer.
    """
    ends = end_tokens(model, tokenizer)
    found = []
    for answer in answers:
        ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
        logits = model(**_continued(inputs, ids)).logits[0, -len(ids) - 1 :]
        found.append(log_likelihood(logits, ids, ends))
    return found


def log_likelihood(logits: torch.Tensor, ids: Sequence[int], ends: Sequence[int]) -> float:
    """Natural logarithm of the probability of tokens followed by an end token.

    Args:
        logits: (len(ids) + 1, V), before each token and before the end.
        ids: the tokens.
        ends: tokens that end an answer.
    """
    logs = logits.double().log_softmax(dim=-1)
    of_tokens = sum(float(logs[place, token]) for place, token in enumerate(ids))
    return of_tokens + float(logs[-1, list(ends)].logsumexp(dim=0))


def _continued(inputs: Mapping[str, torch.Tensor], ids: Sequence[int]) -> dict[str, torch.Tensor]:
    """Inputs of a prompt with the tokens of an answer after it."""
    tokens = inputs["input_ids"]
    more = {"input_ids": torch.tensor([list(ids)], dtype=tokens.dtype, device=tokens.device)}
    for name in _PER_TOKEN:
        if name in inputs:
            kind = inputs[name].dtype
            more[name] = torch.full_like(more["input_ids"], _OF_ANSWER[name], dtype=kind)
    extended = {name: torch.cat([inputs[name], value], dim=1) for name, value in more.items()}
    return {**inputs, **extended}


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """The tokens that end an answer when the model generates.

    Raises:
        ValueError: neither the model nor its tokenizer has one.
    """
    ends = model.generation_config.eos_token_id
    if ends is None:
        ends = tokenizer.eos_token_id
    if ends is None:
        raise ValueError(
            "candidates are scored with an end-of-answer token, which neither the model nor its "
            "tokenizer has; set eos_token_id in its generation_config.json"
        )
    return [ends] if isinstance(ends, int) else list(ends)
