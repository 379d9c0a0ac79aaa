"""Where objects end above: by their highest points, by their outline, and by how much is cut off.

Coordinates, and the B objects that are processed together, are those of `TurnedViews`.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.geometry.near_corner import ROUGHNESS_M
from smolrgpt_core.geometry.order_statistics import counts_of, medians_of, quantiles_of
from smolrgpt_core.geometry.turned_view import TurnedViews

ABOVE_TOP = 0.02
"""Fraction of an object's readings that may lie above its top."""

BLUR_ERROR = 0.7
"""Standard deviation of the height by the highest points, relative to what noise blurs it
by: readings that noise puts far off are skipped, so that they scatter less than it."""

CUT_TOP_FRACTION, TOUCHED_TOP_FRACTION = 0.25, 0.1
"""Standard deviation of the height of what is cut off above, and of what something else begins
beside its upper end, relative to what is seen of it."""

BEYOND_BORDER_FRACTION = 0.5
"""The same of what the border of the image cuts: the root mean square of 174 racks of 24 simulated
halls (seeds 510000 to 510023) is 0.51."""

FACES_UP = 0.5
"""The outline is the upper one where its direction outwards points up by more than this."""

UNSEEN_TOP = 0.2
"""From this fraction of the upper end of the outline on."""

LEVEL_SLOPE = 0.1
"""A ray that falls by less than this, in meters per meter, is about level."""

NORMAL = NormalDist()

Heights = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Heights (B,) above the floor and their standard deviations (B,), meters."""


def find_tops(views: TurnedViews, deck_m: NDArray[np.float64]) -> Heights:
    """Heights of the decks, meters, and their standard deviation: of points, or of the outline.

    The highest points are below the edge of the mask, which their surface skips. The outline
    is more exact, as long as it gives a height: above the camera, and far away. Below the camera it
    ends at the far side of the deck, which is about `deck_m` (B,) behind the readings at the edge.
    """
    top, std = _highest_points(views)
    known = np.isfinite(views.outline_depth)
    above = top >= views.camera_height
    depth = views.outline_depth + np.where(above, 0.0, deck_m)[:, None]
    up = views.outline[2]
    heights = up * np.where(known, depth, 0.0) + views.camera_height[:, None]
    (edge,) = quantiles_of(heights, known, (0.98,))
    slope = medians_of(np.abs(up), known & (heights >= edge[:, None]))
    edge_std = np.hypot(slope * np.hypot(deck_m, views.depth_std / 2), views.pixel_height)
    is_surer = ~above & (edge_std < std)
    edge_top = np.where(above, np.maximum(top, edge), np.where(is_surer, edge, top))
    edge_std = np.where(is_surer, edge_std, std)
    edge_top, edge_std = _with_thin_parts(views, depth, edge_top, edge_std)
    edge_std = np.hypot(edge_std, _unseen_above(views) * edge_top)
    has_outline = known.any(axis=1)
    return np.where(has_outline, edge_top, top), np.where(has_outline, edge_std, std)


def raised_by_outline(
    views: TurnedViews,
    bounds: NDArray[np.float64],
    bounds_std: NDArray[np.float64],
    top: NDArray[np.float64],
    std: NDArray[np.float64],
) -> Heights:
    """The heights of objects seen from above, with what their outline adds once the sides are
    known.

    What a ray of the outline touches is inside the footprint, and so no lower than where the ray
    leaves it. A load of which a part is higher than the rest reaches higher than most of its deck.

    Args:
        views: the outline.
        bounds: (B, 2, 2), of the footprints, by axis, then low and high side, meters.
        bounds_std: (B, 2, 2), standard deviation of these, meters.
        top: (B,), height by other means, meters.
        std: (B,), standard deviation of that, meters.

    Returns:
        The heights and their standard deviation, meters.
    """
    if (top >= views.camera_height).all():
        return top, std
    level = np.where(views.outline[:2] == 0, 1e-9, views.outline[:2])
    # By end, axis, object, and ray.
    scales = bounds.transpose(2, 1, 0)[..., None] / level
    leaves, enters = scales.max(axis=0), scales.min(axis=0)
    left = leaves.min(axis=0)
    over = views.ends & (left > enters.max(axis=0))
    heights = views.camera_height[:, None] + views.outline[2] * left
    edge, upper_from = quantiles_of(heights, over, (0.98, 0.9))
    is_raised = over.any(axis=1) & (top < edge) & (edge < views.camera_height)
    if not is_raised.any():
        return top, std
    upper = over & (heights >= upper_from[:, None])
    is_second = leaves[1] < leaves[0]
    slope = np.abs(views.outline[2] / np.where(is_second, level[1], level[0]))
    far_std = np.where(
        scales[1] > scales[0],
        *(bounds_std[:, :, end].T[:, :, None] for end in (1, 0)),
    )
    far_std = np.where(is_second, far_std[1], far_std[0])
    edge_std = np.hypot(medians_of(slope * far_std, upper), views.pixel_height)
    raised, raised_std = _weighed(top, std, edge, edge_std)
    return np.where(is_raised, raised, top), np.where(is_raised, raised_std, std)


def _weighed(
    top: NDArray[np.float64],
    std: NDArray[np.float64],
    edge: NDArray[np.float64],
    edge_std: NDArray[np.float64],
) -> Heights:
    """Heights from those (B,) of decks and those of the upper ends of outlines, meters.

    Args:
        top: of the decks.
        std: standard deviation of that.
        edge: of the outlines.
        edge_std: standard deviation of that.
    """
    # Where noise hides how rough a deck is, a part of it may be higher.
    deck_std = np.hypot(std, np.minimum(std, ROUGHNESS_M))
    weight = deck_std**2 / (deck_std**2 + edge_std**2)
    # Two measurements that disagree are less sure than either alone.
    disagreement = np.minimum(weight, 1 - weight) * (edge - top)
    weighed_std = np.hypot(np.minimum(np.sqrt(weight) * edge_std, std), disagreement)
    return top + weight * (edge - top), weighed_std


def _with_thin_parts(
    views: TurnedViews,
    depth: NDArray[np.float64],
    top: NDArray[np.float64],
    std: NDArray[np.float64],
) -> Heights:
    """The heights and their standard deviation, with what ends higher and has no readings.

    Thin parts, as the uprights of a rack, are as far away as the rest is, within its extent. That
    determines the height of what is above the camera, or about level with it.

    Args:
        views: the outline.
        depth: (B, M), where the outline ends, meters; NaN without a reading.
        top: (B,), of what has readings, meters.
        std: (B,), standard deviation of that, meters.
    """
    known = np.isfinite(depth)
    middle = medians_of(depth, known)
    spread = _spreads(depth, known)
    ends = np.where(known, depth, middle[:, None])
    heights = views.outline[2] * ends + views.camera_height[:, None]
    (edge,) = quantiles_of(heights, views.is_outline, (0.98,))
    slope = (edge - views.camera_height) / middle
    off = np.hypot(std, slope * spread)
    is_higher = (slope >= -LEVEL_SLOPE) & (edge > top)
    is_clear = is_higher & (edge >= top + 2 * off)
    is_up = is_clear | (is_higher & (slope > 0))
    return np.where(is_up, edge, top), np.where(is_clear, off, std)


def _spreads(values: NDArray[np.float64], counted: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Standard deviations (B,) of those of the numbers (B, M) that are counted."""
    counts = np.maximum(counts_of(counted), 1)
    mean = np.where(counted, values, 0.0).sum(axis=1) / counts
    off = np.where(counted, values - mean[:, None], 0.0)
    return np.asarray(np.sqrt((off**2).sum(axis=1) / counts))


