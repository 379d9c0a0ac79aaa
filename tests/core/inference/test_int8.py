"""Linear layers in 8-bit integers are near the exact ones, and no answer depends on its company."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from smolrgpt_core.inference.int8_linear import Int8Linear, check_int8
from smolrgpt_core.inference.packed_linear import PackedLinear

QUESTIONS = [
    ("How far is <mask> from <mask>?", (13, 15)),
    ("What is this?", ()),
    ("How many pallets <mask> <mask> <mask> <mask> are in the buffer <mask>?", (10, 11, 12, 13, 2)),
    ("Is <mask> left of <mask>? Look at the image from the camera's view.", (60, 13)),
]


@pytest.fixture
def layer():
    torch.manual_seed(0)
    return nn.Linear(96, 41)


@pytest.mark.parametrize("shape", [(96,), (1, 96), (2, 5, 96), (3, 0, 96)])
def test_the_product_is_near_that_of_the_layer(layer, shape):
    features = torch.randn(shape)
    with torch.inference_mode():
        found, wanted = Int8Linear(layer)(features), layer(features)
    assert found.shape == wanted.shape
    assert (found - wanted).norm() <= 0.02 * wanted.norm()


def test_a_row_is_computed_alone_as_among_others(layer):
    features = torch.randn(6, 96)
    # Activations of language models have such rows and such channels.
    features[2] *= 1000
    features[4, 7] = 300
    quantized = Int8Linear(layer)
    with torch.inference_mode():
        together = quantized(features)
        alone = torch.cat([quantized(row[None]) for row in features])
        wanted = layer(features)
    assert torch.equal(together, alone)
    assert ((together - wanted).norm(dim=1) <= 0.03 * wanted.norm(dim=1)).all()


def test_zeros_and_what_is_not_finite(layer):
    features = torch.zeros(3, 96)
    features[1, 5] = torch.nan
    with torch.inference_mode():
        found = Int8Linear(layer)(features)
    assert torch.equal(found[0], layer.bias)
    assert not found[1].isfinite().any()
    assert torch.equal(found[2], layer.bias)


def test_the_language_model_computes_in_integers_and_nothing_else_does(make_engine):
    model = make_engine(dtype="int8").steps.model
    kinds = {name: type(module) for name, module in model.named_modules()}
    linears = {name: kind for name, kind in kinds.items() if issubclass(kind, nn.Linear)}
    quantized = [name for name, kind in kinds.items() if kind is Int8Linear]
    assert len(quantized) == 7 * len(model.model.language_model.layers) + 1
    assert all(name.startswith(("model.language_model", "lm_head")) for name in quantized)
    others = [name for name, kind in kinds.items() if kind is PackedLinear]
    assert [*linears, *others]
    assert not any("language_model" in name for name in [*linears, *others])


def test_answers_are_near_and_the_same_alone_and_together(make_engine, generate, frames):
    engine = make_engine(dtype="int8")
    together = engine.ask(QUESTIONS, "sentence", frame=frames[0])
    alone = [engine.ask([question], "sentence", frame=frames[0])[0] for question in QUESTIONS]
    for answer, same, (text, ids) in zip(together, alone, QUESTIONS, strict=True):
        assert answer.token_ids == same.token_ids
        assert answer.probabilities == pytest.approx(same.probabilities, abs=1e-4)
        _, logits = generate(frames[0], text, ids)
        exact = float(logits[0].softmax(dim=-1)[answer.token_ids[0]])
        assert answer.probabilities[0] == pytest.approx(exact, abs=0.05)


def test_other_devices_are_refused():
    with pytest.raises(ValueError, match="int8 cannot be computed here: not on the device meta"):
        check_int8(torch.device("meta"))


@pytest.mark.parametrize(
    ("operators", "reason"),
    [
        ({}, "lacks the operators .*has no attribute"),
        ({"product": lambda features, *rest: features + 1}, "computes another product"),
    ],
)
def test_another_pytorch_is_refused_with_what_to_set(monkeypatch, operators, reason):
    names = {"product": "linear_with_input_q_dq_qweight_dq_output_fp32"}
    changed = {names[name]: operator for name, operator in operators.items()}
    prepack = {"linear_prepack": torch.ops.quantized.linear_prepack} if changed else {}
    monkeypatch.setattr(torch.ops, "quantized", SimpleNamespace(**changed, **prepack))
    with pytest.raises(ValueError, match=f"{reason}.*; set float32 or bfloat16"):
        check_int8(torch.device("cpu"))
