"""The layout of PhysicalAI-Spatial-Intelligence-Warehouse: records, cameras, folders.

    DIR/train.json                          one record for each question
    DIR/train/images/NAME.png               color, 8 bit
    DIR/train/depths/NAME_depth.png         16 bit, 0 = no reading
    DIR/train/cameras.json                  calibration and depth scale of each image; ours

Knows the shape of the files, nothing of what the questions mean. `cameras.json` is our addition;
the public set comes without it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import file_error, read_json, write_depth, write_file, write_image
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.language import MASK
from smolrgpt_core.language.placeholders import plain_placeholders
from smolrgpt_core.scene.spatial_scene import COLORS

SPLITS = ("train", "val", "test")

SIMULATION_FILE = "simulation.json"
"""In the folder of a simulated data set, the settings that it follows from."""

ANNOTATION_FILE = "annotation.json"
"""The settings of `smolrgpt annotate`, in the root of its data set."""

IMPORT_FILE = "import.json"
"""The settings of `smolrgpt import-hispatial`, in the root of its data set."""

HUMAN, MODEL = "human", "gpt"
"""Speakers of a turn."""

_SYSTEM = "system"
_SPEAKERS = {"user": HUMAN, "assistant": MODEL}


@dataclass(frozen=True)
class Turn:
    """One utterance. `speaker` is "human" or "gpt", as stored also "system" or another."""

    speaker: str
    text: str


def read_dialogue(turns: Iterable[Turn]) -> tuple[Turn, ...]:
    """Questions and answers of stored turns: the one way in which every reader takes a prompt.

    Instructions of the system are skipped, as are turns of nothing but `<image>`. Texts have one
    `<mask>` for each region, and no `<image>`, wherever it stands.
    """
    read = (
        Turn(_SPEAKERS.get(turn.speaker, turn.speaker), plain_placeholders(turn.text))
        for turn in turns
        if turn.speaker != _SYSTEM
    )
    return tuple(turn for turn in read if turn.speaker != HUMAN or turn.text)


def placeholders_in(turns: Iterable[Turn]) -> int:
    """Number of `<mask>` in a dialogue, which is the number of masks that it needs."""
    return sum(turn.text.count(MASK) for turn in turns)


BOX_FIELDS = ("x", "y", "z", "length", "width", "height", "yaw")
"""Of a region: the center of its own upright box in the optical frame, its longer and its shorter
horizontal side and its height (0 for a zone) in meters, and the angle of the longer side from right
towards forward on the floor in radians."""


@dataclass(frozen=True)
class AnswerTruth:
    """What is true of the regions of a question, beside its answer, as the simulator knows it.

    For the losses of training, never for answering; an evaluation reads the answer alone.

    Attributes:
        kind: name of the kind of answer in lower case, such as "quantity": of a family of tasks,
            the record's `category` does not define.
        parts: what is measured on the way to the answer, in the order of the text; meters, degrees
            or whatever it is asked in.
        boxes: `BOX_FIELDS` for each `<mask>`, in order; NaN where nothing is known of a region.
        colors: of each `<mask>` the name of its color, one of `COLORS`, "" where it is not known;
            none where nothing is known of any.
    """

    kind: str
    parts: tuple[float, ...] = ()
    boxes: tuple[tuple[float, ...], ...] = ()
    colors: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, with null for what is not known."""
        boxes = [[None if math.isnan(value) else value for value in box] for box in self.boxes]
        values = {"kind": self.kind, "parts": list(self.parts), "boxes": boxes}
        return {**values, "colors": list(self.colors)} if any(self.colors) else values

    @classmethod
    def from_json(cls, entry: Any) -> AnswerTruth:
        """Read what `to_json` made.

        Raises:
            SpatialError: BAD_INPUT that says what was expected.
        """
        try:
            boxes = tuple(tuple(map(_number, box)) for box in entry["boxes"])
            parts = tuple(map(float, entry["parts"]))
            kind = entry["kind"]
            colors = tuple(entry.get("colors", ()))
        except (KeyError, TypeError, ValueError) as error:
            raise _bad_truth(entry) from error
        if not isinstance(kind, str) or any(len(box) != len(BOX_FIELDS) for box in boxes):
            raise _bad_truth(entry)
        if colors and (len(colors) != len(boxes) or not {*colors} <= {"", *COLORS}):
            raise _bad_truth(entry)
        return cls(kind, parts, boxes, colors)


