"""Converts released shards: record by record, then the files of the data set.

    DIR/import.json                 the settings, which stay with the data
    DIR/SPLIT/images, depths        written record by record, under names of their own
    DIR/.parts/SHARD.jsonl          a line for each record; the file exists = shard done
    DIR/SPLIT/facts.jsonl           where each image and question comes from; written last,
    DIR/SPLIT/summary.json          with what is broken or skipped,
    DIR/SPLIT/cameras.json,         and these, when .parts goes
    DIR/SPLIT.json

A run may be killed at any moment; the same call resumes it at the shard where it stopped, and the
result has the same bytes. Only complete files have their final names.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.data.resumable import ResumableFolder, ResumableRun
from smolrgpt_core.data.warehouse_format import (
    HUMAN,
    IMPORT_FILE,
    MODEL,
    SPLITS,
    CameraRecord,
    SplitFolder,
    Turn,
    WarehouseRecord,
)
from smolrgpt_core.depth import REPORTED_LOSS, DepthLimits, depth_readings, depth_to_units
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import encode_image, file_error, write_file
from smolrgpt_core.hispatial_data.calibrations import CalibratedDepth
from smolrgpt_core.hispatial_data.pixels import pixel_questions
from smolrgpt_core.hispatial_data.questions import (
    ImportedQuestion,
    QuestionDraw,
    ca1m_questions,
    general_question,
    wild_questions,
)
from smolrgpt_core.hispatial_data.records import ReleasedRecord, Stream, read_record
from smolrgpt_core.hispatial_data.shards import StoredRecord, read_shard
from smolrgpt_core.hispatial_data.unpickling import Unpickler
from smolrgpt_core.language.placeholders import IMAGE
from smolrgpt_core.model_inputs.regions_in_words import Box
from smolrgpt_core.regions import encode_rle

IMPORTER = 1
"""Incremented whenever the same shards and settings produce different bytes."""

DEPTH_SCALE = 0.001
"""Meters per unit of the depth images that are written."""


@dataclass(frozen=True)
class ImportSettings:
    """What to convert.

    Attributes:
        shards: tars, in the order of the data set.
        questions: maximum number for each image, without those about pixels.
        split: for all images.
        seed: of every choice.

    Raises:
        SpatialError: BAD_INPUT for a shard twice, or an unknown split.
    """

    shards: tuple[Path, ...]
    questions: int = 16
    split: str = "train"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise bad_input(f"split must be one of {', '.join(SPLITS)}, got {self.split!r}")
        twice = [path for path, count in Counter(self.shards).items() if count > 1]
        if twice:
            raise bad_input(f"expected each shard once, got {twice[0]} several times")

    def to_json(self) -> dict[str, Any]:
        """Everything that determines the bytes."""
        return {
            "importer": IMPORTER,
            "shards": [[path.name, path.stat().st_size] for path in self.shards],
            "questions": self.questions,
            "split": self.split,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class BrokenRecord:
    """A record that cannot be used, or a shard that ends early (without a key)."""

    shard: str
    key: str
    reason: str


@dataclass
class ImportSummary:
    """The content of a data set.

    Attributes:
        images: number of images by stream.
        questions: by task.
        formats: number of questions by format of the answer.
        left_out: number of items of the records that are not used, by reason.
        short_of_depth: number of images that lost a considerable fraction of their depth, because
            it lies out of the range in which all commands read depth.
        broken: what cannot be used.
    """

    images: Counter[str] = field(default_factory=Counter)
    questions: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    short_of_depth: int = 0
    broken: list[BrokenRecord] = field(default_factory=list)

    def add(self, part: dict[str, Any]) -> None:
        """Count one record."""
        if "reason" in part:
            self.broken.append(BrokenRecord(part["shard"], part["key"], part["reason"]))
            return
        facts = part["facts"]
        self.images[facts["stream"]] += 1
        self.short_of_depth += facts["depth_out_of_range"] >= REPORTED_LOSS
        self.left_out.update(facts["left_out"])
        for item in facts["questions"].values():
            self.questions[item["family"]] += 1
            self.formats[item["format"]] += 1

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "images": dict(self.images),
            "questions": dict(self.questions),
            "formats": dict(self.formats),
            "left_out": dict(self.left_out),
            "short_of_depth": self.short_of_depth,
            "broken": [asdict(item) for item in self.broken],
        }


class ImportRun(ResumableRun):
    """One data set in the making; use it in `with run.locked():`.

    Args:
        settings: what to convert.
        root: folder of the data set; made if needed.
    """

    def __init__(self, settings: ImportSettings, root: Path) -> None:
        self.settings = settings
        self.root = root
        described = settings.to_json()
        super().__init__(ResumableFolder(root, IMPORT_FILE, described, "smolrgpt import-hispatial"))
        self._folder = SplitFolder(root, settings.split)

    def missing(self) -> list[int]:
        """Numbers of the shards that are not converted yet."""
        return [
            number for number in range(len(self.settings.shards)) if not self._part(number).exists()
        ]

    def convert(self, shard: int, unpickler: Unpickler) -> Iterator[str]:
        """Convert a shard; yields the key of each record when it is done.

        Args:
            shard: its number.
            unpickler: reads the pickles of its records.

        Raises:
            OSError: a file cannot be written.
        """
        lines = []
        for part in self._parts(shard, unpickler):
            lines.append(f"{json.dumps(part)}\n".encode())
            yield part["key"]
        write_file(self._part(shard), lines)

    def finish(self) -> ImportSummary:
        """Write the files that belong to all images.

        Raises:
            SpatialError: BAD_INPUT when no record can be used.
            OSError: a file cannot be written.
        """
        summary = ImportSummary()
        cameras = {}
        for part in self._lines():
            summary.add(part)
            if "reason" not in part:
                cameras[part["image"]] = CameraRecord.from_json(part["camera"])
        if not cameras:
            first = summary.broken[0].reason if summary.broken else "there is none"
            raise file_error(self.root, f"no record of the shards can be used; the first: {first}")
        beside = self.root / self.settings.split
        used = (part for part in self._lines() if "reason" not in part)
        facts = (f"{json.dumps({'image': part['image'], **part['facts']})}\n" for part in used)
        write_file(beside / "facts.jsonl", map(str.encode, facts))
        write_file(beside / "summary.json", json.dumps(summary.to_json(), indent=1).encode())
        self._folder.write_cameras(cameras)
        self._folder.write_records(
            WarehouseRecord.from_json(entry)
            for part in self._lines()
            for entry in part.get("records", ())
        )
        self._data.close()
        return summary

    def _part(self, shard: int) -> Path:
        return self._data.parts / f"{shard:05}.jsonl"

    def _lines(self) -> Iterator[dict[str, Any]]:
        for shard in range(len(self.settings.shards)):
            with self._part(shard).open("rb") as file:
                yield from map(json.loads, file)

    def _parts(self, shard: int, unpickler: Unpickler) -> Iterator[dict[str, Any]]:
        """The entry in the data set of each record of a shard; of a broken one, the reason."""
        path = self.settings.shards[shard]
        number = -1
        try:
            for number, stored in enumerate(read_shard(path)):
                try:
                    yield self._converted(path, stored, f"{shard:05}-{number:06}", unpickler)
                except SpatialError as error:
                    yield {"shard": path.name, "key": stored.key, "reason": error.message}
        except SpatialError as error:
            reason = f"{error.message}; {number + 1} records before it"
            yield {"shard": path.name, "key": "", "reason": reason}

    def _converted(
        self, shard: Path, stored: StoredRecord, stem: str, unpickler: Unpickler
    ) -> dict[str, Any]:
        """Write the images of a record; returns its entry in the data set.

        Raises:
            SpatialError: BAD_INPUT when the record cannot be used. Nothing is written then.
        """
        record = read_record(stored, unpickler)
        known, out_of_range = _in_range(record.depth)
        place = crc32(f"{shard.name}/{stored.key}".encode())
        rng = np.random.default_rng([self.settings.seed, place])
        left_out: list[str] = []
        image, size = f"{stem}.jpg", (known.camera.height, known.camera.width)
        draw = QuestionDraw(rng, self.settings.questions, size, left_out.append)
        questions = [*_questions(record, draw), *pixel_questions(known, rng)]
        ids = [f"{stem}-{number:02}" for number in range(len(questions))]
        records = [
            _record(id, image, question, size).to_json()
            for id, question in zip(ids, questions, strict=True)
        ]
        units = depth_to_units(known.meters, DEPTH_SCALE)
        # Refuses, with the reason, what no command would read.
        depth_readings(units, DEPTH_SCALE)
        write_file(self._folder.image_path(image), record.image)
        write_file(self._folder.depth_path(image), encode_image(units, ".png"))
        return {
            "key": stored.key,
            "image": image,
            "camera": CameraRecord(known.camera, DEPTH_SCALE).to_json(),
            "records": records,
            "facts": {
                "shard": shard.name,
                "key": stored.key,
                "stream": record.stream.value,
                "depth_out_of_range": round(out_of_range, 4),
                "left_out": Counter(left_out),
                "questions": dict(zip(ids, map(_origin, questions), strict=True)),
            },
        }


def _origin(question: ImportedQuestion) -> dict[str, str]:
    return {
        "family": question.category,
        "qa_type": question.qa_type,
        "format": question.format.value,
    }


def _questions(record: ReleasedRecord, draw: QuestionDraw) -> list[ImportedQuestion]:
    if record.stream is Stream.GENERAL:
        return [general_question(record.questions)]
    read = wild_questions if record.stream is Stream.WILD else ca1m_questions
    return read(record.questions, draw)


def _in_range(depth: CalibratedDepth) -> tuple[CalibratedDepth, float]:
    """Depth without what every command treats as no reading, and the fraction of pixels lost."""
    limits = DepthLimits()
    meters = depth.meters
    is_near = (meters >= limits.min_depth) & (meters <= limits.max_depth)
    if not is_near.any():
        raise bad_input(
            f"a record without depth from {limits.min_depth:g} to {limits.max_depth:g} m"
        )
    lost = float(np.mean(np.isfinite(meters) & ~is_near))
    known = np.where(is_near, meters, np.nan).astype(np.float32)
    return CalibratedDepth(known, depth.camera), lost


def _record(
    id: str, image: str, question: ImportedQuestion, size: tuple[int, int]
) -> WarehouseRecord:
    pairs = [(question.text, question.answer), *question.further]
    turns = [turn for asked, answer in pairs for turn in (Turn(HUMAN, asked), Turn(MODEL, answer))]
    turns[0] = Turn(HUMAN, f"{IMAGE}\n{question.text}")
    return WarehouseRecord(
        id=id,
        image=image,
        conversations=tuple(turns),
        rle=tuple(encode_rle(_box_mask(box, size)) for box in question.boxes),
        category=question.category,
        normalized_answer=question.answer,
        freeform_answer=question.answer,
        reasoning=question.reasoning,
    )


def _box_mask(box: Box, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of a box: the records have no masks."""
    left, top, right, bottom = map(int, box)
    mask = np.zeros(size, dtype=bool)
    mask[top:bottom, left:right] = True
    return mask
