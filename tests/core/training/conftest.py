"""A tiny data set in the layout of the warehouse, and tiny runs on it."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from smolrgpt_core.adapter_settings import AdapterSettings
from smolrgpt_core.data.warehouse_format import CameraRecord, SplitFolder, Turn, WarehouseRecord
from smolrgpt_core.files import write_image
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.model.modeling_smolrgpt import SmolRGPTForConditionalGeneration
from smolrgpt_core.regions import encode_rle
from smolrgpt_core.training.config import (
    CheckpointConfig,
    DataConfig,
    LoggingConfig,
    OptimizerConfig,
    SourceConfig,
    StartConfig,
    TrainConfig,
)
from smolrgpt_core.training.config_file import write_config
from smolrgpt_core.training.start import make_start

WIDTH, HEIGHT = 48, 32
CAMERA = CameraRecord(CameraIntrinsics(WIDTH, HEIGHT, 40.0, 40.0, 23.5, 15.5), 0.001)
TINY = {
    "vision_config": {
        "image_size": 32,
        "patch_size": 8,
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    },
    "text_config": {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
    },
    "metric_width": 32,
    "metric_heads": 2,
    "metric_layers": 1,
    "samples_per_region": 16,
}
TRAIN = """
import pathlib, sys, torch
from smolrgpt_core.training.config_file import read_config
from smolrgpt_core.training.run import train
torch.set_num_threads(1)
# Data workers import this file once more.
if __name__ == "__main__":
    train(read_config(pathlib.Path(sys.argv[1])))
