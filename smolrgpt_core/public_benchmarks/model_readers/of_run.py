"""Language models that read or judge the answers of a run."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from smolrgpt_core.chat_server import ChatServer, ServerSettings
from smolrgpt_core.json_model import JsonModel
from smolrgpt_core.public_benchmarks.model_readers.further import (
    Advance,
    classified,
    readings,
)
from smolrgpt_core.public_benchmarks.model_readers.judge import judged
from smolrgpt_core.public_benchmarks.model_readers.language_model import LanguageModelReader
from smolrgpt_core.public_benchmarks.predictions import Predictions
from smolrgpt_core.public_benchmarks.records import BenchmarkData
from smolrgpt_core.public_benchmarks.scoring import ByModels, Needs

if TYPE_CHECKING:
    from smolrgpt_core.public_benchmarks.benchmark import Benchmark
    from smolrgpt_core.public_benchmarks.model_readers.type_classifiers import ClassifiedReader

REPLIES_FILE = "replies.jsonl"
"""File of the replies of language models, in the folder of a run."""

Progress = Callable[[str], AbstractContextManager[Advance]]
"""Begins a part of the work, by its name."""


@dataclass(frozen=True)
class LanguageModels:
    """Servers of the language models that read and judge answers.

    Attributes:
        reader: URL of the server whose model reads what the rules refuse; empty: none.
        judge: URL of the server whose model judges; empty: none.
        model: name on the server; empty: the only one there.
        timeout_s: seconds for a reply; None: the default of `ServerSettings`.
        classifiers: folder of trained `type_classifiers`, after which the reader is asked as by
            SmolRGPT's authors, too; None: none.
    """

    reader: str = ""
    judge: str = ""
    model: str = ""
    timeout_s: float | None = None
    classifiers: Path | None = None

    def check(self, benchmark: Benchmark) -> None:
        """Refuse a judge or classifiers if the benchmark has no scorer for them.

        Raises:
            ValueError: no scorer uses them, or classifiers have no reader.
        """
        needs = {scorer.needs for scorer in benchmark.scorers.values()}
        if self.judge and Needs.JUDGE not in needs:
            raise ValueError(f"{benchmark.title} has no scorer with a judge; omit --judge")
        if self.classifiers is None:
            return
        if Needs.CLASSIFIERS not in needs:
            raise ValueError(
                f"{benchmark.title} has no scorer with classifiers; omit --classifiers"
            )
        if not self.reader:
            raise ValueError("--classifiers needs the language model that reads then: --reader")

    def of_answers(
        self,
        benchmark: Benchmark,
        data: BenchmarkData,
        predictions: Predictions,
        folder: Path,
        progress: Progress,
    ) -> tuple[ByModels, dict[str, Any]]:
        """Read and judge the answers, and describe the models.

        Args:
            benchmark: that the data belongs to.
            data: its questions.
            predictions: answers.
            folder: for their replies, which are not asked for again.
            progress: shown while they are asked.

        Raises:
            SpatialError: MODEL_ERROR when a server cannot be asked any more; its replies are
                stored.
            ImportError, ValueError: as of `ChatServer.connect`.
        """
        made, about = ByModels(), dict[str, Any]()
        if self.reader:
            model = self._model(self.reader, folder)
            with progress("reading") as advance:
                reader = LanguageModelReader(model)
                found = readings(benchmark, data, predictions, reader, advance)
            made, about["reader"] = ByModels(readings=found), dict(model.described)
            if self.classifiers is not None:
                with progress("classifying") as advance:
                    way = _classified_reader(self.classifiers, reader)
                    made = replace(made, classified=classified(data, predictions, way, advance))
                about["classifiers"] = str(self.classifiers)
        if self.judge:
            model = self._model(self.judge, folder)
            with progress("judging") as advance:
                records = [item for item in data.records if benchmark.is_judged(item)]
                replies = judged(records, predictions.answers, benchmark.asked, model, advance)
            made = replace(made, judged=replies)
            about["judge"] = dict(model.described)
        return made, about

    def _model(self, url: str, folder: Path) -> JsonModel:
        settings = ServerSettings(url, self.model)
        if self.timeout_s is not None:
            settings = replace(settings, timeout_s=self.timeout_s)
        return JsonModel(ChatServer.connect(settings), folder / REPLIES_FILE)


def _classified_reader(folder: Path, reader: LanguageModelReader) -> ClassifiedReader:
    # Imported here: a reader alone must not need PyTorch, which also takes seconds.
    from smolrgpt_core.public_benchmarks.model_readers.type_classifiers import ClassifiedReader

    return ClassifiedReader.from_pretrained(folder, reader)
