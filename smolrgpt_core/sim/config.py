"""Content of a procedural warehouse, and rendering quality.

Ranges only; the scene itself is drawn from a seed.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal, get_args

from smolrgpt_core.errors import bad_input, bad_setting

NEAR_M = 0.1
FAR_M = 200.0
"""Clipping planes of the renderer: nothing nearer or farther is rendered."""

CameraView = Literal["robot", "ceiling", "any"]
"""Where the camera rides: on a robot, under the ceiling, or one of them by the scene's seed."""

LABEL_ID_RANGES = {
    "buffer": range(1, 10),
    "pallet": range(10, 60),
    "transporter": range(60, 80),
    "shelf": range(80, 100),
    "person": range(100, 120),
    "forklift": range(120, 130),
    "cage": range(130, 150),
    "drum": range(150, 170),
    "cone": range(170, 190),
    "door": range(190, 200),
}
"""Ids that the objects of a label get, in every scene."""

EXTRA_LABELS = ("person", "forklift", "cage", "drum", "cone", "door")
"""What a scene has only where the configuration asks for it."""


@dataclass(frozen=True)
class WarehouseConfig:
    """Ranges (lowest, highest) from which a scene is drawn; fractions are probabilities.

    Attributes:
        hall_length_m, hall_width_m, hall_height_m: inner size of the hall.
        buffers: number of painted buffers.
        buffer_side_m: length of a side of a buffer.
        pallets: number of pallets that are regions: on the floor, stacked, or carried.
        pallet_fraction_in_buffer: floor pallets that are placed inside a buffer.
        pallet_fraction_on_edge: floor pallets that straddle the edge of a buffer.
        pallet_fraction_stacked: floor pallets that carry a second pallet.
        pallet_fraction_empty: pallets without a load.
        load_height_m: height of a load above its pallet, 1.6 at most.
        transporters: number of transporters.
        transporter_fraction_loaded: transporters that carry a pallet; of two or more, one is always
            empty and one always loaded unless the fraction is 0 or 1.
        shelves: number of rack bays.
        persons, forklifts, cages, drums, cones: number of each that stand about the hall; fewer
            where it has no room for more. They take nothing from the others: the rest of a scene
            is the same with and without them.
        doors: number of doors that are regions, in the walls at the ends of the hall.
        light_level: brightness of the hall, 1 = bright daylight white.
        camera_view: where the camera rides.
        robot_camera_height_m, ceiling_camera_height_m: height of the camera above the floor.

    Raises:
        SpatialError: BAD_INPUT, naming the field that is wrong.
    """

    hall_length_m: tuple[float, float] = (24.0, 34.0)
    hall_width_m: tuple[float, float] = (15.5, 19.0)
    hall_height_m: tuple[float, float] = (6.8, 8.5)
    buffers: tuple[int, int] = (2, 4)
    buffer_side_m: tuple[float, float] = (2.5, 6.0)
    pallets: tuple[int, int] = (14, 26)
    pallet_fraction_in_buffer: float = 0.55
    pallet_fraction_on_edge: float = 0.08
    pallet_fraction_stacked: float = 0.12
    pallet_fraction_empty: float = 0.12
    load_height_m: tuple[float, float] = (0.2, 1.6)
    transporters: tuple[int, int] = (2, 5)
    transporter_fraction_loaded: float = 0.5
    shelves: tuple[int, int] = (5, 12)
    persons: tuple[int, int] = (0, 0)
    forklifts: tuple[int, int] = (0, 0)
    cages: tuple[int, int] = (0, 0)
    drums: tuple[int, int] = (0, 0)
    cones: tuple[int, int] = (0, 0)
    doors: tuple[int, int] = (0, 0)
    light_level: tuple[float, float] = (0.8, 1.1)
    camera_view: CameraView = "any"
    robot_camera_height_m: tuple[float, float] = (1.2, 2.0)
    ceiling_camera_height_m: tuple[float, float] = (4.0, 6.0)

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, tuple):
                _check_range(field.name, value, *_BOUNDS[field.name])
            elif "fraction" in field.name and not 0.0 <= value <= 1.0:
                raise bad_setting(f"WarehouseConfig.{field.name}", "a fraction from 0 to 1", value)
        if self.camera_view not in get_args(CameraView):
            raise bad_setting(
                "WarehouseConfig.camera_view", f"one of {get_args(CameraView)}", self.camera_view
            )
        if self.pallet_fraction_in_buffer + self.pallet_fraction_on_edge > 1.0:
            raise bad_setting(
                "WarehouseConfig.pallet_fraction_in_buffer + pallet_fraction_on_edge",
                "at most 1",
                self.pallet_fraction_in_buffer + self.pallet_fraction_on_edge,
            )


_BOUNDS: dict[str, tuple[float, float]] = {
    "hall_length_m": (16.0, 60.0),
    "hall_width_m": (14.0, 40.0),
    "hall_height_m": (6.0, 15.0),
    "buffers": (0, len(LABEL_ID_RANGES["buffer"])),
    "buffer_side_m": (1.5, 8.0),
    "pallets": (0, len(LABEL_ID_RANGES["pallet"])),
    "load_height_m": (0.1, 1.6),
    "transporters": (0, len(LABEL_ID_RANGES["transporter"])),
    "shelves": (0, len(LABEL_ID_RANGES["shelf"])),
    **{f"{label}s": (0, len(LABEL_ID_RANGES[label])) for label in EXTRA_LABELS},
    "light_level": (0.3, 1.5),
    "robot_camera_height_m": (0.3, 2.5),
    "ceiling_camera_height_m": (3.0, 6.0),
}


def _check_range(name: str, value: tuple, lowest: float, highest: float) -> None:
    """Refuse a range that is not two ascending numbers within the bounds of its field."""
    expected = f"a range (low, high) within {lowest} to {highest}"
    if len(value) != 2 or not lowest <= value[0] <= value[1] <= highest:
        raise bad_setting(f"WarehouseConfig.{name}", expected, value)


@dataclass(frozen=True)
class RenderOptions:
    """Quality against speed.

    Attributes:
        shadows: objects cast shadows.
        reflections: the floor mirrors a little, like polished concrete.
        shadow_pixels: side of the shadow map.
        supersampling: color is rendered so many times wider and higher, and averaged; 1 is
            fastest and shows stairs along edges. Depth and masks are never averaged.
        max_range_m: depth beyond this is NaN.
        min_region_pixels: an object with fewer visible pixels has no region.

    Raises:
        SpatialError: BAD_INPUT, naming the field that is wrong.
    """

    shadows: bool = True
    reflections: bool = True
    shadow_pixels: int = 4096
    supersampling: int = 2
    max_range_m: float = 25.0
    min_region_pixels: int = 40

    def __post_init__(self) -> None:
        limits = {
            "shadow_pixels": (64, 8192),
            "supersampling": (1, 4),
            "max_range_m": (1.0, FAR_M),
            "min_region_pixels": (1, 1_000_000),
        }
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise bad_input(
                    f"RenderOptions.{name} must lie within {low} to {high}, got {value}",
                )
