"""Readings of regions by themselves: what they say, what they cost, that they can be learned."""

import math

import pytest
import torch

from smolrgpt_core.model.region_readings import (
    NO_ANSWER,
    RegionAnswers,
    RegionReader,
    RegionReadings,
)
from smolrgpt_core.question import Category

WIDTH, TEXT_WIDTH = 16, 24


def readings(**changes):
    values = {
        "choice": torch.tensor([[0.7, 0.2, 0.1]]).log(),
        "counted": torch.tensor([[0.9, 0.8, 0.1]]),
        "sides": torch.tensor([[2.0, 1.0, 0.0]]),
        "shares": torch.tensor([[[0.0, 0.5, 0.0], [0.5, 0, 0], [0, 0, 0]]]),
        "metres": torch.full((1, 3, 3), 4.0),
    }
    return RegionReadings(**{**values, **changes})


def loss(category, value, **changes):
    answers = RegionAnswers(torch.tensor([int(category)]), torch.tensor([float(value)]))
    return readings(**changes).losses(answers).item()


def test_each_kind_of_answer_has_its_own_loss():
    assert loss(Category.MCQ, 1) == pytest.approx(-math.log(0.2))
    assert loss(Category.LEFT_RIGHT, 1) == pytest.approx(math.log1p(math.exp(-3)))
    assert loss(Category.LEFT_RIGHT, 0) == pytest.approx(3 + math.log1p(math.exp(-3)))
    assert loss(NO_ANSWER, 4) == 0


@pytest.mark.parametrize(
    ("category", "right", "wrong"), [(Category.DISTANCE, 4.0, 5.0), (Category.COUNT, 1.8, 3.0)]
)
def test_numbers_cost_nothing_when_right_and_more_the_more_they_are_off(category, right, wrong):
    assert loss(category, right) == pytest.approx(0, abs=1e-6)
    assert 0 < loss(category, (right + wrong) / 2) < loss(category, wrong)


def test_the_pair_that_explains_a_distance_is_the_one_that_is_learned():
    scores = torch.zeros(1, 9, requires_grad=True)
    metres = torch.tensor([[[0.0, 2, 4], [2, 0, 6], [4, 6, 0]]])
    answers = RegionAnswers(torch.tensor([1]), torch.tensor([6.1]))
    shares = scores.softmax(dim=1).view(1, 3, 3)
    readings(shares=shares, metres=metres).losses(answers).sum().backward()
    assert (scores.grad < 0).nonzero()[:, 1].tolist() == [5, 7]


def test_what_stands_in_a_zone_is_at_the_shortest_distance():
    assert loss(Category.DISTANCE, 0.0, metres=torch.full((1, 3, 3), 0.01)) == pytest.approx(0)
    assert loss(Category.DISTANCE, 0.0, metres=torch.full((1, 3, 3), 1.0)) > 1


def test_answers_of_tokens_are_those_of_their_question():
    rows = RegionAnswers(
        torch.tensor([[0, 1, 1], [3, 3, 0]]), torch.tensor([[0, 7.0, 7], [1, 1, 0]])
    )
    answers = rows.of_tokens(torch.tensor([1, 3]))
    assert answers.kinds.tolist() == [1, 3]
    assert answers.values.tolist() == [7, 1]


def inputs(seed=0, questions=4, regions=5):
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(questions, regions, WIDTH, generator=generator)
    pairs = torch.randn(questions, regions, regions, WIDTH, generator=generator)
    distances = 1 + 9 * torch.rand(questions, regions, regions, generator=generator)
    return states, pairs, distances, torch.ones(questions, regions, dtype=torch.bool)


def padded(states, pairs, distances, exists, by=3):
    wide = torch.nn.functional.pad
    return (
        wide(states, (0, 0, 0, by), value=5.0),
        wide(pairs, (0, 0, 0, by, 0, by), value=5.0),
        wide(distances, (0, by, 0, by), value=50.0),
        wide(exists, (0, by)),
    )


@pytest.mark.parametrize("regions", [1, 5])
def test_padding_says_nothing(regions):
    torch.manual_seed(1)
    reader = RegionReader(WIDTH, TEXT_WIDTH)
    given = inputs(regions=regions)
    plain, wide = reader(*given), reader(*padded(*given))
    torch.testing.assert_close(wide.distance, plain.distance)
    for name in ("choice", "counted", "sides", "related"):
        torch.testing.assert_close(getattr(wide, name)[:, :regions], getattr(plain, name))
    tokens = (reader.tell(read, torch.float32)[:, :regions] for read in (wide, plain))
    torch.testing.assert_close(*tokens)


def test_a_distance_is_that_of_a_pair_of_regions():
    reader = RegionReader(WIDTH, TEXT_WIDTH)
    torch.nn.init.zeros_(reader.of_pair.weight)
    torch.nn.init.zeros_(reader.of_pair.bias)
    for layer in (reader.of_first, reader.of_second):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    states, pairs, distances, exists = inputs(regions=2)
    distances = (distances + distances.transpose(1, 2)) / 2
    read = reader(states, pairs, distances, exists)
    is_apart = torch.tensor(3.0).sigmoid()
    torch.testing.assert_close(read.distance, distances[:, 0, 1] * is_apart)
    torch.testing.assert_close(read.related, torch.ones(4, 2))


def test_readings_are_learned_and_told():
    torch.manual_seed(0)
    reader = RegionReader(WIDTH, TEXT_WIDTH)
    given = inputs(questions=8)
    metres = given[2]
    answers = RegionAnswers(
        torch.tensor([1, 1, 2, 2, 3, 3, 4, 4]),
        torch.tensor([metres[0, 1, 3], metres[1, 0, 2], 1, 3, 0, 1, 2, 4]),
    )
    before = reader.tell(reader(*given), torch.float32)
    optimizer = torch.optim.Adam(reader.parameters(), 0.01)
    for _ in range(400):
        optimizer.zero_grad()
        reader(*given).losses(answers).sum().backward()
        optimizer.step()
    read = reader(*given)
    assert (read.losses(answers) < 0.1).all()
    assert read.choice.argmax(dim=1)[6:].tolist() == [2, 4]
    assert (reader.tell(read, torch.float32) - before).abs().amax(dim=(1, 2)).min() > 0.01
