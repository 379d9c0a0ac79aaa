"""Votes of pixels become objects."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from smolrgpt_core.perception.vote_clusters import FoundObject, Votes, cluster

GRID = (30, 40)
SCALE = 4
"""Pixels of a cell."""


def votes_for(*objects: tuple[int, NDArray[np.bool_]], noise: float = 0.0) -> Votes:
    """Votes that a perfect network would cast for masks (h, w) of kinds 1, 2, ...

    Args:
        objects: kind and mask; later ones lie in front.
        noise: standard deviation that is added to the votes, in sizes of the objects.
    """
    rng = np.random.default_rng(0)
    shares = np.full((3, *GRID), 0.05, np.float32)
    kinds = np.zeros(GRID, int)
    offsets = np.zeros((2, *GRID), np.float32)
    sizes = np.ones((2, *GRID), np.float32)
    for kind, mask in objects:
        rows, columns = np.nonzero(mask)
        low = np.array([columns.min(), rows.min()])
        size = np.array([columns.max(), rows.max()]) + 1 - low
        center = low + size / 2
        places = np.stack([columns, rows]) + 0.5
        spread = noise * rng.normal(size=places.shape) * size[:, None]
        offsets[:, mask] = center[:, None] - places + spread
        sizes[:, mask] = size[:, None]
        kinds[mask] = kind
    np.put_along_axis(shares, kinds[None], 0.9, axis=0)
    return Votes(shares, offsets, sizes)


def block(left: int, top: int, width: int, height: int) -> NDArray[np.bool_]:
    mask = np.zeros(GRID, bool)
    mask[top : top + height, left : left + width] = True
    return mask


def found(votes: Votes) -> list[FoundObject]:
    return cluster(votes, (GRID[0] * SCALE, GRID[1] * SCALE))


def iou(one: FoundObject, cells: NDArray[np.bool_]) -> float:
    mask = np.kron(cells, np.ones((SCALE, SCALE), bool))
    return (one.mask & mask).sum() / (one.mask | mask).sum()


@pytest.mark.parametrize("noise", [0.0, 0.08])
def test_two_objects_that_touch_are_two(noise: float) -> None:
    left, right = block(5, 8, 8, 10), block(13, 8, 8, 10)
    items = sorted(found(votes_for((1, left), (1, right), noise=noise)),
                   key=lambda item: np.nonzero(item.mask)[1].mean())  # fmt: skip
    assert [item.kind for item in items] == [0, 0]
    assert min(iou(items[0], left), iou(items[1], right)) > 0.8


def test_an_object_behind_another_is_one() -> None:
    behind, pole = block(5, 8, 20, 10), block(13, 4, 3, 16)
    items = found(votes_for((1, behind), (2, pole), noise=0.05))
    assert [item.kind for item in items] == [0, 1]
    assert iou(items[0], behind & ~pole) > 0.8
    assert iou(items[1], pole) > 0.8


def test_near_and_far_objects_are_found_by_one_threshold() -> None:
    near, far, farther = block(2, 10, 24, 18), block(30, 3, 3, 3), block(33, 3, 3, 3)
    items = found(votes_for((1, near), (1, far), (1, farther), noise=0.08))
    assert len(items) == 3
    assert max(iou(item, near) for item in items) > 0.85


def test_pixels_that_agree_with_nobody_are_no_object() -> None:
    votes = votes_for((1, block(5, 8, 10, 10)))
    rng = np.random.default_rng(1)
    stray = block(25, 20, 6, 6)
    votes.probabilities[:, stray] = np.array([0.05, 0.9, 0.05], np.float32)[:, None]
    votes.offsets[:, stray] = rng.uniform(-15, 15, (2, 36))
    votes.sizes[:, stray] = 8
    assert len(found(votes)) == 1


def test_the_score_is_the_mean_probability() -> None:
    (item,) = found(votes_for((2, block(5, 8, 10, 10))))
    # Towards the edge the background shines through.
    assert 0.75 < item.score < 0.9


def test_nothing_is_found_in_background() -> None:
    assert found(votes_for()) == []
