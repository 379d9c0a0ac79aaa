"""Spatial question answering about the regions of an RGB-D frame. Independent of ROS."""

from smolrgpt_core.answer import Agreement, SpatialAnswer, Status
from smolrgpt_core.answerers import Answerer, make_answerer
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.language import Category, SpatialQuestion, read_question
from smolrgpt_core.regions import Region, RegionSet

__all__ = [
    "Agreement",
    "Answerer",
    "CameraIntrinsics",
    "Category",
    "RGBDFrame",
    "Region",
    "RegionSet",
    "SpatialAnswer",
    "SpatialError",
    "SpatialQuestion",
    "Status",
    "make_answerer",
    "read_question",
]
