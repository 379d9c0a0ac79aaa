"""Trains a center-voting network: the same call starts, resumes and finishes a run.

    python -m smolrgpt_core.training.region_segmenter config/train/region_segmenter/nano.yaml

    OUTPUT/config.yaml        configuration of the run
    OUTPUT/losses.jsonl       the loss of every step
    OUTPUT/checkpoints/       points from which it can resume
    OUTPUT/model/             the network after the last step

The data of a step depends only on seed and step, so a killed and resumed run ends with the same
weights (on the same machine, with the same number of threads).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import UperNetForSemanticSegmentation
from transformers.utils.logging import disable_progress_bar

from smolrgpt_core.data.region_images import RegionImages
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import file_error, write_file
from smolrgpt_core.perception.center_voting import (
    NetworkSize,
    grid_outputs,
    input_size,
    new_network,
)
from smolrgpt_core.settings_file import from_entries, import_yaml, read_yaml, to_entries
from smolrgpt_core.training.checkpoints import CheckpointStore, storage_errors
from smolrgpt_core.training.loss_log import LossLog
from smolrgpt_core.training.region_targets import (
    TrainingImage,
    label_kinds,
    segmentation_loss,
    training_image,
)

CONFIG_FILE = "config.yaml"
OPTIMIZER_FILE = "optimizer.safetensors"
MODEL_FOLDER = "model"
CHECKPOINTS = 2

CACHED_IMAGES = 1500
"""Images that stay in memory: decoding them takes a third of the time of a step; 2.3 GB."""

_WHAT = "a training configuration"
_ORDER_STREAM, _CHANGE_STREAM = range(2)
"""Kinds of random streams; each has its own so that none depends on what another draws."""

ZOOM = (0.7, 1.0)
"""Range of the fraction of an image's sides that is shown."""

ZOOM_FRACTION = 0.5
"""Images that are shown in part."""

EXPOSURE_DEVIATION = 0.15
COLOR_DEVIATION = 0.05
"""Standard deviations of the logarithm of what all channels, and each, are multiplied with."""


@dataclass(frozen=True)
class RegionSegmenterConfig:
    """Configuration of a run.

    Attributes:
        output: folder of the run.
        data: folder of `RegionImages`.
        classes: labels to learn; other labels count as background.
        network: size of the network.
        steps: of the optimizer.
        batch_images: images of a step.
        learning_rate: the highest, of AdamW.
        weight_decay: of AdamW.
        warmup_steps: steps until the learning rate is reached.
        decay_steps: length of the cosine decay to zero. A run that ends earlier has fewer `steps`,
            and a faster decay over the last `cooldown_steps`.
        cooldown_steps: last steps, in which the rate also falls linearly to zero.
        checkpoint_every: steps between two checkpoints.
        seed: of the first weights, the order of the images and their changes.

    Raises:
        SpatialError: BAD_INPUT, naming the field that is wrong.
    """

    output: str
    data: str
    classes: tuple[str, ...]
    network: NetworkSize = field(default_factory=NetworkSize)
    steps: int = 1200
    batch_images: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    warmup_steps: int = 80
    decay_steps: int = 1600
    cooldown_steps: int = 240
    checkpoint_every: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch_images", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise bad_input(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.decay_steps < max(self.steps, self.warmup_steps + 1):
            raise bad_input(
                f"decay_steps must be at least steps = {self.steps} and more than warmup_steps = "
                f"{self.warmup_steps}, got {self.decay_steps}"
            )
        if not self.classes:
            raise bad_input("classes must name at least one label")
        if not self.learning_rate > 0:
            raise bad_input(f"learning_rate must be positive, got {self.learning_rate}")

    def rate_factor(self, step: int) -> float:
        """The learning rate of a step (from 0), as a fraction of the highest."""
        if step < self.warmup_steps:
            return step / self.warmup_steps
        progress = (step - self.warmup_steps) / (self.decay_steps - self.warmup_steps)
        cooldown = (self.steps - step) / self.cooldown_steps if self.cooldown_steps else 1.0
        return 0.5 * (1 + math.cos(math.pi * progress)) * max(0.0, min(1.0, cooldown))


