"""Renders a scene with MuJoCo: color, metric depth, instance masks and ground truth of one pose.

Off screen, without a display. A renderer belongs to the thread that made it; a process may have
several.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.closing import Closing
from smolrgpt_core.errors import bad_input
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.sim.camera import DEFAULT_INTRINSICS, CameraPose
from smolrgpt_core.sim.config import FAR_M, NEAR_M, RenderOptions
from smolrgpt_core.sim.footprints import Footprint
from smolrgpt_core.sim.model_builder import FLOOR_GEOM, build_model, geom_object_id
from smolrgpt_core.sim.mujoco_import import import_mujoco, open_graphics
from smolrgpt_core.sim.scene import Scene
from smolrgpt_core.sim.truth import frame_truth
from smolrgpt_core.truth import SceneTruth


@dataclass(frozen=True, eq=False)
class SimulatedFrame:
    """What the camera sees, and what is true."""

    frame: RGBDFrame
    truth: SceneTruth


class WarehouseRenderer(Closing):
    """Renders frames of one scene; use it in a `with` statement, or call `close`.

    Args:
        scene: what to render.
        intrinsics: of the pinhole camera; any principal point, fx and fy may differ.
        options: quality against speed, range of depth, smallest region.

    Raises:
        ImportError: MuJoCo or the OSMesa library is missing; the message says what to install.
        SpatialError: MODEL_ERROR when the graphics library cannot make an off-screen image.
    """

    def __init__(
        self,
        scene: Scene,
        intrinsics: CameraIntrinsics = DEFAULT_INTRINSICS,
        options: RenderOptions = RenderOptions(),  # noqa: B008
    ) -> None:
        self.scene = scene
        self.intrinsics = intrinsics
        self.options = options
        self._mujoco = import_mujoco()
        model = build_model(scene, intrinsics, options)
        self._graphics = open_graphics(intrinsics.width, intrinsics.height)
        self._graphics.make_current()
        self._context = self._make_context(model)
        self._release = weakref.finalize(self, _free, self._graphics, self._context)
        self._view = self._make_view(model)
        geoms = {
            geom.segid + 1: model.geom(geom.objid).name
            for geom in self._view.geoms[: self._view.ngeom]
        }
        self._object_of_segment = np.zeros(self._view.ngeom + 1, dtype=np.uint8)
        for segment, name in geoms.items():
            self._object_of_segment[segment] = geom_object_id(name)
        self._floor_segment = next(key for key, name in geoms.items() if name == FLOOR_GEOM)

    def close(self) -> None:
        """Free the graphics memory; closing twice is allowed."""
        self._release()

    def render(self, pose: CameraPose, stamp_ns: int = 0) -> SimulatedFrame:
        """Render one image.

        Args:
            pose: of the camera, above the floor.
            stamp_ns: acquisition time that the frame shall carry.

        Raises:
            SpatialError: BAD_INPUT after `close`, or when the camera is not above the floor.
        """
        if not self._release.alive:
            raise bad_input("this WarehouseRenderer is closed; create a new one to render")
        if pose.position[2] <= 0:
            raise bad_input(f"the camera must be above the floor (z > 0), got {pose.position}")
        self._graphics.make_current()
        set_camera(self._view, pose, self.intrinsics)
        rgb = self._render_color()
        segments, distance = self._render_segments()
        depth = np.where(distance <= self.options.max_range_m, distance, np.nan)
        regions = self._regions(segments, pose)
        frame = RGBDFrame(rgb, depth.astype(np.float32), self.intrinsics, regions, stamp_ns)
        return SimulatedFrame(frame, frame_truth(self.scene, pose, self.intrinsics, regions))

    def _make_context(self, model: Any) -> Any:
        """Textures and meshes on the graphics side, drawing off screen."""
        mujoco = self._mujoco
        context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, context)
        context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        return context

    def _make_view(self, model: Any) -> Any:
        """The list of what to draw; nothing moves, so it is filled once."""
        mujoco = self._mujoco
        data = mujoco.MjData(model)
        mujoco.mj_forward(model, data)
        view = mujoco.MjvScene(model=model, maxgeom=model.ngeom)
        mujoco.mjv_updateScene(
            model, data, mujoco.MjvOption(), None, mujoco.MjvCamera(),
            mujoco.mjtCatBit.mjCAT_STATIC.value, view,
        )  # fmt: skip
        return view

    def _render_color(self) -> NDArray[np.uint8]:
        """Color (H, W, 3)."""
        flags = self._mujoco.mjtRndFlag
        self._view.flags[flags.mjRND_SEGMENT] = False
        self._view.flags[flags.mjRND_IDCOLOR] = False
        self._view.flags[flags.mjRND_SHADOW] = self.options.shadows
        self._view.flags[flags.mjRND_REFLECTION] = self.options.reflections
        factor = self.options.supersampling
        colors, _ = self._draw(factor, with_depth=False)
        if factor == 1:
            return colors
        size = (self.intrinsics.width, self.intrinsics.height)
        return np.asarray(cv2.resize(colors, size, interpolation=cv2.INTER_AREA))

    def _render_segments(self) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Segment number (H, W), 0 = nothing, and distance along the optical axis in meters."""
        flags = self._mujoco.mjtRndFlag
        self._view.flags[flags.mjRND_SEGMENT] = True
        self._view.flags[flags.mjRND_IDCOLOR] = True
        colors, inverse_depth = self._draw(1, with_depth=True)
        segments = colors.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        return segments, metric_depth(inverse_depth)

    def _draw(self, factor: int, with_depth: bool) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Draw at a multiple of the size, and fetch colors and depth buffer, upper row first."""
        mujoco = self._mujoco
        height, width = self.intrinsics.height * factor, self.intrinsics.width * factor
        rectangle = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(rectangle, self._view, self._context)
        colors = np.empty((height, width, 3), np.uint8)
        depth = np.empty((height, width), np.float32)
        mujoco.mjr_readPixels(colors, depth if with_depth else None, rectangle, self._context)
        return np.ascontiguousarray(colors[::-1]), depth[::-1]

    def _regions(self, segments: NDArray[np.int32], pose: CameraPose) -> RegionSet:
        """One region for each object with enough visible pixels, by ascending id."""
        ids = self._object_of_segment[segments]
        floor = segments == self._floor_segment
        for buffer in self.scene.with_label("buffer"):
            ids[floor & rectangle_mask(buffer.footprint, pose, self.intrinsics)] = buffer.id
        counts = np.bincount(ids.ravel(), minlength=256)
        regions = tuple(
            Region.from_bitmap(item.id, item.label, ids == item.id)
            for item in self.scene.objects
            if counts[item.id] >= self.options.min_region_pixels
        )
        return RegionSet((self.intrinsics.height, self.intrinsics.width), regions)


def set_camera(view: Any, pose: CameraPose, intrinsics: CameraIntrinsics) -> None:
    """Point both eyes of an MjvScene: the image is rendered from their mean.

    The frustum follows from the pixel borders: the center of the first pixel is column 0, so the
    image begins at column -0.5.

    Args:
        view: an MjvScene.
        pose: of the camera.
        intrinsics: of the camera.
    """
    left = (-0.5 - intrinsics.cx) / intrinsics.fx
    right = (intrinsics.width - 0.5 - intrinsics.cx) / intrinsics.fx
    top = (intrinsics.cy + 0.5) / intrinsics.fy
    bottom = (intrinsics.cy + 0.5 - intrinsics.height) / intrinsics.fy
    rotation = pose.world_from_optical
    for camera in view.camera:
        camera.pos = pose.position
        camera.forward = rotation[:, 2]
        camera.up = -rotation[:, 1]
        camera.orthographic = 0
        camera.frustum_center = NEAR_M * (left + right) / 2
        camera.frustum_width = NEAR_M * (right - left) / 2
        camera.frustum_top = NEAR_M * top
        camera.frustum_bottom = NEAR_M * bottom
        camera.frustum_near = NEAR_M
        camera.frustum_far = FAR_M


def metric_depth(inverse_depth: NDArray[np.float32]) -> NDArray[np.float64]:
    """Meters along the optical axis from a depth buffer that is 1 at NEAR_M and 0 at FAR_M."""
    return NEAR_M * FAR_M / (NEAR_M + inverse_depth.astype(np.float64) * (FAR_M - NEAR_M))


def rectangle_mask(
    rectangle: Footprint, pose: CameraPose, intrinsics: CameraIntrinsics
) -> NDArray[np.bool_]:
    """Pixels (H, W) whose ray meets a rectangle on the floor, exact to the pixel's center.

    The rays to a rectangle fill a cone; each side of the rectangle and the camera span one of its
    four planes.

    Args:
        rectangle: on the floor.
        pose: of the camera.
        intrinsics: of the camera.
    """
    corners = pose.to_optical(np.column_stack([rectangle.corners, np.zeros(4)]))
    columns = (np.arange(intrinsics.width) - intrinsics.cx) / intrinsics.fx
    rows = (np.arange(intrinsics.height) - intrinsics.cy) / intrinsics.fy
    inside = np.ones((intrinsics.height, intrinsics.width), dtype=bool)
    for corner, following in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        normal = np.cross(following, corner)
        along_column = normal[1] * rows + normal[2]
        inside &= along_column[:, None] >= -normal[0] * columns
    return inside


def _free(graphics: Any, context: Any) -> None:
    """Give the graphics memory back."""
    graphics.make_current()
    context.free()
    graphics.free()
