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

from smolrgpt_core.model.quiet_linear import QuietLinear
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
_RAY_VALUES = 9
_RAY_CHANNELS = _RAY_VALUES * (2 * _AXIS_CHANNELS + 1)
_FARTHEST_M = 30.0
"""Of a contact with the floor that is read off a viewing ray: near the horizon it means nothing."""
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
        has_depth: bool (...), whether any reading was left of a region.
        states: (..., W), what they were read from.
    """

    center: torch.Tensor
    optical: torch.Tensor
    sizes: torch.Tensor
    turn: torch.Tensor
    axes: torch.Tensor
    camera_height: torch.Tensor
    has_depth: torch.Tensor
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
        """Those of regions, by their places, int64 (...)."""
        return RegionMeasures(*(getattr(self, item.name)[regions] for item in fields(self)))

    def packed(self) -> torch.Tensor:
        """(R, N), float32: the fields of each region one behind the other."""
        columns = [
            getattr(self, item.name).float().unsqueeze(-1).flatten(1) for item in fields(self)
        ]
        return torch.cat(columns, dim=1)

    @classmethod
    def unpacked(cls, table: torch.Tensor) -> RegionMeasures:
        """From the (R, N) that `packed` gives."""
        center, optical, sizes, turn, axes, height, has_depth, states = table.split(
            [3, 3, 3, 4, 9, 1, 1, table.shape[1] - 24], dim=1
        )
        return cls(
            center, optical, sizes, turn, axes.unflatten(1, (3, 3)), height[:, 0],
            has_depth[:, 0] > 0, states,
        )  # fmt: skip

    def losses(self, boxes: torch.Tensor) -> torch.Tensor:
        """Losses (...) of each region; 0 where nothing is known of it.

        Args:
            boxes: (..., 7), `data.warehouse_format.BOX_FIELDS`, NaN where not known.
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
        rays: whether it also reads where the viewing rays meet the floor, which places an object
            without depth.
    """

    def __init__(self, width: int, rays: bool = False) -> None:
        super().__init__()
        self.point = nn.Sequential(
            nn.Linear(_POINT_CHANNELS, width), nn.GELU(), nn.Linear(width, width), nn.GELU()
        )
        self.place = nn.Linear(_PLACE_CHANNELS, width)
        self.mix = nn.Sequential(
            nn.Linear(4 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width), nn.GELU()
        )
        self.head = nn.Linear(width, _OUTPUTS)
        self.rays = QuietLinear(_RAY_CHANNELS, 4 * width) if rays else None

    def forward(self, samples: torch.Tensor) -> RegionMeasures:
        """Measures of regions.

        Args:
            samples: (R, K + A + 1, 3): of `region_samples`, and the camera's foot behind them.
        """
        floor = FloorFrame.below(samples[:, -1].float())
        seen = SeenRegions.of(samples[:, :-1])
        on_floor = _points_on_floor(samples[:, :-1].float(), floor)
        center = floor.to_floor(seen.centers[:, None])[:, 0]
        has_depth = seen.counts.any(dim=1)
        sight = None if self.rays is None else _Sight.of(seen.rays, floor)
        if sight is not None:
            center = torch.where(has_depth[:, None], center, sight.place)
        features = torch.cat(self._read(on_floor, seen, floor, center), dim=-1)
        if self.rays is not None and sight is not None:
            features = features + self.rays(sight.code())
        states = self.mix(features)
        out = self.head(states)
        found = center + out[:, :3]
        optical = torch.einsum(
            "rij,ri->rj", floor.axes, found - nn.functional.pad(floor.height[:, None], (2, 0))
        )
        sizes = out[:, 3:6].clamp(math.log(_LEAST_SIZE_M), math.log(_LONGEST_M)).exp()
        return RegionMeasures(
            found, optical, sizes, out[:, 6:], floor.axes, floor.height, has_depth, states
        )

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


@dataclass(frozen=True)
class _Sight:
    """Where regions (R,) are by their viewing rays alone.

    Attributes:
        values: (R, _RAY_VALUES): mean, least and largest angle to the right and upwards, radians;
            distance of the lowest ray's foot on the floor, width and height there, meters.
        place: (R, 3), the middle of what would stand there, floor frame.
    """

    values: torch.Tensor
    place: torch.Tensor

    @classmethod
    def of(cls, rays: torch.Tensor, floor: FloorFrame) -> _Sight:
        """From rays (R, K, 2): x / z and y / z."""
        towards = torch.cat([rays, torch.ones_like(rays[..., :1])], dim=-1) @ floor.axes.mT
        aside = torch.atan2(towards[..., 0], towards[..., 1] + _TINY)
        flat = (towards[..., :2] + _TINY).norm(dim=-1)
        upwards = torch.atan2(towards[..., 2], flat)
        angles = [
            value
            for angle in (aside, upwards)
            for value in (angle.mean(dim=1), angle.amin(dim=1), angle.amax(dim=1))
        ]
        middle, left, right, _, lowest, highest = angles
        drop = (-lowest).tan().clamp_min(_TINY)
        foot = torch.where(lowest < 0, floor.height / drop, _FARTHEST_M).clamp_max(_FARTHEST_M)
        width = foot * (right - left)
        top = (floor.height + foot * highest.tan()).clamp(0.0, _FARTHEST_M)
        place = torch.stack([foot * middle.sin(), foot * middle.cos(), top / 2], dim=-1)
        return cls(torch.stack([*angles, foot, width, top], dim=-1), place)

    def code(self) -> torch.Tensor:
        """(R, _RAY_CHANNELS)."""
        codes = sinusoidal_code(self.values, 2 * _AXIS_CHANNELS, 0.1, 64.0)
        return torch.cat([codes.flatten(1), self.values / 4], dim=-1)


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
    fraction = seen.counts.float().mean(dim=1)
    facts = [fraction, floor.is_seen.float(), floor.height / 3]
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
