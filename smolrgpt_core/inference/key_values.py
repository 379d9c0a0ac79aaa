"""Keys and values of a prompt's common head, computed once, and caches that continue from them."""

from __future__ import annotations

from typing import Any

import torch
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
                "the engine needs a language model whose layers attend to all earlier tokens, this "
                f"one has a {type(layer).__name__}; ask it with model.generate"
            )
        found.append((layer.keys, layer.values))
    return tuple(found)


def continued_cache(prefix: tuple[KeysValues, ...], rows: int, room: int) -> Cache:
    """A cache for questions that share a prefix.

    Args:
        prefix: of every layer.
        rows: number of questions.
        room: number of tokens that will follow the prefix.

    Returns:
        A cache that holds the prefix in every row, and takes up to `room` tokens more.
    """
    return Cache(layers=[_RoomyLayer(layer, rows, room) for layer in prefix])


class _RoomyLayer(DynamicLayer):
    """Has room for all tokens from the start: a new token copies nothing of the earlier ones.

    Transformers' own layer concatenates at every token, which for a batch of questions copies
    about as many bytes as a tenth of the weights; its static layer attends to the empty room too.
    """

    def __init__(self, prefix: KeysValues, rows: int, room: int) -> None:
        super().__init__()
        self._room = tuple(_with_room(states, rows, room) for states in prefix)
        self.dtype, self.device = prefix[0].dtype, prefix[0].device
        self.is_initialized = True
        self._show(prefix[0].shape[2])

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


def _with_room(states: torch.Tensor, rows: int, room: int) -> torch.Tensor:
    """(rows, H, P + room, d), of which the first P are filled."""
    _, heads, length, width = states.shape
    reserved = states.new_empty(rows, heads, length + room, width)
    reserved[:, :, :length] = states
    return reserved
