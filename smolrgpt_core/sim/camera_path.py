"""A smooth closed path of the camera through a hall, always facing several objects.

The camera sways along the free lane (or above it, under the ceiling) while its line of sight
wanders over the staging area. Of a few ways drawn from the seed, the one that sees most is taken;
what a pose sees is estimated from the objects' boxes, without rendering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.sim.camera import CameraPose
from smolrgpt_core.sim.config import WarehouseConfig
from smolrgpt_core.sim.hall import Hall
from smolrgpt_core.sim.objects import SceneObject

CANDIDATES = 16
PHASES = 8
ESTIMATE_INTRINSICS = CameraIntrinsics.from_vertical_fov(96, 72, 60.0)
NOTICEABLE_PIXELS = 10
CLEARLY_VISIBLE = 0.4
"""An object of which this fraction is visible counts as clearly seen in an overview."""
NEAR_M = 0.3
PIXEL_LIMIT = 16000.0
"""Coordinates that OpenCV still draws."""


@dataclass(frozen=True)
class CameraPath:
    """A closed path; all lengths in meters, world frame.

    Attributes:
        middle: (x, y, z) that the camera sways around.
        sway: amplitude along x and y.
        target: (x, y, z) that the line of sight sways around.
        target_sway: amplitude of the target along x and y.
        lag: how far the target is behind the camera, fraction of the whole path.
        start: position on the way that counts as 0.
    """

    middle: tuple[float, float, float]
    sway: tuple[float, float]
    target: tuple[float, float, float]
    target_sway: tuple[float, float]
    lag: float
    start: float = 0.0

    def pose(self, position: float) -> CameraPose:
        """Where the camera is at a fraction of the path; 1 is 0 again."""
        place = _sway(self.middle, self.sway, self.start + position)
        target = _sway(self.target, self.target_sway, self.start + position - self.lag)
        ahead = target - place
        yaw = float(np.arctan2(ahead[1], ahead[0]))
        pitch = float(np.arctan2(ahead[2], np.hypot(ahead[0], ahead[1])))
        return CameraPose(place, yaw, pitch)


def _sway(
    middle: tuple[float, float, float], sway: tuple[float, float], position: float
) -> NDArray[np.float64]:
    angle = 2 * np.pi * position
    shift = np.array([sway[0] * np.sin(angle), sway[1] * np.cos(2 * angle), 0.0])
    return np.asarray(middle) + shift


def find_camera_path(
    objects: Sequence[SceneObject], hall: Hall, config: WarehouseConfig, seed: int
) -> CameraPath:
    """The best of a few paths drawn from the seed, starting at its best overview.

    Args:
        objects: of the scene.
        hall: of the scene.
        config: of the warehouse; limits the camera.
        seed: of the path.
    """
    rng = np.random.default_rng([seed, 2])
    view = config.camera_view
    if view == "any":
        view = "robot" if rng.random() < 0.6 else "ceiling"
    draw = _robot_path if view == "robot" else _ceiling_path
    paths = [draw(hall, config, rng) for _ in range(CANDIDATES)]
    phases = np.arange(PHASES) / PHASES
    corners = np.array([_box_corners(item) for item in objects]).reshape(-1, 8, 3)
    scores = [
        [overview_score(objects, corners, path.pose(phase)) for phase in phases] for path in paths
    ]
    best = int(np.argmax([min(row) + max(row) for row in scores]))
    return replace(paths[best], start=float(phases[int(np.argmax(scores[best]))]))


def _robot_path(hall: Hall, config: WarehouseConfig, rng: np.random.Generator) -> CameraPath:
    """In the free lane, at the height of a robot's mast."""
    lane_y = -hall.width_m / 2 + rng.uniform(0.7, 2.0)
    reach = hall.length_m / 2 - 4.0
    height = rng.uniform(*config.robot_camera_height_m)
    return CameraPath(
        middle=(float(rng.uniform(-2, 2)), float(lane_y), float(height)),
        sway=(float(rng.uniform(0.35, 0.7) * reach), float(rng.uniform(0, 0.4))),
        target=(float(rng.uniform(-1.5, 1.5)), lane_y + 6.5, float(rng.uniform(-0.5, 0.6))),
        target_sway=(float(rng.uniform(0.1, 0.45) * reach), 0.5),
        lag=_draw_lag(rng),
    )


def _draw_lag(rng: np.random.Generator) -> float:
    """Up to a quarter of the way ahead or behind: there and back do not look the same."""
    return float(rng.choice([-1.0, 1.0]) * rng.uniform(0.08, 0.25))


def _ceiling_path(hall: Hall, config: WarehouseConfig, rng: np.random.Generator) -> CameraPath:
    """Under the roof, looking down at an angle."""
    lowest, highest = config.ceiling_camera_height_m
    height = min(float(rng.uniform(lowest, highest)), hall.height_m - 1.2)
    y = -hall.width_m / 2 + rng.uniform(0.5, 2.5)
    reach = hall.length_m / 2 - 4.0
    return CameraPath(
        middle=(float(rng.uniform(-2, 2)), float(y), height),
        sway=(float(rng.uniform(0.2, 0.6) * reach), float(rng.uniform(0, 0.3))),
        target=(float(rng.uniform(-1, 1)), y + float(rng.uniform(6.0, 8.0)), 0.3),
        target_sway=(float(rng.uniform(0.1, 0.4) * reach), 0.5),
        lag=_draw_lag(rng),
    )


