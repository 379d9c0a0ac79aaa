"""Records about one image as what an answerer takes: one frame, and a question for each record.

All masks that the records of an image name are regions of its frame, as a segmenter would give
them; a mask that several of them use is one region. Labels are the nouns of the questions. True
answers are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from smolrgpt_core.data.samples import DepthFile, ImageFile
from smolrgpt_core.data.warehouse_format import (
    CameraRecord,
    SplitFolder,
    WarehouseRecord,
    mask_key,
    placeholders_in,
)
from smolrgpt_core.errors import SpatialError, Status, bad_input, bad_question
from smolrgpt_core.files import file_error
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.label_rules import class_in
from smolrgpt_core.language import CATEGORIES, MASK, SpatialQuestion, read_question
from smolrgpt_core.language.mask_labels import mask_labels
from smolrgpt_core.object_classes import is_known
from smolrgpt_core.regions import Region, RegionSet, check_rle_form


@dataclass(frozen=True)
class AskedRecord:
    """A record as a question about the frame of its image.

    Attributes:
        record: the record.
        region_ids: of its masks, in order.
        question: with roles; None where its words cannot be read, or its masks are broken.
        problem: why there is no question.
    """

    record: WarehouseRecord
    region_ids: tuple[int, ...] = ()
    question: SpatialQuestion | None = None
    problem: SpatialError | None = None

    def as_text(self) -> SpatialQuestion:
        """A question without roles, for an answerer that reads the text itself.

        Raises:
            SpatialError: the problem, where more than its words is wrong, or it has no category.
        """
        category = CATEGORIES.get(self.record.category)
        if self.problem is not None and (
            self.problem.status is not Status.BAD_QUESTION or category is None
        ):
            raise self.problem
        if category is None:
            raise bad_question(f"record {self.record.id!r} has no category to answer in")
        return SpatialQuestion(
            category,
            self.record.question,
            self.region_ids,
            candidate_ids=self.region_ids,
        )


def read_image(
    folder: SplitFolder, records: Sequence[WarehouseRecord], camera: CameraRecord
) -> tuple[RGBDFrame, list[AskedRecord]]:
    """The frame of an image, and the questions about it.

    Args:
        folder: where the files are.
        records: all about the same image.
        camera: of the image.

    Raises:
        SpatialError: BAD_INPUT that names the file when the image or its depth cannot be used. A
            record that cannot be used has a problem instead.
    """
    image = records[0].image
    rgb = ImageFile(folder.image_path(image)).read()
    size = (camera.intrinsics.height, camera.intrinsics.width)
    if rgb.shape[:2] != size:
        raise file_error(
            folder.image_path(image),
            f"expected an image of (height, width) {size} as calibrated, found {rgb.shape[:2]}",
        )
    file = DepthFile(folder.depth_path(image), meters_per_unit=camera.depth_scale)
    depth = file.read_readings()
    regions, asked = _regions_of(records, size)
    frame = RGBDFrame(rgb, depth.meters, camera.intrinsics, regions, depth_loss=depth.loss)
    return frame, [_read(item, regions) for item in asked]


def _regions_of(
    records: Sequence[WarehouseRecord], image_size: tuple[int, int]
) -> tuple[RegionSet, list[AskedRecord]]:
    """Every mask of the records, each once, and which of them each record names."""
    regions: dict[tuple[str, str], Region] = {}
    asked = []
    for record in records:
        try:
            ids = _add_regions(record, image_size, regions)
        except SpatialError as problem:
            asked.append(AskedRecord(record, problem=problem))
            continue
        asked.append(AskedRecord(record, ids))
    return RegionSet(image_size, tuple(regions.values())), asked


def _add_regions(
    record: WarehouseRecord,
    image_size: tuple[int, int],
    regions: dict[tuple[str, str], Region],
) -> tuple[int, ...]:
    """Ids of the masks of a record, new regions added; all of them, or none."""
    _check_masks(record)
    labels = mask_labels(record.question)
    found = dict(regions)
    ids = []
    for place, label in enumerate(labels):
        region = _region_of(record, place, class_in(label) or label, image_size, found)
        ids.append(region.id)
    regions.update(found)
    return tuple(ids)


def _region_of(
    record: WarehouseRecord,
    place: int,
    label: str,
    image_size: tuple[int, int],
    found: dict[tuple[str, str], Region],
) -> Region:
    """The region of one mask of a record; a new one is added to those found so far."""
    rle = record.question_rle[place]
    key = mask_key(rle)
    try:
        region = found.get(key) or Region.from_rle(len(found), label, rle)
    except SpatialError as error:
        raise _bad_mask(record, place, error.message) from error
    size = tuple(rle["size"])
    if size != image_size:
        raise _bad_mask(
            record,
            place,
            f"it is for (height, width) {size}, but the image has {image_size}",
        )
    named = _is_more_specific(label, region.label)
    found[key] = replace(region, label=label) if named else region
    return region


def _is_more_specific(label: str, other: str) -> bool:
    """Whether one name of a region says more of what it is than another."""
    return (is_known(label), bool(label)) > (is_known(other), bool(other))


def _check_masks(record: WarehouseRecord) -> None:
    """One mask for each `<mask>` of all turns, and each of them RLE."""
    for place, rle in enumerate(record.rle):
        try:
            check_rle_form(rle)
        except SpatialError as error:
            raise _bad_mask(record, place, error.message) from error
    placeholders = placeholders_in(record.dialogue)
    if placeholders != len(record.rle):
        raise SpatialError(
            Status.BAD_QUESTION if not record.rle else Status.BAD_INPUT,
            f"record {record.id!r} has {placeholders} {MASK} but {len(record.rle)} masks; there "
            "must be one for each, in order",
        )


def _bad_mask(record: WarehouseRecord, place: int, problem: str) -> SpatialError:
    return bad_input(f"record {record.id!r}, mask {place}: {problem}")


def _read(item: AskedRecord, regions: RegionSet) -> AskedRecord:
    if item.problem is not None:
        return item
    category = CATEGORIES.get(item.record.category)
    text = item.record.question
    try:
        named = _as_called(regions, dict(zip(item.region_ids, mask_labels(text), strict=True)))
        question = read_question(text, named, category, item.region_ids)
    except SpatialError as problem:
        return replace(item, problem=problem)
    return replace(item, question=question)


def _as_called(regions: RegionSet, labels: Mapping[int, str]) -> RegionSet:
    """The regions by the nouns of one question; another may call the same mask otherwise."""
    if all(not label or regions[id].label == label for id, label in labels.items()):
        return regions
    called = [replace(region, label=labels.get(region.id) or region.label) for region in regions]
    return RegionSet(regions.image_size, tuple(called))