@dataclass(frozen=True)
class WarehouseRecord:
    """One question about one image, as it is written in `SPLIT.json`.

    Attributes:
        id: unique in its file.
        image: file name in `SPLIT/images`.
        conversations: question, and answer if there is one; in turns.
        rle: COCO RLE (`size`, compressed `counts`) for each `<mask>`, in order; not decoded, and
            whatever stands in the file in its place.
        category: "left_right", "count", "distance" or "mcq"; a family of tasks where the questions
            are those of another mixture; empty if not stated.
        normalized_answer: as text, see `smolrgpt_core.data.truths`; empty in a test split.
        freeform_answer: empty in a test split.
        reasoning: the answer step by step, ending with the bare one; empty where there is none.
            Ours; the public set comes without it.
        truth: what is true of the regions, for the losses of training; None where it is not known,
            as in the public set.
    """

    id: str
    image: str
    conversations: tuple[Turn, ...]
    rle: tuple[Any, ...] = ()
    category: str = ""
    normalized_answer: str = ""
    freeform_answer: str = ""
    reasoning: str = ""
    truth: AnswerTruth | None = None

    @property
    def dialogue(self) -> tuple[Turn, ...]:
        """Questions and answers, see `read_dialogue`."""
        return read_dialogue(self.conversations)

    @property
    def question(self) -> str:
        """Text of the first human turn, see `read_dialogue`; empty without one."""
        return next((turn.text for turn in self.dialogue if turn.speaker == HUMAN), "")

    @property
    def question_rle(self) -> tuple[Any, ...]:
        """The masks of the first human turn."""
        return self.rle[: self.question.count(MASK)]

    def to_json(self) -> dict[str, Any]:
        """In the field order of the public files."""
        record: dict[str, Any] = {
            "id": self.id,
            "image": self.image,
            "conversations": [
                {"from": turn.speaker, "value": turn.text} for turn in self.conversations
            ],
            "rle": [dict(rle) if isinstance(rle, Mapping) else rle for rle in self.rle],
            "category": self.category,
        }
        if self.normalized_answer or self.freeform_answer:
            record["normalized_answer"] = self.normalized_answer
            record["freeform_answer"] = self.freeform_answer
        if self.reasoning:
            record["reasoning"] = self.reasoning
        if self.truth is not None:
            record["truth"] = self.truth.to_json()
        return record

    @classmethod
    def from_json(cls, entry: Any) -> WarehouseRecord:
        """Read one entry of the list.

        Raises:
            SpatialError: BAD_INPUT that names the field which is missing or of another type.
        """
        if not isinstance(entry, Mapping):
            raise bad_input(f"a record must be an object, got {type(entry).__name__}")
        turns = _field(entry, "conversations", list)
        if not turns:
            raise bad_input("`conversations` of a record must not be empty")
        return cls(
            id=str(_field(entry, "id", (str, int))),
            image=_field(entry, "image", str),
            conversations=tuple(map(_turn, turns)),
            rle=masks_of(entry.get("rle")),
            category=stored_text(entry.get("category")),
            normalized_answer=stored_text(entry.get("normalized_answer")),
            freeform_answer=stored_text(entry.get("freeform_answer")),
            reasoning=stored_text(entry.get("reasoning")),
            truth=AnswerTruth.from_json(entry["truth"]) if entry.get("truth") else None,
        )


