"""COCO data sets, COCO result lists, and the masks of SAM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from smolrgpt_core.region_files.shapes import box_region, numbers, segmentation_region
from smolrgpt_core.region_files.source import RegionFile, entry, ids_for, part
from smolrgpt_core.regions import Region, RegionSet

_NAME_KEYS = ("label", "class_name", "class", "category_name", "category", "name")
_SCORE_KEYS = ("score", "predicted_iou", "confidence")


def read_data_set(file: RegionFile, content: Any) -> RegionSet:
    """The annotations of one image of a COCO data set, with their ids and category names.

    Raises:
        ValueError: an annotation is invalid.
    """
    images, annotations = entry(content, "images", "annotations")
    categories = content.get("categories", [])
    _check_ids("categories", categories)
    _check_ids("images", images)
    names = {item["id"]: str(item["name"]) for item in categories}
    image = images[file.pick_image([str(item.get("file_name", "")) for item in images])]
    if "height" in image and "width" in image:
        file.check_size(image["height"], image["width"])
    elsewhere = {item["image_id"] for item in annotations} - {item["id"] for item in images}
    if elsewhere:
        raise ValueError(
            f"annotations have image_id {min(elsewhere, key=str)!r}, but no image has it"
        )
    mine = [item for item in annotations if item.get("image_id") == image["id"]]
    regions = []
    for index, item in enumerate(mine, start=1):
        with part(f"annotation {item.get('id', index)}"):
            (category,) = entry(item, "category_id")
            if category not in names:
                raise ValueError(f"its category {category} is not among the categories")
            regions.append(_region(item.get("id", index), names[category], item, file))
    return file.regions(regions, str(image.get("file_name", "")))


def read_results(file: RegionFile, content: Any) -> RegionSet:
    """The detections of one image in a COCO result list; labels are its category ids."""
    mine = _of_one_image(file, content)
    regions = []
    for index, item in enumerate(mine, start=1):
        with part(f"detection {index}"):
            (category,) = entry(item, "category_id")
            label = file.label_of(category, str(category)) if type(category) is int else ""
            regions.append(_region(index, _name(item) or label, item, file))
    return file.regions(regions)


def read_mask_list(file: RegionFile, content: Any) -> RegionSet:
    """The masks of a mask generator, [{"segmentation", "area", "bbox", ...}], or its file for an
    image, {"image", "annotations"}. They have no classes; labels can be given by number.
    """
    image_name = ""
    if isinstance(content, dict):
        image, content = entry(content, "image", "annotations")
        image = image if isinstance(image, dict) else {}
        if "height" in image and "width" in image:
            file.check_size(image["height"], image["width"])
        image_name = str(image.get("file_name", ""))
    names = [_name(item) for item in content]
    ids = ids_for(names) if all(names) else range(1, len(content) + 1)
    regions = []
    for id, name, item in zip(ids, names, content, strict=True):
        with part(f"mask {id}"):
            entry(item, "segmentation")
            regions.append(_region(id, name or file.label_of(id), item, file))
    return file.regions(regions, image_name)


def _check_ids(what: str, items: Sequence[Mapping[str, Any]]) -> None:
    """Raise a ValueError where two of them have one id: what refers to it may mean either."""
    counts = Counter(item["id"] for item in items)
    twice = [id for id, count in counts.items() if count > 1]
    if twice:
        raise ValueError(
            f"{counts[twice[0]]} {what} have the id {twice[0]!r}; give each an id of its own"
        )


def _region(id: Any, label: str, item: Mapping[str, Any], file: RegionFile) -> Region:
    if type(id) is not int:
        raise ValueError(f"its id must be an integer, got {id!r}")
    if item.get("iscrowd"):
        raise ValueError(
            "it is a crowd (iscrowd): several objects in one mask, which cannot be separated; "
            "split it, or remove it"
        )
    score = next((item[key] for key in _SCORE_KEYS if type(item.get(key)) in (int, float)), 1.0)
    score = min(float(score), 1.0)  # an estimated overlap can be above 1
    if item.get("segmentation"):
        return segmentation_region(id, label, item["segmentation"], file.image_size, score)
    if "bbox" not in item:
        raise ValueError("expected a segmentation or a bbox [x, y, width, height]")
    x, y, width, height = numbers(item["bbox"], 4, "bbox as [x, y, width, height]")
    return box_region(id, label, (x, y, x + width, y + height), file.image_size, score)


def _name(item: Any) -> str:
    """The class name in an entry, under any key."""
    found = (item.get(key) for key in _NAME_KEYS) if isinstance(item, dict) else ()
    return next((text for text in found if isinstance(text, str)), "")


def _of_one_image(file: RegionFile, content: Sequence[Any]) -> list[Mapping[str, Any]]:
    """The entries of the image asked about, by its number if there are several."""
    ids = list(dict.fromkeys(entry(item, "image_id")[0] for item in content))
    if len(ids) <= 1:
        return list(content)
    stem = Path(file.image_name).stem
    number = int(stem) if stem.isascii() and stem.isdigit() else None
    names = [stem if id in (number, stem) else str(id) for id in ids]
    chosen = ids[file.pick_image(names)]
    return [item for item in content if item["image_id"] == chosen]
