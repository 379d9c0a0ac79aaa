"""Parameters of the simulated camera; `parameters.pages` documents them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.sim import CameraView, RenderOptions, SensorNoise, WarehouseConfig
from smolrgpt_core.sim.drive import DepthEncoding, SimulatedDrive
from smolrgpt_ros.parameters.declaration import Effect, check_parameters, parameter

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class SimCameraParameters:
    """Parameters of `sim_camera_node`; all are fixed at start.

    Raises:
        ValueError: a parameter is out of range; the message names it.
    """

    seed: int = parameter(
        SimulatedDrive.seed,
        "Random seed of the warehouse: the same seed gives the same scene.",
        limits=(0, LARGEST_SEED),
        effect=Effect.AT_START,
    )
    rate: float = parameter(
        SimulatedDrive.rate_hz,
        "Frames per second.",
        limits=(0.1, 60.0),
        effect=Effect.AT_START,
    )
    width: int = parameter(
        640,
        "Width of the images in pixels.",
        limits=(64, 3840),
        effect=Effect.AT_START,
    )
    height: int = parameter(
        480,
        "Height of the images in pixels.",
        limits=(64, 2160),
        effect=Effect.AT_START,
    )
    vertical_fov: float = parameter(
        60.0,
        "Vertical field of view in degrees.",
        limits=(20.0, 110.0),
        effect=Effect.AT_START,
    )
    camera_view: str = parameter(
        WarehouseConfig.camera_view,
        "Where the camera is mounted: on a robot, under the ceiling, or either, depending on the "
        "seed.",
        choices=get_args(CameraView),
        effect=Effect.AT_START,
    )
    motion: str = parameter(
        "static",
        "static: the camera stays at the viewpoint with the best overview. drive: it follows its "
        "path in a loop.",
        choices=("static", "drive"),
        effect=Effect.AT_START,
    )
    frame_count: int = parameter(
        SimulatedDrive.frame_count,
        "Number of images along the whole path of `drive`. Each is rendered once (0.15 s of a "
        "core, 3 MB at 640x480); until all are rendered, the camera moves as fast as rendering "
        "allows.",
        limits=(1, 1000),
        effect=Effect.AT_START,
    )
    depth_encoding: str = parameter(
        SimulatedDrive.depth_encoding,
        "Encoding of the depth image: 16UC1 (millimeters, 0 = no reading) or 32FC1 (meters, NaN = "
        "no reading).",
        choices=get_args(DepthEncoding),
        effect=Effect.AT_START,
    )
    noise: bool = parameter(
        False,
        "Add the noise of a stereo RGB-D camera to depth and color. Each image of the path gets "
        "its noise once, not every time it is published.",
        effect=Effect.AT_START,
    )
    noise_seed: int = parameter(
        SimulatedDrive.noise_seed,
        "Seed of the noise.",
        limits=(0, LARGEST_SEED),
        effect=Effect.AT_START,
    )
    shadows: bool = parameter(
        RenderOptions.shadows,
        "Render shadows; costs about half of the rendering time.",
        effect=Effect.AT_START,
    )
    frame_id: str = parameter(
        SimulatedDrive.frame_id,
        "Frame id (optical frame) of all messages: x right, y down, z forward.",
        effect=Effect.AT_START,
    )
    reliability: str = parameter(
        "best_effort",
        "Reliability of the image and region publishers; ground truth is always reliable.",
        choices=("best_effort", "reliable"),
        effect=Effect.AT_START,
    )

    def __post_init__(self) -> None:
        check_parameters(self)
        if not self.frame_id:
            raise ValueError("frame_id must not be empty")

    @property
    def intrinsics(self) -> CameraIntrinsics:
        """Calibration of the camera."""
        return CameraIntrinsics.from_vertical_fov(self.width, self.height, self.vertical_fov)

    @property
    def pose_count(self) -> int:
        """Number of images to render."""
        return self.frame_count if self.motion == "drive" else 1

    @property
    def drive(self) -> SimulatedDrive:
        """The same settings for the renderer."""
        return SimulatedDrive(
            seed=self.seed,
            rate_hz=self.rate,
            frame_count=self.pose_count,
            depth_encoding=self.depth_encoding,  # type: ignore[arg-type]
            frame_id=self.frame_id,
            intrinsics=self.intrinsics,
            config=WarehouseConfig(camera_view=self.camera_view),  # type: ignore[arg-type]
            options=RenderOptions(shadows=self.shadows),
            noise=SensorNoise() if self.noise else None,
            noise_seed=self.noise_seed,
        )