def _unseen_above(views: TurnedViews) -> NDArray[np.float64]:
    """Standard deviation (B,) of heights as upper ends are not seen, relative to the heights."""
    known = np.isfinite(views.outline_depth)
    heights = views.outline[2] * np.where(known, views.outline_depth, 0.0)
    (upper_from,) = quantiles_of(heights, known, (0.9,))
    upper = known & (heights >= upper_from[:, None])
    count, cut, ending = (
        counts_of(rays) for rays in (upper, upper & views.cut, upper & views.ends)
    )
    is_touched = count - ending > UNSEEN_TOP * count
    not_cut = np.where(is_touched, TOUCHED_TOP_FRACTION, 0.0)
    return np.where(cut > UNSEEN_TOP * count, CUT_TOP_FRACTION, not_cut)


def beyond_borders(views: TurnedViews) -> NDArray[np.float64]:
    """Standard deviation (B,) of heights as the border of the image cuts them, relative to them.

    What is cut may be little of the outline and without readings, as the posts of a rack are. No
    reading makes such a height surer: what looks like the deck is below the end.
    """
    outward = views.outline - views.inner_outline
    is_up = outward[2] > FACES_UP * np.sqrt((outward**2).sum(axis=0))
    is_above = (is_up & (views.step == -np.inf)).any(axis=1)
    return np.where(is_above, BEYOND_BORDER_FRACTION, 0.0)


def _highest_points(views: TurnedViews) -> Heights:
    """Heights of the highest points, less what noise adds to them, and their standard deviation.

    The more points lie on top, the farther the largest error of so many lifts the highest of them.
    """
    heights, std = views.points[2], views.std[2]
    (noisy_top,) = quantiles_of(heights, views.is_reading, (1 - ABOVE_TOP,))
    top, blur = noisy_top, np.zeros(len(views))
    for _ in range(3):
        on_top = views.is_reading & (np.abs(heights - top[:, None]) < 2 * std + ROUGHNESS_M)
        count = counts_of(on_top)
        blur = np.where(count > 0, medians_of(std, on_top), blur)
        fraction = np.maximum(count / views.reading_counts, 2 * ABOVE_TOP)
        top = noisy_top + blur * [NORMAL.inv_cdf(ABOVE_TOP / part) for part in fraction.tolist()]
    return top, np.sqrt((BLUR_ERROR * blur) ** 2 + views.pixel_height**2 + (ROUGHNESS_M / 2) ** 2)
