"""An evaluation as a page for the browser: figures, plots, and failures with their images."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle, islice
from pathlib import Path

from smolrgpt_core.answer import DISTANCE_TOLERANCE
from smolrgpt_core.drawing import draw_regions, name_regions
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.challenge_scores import ScoredAnswer
from smolrgpt_core.evaluation.evaluation import EvaluatedSystem, Evaluation
from smolrgpt_core.evaluation.plots import plots_of
from smolrgpt_core.evaluation.predictions import Camera, ImageJob, Prediction
from smolrgpt_core.evaluation.reliability import OVERALL
from smolrgpt_core.evaluation.task_scores import TaskAnswer, mean_percent
from smolrgpt_core.language import CATEGORIES
from smolrgpt_core.report import ReportRow, write_html_report

SHOWN_FAILURES = 24
"""So many wrong or missing answers are shown, evenly over the categories."""

SCORE_KEYS = {
    "distance": "Quan_distance_acc",
    "count": "Quan_count_acc",
    "left or right": "Qual_left_right_acc",
    "which one": "Qual_mcq_acc",
}


_Judged = ScoredAnswer | TaskAnswer


def write_report(evaluation: Evaluation, path: Path, camera: Camera | None = None) -> None:
    """Write the page, one file with everything in it.

    Args:
        evaluation: with true answers.
        path: where to write.
        camera: for images without calibration.
    """
    best = evaluation.systems[0]
    note = f"{evaluation.unscored_note}. " if evaluation.unscored else ""
    others = "; ".join(f"{item.name}: {final_score(item):.1f}" for item in evaluation.systems[1:])
    write_html_report(
        failures(evaluation, camera),
        path,
        f"{best.name} on {evaluation.folder.name}",
        f"{len(evaluation.records)} questions. {note}A distance is correct within "
        f"{DISTANCE_TOLERANCE:.0%} of the truth, everything else must be equal; a refusal counts "
        f"as wrong. Final scores of the baselines: {others}. Below: wrong and missing answers.",
        plots_of(evaluation),
        tiles_of(best),
    )


def tiles_of(system: EvaluatedSystem) -> dict[str, str]:
    """Figures of the page's tiles by their name."""
    scores = system.scores
    tiles = {"final score": f"{final_score(system):.1f}"}
    tiles |= {name: f"{scores[key]:.1f} %" for name, key in SCORE_KEYS.items() if key in scores}
    if OVERALL in system.reliabilities:
        error = system.reliabilities[OVERALL].expected_calibration_error
        tiles["calibration error"] = f"{error:.1%}"
    tiles["refused"] = str(sum(system.refusals.values()))
    tiles["median time"] = f"{system.median_seconds * 1000:.0f} ms"
    return tiles


def final_score(system: EvaluatedSystem) -> float:
    """The challenge's final score; of a mixture, the mean over its tasks."""
    scores = system.scores
    return scores["Final_weighted_score"] if scores else mean_percent(system.tasks)


def failures(evaluation: Evaluation, camera: Camera | None) -> list[ReportRow]:
    """Rows of wrong and missing answers, from all categories in turn."""
    system = evaluation.systems[0]
    predictions = {item.id: item for item in system.predictions}
    wrong = [item for item in system.judged if not item.correct]
    return [
        _row(evaluation, item, predictions[item.id], camera)
        for item in _in_turn(wrong)[:SHOWN_FAILURES]
    ]


def _in_turn(answers: Sequence[_Judged]) -> list[_Judged]:
    """One of each category or task, then the next of each, and so on."""
    groups = dict.fromkeys((*CATEGORIES, *sorted({answer.group for answer in answers})))
    queues = [iter([a for a in answers if a.group == name]) for name in groups]
    return list(islice(filter(None, (next(q, None) for q in cycle(queues))), len(answers)))


def _row(
    evaluation: Evaluation, answer: _Judged, prediction: Prediction, camera: Camera | None
) -> ReportRow:
    record = next(item for item in evaluation.records if item.id == answer.id)
    known = evaluation.cameras.get(record.image)
    image, question = None, record.question
    try:
        frame, (asked,) = ImageJob(evaluation.folder, [record], known, camera).read()
        image = draw_regions(frame)
        question = name_regions(record.question, asked.region_ids, frame.regions)
    except SpatialError as error:
        # What is wrong with the image is shown in its place.
        question = f"{record.question} ({error.message})"
    return ReportRow(
        question=f"{record.id}: {question}",
        category=answer.category if isinstance(answer, ScoredAnswer) else answer.task,
        answer_text=prediction.message or prediction.answer,
        truth_text=str(answer.truth),
        error_text="",
        within_tolerance=False,
        latency={"total": prediction.seconds},
        status=prediction.status,
        image=image,
    )
