"""The facts about each object of a frame: its cleaned points, their box, and the fitted box."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.extras import require
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.object_classes import is_zone
from smolrgpt_core.regions import Region
from smolrgpt_core.scene.measured_scene import MeasuredScene
from smolrgpt_core.scene.spatial_scene import Placed

if TYPE_CHECKING:
    from smolrgpt_core.perception.cleaning import ObjectCloud


@dataclass(frozen=True)
class ObjectFilter:
    """Which objects are asked about; the defaults are SpatialRGPT's.

    Attributes:
        min_score: confidence of the segmenter.
        max_box_fraction: of the image, that the box of a mask may cover.
        min_volume_m3: of the box of the cleaned points.
        min_cluster_fraction: readings under the mask that must be in the largest cluster: with
            fewer, the mask shows several things.

    Raises:
        ValueError: for a fraction outside of 0 to 1, or a negative volume.
    """

    min_score: float = 0.3
    max_box_fraction: float = 0.75
    min_volume_m3: float = 1e-6
    min_cluster_fraction: float = 0.5

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            largest = np.inf if item.name == "min_volume_m3" else 1
            if not 0 <= value <= largest:
                raise ValueError(f"{item.name} must be between 0 and {largest}, got {value}")


def why_skipped(
    region: Region,
    cloud: ObjectCloud | None,
    image_size: tuple[int, int],
    rules: ObjectFilter,
) -> str:
    """Why an object is not asked about; empty if it is.

    Args:
        region: of the object.
        cloud: its cleaned points, with a level box; None if too few are connected.
        image_size: (height, width).
        rules: what is asked about.
    """
    covered = region.box.width * region.box.height / (image_size[0] * image_size[1])
    if region.score < rules.min_score:
        return f"its score is {region.score:.2f}, expected at least {rules.min_score:g}"
    if is_zone(region):
        # Painted on the floor: what stands in it splits it, and it fills no volume.
        return ""
    if covered > rules.max_box_fraction:
        return (
            f"its box covers {covered:.0%} of the image, but may cover at most "
            f"{rules.max_box_fraction:.0%}"
        )
    if cloud is None or cloud.level_box is None:
        return "the readings under its mask form no cluster"
    clustered = len(cloud.points) / cloud.raw_count
    if clustered < rules.min_cluster_fraction:
        return f"its largest cluster has {clustered:.0%} of the readings under its mask"
    if float(np.prod(cloud.level_box.size)) < rules.min_volume_m3:
        return "its points fill no volume"
    return ""


@dataclass(frozen=True, eq=False)
class KnownObject:
    """One object of a frame.

    Attributes:
        region: of the object.
        cloud: its cleaned points; None for a zone, or if too few are connected.
        placed: its fitted box; None where it cannot be measured.
        skipped: why it is not asked about; empty if it is.
    """

    region: Region
    cloud: ObjectCloud | None
    placed: Placed | None
    skipped: str

    def to_json(self) -> dict[str, Any]:
        """Plain values, meters: `visible_box` in the optical frame, all else in the floor frame."""
        entry: dict[str, Any] = {
            "id": self.region.id,
            "label": self.region.label,
            "score": round(self.region.score, 4),
            "skipped": self.skipped,
        }
        if self.cloud is not None:
            box = self.cloud.camera_box
            entry["readings"] = self.cloud.raw_count
            entry["readings_kept"] = len(self.cloud.points)
            entry["visible_box"] = [_rounded(box.low), _rounded(box.high)]
        if self.placed is not None:
            entry["center"] = _rounded(self.placed.center)
            entry["center_std"] = _rounded(self.placed.center_std)
            entry["yaw"] = round(self.placed.yaw, 4)
            entry["size"] = _rounded(self.placed.size)
            entry["size_std"] = _rounded(self.placed.size_std)
            entry["notes"] = list(self.placed.notes)
        return entry


def know(frame: RGBDFrame, scene: MeasuredScene, rules: ObjectFilter) -> dict[int, KnownObject]:
    """The facts about every region of a frame, by id.

    Args:
        frame: with its regions.
        scene: measured in it.
        rules: which objects are asked about.

    Raises:
        ImportError: scikit-learn is missing; the message says how to get it.
    """
    require("sklearn", "perception", "cleaning the points of objects needs scikit-learn")
    from smolrgpt_core.perception.cleaning import clean_object

    found = {}
    scene.expect([region.id for region in frame.regions])
    for region in frame.regions:
        cloud = None
        if not is_zone(region):
            cloud = clean_object(region, frame.depth, frame.intrinsics, scene.axes[2])
        why = why_skipped(region, cloud, frame.regions.image_size, rules)
        placed = None
        try:
            placed = scene.place(region.id)
        except SpatialError as error:
            if error.status not in (Status.NO_VALID_DEPTH, Status.CANNOT_TELL):
                raise
            why = why or error.message
        found[region.id] = KnownObject(region, cloud, placed, why)
    return found


def _rounded(vector: NDArray[np.float64]) -> list[float]:
    return [round(float(number), 4) for number in vector]
