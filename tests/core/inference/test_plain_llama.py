"""The plain Llama computes what transformers computes, and stays away from what it cannot."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from torch import nn
from transformers import DynamicCache

from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.inference import EngineConfig, TorchSteps, torch_threads
from smolrgpt_core.inference.key_values import continued_cache, prefix_keys_values, split_cache
from smolrgpt_core.inference.plain_llama import PlainLlama, TransformersLanguageModel
from smolrgpt_core.inference.torch_steps import first_logits, left_padded_mask
from smolrgpt_core.model import SmolRGPTForConditionalGeneration

PREFIX, LENGTHS = 9, (5, 8, 2)


@pytest.fixture(params=["official", "nano"])
def small(request, checkpoint) -> SmolRGPTForConditionalGeneration:
    """With grouped heads, and with as many keys as heads."""
    folder = checkpoint if request.param == "official" else NANO
    return SmolRGPTForConditionalGeneration.from_pretrained(folder).eval()


def logits_of_a_call(language, model):
    """Of the prefix, of the first token of each prompt, and of two tokens after them."""
    torch.manual_seed(0)
    text = model.config.text_config
    tokens = torch.randint(0, text.vocab_size, (1, PREFIX + sum(LENGTHS)))
    with torch.inference_mode():
        prefix = DynamicCache(config=text)
        found = [language.logits(language.embed(tokens[:, :PREFIX]), prefix)]
        cache = continued_cache(prefix_keys_values(prefix), sum(LENGTHS))
        embeds = language.embed(tokens[:, PREFIX:])
        found.append(first_logits(language, embeds, LENGTHS, cache))
        rows = split_cache(cache, LENGTHS, 2)
        mask = left_padded_mask(PREFIX, LENGTHS, tokens.device)
        for _ in range(2):
            mask = nn.functional.pad(mask, (0, 1), value=1)
            positions = mask.sum(dim=1, keepdim=True) - 1
            chosen = found[-1].reshape(len(LENGTHS), -1).argmax(dim=-1, keepdim=True)
            found.append(language.logits(language.embed(chosen), rows, positions, mask)[:, -1])
    return found


def test_it_gives_the_same_logits(small):
    assert PlainLlama.fits(small)
    expected = logits_of_a_call(TransformersLanguageModel(small), small)
    for found, wanted in zip(logits_of_a_call(PlainLlama(small), small), expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_keys_and_values_can_be_had_without_logits(small):
    language, text = PlainLlama(small), small.config.text_config
    tokens = torch.arange(PREFIX)[None]
    with torch.inference_mode():
        caches = [DynamicCache(config=text) for _ in range(2)]
        nothing = language.logits(language.embed(tokens), caches[0], keep=tokens.new_empty(0))
        language.logits(language.embed(tokens), caches[1])
    assert nothing.shape == (1, 0, text.vocab_size)
    for found, wanted in zip(*map(prefix_keys_values, caches), strict=True):
        assert torch.equal(found[0], wanted[0])
        assert torch.equal(found[1], wanted[1])


def with_bias(model):
    projection = model.model.language_model.layers[0].mlp.up_proj
    projection.bias = nn.Parameter(torch.ones(projection.out_features))


def with_another_activation(model):
    model.config.text_config.hidden_act = "gelu"


def in_half_precision(model):
    model.bfloat16()


def with_a_derived_layer(model):
    class Another(nn.Module):
        pass

    model.model.language_model.layers[0].mlp.up_proj = Another()


@pytest.mark.parametrize(
    "change", [with_bias, with_another_activation, in_half_precision, with_a_derived_layer]
)
def test_other_models_compute_themselves(model, processor, change):
    changed = deepcopy(model)
    change(changed)
    assert not PlainLlama.fits(changed)
    assert PlainLlama.fits(model)


@pytest.fixture
def large(small, monkeypatch):
    """The same model, counted among those whose layers are not copied."""
    monkeypatch.setattr(torch_threads, "SMALL_PARAMETERS", 1000)
    return small


def test_layers_of_a_large_model_are_not_copied(large):
    expected = logits_of_a_call(TransformersLanguageModel(large), large)
    language = PlainLlama(large)
    before = logits_of_a_call(language, large)
    for found, wanted in zip(before, expected, strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    large.model.language_model.layers[0].self_attn.v_proj.weight.data.zero_()
    assert not torch.equal(logits_of_a_call(language, large)[0], before[0])


def test_packed_layers_are_called_as_they_are(large, processor):
    steps = TorchSteps(large, processor, EngineConfig(device="cpu"))
    assert isinstance(steps.language, PlainLlama)
