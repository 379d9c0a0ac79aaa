#!/usr/bin/env python3
"""What a teacher, depth, other views and pairs add to the labels, with the same steps and seeds.

Trains each row of the table by the real command and measures the loss of answer tokens on scenes
that none was trained on. Runs in OUT, and goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from commands import smolrgpt
from performance_page import describe_machine

from smolrgpt_core.files import write_file
from smolrgpt_core.training.checkpoints import CheckpointStore
from smolrgpt_core.training.config import StartConfig
from smolrgpt_core.training.config_file import read_config
from smolrgpt_core.training.run import train
from smolrgpt_core.training.start import make_start
from smolrgpt_core.training.validation import Validation

ROOT = Path(__file__).resolve().parent.parent
CONFIGS = ROOT / "config" / "train"
NANO = ROOT / "smolrgpt_core" / "checkpoints" / "nano"


@dataclass(frozen=True)
class Kind:
    """One row of the table.

    Attributes:
        name: of the row.
        config: file in `config/train`.
        changes: of its values.
    """

    name: str
    config: str
    changes: tuple[str, ...] = ()


_STUDENT = (f"start.tokenizer={NANO}",)
_NANO = (f"start.checkpoint={NANO}",)
KINDS = (
    Kind("student:labels", "distill/online", (*_STUDENT, "distillation=null")),
    Kind("student:teacher", "distill/online", (*_STUDENT, f"distillation.teacher={NANO}")),
    Kind("nano:labels", "nano_auxiliary_depth", (*_NANO, "auxiliary_depth=null")),
    Kind("nano:depth", "nano_auxiliary_depth", _NANO),
    Kind("few:labels", "nano_few_images", (*_NANO, "augmentation=null", "contrast=null")),
    Kind("few:views", "nano_few_images", (*_NANO, "contrast=null")),
    Kind("few:pairs", "nano_few_images", (*_NANO, "augmentation=null")),
)


def main() -> None:
    """Make the data, train, measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("output/further_objectives"))
    parser.add_argument("--scenes", type=int, default=60, help="of the first hall")
    parser.add_argument("--few-scenes", type=int, default=6, help="of the small hall")
    parser.add_argument(
        "--steps", type=int, nargs=3, default=(150, 40, 40), help="student, nano, few images"
    )
    parser.add_argument("--rows", type=int, default=60, help="to measure on")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--kinds", nargs="*", default=[kind.name for kind in KINDS])
    options = parser.parse_args()
    torch.set_num_threads(1)
    make_data(options)
    found: dict[str, list[dict[str, float]]] = {}
    for kind in KINDS:
        if kind.name in options.kinds:
            found[kind.name] = [measured(kind, seed, options) for seed in range(options.seeds)]
            print(line(kind.name, found[kind.name]), flush=True)
    content = {
        "machine": describe_machine(),
        "steps": options.steps,
        "losses": found,
    }
    write_file(options.out / "further_objectives.json", json.dumps(content, indent=1).encode())


def make_data(options: argparse.Namespace) -> None:
    """The halls of the rows that are wanted; what is there already is kept."""
    small = (
        "--randomization",
        str(ROOT / "config" / "randomization_small_hall.yaml"),
        "--fractions",
    )
    few = str(options.few_scenes)
    halls = {
        "hall": ("--scenes", str(options.scenes), "--seed", "5"),
        "few": ("--scenes", few, "--seed", "21", *small, "1,0,0"),
        "few_test": ("--scenes", few, "--seed", "22", *small, "0,0,1"),
    }
    wanted = {name for kind in options.kinds for name in halls_of(kind)}
    for name in wanted:
        smolrgpt("simulate", *halls[name], "--out", str(options.out / name))


def halls_of(kind: str) -> tuple[str, str]:
    """Names of the halls that a row is trained and measured on."""
    return ("few", "few_test") if kind.startswith("few") else ("hall", "hall")


def measured(kind: Kind, seed: int, options: argparse.Namespace) -> dict[str, float]:
    """Losses of one run by category, "all" among them."""
    place = [kind.name.startswith(name) for name in ("student", "nano", "few")].index(True)
    few = place == 2
    data, held_out = (
        options.out / name for name in (("few", "few_test") if few else ("hall",) * 2)
    )
    changes = (
        *kind.changes,
        f"output={options.out / kind.name.replace(':', '_')}_{seed}",
        f"data.sources.0.root={data}",
        "data.workers=0",
        f"validation.source.root={held_out}",
        "validation.source.split=test",
        f"validation.rows={options.rows}",
        "validation.examples=0",
        f"validation.every_steps={options.steps[place]}",
        f"optimizer.steps={options.steps[place]}",
        "logging.tensorboard=false",
        f"seed={seed}",
    )
    config = read_config(CONFIGS / f"{kind.config}.yaml", changes)
    model = train(config)
    assert config.validation.source is not None
    loaded, processor = make_start(StartConfig(checkpoint=str(model)), 0, lambda: ())
    sums = Validation(config, config.validation.source, processor).losses(
        loaded, torch.device("cpu")
    )
    newest = CheckpointStore(Path(config.output), 1).newest()
    seconds = newest.facts()["seconds"] if newest else 0.0
    return {"all": sums.mean, **sums.by_category(), "seconds": seconds}


def line(name: str, runs: Sequence[dict[str, float]]) -> str:
    """A row of the table: mean over seeds, and each of them for the loss of all."""
    names = [key for key in runs[0] if key != "all"]
    means = [f"{key} {statistics.mean(run[key] for run in runs):.3f}" for key in names]
    each = " / ".join(f"{run['all']:.3f}" for run in runs)
    return f"{name:24} all {each}  " + "  ".join(means)


if __name__ == "__main__":
    main()
