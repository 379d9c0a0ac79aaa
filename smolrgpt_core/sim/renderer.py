"""Renders a scene with MuJoCo: colour, metric depth, instance masks and truth of one pose.

Off screen, without a display. A renderer belongs to the thread that made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import TracebackType

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.regions import Region, RegionSet
from smolrgpt_core.sim.camera import DEFAULT_INTRINSICS, CameraPose
from smolrgpt_core.sim.config import FAR_M, NEAR_M, RenderOptions
from smolrgpt_core.sim.footprints import Footprint
from smolrgpt_core.sim.model_builder import FLOOR_GEOM, build_model, geom_object_id
from smolrgpt_core.sim.mujoco_import import import_mujoco
from smolrgpt_core.sim.scene import Scene
from smolrgpt_core.sim.truth import SceneTruth, frame_truth


@dataclass(frozen=True, eq=False)
class SimulatedFrame:
    """What the camera sees, and what is true."""

    frame: RGBDFrame
    truth: SceneTruth


class WarehouseRenderer:
    """Renders frames of one scene; use it in a `with` statement, or call `close`.

    Raises:
        ImportError: MuJoCo or the OSMesa library is missing; the message says what to install.
    """

    def __init__(
        self,
        scene: Scene,
        intrinsics: CameraIntrinsics = DEFAULT_INTRINSICS,
        options: RenderOptions = RenderOptions(),  # noqa: B008
    ) -> None:
        self._context = None
        self._gl = None
        self.scene = scene
        self.intrinsics = intrinsics
        self.options = options
        mujoco = import_mujoco()
        model = build_model(scene, intrinsics, options)
        self._gl = mujoco.GLContext(intrinsics.width, intrinsics.height)
        self._gl.make_current()
        self._context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_100.value)
        mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, self._context)
        self._context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
        self._view = _make_view(model)
        self._object_of_segment = _object_of_segment(model, self._view)
        self._floor_segment = _floor_segment(model, self._view)

    def __enter__(self) -> WarehouseRenderer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the graphics memory; closing twice is allowed."""
        if self._context is not None and self._gl is not None:
            self._gl.make_current()
            self._context.free()
        self._context = None
        if self._gl is not None:
            self._gl.free()
        self._gl = None

    def render(self, pose: CameraPose, stamp_ns: int = 0) -> SimulatedFrame:
        """Take one picture.

        Raises:
            SpatialError: BAD_INPUT after `close`.
        """
        if self._gl is None:
            raise SpatialError(
                Status.BAD_INPUT, "this WarehouseRenderer is closed; make a new one to render"
            )
        self._gl.make_current()
        set_camera(self._view, pose, self.intrinsics)
        rgb = self._render_colour()
        segments, distance = self._render_segments()
        depth = np.where(distance <= self.options.max_range_m, distance, np.nan).astype(np.float32)
        regions = self._regions(segments, pose)
        frame = RGBDFrame(rgb, depth, self.intrinsics, regions, stamp_ns)
        return SimulatedFrame(frame, frame_truth(self.scene, pose, self.intrinsics, regions))

    def _render_colour(self) -> NDArray[np.uint8]:
        """Colour (H, W, 3)."""
        mujoco = import_mujoco()
        self._view.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = False
        self._view.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = False
        self._view.flags[mujoco.mjtRndFlag.mjRND_SHADOW] = self.options.shadows
        factor = self.options.supersampling
        colours, _ = self._draw(factor, with_depth=False)
        if factor == 1:
            return colours
        size = (self.intrinsics.width, self.intrinsics.height)
        return np.asarray(cv2.resize(colours, size, interpolation=cv2.INTER_AREA))

    def _render_segments(self) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
        """Segment number (H, W), 0 = nothing, and distance along the optical axis in metres."""
        mujoco = import_mujoco()
        self._view.flags[mujoco.mjtRndFlag.mjRND_SEGMENT] = True
        self._view.flags[mujoco.mjtRndFlag.mjRND_IDCOLOR] = True
        colours, inverse_depth = self._draw(1, with_depth=True)
        segments = colours.astype(np.int32) @ np.array([1, 1 << 8, 1 << 16], np.int32)
        return segments, metric_depth(inverse_depth, NEAR_M, FAR_M)

    def _draw(self, factor: int, with_depth: bool) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """Draw at a multiple of the size, and fetch colours and depth buffer, upper row first."""
        mujoco = import_mujoco()
        height, width = self.intrinsics.height * factor, self.intrinsics.width * factor
        rect = mujoco.MjrRect(0, 0, width, height)
        mujoco.mjr_render(rect, self._view, self._context)
        colours = np.empty((height, width, 3), np.uint8)
        depth = np.empty((height, width), np.float32)
        mujoco.mjr_readPixels(colours, depth if with_depth else None, rect, self._context)
        return np.ascontiguousarray(colours[::-1]), depth[::-1]

    def _regions(self, segments: NDArray[np.int32], pose: CameraPose) -> RegionSet:
        """One region for each object with enough visible pixels."""
        ids = self._object_of_segment[segments]
        floor = segments == self._floor_segment
        for buffer in self.scene.with_label("buffer"):
            ids[floor & rectangle_mask(buffer.footprint, pose, self.intrinsics)] = buffer.id
        counts = np.bincount(ids.ravel(), minlength=256)
        seen = [
            item for item in self.scene.objects if counts[item.id] >= self.options.min_region_pixels
        ]
        regions = tuple(Region.from_bitmap(item.id, item.label, ids == item.id) for item in seen)
        return RegionSet((self.intrinsics.height, self.intrinsics.width), regions)


