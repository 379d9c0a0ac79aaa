"""The engine says what `model.generate` says, however little it computes."""

from copy import deepcopy
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from smolrgpt_core.inference import packed_linear
from smolrgpt_core.inference.packed_linear import PackedLinear, can_pack

QUESTIONS = [
    ("How far is <mask> from <mask>?", (13, 15)),
    ("What is this?", ()),
    ("How many pallets <mask> <mask> <mask> <mask> are in the buffer <mask>?", (10, 11, 12, 13, 2)),
    ("Is <mask> left of <mask>? Look at the picture from the camera's view.", (60, 13)),
]


def check(answers, frame, generate, questions=QUESTIONS):
    assert len(answers) == len(questions)
    for answer, (text, ids) in zip(answers, questions, strict=True):
        tokens, logits = generate(frame, text, ids)
        assert list(answer.token_ids) == tokens
        chosen = logits.softmax(dim=-1).gather(1, torch.tensor(tokens)[:, None])[:, 0]
        found = torch.tensor(answer.probabilities)
        torch.testing.assert_close(found, chosen, atol=1e-5, rtol=1e-4)


def test_the_answers_of_the_questions_differ(generate, frames):
    # Otherwise equal answers would prove nothing.
    said = {tuple(generate(frame, *item)[0]) for frame in frames for item in QUESTIONS}
    assert len(said) == len(frames) * len(QUESTIONS)


def test_one_question_after_the_other(make_engine, generate, frames):
    engine = make_engine()
    engine.set_frame(frames[0])
    answers = [engine.ask([question], "sentence")[0] for question in QUESTIONS]
    check(answers, frames[0], generate)


def test_questions_of_different_lengths_together(make_engine, generate, frames):
    engine = make_engine()
    engine.set_frame(frames[0])
    check(engine.ask(QUESTIONS, "sentence"), frames[0], generate)


def test_more_questions_than_go_together(make_engine, generate, frames):
    engine = make_engine(max_batch=3)
    engine.set_frame(frames[0])
    check(engine.ask(QUESTIONS, "sentence"), frames[0], generate)


def test_a_short_answer_is_asked_for_with_the_instruction(make_engine, generate, frames):
    engine = make_engine()
    engine.set_frame(frames[0])
    questions = [(f"{text} Value only.", ids) for text, ids in QUESTIONS]
    check(engine.ask(QUESTIONS, "short"), frames[0], generate, questions)


def test_frames_in_turn(make_engine, generate, frames):
    engine = make_engine()
    for frame in [*frames, frames[0]]:
        engine.set_frame(frame)
        check(engine.ask(QUESTIONS, "sentence"), frame, generate)
    assert engine.cached_frames == len(frames)


def test_a_frame_that_was_dropped(make_engine, generate, frames):
    engine = make_engine(cache_bytes=0)
    for frame in (frames[0], frames[1], frames[0]):
        check(engine.ask(QUESTIONS, "sentence", frame=frame), frame, generate)
        assert engine.cached_frames == 1


def test_every_answer_of_a_batch_stops_at_its_own_end(make_engine, generate, model, frames):
    engine = make_engine()
    engine.set_frame(frames[0])
    free = [generate(frames[0], *question)[0] for question in QUESTIONS]
    ends = [free[0][2], free[2][9]]
    model.generation_config.eos_token_id = ends
    answers = engine.ask(QUESTIONS, "sentence")
    check(answers, frames[0], generate)
    expected = [next((n for n, id in enumerate(ids, 1) if id in ends), None) for ids in free]
    assert [len(answer.token_ids) for answer in answers] == [n or len(free[0]) for n in expected]
    assert [answer.complete for answer in answers] == [n is not None for n in expected]
    assert len(set(expected)) > 2


def test_the_text_is_what_the_tokens_say(make_engine, processor, frames):
    engine = make_engine()
    engine.set_frame(frames[0])
    for answer in engine.ask(QUESTIONS):
        said = processor.tokenizer.decode(answer.token_ids, skip_special_tokens=True)
        assert answer.text == said.strip()


