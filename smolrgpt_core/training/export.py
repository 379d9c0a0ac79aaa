"""Exports a finished run: the model, and a model card that documents its origin.

The card contains what the run's files record: data, stages, seeds, questions, time and hardware;
and the scores of evaluations, each with its data set.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from smolrgpt_core.data.warehouse_format import SIMULATION_FILE
from smolrgpt_core.files import file_error, new_folder
from smolrgpt_core.inference.loading import model_type_of
from smolrgpt_core.markdown import markdown_table
from smolrgpt_core.model import SmolRGPTConfig
from smolrgpt_core.model.point_map import PointMapConfig
from smolrgpt_core.training.checkpoints import CheckpointStore
from smolrgpt_core.training.config import SourceConfig, TrainConfig
from smolrgpt_core.training.config_file import read_config
from smolrgpt_core.training.run import CONFIG_FILE, MODEL_FOLDER

CARD_FILE = "README.md"

SCORES = {
    "left/right": "Qual_left_right_acc",
    "distance": "Quan_distance_acc",
    "count": "Quan_count_acc",
    "choice": "Qual_mcq_acc",
    "mean": "Final_weighted_score",
}
"""Names of the challenge's scores, as evaluations write them, by column of the card."""

_KINDS = {
    SmolRGPTConfig.model_type: "A SmolRGPT checkpoint (RGB-D image + regions + question -> answer)",
    PointMapConfig.model_type: (
        "A point-map checkpoint (image + metric points + question -> answer; regions are named by "
        "the colors of boxes)"
    ),
}

_POINT_MAP_LIMITS = """\
## What it is for, and what it is not

It answers questions in the words that it was trained on, about at most five regions of one image.
Its answers are neither calibrated nor evaluated: evaluate it on your own images before you rely
on it.
"""

_LIMITS = """\
## What it is for, and what it is not

It answers the questions that `answers` in its `config.json` names (distance, count, left or right,
which one; `language`: every question about regions that the language can say; `looks`: colors)
about one RGB-D image with a known calibration, in English like that of its training data. It was
trained only on simulated warehouses: evaluate it before you rely on it with real images. It is just
as confident on unfamiliar input: `likeness.json` has the range of classes, cameras, depth and masks
for which its answers can be trusted on their own.
"""


def export(run: Path, out: Path, name: str, evaluations: Sequence[Path] = ()) -> None:
    """Copy the model of a finished run and write its model card.

    Args:
        run: folder of the run, `output` of its configuration.
        out: folder to create.
        name: title of the card.
        evaluations: output of `smolrgpt evaluate --json` for this model.

    Raises:
        SpatialError: BAD_INPUT when the run is not finished, a file cannot be read, or `out`
            exists.
    """
    model = run / MODEL_FOLDER
    if not model.is_dir():
        raise file_error(run, f"expected a finished run with a folder {MODEL_FOLDER!r}; train it")
    stages = list(_stages(run))
    tables = [_read_json(path) for path in evaluations]
    with new_folder(out) as folder:
        shutil.copytree(model, folder, dirs_exist_ok=True)
        for path in folder.iterdir():
            path.chmod(0o644)
        kind = model_type_of(model)
        (folder / CARD_FILE).write_text(model_card(name, stages, tables, kind))


def _stages(run: Path) -> Iterator[tuple[TrainConfig, Mapping[str, Any]]]:
    """Configuration and last checkpoint of each stage, first stage first."""
    config = read_config(run / CONFIG_FILE)
    before = Path(config.start.checkpoint).parent
    if config.start.checkpoint and (before / CONFIG_FILE).is_file():
        yield from _stages(before)
    newest = CheckpointStore(run, 1).newest()
    yield config, newest.facts() if newest else {}


def _read_json(path: Path) -> Mapping[str, Any]:
    try:
        content: Mapping[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise file_error(path, f"expected a JSON file: {error}") from error
    return content


def model_card(
    name: str,
    stages: Sequence[tuple[TrainConfig, Mapping[str, Any]]],
    evaluations: Sequence[Mapping[str, Any]],
    kind: str = SmolRGPTConfig.model_type,
) -> str:
    """The model card as Markdown.

    Args:
        name: title.
        stages: configuration and last checkpoint of each stage, first stage first.
        evaluations: contents of `smolrgpt evaluate --json` files.
        kind: `model_type` of the model.
    """
    parts = [
        f"---\nlicense: apache-2.0\nlibrary_name: smolrgpt\n---\n\n# {name}\n",
        f"{_KINDS[kind]}, trained with `smolrgpt train` from `smolrgpt_ros`.\n",
        f"## Training\n\n{_stage_table(stages)}\n",
    ]
    if evaluations:
        parts.append(f"## Scores\n\n{_score_table(evaluations)}\n")
    limits = _POINT_MAP_LIMITS if kind == PointMapConfig.model_type else _LIMITS
    return "\n".join([*parts, limits])


def _stage_table(stages: Sequence[tuple[TrainConfig, Mapping[str, Any]]]) -> str:
    columns = [
        "stage",
        "start",
        "data",
        "trained",
        "steps",
        "questions",
        "seed",
        "time",
        "hardware",
    ]
    rows = [
        (
            str(number),
            _start(config),
            "; ".join(map(_data, config.data.sources)),
            _trained(config),
            str(facts.get("step", "not recorded")),
            _number(facts.get("questions")),
            str(config.seed),
            _duration(facts.get("seconds")),
            str(facts.get("hardware", "not recorded")),
        )
        for number, (config, facts) in enumerate(stages, start=1)
    ]
    return markdown_table(columns, rows)


def _start(config: TrainConfig) -> str:
    """The initial weights, and the teacher if there was one."""
    start = config.start
    name = start.preset or start.checkpoint or start.vlm or start.language_backbone
    return f"{name}; teacher: {config.distillation.source}" if config.distillation else name


def _trained(config: TrainConfig) -> str:
    """The parts that were trained; of some of them an adapter."""
    adapter = f" ({config.peft.described()})" if config.peft else ""
    return ", ".join(
        part + (adapter if part in config.adapted else "") for part in config.trainable
    )


def _data(source: SourceConfig) -> str:
    """The data set, and how to simulate it again."""
    about = f"{source.kind} {source.root} ({source.split}, {source.inputs})"
    path = Path(source.root) / SIMULATION_FILE
    if not path.is_file():
        return about
    made = _read_json(path)
    command = f"smolrgpt simulate --scenes {made['scenes']} --seed {made['seed']}"
    mixture = f" --mixture {made['mixture']}" if made.get("mixture") else ""
    return f"{about}: `{command}{mixture}`"


def _number(value: int | None) -> str:
    return "not recorded" if value is None else f"{value:,}"


def _duration(seconds: float | None) -> str:
    return "not recorded" if seconds is None else f"{seconds / 60:.0f} min"


def _score_table(evaluations: Sequence[Mapping[str, Any]]) -> str:
    rows = (row for evaluation in evaluations for row in _score_rows(evaluation))
    # Every evaluation contains the baselines.
    columns = ("answers from", "data", "questions", *SCORES, "refused")
    return markdown_table(columns, dict.fromkeys(rows))


def _score_rows(evaluation: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, contestant in evaluation["answerers"].items():
        scores = contestant["scores"]
        values = [f"{scores[key]:.2f}" if key in scores else "" for key in SCORES.values()]
        refused = sum(contestant["refusals"].values())
        yield name, evaluation["data"], str(evaluation["questions"]), *values, str(refused)
