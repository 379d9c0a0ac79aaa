"""Measures of regions: the floor they are measured on, what they cost, that they can be learned."""

import math

import pytest
import torch

from smolrgpt_core.model.region_measures import FloorFrame, RegionMeasurer, RegionMeasures
from smolrgpt_core.model_inputs.region_samples import AROUND

TILT = 0.4
FOOT = torch.tensor([[0.0, 1.6 * math.cos(TILT), 1.6 * math.sin(TILT)]])
"""Of a camera 1.6 m above the floor that looks down by 0.4 radians."""

BOX = torch.tensor([[0.5, 0.2, 5.0, 1.2, 0.8, 0.6, 0.3]])


def measures(**changes):
    floor = FloorFrame.below(FOOT)
    values = {
        "center": floor.to_floor(BOX[:, None, :3])[:, 0],
        "optical": BOX[:, :3],
        "sizes": BOX[:, 3:6],
        "turn": torch.tensor([[math.cos(0.6), math.sin(0.6), math.cos(1.2), math.sin(1.2)]]),
        "axes": floor.axes,
        "camera_height": floor.height,
        "has_depth": torch.ones(1, dtype=torch.bool),
        "states": torch.zeros(1, 4),
    }
    return RegionMeasures(**{**values, **changes})


def test_the_floor_lies_below_the_camera():
    floor = FloorFrame.below(FOOT)
    assert floor.is_seen.all()
    on_floor = floor.to_floor(
        torch.stack([FOOT, torch.zeros(1, 3), FOOT + torch.tensor([2.0, 0, 0])], 1)
    )
    expected = torch.tensor([[[0.0, 0, 0], [0, 0, 1.6], [2, 0, 0]]])
    torch.testing.assert_close(on_floor, expected, atol=1e-5, rtol=0)
    ahead = floor.to_floor(torch.tensor([[[0.0, 0.0, 2.0]]]))[0, 0]
    wanted = torch.tensor([0.0, 2 * math.cos(TILT), 1.6 - 2 * math.sin(TILT)])
    torch.testing.assert_close(ahead, wanted, atol=1e-5, rtol=0)


def test_without_a_floor_the_camera_looks_straight_ahead():
    floor = FloorFrame.below(torch.full((1, 3), torch.nan))
    assert not floor.is_seen.any()
    level = floor.to_floor(torch.tensor([[[1.0, -0.5, 3.0]]]))[0, 0]
    torch.testing.assert_close(level, torch.tensor([1.0, 3.0, 2.0]))


@pytest.mark.parametrize(
    ("field", "off"),
    [("optical", 0.3), ("sizes", 0.3), ("turn", 0.3)],
)
def test_each_measure_has_its_loss(field, off):
    right = measures()
    assert right.losses(BOX).item() == pytest.approx(0, abs=1e-6)
    near, far = (
        measures(**{field: getattr(right, field) + part * off}).losses(BOX).item()
        for part in (0.2, 1)
    )
    assert 0 < near < far


@pytest.mark.parametrize("place", range(4))
def test_both_readings_of_the_angle_have_a_loss(place):
    turn = measures().turn.clone()
    turn[0, place] += 0.3
    assert measures(turn=turn).losses(BOX).item() > 0.1


def test_what_is_not_known_costs_nothing():
    wrong = measures(optical=BOX[:, :3] + 1, sizes=2 * BOX[:, 3:6])
    assert wrong.losses(torch.full((1, 7), torch.nan)).item() == 0
    zone = BOX.clone()
    zone[0, 5] = 0
    tall = measures(sizes=torch.tensor([[1.2, 0.8, 9.0]]))
    assert tall.losses(zone).item() == pytest.approx(0, abs=1e-6)
    square = BOX.clone()
    square[0, 3:5] = 1.0
    turned = measures().turn.clone()
    turned[:, :2] *= -1
    turned = measures(turn=turned, sizes=square[:, 3:6])
    assert turned.losses(square).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("longer_by", [0.0, 0.2, -0.3])
def test_the_angle_is_as_exact_as_that_of_both_sides(longer_by):
    rough = [math.cos(0.6 + longer_by), math.sin(0.6 + longer_by)]
    turned = measures(turn=torch.tensor([[*rough, math.cos(1.2), math.sin(1.2)]]))
    assert turned.angle.item() == pytest.approx(0.3, abs=1e-4)


def boxes_and_samples(number, generator):
    """Boxes ahead of a level camera, and samples of their near faces."""
    boxes = torch.zeros(number, 7)
    boxes[:, 2] = 3 + 3 * torch.rand(number, generator=generator)
    boxes[:, 3:6] = 0.5 + torch.rand(number, 3, generator=generator)
    boxes[:, 3] += 1
    boxes[:, 1] = 1.5 - boxes[:, 5] / 2
    points = torch.rand(number, 32, 3, generator=generator) - 0.5
    points = points * boxes[:, None, [3, 5, 4]] + boxes[:, None, :3]
    points[..., 2] = (boxes[:, 2] - boxes[:, 4] / 2)[:, None]
    samples = torch.full((number, 32 + AROUND + 1, 3), torch.nan)
    samples[:, :32] = torch.cat([points[..., :2] / points[..., 2:], points[..., 2:]], dim=-1)
    samples[:, 32:-1, :2] = 0
    samples[:, -1] = torch.tensor([0.0, 1.5, 0.0])
    return boxes, samples


def test_boxes_can_be_learned_from_points():
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(1)
    measurer = RegionMeasurer(24)
    optimizer = torch.optim.Adam(measurer.parameters(), lr=5e-3)
    boxes, samples = boxes_and_samples(64, generator)
    before = measurer(samples).losses(boxes).mean().item()
    for _ in range(120):
        optimizer.zero_grad()
        loss = measurer(samples).losses(boxes).mean()
        loss.backward()
        optimizer.step()
    assert loss.item() < before / 2
    found = measurer(samples)
    assert (found.sizes[:, 0] / boxes[:, 3] - 1).abs().median() < 0.1
    # What was measured on one floor holds for regions of questions in any order.
    swapped = found.of(torch.tensor([[5, 2]]))
    torch.testing.assert_close(swapped.center[0, 1], found.center[2])


def test_an_object_without_depth_is_placed_by_its_rays():
    """The lowest ray under a mask meets the floor where the object stands."""
    generator = torch.Generator().manual_seed(1)
    boxes, samples = boxes_and_samples(8, generator)
    samples[:, 0, 1] = 1.5 / samples[:, 0, 2]
    samples[:, :-1, 2] = torch.nan
    torch.manual_seed(0)
    measurer = RegionMeasurer(24, rays=True)
    assert measurer.rays is not None
    for layer in (measurer.head, measurer.rays):
        torch.nn.init.zeros_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    found = measurer(samples)
    assert not found.has_depth.any()
    near_face = boxes[:, 2] - boxes[:, 4] / 2
    torch.testing.assert_close(found.center[:, 1], near_face, atol=0.25, rtol=0)
    assert (found.center[:, 2] - boxes[:, 5] / 2).abs().max() < 0.2
