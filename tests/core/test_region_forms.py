"""Region files in the forms that people have: the same two pallets and a buffer in each."""

from __future__ import annotations

import base64
import contextlib
import copy
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import pytest

from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import encode_image
from smolrgpt_core.instance_labels import InstanceLabels
from smolrgpt_core.label_map import LabelMap, RegionLabels
from smolrgpt_core.region_files import read_regions
from smolrgpt_core.regions import RegionSet, encode_rle

SIZE = (120, 160)
BOXES = ([20, 50, 20, 20], [120, 50, 20, 20], [50, 90, 60, 30])
NAMES = ("pallet", "pallet", "buffer")
NAMED = tuple(zip(NAMES, BOXES, strict=True))
TWO_PALLETS = RegionLabels(label_map=LabelMap.parse("0:pallet,1:buffer"))


def mask_of(box: list[int]) -> np.ndarray:
    x, y, width, height = box
    mask = np.zeros(SIZE, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def corners(box: list[int]) -> list[list[float]]:
    x, y, width, height = map(float, box)
    return [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]


def flat(box: list[int]) -> list[float]:
    return [number for corner in corners(box) for number in corner]


def runs_of(mask: np.ndarray, order: Literal["C", "F"] = "F") -> list[int]:
    """Run lengths, background first."""
    pixels = mask.ravel(order=order)
    borders = np.flatnonzero(np.diff(pixels.astype(int))) + 1
    runs = np.diff([0, *borders, pixels.size]).tolist()
    return [0, *runs] if pixels[0] else runs


def uncompressed(box: list[int]) -> dict[str, Any]:
    return {"size": list(SIZE), "counts": runs_of(mask_of(box))}


def coco(segment: Callable[[list[int]], Any], **fields: Any) -> dict[str, Any]:
    annotations = [
        {"id": 11 + i, "image_id": 7, "category_id": 1 + (name == "buffer"), "iscrowd": 0,
         "bbox": [float(n) for n in box], "area": 1.0, "segmentation": segment(box), **fields}
        for i, (box, name) in enumerate(zip(BOXES, NAMES, strict=True))
    ]  # fmt: skip
    return {
        "info": {},
        "images": [{"id": 7, "file_name": "hall/rgb.png", "height": 120, "width": 160}],
        "categories": [{"id": 1, "name": "pallet"}, {"id": 2, "name": "Buffer"}],
        "annotations": annotations,
    }


def results(**fields: Any) -> list[dict[str, Any]]:
    return [
        {"image_id": 7, "category_id": int(name == "buffer"), "score": 0.9,
         "bbox": [float(n) for n in box], **fields}
        for box, name in zip(BOXES, NAMES, strict=True)
    ]  # fmt: skip


def masks(segment: Callable[[list[int]], Any]) -> list[dict[str, Any]]:
    return [
        {"segmentation": segment(box), "area": 400, "bbox": box, "predicted_iou": 1.01,
         "point_coords": [[1.0, 2.0]], "stability_score": 0.97, "crop_box": [0, 0, 160, 120]}
        for box in BOXES
    ]  # fmt: skip


def shape(kind: str, label: str, points: list[list[float]], **fields: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "group_id": None, "shape_type": kind, **fields}


def labelme(*shapes: dict[str, Any]) -> dict[str, Any]:
    return {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": "rgb.png",
            "imageData": None, "imageHeight": 120, "imageWidth": 160}  # fmt: skip


def labelme_mask(box: list[int]) -> dict[str, Any]:
    picture = encode_image(np.full((box[3], box[2]), 1, np.uint8), ".png")
    ends: list[list[float]] = [corners(box)[0], [box[0] + box[2] - 1, box[1] + box[3] - 1]]
    return shape("mask", "pallet", ends, mask=base64.b64encode(picture).decode())


def cvat(*shapes: str, name: str = "rgb.png", more: str = "") -> str:
    return (
        '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta/>'
        f'<image id="0" name="{name}" width="160" height="120">{"".join(shapes)}'
        f'<tag label="day" source="manual"/></image>{more}</annotations>'
    )


def cvat_polygon(label: str, box: list[int], group: int = 0) -> str:
    points = ";".join(f"{x:.2f},{y:.2f}" for x, y in corners(box))
    return f'<polygon label="{label}" occluded="0" points="{points}" group_id="{group}"/>'


def cvat_box(label: str, box: list[int], rotation: float = 0.0) -> str:
    (left, top), _, (right, bottom), _ = corners(box)
    return (
        f'<box label="{label}" xtl="{left}" ytl="{top}" xbr="{right}" ybr="{bottom}" '
        f'rotation="{rotation}"/>'
    )


def cvat_mask(label: str, box: list[int]) -> str:
    x, y, width, height = box
    return (
        f'<mask label="{label}" rle="0, {width * height}" left="{x}" top="{y}" width="{width}" '
        f'height="{height}"/>'
    )


VOC = (
    "<annotation><filename>rgb.png</filename><size><width>160</width><height>120</height></size>"
    + "".join(
        f"<object><name>{name}</name><bndbox><xmin>{x + 1}</xmin><ymin>{y + 1}</ymin>"
        f"<xmax>{x + width}</xmax><ymax>{y + height}</ymax></bndbox></object>"
        for name, (x, y, width, height) in NAMED
    )
    + "</annotation>"
)


def yolo_boxes(score: str = "") -> str:
    lines = [
        f"{int(name == 'buffer')} {(x + w / 2) / 160} {(y + h / 2) / 120} {w / 160} {h / 120}"
        for name, (x, y, w, h) in NAMED
    ]
    return "".join(f"{line}{score}\n" for line in lines)


def yolo_polygons() -> str:
    lines = [
        " ".join([str(int(name == "buffer")), *(f"{x / 160} {y / 120}" for x, y in corners(box))])
        for name, box in NAMED
    ]
    return "\n".join(lines)


def write(folder: Path, name: str, content: Any) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def read(path: Path, labels: RegionLabels | None = None) -> RegionSet:
    return read_regions(path, SIZE, labels, "rgb.png")


def refusal(path: Path, labels: RegionLabels | None = None) -> str:
    with pytest.raises(SpatialError) as caught:
        read(path, labels)
    assert caught.value.status is Status.BAD_INPUT
    assert caught.value.message.startswith(f"{path}: ")
    assert caught.value.message.count(str(path)) == 1
    return caught.value.message


def check(regions: RegionSet, labels: tuple[str, ...] = NAMES) -> None:
    assert [region.label for region in regions] == list(labels)
    for region, box in zip(regions, BOXES, strict=True):
        np.testing.assert_array_equal(regions.full_mask(region.id), mask_of(box))


def all_cvat(make: Callable[[str, list[int]], str]) -> str:
    return cvat(*(make(name, box) for name, box in NAMED))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.json", coco(lambda box: [flat(box)])),
        ("r.json", coco(uncompressed)),
        ("r.json", coco(lambda box: encode_rle(mask_of(box)))),
        ("r.json", coco(lambda box: [])),
        ("r.json", labelme(*(shape("polygon", n, corners(b)) for n, b in NAMED))),
        ("r.json", labelme(*(shape("rectangle", n, corners(b)[::2])
                             for n, b in NAMED))),
        ("r.xml", all_cvat(cvat_polygon)),
        ("r.xml", all_cvat(cvat_box)),
        ("r.xml", all_cvat(cvat_mask)),
        ("r.xml", VOC),
    ],
)  # fmt: skip
def test_forms_with_names(tmp_path: Path, name: str, content: Any) -> None:
    check(read(write(tmp_path, name, content)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.json", results()),
        ("r.json", [{**item, "segmentation": uncompressed(box)}
                    for item, box in zip(results(), BOXES, strict=True)]),
        ("r.txt", yolo_boxes()),
        ("r.txt", yolo_boxes(" 0.93")),
        ("r.txt", yolo_polygons()),
    ],
)  # fmt: skip
def test_forms_with_class_indices(tmp_path: Path, name: str, content: Any) -> None:
    path = write(tmp_path, name, content)
    check(read(path), ("0", "0", "1"))
    check(read(path, TWO_PALLETS))
    by_number = InstanceLabels.parse(["0:pallet", "1:buffer"], lowest=0)
    check(read(path, RegionLabels(by_number)))


