"""Measures of each region: where its object is and how large, on the floor.

Unlike `region_geometry`, which codes what is seen, this is learned: a network reads the points
under a mask and around it, and says where the box of the whole object lies. In training it has a
loss for every region of every row, whatever the question asks.

R regions, K samples of each under its mask, A of its surroundings; W the width of the branch.
Floor frame: right, forward, height above the floor, meters, as `scene.spatial_scene` has it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

import torch
from torch import nn

from smolrgpt_core.model.region_geometry import SeenRegions
from smolrgpt_core.model.sinusoids import sinusoidal_code
from smolrgpt_core.model_inputs.region_samples import AROUND

_HEIGHT_M = 1.5
"""Of a camera whose floor is not seen; it is then taken to look straight ahead."""
_LEAST_HEIGHT_M = 0.05

_AXIS_CHANNELS = 16
_POINT_CHANNELS = 4 * _AXIS_CHANNELS + 6
_NEAR_M = (0.3, 0.8, 2.5)
"""Pairs of points up to so far apart tell the directions of sides."""
_PLACE_CHANNELS = 3 * 2 * _AXIS_CHANNELS + 6 + 4 * len(_NEAR_M)
_OUTPUTS = 10
_LONGEST_M = 30.0

_CENTER_SCALE_M = 0.1
_TURN_WEIGHT = 2.0
_SIZE_SCALE = 0.05
_SQUARE = 1.1
"""Longer over shorter side from which on an object has a direction."""
_LEAST_SIZE_M = 0.02
_TINY = 1e-6


@dataclass(frozen=True)
class FloorFrame:
    """The floor below the cameras of R regions.

    Attributes:
        axes: (R, 3, 3), rows: right, forward, up, in the optical frame.
        height: (R,), of the camera, meters.
        is_seen: bool (R,); where it is False, up and height are a guess.
    """

    axes: torch.Tensor
    height: torch.Tensor
    is_seen: torch.Tensor

    @classmethod
    def below(cls, foot: torch.Tensor) -> FloorFrame:
        """From points (R, 3) of the floor straight below the camera, NaN where it is not seen."""
        known = foot.nan_to_num(0.0)
        height = known.norm(dim=-1)
        is_seen = foot.isfinite().all(dim=-1) & (height > _LEAST_HEIGHT_M)
        level = torch.tensor([0.0, -1.0, 0.0], device=foot.device)
        up = -known / height.clamp_min(_LEAST_HEIGHT_M)[:, None]
        up = torch.where(is_seen[:, None], up, level)
        ahead = torch.tensor([1.0, 0.0, 0.0], device=foot.device)
        right = ahead - up[:, :1] * up
        right = right / right.norm(dim=-1, keepdim=True).clamp_min(_LEAST_HEIGHT_M)
        axes = torch.stack([right, torch.linalg.cross(up, right), up], dim=1)
        return cls(axes, torch.where(is_seen, height, _HEIGHT_M), is_seen)

    def to_floor(self, points: torch.Tensor) -> torch.Tensor:
        """Points (R, N, 3) of the optical frame on the floor."""
        above = torch.nn.functional.pad(self.height[:, None, None], (2, 0))
        return points @ self.axes.mT + above


@dataclass(frozen=True)
class RegionMeasures:
    """Measures of regions (R, ...), or of the regions of questions (Q, M, ...), float32.

    Attributes:
        center: (..., 3), of the object's box, floor frame.
        optical: (..., 3), the same in the optical frame.
        sizes: (..., 3), longer and shorter horizontal side and height; meters.
        turn: (..., 4), cosine and sine of twice the angle of the longer side, and of four times
            it, which is the same for both sides; of any length.
        axes: (..., 3, 3), as in `FloorFrame`.
        camera_height: (...), meters.
        states: (..., W), what they were read from.
    """

    center: torch.Tensor
    optical: torch.Tensor
    sizes: torch.Tensor
    turn: torch.Tensor
    axes: torch.Tensor
    camera_height: torch.Tensor
    states: torch.Tensor

    @property
    def angle(self) -> torch.Tensor:
        """(...), of the longer side from right towards forward, radians, by both readings.

        Which of the sides is longer is harder to see than how they lie.
        """
        rough, fine = (
            torch.atan2(part[..., 1], part[..., 0] + _TINY) / times
            for part, times in ((self.turn[..., :2], 2), (self.turn[..., 2:], 4))
        )
        steps = ((rough - fine) / (math.pi / 2)).round().detach()
        return fine + steps * math.pi / 2

    def of(self, regions: torch.Tensor) -> RegionMeasures:
        """Those of regions, by their places, int64 of any shape."""
        return RegionMeasures(*(getattr(self, item.name)[regions] for item in fields(self)))

    def losses(self, boxes: torch.Tensor) -> torch.Tensor:
        """Losses (...) of each region; 0 where nothing is known of it.

        Args:
            boxes: (..., 7), `data.answer_truths.BOX_FIELDS`, NaN where not known.
        """
        is_known = boxes.isfinite().all(dim=-1)
        boxes = boxes.nan_to_num(1.0)
        center, sizes, yaw = boxes[..., :3], boxes[..., 3:6], boxes[..., 6]
        shift = torch.einsum("...ij,...j->...i", self.axes, center - self.optical)
        of_center = _robust(shift / _CENTER_SCALE_M).sum(dim=-1)
        ratio = self.sizes.log() - sizes.clamp_min(_LEAST_SIZE_M).log()
        # What is painted on the floor has no height.
        has_side = sizes > _LEAST_SIZE_M
        of_size = (_robust(ratio / _SIZE_SCALE) * has_side).sum(dim=-1)
        rough, fine = (
            (self.turn[..., place : place + 2] - _direction(times * yaw)).square().sum(dim=-1)
            for place, times in ((0, 2), (2, 4))
        )
        has_longer = sizes[..., 0] > _SQUARE * sizes[..., 1]
        of_turn = _TURN_WEIGHT * (rough * has_longer + fine)
        return (of_center + of_size + of_turn) * is_known


class RegionMeasurer(nn.Module):
    """Measures regions by their points.

    Args:
        width: W.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.point = nn.Sequential(
            nn.Linear(_POINT_CHANNELS, width), nn.GELU(), nn.Linear(width, width), nn.GELU()
        )
        self.place = nn.Linear(_PLACE_CHANNELS, width)
        self.mix = nn.Sequential(
            nn.Linear(4 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width), nn.GELU()
        )
        self.head = nn.Linear(width, _OUTPUTS)

    def forward(self, samples: torch.Tensor) -> RegionMeasures:
        """Measures of regions.

        Args:
            samples: (R, K + A + 1, 3): of `region_samples`, and the camera's foot behind them.
        """
        floor = FloorFrame.below(samples[:, -1].float())
        seen = SeenRegions.of(samples[:, :-1])
        on_floor = _points_on_floor(samples[:, :-1].float(), floor)
        center = floor.to_floor(seen.centers[:, None])[:, 0]
        states = self.mix(torch.cat(self._read(on_floor, seen, floor, center), dim=-1))
        out = self.head(states)
        found = center + out[:, :3]
        optical = torch.einsum(
            "rij,ri->rj", floor.axes, found - nn.functional.pad(floor.height[:, None], (2, 0))
        )
        sizes = out[:, 3:6].clamp(math.log(_LEAST_SIZE_M), math.log(_LONGEST_M)).exp()
        return RegionMeasures(found, optical, sizes, out[:, 6:], floor.axes, floor.height, states)

    def _read(
        self,
        points: torch.Tensor,
        seen: SeenRegions,
        floor: FloorFrame,
        center: torch.Tensor,
    ) -> list[torch.Tensor]:
        """Features (R, W): means and maxima of those of points (R, K + A, 3), and of the place."""
        under = points.shape[1] - AROUND
        around_valid = points[:, under:].isfinite().all(dim=-1)
        counts = torch.cat([seen.counts, around_valid], dim=1)
        points = points.nan_to_num(0.0)
        is_around = (torch.arange(points.shape[1], device=points.device) >= under).float()
        offsets = (points - center[:, None]).clamp(-8, 8)
        values = torch.cat([offsets, points[..., 2:].clamp(-8, 8)], dim=-1)
        flags = torch.stack([counts.float(), is_around.expand_as(counts)], dim=-1)
        codes = sinusoidal_code(values, _AXIS_CHANNELS, 0.25, 16.0).flatten(2)
        features = self.point(torch.cat([codes, values / 4, flags], dim=-1)) * counts[..., None]
        own, others = features.split([under, AROUND], dim=1)
        own_sides = _sides(offsets[:, :under], seen.counts)
        number = seen.counts.sum(dim=1, keepdim=True).clamp_min(1)
        return [
            own.sum(dim=1) / number,
            own.amax(dim=1),
            others.amax(dim=1),
            self.place(_place_code(center, seen, floor, own_sides)),
        ]


