"""Keys and values of a prompt's common head, computed once, and caches that continue from them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import pad
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

KeysValues = tuple[torch.Tensor, torch.Tensor]
"""Of one layer: (1, H, P, d) each, for H key/value heads and P tokens of the prefix."""


def prefix_keys_values(cache: DynamicCache) -> tuple[KeysValues, ...]:
    """What a cache holds after the prefix, layer by layer.

    Raises:
        ValueError: for a language model that does not attend to all earlier tokens.
    """
    found = []
    for layer in cache.layers:
        # A layer of a derived class forgets tokens, or keeps something else than keys and values.
        if type(layer) is not DynamicLayer or layer.keys is None or layer.values is None:
            raise ValueError(
                "the engine needs a language model whose layers attend to all earlier tokens, but "
                f"this one has a {type(layer).__name__}; ask it with model.generate"
            )
        found.append((layer.keys, layer.values))
    return tuple(found)


def continued_cache(prefix: tuple[KeysValues, ...], room: int) -> Cache:
    """A cache of one row that holds a prefix.

    Args:
        prefix: of every layer.
        room: number of tokens that may follow.
    """
    return Cache(layers=[_RoomyLayer(layer, room) for layer in prefix])


def split_cache(cache: Cache, lengths: Sequence[int], room: int) -> Cache:
    """A row for each question of a cache that holds them one after the other.

    Args:
        cache: from `continued_cache`: prefix, then the questions.
        lengths: tokens of each question.
        room: number of tokens that may follow.

    Returns:
        A cache whose rows hold the prefix, zeros where a question is shorter than the longest, and
        the question.
    """
    layers: list[Any] = []
    for layer in cache.layers:
        assert isinstance(layer, _RoomyLayer)
        keys, values = layer.shown
        layers.append(_RoomyLayer((_split(keys, lengths), _split(values, lengths)), room))
    return Cache(layers=layers)


def _split(states: torch.Tensor, lengths: Sequence[int]) -> torch.Tensor:
    """(B, H, P + longest, d) from (1, H, P + sum of lengths, d)."""
    head = states.shape[2] - sum(lengths)
    prefix, *questions = states.split([head, *lengths], dim=2)
    rows = [
        torch.cat([prefix, pad(question, (0, 0, max(lengths) - question.shape[2], 0))], dim=2)
        for question in questions
    ]
    return torch.cat(rows)


class _RoomyLayer(DynamicLayer):
    """Has room for all tokens from the start: a new token copies nothing of the earlier ones.

    Transformers' own layer concatenates at every token, which for a batch of questions copies
    about as many bytes as a tenth of the weights; its static layer attends to the empty room too.
    """

    def __init__(self, prefix: KeysValues, room: int) -> None:
        super().__init__()
        self._room = tuple(_with_room(states, room) for states in prefix)
        self.dtype, self.device = prefix[0].dtype, prefix[0].device
        self.is_initialized = True
        self._show(prefix[0].shape[2])

    @property
    def shown(self) -> KeysValues:
        """All keys and values so far."""
        return self._show(self.get_seq_length())

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> KeysValues:
        """Append (B, H, T, d); return all keys and values so far."""
        start = self.get_seq_length()
        end = start + key_states.shape[2]
        for room, new in zip(self._room, (key_states, value_states), strict=True):
            room[:, :, start:end] = new
        return self._show(end)

    def _show(self, length: int) -> KeysValues:
        self.keys, self.values = (room[:, :, :length] for room in self._room)
        return self.keys, self.values


def _with_room(states: torch.Tensor, room: int) -> torch.Tensor:
    """(B, H, P + room, d), of which the first P are filled."""
    rows, heads, length, width = states.shape
    reserved = states.new_empty(rows, heads, length + room, width)
    reserved[:, :, :length] = states
    return reserved
