"""What varies between the scenes of a simulated data set, and its YAML file.

Every value has its default here, in the dataclasses; a YAML file names only what it changes.
`config/randomization.yaml` shows all defaults.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import file_error
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.settings_file import from_entries, read_yaml, to_entries
from smolrgpt_core.sim.config import RenderOptions, WarehouseConfig
from smolrgpt_core.sim.noise import SensorNoise
from smolrgpt_core.simulated_data.hall_words import HallWords
from smolrgpt_core.synthesis.margins import AmbiguityMargins

_STRENGTHS = (
    "depth_noise_per_m", "dropout_fraction", "dropout_blobs", "flying_fraction",
    "edge_dropout_fraction", "exposure_deviation", "white_balance_deviation", "color_noise",
)  # fmt: skip
"""Fields of `SensorNoise` that set how strong a disturbance is, not what kind of camera it is."""


@dataclass(frozen=True)
class CameraRandomization:
    """The pinhole camera of a scene; square pixels, principal point in the middle.

    Attributes:
        width, height: image size in pixels.
        vertical_fov_deg: range (lowest, highest) of the vertical field of view.

    Raises:
        SpatialError: BAD_INPUT, naming the field that is wrong.
    """

    width: int = 640
    height: int = 480
    vertical_fov_deg: tuple[float, float] = (45.0, 65.0)

    def __post_init__(self) -> None:
        for name in ("width", "height"):
            size = getattr(self, name)
            if not 32 <= size <= 4096:
                raise bad_input(
                    f"CameraRandomization.{name} must lie within 32 to 4096, got {size!r}"
                )
        _check_range("CameraRandomization.vertical_fov_deg", self.vertical_fov_deg, 20.0, 110.0)

    def draw(self, rng: np.random.Generator) -> CameraIntrinsics:
        """The camera of one scene."""
        angle = float(rng.uniform(*self.vertical_fov_deg))
        return CameraIntrinsics.from_vertical_fov(self.width, self.height, angle)


@dataclass(frozen=True)
class Randomization:
    """All ranges of a simulated data set.

    Attributes:
        warehouse: ranges of the scenes.
        camera: ranges of the camera.
        rendering: quality of the images; the same for all scenes.
        noise: disturbances of a frame at full strength.
        noise_fraction: frames that are disturbed at all.
        noise_strength: range of the factor on the strengths of `noise`, drawn for each frame.
        margins: which questions are too close to call.
        words: what the people of the hall call things, and how they ask.

    Raises:
        SpatialError: BAD_INPUT, naming the field that is wrong.
    """

    warehouse: WarehouseConfig = field(default_factory=WarehouseConfig)
    camera: CameraRandomization = field(default_factory=CameraRandomization)
    rendering: RenderOptions = field(
        default_factory=lambda: RenderOptions(shadow_pixels=2048, supersampling=1)
    )
    noise: SensorNoise = field(default_factory=SensorNoise)
    noise_fraction: float = 0.8
    noise_strength: tuple[float, float] = (0.2, 1.0)
    margins: AmbiguityMargins = field(default_factory=AmbiguityMargins)
    words: HallWords = field(default_factory=HallWords)

    def __post_init__(self) -> None:
        if not 0.0 <= self.noise_fraction <= 1.0:
            raise bad_input(f"noise_fraction must be from 0 to 1, got {self.noise_fraction!r}")
        _check_range("noise_strength", self.noise_strength, 0.0, 1.0)

    def draw_noise(self, rng: np.random.Generator) -> SensorNoise | None:
        """The disturbance of one frame, None for none."""
        if rng.random() >= self.noise_fraction:
            return None
        factor = float(rng.uniform(*self.noise_strength))
        return replace(
            self.noise, **{name: factor * getattr(self.noise, name) for name in _STRENGTHS}
        )

    def refuse_words(self, what: str) -> None:
        """Check that there are no words of the hall where nothing could be done with them.

        Args:
            what: is made instead of a data set of the four categories, for the message.

        Raises:
            SpatialError: BAD_INPUT when there are some.
        """
        if self.words:
            raise bad_input(
                f"the section `words` of the randomization is for data sets of the four categories "
                f"of questions (also as the mixture warehouse); {what} does not use it: remove it "
                "from the file"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a YAML or JSON file has them."""
        return to_entries(self)

    @classmethod
    def from_dict(cls, entries: Any) -> Randomization:
        """Defaults with the given values in their place.

        Raises:
            SpatialError: BAD_INPUT, naming the key that is unknown or whose value is wrong.
        """
        return from_entries(cls, entries, cls())


def read_randomization(path: Path) -> Randomization:
    """Read a YAML file.

    Raises:
        ImportError: PyYAML is missing; the message says how to get it.
        SpatialError: BAD_INPUT that names the file, and the key that is unknown or wrong.
    """
    entries = read_yaml(path, "a file of randomization")
    try:
        return Randomization.from_dict(entries)
    except SpatialError as error:
        raise file_error(path, error.message) from error


def _check_range(name: str, value: tuple[float, ...], lowest: float, highest: float) -> None:
    if len(value) != 2 or not lowest <= value[0] <= value[1] <= highest:
        raise bad_input(
            f"{name} must be a range (low, high) within {lowest} to {highest}, got {value}"
        )
