"""Input of all readers of region files, and their common functions."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import FileError, file_error
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.label_rules import number_in
from smolrgpt_core.regions import Region, RegionSet

_NAMES_SHOWN = 5

_EXPORTED = re.compile(r"^[0-9a-f]{8}-|_(png|jpe?g|bmp)\.rf\.\w+$")
"""What Label Studio puts before the name of an image, and Roboflow behind it."""


@dataclass(frozen=True)
class RegionFile:
    """A file with the regions of one image.

    Attributes:
        path: of the file.
        image_size: (height, width) of the segmented image.
        image_name: file name of that image, to find it among others; empty if it has none.
        labels: for the numbers in a format without names; None: from a file next to it.
    """

    path: Path
    image_size: tuple[int, int]
    image_name: str = ""
    labels: InstanceLabels | None = None

    def label_of(self, number: int, otherwise: str = "") -> str:
        """Label of a number from `labels`."""
        return (self.labels or InstanceLabels())[number] or otherwise

    def check_size(self, height: Any, width: Any) -> None:
        """Check that regions are for an image of this size.

        Raises:
            ValueError: they are not; the message has both sizes.
        """
        if (height, width) != self.image_size:
            raise ValueError(
                f"expected regions of an image of (height, width) {self.image_size}, found "
                f"{(height, width)}; masks and image must have the same resolution"
            )

    def pick_image(self, names: Sequence[str]) -> int:
        """Index of the image asked about, among all in the file.

        Raises:
            ValueError: none or several match.
        """
        stems = [Path(name.replace("\\", "/")).stem for name in names]
        fitting = [i for i, stem in enumerate(stems) if stem == Path(self.image_name).stem]
        if len(fitting) == 1:
            return fitting[0]
        if len(names) == 1:
            return 0
        shown = ", ".join(names[:_NAMES_SHOWN]) + (", ..." if len(names) > _NAMES_SHOWN else "")
        raise ValueError(
            f"the file is about {len(names)} images ({shown or 'none'}), "
            f"{'several' if fitting else 'none'} of them named {self.image_name!r}; keep only the "
            "entries of one image, or rename the image as in the file"
        )

    def regions(self, made: Sequence[Region], image_name: str = "") -> RegionSet:
        """All regions of the image, with a doubt if the file says that it is about another one.

        Args:
            made: in the order of the file.
            image_name: of the image that the file is about; empty if it does not say.

        Raises:
            ValueError: their coordinates are fractions of the image.
        """
        regions = RegionSet(self.image_size, tuple(made), doubt=self._name_doubt(image_name))
        if regions.is_in_fractions:
            raise ValueError(
                "all regions lie in the first two rows and columns of the image: their coordinates "
                "are fractions of the image; multiply them by its width and height"
            )
        return regions

    def _name_doubt(self, image_name: str) -> str:
        """Doubt about regions of an image with another name; empty if it is this image."""
        names = [Path(name.replace("\\", "/")).stem for name in (self.image_name, image_name)]
        asked, named = (_EXPORTED.sub("", name) for name in names)
        if not (asked and named) or asked == named:
            return ""
        return (
            f"the region file is about the image {image_name!r}, not {self.image_name!r}; if they "
            "are the same image, give both the same name"
        )


Reader = Callable[[RegionFile], RegionSet]
JsonReader = Callable[[RegionFile, Any], RegionSet]


def ids_for(labels: Sequence[str]) -> list[int]:
    """Ids for objects without ids: the numbers in their labels if all differ, otherwise from 1.

    So "pallet 12" is the object that its file calls "pallet_12".
    """
    numbers = [number_in(label) for label in labels]
    if None not in numbers and len(set(numbers)) == len(numbers):
        return [number for number in numbers if number is not None]
    return list(range(1, len(labels) + 1))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Add the file to errors, unless they already name one.

    Raises:
        SpatialError: BAD_INPUT; an error in the block, with the path.
    """
    try:
        yield
    except FileError:
        raise
    except (SpatialError, ValueError) as error:
        raise file_error(path, str(error)) from error


@contextmanager
def part(name: str) -> Iterator[None]:
    """Add the affected part of the file to errors.

    Raises:
        ValueError: an error in the block, with the name.
    """
    try:
        yield
    except (SpatialError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


def entry(value: Any, *keys: str) -> Sequence[Any]:
    """The values of required keys of an entry.

    Raises:
        ValueError: a key is missing; the message names it.
    """
    missing = [key for key in keys if not isinstance(value, dict) or key not in value]
    if missing:
        raise ValueError(f"expected an object with {', '.join(keys)}; {missing[0]} is missing")
    return [value[key] for key in keys]
