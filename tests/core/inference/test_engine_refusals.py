"""Bad questions, too little time, bad configuration: each says what to do, and nothing is lost."""

import time
from threading import Event, Thread

import pytest
import torch

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference import AnswerStyle, EngineConfig, InferenceEngine, TorchSteps
from smolrgpt_core.model import SmolRGPTConfig, SmolRGPTForConditionalGeneration
from smolrgpt_core.regions import Box, Region, RegionSet

QUESTION = ("How far is <mask> from <mask>?", (13, 15))


def refusal(ask, *arguments, **named) -> SpatialError:
    with pytest.raises(SpatialError) as caught:
        ask(*arguments, **named)
    return caught.value


@pytest.mark.parametrize(
    ("question", "status", "words"),
    [
        (("How far is <mask>?", (99,)), Status.UNKNOWN_REGION, "99"),
        (("How far is <mask> from <mask>?", (13,)), Status.BAD_QUESTION, "2 <mask>"),
        (("How far is <mask>?", (13, 15)), Status.BAD_QUESTION, "1 <mask>"),
        ("How far is <mask>?", Status.BAD_QUESTION, "1 <mask>"),
        ("How <|image|>?", Status.BAD_QUESTION, "<|image|>"),
        ("How <mask_rgb>?", Status.BAD_QUESTION, "<mask_rgb>"),
        ("How <mask_depth>?", Status.BAD_QUESTION, "<mask_depth>"),
        ("<|im_start|>assistant", Status.BAD_QUESTION, "<|im_start|>"),
        ("How?<|im_end|>", Status.BAD_QUESTION, "<|im_end|>"),
        ("How?<|endoftext|>", Status.BAD_QUESTION, "<|endoftext|>"),
        ("", Status.BAD_QUESTION, "empty"),
        ("  ", Status.BAD_QUESTION, "empty"),
        (("<mask>", (13,)), Status.BAD_QUESTION, "empty"),
        ("How far? " * 200, Status.BAD_QUESTION, "shorter question"),
    ],
)
def test_a_bad_question_is_named_and_the_engine_goes_on(
    make_engine, frames, question, status, words
):
    engine = make_engine()
    engine.set_frame(frames[0])
    error = refusal(engine.ask, [QUESTION, question])
    assert error.status is status
    assert error.message.startswith("question 2 of 2: ")
    assert words in error.message
    assert len(engine.ask([QUESTION])) == 1


def test_a_question_fits_if_its_answer_fits(make_engine, frames, processor):
    limit = processor.config.text_config.max_position_embeddings
    engine = make_engine()
    engine.set_frame(frames[0])
    batch = processor(frames[0].rgb, "How far?")
    room = limit - batch["input_ids"].shape[1]
    exact = make_engine(sentence=AnswerStyle("", room))
    assert len(exact.ask(["How far?"], "sentence", frame=frames[0])[0].token_ids) == room
    more = make_engine(sentence=AnswerStyle("", room + 1))
    error = refusal(more.ask, ["How far?"], "sentence", frame=frames[0])
    assert error.status is Status.BAD_QUESTION


def test_a_mask_that_the_grid_loses_is_named_and_the_engine_goes_on(make_engine, frames):
    # One pixel between the points that bilinear resizing looks at.
    good = frames[0]
    tiny = Region.from_box(7, "pallet", Box(0, 0, 1, 1))
    regions = RegionSet(good.regions.image_size, (*good.regions, tiny))
    frame = RGBDFrame(good.rgb, good.depth, good.intrinsics, regions)
    engine = make_engine()
    error = refusal(engine.ask, [("How far is <mask> from <mask>?", (13, 7))], frame=frame)
    assert len(engine.ask([QUESTION], frame=frame)) == 1
    assert error.status is Status.BAD_INPUT
    assert "(pallet 7)" in error.message
    assert '"area"' in error.message


def test_no_questions_have_no_answers(make_engine, frames):
    assert make_engine().ask([], frame=frames[0]) == []


def test_the_time_is_over_while_decoding(make_engine, model, frames, clock):
    engine = make_engine()
    engine.set_frame(frames[0])
    calls = []

    def slow(*_):
        calls.append(1)
        if len(calls) == 3:
            clock.go_on(1.5)

    hook = model.lm_head.register_forward_hook(slow)
    error = refusal(engine.ask, [QUESTION], deadline_s=1.5)
    hook.remove()
    assert error.status is Status.TIMEOUT
    assert "'decode' (3 of at most 24 tokens)" in error.message
    assert len(calls) == 3
    assert len(engine.ask([QUESTION], deadline_s=100)) == 1


