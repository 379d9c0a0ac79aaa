"""What every reader of region files is given, and what they share."""

from __future__ import annotations

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


@dataclass(frozen=True)
class RegionFile:
    """A file with the regions of one image.

    Attributes:
        path: of the file.
        image_size: (height, width) of the image that was segmented.
        image_name: file name of that image, to find it among others; empty if it has none.
        labels: of the numbers in a form that has no names; None if they stand beside the file.
    """

    path: Path
    image_size: tuple[int, int]
    image_name: str = ""
    labels: InstanceLabels | None = None

    def label_of(self, number: int, otherwise: str = "") -> str:
        """Label of a number by `labels`."""
        return (self.labels or InstanceLabels())[number] or otherwise

    def check_size(self, height: Any, width: Any) -> None:
        """Refuse the regions of an image of another size.

        Raises:
            ValueError: with both sizes.
        """
        if (height, width) != self.image_size:
            raise ValueError(
                f"expected regions of an image of (height, width) {self.image_size}, found "
                f"{(height, width)}; masks and image must have the same resolution"
            )

    def pick_image(self, names: Sequence[str]) -> int:
        """Index of the image that is asked about, of all that a file describes.

        Raises:
            ValueError: when none or several could be meant.
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
            f"{'several' if fitting else 'none'} of them named {self.image_name!r}; leave the "
            "entries of one image, or give the image the name that it has there"
        )

    def regions(self, made: Sequence[Region]) -> RegionSet:
        """All regions of the image."""
        return RegionSet(self.image_size, tuple(made))


Reader = Callable[[RegionFile], RegionSet]
JsonReader = Callable[[RegionFile, Any], RegionSet]


def ids_for(labels: Sequence[str]) -> list[int]:
    """Ids for objects that have none: the numbers in their labels if all differ, else from 1 on.

    So "pallet 12" is the object that its file calls "pallet_12".
    """
    numbers = [number_in(label) for label in labels]
    if None not in numbers and len(set(numbers)) == len(numbers):
        return [number for number in numbers if number is not None]
    return list(range(1, len(labels) + 1))


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors name the file, unless they name one already."""
    try:
        yield
    except FileError:
        raise
    except (SpatialError, ValueError) as error:
        raise file_error(path, str(error)) from error


@contextmanager
def part(name: str) -> Iterator[None]:
    """Let errors name the part of a file that they are about."""
    try:
        yield
    except (SpatialError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error


def entry(value: Any, *keys: str) -> Sequence[Any]:
    """The values of keys that an entry must have.

    Raises:
        ValueError: naming those that are missing.
    """
    missing = [key for key in keys if not isinstance(value, dict) or key not in value]
    if missing:
        raise ValueError(f"expected an object with {', '.join(keys)}; {missing[0]} is missing")
    return [value[key] for key in keys]
