"""A picture with points, the authors' small checkpoint, and a simulated frame."""

from pathlib import Path

import numpy as np
import pytest
import torch

from smolrgpt_core.files import read_json
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.frame_files import FrameFiles, read_frame


@pytest.fixture(scope="session")
def released() -> Path:
    """The authors' small checkpoint."""
    return Path(__file__).parents[3] / "data" / "hispatial_tiny"


@pytest.fixture(scope="session")
def expected(released) -> dict[str, torch.Tensor]:
    """What the authors' implementation computed from it."""
    with np.load(released / "expected.npz") as arrays:
        return {name: torch.from_numpy(np.asarray(arrays[name])) for name in arrays.files}


@pytest.fixture(scope="session")
def image() -> np.ndarray:
    """A picture with structure, (H, W, 3), not square."""
    rows, columns = np.mgrid[:48, :72]
    channels = [rows * 5, columns * 3, (rows + columns) * 2]
    return np.stack(channels, axis=-1).astype(np.uint8)


@pytest.fixture(scope="session")
def points() -> np.ndarray:
    """A point map of `image`: a wall that leans away, a quarter of it without readings."""
    rows, columns = np.mgrid[:48, :72].astype(np.float32)
    depth = 2 + columns / 20
    x, y = (columns - 35.5) / 60 * depth, (rows - 23.5) / 60 * depth
    valid = np.ones_like(depth)
    valid[:24, :36] = 0
    known = np.where(valid[..., None] > 0, np.stack([x, y, depth], axis=-1), np.nan)
    return np.concatenate([known, valid[..., None]], axis=-1).astype(np.float32)


@pytest.fixture(scope="session")
def frame() -> RGBDFrame:
    """A view of the simulated warehouse."""
    folder = Path(__file__).parents[3] / "data" / "warehouse"
    rgb, depth, regions = (folder / name for name in ("rgb.jpg", "depth.png", "regions.json"))
    truth = read_json(folder / "truth.json")
    intrinsics = tuple(float(number) for number in truth["intrinsics"].split(","))
    return read_frame(FrameFiles(rgb, depth, regions, intrinsics))
