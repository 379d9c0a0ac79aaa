"""Annotates a folder of images: each image separately, then the files of the data set.

    DIR/annotation.json             the settings, which stay with the data
    DIR/SPLIT/images, depths        written image by image
    DIR/.parts/IMAGE.json           records and facts; there is a file = image done
    DIR/SPLIT/facts.jsonl           objects, boxes and references, one image a line; written last,
    DIR/SPLIT/summary.json          with what was skipped and why,
    DIR/SPLIT/cameras.json,         and these, when .parts goes
    DIR/SPLIT.json

A run may be killed at any moment; the same call resumes it, and the result has the same bytes,
whatever the number of workers. Only complete files have their final names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from smolrgpt_core.annotation.frames import images_in
from smolrgpt_core.annotation.pipeline import AnnotatedImage, Annotator
from smolrgpt_core.annotation.settings import AnnotationSettings
from smolrgpt_core.data.resumable import ResumableFolder, ResumableRun
from smolrgpt_core.data.warehouse_format import (
    ANNOTATION_FILE,
    CameraRecord,
    SplitFolder,
    WarehouseRecord,
)
from smolrgpt_core.files import read_json, write_file

ANNOTATOR = 1
"""Raised whenever the same settings come to give other bytes."""

NOTE = (
    "Answers are measured by geometry from the depth of the images. They are not ground truth: a "
    "score against them shows how well an answerer agrees with geometry."
)

Annotate = Callable[[AnnotationSettings, Sequence[Path]], Iterable[AnnotatedImage]]
"""Annotates images, in any order."""


@dataclass(frozen=True)
class SkippedImage:
    """An image without questions: its file name, a reason of `filters.py`, and the details."""

    image: str
    reason: str
    detail: str


@dataclass
class AnnotationSummary:
    """The content of a data set.

    Attributes:
        images: numbers of images: all, and those with questions.
        skipped: the other images.
        objects: numbers of objects: all, asked about, and with each kind of reference.
        questions: by family of tasks.
        with_references: number of questions that name objects by references.
        misread: texts that were discarded because they are parsed differently than intended.
        unsure: questions that were discarded because the measured answer is too uncertain.
    """

    images: Counter[str] = field(default_factory=Counter)
    skipped: list[SkippedImage] = field(default_factory=list)
    objects: Counter[str] = field(default_factory=Counter)
    questions: Counter[str] = field(default_factory=Counter)
    with_references: int = 0
    misread: int = 0
    unsure: int = 0

    @property
    def reasons(self) -> Counter[str]:
        """Number of images that were skipped, by reason."""
        return Counter(item.reason for item in self.skipped)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "note": NOTE,
            "images": dict(self.images),
            "objects": dict(self.objects),
            "questions": dict(self.questions),
            "with_references": self.with_references,
            "misread": self.misread,
            "unsure": self.unsure,
            "reasons": dict(self.reasons),
            "skipped": [asdict(item) for item in self.skipped],
        }

    def add(self, part: dict[str, Any]) -> None:
        """Count one image."""
        self.images["all"] += 1
        if "reason" in part:
            self.skipped.append(SkippedImage(part["image"], part["reason"], part["detail"]))
            return
        self.images["with questions"] += 1
        self.misread += part["misread"]
        self.unsure += part["unsure"]
        for item in part["facts"]["objects"]:
            self.objects["all"] += 1
            self.objects["asked about"] += not item["skipped"]
            self.objects.update({reference["kind"] for reference in item["references"]})
        for item in part["facts"]["questions"].values():
            self.questions[item["family"]] += 1
            self.with_references += "references" in item


class AnnotationRun(ResumableRun):
    """One data set in the making; use it in `with run.locked():`.

    Args:
        settings: what to make.
        root: folder of the data set; made if needed.

    Raises:
        SpatialError: BAD_INPUT when there are no images, or two of the same stem.
    """

    def __init__(self, settings: AnnotationSettings, root: Path) -> None:
        self.settings = settings
        self.root = root
        self.images = images_in(settings.images)
        described = {"annotator": ANNOTATOR, **settings.to_json()}
        described["files"] = [path.name for path in self.images]
        super().__init__(ResumableFolder(root, ANNOTATION_FILE, described, "smolrgpt annotate"))
        self._folder = SplitFolder(root, settings.split)

    def missing(self) -> list[Path]:
        """The images that are not annotated yet."""
        return [path for path in self.images if not self._part(path.name).exists()]

    def annotate(self, annotate: Annotate) -> Iterator[AnnotatedImage]:
        """Annotate the missing images; yields each when it is written.

        Args:
            annotate: how, such as `in_this_process`.

        Raises:
            OSError: a file cannot be written.
        """
        missing = self.missing()
        for done in annotate(self.settings, missing) if missing else ():
            if done.color:
                write_file(self._folder.image_path(done.image), done.color)
                write_file(self._folder.depth_path(done.image), done.depth)
            write_file(self._part(done.image), done.part)
            yield done

    def finish(self) -> AnnotationSummary:
        """Write the files that belong to all images.

        Raises:
            OSError: a file cannot be written.
        """
        summary = AnnotationSummary()
        parts = []
        for path in self.images:
            part = read_json(self._part(path.name))
            summary.add(part)
            if "reason" not in part:
                parts.append(part)
        beside = self.root / self.settings.split
        facts = "".join(f"{json.dumps(part['facts'])}\n" for part in parts)
        write_file(beside / "facts.jsonl", facts.encode())
        write_file(beside / "summary.json", json.dumps(summary.to_json(), indent=1).encode())
        cameras = {part["image"]: CameraRecord.from_json(part["camera"]) for part in parts}
        self._folder.write_cameras(cameras)
        self._folder.write_records(
            WarehouseRecord.from_json(entry) for part in parts for entry in part["records"]
        )
        self._data.close()
        return summary

    def _part(self, image: str) -> Path:
        return self._data.parts / f"{image}.json"


def in_this_process(
    settings: AnnotationSettings, images: Sequence[Path]
) -> Iterator[AnnotatedImage]:
    """Annotate images one after another."""
    annotator = Annotator(settings)
    for image in images:
        yield annotator.annotate(image)
