#!/usr/bin/env python3
"""How far a question, a training sample and a benchmark answer travel: files and types.

A file counts when one of its functions runs, a type when a value of it is passed or returned. What
happens while modules are imported and models are loaded does not count. Geometry answers.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import smolrgpt_core
from smolrgpt_core.answerers.registry import make_answerer
from smolrgpt_core.asking import AskedQuestion, ask
from smolrgpt_core.checkpoints import NANO
from smolrgpt_core.data.record_frames import read_image
from smolrgpt_core.data.warehouse_format import SplitFolder
from smolrgpt_core.evaluation.evaluation import evaluate
from smolrgpt_core.evaluation.predictions import AnswererChoice
from smolrgpt_core.model import SmolRGPTProcessor
from smolrgpt_core.training.config_file import read_config
from smolrgpt_core.training.stream import TrainingStream

PACKAGE = Path(smolrgpt_core.__file__).parent
TRAINING = Path(__file__).resolve().parent.parent / "config" / "train" / "nano.yaml"

Counts = tuple[set[str], set[str]]
"""Files, and names of types."""


def counted(trip: Callable[[], object]) -> Counts:
    """What a trip goes through."""
    files: set[str] = set()
    types: set[str] = set()

    def note(value: Any) -> None:
        if type(value).__module__.startswith(PACKAGE.name):
            types.add(type(value).__name__)

    def profile(frame: FrameType, event: str, value: Any) -> None:
        code = frame.f_code
        if not code.co_filename.startswith(str(PACKAGE)):
            return
        files.add(str(Path(code.co_filename).relative_to(PACKAGE)))
        if event == "return":
            note(value)
        elif event == "call":
            names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
            for name in names:
                if name not in ("self", "cls"):
                    note(frame.f_locals.get(name))

    sys.setprofile(profile)
    try:
        trip()
    finally:
        sys.setprofile(None)
    return files, types


def question(folder: SplitFolder) -> Callable[[], object]:
    """The distance of two regions, as the node asks it."""
    record = next(item for item in folder.read_records() if item.category == "distance")
    frame, _ = read_image(folder, [record], folder.read_cameras()[record.image])
    first, second = (region.id for region in list(frame.regions)[:2])
    asked = AskedQuestion(f"How far is region {first} from region {second}?")
    answerer = make_answerer("geometric")
    return lambda: ask(frame, asked, answerer)


def training_sample(folder: SplitFolder) -> Callable[[], object]:
    """The first batch of the nano run."""
    config = read_config(TRAINING)
    source = replace(
        config.data.sources[0], kind="warehouse", root=str(folder.root), split=folder.split
    )
    config = replace(config, data=replace(config.data, sources=(source,), workers=0))
    processor = SmolRGPTProcessor.from_pretrained(NANO)
    return lambda: next(iter(TrainingStream(config, processor)))


def benchmark_answer(folder: SplitFolder) -> Callable[[], object]:
    """The first question of a split, evaluated beside the baselines."""
    return lambda: evaluate(folder, AnswererChoice("geometric"), limit=1)


def main() -> None:
    """Print the three trips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="data set of `smolrgpt simulate`")
    parser.add_argument("--split", default="test")
    parser.add_argument("--list", action="store_true", help="name the files and types, too")
    arguments = parser.parse_args()
    folder = SplitFolder(arguments.data, arguments.split)
    for trip in (question, training_sample, benchmark_answer):
        files, types = counted(trip(folder))
        print(f"{trip.__name__}: {len(files)} files, {len(types)} types")
        if arguments.list:
            print(f"  {' '.join(sorted(files))}\n  {' '.join(sorted(types))}")


if __name__ == "__main__":
    main()
