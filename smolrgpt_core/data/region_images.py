"""Images with all their regions: what a segmenter learns from.

One folder:

DIR/images/NAME.png       color
DIR/regions/NAME.png      instance image: the value of a pixel is the id of its region
DIR/regions/NAME.json     labels by id; written last, so the image is complete
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.files import file_error, read_rgb, write_file, write_image
from smolrgpt_core.region_files import read_regions
from smolrgpt_core.regions import RegionSet


@dataclass(frozen=True)
class RegionImages:
    """A folder of images with their regions.

    Attributes:
        folder: with `images` and `regions`.
    """

    folder: Path

    def image_path(self, name: str) -> Path:
        """The color image of a name."""
        return self.folder / "images" / f"{name}.png"

    def regions_path(self, name: str) -> Path:
        """The instance image of a name; its labels stand beside it, as JSON."""
        return self.folder / "regions" / f"{name}.png"

    def is_complete(self, name: str) -> bool:
        """Whether all files of a name are there."""
        return self.regions_path(name).with_suffix(".json").exists()

    def names(self) -> list[str]:
        """Names of the complete images, sorted.

        Raises:
            SpatialError: BAD_INPUT when there is none.
        """
        names = sorted(path.stem for path in (self.folder / "regions").glob("*.json"))
        if not names:
            raise file_error(
                self.folder,
                "expected images with regions, found none; create them with python -m "
                "smolrgpt_core.simulated_data.region_images",
            )
        return names

    def read(self, name: str) -> tuple[NDArray[np.uint8], RegionSet]:
        """Color, uint8 (H, W, 3), and the regions of an image.

        Raises:
            SpatialError: BAD_INPUT when a file cannot be read.
        """
        rgb = read_rgb(self.image_path(name))
        return rgb, read_regions(self.regions_path(name), (rgb.shape[0], rgb.shape[1]))

    def write(self, name: str, rgb: NDArray[np.uint8], regions: RegionSet) -> None:
        """Write an image and its regions, whose ids must be 1 to 255.

        Args:
            name: of the files.
            rgb: uint8 (H, W, 3).
            regions: of the image.
        """
        labels = json.dumps({str(region.id): region.label for region in regions})
        write_image(self.image_path(name), rgb)
        write_image(self.regions_path(name), regions.to_label_image().astype(np.uint8))
        write_file(self.regions_path(name).with_suffix(".json"), labels.encode())
