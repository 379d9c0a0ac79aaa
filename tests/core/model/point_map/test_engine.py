"""The engine gives what the model generates, question by question, and keeps a frame's points."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.inference import AnswerStyle, EngineConfig, stage_clock
from smolrgpt_core.inference.int8_linear import Int8Linear
from smolrgpt_core.inference.point_map_engine import PointMapEngine
from smolrgpt_core.model.parts import parts_of
from smolrgpt_core.model.point_map import PointMapForConditionalGeneration
from smolrgpt_core.model.point_map.points import frame_point_map

FAMILIES = ("paligemma", "smolvlm", "qwen2_5_vl")
NEW_TOKENS = 6
CONFIG = EngineConfig(device="cpu", max_batch=2, sentence=AnswerStyle(max_new_tokens=NEW_TOKENS))
QUESTIONS = (
    ("How far is <mask> from <mask>?", (13, 15)),
    ("How wide is <mask>?", (16,)),
    ("What is there?", ()),
)


@pytest.fixture(params=FAMILIES)
def family(request) -> str:
    return request.param


@pytest.fixture
def model(family, make_vlm) -> PointMapForConditionalGeneration:
    model = PointMapForConditionalGeneration.from_vlm(make_vlm(family))
    for name, weight in model.named_parameters():
        if name.endswith("weight") and weight.dim() > 1:
            torch.nn.init.normal_(weight, std=0.2)
    return model


@pytest.fixture
def engine(family, model, make_processor) -> PointMapEngine:
    return PointMapEngine(model, make_processor(family), CONFIG)


def batch_of(engine, frame, text, region_ids):
    """Inputs of one question."""
    boxes = [frame.regions[id].box for id in region_ids]
    corners = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes]
    colors = ["red", "blue"]
    for id, color in zip(region_ids, colors, strict=False):
        name = f"{frame.regions[id].label} (highlighted by the {color} box)"
        text = text.replace("<mask>", name, 1)
    return engine.processor([frame.rgb], [text], [frame_point_map(frame)], boxes=[corners])


def generated(engine, frame, text, region_ids):
    """What the model generates for one question alone."""
    batch = batch_of(engine, frame, text, region_ids)
    sequence = engine.model.generate(**batch, max_new_tokens=NEW_TOKENS, do_sample=False)
    return sequence[0, batch["input_ids"].shape[1] :].tolist()


def test_answers_are_what_the_model_generates(engine, frame):
    answers = engine.ask_each(QUESTIONS, "sentence", frame=frame)
    for (text, region_ids), answer in zip(QUESTIONS, answers, strict=True):
        wanted = generated(engine, frame, text, region_ids)
        assert list(answer.token_ids) == wanted[: len(answer.token_ids)]
        assert answer.complete or len(answer.token_ids) == NEW_TOKENS
        assert 0 < answer.confidence <= 1


def test_the_language_model_computes_in_8_bit_integers(family, model, make_processor, frame):
    # With large random weights the smallest change of an input becomes another output.
    for weight in model.parameters():
        weight.data *= 0.2
    exact = PointMapEngine(deepcopy(model), make_processor(family), CONFIG)
    engine = PointMapEngine(model, make_processor(family), replace(CONFIG, dtype="int8"))
    linears = [item for item in parts_of(exact.model)["language_model"].modules()
               if type(item) is torch.nn.Linear]  # fmt: skip
    quantized = [item for item in engine.model.modules() if isinstance(item, Int8Linear)]
    assert len(quantized) == len(linears) + 1
    batch = batch_of(engine, frame, *QUESTIONS[0])
    with torch.inference_mode():
        wanted, found = (one.model(**batch).logits for one in (exact, engine))
    assert 0 < (found - wanted).norm() <= 0.1 * wanted.norm()
    (answer,) = engine.ask_each(QUESTIONS[:1], "sentence", frame=frame)
    assert not isinstance(answer, SpatialError)
    assert list(answer.token_ids) == generated(engine, frame, *QUESTIONS[0])


def test_points_of_a_frame_are_encoded_once(engine, frame):
    calls = []
    engine.model.point_encoder.register_forward_hook(lambda *_: calls.append(1))
    engine.prepare(frame)
    engine.ask_each(QUESTIONS, "sentence", frame=frame)
    assert len(calls) == 1
    engine.clear()
    engine.ask_each(QUESTIONS[:1], "sentence", frame=frame)
    assert len(calls) == 2


def test_a_question_that_cannot_be_asked_spoils_no_other(engine, frame):
    alone = engine.ask_each(QUESTIONS[:1], "sentence", frame=frame)
    asked = [
        ("Where is <mask>?", (999,)),
        QUESTIONS[0],
        ("<mask> <mask> <mask> <mask> <mask> <mask>", (10, 11, 12, 13, 14, 15)),
        ("What is <eos>?", ()),
    ]
    unknown, answer, crowded, control = engine.ask_each(asked, "sentence", frame=frame)
    assert unknown.status is Status.UNKNOWN_REGION
    assert answer.token_ids == alone[0].token_ids
    assert crowded.status is Status.BAD_QUESTION
    assert "5 colors" in crowded.message
    assert "control token" in control.message


class Clock:
    """Stands still until a test moves it on; in place of the module `time`."""

    def __init__(self):
        self.now_s = 1000.0

    def monotonic(self):
        return self.now_s


def test_a_late_question_ends_and_the_others_go_on(engine, frame, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(stage_clock, "time", clock)
    engine.prepare(frame)
    # Time passes with every token, so that the first question is late after a few.
    engine.model.get_output_embeddings().register_forward_hook(
        lambda *_: setattr(clock, "now_s", clock.now_s + 1)
    )
    late, answer = engine.ask_each(
        QUESTIONS[:2], "sentence", frame=frame, deadlines=[1002.5, 2000.0]
    )
    assert isinstance(late, SpatialError)
    assert late.status is Status.TIMEOUT
    assert "3 of at most 6 tokens" in late.message
    assert len(answer.token_ids) == NEW_TOKENS or answer.complete