def _turn(entry: Any) -> Turn:
    speaker = _field(entry, "from", str)
    if "value" not in entry:
        raise bad_input("`value` of a turn is missing")
    return Turn(speaker, stored_text(entry["value"]))


def masks_of(stored: Any) -> tuple[Any, ...]:
    """The masks that stand in a data set; what is no list of them is one (broken) mask."""
    if stored is None or stored != stored:
        return ()
    return tuple(stored) if isinstance(stored, (list, tuple)) else (stored,)


def mask_key(rle: Mapping[str, Any]) -> tuple[str, str]:
    """Equal for masks that are stored alike: they are one mask, however many records name it."""
    return str(rle.get("size")), str(rle.get("counts"))


def stored_text(stored: Any) -> str:
    """A value of any type as text; empty where there is none (null, or NaN). 0 is a value."""
    return "" if stored is None or stored != stored else str(stored)


@dataclass(frozen=True)
class CameraRecord:
    """Calibration of one image; depth in meters = PNG value x `depth_scale`."""

    intrinsics: CameraIntrinsics
    depth_scale: float = 0.001

    def to_json(self) -> dict[str, float]:
        """One value of `cameras.json`; `is_cut` is only written where it holds."""
        names = ("width", "height", "fx", "fy", "cx", "cy")
        values = {name: getattr(self.intrinsics, name) for name in names}
        cut = {"is_cut": True} if self.intrinsics.is_cut else {}
        return values | {"depth_scale": self.depth_scale} | cut

    @classmethod
    def from_json(cls, entry: Any) -> CameraRecord:
        """Read one value of `cameras.json`.

        Raises:
            SpatialError: BAD_INPUT for a missing field, or numbers that no camera has.
        """
        number = (int, float)
        focal = {name: float(_field(entry, name, number)) for name in ("fx", "fy", "cx", "cy")}
        width, height = _field(entry, "width", int), _field(entry, "height", int)
        scale = float(_field(entry, "depth_scale", number))
        if not 0 < scale < float("inf"):
            raise bad_input(f"depth_scale must be positive meters per unit, got {scale}")
        is_cut = entry.get("is_cut", False)
        if not isinstance(is_cut, bool):
            raise bad_input(f"`is_cut` must be true or false, got {is_cut!r:.60}")
        return cls(CameraIntrinsics(width, height, **focal, is_cut=is_cut), scale)


@dataclass(frozen=True)
class SplitFolder:
    """Where the files of one split are.

    Attributes:
        root: folder of the data set.
        split: name such as "train".
    """

    root: Path
    split: str

    @property
    def name(self) -> str:
        """Of data set and split, for people."""
        return f"{self.root.name}/{self.split}"

    @property
    def records_path(self) -> Path:
        """The questions."""
        return self.root / f"{self.split}.json"

    @property
    def cameras_path(self) -> Path:
        """The calibrations."""
        return self.root / self.split / "cameras.json"

    def image_path(self, image: str) -> Path:
        """The color image of a record.

        Raises:
            SpatialError: BAD_INPUT for a name that leads out of the folder.
        """
        return self._inside("images", image)

    def depth_path(self, image: str) -> Path:
        """The depth image of a record.

        Raises:
            SpatialError: BAD_INPUT for a name that leads out of the folder.
        """
        return self._inside("depths", f"{Path(image).stem}_depth.png")

    def write_frame(
        self, image: str, rgb: NDArray[np.uint8], depth: NDArray[np.float32], depth_scale: float
    ) -> None:
        """Write color and depth of a record.

        Args:
            image: file name.
            rgb: uint8 (H, W, 3).
            depth: float32 (H, W), meters, NaN where there is no reading.
            depth_scale: meters per unit of the depth image.
        """
        write_image(self.image_path(image), rgb)
        write_depth(self.depth_path(image), depth, depth_scale)

    def read_records(self) -> list[WarehouseRecord]:
        """Every question of the split.

        Raises:
            SpatialError: BAD_INPUT that names the file, and the number of the first bad record.
        """
        entries = read_json(self.records_path)
        if not isinstance(entries, list):
            raise file_error(
                self.records_path,
                f"expected a list of records, found {type(entries).__name__}",
            )
        records = []
        for index, entry in enumerate(entries):
            try:
                records.append(WarehouseRecord.from_json(entry))
            except SpatialError as error:
                raise file_error(self.records_path, f"record {index}: {error}") from error
        return records

    def write_records(self, records: Iterable[WarehouseRecord]) -> None:
        """Write `SPLIT.json`, completely or not at all; one record is in memory at a time."""
        write_file(self.records_path, _json_list(record.to_json() for record in records))

    def read_cameras(self) -> dict[str, CameraRecord]:
        """Calibrations by image name.

        Raises:
            SpatialError: BAD_INPUT that names the file and the image.
        """
        return read_camera_records(self.cameras_path)

    def write_cameras(self, cameras: Mapping[str, CameraRecord]) -> None:
        """Write `SPLIT/cameras.json`, completely or not at all."""
        content = json.dumps({image: item.to_json() for image, item in cameras.items()}, indent=1)
        write_file(self.cameras_path, content.encode())

    def _inside(self, kind: str, name: str) -> Path:
        folder = self.root / self.split / kind
        if Path(name).name != name or name in ("", ".", ".."):
            raise bad_input(f"an image must be a plain file name in {folder}, got {name!r}")
        return folder / name


