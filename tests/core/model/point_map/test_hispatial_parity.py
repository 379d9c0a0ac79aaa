"""The numbers that the implementation of HiSpatial's authors computes, and that mistakes show."""

from dataclasses import replace

import pytest
import torch
from transformers import AutoModelForImageTextToText

from smolrgpt_core.model.point_map import PointMapForConditionalGeneration
from smolrgpt_core.model.point_map.code import HISPATIAL
from smolrgpt_core.model.point_map.encoder import point_codes
from smolrgpt_core.model.point_map.released_checkpoint import import_released

FEATURES, LOGITS = 1e-4, 1e-3


@pytest.fixture(scope="module")
def checkpoint(released, tmp_path_factory):
    folder = tmp_path_factory.mktemp("imported") / "checkpoint"
    import_released(released, folder)
    return folder


@pytest.fixture
def model(checkpoint) -> PointMapForConditionalGeneration:
    return AutoModelForImageTextToText.from_pretrained(checkpoint).eval()


@pytest.fixture
def asked(expected) -> dict[str, torch.Tensor]:
    ids = expected["infer_input_ids"]
    return {
        "input_ids": ids,
        "pixel_values": expected["infer_pixel_values"],
        "point_values": expected["infer_xyz_values"],
        "token_type_ids": torch.zeros_like(ids),
        "attention_mask": torch.ones_like(ids),
    }


@pytest.fixture
def batch(expected) -> dict[str, torch.Tensor]:
    names = ("input_ids", "labels", "token_type_ids", "pixel_values")
    return {
        **{name: expected[f"train_{name}"] for name in names},
        "point_values": expected["train_xyz_values"],
        "attention_mask": expected["train_attention_mask"].long(),
    }


def close(found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> None:
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=tolerance)


def test_codes(model, expected):
    codes = point_codes(expected["train_xyz_values"], HISPATIAL)
    close(codes[:, :, ::7, ::7], expected["codes_every_7th_pixel"], FEATURES)


@torch.no_grad()
def test_features(model, asked, expected):
    patches = model.point_encoder(asked["point_values"]).permute(0, 3, 1, 2)
    close(patches, expected["infer_point_patches"], FEATURES)
    encoded = model.get_image_features(asked["pixel_values"], asked["point_values"])
    close(encoded.pooler_output, expected["infer_projected"], FEATURES)


@torch.no_grad()
def test_logits(model, asked, expected):
    close(model(**asked).logits, expected["infer_logits"], LOGITS)


@torch.no_grad()
def test_zero_start(model, asked, expected):
    layer = model.vlm.model.multi_modal_projector.linear
    layer.weight[:, layer.image_features :] = 0
    close(model(**asked).logits, expected["infer_logits_zero_start"], LOGITS)


def test_greedy_tokens(model, asked, expected):
    generated = model.generate(**asked, max_new_tokens=100, do_sample=False)
    new = generated[0, asked["input_ids"].shape[1] :]
    assert torch.equal(new, expected["infer_generated_ids"][: len(new)])
    assert len(new) == 100


def test_loss_and_gradients(model, batch, expected):
    output = model(**batch)
    output.loss.backward()
    close(output.loss, expected["train_loss"], 1e-4)
    rows, places = expected["train_answer_positions"].T
    close(output.logits[rows, places], expected["train_answer_logits"], LOGITS)
    conv, layer = model.point_encoder.conv, model.vlm.model.multi_modal_projector.linear
    close(layer.weight.grad, expected["grad_projector_weight"], 1e-4)
    close(conv.bias.grad, expected["grad_conv_bias"], 1e-4)
    close(conv.weight.grad[:, :, :2, :2], expected["grad_conv_weight_corner"], 1e-4)
    close(conv.weight.grad.norm(), expected["grad_conv_weight_norm"], 1e-4)
    embedding = model.get_input_embeddings().weight.grad
    close(embedding.norm(), expected["grad_embedding_norm"], 1e-4)


def interleaved(codes):
    half = codes.shape[1] // 6
    blocks = codes[:, :-1].unflatten(1, (3, 2, half)).transpose(2, 3).flatten(1, 3)
    return torch.cat([blocks, codes[:, -1:]], dim=1)


def cosine_first(codes):
    half = codes.shape[1] // 6
    blocks = codes[:, :-1].unflatten(1, (3, 2, half)).flip(2).flatten(1, 3)
    return torch.cat([blocks, codes[:, -1:]], dim=1)


def axes_reversed(codes):
    blocks = codes[:, :-1].unflatten(1, (3, -1)).flip(1).flatten(1, 2)
    return torch.cat([blocks, codes[:, -1:]], dim=1)


def invalid_points_zero(codes):
    return torch.cat([codes[:, :-1] * codes[:, -1:], codes[:, -1:]], dim=1)


@pytest.mark.parametrize("mistake", [interleaved, cosine_first, axes_reversed, invalid_points_zero])
@torch.no_grad()
def test_a_mistake_in_the_codes_would_show(mistake, model, asked, expected, monkeypatch):
    from smolrgpt_core.model.point_map import encoder

    right = encoder.point_codes
    monkeypatch.setattr(encoder, "point_codes", lambda *given: mistake(right(*given)))
    assert (model(**asked).logits - expected["infer_logits"]).abs().max() > 100 * LOGITS


@pytest.mark.parametrize(
    "mistake", ["end_point", "points_first", "columns", "causal", "no_soft_cap", "divided"]
)
@torch.no_grad()
def test_a_mistake_elsewhere_would_show(mistake, model, asked, expected, monkeypatch):
    layer = model.vlm.model.multi_modal_projector.linear
    if mistake == "end_point":
        # 32 frequencies from 1 to 1 / 10000, the last included.
        model.point_encoder.code = replace(HISPATIAL, longest_m=HISPATIAL.shortest_m * 10000.0)
    if mistake == "points_first":
        layer.weight.copy_(layer.weight.roll(layer.image_features, dims=1))
    if mistake == "columns":
        forward = model.point_encoder.forward
        monkeypatch.setattr(
            model.point_encoder, "forward", lambda points: forward(points).transpose(1, 2)
        )
    if mistake == "causal":
        asked = {**asked, "token_type_ids": torch.ones_like(asked["input_ids"])}
    if mistake == "divided":
        # The language model of transformers 5 does not multiply what takes the place of an image.
        layer.register_forward_hook(lambda *given: given[2] / layer.out_features**0.5)
    if mistake == "no_soft_cap":
        for layer in model.vlm.model.language_model.layers:
            layer.self_attn.attn_logit_softcapping = None
    assert (model(**asked).logits - expected["infer_logits"]).abs().max() > 100 * LOGITS


def test_weights_that_do_not_fit_are_refused(checkpoint, tmp_path):
    from safetensors.torch import load_file, save_file

    for file in checkpoint.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = load_file(tmp_path / "model.safetensors")
    del weights["point_encoder.conv.bias"]
    save_file(weights, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ValueError, match=r"missing: point_encoder\.conv\.bias"):
        PointMapForConditionalGeneration.from_pretrained(tmp_path)