@pytest.mark.parametrize(
    "segment",
    [
        uncompressed,
        lambda box: encode_rle(mask_of(box)),
        lambda box: mask_of(box).tolist(),
        lambda box: mask_of(box).astype(int).tolist(),
    ],
)
def test_masks_of_a_mask_generator(tmp_path: Path, segment: Any) -> None:
    path = write(tmp_path, "r.json", masks(segment))
    check(read(path), ("", "", ""))
    assert {region.score for region in read(path)} == {1.0}
    check(read(path, RegionLabels(InstanceLabels.parse(["1-2:pallet", "3:buffer"]))))
    named = [{**item, "label": name} for item, name in zip(masks(segment), NAMES, strict=True)]
    check(read(write(tmp_path, "named.json", named)))
    image = {"image_id": 1, "width": 160, "height": 120, "file_name": "sa_1.jpg"}
    whole = {"image": image, "annotations": masks(segment)}
    check(read(write(tmp_path, "sa_1.json", whole)), ("", "", ""))


def test_ids_are_those_of_the_file(tmp_path: Path) -> None:
    given = read(write(tmp_path, "coco.json", coco(lambda box: [flat(box)])))
    assert [region.id for region in given] == [11, 12, 13]
    named = (("pallet_7", BOXES[0]), ("pallet_12", BOXES[1]), ("Buffer 2", BOXES[2]))
    drawn = labelme(*(shape("polygon", name, corners(box)) for name, box in named))
    regions = read(write(tmp_path, "labelme.json", drawn))
    assert [region.name for region in regions] == ["pallet 7", "pallet 12", "buffer 2"]


