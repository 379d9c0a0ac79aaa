"""Readings of regions by themselves: what they say, what they cost, that they can be learned."""

import math

import pytest
import torch

from smolrgpt_core.language import Category
from smolrgpt_core.model.region_readings import (
    NO_ANSWER,
    RegionAnswers,
    RegionReader,
    RegionReadings,
    _digits_of_meters,
)

WIDTH, TEXT_WIDTH = 16, 24


def readings(**changes):
    values = {
        "choice": torch.tensor([[0.7, 0.2, 0.1]]).log(),
        "counted": torch.tensor([[0.9, 0.8, 0.1]]),
        "sides": torch.tensor([[2.0, 1.0, 0.0]]),
        "probabilities": torch.tensor([[[0.0, 0.5, 0.0], [0.5, 0, 0], [0, 0, 0]]]),
        "meters": torch.full((1, 3, 3), 4.0),
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
def test_numbers_cost_nothing_when_correct_and_more_the_more_they_are_off(category, right, wrong):
    assert loss(category, right) == pytest.approx(0, abs=1e-6)
    assert 0 < loss(category, (right + wrong) / 2) < loss(category, wrong)


def test_the_pair_that_explains_a_distance_is_the_one_that_is_learned():
    scores = torch.zeros(1, 9, requires_grad=True)
    meters = torch.tensor([[[0.0, 2, 4], [2, 0, 6], [4, 6, 0]]])
    answers = RegionAnswers(torch.tensor([1]), torch.tensor([6.1]))
    probabilities = scores.softmax(dim=1).view(1, 3, 3)
    readings(probabilities=probabilities, meters=meters).losses(answers).sum().backward()
    assert scores.grad is not None
    assert (scores.grad < 0).nonzero()[:, 1].tolist() == [5, 7]


def test_what_stands_in_a_zone_is_at_the_shortest_distance():
    assert loss(Category.DISTANCE, 0.0, meters=torch.full((1, 3, 3), 0.01)) == pytest.approx(0)
    assert loss(Category.DISTANCE, 0.0, meters=torch.full((1, 3, 3), 1.0)) > 1


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
    centers = 3 * torch.randn(questions, regions, 3, generator=generator)
    return states, pairs, centers, torch.ones(questions, regions, dtype=torch.bool)


def padded(states, pairs, centers, exists, by=3):
    wide = torch.nn.functional.pad
    return (
        wide(states, (0, 0, 0, by), value=5.0),
        wide(pairs, (0, 0, 0, by, 0, by), value=5.0),
        wide(centers, (0, 0, 0, by), value=50.0),
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
    tokens = (reader.embed(read, torch.float32)[:, :regions] for read in (wide, plain))
    torch.testing.assert_close(*tokens)


def reader_of(bias_of_region):
    """A reader that says the same of every region and pair."""
    reader = RegionReader(WIDTH, TEXT_WIDTH)
    for layer in (reader.region_head, reader.pair_head, reader.first_head, reader.second_head):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    with torch.no_grad():
        reader.region_head.bias.copy_(torch.tensor(bias_of_region))
    return reader


IS_APART = torch.tensor(3.0).sigmoid().item()


def test_distances_are_those_of_pairs_and_from_the_camera():
    states, pairs, centers, exists = inputs(regions=2)
    meters = reader_of([0.0] * 6)(states, pairs, centers, exists).meters / IS_APART
    torch.testing.assert_close(meters[:, 0, 1], (centers[:, 0] - centers[:, 1]).norm(dim=-1))
    torch.testing.assert_close(meters[:, 1, 0], meters[:, 0, 1])
    torch.testing.assert_close(meters[:, [0, 1], [0, 1]], centers.norm(dim=-1))


def test_one_region_has_its_distance_from_the_camera():
    states, pairs, centers, exists = inputs(regions=1)
    read = reader_of([0.0] * 6)(states, pairs, centers, exists)
    torch.testing.assert_close(read.distance, centers[:, 0].norm(dim=-1) * IS_APART)


def test_an_object_lies_behind_what_is_seen_of_it():
    states, pairs, centers, exists = inputs(regions=2)
    meters = reader_of([0, 0, 0, 0, 0, 1.0])(states, pairs, centers, exists).meters / IS_APART
    torch.testing.assert_close(meters[:, [0, 1], [0, 1]], centers.norm(dim=-1) + 0.3)


def test_offsets_are_to_the_right_and_down_as_seen_along_the_ray():
    states, pairs, _, exists = inputs(questions=1, regions=2)
    centers = torch.tensor([[[0.0, 0.0, 4.0], [3.0, 0.0, 0.0]]])
    for offset, moved in (
        ([1.0, 0, 0], [[0.3, 0, 4], [3, 0, -0.3]]),
        ([0, 1.0, 0], [[0, 0.3, 4], [3, 0.3, 0]]),
    ):
        read = reader_of([0.0, 0, 0, *offset])(states, pairs, centers, exists)
        first, second = torch.tensor(moved)
        apart = (first - second).norm().item()
        assert read.meters[0, 0, 1].item() / IS_APART == pytest.approx(apart, abs=1e-4)


def test_the_distance_is_that_of_the_likeliest_pair_and_no_mean_of_several():
    probabilities = torch.tensor([[[0.1, 0.2, 0.0], [0.2, 0.1, 0.35], [0.0, 0.0, 0.05]]])
    meters = torch.tensor([[[7.0, 2, 4], [2, 8, 6], [4, 6, 9]]])
    assert readings(probabilities=probabilities, meters=meters).distance.item() == 2


def test_readings_are_learned_and_reported():
    torch.manual_seed(0)
    reader = RegionReader(WIDTH, TEXT_WIDTH)
    given = inputs(questions=8)
    meters = torch.cdist(given[2], given[2])
    answers = RegionAnswers(
        torch.tensor([1, 1, 2, 2, 3, 3, 4, 4]),
        torch.tensor([meters[0, 1, 3], meters[1, 0, 2], 1, 3, 0, 1, 2, 4]),
    )
    before = reader.embed(reader(*given), torch.float32)
    optimizer = torch.optim.Adam(reader.parameters(), 0.01)
    for _ in range(400):
        optimizer.zero_grad()
        reader(*given).losses(answers).sum().backward()
        optimizer.step()
    read = reader(*given)
    assert (read.losses(answers) < 0.1).all()
    assert read.choice.argmax(dim=1)[6:].tolist() == [2, 4]
    assert (reader.embed(read, torch.float32) - before).abs().amax(dim=(1, 2)).min() > 0.01


def test_a_distance_is_written_digit_by_digit():
    digits = _digits_of_meters(torch.tensor([13.969, 0.0, 3.999])).view(3, 4, 10).argmax(dim=-1)
    assert digits.tolist() == [[1, 3, 9, 7], [0, 0, 0, 0], [0, 4, 0, 0]]
