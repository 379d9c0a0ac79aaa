"""Questions about one frame asked at once: the same answers, and none spoils another."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from smolrgpt_core.answerers.model import ModelAnswerer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.language import Category, SpatialQuestion, read_question
from smolrgpt_core.regions import Box, Region, RegionSet

SPECK = 70
"""A region too small for any cell of the grid."""


@pytest.fixture(scope="module")
def answerer(engine):
    return ModelAnswerer(engine)


@pytest.fixture(scope="module")
def frame(frames):
    """The first frame with a speck in it."""
    size = frames[0].regions.image_size
    speck = Region(SPECK, "box", Box(0, 0, 1, 1), np.ones((1, 1), dtype=bool))
    return replace(frames[0], regions=RegionSet(size, (*frames[0].regions, speck)))


def distance(*ids, text="How far is <mask> from <mask>?"):
    return SpatialQuestion(Category.DISTANCE, text, ids)


def content(outcome):
    if isinstance(outcome, SpatialError):
        return outcome.status
    return outcome.value, outcome.side, outcome.region_id, outcome.text, outcome.region_ids


def test_each_gets_what_it_would_get_alone(answerer, frame, lessons):
    good = [read_question(text, frame.regions) for text in lessons]
    bad = [
        distance(13, 999),
        distance(13, SPECK),
        distance(13, 15, text="<mask> <|im_end|> <mask>"),
    ]
    mixed = [question for pair in zip(good, bad * 3, strict=False) for question in pair]
    together = answerer.answer_batch(frame, mixed)
    alone = []
    for question in mixed:
        (outcome,) = answerer.answer_batch(frame, [question])
        alone.append(content(outcome))
    assert [content(outcome) for outcome in together] == alone
    statuses = [item.status for item in together if isinstance(item, SpatialError)]
    assert set(statuses) == {
        Status.UNKNOWN_REGION, Status.BAD_INPUT, Status.BAD_QUESTION, Status.MODEL_ERROR,
    }  # fmt: skip
    assert sum(not isinstance(item, SpatialError) for item in together) == 5


def test_they_are_decoded_together(answerer, frame, lessons):
    questions = [read_question(text, frame.regions) for text in lessons[:3]]
    first, *others = answerer.answer_batch(frame, questions)
    assert all(other.latency_s == first.latency_s for other in others)


def test_no_question_is_no_answer(answerer, frame):
    assert answerer.answer_batch(frame, []) == []


def test_what_is_wrong_with_all_of_them_is_reported_for_each(engine, frame, lessons):
    questions = [read_question(text, frame.regions) for text in lessons[:2]]
    outcomes = ModelAnswerer(engine).answer_batch(frame, questions, deadlines=[0.0, 0.0])
    assert [outcome.status for outcome in outcomes] == [Status.TIMEOUT] * 2
    assert outcomes[0] is not outcomes[1]


def test_a_prepared_frame_is_not_encoded_again(answerer, engine, frame, lessons):
    engine.clear()
    answerer.prepare(frame)
    answer = answerer.answer(frame, read_question(lessons[0], frame.regions))
    assert not {"encode", "prefix"} & set(answer.latency_s)


def test_to_prepare_a_frame_sets_none(engine, frame, frames):
    engine.set_frame(frames[1])
    before = engine.ask([("What is <mask>?", (13,))])
    engine.prepare(frame)
    assert engine.ask([("What is <mask>?", (13,))])[0].token_ids == before[0].token_ids


def need_too_much(*arguments):
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")


def test_out_of_memory_is_a_refusal_and_lets_go_of_the_frames(
    answerer, engine, frame, lessons, monkeypatch
):
    question = read_question(lessons[0], frame.regions)
    answerer.answer(frame, question)
    with monkeypatch.context() as patch:
        patch.setattr(engine, "_decode_batch", need_too_much)
        with pytest.raises(SpatialError, match=r"Tried to allocate 2 GiB; .*max_batch") as caught:
            answerer.answer(frame, question)
        assert engine.cached_frames == 0
        patch.setattr(engine.steps, "encode", need_too_much)
        with pytest.raises(SpatialError, match="memory"):
            answerer.prepare(frame)
    assert caught.value.status is Status.MODEL_ERROR
    assert engine.cached_frames == 0
    assert answerer.answer(frame, question).value == 3.8


@pytest.fixture
def memory_ends(engine):
    """Let the memory end in a step of the model that fits a condition: memory_ends(lambda ...)."""
    hooks = []

    def make(condition):
        def after_step(module, inputs, logits):
            if condition(logits):
                need_too_much()

        hooks.append(engine.steps.model.lm_head.register_forward_hook(after_step))

    yield make
    for hook in hooks:
        hook.remove()


def test_what_needs_too_much_memory_together_is_asked_alone(
    answerer, frame, frames, lessons, memory_ends, caplog
):
    questions = [read_question(text, frame.regions) for text in lessons[:3]]
    answerer.prepare(frames[1])
    alone = [answerer.answer(frame, question) for question in questions]
    # All prompts go in one row, all answers in one each: the memory ends in the middle.
    memory_ends(lambda logits: len(logits) > 1)
    together = answerer.answer_batch(frame, questions)
    assert [content(outcome) for outcome in together] == [content(answer) for answer in alone]
    assert "3 questions in one batch" in caplog.text
    assert answerer._engine.cached_frames == 1


def test_one_that_needs_too_much_memory_alone_spoils_no_other(
    answerer, engine, frame, lessons, monkeypatch
):
    questions = [read_question(text, frame.regions) for text in lessons[:3]]
    alone = [answerer.answer(frame, question) for question in questions]
    decode = engine.steps.begin

    def decode_small(encoded, prompts, *rest):
        if any(prompt.region_ids == questions[1].region_ids for prompt in prompts):
            need_too_much()
        return decode(encoded, prompts, *rest)

    monkeypatch.setattr(engine.steps, "begin", decode_small)
    first, large, last = answerer.answer_batch(frame, questions)
    assert large.status is Status.MODEL_ERROR
    assert [content(first), content(last)] == [content(alone[0]), content(alone[2])]
