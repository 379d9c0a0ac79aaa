"""Asks a checkpoint and geometry the questions of splits, and fits the calibration to the answers.

It also measures properties of images and questions: the calibration only holds for similar ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from smolrgpt_core.answerer_settings import AUTO, AgreementTolerances, ModelSettings
from smolrgpt_core.answerers.calibration import Calibration
from smolrgpt_core.answerers.likeness import Likeness
from smolrgpt_core.checkpoints.weights import (
    INDEX_FILE,
    WEIGHTS_FILE,
    in_folder,
    weights_files,
    weights_fingerprint,
)
from smolrgpt_core.data.warehouse_format import SplitFolder, WarehouseRecord
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.calibration_fit import (
    JudgedAnswer,
    fit_curves,
    held_out_confidences,
    judged_answers,
)
from smolrgpt_core.evaluation.evaluation import Evaluation, evaluate, read_truths
from smolrgpt_core.evaluation.likeness_fit import measure_likeness
from smolrgpt_core.evaluation.predictions import AnswererChoice, Camera
from smolrgpt_core.files import file_error
from smolrgpt_core.model import SmolRGPTConfig


@dataclass(frozen=True)
class Calibrating:
    """A calibration, its range of validity, and its data.

    Attributes:
        calibration: fitted on all answers.
        likeness: of all questions.
        judged: the answers, with raw confidences.
        held_out: for each of them the confidence by a fit that has not seen its image; NaN where
            that fit has no such answers.
        note: on questions whose true answer cannot be read; empty where there are none.
    """

    calibration: Calibration
    likeness: Likeness
    judged: Sequence[JudgedAnswer]
    held_out: Sequence[float]
    note: str


def calibrate(
    folders: Sequence[SplitFolder],
    checkpoint: str,
    settings: ModelSettings,
    camera: Camera | None = None,
    limit: int | None = None,
    workers: int = 1,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Calibrating:
    """Fit the calibration of a checkpoint, and measure its range of validity.

    Args:
        folders: splits with true answers that the model was not trained on, of images and
            questions like those that it was trained on.
        checkpoint: its folder.
        settings: of the model.
        camera: for images without calibration.
        limit: only the first N questions of each split.
        workers: processes of each answerer.
        progress: called with the answerer, the number of questions that are done, and of all.

    Raises:
        SpatialError: BAD_INPUT when a split cannot be used, has no true answers, the model has no
            answer to any question, or its weights cannot be read.
        ValueError: as `make_answerer`.
    """
    tolerances = AgreementTolerances()
    # Of the weights that are loaded now, whatever happens to the files until all have answered.
    fingerprint = _fingerprint(Path(checkpoint))
    choice = AnswererChoice("model", checkpoint, replace(settings, raw_confidence=True))
    for folder in folders:
        if not read_truths(folder.read_records()[:limit])[0]:
            raise _no_answers(folder)
    asked = []
    for folder in folders:
        # As geometry does within `fused`.
        found = evaluate(folder, choice, camera, limit, workers, progress, looks=True)
        asked.append(_Asked.of(folder, found, tolerances))
    measured = [(one.folder, one.records) for one in asked]
    likeness = measure_likeness(measured, camera, fingerprint)
    return _fitted(asked, likeness, _style(checkpoint, settings), tolerances)


def _fitted(
    asked: Sequence[_Asked], likeness: Likeness, style: str, tolerances: AgreementTolerances
) -> Calibrating:
    """The calibration by the answers of all splits together."""
    judged = [item for one in asked for item in one.judged]
    records = [item for one in asked for item in one.records]
    calibration = Calibration(
        style,
        fit_curves(judged),
        tolerances,
        ", ".join(one.folder.name for one in asked),
        len(records),
        likeness.weights_sha256,
    )
    notes = "; ".join(one.note for one in asked if one.note)
    held_out = held_out_confidences(judged, records)
    return Calibrating(calibration, likeness, judged, held_out, notes)


@dataclass(frozen=True)
class _Asked:
    """Records of a split and their judged answers, by ids that no other split has."""

    folder: SplitFolder
    records: Sequence[WarehouseRecord]
    judged: Sequence[JudgedAnswer]
    note: str

    @classmethod
    def of(cls, folder: SplitFolder, found: Evaluation, tolerances: AgreementTolerances) -> _Asked:
        """Raises SpatialError (BAD_INPUT) when the model has no answer."""
        systems = {item.name: item for item in found.systems}
        judged = judged_answers(systems["model"], systems["geometric"], tolerances)
        if not judged:
            raise _no_answers(folder)
        return cls(
            folder,
            [replace(item, id=f"{folder.root}:{item.id}") for item in found.records],
            [replace(item, id=f"{folder.root}:{item.id}") for item in judged],
            found.unscored_note,
        )


def _fingerprint(checkpoint: Path) -> str:
    files = weights_files(in_folder(checkpoint))
    if not files:
        raise file_error(checkpoint, f"expected {WEIGHTS_FILE} or {INDEX_FILE}, found neither")
    return weights_fingerprint(files)


def _no_answers(folder: SplitFolder) -> SpatialError:
    return file_error(
        folder.records_path, "expected true answers, and questions that can be answered"
    )


def _style(checkpoint: str, settings: ModelSettings) -> str:
    if settings.answer_style != AUTO:
        return settings.answer_style
    style: str = SmolRGPTConfig.from_pretrained(checkpoint).answer_style
    return style
