"""A Llama with a minimum of tensor operations.

What transformers does around the operators of a layer takes long: modules that call modules, masks
that are built anew for each token, settings that are read in each layer. It is several times what a
model of a few million weights computes for a token, and half of what one of 360 million does in
8-bit integers. Here is the same arithmetic without that, for inference in float32 on the CPU
alone. Where a model is another one, it computes itself.

B rows of T tokens of width D; H heads and G key/value heads of width d.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn
from torch.nn import functional
from transformers import Cache, LlamaModel
from transformers.models.llama.modeling_llama import LlamaDecoderLayer

from smolrgpt_core.inference.int8_linear import Int8Linear
from smolrgpt_core.inference.packed_linear import PackedLinear
from smolrgpt_core.inference.torch_threads import is_small
from smolrgpt_core.model import SmolRGPTForConditionalGeneration
from smolrgpt_core.model.adapters import is_tuner_layer


class KeysValuesOfLayers(Protocol):
    """What a layer asks of a cache, such as `transformers.Cache`."""

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, /
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values of a layer.

        Args:
            keys: (B, G, T, d) of the new tokens.
            values: (B, G, T, d) of the new tokens.
            layer: index of the layer.

        Returns:
            Keys and values of all tokens so far, (B, G, P + T, d) each.
        """
        ...


Product = Callable[[torch.Tensor], torch.Tensor]
"""A linear layer, or several side by side."""

_LINEARS = (nn.Linear, PackedLinear, Int8Linear)