def test_the_time_is_over_before_a_new_frame_is_encoded(make_engine, frames):
    error = refusal(make_engine().set_frame, frames[0], deadline_s=1e-9)
    assert error.status is Status.TIMEOUT
    assert "'wait'" in error.message


def test_the_time_is_over_while_another_thread_asks(make_engine, model, frames):
    engine = make_engine()
    engine.set_frame(frames[0])
    begun, over = Event(), Event()

    def held(*_):
        begun.set()
        assert over.wait(20)

    hook = model.lm_head.register_forward_hook(held)
    thread = Thread(target=engine.ask, args=([QUESTION],))
    thread.start()
    assert begun.wait(20)
    error = refusal(engine.ask, [QUESTION], deadline_s=0.05)
    over.set()
    thread.join()
    hook.remove()
    assert error.status is Status.TIMEOUT
    assert "'wait' (another thread uses the engine)" in error.message


def test_stages_add_up_to_the_call(make_engine, frames):
    engine = make_engine()
    started = time.monotonic()
    (answer,) = engine.ask([QUESTION], frame=frames[0])
    spent = time.monotonic() - started
    stages = ["wait", "text", "encode", "prefix", "regions", "prompt", "decode"]
    assert list(answer.latency_s) == stages
    assert 0.8 * spent < sum(answer.latency_s.values()) <= spent


@pytest.mark.parametrize("deadline", [0, -1, float("nan")])
def test_a_deadline_must_be_ahead(make_engine, frames, deadline):
    with pytest.raises(ValueError, match="deadline_s"):
        make_engine().ask([QUESTION], deadline_s=deadline, frame=frames[0])


@pytest.mark.parametrize(
    ("values", "name"),
    [
        ({"dtype": "int7"}, "dtype"),
        ({"device": "abacus"}, "device"),
        ({"device": "xla"}, "device"),
        ({"cache_bytes": -1}, "cache_bytes"),
        ({"cache_frames": 0}, "cache_frames"),
        ({"max_batch": 0}, "max_batch"),
    ],
)
def test_a_bad_configuration_names_the_field(values, name):
    with pytest.raises(ValueError, match=name):
        EngineConfig(**values)


def test_a_style_needs_room_for_an_answer(make_engine, frames):
    with pytest.raises(ValueError, match="max_new_tokens"):
        AnswerStyle(max_new_tokens=0)
    with pytest.raises(ValueError, match="short, sentence"):
        make_engine().ask([QUESTION], "haiku", frame=frames[0])


def test_half_precision(checkpoint, frames):
    engine = InferenceEngine.from_pretrained(
        checkpoint, EngineConfig(device="cpu", dtype="bfloat16", sentence=AnswerStyle("", 4))
    )
    assert isinstance(engine.steps, TorchSteps)
    assert engine.steps.model.dtype == torch.bfloat16
    (answer,) = engine.ask([QUESTION], "sentence", frame=frames[0])
    assert 0 < answer.confidence <= 1


def test_a_template_with_the_question_first_is_refused(checkpoint, frames):
    engine = InferenceEngine.from_pretrained(checkpoint, EngineConfig(device="cpu"))
    template = "{% for m in messages %}{{m['content'][-9:] + m['content']}}{% endfor %}"
    assert isinstance(engine.steps, TorchSteps)
    engine.steps.processor.tokenizer.chat_template = template
    with pytest.raises(ValueError, match="image tokens before the question"):
        engine.ask([QUESTION], frame=frames[0])


def test_a_language_model_that_forgets_is_refused(processor, frames):
    text = processor.config.text_config
    config = SmolRGPTConfig(
        vision_config=processor.config.vision_config,
        text_config={
            "model_type": "mistral",
            "sliding_window": 8,
            **{
                name: getattr(text, name)
                for name in (
                    "vocab_size",
                    "hidden_size",
                    "intermediate_size",
                    "num_hidden_layers",
                    "num_attention_heads",
                    "num_key_value_heads",
                )
            },
        },
    )
    model = SmolRGPTForConditionalGeneration(config)
    engine = InferenceEngine(TorchSteps(model, processor, EngineConfig(device="cpu")))
    with pytest.raises(ValueError, match="attend to all earlier tokens"):
        engine.set_frame(frames[0])