def _make_view(model):  # type: ignore[no-untyped-def]
    """The abstract scene of MuJoCo; nothing moves, so it is filled once."""
    mujoco = import_mujoco()
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    view = mujoco.MjvScene(model=model, maxgeom=model.ngeom + 16)
    mujoco.mjv_updateScene(
        model, data, mujoco.MjvOption(), None, mujoco.MjvCamera(),
        mujoco.mjtCatBit.mjCAT_ALL.value, view,
    )  # fmt: skip
    return view


def set_camera(view, pose: CameraPose, intrinsics: CameraIntrinsics) -> None:  # type: ignore[no-untyped-def]
    """Point both eyes of an MjvScene: the picture is rendered from their mean.

    The frustum follows from the pixel borders: the centre of the first pixel is column 0, so the
    picture begins at column -0.5.
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


def metric_depth(
    inverse_depth: NDArray[np.float32], near_m: float, far_m: float
) -> NDArray[np.float64]:
    """Metres along the optical axis from a depth buffer that is 1 at near and 0 at far."""
    return near_m * far_m / (near_m + inverse_depth.astype(np.float64) * (far_m - near_m))


def rectangle_mask(
    rectangle: Footprint, pose: CameraPose, intrinsics: CameraIntrinsics
) -> NDArray[np.bool_]:
    """Pixels (H, W) whose ray meets a rectangle on the floor, exact to the pixel's centre.

    The rays to a rectangle fill a cone; each side of the rectangle and the camera span one of its
    four planes.
    """
    corners = pose.to_optical(np.column_stack([rectangle.corners, np.zeros(4)]))
    columns = (np.arange(intrinsics.width) - intrinsics.cx) / intrinsics.fx
    rows = (np.arange(intrinsics.height) - intrinsics.cy) / intrinsics.fy
    inside = np.ones((intrinsics.height, intrinsics.width), dtype=bool)
    for corner, following in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        normal = np.cross(following, corner)
        along_row = normal[1] * rows + normal[2]
        inside &= along_row[:, None] >= -normal[0] * columns
    return inside


def _object_of_segment(model, view) -> NDArray[np.uint8]:  # type: ignore[no-untyped-def]
    """Object id for each segment number of a picture; 0 for nothing and for the hall."""
    ids = np.zeros(view.ngeom + 1, dtype=np.uint8)
    for geom in view.geoms[: view.ngeom]:
        if geom.segid >= 0:
            ids[geom.segid + 1] = geom_object_id(model.geom(geom.objid).name)
    return ids


def _floor_segment(model, view) -> int:  # type: ignore[no-untyped-def]
    """Segment number of the floor."""
    for geom in view.geoms[: view.ngeom]:
        if model.geom(geom.objid).name == FLOOR_GEOM:
            return geom.segid + 1
    raise SpatialError(Status.MODEL_ERROR, "the rendered model has no floor")