class LanguageModel(Protocol):
    """What the engine asks of a language model."""

    def logits(
        self,
        embeds: torch.Tensor,
        cache: Cache,
        positions: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        keep: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Logits (B, K, V) after some of the tokens; keys and values go into the cache.

        Args:
            embeds: (B, T, D).
            cache: of earlier tokens.
            positions: int64 (B, T); None: they follow the cache.
            mask: float (B, 1, T, P + T), added to the scores; or int64 (B, P + T), 0 for padding.
                None: each token attends to all before it.
            keep: int64 (K,), the tokens; None: the last one.
        """
        ...

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """Embeddings (B, T, D) of tokens (B, T)."""
        ...


class TransformersLanguageModel:
    """The language model of a model as transformers computes it: any kind, of any size."""

    def __init__(self, model: SmolRGPTForConditionalGeneration) -> None:
        self._model = model

    def logits(
        self,
        embeds: torch.Tensor,
        cache: Cache,
        positions: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        keep: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """As `LanguageModel`."""
        return self._model(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=positions,
            cache=cache,
            use_cache=True,
            logits_to_keep=1 if keep is None else keep,
        ).logits

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """As `LanguageModel`."""
        return self._model.get_input_embeddings()(tokens)


@dataclass(frozen=True)
class _Layer:
    """Products of a layer, (B, T, out) of (B, T, in), and its norms (D,)."""

    norm: torch.Tensor
    query_key_value: Product
    out: Product
    mlp_norm: torch.Tensor
    gate_up: Product
    down: Product


class PlainLlama:
    """Implements `LanguageModel` with the layers of a model.

    The weights of a small one are copied, to join layers that stand side by side.

    Args:
        model: whose language model `fits`.
    """

    def __init__(self, model: SmolRGPTForConditionalGeneration) -> None:
        llama, text = model.model.language_model, model.config.text_config
        self._head_width = llama.layers[0].self_attn.head_dim
        self._key_value_heads = text.num_key_value_heads
        self._heads = text.num_attention_heads
        self._eps = text.rms_norm_eps
        self._embedding = llama.embed_tokens.weight.detach()
        self._frequencies = llama.rotary_emb.inv_freq.repeat(2)
        # Packed layers and those in integers have no weights to join.
        replaced = any(isinstance(item, PackedLinear | Int8Linear) for item in llama.modules())
        side_by_side = _joined if is_small(model) and not replaced else _one_by_one
        self._layers = [_layer_of(layer, side_by_side) for layer in llama.layers]
        self._norm = llama.norm.weight.detach()
        self._head = model.lm_head

    @staticmethod
    def fits(model: SmolRGPTForConditionalGeneration) -> bool:
        """Whether a model's language model is a Llama on the CPU, without anything unusual."""
        llama, text = model.model.language_model, model.config.text_config
        linears = [item for item in llama.modules() if isinstance(item, _LINEARS)]
        # The weight of a layer of an adapter is that of the layer without it.
        adapted = any(map(is_tuner_layer, model.modules()))
        usual = type(llama) is LlamaModel and text.hidden_act == "silu" and not adapted
        return bool(
            usual
            and model.device.type == "cpu"
            and model.dtype == torch.float32
            and llama.rotary_emb.rope_type == "default"
            and len(linears) == 7 * len(llama.layers)
            and all(linear.bias is None for linear in linears)
        )

    def embed(self, tokens: torch.Tensor) -> torch.Tensor:
        """As `LanguageModel`."""
        return functional.embedding(tokens, self._embedding)

    def logits(
        self,
        embeds: torch.Tensor,
        cache: Cache,
        positions: torch.Tensor | None = None,
        mask: torch.Tensor | None = None,
        keep: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """As `LanguageModel`."""
        if positions is None:
            positions = (torch.arange(embeds.shape[1]) + cache.get_seq_length())[None]
        if mask is not None and mask.ndim == 2:
            mask = mask.bool()[:, None, None]
        states = self.states(embeds, cache, positions, mask)
        return self.head(states[:, -1:] if keep is None else states[:, keep])

    def states(
        self,
        embeds: torch.Tensor,
        cache: KeysValuesOfLayers,
        positions: torch.Tensor,
        mask: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """States (B, T, D) behind the last layer; keys and values go into the cache.

        Args:
            embeds: (B, T, D).
            cache: of earlier tokens.
            positions: int64 (B, T).
            mask: (B, 1, T or 1, P + T), bool or float; None: each token attends to all before it.
        """
        angles = positions[:, None, :, None].float() * self._frequencies
        turn = (angles.cos(), angles.sin())
        states = embeds
        for number, layer in enumerate(self._layers):
            states = self._layer(number, layer, states, turn, cache, mask)
        return states

    def head(self, states: torch.Tensor) -> torch.Tensor:
        """Logits (..., V) of states (..., D)."""
        return self._head(self._normed(states, self._norm))

    def _layer(
        self,
        number: int,
        layer: _Layer,
        states: torch.Tensor,
        turn: tuple[torch.Tensor, torch.Tensor],
        cache: KeysValuesOfLayers,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """States (B, T, D) after a layer."""
        rows, length, _ = states.shape
        joined = layer.query_key_value(self._normed(states, layer.norm))
        joined = joined.view(rows, length, -1, self._head_width).transpose(1, 2)
        turned = _turned(joined[:, : self._heads + self._key_value_heads], *turn)
        query, key = turned[:, : self._heads], turned[:, self._heads :]
        keys, values = cache.update(key, joined[:, -self._key_value_heads :], number)
        read = functional.scaled_dot_product_attention(
            query, keys, values, mask,
            is_causal=mask is None and length > 1,
            enable_gqa=self._heads != self._key_value_heads,
        )  # fmt: skip
        read = read.transpose(1, 2).reshape(rows, length, -1)
        states = states + layer.out(read)
        joined = layer.gate_up(self._normed(states, layer.mlp_norm))
        gate, up = joined.chunk(2, dim=-1)
        return states + layer.down(functional.silu(gate) * up)

    def _normed(self, states: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return functional.rms_norm(states, weight.shape, weight, self._eps)


def _turned(states: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """States (B, H, T, d) turned by the angles of their positions, each half with the other."""
    first, second = states.chunk(2, dim=-1)
    return states * cosine + torch.cat([-second, first], dim=-1) * sine


def _layer_of(layer: LlamaDecoderLayer, side_by_side: Callable[..., Product]) -> _Layer:
    attention, mlp = layer.self_attn, layer.mlp
    return _Layer(
        norm=layer.input_layernorm.weight.detach(),
        query_key_value=side_by_side(attention.q_proj, attention.k_proj, attention.v_proj),
        out=attention.o_proj,
        mlp_norm=layer.post_attention_layernorm.weight.detach(),
        gate_up=side_by_side(mlp.gate_proj, mlp.up_proj),
        down=mlp.down_proj,
    )


def _joined(*linears: nn.Linear) -> Product:
    """Layers as one with the weights of all: a small one takes less time than a call of it."""
    weight = torch.cat([linear.weight for linear in linears]).detach()
    return lambda features: functional.linear(features, weight)


def _one_by_one(*linears: nn.Module) -> Product:
    """Layers as they are: those of a large model are not there twice."""
    return lambda features: torch.cat([linear(features) for linear in linears], dim=-1)
