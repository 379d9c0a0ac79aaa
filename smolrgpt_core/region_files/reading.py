"""`read_regions`: selects the reader of a file by its suffix, and for JSON by its structure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from smolrgpt_core.files import read_json
from smolrgpt_core.label_map import RegionLabels
from smolrgpt_core.region_files import coco, instance_images, labelme, own_form, xml_forms, yolo
from smolrgpt_core.region_files.source import JsonReader, Reader, RegionFile, naming
from smolrgpt_core.regions import RegionSet

READ = (
    "the JSON of this project, COCO (data sets, result lists), LabelMe, lists of a mask generator, "
    "CVAT for images and Pascal VOC (.xml), YOLO (.txt), instance images (.png, .bmp, .tif, .pgm, "
    ".npy)"
)
"""Supported formats, for messages."""


@dataclass(frozen=True)
class JsonForm:
    """A form of JSON files.

    Attributes:
        name: of the format, for messages.
        fits: whether a content has this format.
        read: its reader; None if it is recognized but not supported.
        is_numbered: it has numbers instead of labels, which can be given.
    """

    name: str
    fits: Callable[[Any], bool]
    read: JsonReader | None = None
    is_numbered: bool = False


def _has(*keys: str) -> Callable[[Any], bool]:
    return lambda content: isinstance(content, dict) and set(keys) <= set(content)


def _is_list_with(*keys: str) -> Callable[[Any], bool]:
    return lambda content: (
        isinstance(content, list) and bool(content) and all(map(_has(*keys), content[:1]))
    )


def _has_values_with(*keys: str) -> Callable[[Any], bool]:
    return lambda content: (
        isinstance(content, dict)
        and bool(content)
        and all(map(_has(*keys), list(content.values())[:1]))
    )


JSON_FORMS = (
    JsonForm("this project's", lambda c: isinstance(c, dict) and set(c) == own_form.KEYS,
             own_form.read_own_form),
    JsonForm("COCO", _has("images", "annotations"), coco.read_data_set),
    JsonForm("masks of an image", _has("image", "annotations"), coco.read_mask_list, True),
    JsonForm("LabelMe", _has("shapes"), labelme.read_labelme),
    JsonForm("COCO results", _is_list_with("image_id", "category_id"), coco.read_results, True),
    JsonForm("a list of masks", _is_list_with("segmentation"), coco.read_mask_list, True),
    JsonForm("VGG Image Annotator", _has("_via_img_metadata")),
    JsonForm("VGG Image Annotator", _has_values_with("filename", "regions")),
    JsonForm("Label Studio", _is_list_with("data", "annotations")),
    JsonForm("Supervisely", _has("objects", "size")),
    JsonForm("CreateML", _is_list_with("image", "annotations")),
    JsonForm("GeoJSON", _has("features")),
    JsonForm("ASAM OpenLABEL", _has("openlabel")),
    JsonForm("Labelbox", _is_list_with("Label")),
    JsonForm("a detector's boxes beside its labels", _has("boxes", "labels")),
    JsonForm("a detector's boxes beside its labels", _has("bboxes", "labels")),
    JsonForm("Grounded SAM without its masks", _is_list_with("box", "label")),
)  # fmt: skip
"""Formats in the order in which they are tried."""


def _read_json_form(file: RegionFile) -> RegionSet:
    content = read_json(file.path)
    form = next((form for form in JSON_FORMS if form.fits(content)), None)
    if form is None:
        raise ValueError(
            'expected {"image_size": [height, width], "regions": [...]} or one of the other forms '
            f"that are read: {READ}"
        )
    if form.read is None:
        raise ValueError(
            f"this is the format of {form.name}; convert or export it to one of: {READ}"
        )
    if file.labels is not None and not form.is_numbered:
        raise ValueError(f"labels by id are for instance images and others that have numbers only; "
                         f"this file ({form.name}) has its own")  # fmt: skip
    try:
        return form.read(file, content)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"looks like {form.name}, but is malformed: {error!r}") from error


def _read_xml(file: RegionFile) -> RegionSet:
    if file.labels is not None:
        raise ValueError("labels by id are for instance images; this file has its own")
    return xml_forms.read_xml(file)


READERS: dict[str, Reader] = {
    ".json": _read_json_form,
    ".xml": _read_xml,
    ".txt": yolo.read_yolo,
    **dict.fromkeys(
        (".png", ".bmp", ".tif", ".tiff", ".pgm", ".npy"), instance_images.read_instance_image
    ),
    **dict.fromkeys((".jpg", ".jpeg", ".webp"), instance_images.refuse_lossy_image),
}
"""Readers by file suffix."""


def read_regions(
    path: Path,
    image_size: tuple[int, int],
    labels: RegionLabels | None = None,
    image_name: str = "",
) -> RegionSet:
    """Regions of one image from a file.

    Args:
        path: in one of the formats described in docs/command_line.md.
        image_size: (height, width) of the segmented image.
        labels: how regions get their labels. Those of an instance image stand in the JSON file of
            the same name beside it, such as {"1-9": "buffer", "10": "pallet"}, unless they are
            given here; without either, regions have no label.
        image_name: file name of the image, to find it in a file about several images.

    Raises:
        SpatialError: BAD_INPUT when the file cannot be used, or is for an image of another size.
    """
    labels = labels or RegionLabels()
    reader = READERS.get(path.suffix.lower())
    with naming(path):
        if reader is None:
            raise ValueError(f"unknown suffix {path.suffix!r} of a region file; supported: {READ}")
        regions = reader(RegionFile(path, image_size, image_name, labels.by_number))
    return labels.label_map.apply(regions)
