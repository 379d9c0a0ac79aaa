"""Corrected answers as training examples, in the layout of `data.warehouse_format`.

FOLDER/train.json                the questions with the answers of a person
FOLDER/train/images, depths      their frames, each once
FOLDER/train/cameras.json
FOLDER/train/provenance.json     what was asked and answered before
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from smolrgpt_core.data.records import encode_masks, question_record
from smolrgpt_core.data.warehouse_format import SPLITS, CameraRecord, SplitFolder, WarehouseRecord
from smolrgpt_core.errors import bad_input
from smolrgpt_core.files import read_json, write_file
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import SpatialQuestion
from smolrgpt_core.page.conversation import Exchange

NOTE = "Every answer is from a person who looked at the frame and rejected the computed answer."

UNSTORABLE = (
    "only distances, counts, sides and choices between objects can be stored; data sets have no "
    "other kinds of questions"
)


@dataclass(frozen=True)
class Stored:
    """A stored training example.

    Attributes:
        id: of its record.
        path: of the file of records.
        answer: the stored sentence.
    """

    id: str
    path: Path
    answer: str


class Corrections:
    """Writes corrections to a folder, which is one data set. Thread-safe.

    Args:
        folder: made with the first correction.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._split = SplitFolder(folder, SPLITS[0])
        self._lock = Lock()

    def store(self, exchange: Exchange, right: str) -> Stored:
        """Store a corrected answer.

        Args:
            exchange: the question and the wrong answer.
            right: the correct answer, in the form that `expected` describes.

        Raises:
            SpatialError: BAD_INPUT when this does not answer the question, or the question cannot
                be stored in a data set.
            OSError: it cannot be written.
        """
        with self._lock:
            records = self._split.read_records() if self._split.records_path.exists() else []
            image = _image_name(exchange.frame)
            number = sum(record.image == image for record in records)
            record = _record(f"{Path(image).stem}_{number}", image, exchange, right)
            self._write_frame(image, exchange.frame)
            self._write_provenance(record.id, exchange)
            # Last, as a record without its image would make the data set unusable.
            self._split.write_records([*records, record])
        return Stored(record.id, self._split.records_path, record.freeform_answer)

    def _write_frame(self, image: str, frame: RGBDFrame) -> None:
        path = self._split.cameras_path
        cameras = self._split.read_cameras() if path.exists() else {}
        camera = CameraRecord(frame.intrinsics)
        self._split.write_frame(image, frame.rgb, frame.depth, camera.depth_scale)
        self._split.write_cameras({**cameras, image: camera})

    def _write_provenance(self, id: str, exchange: Exchange) -> None:
        path = self._split.root / self._split.split / "provenance.json"
        questions: dict[str, Any] = read_json(path)["questions"] if path.exists() else {}
        answer = exchange.answer
        questions[id] = {
            "asked": exchange.asked.to_json(),
            "answered": answer.text if answer.ok else f"{answer.status.name}: {answer.message}",
        }
        content = {
            "answers": NOTE,
            "answered_by_a_person": list(questions),
            "questions": questions,
        }
        write_file(path, json.dumps(content, indent=1).encode())


def expected(exchange: Exchange) -> str:
    """The form that a correction must have, in words.

    Raises:
        SpatialError: BAD_INPUT when the question cannot be stored in a data set.
    """
    from smolrgpt_core.recordings.review import EXPECTED

    return EXPECTED[_question(exchange).category]


def _question(exchange: Exchange) -> SpatialQuestion:
    from smolrgpt_core.recordings.review import data_set_question

    question = data_set_question(exchange.asked, exchange.frame.regions)
    if question is None:
        raise bad_input(UNSTORABLE)
    return question


def _record(id: str, image: str, exchange: Exchange, right: str) -> WarehouseRecord:
    from smolrgpt_core.recordings.question_bag import RecordedQuestion
    from smolrgpt_core.recordings.review import reviewed_question

    _question(exchange)
    regions = exchange.frame.regions
    recorded = RecordedQuestion(exchange.number, exchange.asked, exchange.answer)
    reviewed = reviewed_question(id, recorded, _typed(right), regions)
    masks = encode_masks(regions, set(reviewed.region_ids))
    return question_record(id, image, reviewed, masks)


def _typed(right: str) -> float | str:
    """A number where one was typed."""
    text = right.strip().lower().removesuffix("m").strip()
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return right.strip().lower()


def _image_name(frame: RGBDFrame) -> str:
    """The same for the same frame, so that its corrections share an image."""
    digest = hashlib.sha256(frame.rgb.tobytes() + frame.depth.tobytes()).hexdigest()
    return f"corrected_{digest[:16]}.png"