def test_confidence_is_the_geometric_mean(make_engine, generate, frames):
    engine = make_engine()
    engine.set_frame(frames[0])
    (answer,) = engine.ask(QUESTIONS[:1], "sentence")
    tokens, logits = generate(frames[0], *QUESTIONS[0])
    mean = logits.log_softmax(dim=-1).gather(1, torch.tensor(tokens)[:, None]).mean()
    assert abs(answer.confidence - mean.exp().item()) < 1e-6


def test_attention_of_the_eager_kind(make_engine, generate, model, frames):
    model.set_attn_implementation("eager")
    engine = make_engine()
    check(engine.ask(QUESTIONS, "sentence", frame=frames[0]), frames[0], generate)


def linear_layers(model):
    return [module for module in model.modules() if isinstance(module, nn.Linear | PackedLinear)]


@pytest.mark.parametrize("least", [0, 3000, packed_linear.LEAST_FLOAT32])
def test_layers_are_packed_where_that_is_faster(
    make_engine, generate, model, frames, monkeypatch, least
):
    monkeypatch.setattr(packed_linear, "LEAST_FLOAT32", least)
    sizes = [layer.weight.numel() for layer in linear_layers(model)]
    assert min(sizes) < 3000 < max(sizes)
    engine = make_engine()
    works = can_pack(model.device, model.dtype)
    kinds = [PackedLinear if works and size >= least else nn.Linear for size in sizes]
    assert [type(layer) for layer in linear_layers(engine.steps.model)] == kinds
    check(engine.ask(QUESTIONS, "sentence", frame=frames[0]), frames[0], generate)


def test_layers_stay_as_they_are_if_asked_for(make_engine, generate, model, frames):
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    engine = make_engine(pack_weights=False)
    check(engine.ask(QUESTIONS, "sentence", frame=frames[0]), frames[0], generate)
    after = engine.steps.model.state_dict()
    assert after.keys() == weights.keys()
    assert all(torch.equal(after[name], weight) for name, weight in weights.items())


def that_wants_more(*arguments):
    raise RuntimeError("mkldnn::_linear_pointwise() is missing value for argument 'mode'\nmore")


def of_another_product(features, weight, *rest):
    return features @ weight.to_dense().mT + 1


@pytest.mark.skipif(
    not can_pack(torch.device("cpu"), torch.float32), reason="this CPU gains nothing from packing"
)
@pytest.mark.parametrize(
    ("operator", "reason"),
    [
        (None, "has no attribute '_linear_pointwise'"),
        (that_wants_more, "missing value for argument 'mode'"),
        (of_another_product, "the product is another one"),
    ],
)
def test_layers_stay_as_they_are_where_pytorch_has_other_operators(
    make_engine, generate, model, frames, monkeypatch, caplog, operator, reason
):
    operators = SimpleNamespace(
        _reorder_linear_weight=torch.ops.mkldnn._reorder_linear_weight,
        **({} if operator is None else {"_linear_pointwise": operator}),
    )
    packed_linear._operators_work.cache_clear()
    monkeypatch.setattr(torch.ops, "mkldnn", operators)
    try:
        engine = make_engine()
        assert {type(layer) for layer in linear_layers(engine.steps.model)} == {nn.Linear}
        check(engine.ask(QUESTIONS, "sentence", frame=frames[0]), frames[0], generate)
    finally:
        packed_linear._operators_work.cache_clear()
    assert reason in caplog.text
    assert "more" not in caplog.text.split(reason)[1]


@pytest.mark.skipif(
    not can_pack(torch.device("cpu"), torch.bfloat16), reason="this CPU computes no bfloat16"
)
def test_a_packed_layer_computes_what_the_layer_computes():
    torch.manual_seed(0)
    for dtype, tolerance in ((torch.float32, 1e-5), (torch.bfloat16, 2e-2)):
        for bias in (True, False):
            layer = nn.Linear(48, 33, bias, dtype=dtype)
            packed = PackedLinear(deepcopy(layer))
            for shape in ((48,), (1, 48), (2, 5, 48), (3, 0, 48)):
                features = torch.randn(shape, dtype=dtype)
                with torch.inference_mode():
                    found, wanted = packed(features), layer(features)
                torch.testing.assert_close(found, wanted, atol=tolerance, rtol=tolerance)
