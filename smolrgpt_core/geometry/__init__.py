"""Metric geometry of one RGB-D frame: points, the floor, boxes of objects, painted zones."""

from smolrgpt_core.geometry.back_projection import back_project, pixel_rays, project
from smolrgpt_core.geometry.box_fitting import OrientedBox, fit_box
from smolrgpt_core.geometry.floor_rectangle import FloorRectangle
from smolrgpt_core.geometry.frame_geometry import FrameGeometry, Located
from smolrgpt_core.geometry.ground_plane import GroundPlane, find_ground_plane
from smolrgpt_core.geometry.rigid_transform import RigidTransform
from smolrgpt_core.geometry.size_priors import SIZE_PRIORS, SizePrior
from smolrgpt_core.geometry.surface import Surface, measure_surface
from smolrgpt_core.geometry.zones import fit_zone, free_floor

__all__ = [
    "SIZE_PRIORS",
    "FloorRectangle",
    "FrameGeometry",
    "GroundPlane",
    "Located",
    "OrientedBox",
    "RigidTransform",
    "SizePrior",
    "Surface",
    "back_project",
    "find_ground_plane",
    "fit_box",
    "fit_zone",
    "free_floor",
    "measure_surface",
    "pixel_rays",
    "project",
]
