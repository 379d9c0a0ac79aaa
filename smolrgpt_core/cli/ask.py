"""`smolrgpt ask`: questions about one image on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import typer

from smolrgpt_core.answer import Side, SpatialAnswer
from smolrgpt_core.answerer_settings import ModelSettings
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.asking import AskedQuestion, read_questions, refusal, timed_answer
from smolrgpt_core.cli import options
from smolrgpt_core.cli.option_groups import (
    DepthOptions,
    FusionOptions,
    LabelOptions,
    MountingOptions,
    PerceptionOptions,
    RewordingOptions,
    grouped,
)
from smolrgpt_core.cli.options import parsed
from smolrgpt_core.drawing import draw_answer
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import check_image_suffix, write_file, write_image
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.frame_files import FrameFiles, check_sources, read_frame
from smolrgpt_core.label_map import label_changes
from smolrgpt_core.question_model import QuestionModel
from smolrgpt_core.regions import names_of

NO_ANSWER = 3
"""Exit status when the question has no answer."""


@dataclass(frozen=True)
class AnswererOptions(FusionOptions):
    """Which answerer is asked."""

    answerer: options.AnswererName = ""
    checkpoint: options.Checkpoint = ""
    adapter: options.Adapter = ModelSettings.adapter
    object_sizes: options.ObjectSizes = ""

    def chosen_answerer(self) -> Answerer:
        """The answerer."""
        model = ModelSettings(adapter=self.adapter)
        return options.chosen_answerer(
            self.answerer, self.checkpoint, self.settings(), model, self.object_sizes
        )


@grouped
def ask(
    *,
    rgb: options.RgbFile,
    depth: options.DepthFile = None,
    intrinsics: options.Intrinsics = None,
    regions: options.RegionsFile = None,
    question: options.QuestionText = "",
    finders: PerceptionOptions,
    mounting: MountingOptions,
    labeling: LabelOptions,
    reading: DepthOptions,
    region_ids: options.RegionIds = "",
    category: options.CategoryName = "",
    questions: options.QuestionsFile = None,
    out: options.AnswersFile = None,
    answering: AnswererOptions,
    rewording: RewordingOptions,
    as_json: options.AsJson = False,
    annotated: options.AnnotatedImage = None,
) -> None:
    """Ask one or more questions about one image on disk.

    Depth and regions are read from files, or come from models: then color alone is enough, and the
    objects that were found are listed with their ids.

    The exit status is 0 with an answer, 2 for an invalid command line, 3 when there is no answer.
    With --questions it is 0: the status in each line of the answers shows whether there is one.
    """
    many = _read_questions(questions, out)
    up, models = mounting.up_direction(), finders.models()
    files = FrameFiles(
        rgb, depth, regions, options.pinhole(intrinsics), reading.scale(),
        labeling.region_labels(), reading.limits(),
    )  # fmt: skip
    with options.wrong_call():
        check_sources(files, models)
    one = _asked(question, category, region_ids)
    chosen = answering.chosen_answerer()
    if annotated is not None:
        parsed("--annotated", check_image_suffix, annotated.suffix)
    with _refused(one, as_json):
        frame = replace(read_frame(files, models), up=up, camera_height=mounting.camera_height)
    _report_regions(frame, were_found=regions is None)
    rewords = rewording.question_model()
    if out is None:
        return _answer_one(frame, one, chosen, rewords, as_json, annotated)
    with options.writing("--out"):
        return write_answers(out, frame, many, chosen, rewords)


def _answered(
    frame: RGBDFrame, asked: AskedQuestion, answerer: Answerer, rewords: QuestionModel | None
) -> SpatialAnswer:
    """The answer, or the refusal, to a question that may have to be reworded."""
    if rewords is None:
        return timed_answer(frame, asked, answerer)
    try:
        changed = rewords.reworded(asked, frame.regions)
    except SpatialError as error:
        return refusal(error, asked)
    answer = timed_answer(frame, changed, answerer)
    if changed is asked:
        return answer
    note = f"{rewords.model.server.model} reworded the question as {changed.text!r}"
    return replace(answer, message="; ".join(filter(None, (note, answer.message))))


def _report_regions(frame: RGBDFrame, were_found: bool) -> None:
    """Print to standard error which objects a model found, and which labels were changed."""
    if were_found:
        typer.echo(f"found: {names_of(list(frame.regions)) or 'nothing'}", err=True)
    options.report_label_changes(label_changes(frame.regions))


def _read_questions(path: Path | None, out: Path | None) -> list[AskedQuestion]:
    """Questions from --questions; empty without it."""
    if (out is None) != (path is None):
        raise typer.BadParameter("--questions and --out must be given together")
    if path is None:
        return []
    numbered = parsed("--questions", lambda text: read_questions(Path(text)), str(path))
    return [asked for _, asked in numbered]


def _asked(question: str, category: str, region_ids: str) -> AskedQuestion:
    return AskedQuestion(
        question,
        parsed("--category", options.parse_category, category),
        parsed("--region-ids", options.parse_region_ids, region_ids),
    )


@contextmanager
def _refused(asked: AskedQuestion, as_json: bool) -> Iterator[None]:
    """Print the refusal of a frame that cannot be used, and end with NO_ANSWER."""
    try:
        yield
    except SpatialError as error:
        print_answer(refusal(error, asked), asked.text, as_json)
        raise typer.Exit(NO_ANSWER) from error


def _answer_one(
    frame: RGBDFrame, asked: AskedQuestion, answerer: Answerer, rewords: QuestionModel | None,
    as_json: bool, annotated: Path | None,
) -> None:  # fmt: skip
    """Print the answer and write the annotated image; exit with NO_ANSWER if there is none."""
    answer = _answered(frame, asked, answerer, rewords)
    if annotated is not None:
        with options.writing("--annotated"):
            write_image(annotated, draw_answer(frame, asked.text, answer))
    print_answer(answer, asked.text, as_json)
    if not answer.ok:
        raise typer.Exit(NO_ANSWER)


def write_answers(
    path: Path, frame: RGBDFrame, questions: Sequence[AskedQuestion], answerer: Answerer,
    rewords: QuestionModel | None = None,
) -> None:  # fmt: skip
    """Write the answers to many questions about one frame, including refusals, as JSON Lines.

    Args:
        path: file to write; it is complete or not written at all.
        frame: the frame that all questions are about.
        questions: asked in this order.
        answerer: answers them.
        rewords: those that cannot be read; None: nothing does.
    """
    answers = (_answered(frame, asked, answerer, rewords) for asked in questions)
    lines = [
        json.dumps(answer_as_json(answer, asked.text))
        for answer, asked in zip(answers, questions, strict=True)
    ]
    write_file(path, "".join(f"{line}\n" for line in lines).encode())


def print_answer(answer: SpatialAnswer, question: str, as_json: bool) -> None:
    """Print the answer to standard output; without --json, its message to standard error.

    Args:
        answer: to print.
        question: as asked.
        as_json: print all fields as JSON.
    """
    if as_json:
        fields = answer_as_json(answer, question).items()
        lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in fields]
        typer.echo("{\n" + ",\n".join(lines) + "\n}")
    elif answer.ok:
        typer.echo(answer.text)
        if answer.message:
            typer.echo(answer.message, err=True)
    else:
        typer.echo(f"{answer.status.name}: {answer.message}", err=True)


def answer_as_json(answer: SpatialAnswer, question: str) -> dict[str, Any]:
    """The fields of `msg/SpatialAnswer` for JSON, with constants by name and null if unknown."""
    return {
        "status": answer.status.name,
        "message": answer.message,
        "category": answer.category.name if answer.category else None,
        "question": question,
        "text": answer.text,
        "value": _number(answer.value),
        "unit": answer.unit,
        "region_id": answer.region_id,
        "answer_ids": list(answer.answer_ids),
        "side": answer.side.name if answer.side is not Side.NONE else None,
        "truth": answer.truth,
        "relation": answer.relation or None,
        "vector": None if answer.vector is None else [_number(x) for x in answer.vector.tolist()],
        "option": answer.option or None,
        "understood": answer.understood,
        "steps": list(answer.steps),
        "confidence": _number(answer.confidence),
        "geometric_value": _number(answer.geometric_value),
        "model_value": _number(answer.model_value),
        "agreement": answer.agreement.name,
        "region_ids": list(answer.region_ids),
        "centers": [[_number(x) for x in center] for center in answer.centers.tolist()],
        "valid_depth": [_number(fraction) for fraction in answer.valid_depth.tolist()],
        "latency_s": {stage: _number(seconds) for stage, seconds in answer.latency_s.items()},
    }


def _number(value: float | None) -> float | None:
    """Rounded to 0.1 mm (or 0.1 ms); None for NaN, which JSON lacks."""
    return round(value, 4) if value is not None and math.isfinite(value) else None
