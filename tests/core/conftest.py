"""Frames of boxes on a floor, cast ray by ray: exact geometry without a simulator."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from smolrgpt_core.depth import clean_depth
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.regions import Box, Region, RegionSet
from smolrgpt_core.scene.spatial_scene import COLORS
from smolrgpt_core.truth import ObjectTruth, SceneTruth

FAR_M = 40.0


@dataclass(frozen=True)
class Block:
    """A cuboid on the floor, or a painted zone if it has no height; meters, radians.

    The world has x to the right of the camera, y forward, z up; the camera stands at x = y = 0.
    Several blocks with one id are one object.
    """

    id: int
    label: str
    x: float
    y: float
    yaw: float = 0.0
    length: float = 1.2
    width: float = 0.8
    bottom: float = 0.0
    top: float = 1.0

    @property
    def center(self) -> np.ndarray:
        return np.array([self.x, self.y, (self.bottom + self.top) / 2])

    def to_own_axes(self, points: np.ndarray, is_direction: bool = False) -> np.ndarray:
        cosine, sine = np.cos(self.yaw), np.sin(self.yaw)
        rotation = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
        return (points - (0 if is_direction else self.center)) @ rotation.T

    @property
    def half_size(self) -> np.ndarray:
        return np.array([self.length, self.width, self.top - self.bottom]) / 2


@dataclass(frozen=True)
class RayCaster:
    """A camera above an endless floor, and what stands on it.

    `wall_m` puts a wall across the view at that distance; `floor` False leaves the floor out.
    """

    blocks: tuple[Block, ...] = ()
    height: float = 1.6
    pitch_deg: float = 12.0
    roll_deg: float = 0.0
    wall_m: float = FAR_M
    floor: bool = True
    intrinsics: CameraIntrinsics = field(
        default_factory=lambda: CameraIntrinsics.from_vertical_fov(640, 480, 60.0)
    )

    @property
    def world_from_optical(self) -> np.ndarray:
        pitch, roll = np.deg2rad([self.pitch_deg, self.roll_deg])
        forward = np.array([0, np.cos(pitch), -np.sin(pitch)])
        level = np.column_stack([[1, 0, 0], np.cross(forward, [1, 0, 0]), forward])
        turn = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
        return level @ np.array(turn)

    @property
    def up(self) -> np.ndarray:
        return self.world_from_optical.T @ [0, 0, 1]

    def to_optical(self, points: np.ndarray) -> np.ndarray:
        return (np.asarray(points) - [0, 0, self.height]) @ self.world_from_optical

    def __getitem__(self, id: int) -> Block:
        return next(block for block in self.blocks if block.id == id)

    def center(self, id: int) -> np.ndarray:
        """True center in the optical frame; of the first block of an object."""
        return self.to_optical(self[id].center)

    def distance(self, id: int, other: int) -> float:
        return float(np.linalg.norm(self.center(id) - self.center(other)))

    def render(self) -> RGBDFrame:
        camera = self.intrinsics
        rows, columns = np.indices((camera.height, camera.width))
        rays = np.stack(
            [
                (columns - camera.cx) / camera.fx,
                (rows - camera.cy) / camera.fy,
                np.ones_like(rows, dtype=float),
            ],
            axis=-1,
        )
        rays = rays @ self.world_from_optical.T
        origin = np.array([0, 0, self.height])
        with np.errstate(divide="ignore"):
            to_floor = np.where(rays[..., 2] < -1e-9, -self.height / rays[..., 2], np.inf)
            depth = np.where(rays[..., 1] > 1e-9, self.wall_m / rays[..., 1], np.inf)
        is_floor = (to_floor < depth) & self.floor
        depth = np.where(is_floor, to_floor, depth)
        ids = np.zeros(rows.shape, dtype=np.int32)
        for block in self.blocks:
            own = block.to_own_axes(rays, is_direction=True)
            start = block.to_own_axes(origin)
            if block.top <= block.bottom:
                where = np.abs(start[:2] + own[..., :2] * to_floor[..., None])
                inside = np.all(where < block.half_size[:2], axis=-1)
                ids[inside & is_floor & (ids == 0)] = block.id
                continue
            with np.errstate(divide="ignore", invalid="ignore"):
                first = (-block.half_size - start) / own
                second = (block.half_size - start) / own
            enter = np.minimum(first, second).max(axis=-1)
            leave = np.maximum(first, second).min(axis=-1)
            hit = (enter < leave) & (enter > 0) & (enter < depth)
            depth[hit], ids[hit], is_floor[hit] = enter[hit], block.id, False
        depth[depth > FAR_M] = np.nan
        labels = {block.id: block.label for block in self.blocks}
        return RGBDFrame(
            np.zeros((*rows.shape, 3), dtype=np.uint8),
            depth.astype(np.float32),
            camera,
            RegionSet.from_label_image(ids, labels),
        )


def add_stereo_noise(frame: RGBDFrame, std_per_m: float = 0.0018, seed: int = 0) -> RGBDFrame:
    """The frame with normal noise of the inverse depth, and 2 % of the readings lost."""
    rng = np.random.default_rng(seed)
    depth = 1 / (1 / frame.depth + rng.normal(0, std_per_m, frame.depth.shape))
    depth[rng.random(depth.shape) < 0.02] = np.nan
    return replace(frame, depth=clean_depth(depth))


@pytest.fixture(scope="session")
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: more of them cost more than small tensors take."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def block() -> type[Block]:
    return Block


@pytest.fixture(scope="session")
def ray_caster() -> type[RayCaster]:
    return RayCaster


@pytest.fixture(scope="session")
def stereo_noise():
    return add_stereo_noise


WIDTH, HEIGHT, FOCAL = 640, 480, 400.0
CAMERA_M = 1.5
BUFFERS = {1: (-4.0, 8.0, 3.0), 2: (0.0, 10.0, 3.0), 3: (4.0, 9.0, 1.6)}
CARRIER_M = 0.4


@cache
def make_random_scene(seed: int) -> tuple[SceneTruth, RegionSet]:
    """Boxes in front of a level pinhole camera, with the truth as a simulator states it.

    Three square buffers with ids 1 to 3 (`BUFFERS`: right, forward and side in meters), pallets
    from 10, transporters from 60, some with a pallet from 40 on them, shelves from 80; objects of
    one color each. Transporters with even ids have a front.
    """
    rng = np.random.default_rng(seed)
    made = [
        box_truth(id, "buffer", (x, z), (side, side, 0.0)) for id, (x, z, side) in BUFFERS.items()
    ]
    for id in range(10, 10 + int(rng.integers(2, 12))):
        bare = rng.random() < 0.3
        length, width = float(rng.uniform(1.0, 1.4)), float(rng.uniform(0.6, 0.95))
        size = (length, width, 0.144 if bare else float(rng.uniform(0.4, 1.6)))
        made.append(box_truth(id, "pallet", pallet_place(rng), size, rng.uniform(-1.5, 1.5)))
    for number in range(int(rng.integers(2, 5))):
        place, yaw = free_place(rng), rng.uniform(-1.5, 1.5)
        cargo = 40 + number if rng.random() < 0.5 else None
        size = (float(rng.uniform(1.4, 2.0)), 0.9, CARRIER_M)
        made.append(box_truth(60 + number, "transporter", place, size, yaw, cargo=cargo))
        if cargo is not None:
            size = (1.2, 0.8, float(rng.uniform(0.3, 1.2)))
            beside = (place[0] + rng.uniform(0.02, 0.1), place[1] + rng.uniform(0.02, 0.1))
            made.append(box_truth(cargo, "pallet", beside, size, yaw, bottom=CARRIER_M))
    for id in range(80, 80 + int(rng.integers(1, 4))):
        length, width, height = map(float, rng.uniform((1.5, 0.5, 1.0), (3.0, 1.1, 2.5)))
        size = (length, width, height)
        made.append(box_truth(id, "shelf", free_place(rng), size, rng.uniform(-1.5, 1.5)))
    rng.shuffle(made)
    visible = rng.uniform(0.2, 1.0, len(made))
    colors = rng.integers(len(COLORS), size=len(made))
    made = [
        replace(
            item,
            visible_fraction=float(fraction),
            color="" if item.label == "buffer" else COLORS[color],
            has_front=item.label == "transporter" and item.id % 2 == 0,
        )
        for item, fraction, color in zip(made, visible, colors, strict=True)
    ]
    boxes = [(item, projected_box(item.center)) for item in made]
    seen = tuple(item for item, box in boxes if box is not None)
    regions = tuple(
        Region.from_box(item.id, item.label, box) for item, box in boxes if box is not None
    )
    truth = SceneTruth(seed, seen, np.array([0.0, -1.0, 0.0]), CAMERA_M)
    return truth, RegionSet((HEIGHT, WIDTH), regions)


def pallet_place(rng: np.random.Generator) -> tuple[float, float]:
    """Right and forward, meters; about half of the pallets are in a buffer."""
    if rng.random() < 0.5:
        x, z, side = BUFFERS[int(rng.choice(list(BUFFERS)))]
        reach = 0.4 * side
        return x + rng.uniform(-reach, reach), z + rng.uniform(-reach, reach)
    return free_place(rng)


def free_place(rng: np.random.Generator) -> tuple[float, float]:
    return float(rng.uniform(-6, 6)), float(rng.uniform(5, 14))


def box_truth(
    id: int,
    label: str,
    place: tuple[float, float],
    size: tuple[float, float, float],
    yaw: float = 0.0,
    bottom: float = 0.0,
    cargo: int | None = None,
) -> ObjectTruth:
    """A box in front of a level camera 1.5 m above the floor.

    Args:
        place: right and forward of its middle, meters.
        size: along its first side, across, upwards, meters.
        yaw: of its first side from right towards forward, radians.
        bottom: height of its lower face, meters.
    """
    x, z = place
    cosine, sine = np.cos(yaw), np.sin(yaw)
    axes = np.column_stack([[cosine, 0, sine], [-sine, 0, cosine], [0, -1, 0]])
    margins = {
        buffer: side / 2 - max(abs(x - right), abs(z - forward))
        for buffer, (right, forward, side) in BUFFERS.items()
    }
    stands = label in ("pallet", "transporter")
    return ObjectTruth(
        id=id,
        label=label,
        center=np.array([x, CAMERA_M - bottom - size[2] / 2, z]),
        size=np.array(size),
        rotation=axes,
        visible_fraction=1.0,
        buffer_ids=tuple(b for b, margin in margins.items() if stands and margin > 0),
        cargo_id=cargo,
    )


def projected_box(center: np.ndarray) -> Box | None:
    """A square around the projected center, clipped to the image; None outside of it."""
    column, row = np.array([WIDTH, HEIGHT]) / 2 + FOCAL * center[:2] / center[2]
    half = 120 / center[2]
    left, right = max(0, int(column - half)), min(WIDTH, int(column + half))
    top, bottom = max(0, int(row - half)), min(HEIGHT, int(row + half))
    return Box(left, top, right - left, bottom - top) if right > left and bottom > top else None


@pytest.fixture(scope="session")
def random_scene() -> Callable[[int], tuple[SceneTruth, RegionSet]]:
    return make_random_scene


@pytest.fixture(scope="session")
def make_box() -> Callable[..., ObjectTruth]:
    return box_truth


def _load(name: str) -> ModuleType:
    """A module beside this one: tests are no package."""
    spec = spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def tiny_vlms() -> ModuleType:
    """The module `tiny_vlms`: small models of every family, built on the spot."""
    return _load("tiny_vlms")


@pytest.fixture(scope="session")
def chat_server_module() -> ModuleType:
    """The module `chat_server`: a server of the OpenAI protocol."""
    return _load("chat_server")


@pytest.fixture
def chat_server(chat_server_module):
    """A real server of the OpenAI protocol on this machine."""
    with chat_server_module.running() as server:
        yield server


@pytest.fixture(scope="session")
def make_vlm(tiny_vlms):
    """Tiny vision-language models with random weights; the same for the same family."""
    return tiny_vlms.make_vlm


@pytest.fixture(scope="session")
def make_processor(tiny_vlms):
    """Processors of point-map models over `make_vlm`."""
    return tiny_vlms.make_processor


@pytest.fixture(scope="session")
def brute_force() -> ModuleType:
    """The module `brute_force`: what a program means, without the interpreter."""
    return _load("brute_force")


@dataclass(frozen=True)
class PrintingProcess:
    """A process, and the file `output` that gets what it prints.

    Attributes:
        process: a `subprocess.Popen`, or of `fork_python`, which has the same methods.
    """

    process: Any
    output: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait(self, timeout: float) -> int:
        """The exit status; negative for a signal. A process that does not end fails the test."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"did not end within {timeout} s:\n{self.output.read_text()}")

    def kill(self) -> None:
        """End it at once; its own processes are not ended."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def new_python(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[..., PrintingProcess]]:
    """As `warm_python`, in a new Python: for files that start processes themselves.

    A training run with data workers, forked from the fork server, was seen to wait forever.
    """
    outputs = tmp_path_factory.mktemp("new")
    started: list[PrintingProcess] = []

    def start(program: str | Path, *words: str | Path, **environment: str) -> PrintingProcess:
        output = outputs / f"{len(started)}.txt"
        with output.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, str(program), *map(str, words)],
                env={**os.environ, **environment}, stdout=file, stderr=file,
            )  # fmt: skip
        started.append(PrintingProcess(process, output))
        return started[-1]

    yield start
    for item in started:
        item.kill()


@pytest.fixture
def warm_python(
    fork_python: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., PrintingProcess]]:
    """Start a program in a process of its own that has loaded PyTorch and our models already.

    Call: warm_python("smolrgpt_core.cli", "train", path, folder=tmp_path, variable="value").
    """
    outputs = tmp_path_factory.mktemp("warm")
    started: list[PrintingProcess] = []

    def start(
        program: str | Path, *words: str | Path, folder: Path = outputs, **environment: str
    ) -> PrintingProcess:
        output = outputs / f"{len(started)}.txt"
        process = fork_python([program, *words], output, folder, environment)
        started.append(PrintingProcess(process, output))
        return started[-1]

    yield start
    for item in started:
        item.kill()