class TrainingImages:
    """The images of a run; their order and augmentation depend only on its seed."""

    def __init__(self, config: RegionSegmenterConfig) -> None:
        """Find the images.

        Raises:
            SpatialError: BAD_INPUT when there is none.
        """
        self._config = config
        self._images = RegionImages(Path(config.data))
        self._names = self._images.names()
        self._read = lru_cache(CACHED_IMAGES)(self._load)

    def batch(self, step: int) -> list[TrainingImage]:
        """The images of a step, from 0; each image occurs once per epoch."""
        first = step * self._config.batch_images
        return [self._image(number) for number in range(first, first + self._config.batch_images)]

    def _image(self, number: int) -> TrainingImage:
        seed = self._config.seed
        turn, place = divmod(number, len(self._names))
        order = np.random.default_rng([seed, _ORDER_STREAM, turn]).permutation(len(self._names))
        rgb, ids, kinds = self._read(self._names[order[place]])
        rng = np.random.default_rng([seed, _CHANGE_STREAM, number])
        rgb, ids = changed(rgb, ids, rng)
        # All images of a batch need the same size.
        size = input_size((3, 4), self._config.network.image_height)
        return training_image(rgb, ids, kinds, size)

    def _load(self, name: str) -> tuple[NDArray[np.uint8], NDArray[np.int16], dict[int, int]]:
        """Color, instance image and the class of each id."""
        rgb, regions = self._images.read(name)
        ids = regions.to_label_image().astype(np.int16)
        return rgb, ids, label_kinds(regions, self._config.classes)


