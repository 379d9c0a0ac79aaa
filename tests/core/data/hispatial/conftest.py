"""Tiny shards with the structures that the authors' loader reads, written on the spot."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from smolrgpt_core.files import encode_image
from smolrgpt_core.hispatial_data.questions import CA1M_TYPES, WILD_TYPES

WIDTH, HEIGHT = 48, 32
NEAR, FAR = 1.0, 50.0
NORMALIZED = torch.tensor([[1.0, 0, 0.5], [0, 1.5, 0.5], [0, 0, 1]])
"""Of the image of 48x32: 48 pixels focal length, principal point in the middle."""

Members = Mapping[str, bytes]


def jpg() -> bytes:
    noise = np.random.default_rng(0)
    return encode_image(noise.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8), ".jpg")


def pickle(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def log_png(meters: NDArray) -> bytes:
    """Depth in meters, NaN = none, as the authors store it."""
    along = np.log(meters / NEAR) / np.log(FAR / NEAR)
    levels = np.nan_to_num(np.round(along * 65533) + 1, nan=0.0).astype(np.uint16)
    texts = PngImagePlugin.PngInfo()
    texts.add_text("near", str(NEAR))
    texts.add_text("far", str(FAR))
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, format="png", pnginfo=texts)
    return buffer.getvalue()


def npy(values: NDArray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, values)
    return buffer.getvalue()


def slope() -> NDArray:
    """Depth that grows to the right, with a hole."""
    meters = np.tile(np.linspace(2, 6, WIDTH), (HEIGHT, 1))
    meters[:4, :4] = np.nan
    return meters


def objects(*colors: str) -> dict[str, Any]:
    """Objects side by side, each in a box of this color."""
    made: dict[str, Any] = {}
    for tail, left, color in zip(("_i", "_j", "_k"), (2, 18, 34), colors, strict=False):
        made[f"referring{tail}"] = f"the chair (highlighted by the {color} box)"
        made[f"raw{tail}"] = {"raw_bbox": [float(left), 8.0, left + 10.0, 20.0]}
    return made


def item(kind: str, *pairs: dict[str, Any], colors: tuple[str, ...] = ("green",)) -> dict[str, Any]:
    return {"qa_type": kind, "object": objects(*colors), "qa_pairs": list(pairs)}


def free(question: Any = "", answer: Any = "0.72 meters.") -> dict[str, Any]:
    question = question or ["How wide is the chair (highlighted by the green box)?"]
    return {"question": question, "answer": answer, "options": None, "format": "text_answer"}


def wild(questions: Any = None, **changes: bytes | None) -> dict[str, bytes | None]:
    """Members of a record; None leaves one out."""
    if questions is None:
        questions = {
            "metadata": {"source": "objects365"},
            "level1_list": [item(kind, free()) for kind in WILD_TYPES],
        }
    members = {
        "jpg": jpg(),
        "png": log_png(slope()),
        "intrinsics.pt": pickle(NORMALIZED),
        "pt": pickle(questions),
    }
    return members | {name.replace("_", "."): content for name, content in changes.items()}


def ca1m(questions: Any = None, **changes: bytes | None) -> dict[str, bytes | None]:
    if questions is None:
        cot = '{"cot_simple": ["Plan: look.", "Answer: 1.5 m"]}'
        questions = [
            {
                "qa_type": kind,
                "prefix": f"{kind}: how far is the table (highlighted by a red box)?",
                "suffix": "1.5 m",
                "meta": {"2dbox": [4, 4, 20, 20], "student_cot": cot},
            }
            for kind in CA1M_TYPES
        ]
    # Half the size of its image.
    meters = np.full((HEIGHT // 2, WIDTH // 2), 3.0, np.float32)
    meters[0], meters[1] = 0.0, 40.0
    camera = torch.tensor([[24.0, 0, 11.5], [0, 24.0, 7.5], [0, 0, 1]])
    members = {
        "image.jpg": jpg(),
        "depth.npy": npy(meters),
        "intrinsics.pt": pickle({"K": camera}),
        "qa.pt": pickle(questions),
    }
    return members | {name.replace("_", "."): content for name, content in changes.items()}


def general(**changes: bytes | None) -> dict[str, bytes | None]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    z = 2 + columns / 20 + rows / 30
    points = np.stack([(columns - 23.5) / 50 * z, (rows - 15.5) / 50 * z, z], axis=-1)
    mask = np.ones((HEIGHT, WIDTH), bool)
    mask[:2] = False
    points[:2] = np.inf
    estimate = {
        "points": torch.from_numpy(points.astype(np.float32)),
        "mask": torch.from_numpy(mask),
        "depth": torch.from_numpy(z.astype(np.float32)),
    }
    turns = (
        b'[{"from": "human", "value": "<image>\\nWhat is\\nit?"}, '
        b'{"from": "gpt", "value": "A hall."}, '
        b'{"from": "human", "value": "Where?"}, '
        b'{"from": "gpt", "value": "At [0.25, 0.5, 0.75, 1.0]."}]'
    )
    members = {"jpg": jpg(), "pt": pickle(estimate), "json": turns}
    return members | changes


def write_shard(path: Path, content: Mapping[str, Mapping[str, bytes | None]]) -> Path:
    """A tar of {key: members}; members of CA-1M stand behind "KEY_", others "KEY."."""
    with tarfile.open(path, "w") as archive:
        for key, members in content.items():
            mark = "_" if "image.jpg" in members else "."
            for member, data in members.items():
                if data is not None:
                    header = tarfile.TarInfo(f"{key}{mark}{member}")
                    header.size = len(data)
                    archive.addfile(header, io.BytesIO(data))
    return path


@pytest.fixture(scope="session")
def records() -> SimpleNamespace:
    """Members of records of each stream, and what they are made of."""
    return SimpleNamespace(
        wild=wild, ca1m=ca1m, general=general, item=item, free=free, objects=objects,
        pickle=pickle, log_png=log_png, npy=npy, slope=slope, size=(HEIGHT, WIDTH),
        normalized=NORMALIZED, write_shard=write_shard,
    )  # fmt: skip


@pytest.fixture
def shard(tmp_path: Path) -> Callable[..., Path]:
    """shard(name, {key: members}): a tar in the folder of the test."""
    return lambda name, content: write_shard(tmp_path / name, content)
