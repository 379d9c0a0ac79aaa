"""A small data set in the layout of the warehouse, made on the spot from plain arrays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.data.warehouse_format import CameraRecord, SplitFolder, Turn, WarehouseRecord
from smolrgpt_core.files import write_image
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.regions import encode_rle

WIDTH, HEIGHT = 96, 64


def box_mask(x: int, y: int, width: int = 16, height: int = 12) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
    mask[y : y + height, x : x + width] = True
    return mask


def records_about(image: str, prefix: str) -> list[WarehouseRecord]:
    """One question of every category."""
    left, right, buffer = (encode_rle(box_mask(*at)) for at in ((6, 20), (60, 24), (56, 20)))

    def record(
        kind: str, question: str, free: str, answer: str, *rle: dict[str, Any]
    ) -> WarehouseRecord:
        turns = (Turn("human", f"<image>\n{question}"), Turn("gpt", free))
        return WarehouseRecord(f"{prefix}{kind}", image, turns, rle, kind, answer, free)

    return [
        record("left_right", "Is the pallet <mask> left or right of the pallet <mask>?",
               "The pallet [Region 0] is on the left side of the pallet [Region 1].", "left",
               left, right),
        record("distance", "How far is the pallet <mask> from the pallet <mask>?",
               "The pallet [Region 0] is 3.42 meters from the pallet [Region 1].", "3.42",
               left, right),
        record("count", "How many of the pallets <mask> <mask> are in the buffer <mask>?",
               "The buffer [Region 2] has 1 pallet.", "1", left, right, buffer),
        record("mcq", "Which of the pallets <mask> <mask> is nearest to the buffer <mask>?",
               "The pallet [Region 1] is nearest to the buffer [Region 2].", "1",
               left, right, buffer),
    ]  # fmt: skip


def write_split(root: Path, split: str, scenes: list[int], views: int = 2) -> SplitFolder:
    folder = SplitFolder(root, split)
    camera = CameraRecord(CameraIntrinsics(WIDTH, HEIGHT, 80.0, 80.0, 47.5, 31.5), 0.001)
    cameras, records = {}, []
    for scene in scenes:
        for view in range(views):
            name = f"{scene:06}_{view:02}.png"
            noise = np.random.default_rng([scene, view])
            rgb = noise.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            depth = noise.integers(2000, 9000, (HEIGHT, WIDTH), dtype=np.uint16)
            write_image(folder.image_path(name), rgb)
            write_image(folder.depth_path(name), depth)
            cameras[name] = camera
            records += records_about(name, f"{split}-{scene}-{view}-")
    folder.write_records(records)
    folder.write_cameras(cameras)
    return folder


@pytest.fixture
def warehouse(tmp_path: Path) -> Path:
    """Three scenes to train, one to validate; two views each, four questions about each view."""
    root = tmp_path / "warehouse"
    write_split(root, "train", [0, 1, 2])
    write_split(root, "val", [3])
    return root


@pytest.fixture
def edit_records():
    """Change the JSON of a split in place: edit_records(root, split, function of the list)."""

    def edit(root: Path, split: str, change: Any) -> None:
        path = SplitFolder(root, split).records_path
        entries = json.loads(path.read_text())
        change(entries)
        path.write_text(json.dumps(entries))

    return edit