def _points_on_floor(samples: torch.Tensor, floor: FloorFrame) -> torch.Tensor:
    """Samples (R, K, 3) as points of the floor frame, NaN without a reading."""
    depth = samples[..., 2:]
    depth = torch.where(depth.isfinite() & (depth > 0), depth, torch.nan)
    rays = torch.cat([samples[..., :2], torch.ones_like(depth)], dim=-1)
    return floor.to_floor(rays * depth)


def _place_code(
    center: torch.Tensor, seen: SeenRegions, floor: FloorFrame, sides: torch.Tensor
) -> torch.Tensor:
    """(R, _PLACE_CHANNELS): where a region is, how much of it is seen, and whether the floor is."""
    code = sinusoidal_code(center, 2 * _AXIS_CHANNELS, 0.25, 64.0).flatten(1)
    share = seen.counts.float().mean(dim=1)
    facts = [share, floor.is_seen.float(), floor.height / 3]
    return torch.cat([code, center / 10, torch.stack(facts, dim=-1), sides], dim=-1)


def _sides(offsets: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """(R, 4 * len(_NEAR_M)): along which directions the points of each region lie on the floor.

    Two points of one upright side differ along it, so that four times the angle is the same for all
    sides of a box, and twice the angle for the longer of those that are seen.

    Args:
        offsets: (R, K, 3), floor frame.
        counts: bool (R, K).
    """
    apart = offsets[:, :, None, :2] - offsets[:, None, :, :2]
    length = (apart + _TINY).norm(dim=-1)
    angle = torch.atan2(apart[..., 1], apart[..., 0] + _TINY)
    directions = torch.cat([_direction(2 * angle), _direction(4 * angle)], dim=-1)
    are_points = counts[:, :, None] & counts[:, None]
    found = []
    for near in _NEAR_M:
        weights = ((length < near) & (length > 10 * _TINY) & are_points).to(offsets.dtype)
        total = torch.einsum("rij,rijc->rc", weights, directions)
        found.append(total / weights.sum(dim=(1, 2)).clamp_min(1)[:, None])
    return torch.cat(found, dim=-1)


def _direction(angle: torch.Tensor) -> torch.Tensor:
    """Cosine and sine (..., 2) of angles (...)."""
    return torch.stack([angle.cos(), angle.sin()], dim=-1)


def _robust(errors: torch.Tensor) -> torch.Tensor:
    """A square near 0 that grows with the logarithm: what is hidden must not drown the rest."""
    return torch.log1p(errors**2)