def test_the_image_is_found_among_others(tmp_path: Path) -> None:
    content = coco(lambda box: [flat(box)])
    other = {"id": 8, "file_name": "hall/other.png", "height": 99, "width": 99}
    content["images"].insert(0, other)
    content["annotations"].append({**content["annotations"][0], "id": 99, "image_id": 8})
    check(read(write(tmp_path, "coco.json", content)))
    more = '<image id="1" name="other.png" width="9" height="9"/>'
    shapes = [cvat_box(name, box) for name, box in NAMED]
    check(read(write(tmp_path, "cvat.xml", cvat(*shapes, name="hall/rgb.jpg", more=more))))
    content["images"][1]["file_name"] = "unlike.png"
    assert "about 2 images (hall/other.png, unlike.png)" in refusal(
        write(tmp_path, "coco.json", content)
    )
    mixed = [*results(), {**results()[0], "image_id": 8}]
    assert "about 2 images" in refusal(write(tmp_path, "results.json", mixed))


def about(form: str, name: str) -> Any:
    """A file of a form that says which image it is about."""
    if form == "coco":
        content = coco(lambda box: [flat(box)])
        content["images"][0]["file_name"] = name
        return content
    if form == "masks":
        return {"image": {"file_name": name}, "annotations": masks(uncompressed)}
    if form == "labelme":
        return {**labelme(shape("polygon", "pallet", corners(BOXES[0]))), "imagePath": name}
    if form == "cvat":
        return cvat(cvat_box(*NAMED[0]), name=name)
    return VOC.replace("rgb.png", name)


@pytest.mark.parametrize(
    ("form", "suffix"),
    [("coco", "json"), ("masks", "json"), ("labelme", "json"), ("cvat", "xml"), ("voc", "xml")],
)
def test_regions_of_another_image_are_doubted(form: str, suffix: str, tmp_path: Path) -> None:
    """A file about one image was read for every image."""
    for name in ("rgb_2.png", "hall/other.png", "\u65e5.png"):
        doubt = read(write(tmp_path, f"r.{suffix}", about(form, name))).doubt
        assert f"about the image {name!r}, not 'rgb.png'" in doubt
    for name in ("rgb.jpg", "..\\hall\\rgb.png", "0a1b2c3d-rgb.png", "rgb_png.rf.5e1c9a.jpg", ""):
        assert not read(write(tmp_path, f"r.{suffix}", about(form, name))).doubt
    nameless = read_regions(write(tmp_path, f"r.{suffix}", about(form, "other.png")), SIZE)
    assert not nameless.doubt


