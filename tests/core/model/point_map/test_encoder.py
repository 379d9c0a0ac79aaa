"""How points become features: codes, patches, pixels without a reading."""

from dataclasses import replace

import pytest
import torch

from smolrgpt_core.model.point_map.code import HISPATIAL, WAREHOUSE
from smolrgpt_core.model.point_map.encoder import PointEncoder, point_codes, token_blocks


def encoder(code=WAREHOUSE, width: int = 6) -> PointEncoder:
    torch.manual_seed(1)
    return PointEncoder(code, 4, width)


def point_map(height: int = 16, width: int = 12) -> torch.Tensor:
    points = torch.rand(2, 4, height, width) * 6
    points[:, 3] = 1
    return points


@pytest.mark.parametrize("code", [WAREHOUSE, HISPATIAL])
def test_rows_at_a_time_give_what_the_whole_map_gives(code):
    module, points = encoder(code), point_map()
    module.block_rows = 99
    whole = module(points)
    whole.square().sum().backward()
    assert module.conv.weight.grad is not None
    wanted = module.conv.weight.grad.clone()
    module.zero_grad()
    module.block_rows = 1
    parts = module(points)
    parts.square().sum().backward()
    torch.testing.assert_close(parts, whole)
    torch.testing.assert_close(module.conv.weight.grad, wanted)


def test_a_pixel_without_a_reading_adds_nothing():
    module, points = encoder(), point_map()
    points[:, 3, :2] = 0
    before = module(points)
    points[:, :3, :2] = 123.0
    assert torch.equal(module(points), before)


def test_a_patch_with_few_readings_is_the_mean_over_them():
    module, points = encoder(), point_map(4, 4)
    points[:, :3] = torch.tensor([1.0, 0.5, 3.0])[:, None, None]
    module.conv.weight.data[:, :-1] = module.conv.weight.data[:, :-1].mean(dim=(2, 3), keepdim=True)
    module.conv.weight.data[:, -1] = 0
    full = module(points)
    points[:, 3, 1:] = 0
    torch.testing.assert_close(module(points), full)


def test_codes_keep_their_precision_under_bfloat16():
    points = torch.full((1, 4, 1, 1), 12.3456)
    near = point_codes(points, WAREHOUSE)
    points[:, 0] += 0.001
    assert (point_codes(points, WAREHOUSE) - near).abs().max() > 0.01
    assert near.dtype == torch.float32
    assert encoder().to(torch.bfloat16)(point_map()).dtype == torch.bfloat16


def test_every_channel_moves_within_a_warehouse():
    places = torch.linspace(0, 60, 2000)
    points = torch.stack([places, places, places, torch.ones(2000)])[None, :, None]
    codes = point_codes(points, WAREHOUSE)[0, :-1, 0]
    assert ((codes.amax(dim=1) - codes.amin(dim=1)) > 0.9).all()


def test_blocks_are_row_by_row():
    patches = torch.arange(24.0).view(1, 4, 6, 1)
    rows = token_blocks(patches, 2)
    assert rows.shape == (1, 6, 4)
    assert rows[0, 4].tolist() == [14, 15, 20, 21]
    with pytest.raises(ValueError, match="blocks of 4 x 4 patches do not fit a grid of 4 x 6"):
        token_blocks(patches, 4)


@pytest.mark.parametrize(
    ("field", "value"),
    [("axis_channels", 7), ("shortest_m", 0.0), ("longest_m", 0.05), ("limit_m", -1.0)],
)
def test_a_code_that_cannot_work_is_refused(field, value):
    with pytest.raises(ValueError, match=field):
        replace(WAREHOUSE, **{field: value})
