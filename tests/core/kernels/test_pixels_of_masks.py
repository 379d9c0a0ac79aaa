"""Where the n-th pixel of a mask is, whatever form the mask comes in."""

from __future__ import annotations

import numpy as np
import pytest

from smolrgpt_core.kernels.masks import BitmapMasks, LabelImage, MaskForm, RunLengthMask


def run_lengths(bitmap: np.ndarray) -> np.ndarray:
    flat = bitmap.T.ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0], ends, [flat.size]]))
    return np.concatenate([[0], runs]) if flat[0] else runs


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (40, 1), (60, 90)])
@pytest.mark.parametrize("share", [0.03, 0.5, 1.0])
def test_pixels_are_counted_down_the_columns(shape: tuple[int, int], share: float) -> None:
    rng = np.random.default_rng(0)
    bitmap = rng.random(shape) < share
    bitmap[-1, -1] = True
    expected = np.argwhere(bitmap.T)[:, ::-1]
    forms: list[MaskForm] = [
        BitmapMasks(bitmap[None], shape, [""]),
        BitmapMasks(bitmap[None] * 0.5, shape, [""]),
        LabelImage(bitmap * 7, [7]),
        RunLengthMask(run_lengths(bitmap), shape),
    ]
    every = np.arange(len(expected))
    for form in forms:
        assert form.pixel_count(0) == len(expected)
        for places in (every, every[::-1], rng.choice(every, 8)):
            assert np.array_equal(form.pixels_at(0, places), expected[places])
