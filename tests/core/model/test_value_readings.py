"""Numbers of questions: which value is chosen, what it costs, what the language model gets."""

import math
from dataclasses import replace

import pytest
import torch

from smolrgpt_core.model.quiet_linear import QuietLinear
from smolrgpt_core.model.region_measures import RegionMeasures
from smolrgpt_core.model.value_readings import (
    SLOTS,
    VALUES,
    ValueReader,
    ValueReadings,
    clearances,
    observed,
)

WIDTH, TEXT_WIDTH = 16, 24
HEIGHT = VALUES.index("height")


def measures(questions=1, regions=3, **changes):
    generator = torch.Generator().manual_seed(4)
    center = torch.randn(questions, regions, 3, generator=generator) + torch.tensor([0, 5.0, 1])
    camera = torch.full((questions, regions), 1.5)
    # A camera that looks straight ahead.
    axes = torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]).expand(questions, regions, 3, 3)
    above = torch.nn.functional.pad(camera[..., None], (2, 0))
    values = {
        "center": center,
        "optical": torch.einsum("qmij,qmi->qmj", axes, center - above),
        "sizes": torch.rand(questions, regions, 3, generator=generator) + 0.5,
        "turn": torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(questions, regions, 4),
        "axes": axes,
        "camera_height": camera,
        "has_depth": torch.ones(questions, regions, dtype=torch.bool),
        "states": torch.randn(questions, regions, WIDTH, generator=generator),
    }
    return RegionMeasures(**{**values, **changes})


def reader(seed=0):
    torch.manual_seed(seed)
    return ValueReader(WIDTH, TEXT_WIDTH)


def read(made, found, exists=None):
    questions, regions = found.center.shape[:2]
    generator = torch.Generator().manual_seed(5)
    states = torch.randn(questions, regions, WIDTH, generator=generator)
    exists = torch.ones(questions, regions, dtype=torch.bool) if exists is None else exists
    keys, _ = made.keys(states, found, exists)
    even = torch.full((questions, regions, regions), 1 / regions**2)
    meters = torch.full((questions, regions, regions), 4.0)
    return made(states, found, exists, keys, (even, meters))


def given(number, kind=None, pair=(0, 0), keys=(0.0, 0.0, 0.0)):
    """Readings that have chosen, or are undecided."""
    values = torch.arange(len(VALUES) * 9.0).view(1, len(VALUES), 3, 3) / 7
    kinds = torch.full((1, SLOTS, len(VALUES)), 1 / len(VALUES))
    pairs = torch.full((1, SLOTS, 3, 3), 1 / 9)
    if kind is not None:
        kinds, pairs = torch.zeros_like(kinds), torch.zeros_like(pairs)
        kinds[:, :, kind] = 1
        pairs[:, :, pair[0], pair[1]] = 1
    chosen = torch.zeros(1, SLOTS)
    readings = ValueReadings(values, kinds, pairs, chosen, torch.tensor([keys]))
    numbers = torch.tensor([[number, math.nan, math.nan]])
    return readings, numbers, float(values[0, kind or 0, pair[0], pair[1]])


def test_a_number_costs_nothing_when_the_chosen_value_is_it():
    readings, _, value = given(0.0, HEIGHT, (1, 1))
    right, off, wrong = (
        readings.losses(torch.tensor([[number, math.nan, math.nan]])).item()
        for number in (value, 1.05 * value, 3 * value)
    )
    assert right == pytest.approx(0, abs=1e-4)
    assert right < off < wrong
    assert readings.losses(torch.full((1, SLOTS), math.nan)).item() == 0


def test_numbers_behind_the_first_cost_as_much():
    readings, _, value = given(0.0, HEIGHT, (1, 1))
    for slot in range(SLOTS):
        numbers = torch.full((1, SLOTS), math.nan)
        numbers[0, slot] = 3 * value
        assert readings.losses(numbers).item() > 1


def test_the_kind_that_explains_a_number_is_learned():
    found = measures()
    made = reader()
    optimizer = torch.optim.Adam(made.parameters(), lr=0.05)
    wanted = torch.tensor([[float(found.sizes[0, 0, 2]), math.nan, math.nan]])
    for _ in range(60):
        optimizer.zero_grad()
        read(made, found).losses(wanted).sum().backward()
        optimizer.step()
    readings = read(made, found)
    assert VALUES[int(readings.kinds[0, 0].argmax())] in (
        "height",
        "volume",
        "footprint",
        "top",
        "width",
        "length",
    )
    assert readings.losses(wanted).item() < 0.7 * read(reader(), found).losses(wanted).item()


