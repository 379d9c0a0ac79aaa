"""Same numbers as the authors' implementation, which computed `official_tiny/expected.npz`."""

import pytest
import torch

from smolrgpt_core.model import DEPTH, RGB, SmolRGPTForConditionalGeneration

SAMPLES = range(2)
pytestmark = pytest.mark.usefixtures("no_gradients")


@pytest.fixture
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture(params=["imported", "saved again"])
def any_model(request, model, tmp_path):
    if request.param == "imported":
        return model
    model.save_pretrained(tmp_path)
    return SmolRGPTForConditionalGeneration.from_pretrained(tmp_path).eval()


def assert_close(found, wanted, tolerance=1e-4):
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted, atol=tolerance, rtol=0)


def test_every_step_computes_what_the_authors_computed(any_model, expected, batch):
    steps = any_model.model
    rgb_features = steps.encode_images(expected["pixel_values"], RGB)
    assert_close(rgb_features, expected["vision_features"])
    rgb_tokens = steps.connect(rgb_features, RGB)
    assert_close(rgb_tokens, expected["image_embeds"])
    depth_tokens = steps.connect(steps.encode_images(expected["depth_values"], DEPTH), DEPTH)
    for modality, tokens in ((RGB, rgb_tokens), (DEPTH, depth_tokens)):
        assert_close(steps.refine(tokens, modality), expected[f"{modality}_refined"])
        for refinement in ("dense", "sparse"):
            steps.config.refinement = refinement
            pooled = steps.pool_regions(tokens, batch["region_masks"], modality)
            assert_close(pooled, expected[f"pooled_{modality}"])


@pytest.mark.parametrize("refinement", ["sparse", "dense"])
@pytest.mark.parametrize("sample", SAMPLES)
def test_logits_and_loss_of_one_sample(any_model, expected, inputs, sample, refinement):
    any_model.config.refinement = refinement
    output = any_model(**inputs[sample], labels=inputs[sample]["input_ids"])
    assert_close(output.logits, expected[f"logits_{sample}"])
    assert_close(output.loss, expected[f"loss_{sample}"], 1e-5)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_logits_in_a_left_padded_batch(checkpoint, expected, batch, attention):
    model = SmolRGPTForConditionalGeneration.from_pretrained(
        checkpoint, attn_implementation=attention
    ).eval()
    assert model.model.vision_model.config._attn_implementation == attention
    assert model.model.language_model.config._attn_implementation == attention
    logits = model(**batch).logits
    for sample in SAMPLES:
        wanted = expected[f"logits_{sample}"][0]
        assert_close(logits[sample, -len(wanted) :], wanted)


@pytest.mark.parametrize("sample", SAMPLES)
def test_greedy_tokens_of_one_sample(endless, expected, inputs, sample):
    ids = endless.generate(**inputs[sample])
    prompt = inputs[sample]["input_ids"]
    assert torch.equal(ids[:, : prompt.shape[1]], prompt)
    assert torch.equal(ids[:, prompt.shape[1] :], expected[f"generated_{sample}"])


@pytest.mark.parametrize("refinement", ["sparse", "dense"])
def test_greedy_tokens_in_a_left_padded_batch(endless, expected, batch, refinement):
    endless.config.refinement = refinement
    ids = endless.generate(**batch)[:, batch["input_ids"].shape[1] :]
    for sample in SAMPLES:
        assert torch.equal(ids[sample], expected[f"generated_{sample}"][0])


def test_pixels_are_prepared_as_the_authors_did(processor, expected):
    for sample in SAMPLES:
        pixels = processor.prepare_image(expected["rgb"][sample])
        assert_close(pixels, expected["pixel_values"][sample], 1e-6)
        depth = processor.prepare_depth(expected["depth"][sample])
        assert_close(depth, expected["depth_values"][sample], 1e-6)


def test_masks_from_the_processor_give_the_same_logits(model, processor, expected, inputs):
    masks = expected["masks_1"].permute(2, 0, 1)
    weights = processor.prepare_masks([masks], [(72, 128)])
    logits = model(**{**inputs[1], "region_masks": weights}).logits
    assert_close(logits, expected["logits_1"])
