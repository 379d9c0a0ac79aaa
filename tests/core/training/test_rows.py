"""How samples become rows of questions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from smolrgpt_core.answer import read_answer
from smolrgpt_core.data.readers import DatasetConfig, open_dataset
from smolrgpt_core.data.readers.annotated import AnnotatedDataset
from smolrgpt_core.data.warehouse_format import Turn
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.inference.config import EngineConfig
from smolrgpt_core.language import CATEGORIES
from smolrgpt_core.model.packing import pack_batch
from smolrgpt_core.training.config import SourceConfig
from smolrgpt_core.training.rows import RowCutter
from smolrgpt_core.training.smolrgpt_rows import SmolRGPTRows


@pytest.fixture
def sample(warehouse):
    """Four questions about one image."""
    dataset = open_dataset(DatasetConfig("warehouse", warehouse), group_by_image=True)
    assert isinstance(dataset, AnnotatedDataset)
    return dataset[0]


@pytest.fixture
def cutter(processor, run_config):
    """cutter(inputs, categories, matching, **fields of DataConfig)."""

    def make(inputs="rgbd", categories=(), matching="", **changes):
        data = replace(run_config().data, **changes)
        chosen = {"inputs": inputs, "categories": categories, "matching": matching}
        source = replace(data.sources[0], **chosen)
        return RowCutter(SmolRGPTRows(processor, data), data, source, 3)

    return make


def _tokens(processor, row):
    return pack_batch(processor, [row.pack()])["input_ids"].shape[1]


def test_every_question_is_in_one_row(cutter, sample):
    rows = cutter(questions_per_row=3).rows(sample, 0)
    assert [len(row.conversations) for row in rows] == [3, 1]
    ids = sorted(item.id for row in rows for item in row.conversations)
    assert ids == sorted(item.id for item in sample.conversations)


def test_rows_depend_on_seed_epoch_and_sample_alone(cutter, sample):
    def order(cut, epoch):
        return [item for row in cut.rows(sample, epoch) for item in row.conversations]

    assert order(cutter(), 0) == order(cutter(), 0)
    assert len({tuple(item.id for item in order(cutter(), epoch)) for epoch in range(8)}) > 3


def test_rows_are_never_longer_than_allowed(cutter, processor, sample):
    everything = cutter(questions_per_row=9).rows(sample, 0)
    assert len(everything) == 1
    whole = _tokens(processor, everything[0])
    cut = cutter(questions_per_row=9, row_tokens=whole - 1).rows(sample, 0)
    assert len(cut) > 1
    assert max(_tokens(processor, row) for row in cut) < whole
    assert sum(len(row.conversations) for row in cut) == 4


def test_a_conversation_that_no_row_takes_is_named(cutter, sample):
    with pytest.raises(SpatialError, match=r"train-0-\w+.*row_tokens is 64"):
        cutter(row_tokens=64).rows(sample, 0)


@pytest.mark.parametrize("style", ["short", "sentence"])
def test_both_styles_read_back_as_the_stored_answer(cutter, sample, style):
    (row,) = cutter(styles={style: 1.0}, questions_per_row=4).rows(sample, 0)
    stored = {item.id: item for item in sample.conversations}
    for item in row.conversations:
        question, answer = item.turns
        category = CATEGORIES[item.category]
        expected = read_answer(stored[item.id].normalized_answer, category)
        assert read_answer(answer.text, category) == expected
        asks_for_value = question.text.endswith(EngineConfig().short.instruction)
        assert asks_for_value == (style == "short")


@pytest.mark.parametrize(
    ("category", "stored", "said", "number"),
    [
        ("distance", "3.0 m", "3.00", 3.0),
        ("distance", "420 cm", "4.20", 4.2),
        ("left_right", "r", "right", 1.0),
        ("left_right", "Left.", "left", 0.0),
        ("mcq", "Region [1]", "1", 1.0),
        ("count", "2.0", "2", 2.0),
    ],
)
def test_answers_in_other_spellings_are_learned_as_they_are_meant(
    cutter, sample, category, stored, said, number
):
    (asked,) = [item for item in sample.conversations if item.category == category]
    other = replace(sample, conversations=(replace(asked, normalized_answer=stored),))
    (row,) = cutter(styles={"short": 1.0}).rows(other, 0)
    (conversation,) = row.conversations
    assert conversation.turns[-1].text == said
    assert row.pack().answers[0].value == pytest.approx(number)


@pytest.mark.parametrize("stored", ["up", "-1", "3 or 4", "NaN", "False"])
def test_an_answer_that_cannot_be_read_is_a_broken_sample(cutter, sample, stored):
    for asked in sample.conversations:
        other = replace(sample, conversations=(replace(asked, normalized_answer=stored),))
        with pytest.raises(SpatialError, match=rf"conversation '{asked.id}'.*got '{stored}'"):
            cutter().rows(other, 0)


def test_styles_are_drawn_by_their_fractions(cutter, sample):
    cut = cutter(styles={"short": 0.25, "sentence": 0.75})
    answers = [
        item.turns[-1].text.startswith(("[", "There"))
        for epoch in range(100)
        for row in cut.rows(sample, epoch)
        for item in row.conversations
    ]
    assert 0.68 < np.mean(answers) < 0.82


def test_turns_stay_turns_and_without_a_value_no_short_answer(cutter, sample):
    talk = replace(
        sample.conversations[0],
        turns=(
            *sample.conversations[0].turns,
            Turn("human", "Are you sure?"),
            Turn("gpt", "Yes."),
        ),
    )
    unknown = replace(sample.conversations[1], normalized_answer="")
    mixed = replace(sample, conversations=(talk, unknown))
    (row,) = cutter(styles={"short": 1.0}).rows(mixed, 0)
    by_id = {item.id: item for item in row.conversations}
    assert [turn.speaker for turn in by_id[talk.id].turns] == ["human", "gpt"] * 2
    assert by_id[unknown.id].turns[1].text.endswith("meters from [Region 1].")


@pytest.mark.parametrize(
    "turns", [(Turn("human", "Where?"),), (Turn("gpt", "There."),), (Turn("human", ""),) * 2]
)
def test_a_conversation_without_an_answer_is_refused_by_name(cutter, sample, turns):
    broken = replace(sample.conversations[0], turns=turns, mask_indices=())
    with pytest.raises(SpatialError, match="train-0-left_right"):
        cutter().rows(replace(sample, conversations=(broken,)), 0)


def test_a_row_brings_what_its_questions_name_and_nothing_else(cutter, sample):
    rows = cutter(questions_per_row=1).rows(sample, 0)
    (count,) = (row for row in rows if row.conversations[0].category == "count")
    packed = count.pack()
    assert len(packed.masks) == 1
    assert packed.mask_indices == [[0]]
    assert np.array_equal(packed.masks[0], sample.masks(sample.conversations[2])[0])
    assert packed.image.shape == (32, 48, 3)
    assert packed.depth.dtype == np.float32
    assert np.nanmin(packed.depth) == pytest.approx(1.0)


def test_sources_without_images_or_without_regions(cutter, sample):
    row = cutter("geometry", questions_per_row=1).rows(sample, 0)[0]
    geometry = replace(row, inputs="geometry").pack()
    assert geometry.image is None
    assert geometry.depth is not None
    assert geometry.intrinsics == sample.camera.intrinsics
    with pytest.raises(SpatialError, match="inputs: rgb"):
        replace(row, inputs="rgb").pack()


def test_a_source_may_have_some_categories_only(cutter, sample):
    rows = cutter(categories=("count", "mcq")).rows(sample, 0)
    assert {item.category for row in rows for item in row.conversations} == {"count", "mcq"}
    assert cutter(categories=("height",)).rows(sample, 0) == []


def test_a_source_may_have_questions_with_some_words_only(cutter, sample):
    rows = cutter(matching="HOW (many|far)").rows(sample, 0)
    assert {item.category for row in rows for item in row.conversations} == {"count", "distance"}
    assert cutter(matching="upstairs").rows(sample, 0) == []


def test_words_that_are_no_expression_are_named():
    with pytest.raises(SpatialError, match=r"data\.sources\.matching .*'\(many'"):
        SourceConfig("warehouse", "data", matching="(many")
