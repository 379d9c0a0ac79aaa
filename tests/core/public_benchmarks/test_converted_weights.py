"""The weights of a GGUF file in transformers are those that llama.cpp runs."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

PROMPTS = (
    "The capital of France is",
    "A pallet is a flat structure that",
    "<|im_start|>user\nIs the left side opposite to the right side?<|im_end|>\n"
    "<|im_start|>assistant\n",
)
TOKENS = 8
CLOSE = 0.08
"""Probability: llama.cpp computes with activations of eight bits, transformers in float32."""


@pytest.fixture(scope="module")
def backbone(small_language_model, tmp_path_factory) -> Path:
    """The converted checkpoint."""
    folder = tmp_path_factory.mktemp("converted")
    small_language_model.write_backbone(folder)
    return folder


def posted(url: str, route: str, content: dict[str, Any]) -> dict[str, Any]:
    """The reply of a route of llama.cpp's own, which are beside those of the OpenAI protocol."""
    body = json.dumps(content).encode()
    request = Request(f"{url.removesuffix('/v1')}/{route}", body, {"Content-Type": "text/json"})
    with urlopen(request, timeout=200) as reply:
        return json.loads(reply.read())


@pytest.mark.parametrize("prompt", PROMPTS)
def test_transformers_and_llama_cpp_agree(prompt: str, backbone: Path, small_model: str) -> None:
    model = AutoModelForCausalLM.from_pretrained(backbone, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(backbone)
    ids = tokenizer(prompt)["input_ids"]
    assert posted(small_model, "tokenize", {"content": prompt, "add_special": True,
                                            "parse_special": True}) == {"tokens": ids}  # fmt: skip
    settings = {"n_predict": TOKENS, "temperature": 0, "n_probs": 5, "cache_prompt": False}
    reply = posted(small_model, "completion", {"prompt": prompt, **settings})
    written = reply["completion_probabilities"]
    tokens = torch.tensor([[*ids, *(place["id"] for place in written)]])
    with torch.inference_mode():
        here = model(tokens).logits[0, len(ids) - 1 : -1].softmax(dim=-1)
    assert len(written) >= 2
    for place, shares in zip(written, here, strict=True):
        # Greedy: the token is the likeliest here, too, unless two are as likely.
        assert shares[place["id"]] > shares.max() - CLOSE
        for other in place["top_logprobs"]:
            assert float(shares[other["id"]]) == pytest.approx(
                math.exp(other["logprob"]), abs=CLOSE
            )
