"""Frames on disk: what is read back, and what a broken file says."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import cv2
import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import (
    encode_image,
    read_depth,
    read_json,
    read_rgb,
    write_depth,
    write_file,
    write_image,
)
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.region_files import read_regions, write_regions
from smolrgpt_core.regions import Box, Region, RegionSet

SIZE = (40, 60)


def random_image(dtype: type, channels: int | None = None) -> np.ndarray:
    shape = SIZE if channels is None else (*SIZE, channels)
    return np.random.default_rng(0).integers(1, 250, shape).astype(dtype)


def some_regions() -> RegionSet:
    ellipse = np.zeros(SIZE, np.uint8)
    cv2.ellipse(ellipse, (30, 20), (15, 8), 20, 0, 360, 1, cv2.FILLED)
    return RegionSet(
        SIZE,
        (
            Region.from_bitmap(7, "pallet", ellipse, 0.75),
            Region.from_box(2, "buffer", Box(0, 0, 10, 5)),
        ),
    )


def write_text(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def refusal(path: Path, labels: RegionLabels | None = None) -> str:
    """The message with which `read_regions` refuses a file."""
    with pytest.raises(SpatialError) as caught:
        read_regions(path, SIZE, labels)
    assert caught.value.status is Status.BAD_INPUT
    assert caught.value.message.startswith(str(path.parent))
    return caught.value.message


class TestImages:
    def test_rgb_is_read_back_in_rgb_order(self, tmp_path: Path) -> None:
        image = random_image(np.uint8, 3)
        write_image(tmp_path / "a.png", image)
        assert np.array_equal(read_rgb(tmp_path / "a.png"), image)
        stored = cv2.imread(str(tmp_path / "a.png"))
        assert stored is not None
        assert np.array_equal(stored[..., ::-1], image)

    def test_gray_and_transparent_images_become_rgb(self, tmp_path: Path) -> None:
        gray = random_image(np.uint8)
        write_image(tmp_path / "gray.png", gray)
        assert np.array_equal(read_rgb(tmp_path / "gray.png"), np.stack([gray] * 3, axis=-1))
        cv2.imwrite(str(tmp_path / "alpha.png"), random_image(np.uint8, 4))
        assert read_rgb(tmp_path / "alpha.png").shape == (*SIZE, 3)

    def test_a_rotation_flag_does_not_rotate(self, tmp_path: Path) -> None:
        jpeg = encode_image(random_image(np.uint8, 3), ".jpg")
        orientation_6 = struct.pack("<2sHIHHHIHHI", b"II", 42, 8, 1, 0x0112, 3, 1, 6, 0, 0)
        exif = b"Exif\0\0" + orientation_6
        (tmp_path / "a.jpg").write_bytes(
            jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]
        )
        turned = cv2.imread(str(tmp_path / "a.jpg"))
        assert turned is not None
        assert turned.shape == (SIZE[1], SIZE[0], 3)
        assert read_rgb(tmp_path / "a.jpg").shape == (*SIZE, 3)

    @pytest.mark.parametrize(
        "content", [b"", b"no image", encode_image(np.eye(64, dtype=np.uint8), ".png")[:60]]
    )
    def test_what_is_no_image_is_refused(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "broken.png"
        path.write_bytes(content)
        for read in (read_rgb, read_depth):
            with pytest.raises(SpatialError, match=r"broken\.png: expected a") as caught:
                read(path)
            assert caught.value.status is Status.BAD_INPUT

    def test_missing_file_and_folder_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SpatialError, match="cannot be opened: No such file"):
            read_rgb(tmp_path / "none.png")
        with pytest.raises(SpatialError, match="cannot be opened: Is a directory"):
            read_rgb(tmp_path)

    def test_formats_that_cannot_be_written_are_refused(self, tmp_path: Path) -> None:
        for name in ("a.xyz", "a"):
            with pytest.raises(ValueError, match="cannot be written as"):
                write_image(tmp_path / name, random_image(np.uint8, 3))
        assert list(tmp_path.iterdir()) == []


class TestDepth:
    def test_sixteen_bits_are_millimeters(self, tmp_path: Path) -> None:
        raw = random_image(np.uint16) * 21 + 100
        raw[0, 0] = 0
        cv2.imwrite(str(tmp_path / "d.png"), raw)
        depth = read_depth(tmp_path / "d.png")
        assert depth.dtype == np.float32
        assert np.isnan(depth[0, 0])
        assert depth[1:] == pytest.approx(raw[1:] / 1000)
        assert read_depth(tmp_path / "d.png", 0.01)[1:] == pytest.approx(raw[1:] / 100)

    @pytest.mark.parametrize("name", ["d.npy", "d.tiff"])
    def test_floats_are_meters(self, tmp_path: Path, name: str) -> None:
        raw = random_image(np.float32) / 50 + 1
        raw[0, :3] = [np.nan, np.inf, -1]
        if name.endswith(".npy"):
            np.save(tmp_path / name, raw)
        else:
            cv2.imwrite(str(tmp_path / name), raw)
        depth = read_depth(tmp_path / name)
        assert np.isnan(depth[0, :3]).all()
        assert np.array_equal(depth[1:], raw[1:])

    @pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
    def test_other_numbers_need_a_depth_scale(self, tmp_path: Path, dtype: type) -> None:
        raw = random_image(dtype)
        raw[raw < 10] += 10
        np.save(tmp_path / "d.npy", raw)
        with pytest.raises(SpatialError, match=f"found {raw.dtype}.*give the depth scale"):
            read_depth(tmp_path / "d.npy")
        assert read_depth(tmp_path / "d.npy", 0.02) == pytest.approx(raw * 0.02)

    def test_color_renderings_of_depth_are_refused(self, tmp_path: Path) -> None:
        write_image(tmp_path / "d.png", random_image(np.uint8, 3))
        with pytest.raises(SpatialError, match=r"one number per pixel.*\(40, 60, 3\)"):
            read_depth(tmp_path / "d.png", 0.001)

    def test_objects_in_numpy_files_are_never_unpickled(self, tmp_path: Path) -> None:
        np.save(tmp_path / "d.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
        with pytest.raises(SpatialError, match="allow_pickle"):
            read_depth(tmp_path / "d.npy")

    def test_depth_is_written_in_millimeters(self, tmp_path: Path) -> None:
        depth = np.full(SIZE, 1.2344, np.float32)
        depth[0, :2] = [np.nan, 70.0]
        write_depth(tmp_path / "d.png", depth)
        again = read_depth(tmp_path / "d.png")
        assert np.isnan(again[0, :2]).all()
        assert again[1:] == pytest.approx(np.full_like(depth[1:], 1.234))


class TestRegionsAsJson:
    def test_what_is_written_is_read_back(self, tmp_path: Path) -> None:
        regions = some_regions()
        write_regions(tmp_path / "r.json", regions)
        again = read_regions(tmp_path / "r.json", SIZE)
        for before, after in zip(regions, again, strict=True):
            assert (after.id, after.label, after.box) == (before.id, before.label, before.box)
            assert after.score == before.score
            assert np.array_equal(after.mask, before.mask)

    def test_boxes_and_defaults(self, tmp_path: Path) -> None:
        entry = {"id": 4, "box": [50, 30, 10, 10]}
        path = write_text(tmp_path / "r.json", {"image_size": SIZE, "regions": [entry]})
        region = read_regions(path, SIZE)[4]
        assert (region.box, region.label, region.score) == (Box(50, 30, 10, 10), "", 1.0)
        assert region.mask.all()

    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ("{", "expected JSON"),
            ("[" * 100_000, "expected JSON"),
            ([], "expected {"),
            ({"image_size": SIZE}, "expected {"),
            ({"image_size": [40], "regions": []}, "[height, width]"),
            ({"image_size": [40.0, 60.0], "regions": []}, "[height, width]"),
            ({"image_size": SIZE, "regions": {}}, "[height, width]"),
            ({"image_size": [60, 40], "regions": []}, "found (60, 40)"),
        ],
    )
    def test_broken_files_say_what_was_expected(
        self, tmp_path: Path, content: object, expected: str
    ) -> None:
        assert expected in refusal(write_text(tmp_path / "r.json", content))

    @pytest.mark.parametrize(
        ("entry", "expected"),
        [
            ([], "expected an object with id"),
            ({"box": [0, 0, 5, 5]}, "expected an object with id"),
            ({"id": 1, "bbox": [0, 0, 5, 5]}, "expected an object with id"),
            ({"id": 1}, "either rle or box"),
            ({"id": "1", "box": [0, 0, 5, 5]}, "id as an integer"),
            ({"id": True, "box": [0, 0, 5, 5]}, "id as an integer"),
            ({"id": 1, "label": 3, "box": [0, 0, 5, 5]}, "label as text"),
            ({"id": 1, "score": "high", "box": [0, 0, 5, 5]}, "score as a number"),
            ({"id": 1, "score": 95, "box": [0, 0, 5, 5]}, "score of region 1 must be 0 to 1"),
            ({"id": -1, "box": [0, 0, 5, 5]}, "ids must be 0 to"),
            ({"id": 1, "box": [0, 0, 5]}, "[x, y, width, height]"),
            ({"id": 1, "box": [0, 0, "5", 5]}, "[x, y, width, height]"),
            ({"id": 1, "box": [0, 0, float("nan"), 5]}, "[x, y, width, height]"),
            ({"id": 1, "box": [0, 0, 0, 5]}, "a box with positive width"),
            ({"id": 1, "box": [0, 0, 10**8, 10**8]}, "extends beyond the image"),
            ({"id": 1, "rle": {"size": SIZE, "counts": [5]}}, "run lengths"),
            ({"id": 1, "rle": "mask.png"}, "got text"),
            ({"id": 1, "rle": {"size": [4, 6], "counts": [12, 12]}}, "got (4, 6)"),
            ({"id": 1, "rle": {"size": SIZE, "counts": [2400]}}, "is empty"),
        ],
    )
    def test_broken_regions_are_named(self, tmp_path: Path, entry: object, expected: str) -> None:
        good = {"id": 9, "box": [0, 0, 5, 5]}
        content = {"image_size": SIZE, "regions": [good, entry]}
        message = refusal(write_text(tmp_path / "r.json", content))
        assert "regions[1]: " in message
        assert expected in message

    def test_duplicates_and_boxes_outside_are_refused(self, tmp_path: Path) -> None:
        for boxes, expected in (
            ([[0, 0, 5, 5], [5, 5, 5, 5]], "occurs twice"),
            ([[56, 0, 40, 5]], "extends beyond the image"),
            ([[60, 0, 3, 5]], "outside of the image"),
        ):
            regions = [{"id": 1, "box": box} for box in boxes]
            path = write_text(tmp_path / "r.json", {"image_size": SIZE, "regions": regions})
            assert expected in refusal(path)

    def test_labels_by_id_are_not_for_json(self, tmp_path: Path) -> None:
        write_regions(tmp_path / "r.json", some_regions())
        assert "are for instance images" in refusal(
            tmp_path / "r.json", RegionLabels(InstanceLabels(((1, 9, "pallet"),)))
        )


class TestRegionsAsInstanceImage:
    @pytest.fixture
    def image_path(self, tmp_path: Path) -> Path:
        write_image(tmp_path / "r.png", some_regions().to_label_image().astype(np.uint16))
        return tmp_path / "r.png"

    def test_labels_from_ranges(self, image_path: Path) -> None:
        regions = read_regions(
            image_path,
            SIZE,
            RegionLabels(InstanceLabels.parse(["1-5:Buffer", "6-4000000000:pallet"])),
        )
        assert [region.name for region in regions] == ["buffer 2", "pallet 7"]
        assert np.array_equal(regions.full_mask(7), some_regions().full_mask(7))

    def test_labels_from_the_file_beside_it(self, image_path: Path) -> None:
        write_text(image_path.with_suffix(".json"), {"7": "pallet", "1-6": "buffer"})
        assert [r.name for r in read_regions(image_path, SIZE)] == ["buffer 2", "pallet 7"]

    def test_without_labels(self, image_path: Path) -> None:
        assert [r.name for r in read_regions(image_path, SIZE)] == ["region 2", "region 7"]

    @pytest.mark.parametrize("content", [["pallet"], {"7": ""}, {"seven": "pallet"}, "{"])
    def test_broken_labels_beside_it_are_refused(self, image_path: Path, content: object) -> None:
        write_text(image_path.with_suffix(".json"), content)
        assert "r.json: " in refusal(image_path)

    def test_what_is_no_instance_image_is_refused(self, tmp_path: Path) -> None:
        write_image(tmp_path / "rgb.png", random_image(np.uint8, 3))
        assert "one number per pixel" in refusal(tmp_path / "rgb.png")
        np.save(tmp_path / "float.npy", np.ones(SIZE))
        assert "integer (H, W)" in refusal(tmp_path / "float.npy")
        np.save(tmp_path / "negative.npy", np.full(SIZE, -3))
        assert "got -3" in refusal(tmp_path / "negative.npy")

    @pytest.mark.parametrize("entry", ["pallet", "1:", ":pallet", "a-b:pallet", "9-1:a", "0:a"])
    def test_labels_that_cannot_be_read(self, entry: str) -> None:
        with pytest.raises(ValueError, match=f'"10-59:pallet", got {entry!r}'):
            InstanceLabels.parse(["1-9:buffer", entry])


class TestWriting:
    def test_files_are_replaced_and_folders_made(self, tmp_path: Path) -> None:
        path = tmp_path / "new" / "folder" / "a.json"
        write_file(path, b'{"a": 1}')
        write_file(path, b'{"a": 2}')
        assert read_json(path) == {"a": 2}
        assert list(path.parent.iterdir()) == [path]

    def test_a_write_that_fails_leaves_nothing_behind(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        with pytest.raises(OSError, match="folder"):
            write_file(tmp_path / "folder", b"new")
        assert [path.name for path in tmp_path.iterdir()] == ["folder"]