def overview_score(
    objects: Sequence[SceneObject], corners: NDArray[np.float64], pose: CameraPose
) -> float:
    """How much of the warehouse an image shows: objects clearly seen, and the kinds of them.

    Args:
        objects: all N objects.
        corners: (N, 8, 3) world corners of their boxes.
        pose: of the camera.
    """
    fractions = estimate_visible_fractions(objects, corners, pose)
    shown = [item for item in objects if fractions.get(item.id, 0.0) >= CLEARLY_VISIBLE]
    kinds = {(item.label, item.loaded) for item in shown}
    standing = sum(item.label in ("pallet", "transporter") for item in shown)
    buffers = [fractions.get(item.id, 0.0) for item in objects if item.label == "buffer"]
    # Sums favor one buffer right in front; what makes an image rich is seeing two of them.
    second_best = sorted([0.0, 0.0, *buffers])[-2]
    return standing + 4.0 * len(kinds) + 50.0 * min(second_best, CLEARLY_VISIBLE)


def estimate_visible_fractions(
    objects: Sequence[SceneObject], corners: NDArray[np.float64], pose: CameraPose
) -> dict[int, float]:
    """Visible fraction of each object by id; objects with few or no pixels are skipped.

    Every object counts as its solid box, painted from far to near on a small image, buffers
    first.

    Args:
        objects: of the scene.
        corners: float64 (N, 8, 3), corners of their boxes in the world, meters.
        pose: of the camera.
    """
    canvas = np.zeros((ESTIMATE_INTRINSICS.height, ESTIMATE_INTRINSICS.width), dtype=np.uint8)
    boxes = pose.to_optical(corners)
    distance = boxes[..., 2].mean(axis=1) + [1e3 * (item.label == "buffer") for item in objects]
    areas: dict[int, float] = {}
    outlines = _box_outlines(boxes, ESTIMATE_INTRINSICS)
    for index in np.argsort(-distance):
        outline = outlines[index]
        if outline is not None:
            id = objects[index].id
            cv2.fillConvexPoly(canvas, np.round(outline).astype(np.int32), id)
            areas[id] = cv2.contourArea(outline)
    counts = np.bincount(canvas.ravel(), minlength=256)
    return {
        id: float(min(counts[id] / max(area, 1.0), 1.0))
        for id, area in areas.items()
        if counts[id] >= NOTICEABLE_PIXELS
    }


def _box_outlines(
    boxes: NDArray[np.float64], intrinsics: CameraIntrinsics
) -> list[NDArray[np.float32] | None]:
    """Outlines in pixels of boxes (N, 8, 3) in the optical frame; None for one out of sight."""
    entire = np.all(boxes[..., 2] >= NEAR_M, axis=1)
    pixels = np.zeros((len(boxes), 8, 2), np.float32)
    pixels[entire] = _project(boxes[entire], intrinsics)
    low, high = pixels.min(axis=1), pixels.max(axis=1)
    beside = np.any((high < -1) | (low > (intrinsics.width, intrinsics.height)), axis=1)
    outlines: list[NDArray[np.float32] | None] = []
    for index in range(len(boxes)):
        if entire[index]:
            outlines.append(None if beside[index] else cv2.convexHull(pixels[index])[:, 0])
        else:
            outlines.append(next(iter(project_hulls(boxes[index : index + 1], intrinsics)), None))
    return outlines


def _box_corners(item: SceneObject) -> NDArray[np.float64]:
    """(8, 3) world corners of the bounding box."""
    signs = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) / 2
    return (signs * item.size) @ item.rotation.T + item.center


def project_hulls(
    hulls: NDArray[np.float64], intrinsics: CameraIntrinsics, near_m: float = NEAR_M
) -> list[NDArray[np.float32]]:
    """Outlines (M, 2) in pixels of convex hulls of points.

    What is nearer than `near_m` is cut off; a hull of which nothing remains has no outline.

    Args:
        hulls: float64 (N, K, 3), meters in the optical frame.
        intrinsics: of the camera.
        near_m: nearer parts are clipped.
    """
    entire = (hulls[..., 2] >= near_m).all(axis=1)
    outlines = list(_project(hulls[entire], intrinsics))
    for hull in hulls[~entire]:
        clipped = clip_near(hull, near_m)
        if len(clipped) >= 3:
            outlines.append(_project(clipped, intrinsics))
    return [cv2.convexHull(outline)[:, 0] for outline in outlines]


def _project(points: NDArray[np.float64], intrinsics: CameraIntrinsics) -> NDArray[np.float32]:
    """Pixels (..., 2) of points (..., 3) in front of the camera, far ones outside cut off."""
    scaled = points[..., :2] / points[..., 2:]
    pixels = scaled * (intrinsics.fx, intrinsics.fy) + (intrinsics.cx, intrinsics.cy)
    return np.clip(pixels, -PIXEL_LIMIT, PIXEL_LIMIT).astype(np.float32)


def clip_near(points: NDArray[np.float64], near_m: float) -> NDArray[np.float64]:
    """Points whose hull is the part of the hull of points (K, 3) that lies beyond z = near_m."""
    inside = points[:, 2] >= near_m
    if inside.all():
        return points
    front, behind = points[inside], points[~inside]
    if len(front) == 0:
        return front
    fraction = (near_m - behind[None, :, 2]) / (front[:, None, 2] - behind[None, :, 2])
    crossing = behind[None] + fraction[..., None] * (front[:, None] - behind[None])
    return np.concatenate([front, crossing.reshape(-1, 3)])
