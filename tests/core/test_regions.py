"""Masks in every form that the system reads, whole and broken."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pycocotools import mask as coco_mask

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.regions import (
    MAX_REGION_ID,
    Box,
    Region,
    RegionSet,
    decode_rle,
    encode_rle,
)

pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation doesn't accept:DeprecationWarning:pycocotools"
)

SIZE = (37, 53)


def random_mask(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.random(size) < random.random() ** 2


def uncompressed(mask: np.ndarray) -> list[int]:
    """Run lengths by the definition of the format: column by column, background first."""
    pixels = np.concatenate([[False], mask.T.ravel(), [not mask.T.ravel()[-1]]])
    edges = np.flatnonzero(pixels[1:] != pixels[:-1])
    return np.diff(np.concatenate([[0], edges])).tolist()


@pytest.mark.parametrize("seed", range(20))
def test_compressed_rle_of_coco_is_read_and_written(seed: int) -> None:
    mask = random_mask(seed)
    coco = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    assert np.array_equal(decode_rle(coco), mask)
    ours = json.loads(json.dumps(encode_rle(mask)))
    assert np.array_equal(coco_mask.decode(ours).astype(bool), mask)
    assert np.array_equal(decode_rle(ours), mask)


@pytest.mark.parametrize("seed", range(20))
def test_uncompressed_rle_equals_what_coco_makes_of_it(seed: int) -> None:
    mask = random_mask(seed)
    counts = uncompressed(mask)
    coco = coco_mask.frPyObjects({"size": list(SIZE), "counts": counts}, *SIZE)
    assert np.array_equal(decode_rle({"size": SIZE, "counts": counts}), coco_mask.decode(coco) > 0)
    assert np.array_equal(decode_rle({"size": SIZE, "counts": counts}), mask)


def test_long_runs_survive() -> None:
    mask = np.zeros((2000, 1500), dtype=bool)
    mask[100:1900, 7:1400] = True
    assert np.array_equal(decode_rle(encode_rle(mask)), mask)


@pytest.mark.parametrize(
    "counts",
    [
        [10, 5],
        [10, 5, 9999],
        [-5, 5, 37 * 53],
        [1.5, 37 * 53 - 1.5],
        [float("inf")],
        ["10", "5"],
        None,
        7,
        "",
        "garbage ~~~",
        "é",
        "o" * 500,
        b"\x00\x01",
        "0" * 40,
    ],
)
def test_broken_run_lengths_are_refused(counts: object) -> None:
    with pytest.raises(SpatialError, match="COCO mask must be") as caught:
        decode_rle({"size": list(SIZE), "counts": counts})
    assert caught.value.status is Status.BAD_INPUT


def test_run_lengths_with_needless_groups_are_refused() -> None:
    counts = encode_rle(np.ones(SIZE, dtype=bool))["counts"]
    assert counts.startswith("0")
    for padded in ("P" * 20 + counts, counts + "P"):
        with pytest.raises(SpatialError):
            decode_rle({"size": list(SIZE), "counts": padded})
    assert decode_rle({"size": list(SIZE), "counts": counts}).all()


@pytest.mark.parametrize("seed", range(5))
def test_truncated_run_lengths_are_refused(seed: int) -> None:
    rle = encode_rle(random_mask(seed))
    for length in range(len(rle["counts"])):
        with pytest.raises(SpatialError):
            decode_rle({"size": rle["size"], "counts": rle["counts"][:length]})


@pytest.mark.parametrize(
    "rle",
    [
        {},
        {"size": [3, 4]},
        {"counts": [12]},
        {"size": [3], "counts": [3]},
        {"size": [3, 4, 1], "counts": [12]},
        {"size": ["3", "4"], "counts": [12]},
        {"size": [3.0, 4.0], "counts": [12]},
        {"size": [0, 4], "counts": []},
        {"size": [-3, -4], "counts": [12]},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"size": None, "counts": [12]},
    ],
)
def test_broken_sizes_are_refused(rle: dict) -> None:
    with pytest.raises(SpatialError) as caught:
        Region.from_rle(1, "pallet", rle)
    assert caught.value.status is Status.BAD_INPUT


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int16, np.uint16, np.int32, np.int64])
def test_bitmap_is_cut_to_its_box(dtype: type) -> None:
    bitmap: np.ndarray = np.zeros(SIZE, dtype=dtype)
    bitmap[5:9, 10:20] = 1
    bitmap[6, 12] = 0
    region = Region.from_bitmap(3, " Pallet ", bitmap)
    assert region.box == Box(x=10, y=5, width=10, height=4)
    assert (region.area, region.name) == (39, "pallet 3")
    assert np.array_equal(RegionSet(SIZE, (region,)).full_mask(3), bitmap != 0)


def test_objects_at_the_image_border_keep_their_pixels() -> None:
    for pixel in [(0, 0), (0, SIZE[1] - 1), (SIZE[0] - 1, 0), (SIZE[0] - 1, SIZE[1] - 1)]:
        bitmap = np.zeros(SIZE, dtype=bool)
        bitmap[pixel] = True
        region = Region.from_bitmap(1, "", bitmap)
        assert region.box == Box(pixel[1], pixel[0], 1, 1)
        assert region.box.fits(SIZE)


@pytest.mark.parametrize(
    "bitmap",
    [
        np.zeros(SIZE, dtype=bool),
        np.ones((*SIZE, 3), dtype=np.uint8),
        np.ones(SIZE, dtype=np.float32),
        np.full(SIZE, np.nan),
    ],
)
def test_unusable_bitmaps_are_refused(bitmap: np.ndarray) -> None:
    with pytest.raises(SpatialError) as caught:
        Region.from_bitmap(1, "pallet", bitmap)
    assert caught.value.status is Status.BAD_INPUT


@pytest.mark.parametrize("dtype", "BHILbhil")
def test_label_images_of_all_integer_types(dtype: str) -> None:
    image = np.zeros(SIZE, dtype=dtype)
    image[0:3, 0:4] = 7
    image[30:37, 50:53] = 120
    image[1, 1] = 3
    regions = RegionSet.from_label_image(image, {7: "pallet", 120: "buffer"})
    assert [region.name for region in regions] == ["region 3", "pallet 7", "buffer 120"]
    assert all(np.array_equal(regions.full_mask(id), image == id) for id in (3, 7, 120))
    assert np.array_equal(regions.to_label_image(), image.astype(np.int32))


def test_label_image_without_objects() -> None:
    assert len(RegionSet.from_label_image(np.zeros(SIZE, np.uint8), {1: "pallet"})) == 0


def test_label_image_that_is_no_label_image() -> None:
    for image in (np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE), np.zeros(SIZE, bool)):
        with pytest.raises(SpatialError, match=r"integer \(H, W\)"):
            RegionSet.from_label_image(image, {})  # type: ignore[arg-type]
    negative = np.full(SIZE, -1, np.int32)
    with pytest.raises(SpatialError, match="got -1"):
        RegionSet.from_label_image(negative, {})


def test_ids_up_to_the_limit_of_the_message() -> None:
    largest = np.full(SIZE, MAX_REGION_ID, dtype=np.uint32)
    regions = RegionSet.from_label_image(largest, {})
    assert MAX_REGION_ID in regions
    with pytest.raises(SpatialError, match="instance image can hold ids 1 to"):
        regions.to_label_image()
    with pytest.raises(SpatialError, match=str(2**63)):
        RegionSet.from_label_image(np.full(SIZE, 2**63, dtype=np.uint64), {})


def test_id_zero_cannot_be_distinguished_from_the_background_of_a_label_image() -> None:
    regions = RegionSet(SIZE, (Region.from_box(0, "pallet", Box(1, 1, 2, 2)),))
    with pytest.raises(SpatialError, match="got 0"):
        regions.to_label_image()


@pytest.mark.parametrize("score", [-0.1, 1.5, 95, float("nan")])
def test_scores_are_fractions(score: float) -> None:
    with pytest.raises(SpatialError, match="score of region 1"):
        Region.from_box(1, "pallet", Box(0, 0, 2, 2), score)


def test_mask_must_be_boolean_and_fit_its_box() -> None:
    box = Box(0, 0, 4, 3)
    for mask in (np.ones((4, 3), bool), np.ones((3, 4), np.uint8), np.ones((3, 5), bool)):
        with pytest.raises(SpatialError, match="like its box"):
            Region(1, "pallet", box, mask)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "box",
    [
        Box(-1, 0, 5, 5),
        Box(0, -1, 5, 5),
        Box(SIZE[1] - 4, 0, 5, 5),
        Box(0, SIZE[0] - 4, 5, 5),
    ],
)
def test_boxes_outside_the_image_are_refused(box: Box) -> None:
    region = Region.from_box(1, "pallet", box)
    with pytest.raises(SpatialError, match="extends beyond the image"):
        RegionSet(SIZE, (region,))


@pytest.mark.parametrize("box", [Box(0, 0, 0, 5), Box(0, 0, 5, -1), Box(0, 0, 10**9, 10**9)])
def test_boxes_without_a_usable_area_are_refused(box: Box) -> None:
    with pytest.raises(SpatialError) as caught:
        Region.from_box(1, "pallet", box)
    assert caught.value.status is Status.BAD_INPUT


def test_duplicate_ids_are_refused() -> None:
    region = Region.from_box(4, "pallet", Box(0, 0, 2, 2))
    with pytest.raises(SpatialError, match="region id 4 occurs twice"):
        RegionSet(SIZE, (region, Region.from_box(4, "buffer", Box(5, 5, 2, 2))))


def test_unknown_region_names_those_that_exist() -> None:
    regions = RegionSet(SIZE, (Region.from_box(4, "pallet", Box(0, 0, 2, 2)),))
    with pytest.raises(SpatialError, match=r"region 9 is not in this frame.*pallet 4") as caught:
        regions[9]
    assert caught.value.status is Status.UNKNOWN_REGION
    assert regions[4].label == "pallet"


def test_labels_keep_their_order_of_appearance() -> None:
    boxes = [(1, "shelf"), (2, "Pallet"), (3, "shelf")]
    regions = RegionSet(
        SIZE, tuple(Region.from_box(id, label, Box(id, id, 2, 2)) for id, label in boxes)
    )
    assert regions.labels == ["shelf", "pallet"]
    assert [region.id for region in regions.with_label("shelf")] == [1, 3]


def test_regions_that_overlap_a_box_share_pixels_with_it() -> None:
    rng = np.random.default_rng(0)
    boxes = [Box(*rng.integers(0, 20, 2), *rng.integers(1, 12, 2)) for _ in range(60)]
    regions = RegionSet(SIZE, tuple(Region.from_box(id, "", box) for id, box in enumerate(boxes)))
    for box in boxes:
        pixels = np.zeros(SIZE, dtype=bool)
        pixels[box.slices] = True
        expected = [region.id for region in regions if pixels[region.box.slices].any()]
        assert [region.id for region in regions.overlapping(box)] == expected
    assert RegionSet(SIZE).overlapping(Box(0, 0, 5, 5)) == []


def test_intersection_over_union_of_two_regions():
    """Of two squares of 4 x 4 pixels that overlap in 2 x 2."""
    first = Region.from_box(1, "pallet", Box(3, 5, 4, 4))
    second = Region.from_box(2, "pallet", Box(5, 7, 4, 4))
    apart = Region.from_box(3, "pallet", Box(7, 5, 4, 4))
    assert first.iou(second) == second.iou(first) == 4 / 28
    assert first.iou(first) == 1.0
    assert first.iou(apart) == 0.0
