"""What depth shows about each region, and about each pair of regions, as numbers for a network.

Nothing here is learned. Points that lie far from the middle of their region (flying pixels, the
background at an edge of the mask) are skipped first. Point codes follow HiSpatial
(arXiv 2603.25411): sine and cosine of each coordinate and whether there is a reading, 193 channels.

R regions, K samples of each under its mask, A of its surroundings; optical frame (x right, y down,
z forward), meters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from smolrgpt_core.model.sinusoids import sinusoidal_code
from smolrgpt_core.model_inputs.region_samples import AROUND

AXIS_CHANNELS = 64
POINT_CHANNELS = 3 * AXIS_CHANNELS + 1
"""Code of a point: its three coordinates, and whether there is a reading."""

SHORTEST_M, LONGEST_M = 0.25, 64.0
"""Wavelengths of the codes of coordinates and distances."""

_OFFSET_CHANNELS = 32
_DISTANCE_CHANNELS = 32
_AROUND_STEPS_M = (0.3, 2.0)
"""Depths in front of and behind a region are distinguished up to about this."""
REGION_CHANNELS = POINT_CHANNELS + _DISTANCE_CHANNELS + 35 + (len(_AROUND_STEPS_M) + 1) * AROUND
PAIR_CHANNELS = _DISTANCE_CHANNELS + 3 * _OFFSET_CHANNELS + 20

_FAR_RATIO = 4.0
_FAR_MARGIN_M = 0.05
"""A point is skipped beyond so many median distances from the middle, and a margin."""

_LEAST_M = 0.02
"""Sizes and distances below this are taken as this, where they are divided by or logarithms."""


@dataclass(frozen=True)
class SeenRegions:
    """What is known of regions before the directions of their spread.

    Attributes:
        rays, points, counts, centers, valid, around: as in `RegionGeometry`.
        covariance: (R, 3, 3) of the points that count, and a little, so that a region without
            points, or a flat one, has directions too, if arbitrary ones.
    """

    rays: torch.Tensor
    points: torch.Tensor
    counts: torch.Tensor
    centers: torch.Tensor
    covariance: torch.Tensor
    valid: torch.Tensor
    around: torch.Tensor

    @classmethod
    def of(cls, samples: torch.Tensor) -> SeenRegions:
        """From samples (R, K + A, 3) as `region_samples` gives them; computed in float32."""
        samples, around = samples.float().split([samples.shape[1] - AROUND, AROUND], dim=1)
        rays, depth = samples[..., :2], samples[..., 2]
        has_reading = depth.isfinite() & (depth > 0)
        depth = torch.where(has_reading, depth, torch.zeros_like(depth))
        points = torch.cat([rays, torch.ones_like(depth)[..., None]], dim=-1) * depth[..., None]
        counts = _without_outliers(points, has_reading)
        points = points * counts[..., None]
        number = counts.sum(dim=-1, keepdim=True).clamp_min(1)
        centers = points.sum(dim=-2) / number
        offsets = (points - centers[:, None]) * counts[..., None]
        covariance = offsets.transpose(-1, -2) @ offsets / number[..., None]
        jitter = 1e-6 * torch.diag(torch.tensor([1.0, 2.0, 3.0], device=samples.device))
        return cls(
            rays, points, counts, centers, covariance + jitter, has_reading.float().mean(dim=-1),
            around[..., 2] - centers[:, None, 2],
        )  # fmt: skip


@dataclass(frozen=True)
class RegionGeometry:
    """Regions, of one image or of several.

    Attributes:
        rays: (R, K, 2), x / z and y / z of each sample.
        points: (R, K, 3), 0 where a sample does not count.
        counts: bool (R, K), whether a sample has a reading and is no outlier.
        centers: (R, 3), mean of the points that count; 0 for a region without any.
        axes: (R, 3, 3), columns: directions of least to greatest spread.
        spread: (R, 3), standard deviation along each of `axes`.
        valid: (R,), fraction of the samples with a reading.
        around: (R, A), depths of the surroundings, meters behind the region's center; NaN = no
            reading.
    """

    rays: torch.Tensor
    points: torch.Tensor
    counts: torch.Tensor
    centers: torch.Tensor
    axes: torch.Tensor
    spread: torch.Tensor
    valid: torch.Tensor
    around: torch.Tensor

    @classmethod
    @torch.no_grad()
    def measure(cls, samples: torch.Tensor) -> RegionGeometry:
        """From samples (R, K + A, 3) as `region_samples` gives them; computed in float32."""
        seen = SeenRegions.of(samples)
        return cls.along_axes(seen, *torch.linalg.eigh(seen.covariance))

    @classmethod
    def along_axes(
        cls, seen: SeenRegions, variances: torch.Tensor, axes: torch.Tensor
    ) -> RegionGeometry:
        """With the eigenvalues (R, 3), ascending, and eigenvectors (R, 3, 3) of the covariances.

        Args:
            seen: the regions.
            variances: eigenvalues (R, 3) of their covariances, ascending, square meters.
            axes: eigenvectors (R, 3, 3), as columns.
        """
        return cls(
            seen.rays, seen.points, seen.counts, seen.centers, axes, variances.clamp_min(0).sqrt(),
            seen.valid, seen.around,
        )  # fmt: skip

    @torch.no_grad()
    def region_codes(self) -> torch.Tensor:
        """(R, REGION_CHANNELS): where each region is, how large, how well it is seen."""
        distance = self.centers.norm(dim=-1)
        lowest, highest = self._extent(self.points - self.centers[:, None])
        deviation = self._mean((self.points - self.centers[:, None]) ** 2).sqrt()
        ray_mean, ray_spread = self.rays.mean(dim=1), self.rays.std(dim=1)
        parts = [
            self._pooled_point_codes(),
            _length_code(distance),
            _log_length(distance)[:, None],
            self.centers / 10,
            deviation,
            lowest,
            highest,
            self.spread,
            _log_length(self.spread),
            sinusoidal_code(ray_mean, 4, 0.5, 2.0).flatten(1),
            ray_mean,
            ray_spread,
            self.rays.amin(dim=1),
            self.valid[:, None],
            self.counts.float().mean(dim=-1)[:, None],
            *((self.around / step).tanh().nan_to_num(0.0) for step in _AROUND_STEPS_M),
            self.around.isfinite().float(),
        ]
        return torch.cat(parts, dim=-1)

    @torch.no_grad()
    def pair_codes(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """(..., PAIR_CHANNELS): where the first region of each pair is, seen from the second.

        Args:
            first: int64 (...), places of regions in this object.
            second: the same, of a shape that goes with it.
        """
        first, second = torch.broadcast_tensors(first, second)
        offset = self.centers[first] - self.centers[second]
        distance = offset.norm(dim=-1)
        direction = offset / distance.clamp_min(_LEAST_M)[..., None]
        along = torch.einsum("...k,...kl->...l", offset, self.axes[second])
        column = self.rays[..., 0].mean(dim=1)
        column_gap = (column[first] - column[second])[..., None]
        surrounded = self._surrounded(first, second)
        parts = [
            _length_code(distance),
            sinusoidal_code(offset, _OFFSET_CHANNELS, SHORTEST_M, LONGEST_M).flatten(-2),
            _log_length(distance)[..., None],
            offset / 10,
            direction,
            along.abs() / 5,
            (along.abs() / (self.spread[second] + _LEAST_M)).clamp_max(8) / 2,
            self._place_in_box(along, second),
            surrounded,
            surrounded**4,
            column_gap * 4,
            torch.tanh(column_gap * 30),
        ]
        return torch.cat(parts, dim=-1)

    def _pooled_point_codes(self) -> torch.Tensor:
        """(R, POINT_CHANNELS): mean code of the points, and the fraction that counts."""
        codes = sinusoidal_code(self.points, AXIS_CHANNELS, SHORTEST_M, LONGEST_M).flatten(2)
        fraction = self.counts.float().mean(dim=-1, keepdim=True)
        return torch.cat([self._mean(codes), fraction], dim=-1)

    def _mean(self, values: torch.Tensor) -> torch.Tensor:
        """(R, C) of values (R, K, C): mean over the samples that count."""
        weights = self.counts[..., None].to(values.dtype)
        return (values * weights).sum(dim=1) / weights.sum(dim=1).clamp_min(1)

    def _extent(self, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Lowest and highest (R, C) of values (R, K, C) that count; 0 without any."""
        counts = self.counts[..., None]
        lowest = values.masked_fill(~counts, torch.inf).amin(dim=1)
        highest = values.masked_fill(~counts, -torch.inf).amax(dim=1)
        return lowest.nan_to_num(posinf=0.0), highest.nan_to_num(neginf=0.0)

    def _place_in_box(self, along: torch.Tensor, region: torch.Tensor) -> torch.Tensor:
        """(..., 3): where an offset along a region's axes ends; 0 = its middle, 1 = its side."""
        own = torch.einsum("rkc,rcl->rkl", self.points - self.centers[:, None], self.axes)
        lowest, highest = self._extent(own)
        middle, half = (lowest + highest) / 2, (highest - lowest) / 2 + _LEAST_M
        return ((along - middle[region]).abs() / half[region]).clamp_max(4)

    def _surrounded(self, first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
        """(..., 1): length of the mean direction from a center to the points of another region.

        In the plane of the other region: near 0 in its midst, 1 far away.
        """
        plane = self.axes[..., 1:]
        points = torch.einsum("rkc,rcl->rkl", self.points, plane)[second]
        center = torch.einsum("...c,...cl->...l", self.centers[first], plane[second])
        towards = points - center[..., None, :]
        weights = self.counts.float()[second] / (towards.norm(dim=-1) + 1e-3)
        total = (towards * weights[..., None]).sum(dim=-2)
        number = self.counts.sum(dim=-1).clamp_min(1)[second]
        return total.norm(dim=-1, keepdim=True) / number[..., None]


def _without_outliers(points: torch.Tensor, has_reading: torch.Tensor) -> torch.Tensor:
    """Which readings (R, K) lie near the middle of their region."""
    middle = _lower_median(points, has_reading[..., None])
    distances = (points - middle).norm(dim=-1)
    limit = _lower_median(distances, has_reading)
    # A region without readings has an infinite limit, and nothing that could be below it.
    return has_reading & (distances <= _FAR_RATIO * limit + _FAR_MARGIN_M)


def _lower_median(values: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """(R, 1, ...) of values (R, K, ...) that count, the lower of two; infinite without any.

    As `torch.nanmedian`, which ONNX has not.
    """
    ascending = values.masked_fill(~counts, torch.inf).sort(dim=1).values
    place = (counts.sum(dim=1, keepdim=True) - 1).clamp_min(0) // 2
    return ascending.gather(1, place.expand_as(ascending[:, :1]))


def _length_code(lengths: torch.Tensor) -> torch.Tensor:
    return sinusoidal_code(lengths, _DISTANCE_CHANNELS, SHORTEST_M, LONGEST_M)


def _log_length(lengths: torch.Tensor) -> torch.Tensor:
    return lengths.clamp_min(_LEAST_M).log()
