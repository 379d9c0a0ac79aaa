#!/usr/bin/env python3
"""Training steps with packed questions against a plain loop that pads every sample to 512 tokens.

The plain loop is what the authors' code does: one question in each row, every row as long as the
longest allowed, logits of every position. Packed rows hold several questions about their image,
which is computed once. Weights are random, the image is that of the tests; a step is forward,
backward and AdamW on everything but the vision encoder, with the batch prepared in the same
process. Every case runs in a process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import resource
import time
from typing import Any

import torch
from inference_engine import QUESTIONS, build, load_frame
from own_process import in_own_process
from performance_page import Table, describe_machine, publish, section_title

from smolrgpt_core.language import SpatialQuestion, read_question
from smolrgpt_core.model.configuration_smolrgpt import PRESETS
from smolrgpt_core.model.packing import PackedImage, pack_batch
from smolrgpt_core.model_inputs.prompts import IGNORED_LABEL

PADDED_LENGTH = 512
ANSWER = "5.49"
GB = 1e9

Batch = dict[str, Any]
CASES = {
    "padded": "plain loop, one question in a row, padded",
    "alone": "one question in a row",
    "packed": f"up to {len(QUESTIONS)} questions in a row",
}


def conversation(question: SpatialQuestion) -> list[dict[str, str]]:
    """A question with an answer of a few tokens."""
    return [
        {"role": "user", "content": question.text},
        {"role": "assistant", "content": ANSWER},
    ]


class Case:
    """Batches of one kind, a key of `CASES`, for one model."""

    def __init__(self, arguments: argparse.Namespace, name: str) -> None:
        self.arguments, self.name = arguments, name
        self.frame = load_frame(arguments.scale)
        self.questions = [read_question(text, self.frame.regions) for text in QUESTIONS]
        self.ids = list(dict.fromkeys(id for q in self.questions for id in q.region_ids))
        texts = [*(question.text for question in self.questions), ANSWER]
        self.model, self.processor = build(arguments, texts)
        self.model.to(arguments.device)

    def batch(self) -> Batch:
        """Of `arguments.questions` questions."""
        asked = [
            self.questions[number % len(self.questions)]
            for number in range(self.arguments.questions)
        ]
        if self.name == "padded":
            return self._padded(asked)
        size = 1 if self.name == "alone" else len(self.questions)
        groups = [asked[start : start + size] for start in range(0, len(asked), size)]
        return {**pack_batch(self.processor, [self._row(g) for g in groups]), "only_answers": True}

    def _row(self, questions: list[SpatialQuestion]) -> PackedImage:
        ids = [id for id in self.ids if any(id in q.region_ids for q in questions)]
        return PackedImage(
            [conversation(question) for question in questions],
            [[ids.index(id) for id in question.region_ids] for question in questions],
            self.frame.rgb,
            self.frame.depth,
            [self.frame.regions[id] for id in ids],
            self.frame.intrinsics,
        )

    def _padded(self, questions: list[SpatialQuestion]) -> Batch:
        batch = self.processor(
            [self.frame.rgb] * len(questions),
            [conversation(question) for question in questions],
            [self.frame.depth] * len(questions),
            [[self.frame.regions[id] for id in q.region_ids] for q in questions],
            [self.frame.intrinsics] * len(questions),
            return_labels=True,
            padding_side="right",
        )
        fillers = {"input_ids": self.processor.tokenizer.pad_token_id, "labels": IGNORED_LABEL}
        return {name: padded(value, fillers.get(name, 0)) for name, value in batch.items()}


def padded(value: Any, filler: int) -> Any:
    """Sequences (B, T) at their full length; anything else as it is."""
    if not isinstance(value, torch.Tensor) or value.ndim != 2:
        return value
    missing = PADDED_LENGTH - value.shape[1]
    return torch.nn.functional.pad(value, (0, missing), value=filler)


def to_device(batch: Batch, device: str) -> Batch:
    """Tensors, and those in lists, on a device."""

    def moved(value: Any) -> Any:
        if isinstance(value, list):
            return [item.to(device) for item in value]
        return value.to(device) if isinstance(value, torch.Tensor) else value

    return {name: moved(value) for name, value in batch.items()}


def real_tokens(batch: Batch) -> int:
    """Tokens that are no padding."""
    if "segment_ids" in batch:
        return int((batch["segment_ids"] >= 0).sum())
    return int(batch["attention_mask"].sum())


def measure_case(arguments: argparse.Namespace, name: str) -> dict[str, float]:
    """Seconds of preparing and of a step, tokens, and peak memory in bytes.

    Args:
        arguments: of the command line.
        name: a key of `CASES`.
    """
    case = Case(arguments, name)
    trained = [weight for weight in case.model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-5)
    prepare_s, step_s = [], []
    for _ in range(arguments.repeats + 1):
        started = time.perf_counter()
        batch = to_device(case.batch(), arguments.device)
        prepared = time.perf_counter()
        case.model.train()
        case.model(**batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        finish(arguments.device)
        prepare_s.append(prepared - started)
        step_s.append(time.perf_counter() - prepared)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if arguments.device == "cuda":
        peak = torch.cuda.max_memory_allocated()
    return {
        "prepare": min(prepare_s[1:]),
        "step": min(step_s[1:]),
        "tokens": real_tokens(batch),
        "weights": sum(weight.numel() for weight in case.model.parameters()),
        "peak": peak,
    }


def finish(device: str) -> None:
    """Wait for the device."""
    if device == "cuda":
        torch.cuda.synchronize()


def training_table(arguments: argparse.Namespace) -> Table:
    """All cases; ratios against the padded loop."""
    found = {case: in_own_process(measure_case, arguments, case) for case in CASES}
    plain = found["padded"]["prepare"] + found["padded"]["step"]
    rows = []
    for case, numbers in found.items():
        seconds = numbers["prepare"] + numbers["step"]
        row = [
            CASES[case],
            f"{arguments.questions / seconds:.2f}",
            f"{numbers['tokens'] / seconds:.0f}",
            f"{plain / seconds:.1f}x",
            f"{numbers['prepare'] / seconds:.0%}",
            f"{numbers['peak'] / GB:.2f}",
        ]
        if arguments.peak_tflops:
            flops = 6 * numbers["weights"] * numbers["tokens"] / numbers["step"]
            row.append(f"{flops / (arguments.peak_tflops * 1e12):.0%}")
        rows.append(tuple(row))
    columns = ("what", "questions/s", "tokens/s", "ratio", "preparing the batch", "peak, GB")
    return Table(
        f"A training step, {arguments.preset} in float32 on {arguments.device}",
        (*columns, "FLOPs utilisation") if arguments.peak_tflops else columns,
        tuple(rows),
        f"{arguments.questions} questions in a step; the fastest of {arguments.repeats} steps. "
        f"Padded: to {PADDED_LENGTH} tokens. Tokens are those that are no padding. In a run "
        "batches are prepared in other processes.",
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=tuple(PRESETS), default="smolrgpt-nano")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--questions", type=int, default=16, help="in a step")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--scale", type=int, default=2, help="enlarges the 320 x 240 image")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--peak-tflops", type=float, default=0.0, help="of the device")
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    arguments = parser.parse_args()
    table = training_table(arguments)
    devices = [torch.device(arguments.device)]
    title = section_title(f"Training, {arguments.preset}", devices)
    publish(title, describe_machine(devices), [table], arguments.write_docs)


if __name__ == "__main__":
    main()