def test_parts_of_one_object(tmp_path: Path) -> None:
    left, right = [20, 50, 8, 20], [32, 50, 8, 20]
    both = mask_of(left) | mask_of(right)
    drawn = labelme(
        shape("polygon", "pallet", corners(left), group_id=1),
        shape("polygon", "buffer", corners(BOXES[2]), group_id=1),
        shape("rectangle", "pallet", corners(right)[::2], group_id=1),
    )
    grouped = read(write(tmp_path, "labelme.json", drawn))
    assert [region.label for region in grouped] == ["pallet", "buffer"]
    np.testing.assert_array_equal(grouped.full_mask(1), both)
    shapes = (cvat_polygon("pallet", left, group=4), cvat_polygon("pallet", right, group=4))
    (whole,) = read(write(tmp_path, "cvat.xml", cvat(*shapes)))
    np.testing.assert_array_equal(whole.mask, both[whole.box.slices])
    content = coco(lambda box: [flat(left), flat(right)])
    np.testing.assert_array_equal(read(write(tmp_path, "c.json", content)).full_mask(11), both)


def test_round_and_turned_shapes(tmp_path: Path) -> None:
    disc = np.zeros(SIZE, np.uint8)
    cv2.circle(disc, (80, 60), 20, 1, cv2.FILLED)
    ellipse = '<ellipse label="pallet" cx="80.5" cy="60.5" rx="20.3" ry="20.3"/>'
    circle = shape("circle", "pallet", [[80.5, 60.5], [80.5, 80.8]])
    turned = cvat_box("pallet", [70, 40, 20, 40], rotation=90.0)
    for name, content, expected in (
        ("c.json", labelme(circle), disc),
        ("e.xml", cvat(ellipse), disc),
        ("t.xml", cvat(turned), mask_of([60, 50, 40, 20])),
        ("m.json", labelme(labelme_mask(BOXES[0])), mask_of(BOXES[0])),
    ):
        (region,) = read(write(tmp_path, name, content))
        found = np.zeros(SIZE, bool)
        found[region.box.slices] = region.mask
        union = np.count_nonzero(found | (expected > 0))
        assert np.count_nonzero(found & (expected > 0)) / union > 0.95, name


def test_names_of_a_yolo_data_set(tmp_path: Path) -> None:
    path = write(tmp_path, "labels/train/rgb.txt", yolo_boxes())
    write(tmp_path, "data.yaml", "path: .\nnc: 2\nnames:\n  0: pallet\n  1: buffer\n")
    check(read(path))
    write(tmp_path, "labels/data.yaml", "names: [Pallets, buffer]\n")
    check(read(path))
    write(tmp_path, "labels/train/classes.txt", "crate\nzone\n")
    check(read(path), ("crate", "crate", "zone"))
    write(tmp_path, "labels/train/data.yaml", "names: 3\n")
    assert "data.yaml: expected names" in refusal(path)
    assert len(read(write(tmp_path, "none/rgb.txt", "\n"))) == 0


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".pgm", ".npy"])
@pytest.mark.parametrize("channels", [1, 3])
def test_instance_images(tmp_path: Path, suffix: str, channels: int) -> None:
    image = np.zeros(SIZE, np.uint8)
    for id, box in enumerate(BOXES, start=2):
        image[mask_of(box)] = id
    path = tmp_path / f"ids{suffix}"
    if suffix == ".npy":
        np.save(path, image)
    else:
        path.write_bytes(
            encode_image(np.dstack([image] * 3) if channels == 3 and suffix != ".pgm" else image,
                         suffix)
        )  # fmt: skip
    check(read(path, RegionLabels(InstanceLabels.parse(["2-3:pallet", "4:buffer"]))))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
@pytest.mark.parametrize("channel", [False, True])
def test_stacks_of_masks(tmp_path: Path, dtype: type, channel: bool) -> None:
    stack: np.ndarray = np.stack([mask_of(box) for box in BOXES]).astype(dtype)
    np.save(tmp_path / "masks.npy", stack[:, None] if channel else stack)
    labels = RegionLabels(InstanceLabels.parse(["1-2:pallet", "3:buffer"]))
    check(read(tmp_path / "masks.npy", labels))
    np.save(tmp_path / "masks.npy", stack * 0.5 + 1)
    assert "a stack of masks" in refusal(tmp_path / "masks.npy")


