"""What is known of the regions of one frame, measured or true, in one form."""

from smolrgpt_core.scene.copies import SceneCopies
from smolrgpt_core.scene.spatial_scene import Placed, SpatialScene

__all__ = ["Placed", "SceneCopies", "SpatialScene"]
