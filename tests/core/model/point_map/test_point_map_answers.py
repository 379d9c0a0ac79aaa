"""A point-map checkpoint behind the answerer that the node and the command line use."""

from pathlib import Path

import pytest
import torch

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerer_settings import ModelSettings
from smolrgpt_core.answerers.model import ModelAnswerer
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.inference import PointMapEngine, load_engine
from smolrgpt_core.language import read_question
from smolrgpt_core.model.point_map import PointMapForConditionalGeneration

LESSONS = {
    "How far is pallet 13 from pallet 15?": "The distance is 3.8 meters.",
    "Is pallet 13 on the left side or the right side of pallet 15?": "I am not sure.",
}


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory, make_vlm, make_processor, frame) -> Path:
    """A tiny SmolVLM with points that has learned its lessons by heart, on disk."""
    torch.manual_seed(0)
    model = PointMapForConditionalGeneration.from_vlm(make_vlm("smolvlm"))
    processor = make_processor("smolvlm")
    engine = PointMapEngine(model, processor)
    texts, boxes = [], []
    for words in LESSONS:
        question = read_question(words, frame.regions)
        prompt = engine._prompt_or_error(question, frame, engine.config.sentence, float("inf"))
        assert not isinstance(prompt, SpatialError), prompt
        text, corners, _ = prompt
        texts.append(text)
        boxes.append(corners)
    batch = processor([frame.rgb] * 2, texts, answers=list(LESSONS.values()), boxes=boxes)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    model.train()
    loss = torch.inf
    for _ in range(400):
        loss = model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        if loss < 0.005:
            break
    assert loss < 0.02
    folder = tmp_path_factory.mktemp("learned") / "checkpoint"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def answerer(checkpoint) -> ModelAnswerer:
    return ModelAnswerer.from_pretrained(str(checkpoint), ModelSettings(device="cpu"))


def test_an_answer_in_words_becomes_a_value(answerer, frame):
    question = read_question("How far is pallet 13 from pallet 15?", frame.regions)
    answer = answerer.answer(frame, question)
    assert isinstance(answer, SpatialAnswer)
    assert answer.value == pytest.approx(3.8)
    assert answer.region_ids == (13, 15)


def test_words_that_say_nothing_are_no_answer(answerer, frame):
    question = read_question(list(LESSONS)[1], frame.regions)
    with pytest.raises(SpatialError, match="I am not sure") as caught:
        answerer.answer(frame, question)
    assert caught.value.status is Status.MODEL_ERROR


def test_more_regions_than_colors_are_left_to_others(answerer, frame):
    question = read_question("How many pallets are in buffer 2?", frame.regions)
    with pytest.raises(SpatialError, match="knows 5 colors") as caught:
        answerer.answer(frame, question)
    assert caught.value.status is Status.BAD_QUESTION


def test_a_checkpoint_without_an_engine_is_refused(tmp_path, make_vlm):
    make_vlm("smolvlm").save_pretrained(tmp_path)
    with pytest.raises(ValueError, match=r"type 'smolvlm'.*smolrgpt, point_map_vlm.*from_vlm"):
        load_engine(tmp_path)
