"""Which weights are trained, and how fast."""

import pytest
import torch

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.model import SmolRGPTConfig, SmolRGPTForConditionalGeneration
from smolrgpt_core.model.parts import MODULES, parts_of, weights_of_part
from smolrgpt_core.training.config import PARTS
from smolrgpt_core.training.optimizer import parameter_groups, set_trainable

VISION = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1,
          "num_attention_heads": 2, "image_size": 32, "patch_size": 8}  # fmt: skip
TEXT = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 1, "vocab_size": 99,
        "num_attention_heads": 2, "num_key_value_heads": 2}  # fmt: skip


def make_model(depth_branch="metric", **overrides):
    return SmolRGPTForConditionalGeneration(
        SmolRGPTConfig.preset(
            "smolrgpt-nano", vision_config=VISION, text_config=TEXT, metric_width=16,
            metric_heads=2, depth_branch=depth_branch, **overrides,
        )
    )  # fmt: skip


@pytest.fixture
def model():
    return make_model()


def trained_names(model):
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


OF_POINT_MAPS = {"point_encoder", "projector"}
"""Parts that only point-map models have."""


def test_every_part_has_a_module():
    assert set(MODULES) == set(PARTS) - OF_POINT_MAPS


@pytest.mark.parametrize(
    ("depth_branch", "absent"),
    [("image", {"metric_branch", "point_fusion", "region_colors"}),
     ("metric", {"depth_connector", "depth_refiner", "point_fusion", "region_colors"})],
)  # fmt: skip
def test_parts_are_the_whole_model_and_do_not_overlap(depth_branch, absent):
    model = make_model(depth_branch)
    parts = parts_of(model)
    assert set(parts) == set(MODULES) - absent
    weights = [id(weight) for part in parts.values() for weight in part.parameters()]
    assert sorted(weights) == sorted({id(weight) for weight in model.parameters()})


def test_point_fusion_is_a_part():
    assert set(parts_of(make_model(point_fusion=True))) == set(MODULES) - {
        "depth_connector",
        "depth_refiner",
        "region_colors",
    }


def test_colors_of_regions_are_a_part():
    """It lies within the metric branch, and is trained by itself."""
    model = make_model(region_measures=True, region_colors=True)
    own, others = (
        {id(weight) for _, weight in weights_of_part(model, part)}
        for part in ("region_colors", "metric_branch")
    )
    assert own
    assert not own & others
    within = {id(weight) for weight in parts_of(model)["metric_branch"].parameters()}
    assert own | others == within


def test_only_the_named_parts_are_trained(model):
    set_trainable(model, {"metric_branch": 1e-3, "language_model": 1e-4})
    assert trained_names(model) == {
        name
        for name, _ in model.named_parameters()
        if name.startswith(("model.metric_branch.", "model.language_model.", "lm_head."))
    }
    set_trainable(model, {"vision_encoder": 1e-3})
    assert {name.split(".")[1] for name in trained_names(model)} == {"vision_model"}
    set_trainable(model, {"rgb_connector": 1e-3})
    assert {tuple(name.split(".")[1:3]) for name in trained_names(model)} == {("connectors", "rgb")}


def test_a_head_of_its_own_is_trained_with_the_language_model():
    model = make_model(tie_word_embeddings=False)
    set_trainable(model, {"metric_branch": 1e-3})
    assert not model.lm_head.weight.requires_grad
    set_trainable(model, {"language_model": 1e-3})
    assert model.lm_head.weight.requires_grad
    groups = parameter_groups(model, {"language_model": 1e-3}, 0.01)
    assert any(weight is model.lm_head.weight for group in groups for weight in group["params"])


@pytest.mark.parametrize("tied", [True, False])
def test_every_trained_weight_is_in_one_group_with_its_rate(tied):
    model = make_model(tie_word_embeddings=tied)
    rates = {"metric_branch": 1e-3, "language_model": 1e-4, "rgb_refiner": 2e-4}
    set_trainable(model, rates)
    groups = parameter_groups(model, rates, 0.01)
    grouped = [id(weight) for group in groups for weight in group["params"]]
    trained = [id(weight) for weight in model.parameters() if weight.requires_grad]
    assert sorted(grouped) == sorted(trained)
    rate_of = {id(weight): group["lr"] for group in groups for weight in group["params"]}
    for part, rate in rates.items():
        assert {rate_of[id(weight)] for weight in parts_of(model)[part].parameters()} == {rate}


def test_norms_and_biases_do_not_decay(model):
    rates = dict.fromkeys(parts_of(model), 1e-3)
    set_trainable(model, rates)
    decay_of = {
        id(weight): group["weight_decay"]
        for group in parameter_groups(model, rates, 0.01)
        for weight in group["params"]
    }
    assert set(decay_of.values()) == {0.0, 0.01}
    for name, weight in model.named_parameters():
        assert decay_of[id(weight)] == (0.01 if weight.ndim > 1 else 0.0), name


def test_frozen_weights_stay_bit_identical(model):
    rates = {"language_model": 1e-2}
    set_trainable(model, rates)
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    optimizer = torch.optim.AdamW(parameter_groups(model, rates, 0.01))
    ids = torch.randint(0, 90, (2, 8))
    model(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    changed = {
        name for name, weight in model.state_dict().items() if not torch.equal(weight, before[name])
    }
    assert changed
    assert all(name.startswith(("model.language_model.", "lm_head.")) for name in changed)


def test_a_part_that_is_not_there_is_named(model):
    set_trainable(model, {"rgb_connector": 1e-3})
    with pytest.raises(SpatialError, match="no depth_connector to train; its parts are vision_enc"):
        set_trainable(model, {"depth_connector": 1e-3})
    assert trained_names(model)
