"""`smolrgpt score`: the challenge scores of a prediction file."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from smolrgpt_core.cli.exits import WRONG_CALL, exit_on
from smolrgpt_core.cli.options import writing
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.evaluation.answer_files import score_files
from smolrgpt_core.evaluation.challenge_scores import ScoredAnswer, challenge_scores
from smolrgpt_core.files import write_file

TruthFile = Annotated[
    Path,
    typer.Argument(
        help="JSON list with id, category and normalized_answer, such as val.json of a data set.",
        exists=True,
        dir_okay=False,
        metavar="GT",
    ),
]
PredictionsFile = Annotated[
    Path,
    typer.Argument(
        help="JSON list with id and normalized_answer.",
        exists=True,
        dir_okay=False,
        metavar="PRED",
    ),
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Also write the scores to this file.", dir_okay=False)
]


def score(truth: TruthFile, predictions: PredictionsFile, json_file: JsonFile = None) -> None:
    """Print the scores of AI City Challenge 2025, Track 3, with the keys of its own script.

    The exit status is 0, or 2 when a file cannot be used.
    """
    with exit_on(WRONG_CALL, SpatialError):
        answers = score_files(truth, predictions)
    content = json.dumps(challenge_scores(answers), indent=2)
    if json_file is not None:
        with writing("--json"):
            write_file(json_file, content.encode())
    typer.echo(content)
    _warn_of_unreadable(answers)


def _warn_of_unreadable(answers: list[ScoredAnswer]) -> None:
    unread = [answer for answer in answers if answer.predicted is None]
    lenient = [
        answer for answer in answers if answer.predicted is not None and not answer.by_script
    ]
    for found, what in (
        (unread, "counted as wrong because they cannot be parsed"),
        (lenient, "parsed here, but counted as wrong by the challenge's script"),
    ):
        if found:
            numbers = Counter(answer.category.name.lower() for answer in found)
            named = ", ".join(f"{number} of {category}" for category, number in numbers.items())
            typer.echo(f"{what}: {named}", err=True)