"""
DEADLINE_S = 380.0
PARTS = {
    "image": ("rgb_connector", "depth_connector", "rgb_refiner", "depth_refiner"),
    "metric": ("rgb_connector", "rgb_refiner", "metric_branch"),
}


@pytest.fixture(scope="session", autouse=True)
def on_one_thread(one_thread: None) -> None:
    """For every test of this folder."""
    cv2.setNumThreads(1)


def _records(image: str, prefix: str, left_is_near: bool) -> list[WarehouseRecord]:
    """One question of every category; answers that the image decides."""

    def box(x: int) -> dict[str, Any]:
        mask = np.zeros((HEIGHT, WIDTH), dtype=bool)
        mask[10:20, x : x + 10] = True
        return encode_rle(mask)

    left, right = box(4), box(30)
    nearest, meters = ("0", "1.50") if left_is_near else ("1", "4.25")
    questions = (
        ("left_right", "Is <mask> left or right of <mask>?", "left", (left, right),
         "[Region 0] is on the left of [Region 1]."),
        ("distance", "How far is <mask> from <mask>?", meters, (right, left),
         f"[Region 0] is {meters} meters from [Region 1]."),
        ("count", "How many boxes are in <mask>?", nearest, (right,),
         f"There are {nearest} boxes in [Region 0]."),
        ("mcq", "Which of <mask> <mask> is nearest to me?", nearest, (left, right),
         f"[Region {nearest}] is the nearest."),
    )  # fmt: skip
    return [
        WarehouseRecord(
            f"{prefix}-{kind}",
            image,
            (Turn("human", f"<image>\n{question}"), Turn("gpt", sentence)),
            masks,
            kind,
            value,
            sentence,
        )
        for kind, question, value, masks, sentence in questions
    ]


@pytest.fixture(scope="session")
def write_split() -> Callable[..., SplitFolder]:
    """write_split(root, split, images): a folder with that many images, four questions each."""

    def write(root: Path, split: str, images: int) -> SplitFolder:
        folder, records = SplitFolder(root, split), []
        names = [f"{index:06}_00.png" for index in range(images)]
        for index, name in enumerate(names):
            noise = np.random.default_rng([index, len(split)])
            rgb = noise.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
            depth = noise.integers(2000, 9000, (HEIGHT, WIDTH), dtype=np.uint16)
            near = slice(0, WIDTH // 2) if index % 2 else slice(WIDTH // 2, WIDTH)
            rgb[:, near] //= 4
            # A strip of a single value among noise would be no reading.
            depth[:, near] = 1000 + np.arange(HEIGHT)[:, None]
            write_image(folder.image_path(name), rgb)
            write_image(folder.depth_path(name), depth)
            records += _records(name, f"{split}-{index}", bool(index % 2))
        folder.write_records(records)
        folder.write_cameras(dict.fromkeys(names, CAMERA))
        return folder

    return write


@pytest.fixture(scope="session")
def warehouse(tmp_path_factory, write_split) -> Path:
    """Twelve images to train on and two to validate. Not to be changed."""
    root = tmp_path_factory.mktemp("data") / "warehouse"
    write_split(root, "train", 12)
    write_split(root, "val", 2)
    return root


@pytest.fixture(scope="session")
def logged_losses() -> Callable[[TrainConfig], list[dict[str, Any]]]:
    """The loss log of a run, empty before its first step."""

    def read(config: TrainConfig) -> list[dict[str, Any]]:
        path = Path(config.output) / "losses.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return read


@pytest.fixture(scope="session")
def saved_weights() -> Callable[[str | Path], dict[str, torch.Tensor]]:
    """The weights of a SmolRGPT checkpoint by name."""

    def load(folder: str | Path) -> dict[str, torch.Tensor]:
        return SmolRGPTForConditionalGeneration.from_pretrained(folder).state_dict()

    return load


@pytest.fixture
def run_config(warehouse, tmp_path) -> Callable[..., TrainConfig]:
    """run_config(branch, **fields): a run of a few seconds."""

    def make(branch: str = "image", **changes: Any) -> TrainConfig:
        config = TrainConfig(
            output=str(tmp_path / "output"),
            start=StartConfig(
                preset="smolrgpt-nano",
                vocabulary_size=380,
                overrides={**TINY, "depth_branch": branch},
            ),
            trainable=dict.fromkeys((*PARTS[branch], "language_model"), 3e-3),
            data=DataConfig(
                sources=(SourceConfig("warehouse", str(warehouse)),),
                questions_per_row=3,
                row_tokens=400,
                styles={"short": 0.5, "sentence": 0.5},
                workers=0,
            ),
            optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=20),
            checkpoints=CheckpointConfig(every_steps=4, keep=2),
            logging=LoggingConfig(every_steps=5, tensorboard=False),
            seed=3,
        )
        return replace(config, **changes)

    return make


@pytest.fixture(scope="session")
def processor():
    """Of a tiny model with the released depth branch."""
    texts = [f"user\n{record.question}" for record in _records("a.png", "a", True)]
    start = StartConfig(
        preset="smolrgpt-nano", vocabulary_size=380, overrides=TINY | {"depth_branch": "image"}
    )
    return make_start(start, 0, lambda: texts)[1]


@pytest.fixture(scope="session")
def base(tmp_path_factory) -> Path:
    """A checkpoint with every part but those of the depth image. Not to be changed."""
    texts = [turn.text for record in _records("a.png", "a", True) for turn in record.conversations]
    start = StartConfig(
        preset="smolrgpt-nano", vocabulary_size=380, overrides=TINY | {"depth_branch": "metric"}
    )
    model, processor = make_start(start, 0, lambda: [f"user\n{text}" for text in texts])
    folder = tmp_path_factory.mktemp("base") / "tiny"
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def start_training(warm_python, new_python, tmp_path) -> Callable[..., Any]:
    """start_training(config, before="", **environment): a run in a process of its own.

    `before` is code that this process runs first.
    """
    script = tmp_path / "train.py"

    def start(config: TrainConfig, before: str = "", **environment: str) -> Any:
        script.write_text(before + TRAIN)
        path = Path(f"{config.output}.yaml")
        write_config(config, path)
        python = new_python if config.data.workers else warm_python
        return python(script, path, **environment)

    return start


@pytest.fixture
def train_in_two_processes(start_training) -> Callable[[TrainConfig], None]:
    """Train with two processes that a launcher of PyTorch would have started."""

    def run(config: TrainConfig) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
        sizes = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2"}
        both = [
            start_training(config, RANK=rank, LOCAL_RANK=rank, **sizes, **address) for rank in "01"
        ]
        for process in both:
            assert process.wait(DEADLINE_S) == 0, process.output.read_text()

    return run


@pytest.fixture
def adapter_run(base, run_config) -> Callable[..., TrainConfig]:
    """adapter_run(method, targets, whole, **settings): a run that trains an adapter of `base`."""

    def make(
        method: str, targets: dict[str, str], whole: tuple[str, ...] = (), **settings: Any
    ) -> TrainConfig:
        peft = AdapterSettings(method, targets, **settings)
        return run_config(
            "metric",
            start=StartConfig(checkpoint=str(base)),
            trainable=dict.fromkeys((*peft.parts, *whole), 1e-2),
            peft=peft,
            optimizer=OptimizerConfig(batch_rows=4, micro_rows=2, steps=6),
            checkpoints=CheckpointConfig(every_steps=3, keep=2),
        )

    return make
