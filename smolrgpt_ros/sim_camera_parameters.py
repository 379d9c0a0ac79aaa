"""The parameters of the simulated camera; `parameter_pages` writes them down for people."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.sim import CameraView, RenderOptions, SensorNoise, WarehouseConfig
from smolrgpt_core.sim.drive import DepthEncoding, SimulatedDrive
from smolrgpt_ros.parameter_declaration import Effect, check_parameters, parameter

LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class SimCameraParameters:
    """Parameters of `sim_camera_node`; all are fixed at start.

    Raises:
        ValueError: naming the parameter that is out of its range.
    """

    seed: int = parameter(
        SimulatedDrive.seed,
        "Seed of the warehouse: the same seed shows the same scene.",
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
        "Vertical angle of view in degrees.",
        limits=(20.0, 110.0),
        effect=Effect.AT_START,
    )
    camera_view: str = parameter(
        WarehouseConfig.camera_view,
        "Where the camera rides: on a robot, under the ceiling, or one of them by the seed.",
        choices=get_args(CameraView),
        effect=Effect.AT_START,
    )
    motion: str = parameter(
        "static",
        "static: the camera stays at the best overview. drive: it goes round its way for ever.",
        choices=("static", "drive"),
        effect=Effect.AT_START,
    )
    frame_count: int = parameter(
        SimulatedDrive.frame_count,
        "Pictures along the whole way of `drive`. Each is rendered once (0.15 s of a core, 3 MB at "
        "640x480); until all are there, the camera moves as fast as they are rendered.",
        limits=(1, 1000),
        effect=Effect.AT_START,
    )
    depth_encoding: str = parameter(
        SimulatedDrive.depth_encoding,
        "Encoding of the depth image: 16UC1 (millimetres, 0 = no reading) or 32FC1 (metres, NaN = "
        "no reading).",
        choices=get_args(DepthEncoding),
        effect=Effect.AT_START,
    )
    noise: bool = parameter(
        False,
        "Disturb depth and colour like a stereo RGB-D camera does. Each picture of the way is "
        "disturbed once, not every time it is shown.",
        effect=Effect.AT_START,
    )
    noise_seed: int = parameter(
        SimulatedDrive.noise_seed,
        "Seed of the disturbances.",
        limits=(0, LARGEST_SEED),
        effect=Effect.AT_START,
    )
    shadows: bool = parameter(
        RenderOptions.shadows,
        "Objects cast shadows; costs about half of the rendering time.",
        effect=Effect.AT_START,
    )
    frame_id: str = parameter(
        SimulatedDrive.frame_id,
        "Optical frame of all messages: x right, y down, z forward.",
        effect=Effect.AT_START,
    )
    reliability: str = parameter(
        "best_effort",
        "Reliability that images and regions are offered with; ground truth is always reliable.",
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
        """How many pictures there are to render."""
        return self.frame_count if self.motion == "drive" else 1

    @property
    def drive(self) -> SimulatedDrive:
        """The same settings in the form that makes pictures."""
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