def changed(
    rgb: NDArray[np.uint8], ids: NDArray[np.int16], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """A plausible variant of an image: mirrored, closer, in another light.

    Args:
        rgb: uint8 (H, W, 3).
        ids: instance image (H, W).
        rng: of the change.
    """
    if rng.random() < 0.5:
        rgb, ids = rgb[:, ::-1], ids[:, ::-1]
    fraction = rng.uniform(*ZOOM) if rng.random() < ZOOM_FRACTION else 1.0
    height, width = (round(fraction * side) for side in ids.shape)
    top = rng.integers(ids.shape[0] - height + 1)
    left = rng.integers(ids.shape[1] - width + 1)
    part = slice(top, top + height), slice(left, left + width)
    gains = np.exp(rng.normal(0, EXPOSURE_DEVIATION) + rng.normal(0, COLOR_DEVIATION, 3))
    tables = np.clip(np.arange(256)[:, None] * gains, 0, 255).astype(np.uint8)
    lit = cv2.LUT(np.ascontiguousarray(rgb[part]), tables[None])
    return np.asarray(lit), np.ascontiguousarray(ids[part])


def _moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state of each parameter, by "number.name"."""
    state = optimizer.state_dict()["state"]
    return {
        f"{number}.{name}": value.contiguous()
        for number, values in state.items()
        for name, value in values.items()
    }


def _restore(optimizer: torch.optim.Optimizer, moments: Mapping[str, Tensor]) -> None:
    """Inverse of `_moments`."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in moments.items():
        number, _, name = key.partition(".")
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


class SegmenterRun:
    """A network in training; resumes from the newest checkpoint.

    Attributes:
        step: number of optimizer steps that are done.
    """

    def __init__(self, config: RegionSegmenterConfig, store: CheckpointStore) -> None:
        """Begin or resume, without computing anything."""
        self._config = config
        self._store = store
        newest = store.newest()
        self.step, self._cpu_seconds = 0, 0.0
        if newest:
            self._network = UperNetForSemanticSegmentation.from_pretrained(newest.folder)
            facts = newest.facts()
            self.step, self._cpu_seconds = facts["step"], facts["cpu_seconds"]
        else:
            torch.manual_seed(config.seed)
            self._network = new_network(config.network, config.classes)
        self._network.train().to(memory_format=torch.channels_last)
        self._optimizer = torch.optim.AdamW(
            self._network.parameters(), config.learning_rate, weight_decay=config.weight_decay
        )
        if newest:
            _restore(self._optimizer, load_file(newest.folder / OPTIMIZER_FILE))

    def advance(self, images: Sequence[TrainingImage]) -> float:
        """Make one step, with a checkpoint if it is due; returns the loss.

        Args:
            images: to learn from.

        Raises:
            SpatialError: BAD_INPUT when the loss is not finite.
        """
        began = time.process_time()
        pixels = torch.from_numpy(np.stack([image.pixels for image in images]))
        outputs = grid_outputs(self._network, pixels.to(memory_format=torch.channels_last))
        loss = segmentation_loss(outputs, images)
        if not math.isfinite(loss.item()):
            raise bad_input(
                f"the loss of step {self.step} is {loss.item()}; choose a lower learning_rate"
            )
        for group in self._optimizer.param_groups:
            group["lr"] = self._config.learning_rate * self._config.rate_factor(self.step)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self.step += 1
        self._cpu_seconds += time.process_time() - began
        if self.step % self._config.checkpoint_every == 0 or self.step == self._config.steps:
            self._save()
        return loss.item()

    def _save(self) -> None:
        folder = self._store.begin(self.step)
        self._network.save_pretrained(folder)
        save_file(_moments(self._optimizer), folder / OPTIMIZER_FILE)
        facts = {
            "step": self.step,
            "cpu_seconds": round(self._cpu_seconds, 1),
            "threads": torch.get_num_threads(),
        }
        self._store.commit(self.step, facts)

    def publish(self, folder: Path) -> None:
        """Write the network to its own folder."""
        self._network.save_pretrained(folder)


def train(config: RegionSegmenterConfig) -> Path:
    """Train until the last step, from the newest checkpoint in `config.output` if there is one.

    Returns:
        The folder of the finished network.

    Raises:
        SpatialError: BAD_INPUT when the folder belongs to a run with another configuration, or the
            data cannot be used.
        RunStoppedError: BAD_INPUT when the disk is full; checkpoints stay.
    """
    disable_progress_bar()
    output = Path(config.output)
    store = CheckpointStore(output, CHECKPOINTS)
    images = TrainingImages(config)
    with storage_errors(store):
        store.remove_unfinished()
        _claim(output / CONFIG_FILE, config)
        run = SegmenterRun(config, store)
        log = LossLog(output, run.step)
        try:
            _advance_to_end(config, run, images, log)
        finally:
            log.close()
        run.publish(output / MODEL_FOLDER)
    return output / MODEL_FOLDER


def _claim(path: Path, config: RegionSegmenterConfig) -> None:
    """Write the configuration of a run into its folder.

    Raises:
        SpatialError: BAD_INPUT when the folder is that of a run with another one.
    """
    entries = to_entries(config)
    if path.exists():
        before = read_yaml(path, _WHAT)
        differing = [name for name in entries if before.get(name) != entries[name]]
        if differing:
            raise file_error(
                path.parent,
                "belongs to a run with another configuration; choose another output, or set back "
                + ", ".join(f"{name} to {before.get(name)!r}" for name in differing),
            )
    write_file(path, import_yaml(_WHAT).safe_dump(entries, sort_keys=False).encode())


def _advance_to_end(
    config: RegionSegmenterConfig, run: SegmenterRun, images: TrainingImages, log: LossLog
) -> None:
    columns = (
        TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
        TimeRemainingColumn(), TextColumn("loss {task.fields[loss]:.3f}"),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True)) as progress:
        task = progress.add_task("", total=config.steps, completed=run.step, loss=math.nan)
        while run.step < config.steps:
            loss = run.advance(images.batch(run.step))
            log.append(run.step, {"loss": round(loss, 5)})
            progress.update(task, completed=run.step, loss=loss)


def read_config(path: Path) -> RegionSegmenterConfig:
    """Read a YAML file.

    Raises:
        SpatialError: BAD_INPUT that names the file, and the key that is unknown or wrong.
    """
    try:
        return from_entries(RegionSegmenterConfig, read_yaml(path, _WHAT))
    except SpatialError as error:
        raise file_error(path, error.message) from error


def main(arguments: Sequence[str] | None = None) -> None:
    """Train the configuration named on the command line."""
    parser = argparse.ArgumentParser(description="Train a center-voting network.")
    parser.add_argument("config", type=Path, help="YAML file of the run")
    written = train(read_config(parser.parse_args(arguments).config))
    Console(soft_wrap=True).print(f"wrote {written}", highlight=False)


if __name__ == "__main__":
    main()
