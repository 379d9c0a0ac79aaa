"""A teacher's logits on disk, computed once for all runs that learn from them.

    FOLDER/distillation.json          teacher, tokenizer and data that the logits follow from
    FOLDER/part-00-00000.safetensors  answer tokens, the likeliest tokens for each, their logits
    FOLDER/part-00-00000.jsonl        for each conversation its key, and where its tokens are
    FOLDER/answers.jsonl              where it was asked for: what the teacher answers by itself

A part is complete or absent, so a stopped run resumes after the last one.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from smolrgpt_core.answerer_settings import SENTENCE
from smolrgpt_core.checkpoints.files import fingerprint_of
from smolrgpt_core.data.readers import Order, SampleIterator
from smolrgpt_core.data.resumable import ResumableFolder
from smolrgpt_core.data.samples import Conversation, Sample
from smolrgpt_core.data.warehouse_format import mask_key
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import file_error, read_json, write_file
from smolrgpt_core.model.parts import Model
from smolrgpt_core.settings_file import to_entries
from smolrgpt_core.training.config import TrainConfig
from smolrgpt_core.training.distillation import (
    TEACHER_IDS,
    TEACHER_LOGITS,
    answer_tokens,
    load_teacher,
    teacher_answers,
)
from smolrgpt_core.training.losses import predicted
from smolrgpt_core.training.rows import Row, RowCutter, RowKind, to_device
from smolrgpt_core.training.start import Processor
from smolrgpt_core.training.stream import open_source, row_kind

logger = logging.getLogger(__name__)

SETTINGS_FILE = "distillation.json"
ANSWERS_FILE = "answers.jsonl"

PART_SAMPLES = 256
"""Images of a part."""

_LABELS, _IDS, _LOGITS = "labels", "ids", "logits"


@dataclass(frozen=True)
class TeacherSettings:
    """What to compute with a teacher.

    Attributes:
        teacher: folder or hub id of its checkpoint.
        top: number of most likely tokens to store.
        with_answers: also write the answers that it generates.
    """

    teacher: str
    top: int = 32
    with_answers: bool = False

    def __post_init__(self) -> None:
        if self.top < 1:
            raise bad_input(f"the number of tokens to keep must be at least 1, got {self.top}")


def write_logits(
    config: TrainConfig, asked: TeacherSettings, folder: Path, device: torch.device
) -> None:
    """Compute a teacher's logits for all rows that a run can draw; resumes.

    Args:
        config: of the run: its data and styles.
        asked: the teacher, and what to compute.
        folder: to write.
        device: of the teacher.

    Raises:
        SpatialError: BAD_INPUT when teacher, data or folder cannot be used; BUSY when another
            process writes to it.
    """
    model, processor = load_teacher(asked.teacher)
    described = {
        "teacher": Path(asked.teacher).name,
        "teacher_sha256": fingerprint_of(asked.teacher),
        "tokenizer": vocabulary_of(processor),
        "top": asked.top,
        "with_answers": asked.with_answers,
        "data": _described_data(config),
    }
    store = ResumableFolder(folder, SETTINGS_FILE, described, "smolrgpt distill")
    nn.Module.to(model, device)
    writer = _Writer(config, asked, folder, model, processor)
    with store.locked():
        if store.is_complete:
            return
        for place in range(len(config.data.sources)):
            writer.write_source(place)
        if asked.with_answers:
            writer.write_answers()
        store.close()


def _described_data(config: TrainConfig) -> dict[str, Any]:
    data = to_entries(config.data)
    del data["workers"], data["broken_fraction"]
    for source in data["sources"]:
        del source["index_folder"]
        for name in ("annotations", "images"):
            # Folders of versions without these settings are resumed, too.
            if not source[name]:
                del source[name]
    return data | {"answers": config.distillation.answers if config.distillation else ""}


def vocabulary_of(processor: Processor) -> str:
    """Fingerprint of the tokens of a tokenizer and their ids."""
    tokens = sorted(processor.tokenizer.get_vocab().items())
    return hashlib.sha256(json.dumps(tokens).encode()).hexdigest()


def key_of(sample: Sample, conversation: Conversation) -> str:
    """A key that is equal for conversations with the same text about the same regions of an
    image.
    """
    masks = [mask_key(sample.rle[index]) for index in conversation.mask_indices]
    texts = [turn.text for turn in conversation.turns]
    content = json.dumps([conversation.id, sample.image.path.name, texts, masks])
    return hashlib.sha256(content.encode()).hexdigest()[:32]


class _Writer:
    """Writes the parts of one folder."""

    def __init__(
        self,
        config: TrainConfig,
        asked: TeacherSettings,
        folder: Path,
        model: Model,
        processor: Processor,
    ) -> None:
        self._config = config
        self._asked = asked
        self._folder = folder
        self._model = model
        self._kind = row_kind(processor, config.data)
        self._answer = teacher_answers(config.distillation) if config.distillation else None

    def write_source(self, place: int) -> None:
        """Write the missing parts of a source."""
        source, config = self._config.data.sources[place], self._config
        reader = SampleIterator(open_source(source, config.data), Order())
        cutter = RowCutter(self._kind, config.data, source, config.seed, self._answer)
        for part in count():
            is_last, samples = _next_samples(reader)
            name = f"part-{place:02}-{part:05}"
            if not (self._folder / f"{name}.jsonl").exists():
                self._write_part(name, _rows(samples, cutter, self._kind, source.inputs))
            if is_last:
                return

    def _write_part(self, name: str, rows: Sequence[Row]) -> None:
        tensors: dict[str, list[torch.Tensor]] = {_LABELS: [], _IDS: [], _LOGITS: []}
        lines = []
        end, size = 0, self._config.optimizer.micro_rows
        for start in range(0, len(rows), size):
            some, inputs = self._usable(rows[start : start + size])
            if not some:
                continue
            numbers = self._predict(some, inputs, tensors)
            items = [(row, item) for row in some for item in row.conversations]
            for (row, item), number in zip(items, numbers, strict=True):
                lines.append({**self._line(row, item), "start": end, "count": number})
                end += number
        if lines:
            content = {key: torch.cat(parts) for key, parts in tensors.items()}
            write_file(self._folder / f"{name}.safetensors", save(content))
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write_file(self._folder / f"{name}.jsonl", text.encode())
        logger.info("%s: %d conversations", name, len(lines))

    def _usable(self, rows: Sequence[Row]) -> tuple[list[Row], dict[str, Any]]:
        """The rows that can be decoded, and their batch."""
        try:
            return list(rows), self._kind.batch(rows)
        except SpatialError as error:
            if len(rows) == 1:
                logger.warning("skipped a broken sample: %s", error)
                return [], {}
        used = [row for row in rows if self._usable([row])[0]]
        return used, self._kind.batch(used) if used else {}

    @torch.no_grad()
    def _predict(
        self,
        rows: Sequence[Row],
        inputs: Mapping[str, Any],
        tensors: dict[str, list[torch.Tensor]],
    ) -> list[int]:
        """Append the likeliest tokens; the number of tokens of each conversation."""
        logits = predicted(self._model, to_device(inputs, self._model.device))[0].logits.float()
        best = logits.topk(min(self._asked.top, logits.shape[1]))
        tensors[_LABELS].append(answer_tokens(inputs["labels"]).int())
        tensors[_IDS].append(best.indices.int().cpu())
        tensors[_LOGITS].append(best.values.cpu())
        conversations = sum(len(row.conversations) for row in rows)
        numbers: list[int] = (
            self._kind.places(rows, inputs).bincount(minlength=conversations).tolist()
        )
        return numbers

    def _line(self, row: Row, item: Conversation) -> dict[str, Any]:
        line = {"key": key_of(row.sample, item), "id": item.id, "question": item.turns[0].text}
        if not self._asked.with_answers or len(item.turns) != 2:
            return line
        alone = Row(row.sample, (item,), row.inputs, row.draws)
        limit = SENTENCE.max_new_tokens
        return line | {"answer": self._kind.answer(self._model, alone, self._model.device, limit)}

    def write_answers(self) -> None:
        """Write the generated answers of all parts."""
        lines = [
            json.dumps({name: line[name] for name in ("id", "question", "answer")})
            for path in sorted(self._folder.glob("part-*.jsonl"))
            for line in _lines(path)
            if line.get("answer")
        ]
        write_file(self._folder / ANSWERS_FILE, "".join(f"{line}\n" for line in lines).encode())


def _next_samples(reader: SampleIterator) -> tuple[bool, list[Sample]]:
    """Whether this is the last part, and its samples; what cannot be read is skipped."""
    samples = []
    for _ in range(PART_SAMPLES):
        try:
            samples.append(next(reader))
        except StopIteration:
            return True, samples
        except SpatialError as error:
            logger.warning("skipped a broken sample: %s", error)
    return False, samples


def _rows(samples: Sequence[Sample], cutter: RowCutter, kind: RowKind, inputs: str) -> list[Row]:
    rows = []
    for sample in samples:
        try:
            parts = kind.cut(cutter.variants(sample), inputs)
        except SpatialError as error:
            logger.warning("skipped a broken sample: %s", error)
            continue
        rows += [Row(sample, tuple(part), inputs, (number,)) for number, part in enumerate(parts)]
    return rows


@dataclass
class StoredLogits:
    """Implements `BatchExtra`: a teacher's logits from a folder of `write_logits`.

    Attributes:
        folder: of them.
        processor: of the student.

    Raises:
        SpatialError: BAD_INPUT when the folder is incomplete or has another tokenizer.
    """

    folder: Path
    processor: Processor = field(repr=False)

    def __post_init__(self) -> None:
        path = self.folder / SETTINGS_FILE
        if not path.exists() or (self.folder / ".parts").exists():
            raise file_error(
                self.folder,
                "has no complete logits of a teacher; compute them with smolrgpt distill",
            )
        if read_json(path)["tokenizer"] != vocabulary_of(self.processor):
            raise file_error(
                self.folder,
                "comes from a teacher with another tokenizer than the student's; use the "
                "teacher's tokenizer for the student (start.tokenizer), or distill by text "
                "(distillation.answers)",
            )
        self._places = {
            line["key"]: (file.stem, line["start"], line["count"])
            for file in sorted(self.folder.glob("part-*.jsonl"))
            for line in _lines(file)
        }
        self._parts: dict[str, Any] = {}

    def entries(self, rows: Sequence[Row], batch: Mapping[str, Any]) -> dict[str, Any]:
        """As `BatchExtra`.

        Raises:
            SpatialError: BAD_INPUT for a conversation without stored logits, or with other tokens
                than at the time.
        """
        found = [
            self._of_conversation(row.sample, item) for row in rows for item in row.conversations
        ]
        labels, ids, logits = (torch.cat(parts) for parts in zip(*found, strict=True))
        wanted = answer_tokens(batch["labels"])[: len(labels)]
        if not torch.equal(labels.long(), wanted):
            raise file_error(
                self.folder,
                f"has other answer tokens for {rows[0].sample.id!r} than the student; recompute "
                "the logits with the data of this run",
            )
        return {TEACHER_IDS: ids, TEACHER_LOGITS: logits}

    def _of_conversation(self, sample: Sample, item: Conversation) -> tuple[torch.Tensor, ...]:
        place = self._places.get(key_of(sample, item))
        if place is None:
            raise file_error(
                self.folder,
                f"has no logits for conversation {item.id!r} in its training form; run smolrgpt "
                "distill with the sources and styles of this run",
            )
        name, start, count = place
        part = self._opened(name)
        return tuple(part.get_slice(key)[start : start + count] for key in (_LABELS, _IDS, _LOGITS))

    def _opened(self, name: str) -> Any:
        if name not in self._parts:
            path = self.folder / f"{name}.safetensors"
            try:
                self._parts[name] = safe_open(path, framework="pt")
            except (OSError, SafetensorError) as error:
                raise file_error(path, f"cannot be read: {error}") from error
        return self._parts[name]


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]
