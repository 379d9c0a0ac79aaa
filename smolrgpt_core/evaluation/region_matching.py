"""Matches found regions with true objects, and counts those found.

A region is an object when it has its label and their masks overlap by half: intersection over
union of 0.5 or more, as COCO counts.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from smolrgpt_core.errors import bad_input
from smolrgpt_core.regions import RegionSet
from smolrgpt_core.truth import ObjectTruth, SceneTruth

MIN_IOU = 0.5

AREAS = {"small": (0, 32**2), "medium": (32**2, 96**2), "large": (96**2, 2**62)}
"""Ranges of the area in pixels by name, as COCO divides them; the upper end is excluded."""


@dataclass(frozen=True)
class RegionMatch:
    """A found region that is a true object.

    Attributes:
        true_id: of the object.
        found_id: of the region.
        iou: of their masks.
    """

    true_id: int
    found_id: int
    iou: float


def match_regions(true: RegionSet, found: RegionSet) -> tuple[RegionMatch, ...]:
    """Pairs of objects and regions with the same label, best overlap first, each in one pair.

    Args:
        true: objects of the image.
        found: regions of the same image.

    Raises:
        SpatialError: BAD_INPUT when the images differ in size.
    """
    if true.image_size != found.image_size:
        raise bad_input(
            f"expected regions of the same image, got (height, width) {true.image_size} and "
            f"{found.image_size}"
        )
    pairs = [
        RegionMatch(item.id, region.id, iou)
        for item in true
        for region in found.with_label(item.label)
        if (iou := item.iou(region)) >= MIN_IOU
    ]
    matches: list[RegionMatch] = []
    for pair in sorted(pairs, key=lambda pair: -pair.iou):
        if all(pair.true_id != m.true_id and pair.found_id != m.found_id for m in matches):
            matches.append(pair)
    return tuple(matches)


@dataclass(frozen=True, eq=False)
class FoundScene:
    """A true scene in the numbers of found regions.

    Questions about it can be asked where only the found regions are known, and the answers can be
    judged by what is true.

    Attributes:
        true: objects of the image with their true masks. One that was found has the id of its
            region; one that was not has an id that no region has.
        truth: what is true of them.
        named: `true`, and the found regions that are no object: all that an answer can name.
        matches: objects that were found, in their original numbers.
    """

    true: RegionSet
    truth: SceneTruth
    named: RegionSet
    matches: tuple[RegionMatch, ...]


def as_found(true: RegionSet, truth: SceneTruth, found: RegionSet) -> FoundScene:
    """The true scene in the numbers of the found regions.

    Args:
        true: objects of the image.
        truth: what is true of them.
        found: regions of the same image.

    Raises:
        SpatialError: BAD_INPUT when the images differ in size.
    """
    matches = match_regions(true, found)
    ids = {match.true_id: match.found_id for match in matches}
    unused = itertools.count(1 + max((region.id for region in found), default=0))
    # A buffer or a cargo may be known to the truth although the camera does not see it.
    mentioned = {id for item in truth.objects for id in item.buffer_ids}
    mentioned |= {item.cargo_id for item in truth.objects if item.cargo_id is not None}
    unfound = ({region.id for region in true} | mentioned) - ids.keys()
    ids |= dict(zip(sorted(unfound), unused, strict=False))
    objects = tuple(replace(item, id=ids[item.id]) for item in true)
    known = {match.found_id for match in matches}
    strays = tuple(region for region in found if region.id not in known)
    return FoundScene(
        RegionSet(true.image_size, objects),
        replace(truth, objects=tuple(_renumbered(item, ids) for item in truth.objects)),
        RegionSet(true.image_size, objects + strays),
        matches,
    )


def _renumbered(item: ObjectTruth, ids: Mapping[int, int]) -> ObjectTruth:
    return replace(
        item,
        id=ids[item.id],
        buffer_ids=tuple(ids[id] for id in item.buffer_ids),
        cargo_id=None if item.cargo_id is None else ids[item.cargo_id],
    )


@dataclass
class RegionScores:
    """How many objects were found, over several images.

    Attributes:
        images: number of images.
        objects, found: numbers of objects by label, and of those that were found.
        overlap: sums of the overlaps of the objects found, by label.
        false: numbers of regions that are no object, by label.
        objects_by_area, found_by_area: the same numbers by name of `AREAS`.
    """

    images: int = 0
    objects: dict[str, int] = field(default_factory=dict)
    found: dict[str, int] = field(default_factory=dict)
    overlap: dict[str, float] = field(default_factory=dict)
    false: dict[str, int] = field(default_factory=dict)
    objects_by_area: dict[str, int] = field(default_factory=dict)
    found_by_area: dict[str, int] = field(default_factory=dict)

    def add(self, true: RegionSet, found: RegionSet) -> tuple[RegionMatch, ...]:
        """Count an image.

        Args:
            true: its objects.
            found: its regions.

        Returns:
            The matches.
        """
        matches = match_regions(true, found)
        by_true = {match.true_id: match for match in matches}
        matched = {match.found_id for match in matches}
        self.images += 1
        for item in true:
            area = _area_name(item.area)
            _count(self.objects, item.label)
            _count(self.objects_by_area, area)
            if item.id in by_true:
                _count(self.found, item.label)
                _count(self.found_by_area, area)
                _count(self.overlap, item.label, by_true[item.id].iou)
        for region in found:
            if region.id not in matched:
                _count(self.false, region.label)
        return matches

    @property
    def found_fraction(self) -> float:
        """Fraction of the objects that were found, 0 to 1."""
        return sum(self.found.values()) / max(sum(self.objects.values()), 1)

    @property
    def mean_iou(self) -> float:
        """Mean overlap of the objects that were found, 0 to 1."""
        return sum(self.overlap.values()) / max(sum(self.found.values()), 1)

    @property
    def false_per_image(self) -> float:
        """Mean number of regions per image that match no object."""
        return sum(self.false.values()) / max(self.images, 1)

    def rows(self) -> Iterator[tuple[str, int, float, float, float]]:
        """Label, objects, fraction found, mean overlap of those, false regions per image.

        The last row is that of all labels.
        """
        for label in sorted(self.objects.keys() | self.false.keys()):
            found = self.found.get(label, 0)
            yield (
                label,
                self.objects.get(label, 0),
                found / max(self.objects.get(label, 0), 1),
                self.overlap.get(label, 0.0) / max(found, 1),
                self.false.get(label, 0) / max(self.images, 1),
            )
        total = sum(self.objects.values())
        yield "all", total, self.found_fraction, self.mean_iou, self.false_per_image


def _area_name(area: int) -> str:
    return next(name for name, (low, high) in AREAS.items() if low <= area < high)


def _count(counts: dict, key: str, number: float = 1) -> None:
    counts[key] = counts.get(key, 0) + number
