"""Trained tokens that stand before the image tokens of a prompt."""

from __future__ import annotations

from typing import Any


def prompt_texts(count: int) -> list[str]:
    """The tokens as the tokenizer writes them."""
    return [f"<|prompt_{number}|>" for number in range(count)]


def add_prompt_tokens(tokenizer: Any, count: int) -> list[int]:
    """Give a tokenizer those of these tokens that it lacks.

    Returns:
        Their ids, in order.
    """
    texts = prompt_texts(count)
    known = tokenizer.get_vocab()
    missing = [text for text in texts if text not in known]
    if missing:
        tokenizer.add_tokens(missing, special_tokens=True)
    ids: list[int] = tokenizer.convert_tokens_to_ids(texts)
    return ids
