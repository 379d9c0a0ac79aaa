#!/usr/bin/env python3
"""Memory of a process that loads a checkpoint of full size and answers one question about a frame.

Every case runs in a process of its own, from the same float32 checkpoint with random weights, which
is written to a temporary folder (2 GB). Resident memory counts pages of the checkpoint's file that
the process looks at, which the system can take back. CPU only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from inference_engine import DTYPES, QUESTIONS, build, load_frame
from performance_page import Table, describe_machine, publish

from smolrgpt_core.inference import AnswerStyle, EngineConfig, InferenceEngine
from smolrgpt_core.language import read_question
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.configuration_smolrgpt import PRESETS

TOKENS = 8
GB = 1e9


def write_checkpoint(arguments: argparse.Namespace) -> None:
    """Model and processor with random weights."""
    frame = load_frame(arguments.scale)
    texts = [read_question(text, frame.regions).text for text in QUESTIONS]
    model, processor = build(arguments, texts)
    model.save_pretrained(arguments.folder)
    processor.save_pretrained(arguments.folder)


def ask_engine(arguments: argparse.Namespace) -> None:
    """Load and ask as `ModelAnswerer` does."""
    config = EngineConfig(device="cpu", dtype=arguments.dtype, short=AnswerStyle("", TOKENS))
    engine = InferenceEngine.from_pretrained(arguments.folder, config)
    frame = load_frame(arguments.scale)
    engine.ask([read_question(QUESTIONS[0], frame.regions)], frame=frame)
    report(engine)


def ask_plain(arguments: argparse.Namespace) -> None:
    """Load and ask with transformers alone."""
    dtype = getattr(torch, arguments.dtype)
    model = SmolRGPTForConditionalGeneration.from_pretrained(arguments.folder, dtype=dtype).eval()
    processor = SmolRGPTProcessor.from_pretrained(arguments.folder)
    frame = load_frame(arguments.scale)
    question = read_question(QUESTIONS[0], frame.regions)
    masks = [frame.regions[id] for id in question.region_ids]
    batch = processor(frame.rgb, question.text, frame.depth, masks, frame.intrinsics)
    model.generate(**batch, max_new_tokens=TOKENS, do_sample=False)
    report(model)


def report(alive: object) -> None:
    """Peak and present resident memory in bytes to standard output, while `alive` lives."""
    status = Path("/proc/self/status").read_text().splitlines()
    values = {name: line.split()[1] for line in status if (name := line.split(":")[0]) in FIELDS}
    print(*(int(values[name]) * 1024 for name in FIELDS))


FIELDS = ("VmHWM", "VmRSS", "RssAnon")
"""Of /proc/self/status: peak, present, and present without pages of files."""

CASES = {"engine": ask_engine, "plain": ask_plain}


def measured(arguments: argparse.Namespace, case: str, dtype: str, folder: str) -> list[float]:
    """Gigabytes of `FIELDS` in a new process that runs a case."""
    command = [sys.executable, __file__, "--case", case, "--dtype", dtype, "--folder", folder]
    command += ["--preset", arguments.preset, "--scale", str(arguments.scale)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return [int(number) / GB for number in done.stdout.split()]


def memory_table(arguments: argparse.Namespace) -> Table:
    """Every case in every type, beside a process that has only imported what it needs."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        measured(arguments, "write", "float32", folder)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / GB
        names = {"imports": "libraries alone", "engine": "engine", "plain": "plain model"}
        for case, name in names.items():
            for dtype in DTYPES[:1] if case == "imports" else arguments.dtypes:
                numbers = measured(arguments, case, dtype, folder)
                label = name if case == "imports" else f"{name}, {dtype}"
                rows.append((label, *(f"{number:.2f}" for number in numbers)))
    return Table(
        f"Memory, {arguments.preset} on the CPU",
        ("what", "peak, GB", "at the end, GB", "of that not file pages, GB"),
        tuple(rows),
        f"Resident memory of a process that loads a float32 checkpoint of {size:.2f} GB, takes an "
        f"image of {320 * arguments.scale} x {240 * arguments.scale} and answers one question "
        f"with {TOKENS} tokens. Plain is `model.generate`.",
    )


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=tuple(PRESETS), default="smolrgpt")
    parser.add_argument("--scale", type=int, default=4, help="enlarges the 320 x 240 image")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    for name in ("--case", "--dtype", "--folder"):
        parser.add_argument(name, default="", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    inner = {**CASES, "write": write_checkpoint, "imports": lambda _: report(None)}
    if arguments.case:
        inner[arguments.case](arguments)
        return
    machine = describe_machine()
    publish("Memory", machine, [memory_table(arguments)], arguments.write_docs)


if __name__ == "__main__":
    main()
