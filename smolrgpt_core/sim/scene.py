"""A warehouse as plain data: objects and their poses. No rendering, no images.

World frame: x along the hall, y across it, z up, origin on the floor in the middle of the hall,
meters. A scene follows from its seed and configuration alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from smolrgpt_core.errors import SpatialError, Status, bad_input
from smolrgpt_core.sim.camera import CameraPose
from smolrgpt_core.sim.camera_path import CameraPath, find_camera_path
from smolrgpt_core.sim.config import WarehouseConfig
from smolrgpt_core.sim.hall import Hall
from smolrgpt_core.sim.layout import lay_out_warehouse
from smolrgpt_core.sim.objects import SceneObject


@dataclass(frozen=True, eq=False)
class Scene:
    """Everything in one hall.

    Attributes:
        seed: that the scene was drawn from.
        config: the ranges that it was drawn from.
        hall: the building.
        objects: buffers, pallets, transporters and shelves, by ascending id.
    """

    seed: int
    config: WarehouseConfig
    hall: Hall
    objects: tuple[SceneObject, ...]

    def __getitem__(self, id: int) -> SceneObject:
        """The object with this id.

        Raises:
            SpatialError: UNKNOWN_REGION, naming the ids that exist.
        """
        if id not in self._by_id:
            raise SpatialError(
                Status.UNKNOWN_REGION,
                f"scene {self.seed} has no object {id}, only {[*self._by_id]}",
            )
        return self._by_id[id]

    def with_label(self, label: str) -> list[SceneObject]:
        """The objects of one class."""
        return [item for item in self.objects if item.label == label]

    @cached_property
    def _by_id(self) -> dict[int, SceneObject]:
        return {item.id: item for item in self.objects}

    @cached_property
    def camera_path(self) -> CameraPath:
        """The closed way that the camera takes; position 0 is the best overview."""
        return find_camera_path(self.objects, self.hall, self.config, self.seed)

    def camera_poses(self, count: int) -> list[CameraPose]:
        """Poses at equal steps along the whole camera path, the overview first.

        Raises:
            SpatialError: BAD_INPUT when count is not positive.
        """
        if count < 1:
            raise bad_input(f"count of camera poses must be >= 1, got {count}")
        return [self.camera_path.pose(index / count) for index in range(count)]

    def buffer_margins(self, item: SceneObject) -> dict[int, float]:
        """Signed distance in meters from the middle of an object's footprint to each buffer's edge.

        Positive inside. Buffers and shelves have no margins: nothing asks whether they stand in a
        buffer.
        """
        if item.label in ("buffer", "shelf"):
            return {}
        x, y = item.footprint_center
        return {
            buffer.id: buffer.footprint.signed_distance(x, y)
            for buffer in self.with_label("buffer")
        }


def build_scene(seed: int, config: WarehouseConfig = WarehouseConfig()) -> Scene:  # noqa: B008
    """Draw a scene. The same seed and configuration give the same scene on every machine.

    Raises:
        SpatialError: BAD_INPUT when the seed is negative, or the hall has no room for the smallest
            number of objects that the configuration asks for.
    """
    if seed < 0:
        raise bad_input(f"the seed of a scene must be >= 0, got {seed}")
    hall, objects = lay_out_warehouse(seed, config)
    return Scene(seed, config, hall, tuple(sorted(objects, key=lambda item: item.id)))
