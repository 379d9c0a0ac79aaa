"""Procedural warehouse: scenes from a seed, rendered to RGB-D frames with ground truth.

Importing this package needs no MuJoCo; making a `WarehouseRenderer` does.
"""

from smolrgpt_core.sim.camera import DEFAULT_INTRINSICS, CameraPose
from smolrgpt_core.sim.config import (
    LABEL_ID_RANGES,
    CameraView,
    RenderOptions,
    WarehouseConfig,
)
from smolrgpt_core.sim.noise import SensorNoise, apply_sensor_noise
from smolrgpt_core.sim.renderer import SimulatedFrame, WarehouseRenderer
from smolrgpt_core.sim.scene import Scene, SceneObject, build_scene

__all__ = [
    "DEFAULT_INTRINSICS",
    "LABEL_ID_RANGES",
    "CameraPose",
    "CameraView",
    "RenderOptions",
    "Scene",
    "SceneObject",
    "SensorNoise",
    "SimulatedFrame",
    "WarehouseConfig",
    "WarehouseRenderer",
    "apply_sensor_noise",
    "build_scene",
]
