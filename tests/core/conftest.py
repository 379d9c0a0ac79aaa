"""Frames of boxes on a floor, cast ray by ray: exact geometry without a simulator."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from smolrgpt_core.depth import clean_depth
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.regions import RegionSet

FAR_M = 40.0


@dataclass(frozen=True)
class Block:
    """A cuboid on the floor, or a painted zone if it has no height; metres, radians.

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
    def centre(self) -> np.ndarray:
        return np.array([self.x, self.y, (self.bottom + self.top) / 2])

    def to_own_axes(self, points: np.ndarray, is_direction: bool = False) -> np.ndarray:
        cosine, sine = np.cos(self.yaw), np.sin(self.yaw)
        rotation = np.array([[cosine, sine, 0], [-sine, cosine, 0], [0, 0, 1]])
        return (points - (0 if is_direction else self.centre)) @ rotation.T

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

    def centre(self, id: int) -> np.ndarray:
        """True centre in the optical frame; of the first block of an object."""
        return self.to_optical(self[id].centre)

    def distance(self, id: int, other: int) -> float:
        return float(np.linalg.norm(self.centre(id) - self.centre(other)))

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
def block() -> type[Block]:
    return Block


@pytest.fixture(scope="session")
def ray_caster() -> type[RayCaster]:
    return RayCaster


@pytest.fixture
def stereo_noise():
    return add_stereo_noise
