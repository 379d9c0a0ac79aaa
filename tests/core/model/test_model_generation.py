"""Generation as users of transformers expect it: cache, streaming, beams, compilation."""

import pytest
import torch
from transformers import TextStreamer

from smolrgpt_core.model.cache_name import CACHE
from smolrgpt_core.model.region_inputs import RegionInputs


def test_generation_stops_at_the_end_token(endless, inputs, expected):
    third = expected["generated_0"][0, 2].item()
    endless.generation_config.eos_token_id = third
    ids = endless.generate(**inputs[0])
    assert ids.shape[1] == inputs[0]["input_ids"].shape[1] + 3
    assert ids[0, -1] == third


def test_a_stream_says_what_the_tokens_say(endless, processor, inputs, expected, capsys):
    streamer = TextStreamer(processor.tokenizer, skip_prompt=True)
    endless.generate(**inputs[0], streamer=streamer)
    said = capsys.readouterr().out
    assert said.strip() == processor.decode(expected["generated_0"][0]).strip()


def test_beams_of_a_batch_equal_beams_alone(endless, inputs, batch):
    together = endless.generate(**batch, num_beams=3)
    for sample, alone in enumerate(inputs):
        ids = endless.generate(**alone, num_beams=3)
        new = ids[0, alone["input_ids"].shape[1] :]
        assert torch.equal(together[sample, batch["input_ids"].shape[1] :], new)


def test_beams_find_no_less_likely_an_answer_than_greedy(endless, inputs):
    prompt = inputs[0]["input_ids"].shape[1]

    def likelihood(ids):
        logits = endless(inputs_embeds=embeds(ids)).logits
        chosen = logits.log_softmax(-1)[0, prompt - 1 : -1].gather(1, ids[0, prompt:, None])
        return chosen.sum()

    def embeds(ids):
        words = {key: value for key, value in inputs[0].items() if key != "input_ids"}
        start, _ = endless.model.embed_inputs(inputs[0]["input_ids"], RegionInputs(**words))
        return torch.cat([start, endless.get_input_embeddings()(ids[:, prompt:])], dim=1)

    with torch.no_grad():
        greedy = likelihood(endless.generate(**inputs[0], max_new_tokens=4))
        beams = likelihood(endless.generate(**inputs[0], max_new_tokens=4, num_beams=8))
    assert beams >= greedy - 1e-4


@torch.no_grad()
def test_a_frame_encoded_once_answers_as_if_encoded_each_time(endless, inputs, expected):
    model = endless.model
    tokens = {
        modality: model.connect(model.encode_images(inputs[1][values], modality), modality)
        for modality, values in (("rgb", "pixel_values"), ("depth", "depth_values"))
    }
    features = {
        modality: model.pool_regions(tokens[modality], inputs[1]["region_masks"], modality)
        for modality in tokens
    }
    embeds = model.embed(inputs[1]["input_ids"], tokens["rgb"], features, [3])
    ids = endless.generate(inputs_embeds=embeds)
    assert torch.equal(ids, expected["generated_1"])


@torch.no_grad()
def test_a_cached_prefix_gives_the_same_logits(model, inputs, expected):
    ids = inputs[0]["input_ids"]
    rest = {key: value for key, value in inputs[0].items() if key != "input_ids"}
    embeds, _ = model.model.embed_inputs(ids, RegionInputs(**rest))
    first = model(inputs_embeds=embeds[:, :20], use_cache=True)
    second = model(inputs_embeds=embeds[:, 20:], cache=first[CACHE])
    logits = torch.cat([first.logits, second.logits], dim=1)
    torch.testing.assert_close(logits, expected["logits_0"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_only_the_wanted_logits_are_computed(model, inputs, expected):
    last = model(**inputs[0], logits_to_keep=2).logits
    torch.testing.assert_close(last, expected["logits_0"][:, -2:], atol=1e-4, rtol=0)
    some = model(**inputs[0], logits_to_keep=torch.tensor([0, 5])).logits
    torch.testing.assert_close(some, expected["logits_0"][:, [0, 5]], atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_tuple_comes_back_if_asked_for(model, inputs, expected):
    logits = model(**inputs[0], return_dict=False)[0]
    torch.testing.assert_close(logits, expected["logits_0"], atol=1e-4, rtol=0)


@pytest.fixture
def fresh_compiler():
    """Nothing compiled by another test is left."""
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_the_compiled_model_computes_the_same(model, inputs, expected, fresh_compiler, backend):
    # Masks decide shapes, so their steps break the graph; everything else is compiled.
    compiled = torch.compile(model, backend=backend)
    for sample in (0, 1):
        logits = compiled(**inputs[sample]).logits
        torch.testing.assert_close(logits, expected[f"logits_{sample}"], atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.filterwarnings("ignore")
def test_embeddings_to_logits_is_one_graph(model, inputs, expected, fresh_compiler):
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    words = {key: value for key, value in inputs[0].items() if key != "input_ids"}
    embeds, _ = model.model.embed_inputs(inputs[0]["input_ids"], RegionInputs(**words))
    logits = compiled(inputs_embeds=embeds, use_cache=False).logits
    torch.testing.assert_close(logits, expected["logits_0"], atol=1e-4, rtol=0)


@torch.no_grad()
def test_without_a_mask_nothing_counts_as_padding(endless, inputs, expected):
    """The end token, which pads, also ends every turn of the prompt."""
    endless.generation_config.eos_token_id = 3
    ids = endless.generate(**inputs[0], max_new_tokens=2)
    assert torch.equal(ids[:, -2:], expected["generated_0"][:, :2])
