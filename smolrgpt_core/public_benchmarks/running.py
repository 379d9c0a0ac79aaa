"""Asks a model all questions of a benchmark, in a folder in which a killed run resumes.

    FOLDER/run.json            what the answers follow from
    FOLDER/predictions.jsonl   a line for each answer, as they come; at the end in their order

Questions without an answer are asked again by the next run, until all have been asked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any

from smolrgpt_core.data.resumable import ResumableFolder
from smolrgpt_core.errors import SpatialError, Status
from smolrgpt_core.files import file_error, read_bytes, write_file
from smolrgpt_core.public_benchmarks.benchmark import Benchmark
from smolrgpt_core.public_benchmarks.models import BenchmarkModel
from smolrgpt_core.public_benchmarks.names import ANSWERS_FILE, RUN_FILE
from smolrgpt_core.public_benchmarks.predictions import Predictions, Reply
from smolrgpt_core.public_benchmarks.questions import question_of
from smolrgpt_core.public_benchmarks.records import BenchmarkData, BenchmarkRecord
from smolrgpt_core.public_benchmarks.scoring import JudgedRecords
from smolrgpt_core.public_benchmarks.workers import Workers, one_by_one

HOPELESS = 5
"""So many questions that cannot be asked, and none that can, end a run: it is not the questions."""


class BenchmarkRun:
    """The answers of one model to one benchmark; use it in `with run.locked():`.

    Args:
        root: folder, made if needed.
        benchmark: that the data belongs to.
        data: its questions, in the form in which they are asked.
        described: of the model, see `BenchmarkModel.described`.
        seed: of what is drawn, such as the order of options.
        shuffled: whether options are in another order than published.
    """

    def __init__(
        self,
        root: Path,
        benchmark: Benchmark,
        data: BenchmarkData,
        described: Mapping[str, Any],
        seed: int,
        shuffled: bool,
    ) -> None:
        self.benchmark, self.data = benchmark, data
        self.settings: dict[str, Any] = {
            "benchmark": benchmark.name,
            "model": dict(described),
            "seed": seed,
            "options": "shuffled" if shuffled else "as published",
            "questions": len(data.records),
            "questions_sha256": _fingerprint(data.records),
            "example_prompt": question_of(data.records[0]).prompt,
        }
        self._folder = ResumableFolder(root, RUN_FILE, self.settings, "smolrgpt benchmark")
        self._answers = root / ANSWERS_FILE

    def locked(self) -> AbstractContextManager[None]:
        """Take the folder; errors as of `ResumableFolder.locked`."""
        return self._folder.locked()

    def replies(self) -> dict[str, Reply]:
        """The outcomes of the questions asked so far, by id.

        A last line that was cut off by a kill is ignored.

        Raises:
            SpatialError: BAD_INPUT when a line is none of such a file.
        """
        if not self._answers.exists():
            return {}
        *lines, _ = read_bytes(self._answers).split(b"\n")
        found = {}
        for number, line in enumerate(lines, start=1):
            try:
                entry = json.loads(line)
                found[str(entry["id"])] = Reply(
                    entry["prediction"], entry.get("problem", ""), entry.get("status", ""),
                    entry.get("confidence"),
                )  # fmt: skip
            except (ValueError, KeyError, TypeError) as error:
                raise file_error(
                    self._answers,
                    f"line {number} is no answer of `smolrgpt benchmark`: {line!r:.60}; remove it, "
                    "and the question is asked again",
                ) from error
        return found

    def answer_all(
        self,
        model: BenchmarkModel | Workers,
        limit: int | None,
        advance: Callable[[int, int], None],
    ) -> dict[str, Reply]:
        """Ask all questions without an answer.

        Args:
            model: to ask, or several processes with it.
            limit: of the first questions; None: all.
            advance: called after each question with the finished and total numbers.

        Returns:
            The outcomes of the first `limit` questions, by id, in order.

        Raises:
            SpatialError: when the model cannot be asked any more, with all answers kept; BAD_INPUT
                when the folder cannot be used.
        """
        wanted = self.data.records[:limit]
        replies = self.replies()
        if not self._folder.is_complete:
            replies = {id: reply for id, reply in replies.items() if reply.text is not None}
            self._write(replies)
            self._ask([item for item in wanted if item.id not in replies], model, replies, advance)
            replies = {
                item.id: replies[item.id] for item in self.data.records if item.id in replies
            }
            self._write(replies)
            if len(replies) == len(self.data.records):
                self._folder.close()
        lost = [item.id for item in wanted if item.id not in replies]
        if lost:
            raise file_error(
                self._answers,
                f"expected the answers of a finished run, {len(lost)} are missing, such as that "
                f"to {lost[0]}; remove the folder to ask again",
            )
        advance(len(wanted), len(wanted))
        return {item.id: replies[item.id] for item in wanted}

    def _ask(
        self,
        records: Sequence[BenchmarkRecord],
        model: BenchmarkModel | Workers,
        replies: dict[str, Reply],
        advance: Callable[[int, int], None],
    ) -> None:
        total = len(replies) + len(records)
        advance(len(replies), total)
        with self._answers.open("ab") as file:
            items = [(record, self.benchmark.asked(record)) for record in records]
            ask = model.replies if isinstance(model, Workers) else partial(one_by_one, model)
            for record, reply in zip(records, ask(items), strict=True):
                replies[record.id] = reply
                file.write(reply.line(record.id))
                file.flush()
                advance(len(replies), total)
                _refuse_hopeless(replies)

    def _write(self, replies: Mapping[str, Reply]) -> None:
        write_file(self._answers, b"".join(reply.line(id) for id, reply in replies.items()))


def predictions_of(replies: Mapping[str, Reply]) -> Predictions:
    """The answers to score; a missing answer is an empty text, which counts for every rule."""
    texts = {id: reply.text or "" for id, reply in replies.items()}
    return Predictions(texts, JudgedRecords())


def _refuse_hopeless(replies: Mapping[str, Reply]) -> None:
    if len(replies) == HOPELESS and all(item.could_not_be_asked for item in replies.values()):
        problem = next(iter(replies.values())).problem
        raise SpatialError(
            Status.MODEL_ERROR,
            f"none of the first {HOPELESS} questions has an answer, so the others are not asked: "
            f"{problem}",
        )


def _fingerprint(records: Sequence[BenchmarkRecord]) -> str:
    """SHA-256 of what is asked and what is true; images are not read for it."""
    contents = [[item.id, item.prompt, item.question, item.truth] for item in records]
    return hashlib.sha256(json.dumps(contents).encode()).hexdigest()
