"""A camera that follows a closed path through a simulated warehouse: settings and frames.

The simulated camera of the nodes and the recordings made without ROS both use this, so that one
seed shows the same images in both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np

from smolrgpt_core.errors import bad_setting
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.sim.camera import DEFAULT_INTRINSICS
from smolrgpt_core.sim.config import RenderOptions, WarehouseConfig
from smolrgpt_core.sim.noise import SensorNoise, apply_sensor_noise
from smolrgpt_core.sim.renderer import SimulatedFrame, WarehouseRenderer
from smolrgpt_core.sim.scene import Scene, build_scene

DepthEncoding = Literal["16UC1", "32FC1"]
"""Depth as millimeters with 0, or as meters with NaN, where there is no reading."""


@dataclass(frozen=True)
class SimulatedDrive:
    """What a simulated camera shows, and how it sends it.

    Attributes:
        seed: of the warehouse.
        rate_hz: frames per second.
        frame_count: images along the whole closed path.
        depth_encoding: of the depth images.
        frame_id: optical frame of all messages.
        intrinsics: of the camera.
        config: the ranges that the warehouse is drawn from.
        options: quality of the images.
        noise: disturbance of color and depth; None for none.
        noise_seed: of the disturbance.

    Raises:
        SpatialError: BAD_INPUT, naming the field that is wrong.
    """

    seed: int = 0
    rate_hz: float = 10.0
    frame_count: int = 60
    depth_encoding: DepthEncoding = "16UC1"
    frame_id: str = "camera_color_optical_frame"
    intrinsics: CameraIntrinsics = DEFAULT_INTRINSICS
    config: WarehouseConfig = field(default_factory=WarehouseConfig)
    options: RenderOptions = field(default_factory=RenderOptions)
    noise: SensorNoise | None = None
    noise_seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.rate_hz < float("inf"):
            raise bad_setting("SimulatedDrive.rate_hz", "frames per second above 0", self.rate_hz)
        if self.frame_count < 1:
            raise bad_setting("SimulatedDrive.frame_count", "at least 1", self.frame_count)
        if self.depth_encoding not in get_args(DepthEncoding):
            raise bad_setting(
                "SimulatedDrive.depth_encoding",
                f"one of {get_args(DepthEncoding)}",
                self.depth_encoding,
            )
        if not self.frame_id:
            raise bad_setting("SimulatedDrive.frame_id", "the name of a frame", self.frame_id)

    def scene(self) -> Scene:
        """The warehouse.

        Raises:
            SpatialError: BAD_INPUT when the hall has no room for what the configuration asks for.
        """
        return build_scene(self.seed, self.config)

    def frames(self) -> Iterator[SimulatedFrame]:
        """The images along the path, rendered one by one; their stamps are not set.

        Raises:
            ImportError: MuJoCo or its renderer is missing; the message says what to install.
            SpatialError: as the renderer does.
        """
        scene, rng = self.scene(), np.random.default_rng(self.noise_seed)
        with WarehouseRenderer(scene, self.intrinsics, self.options) as renderer:
            for pose in scene.camera_poses(self.frame_count):
                simulated = renderer.render(pose)
                if self.noise is not None:
                    frame = apply_sensor_noise(simulated.frame, self.noise, rng)
                    simulated = replace(simulated, frame=frame)
                yield simulated
