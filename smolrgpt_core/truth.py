"""What is true of a simulated frame, in the camera's optical frame. Never for answering."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ObjectTruth:
    """What is true of one object that has a region in the frame.

    Attributes:
        id, label: as in the frame's regions.
        center: (3,) middle of the bounding box, meters, optical frame.
        size: (3,) bounding box along the object's own axes, meters; a buffer has no height.
        rotation: (3, 3) object axes to the optical frame; the object's z axis points up.
        visible_fraction: visible pixels / pixels that the object would have if nothing stood in
            front and the image had no border, 0 to 1, exact to about 0.02. What is nearer than
            0.2 m or behind the camera does not count.
        buffer_ids: the buffers in which the middle of the object's footprint lies.
        cargo_id: the pallet that a transporter carries, in the frame or not; None without one.
        color: one of `scene.spatial_scene.COLORS` for what is known by a single one, which are
            transporters by their paint; empty for anything else. Not published.
        has_front: whether the object's x axis points out of its front: so of a truck, out of the
            end away from its forks. Not published.
    """

    id: int
    label: str
    center: NDArray[np.float64]
    size: NDArray[np.float64]
    rotation: NDArray[np.float64]
    visible_fraction: float
    buffer_ids: tuple[int, ...]
    cargo_id: int | None = None
    color: str = ""
    has_front: bool = False

    @property
    def loaded(self) -> bool:
        """Whether this is a transporter that carries a pallet."""
        return self.cargo_id is not None


@dataclass(frozen=True, eq=False)
class SceneTruth:
    """What is true of one frame.

    Attributes:
        seed: of the scene.
        objects: one for each region, in the order of the regions.
        up: (3,) unit vector that points away from the floor, optical frame.
        camera_height: of the optical center above the floor, meters.
    """

    seed: int
    objects: tuple[ObjectTruth, ...]
    up: NDArray[np.float64]
    camera_height: float

    def __getitem__(self, id: int) -> ObjectTruth:
        """The truth of one region.

        Raises:
            KeyError: no region of the frame has this id.
        """
        for item in self.objects:
            if item.id == id:
                return item
        raise KeyError(f"no object {id} in this frame, only {[item.id for item in self.objects]}")
