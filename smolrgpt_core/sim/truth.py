"""What the simulator knows about one frame: the truth of every object that has a region."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.sim.camera import CameraPose
from smolrgpt_core.sim.camera_path import project_hulls
from smolrgpt_core.sim.objects import SceneObject
from smolrgpt_core.sim.pallets import load_color
from smolrgpt_core.sim.scene import Scene
from smolrgpt_core.sim.transporters import TransporterKind, body_color
from smolrgpt_core.truth import ObjectTruth, SceneTruth

SILHOUETTE_PIXELS = 800
"""Longer side of the canvas on which the full silhouette of an object is counted."""
NEAR_M = 0.2


def frame_truth(
    scene: Scene, pose: CameraPose, intrinsics: CameraIntrinsics, regions: RegionSet
) -> SceneTruth:
    """Ground truth of the objects that have a region.

    Args:
        scene: of the frame.
        pose: of the camera.
        intrinsics: of the camera.
        regions: of the frame.
    """
    objects = tuple(
        _object_truth(scene, scene[region.id], region.area, pose, intrinsics) for region in regions
    )
    up = pose.world_from_optical.T @ (0.0, 0.0, 1.0)
    return SceneTruth(scene.seed, objects, up, float(pose.position[2]))


def _object_truth(
    scene: Scene, item: SceneObject, visible: int, pose: CameraPose, intrinsics: CameraIntrinsics
) -> ObjectTruth:
    return ObjectTruth(
        id=item.id,
        label=item.label,
        center=pose.to_optical(item.center),
        size=item.size.copy(),
        rotation=pose.world_from_optical.T @ item.rotation,
        visible_fraction=float(min(1.0, visible / full_silhouette_area(item, pose, intrinsics))),
        buffer_ids=tuple(id for id, margin in scene.buffer_margins(item).items() if margin > 0),
        cargo_id=item.cargo_id if item.loaded else None,
        color=body_color(item.parts) or load_color(item.parts),
        has_front=item.kind == TransporterKind.FORK.value,
    )


def full_silhouette_area(
    item: SceneObject, pose: CameraPose, intrinsics: CameraIntrinsics
) -> float:
    """Pixels that an object would cover alone in an image without border, at least 1.

    Its convex parts are painted on a canvas scaled to the object, so small objects are measured
    as well as large ones.

    Args:
        item: the object.
        pose: of the camera.
        intrinsics: of the camera.
    """
    outlines = _outlines(item, pose, intrinsics)
    if not outlines:
        return 1.0
    everything = np.concatenate(outlines)
    low = everything.min(axis=0)
    extent = float((everything.max(axis=0) - low).max())
    scale = SILHOUETTE_PIXELS / max(extent, 1e-6)
    canvas = np.zeros((SILHOUETTE_PIXELS + 2, SILHOUETTE_PIXELS + 2), np.uint8)
    for outline in outlines:
        corners = np.round((outline - low) * scale * 16).astype(np.int32)
        cv2.fillConvexPoly(canvas, corners, 1, shift=4)
    return max(1.0, float(np.count_nonzero(canvas)) / scale**2)


def _outlines(
    item: SceneObject, pose: CameraPose, intrinsics: CameraIntrinsics
) -> list[NDArray[np.float32]]:
    """Outlines (M, 2) in pixels of the parts of an object."""
    outlines = []
    for hulls in item.world_hulls:
        outlines += project_hulls(pose.to_optical(hulls), intrinsics, NEAR_M)
    return outlines