def test_the_difference_is_that_of_the_other_numbers():
    readings = read(reader(), measures())
    second, third = readings.chosen[0, 1:]
    difference = readings.values[0, VALUES.index("difference")]
    torch.testing.assert_close(difference, (second - third).abs().expand(3, 3))


def test_an_order_costs_nothing_when_the_keys_have_it():
    ranks = torch.tensor([[1.0, 0.0, math.nan]])
    right, _, _ = given(0.0, keys=(40.0, 80.0, 0.0))
    wrong, _, _ = given(0.0, keys=(80.0, 40.0, 0.0))
    assert right.order_losses(ranks).item() == pytest.approx(0, abs=1e-4)
    assert wrong.order_losses(ranks).item() > 10
    assert wrong.order_losses(torch.full((1, 3), math.nan)).item() == 0


def test_clearances_of_parallel_footprints():
    centers = torch.tensor([[[0.0, 5, 0], [3, 5, 0], [3, 9, 0]]])
    sizes = torch.tensor([2.0, 1.0, 1.0]).expand(1, 3, 3)
    found = clearances(measures(center=centers, sizes=sizes))[0]
    wanted = torch.tensor([[0.0, 1, math.hypot(1, 3)], [1, 0, 3], [math.hypot(1, 3), 3, 0]])
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=0)
    across = measures(
        center=centers, sizes=sizes, turn=torch.tensor([-1.0, 0, 1, 0]).expand(1, 3, 4)
    )
    assert clearances(across)[0, 0, 1].item() == pytest.approx(2, abs=1e-4)


def test_an_observer_has_a_right_and_a_left():
    standing, seen = [0.0, 0, 0], [5.0, 0, 0]
    # Who looks along x has smaller y on the right.
    right, left = [2.0, -1, 0], [2.0, 1, 0]
    found = observed(torch.tensor([[right, standing, seen], [left, standing, seen]]))
    assert found.tolist() == pytest.approx([1 / math.sqrt(5), -1 / math.sqrt(5)], abs=1e-4)


def test_sides_compare_the_first_region_with_the_second():
    found = measures()
    made = reader()
    with torch.no_grad():
        made.key_gate.bias.copy_(torch.eye(made.key_gate.out_features)[2])
    torch.nn.init.zeros_(made.key_sign.weight)
    torch.nn.init.zeros_(made.key_sign.bias)
    keys, sides = made.keys(torch.zeros(1, 3, WIDTH), found, torch.ones(1, 3, dtype=torch.bool))
    heights = found.sizes[0, :, 2]
    assert (keys.argsort() == heights.argsort()).all()
    assert (sides.sum() > 0) == (heights[0] > heights[1])


def test_padding_changes_nothing():
    found = measures()
    made = reader(2)
    exists = torch.ones(1, 3, dtype=torch.bool)
    for layer in made.modules():
        if isinstance(layer, QuietLinear):
            torch.nn.init.normal_(layer.weight)
    plain = made.embed(read(made, found), found, exists)
    padded = RegionMeasures(
        *(torch.cat([item, item[:, :2] + 1], dim=1) for item in vars(found).values())
    )
    generator = torch.Generator().manual_seed(5)
    states = torch.randn(1, 3, WIDTH, generator=generator)
    states = torch.cat([states, states[:, :2]], dim=1)
    more = torch.tensor([[True, True, True, False, False]])
    keys, sides = made.keys(states, padded, more)
    even = torch.zeros(1, 5, 5)
    even[:, :3, :3] = 1 / 9
    readings = made(states, padded, more, keys, (even, torch.full((1, 5, 5), 4.0)))
    assert not sides[0, 3:].any()
    torch.testing.assert_close(made.embed(readings, padded, more)[:, :3], plain)


def test_values_are_embedded_digit_by_digit():
    found = measures()
    made = reader(3)
    for layer in made.modules():
        if isinstance(layer, QuietLinear):
            torch.nn.init.normal_(layer.weight)
    readings = read(made, found)
    exists = torch.ones(1, 3, dtype=torch.bool)
    embedding = made.embed(readings, found, exists)
    for change in (0.01, -2 * float(readings.chosen[0, 1])):
        chosen = readings.chosen.clone()
        chosen[0, 1] += change
        assert (
            made.embed(replace(readings, chosen=chosen), found, exists) - embedding
        ).abs().max() > 1e-3
