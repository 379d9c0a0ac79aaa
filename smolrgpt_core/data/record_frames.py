"""Records about one image as what an answerer takes: one frame, and a question for each record.

All masks that the records of an image name are regions of its frame, as a segmenter would give
them; a mask that several of them use is one region. Labels are the nouns of the questions. True
answers are not looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from smolrgpt_core.data.samples import DepthFile
from smolrgpt_core.data.warehouse_format import CameraRecord, SplitFolder, WarehouseRecord
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import file_error, read_rgb
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.question import CATEGORIES, SpatialQuestion, read_question
from smolrgpt_core.question.mask_labels import mask_labels
from smolrgpt_core.regions import Region, RegionSet


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
            raise SpatialError(
                Status.BAD_QUESTION, f"record {self.record.id!r} has no category to answer in"
            )
        return SpatialQuestion(
            category,
            self.record.question,
            self.region_ids,
            target_ids=self.region_ids,
            has_roles=False,
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
    rgb = read_rgb(folder.image_path(image))
    size = (camera.intrinsics.height, camera.intrinsics.width)
    if rgb.shape[:2] != size:
        raise file_error(
            folder.image_path(image),
            f"expected an image of (height, width) {size} as calibrated, found {rgb.shape[:2]}",
        )
    file = DepthFile(folder.depth_path(image), metres_per_unit=camera.depth_scale)
    depth = file.read_readings()
    regions, asked = _regions_of(records, size)
    frame = RGBDFrame(rgb, depth.metres, camera.intrinsics, regions, depth_loss=depth.loss)
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
    labels = mask_labels(record.question)
    if len(labels) != len(record.rle):
        raise SpatialError(
            Status.BAD_QUESTION if not record.rle else Status.BAD_INPUT,
            f"record {record.id!r} has {len(labels)} <mask> but {len(record.rle)} masks; there "
            "must be one for each, in order",
        )
    found = dict(regions)
    ids = []
    for rle, label in zip(record.rle, labels, strict=True):
        key = (str(rle.get("size")), str(rle.get("counts")))
        known = found.get(key)
        region = known or Region.from_rle(len(found), label, rle)
        if tuple(rle.get("size", ())) != image_size:
            raise SpatialError(
                Status.BAD_INPUT,
                f"a mask of record {record.id!r} is for an image of (height, width) "
                f"{rle.get('size')}, its image has {image_size}",
            )
        found[key] = region if region.label else replace(region, label=label)
        ids.append(region.id)
    regions.update(found)
    return tuple(ids)


def _read(item: AskedRecord, regions: RegionSet) -> AskedRecord:
    if item.problem is not None:
        return item
    category = CATEGORIES.get(item.record.category)
    try:
        question = read_question(item.record.question, regions, category, item.region_ids)
    except SpatialError as problem:
        return replace(item, problem=problem)
    return replace(item, question=question)