def test_coordinates_in_fractions_are_refused(tmp_path: Path) -> None:
    def fractions(box: list[int]) -> list[float]:
        return [box[0] / 160, box[1] / 120, box[2] / 160, box[3] / 120]

    boxes = [fractions(box) for box in BOXES]
    entries = [{"id": id, "label": "pallet", "box": box} for id, box in enumerate(boxes)]
    drawn = [
        shape("polygon", name, [[x / 160, y / 120] for x, y in corners(box)]) for name, box in NAMED
    ]
    found = [{**item, "bbox": fractions(box)} for item, box in zip(results(), BOXES, strict=True)]
    for name, content in (
        ("own.json", {"image_size": SIZE, "regions": entries}),
        ("results.json", found),
        ("rectangles.json", labelme(*[{**item, "points": item["points"][::2],
                                       "shape_type": "rectangle"} for item in drawn])),
    ):  # fmt: skip
        assert "are fractions of the image; multiply them" in refusal(
            write(tmp_path, name, content)
        )
    assert "empty" in refusal(write(tmp_path, "polygons.json", labelme(*drawn)))


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp"])
def test_lossy_images_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"ids{suffix}"
    path.write_bytes(encode_image(np.full(SIZE, 2, np.uint8), suffix.lower()))
    assert "uses lossy compression" in refusal(path)