def read_camera_records(path: Path) -> dict[str, CameraRecord]:
    """Calibrations by image name, from a `cameras.json`.

    Raises:
        SpatialError: BAD_INPUT that names the file and the image.
    """
    entries = read_json(path)
    if not isinstance(entries, Mapping):
        raise file_error(path, "expected an object of calibrations by image")
    cameras = {}
    for image, entry in entries.items():
        try:
            cameras[image] = CameraRecord.from_json(entry)
        except SpatialError as error:
            raise file_error(path, f"image {image!r}: {error}") from error
    return cameras


def find_splits(root: Path) -> list[SplitFolder]:
    """The splits of a data set that have a file of questions.

    Raises:
        SpatialError: BAD_INPUT when there is none.
    """
    found = [SplitFolder(root, split) for split in SPLITS]
    found = [folder for folder in found if folder.records_path.is_file()]
    if not found:
        expected = ", ".join(f"{split}.json" for split in SPLITS)
        raise file_error(root, f"expected a data set with one of {expected}, found none of them")
    return found


def _json_list(entries: Iterable[Any]) -> Iterator[bytes]:
    """The bytes of `json.dumps(list(entries))`, entry by entry."""
    before = "["
    for entry in entries:
        yield (before + json.dumps(entry)).encode()
        before = ", "
    yield b"[]" if before == "[" else b"]"


def _field(entry: Any, name: str, kind: type | tuple[type, ...]) -> Any:
    """A value of the expected type."""
    if not isinstance(entry, Mapping):
        raise bad_input(f"expected an object with `{name}`, got {type(entry).__name__}")
    value = entry.get(name)
    if value is None:
        raise bad_input(f"`{name}` is missing")
    if not isinstance(value, kind) or isinstance(value, bool):
        names = "/".join(item.__name__ for item in (kind if isinstance(kind, tuple) else (kind,)))
        raise bad_input(f"`{name}` must be {names}, got {type(value).__name__} {value!r:.60}")
    return value


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _bad_truth(entry: Any) -> Exception:
    found = sorted(entry) if isinstance(entry, Mapping) else entry
    return bad_input(
        f"`truth` of a record must have `kind` (text), `parts` (numbers) and `boxes` "
        f"({', '.join(BOX_FIELDS)} of each mask), got {found!r:.80}; create the data set again "
        "with `smolrgpt simulate`"
    )
