"""A recording becomes a data set, whose questions are read and answered from its files alone."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from smolrgpt_core.answer.scoring import read_normalized
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.errors import Status
from smolrgpt_core.evaluation.challenge_scores import ScoredAnswer, score_answer
from smolrgpt_core.evaluation.predictions import AnswererChoice, predict
from smolrgpt_core.language import Category
from smolrgpt_core.recordings.dataset import convert_recording
from smolrgpt_core.recordings.options import RecordingOptions


def test_geometry_finds_its_own_answers_again(
    recording: Path, every_frame: RecordingOptions, tmp_path: Path
) -> None:
    """Not all of them: the frames of the data set hold only the masks that questions name."""
    convert_recording(recording, tmp_path / "data", replace(every_frame, split="test"))
    folder = SplitFolder(tmp_path / "data", "test")
    records = folder.read_records()
    predictions = predict(folder, records, AnswererChoice("geometric"))
    assert [item.id for item in predictions] == [record.id for record in records]
    assert not {item.status for item in predictions} & {Status.BAD_QUESTION, Status.BAD_INPUT}
    scored = defaultdict[str, list[ScoredAnswer]](list)
    for record, prediction in zip(records, predictions, strict=True):
        category = Category[record.category.upper()]
        truth = read_normalized(record.normalized_answer, category)
        assert truth is not None
        scored[record.category].append(score_answer(record.id, category, truth, prediction.answer))
    shares = {
        name: sum(item.correct for item in items) / len(items) for name, items in scored.items()
    }
    assert shares.keys() == {"distance", "count", "left_right", "mcq"}
    assert min(shares.values()) >= 0.9, shares