@pytest.mark.parametrize(
    ("box", "expected"),
    [
        ([20.0, 50.0, 20.0, 20.0], [20, 50, 20, 20]),
        ([19.6, 50.4, 20.0, 20.0], [20, 50, 20, 20]),
        ([120, 50, 41, 20], [120, 50, 40, 20]),
        ([-3.5, -2, 20, 20], [0, 0, 17, 18]),
        ([150, 110, 20.5, 20], [150, 110, 10, 10]),
    ],
)
def test_boxes_in_floats_and_over_the_edge(
    tmp_path: Path, box: list[float], expected: list[int]
) -> None:
    own = {"image_size": SIZE, "regions": [{"id": 1, "box": box}]}
    detected = [{"image_id": 1, "category_id": 1, "bbox": box, "score": 0.5}]
    for content in (own, detected):
        regions = read(write(tmp_path, "r.json", content))
        np.testing.assert_array_equal(regions.full_mask(1), mask_of(expected))


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("r.json", coco(lambda box: [flat(box)], iscrowd=1), "annotation 11: it is a crowd"),
        ("r.json", coco(lambda box: [flat(box)], category_id=9), "category 9 is not among"),
        ("r.json", coco(lambda box: [[1.0, 2.0, 3.0, 4.0]]), "at least three points, got 2"),
        ("r.json", coco(lambda box: [[1.0, 2.0, 3.0]]), "annotation 11: expected a segmentation"),
        ("r.json", coco(lambda box: {"size": [160, 120], "counts": [19200]}), "annotation 11"),
        ("r.json", coco(lambda box: [[0, 0, 600, 0, 600, 400.0]]), "extends beyond the image"),
        ("r.json", coco(lambda box: "mask.png"), "expected a segmentation"),
        ("r.json", {**coco(lambda box: []), "images": []}, "about 0 images"),
        ("r.json", {**coco(lambda box: []), "images": 3}, "looks like COCO, but is malformed"),
        ("r.json", {**coco(lambda box: []), "categories": [{"id": 1, "name": "pallet"}] * 2},
         "2 categories have the id 1"),
        ("r.json", {**coco(lambda box: []), "images": coco(lambda box: [])["images"] * 2},
         "2 images have the id 7"),
        ("r.json", results(bbox=[0.0, 0.0, 640.0, 480.0]), "detection 1: extends beyond the image"),
        ("r.json", results(bbox=None), "detection 1: expected bbox"),
        ("r.json", [{"segmentation": {"size": [60, 80], "counts": [4799, 1]}}], "got (60, 80)"),
        ("r.json", labelme(shape("line", "pallet", [[0, 0], [9, 9]])), "a line has no area"),
        ("r.json", labelme(shape("polygon", "pallet", [[0, 0], [9]])), "shapes[0]: expected a po"),
        ("r.json", {**labelme(), "imageHeight": 240}, "found (240, 160)"),
        ("r.json", {"_via_img_metadata": {}}, "the format of VGG Image Annotator"),
        ("r.json", {"a.png7": {"filename": "a.png", "regions": []}}, "of VGG Image Annotator"),
        ("r.json", [{"data": {}, "annotations": []}], "the format of Label Studio"),
        ("r.json", [{"External ID": "a.png", "Label": {}}], "the format of Labelbox"),
        ("r.json", {"openlabel": {"frames": {}}}, "the format of ASAM OpenLABEL"),
        ("r.json", {"boxes": [[1, 2, 3, 4]], "labels": ["pallet"]}, "detector's boxes"),
        ("r.json", {"bboxes": [[1, 2, 3, 4]], "labels": [0], "scores": [1]}, "detector's boxes"),
        ("r.json", {"1-9": "buffer"}, "one of the other forms"),
        ("r.json", [], "one of the other forms"),
        ("r.xml", "<annotations>", "expected XML"),
        ("r.xml", "<annotations><track id='0'/></annotations>", '"CVAT for video"'),
        ("r.xml", "<svg/>", "found 'svg'"),
        ("r.xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><annotations/>", "no entities"),
        ("r.xml", cvat('<polyline label="pallet" points="1,1;2,2"/>'), "a polyline has no area"),
        ("r.xml", cvat('<polygon label="pallet" points="1,1;2,x;3,3"/>'), "polygon 'pallet': "),
        ("r.xml", cvat('<mask label="p" rle="1,2" left="0" top="0" width="9" height="9"/>'),
         "do not fill its box"),
        ("r.txt", "pallet 0.5 0.5 0.1 0.1", "line 1: expected a class index"),
        ("r.txt", "0 80 60 20 20", "not between 0 and 1"),
        ("r.txt", "0 0.5 0.5 0.1", "line 1: expected a class index"),
        ("r.txt", "0 nan 0.5 0.1 0.1", "not between 0 and 1"),
        ("r.csv", "1,2,3", "unknown suffix '.csv'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_says_why(
    tmp_path: Path, name: str, content: Any, expected: str
) -> None:
    assert expected in refusal(write(tmp_path, name, content))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths of everything in a JSON content."""
    if not isinstance(value, (dict, list)):
        return [path]
    items = value.items() if isinstance(value, dict) else enumerate(value)
    inner = [place for key, part in items for place in places(part, (*path, key))]
    return [path, *inner] if path else inner


@pytest.mark.parametrize("seed", range(60))
def test_damaged_files_are_read_or_refused(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    contents = (
        coco(lambda box: [flat(box)]),
        coco(uncompressed),
        results(),
        masks(uncompressed),
        labelme(labelme_mask(BOXES[0]), shape("circle", "pallet", [[80, 60], [80, 70]])),
    )
    values: tuple[Any, ...] = (
        None, True, -1, 1.5, float("nan"), float("inf"), 2**70, "", "a", [], {}, [[]], [1],
    )  # fmt: skip
    texts = (yolo_boxes(" 0.3"), yolo_polygons(), all_cvat(cvat_mask), all_cvat(cvat_box), VOC)
    for _ in range(10):
        content = copy.deepcopy(rng.choice(contents))
        *way, last = rng.choice(places(content))
        part = content
        for key in way:
            part = part[key]
        part[last] = rng.choice(values)
        text = rng.choice(texts)
        number = rng.choice(list(re.finditer(r"[0-9.]+", text)))
        wrong = rng.choice(["", "nan", "inf", "-1", "1e300", "x", "9" * 30])
        damaged = text[: number.start()] + wrong + text[number.end() :]
        suffix = ".xml" if text.startswith("<") else ".txt"
        for path in (write(tmp_path, "r.json", content), write(tmp_path, f"r{suffix}", damaged)):
            with contextlib.suppress(SpatialError):
                read(path)


def test_labels_by_number_are_for_numbers(tmp_path: Path) -> None:
    labels = RegionLabels(InstanceLabels.parse(["0-9:pallet"], lowest=0))
    for name, content in (("r.json", coco(uncompressed)), ("r.xml", VOC)):
        assert "has its own" in refusal(write(tmp_path, name, content), labels)
    np.save(tmp_path / "ids.npy", np.ones(SIZE, np.uint8))
    assert "0 of an instance image is the background" in refusal(tmp_path / "ids.npy", labels)
