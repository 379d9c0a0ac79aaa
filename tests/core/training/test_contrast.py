"""Pairs of questions in the same words with different answers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from smolrgpt_core.data.readers import Order, SampleIterator
from smolrgpt_core.data.samples import Conversation
from smolrgpt_core.data.warehouse_format import HUMAN, MODEL, Turn
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import MASK
from smolrgpt_core.training.checkpoints import CheckpointStore
from smolrgpt_core.training.config import (
    AugmentationConfig,
    CheckpointConfig,
    ContrastConfig,
    OptimizerConfig,
    StartConfig,
)
from smolrgpt_core.training.contrast import margin_losses, paired
from smolrgpt_core.training.learned import learned_of
from smolrgpt_core.training.losses import EXTRAS, PAIRS
from smolrgpt_core.training.rows import Row
from smolrgpt_core.training.run import train
from smolrgpt_core.training.start import make_start
from smolrgpt_core.training.stream import open_source


def talk(question: str, answer: str, category: str) -> Conversation:
    turns = (Turn(HUMAN, question), Turn(MODEL, answer))
    return Conversation("a", turns, tuple(range(question.count(MASK))), category, "left")


@pytest.mark.parametrize(
    ("question", "answer", "category", "other"),
    [
        ("Is the box <mask> left or right of the box <mask>?", "left", "left_right", "right"),
        ("Is the box <mask> to the left of the box <mask>?",
         "The box [Region 0] is on the right of [Region 1].", "left_right",
         "The box [Region 0] is on the left of [Region 1]."),
        ("Which of the boxes <mask> <mask> is nearest to me?", "1", "mcq", "0"),
        ("Which of the boxes <mask> <mask> is the leftmost?", "[Region 0] is the leftmost.", "mcq",
         "[Region 1] is the leftmost."),
    ],
)  # fmt: skip
def test_the_pair_of_a_question_is_about_the_exchanged_regions(question, answer, category, other):
    pair = paired(talk(question, answer, category))
    assert {item.turns[0].text for item in pair} == {question}
    assert [item.turns[1].text for item in pair] == [answer, other, other, answer]
    assert [item.mask_indices for item in pair] == [(0, 1), (0, 1), (1, 0), (1, 0)]
    assert not any(item.normalized_answer for item in pair)


@pytest.mark.parametrize(
    ("question", "answer", "category"),
    [
        ("How far is the box <mask> from the box <mask>?", "3.00", "distance"),
        ("Is the box <mask> to the left of the box <mask>?", "Yes, on its left.", "left_right"),
        ("Is the box <mask> on the left?", "left", "left_right"),
        ("Which of the boxes <mask> <mask> <mask> is nearest to me?", "1", "mcq"),
        ("Which of the boxes <mask> is nearest to the shelf <mask>?", "0", "mcq"),
        ("What is this?", "left", "left_right"),
    ],
)  # fmt: skip
def test_what_has_no_certain_other_answer_has_no_pair(question, answer, category):
    assert paired(talk(question, answer, category)) == []


def test_pairs_are_marked_and_have_no_part_in_the_loss_of_the_labels(base, run_config):
    config = run_config("metric", contrast=ContrastConfig())
    model, processor = make_start(StartConfig(checkpoint=str(base)), 0, lambda: ())
    source = open_source(config.data.sources[0], config.data)
    sample = next(SampleIterator(source, Order()))
    row = Row(sample, sample.conversations, draws=(1, 2))
    device = torch.device("cpu")
    kind, objectives = learned_of(config, model, processor, device)
    plain, without = learned_of(replace(config, contrast=None), model, processor, device)
    batch, alone = kind.batch([row, row]), plain.batch([row, row])
    pairs = batch[EXTRAS][PAIRS]
    assert int((pairs == 0).sum()) == len(alone["answer_categories"])
    assert not pairs[: len(alone["answer_categories"])].any()
    assert set(pairs.tolist()) == {0, 1, -1, 2, -2, 3, -3, 4, -4}
    assert objectives.weights(batch).sum() == without.weights(alone).sum()
    with torch.no_grad():
        found = objectives.loss(model, batch, 7)
        wanted = without.loss(model, alone, 7)
    assert torch.allclose(found.token_losses, wanted.token_losses, atol=1e-5)
    assert torch.equal(found.categories, wanted.categories)
    assert found.loss == pytest.approx(float(wanted.loss + found.terms["contrast"]), rel=1e-5)
    assert without.names == ()


def test_the_loss_is_what_the_correct_answer_lacks():
    pairs = torch.tensor([0, 1, 1, -1, 2, -2])
    token_losses = torch.tensor([9.0, 1.0, 1.0, 5.0, 3.0, 2.5])
    assert margin_losses(token_losses, pairs, 2.0).tolist() == pytest.approx([0.0, 2.5])
    assert margin_losses(token_losses, torch.zeros(6).long(), 2.0).tolist() == []


def test_going_on_gives_the_same_losses_with_pairs_and_other_views(run_config, logged_losses):
    config = run_config(
        "metric",
        contrast=ContrastConfig(weight=1.0, margin=2.0),
        augmentation=AugmentationConfig(flip=0.5, crop=0.5),
        optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=6),
        checkpoints=CheckpointConfig(every_steps=3, keep=2),
    )
    train(config)
    found = logged_losses(config)
    assert all(0 < line["terms"]["contrast"] < 10 for line in found)
    newest = CheckpointStore(Path(config.output), 2).newest()
    assert newest is not None
    shutil.rmtree(newest.folder)
    train(config)
    assert logged_losses(config) == found


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(SpatialError, match=r"contrast\.margin"):
        ContrastConfig(margin=0.0)
