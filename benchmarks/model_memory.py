#!/usr/bin/env python3
"""Memory of a process that loads a checkpoint of full size and answers one question about a frame.

Every case runs in a process of its own, from the same float32 checkpoint with random weights, which
is written to a temporary folder (2 GB). Resident memory counts pages of the checkpoint's file that
the process looks at, which the system can take back. CPU only.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch
from inference_engine import DTYPES, QUESTIONS, build, load_frame
from own_process import in_own_process
from performance_page import Table, describe_machine, publish

from smolrgpt_core.answerer_settings import INT8
from smolrgpt_core.inference import AnswerStyle, EngineConfig, InferenceEngine
from smolrgpt_core.language import read_question
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model.configuration_smolrgpt import PRESETS

TOKENS = 8
GB = 1e9


def write_checkpoint(arguments: argparse.Namespace, folder: str) -> None:
    """Model and processor with random weights."""
    frame = load_frame(arguments.scale)
    texts = [read_question(text, frame.regions).text for text in QUESTIONS]
    model, processor = build(arguments, texts)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


def ask_engine(arguments: argparse.Namespace, folder: str, dtype: str) -> list[float]:
    """Load and ask as `ModelAnswerer` does; memory as `resident` gives it."""
    config = EngineConfig(device="cpu", dtype=dtype, short=AnswerStyle("", TOKENS))
    engine = InferenceEngine.from_pretrained(folder, config)
    frame = load_frame(arguments.scale)
    engine.ask([read_question(QUESTIONS[0], frame.regions)], frame=frame)
    return resident(engine)


def ask_plain(arguments: argparse.Namespace, folder: str, dtype: str) -> list[float]:
    """Load and ask with transformers alone; memory as `resident` gives it."""
    model = SmolRGPTForConditionalGeneration.from_pretrained(folder, dtype=getattr(torch, dtype))
    model.eval()
    processor = SmolRGPTProcessor.from_pretrained(folder)
    frame = load_frame(arguments.scale)
    question = read_question(QUESTIONS[0], frame.regions)
    masks = [frame.regions[id] for id in question.region_ids]
    batch = processor(frame.rgb, question.text, frame.depth, masks, frame.intrinsics)
    model.generate(**batch, max_new_tokens=TOKENS, do_sample=False)
    return resident(model)


def resident(alive: object) -> list[float]:
    """Gigabytes of `FIELDS` of this process while `alive` lives."""
    status = Path("/proc/self/status").read_text().splitlines()
    values = {name: line.split()[1] for line in status if (name := line.split(":")[0]) in FIELDS}
    return [int(values[name]) * 1024 / GB for name in FIELDS]


FIELDS = ("VmHWM", "VmRSS", "RssAnon")
"""Of /proc/self/status: peak, present, and present without pages of files."""

CASES = {"engine": ask_engine, "plain model": ask_plain}


def memory_table(arguments: argparse.Namespace) -> Table:
    """Every case in every type, beside a process that has only imported what it needs."""
    with tempfile.TemporaryDirectory() as folder:
        in_own_process(write_checkpoint, arguments, folder)
        size = sum(path.stat().st_size for path in Path(folder).iterdir()) / GB
        found = {"libraries alone": in_own_process(resident, None)}
        for name, ask in CASES.items():
            # transformers alone has no such layers.
            dtypes = [dtype for dtype in arguments.dtypes if (ask, dtype) != (ask_plain, INT8)]
            for dtype in dtypes:
                numbers = in_own_process(ask, arguments, folder, dtype)
                found[f"{name}, {dtype}"] = numbers
    rows = [(name, *(f"{number:.2f}" for number in found[name])) for name in found]
    return Table(
        f"Memory, {arguments.preset} on the CPU",
        ("what", "peak, GB", "at the end, GB", "of that not file pages, GB"),
        tuple(rows),
        f"Resident memory of a process that loads a float32 checkpoint of {size:.2f} GB, takes an "
        f"image of {320 * arguments.scale} x {240 * arguments.scale} and answers one question "
        f"with {TOKENS} tokens. Plain is `model.generate`.",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=tuple(PRESETS), default="smolrgpt")
    parser.add_argument("--scale", type=int, default=4, help="enlarges the 320 x 240 image")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=DTYPES)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    arguments = parser.parse_args()
    table = memory_table(arguments)
    publish("Memory", describe_machine(), [table], arguments.write_docs)


if __name__ == "__main__":
    main()
