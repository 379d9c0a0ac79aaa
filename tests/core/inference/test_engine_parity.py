"""The engine says what `model.generate` says, however little it computes."""

import torch

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
