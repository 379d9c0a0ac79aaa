#!/usr/bin/env python3
"""Asking the engine against a plain `model.generate` for each question, at full size.

Weights are random, so the model never ends an answer by itself: engine and plain generation write
the same number of tokens, that of a short answer or of a sentence, and must write the same ones.
The released code always writes 120. Takes about eight minutes on two cores.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import cycle, product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from performance_page import Table, describe_machine, median_ms, publish, section_title
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from smolrgpt_core.answerer_settings import INT8
from smolrgpt_core.files import read_depth, read_rgb
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.inference import AnswerStyle, EngineConfig, InferenceEngine, TorchSteps
from smolrgpt_core.language import SpatialQuestion, read_question
from smolrgpt_core.model import (
    SmolRGPTConfig,
    SmolRGPTForConditionalGeneration,
    SmolRGPTProcessor,
)
from smolrgpt_core.model.configuration_smolrgpt import PRESETS
from smolrgpt_core.region_files import read_regions
from smolrgpt_core.regions import Region, RegionSet

IMAGE_FOLDER = Path(__file__).resolve().parent.parent / "tests" / "data" / "warehouse"

QUESTIONS = (
    "How far is pallet 13 from pallet 15?",
    "Is transporter 60 on the left side or the right side of pallet 13?",
    "How many pallets are in buffer 2?",
    "Which pallet among pallets 16, 12, 14, 10 and 15 is in buffer 1?",
    "How far is pallet 10 from buffer 1?",
    "Is pallet 11 to the left of pallet 14?",
    "How many pallets are in buffer 1?",
    "What is the distance between pallet 12 and pallet 17?",
)
"""Plain English about the image; the model gets them with a placeholder for each region."""

LENGTHS = {"short": 4, "sentence": 12}
"""Tokens of an answer, the end token included: as for "3.8", and "The distance is 3.80 meters."."""

CONTROL_TOKENS = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
DECODED_TOKENS = 33
"""Tokens of the answers that decoding is measured on: the first of them is not decoded."""

BANDWIDTH_BYTES = 2**30

DTYPES = ("float32", "bfloat16", INT8)


def load_frame(scale: int) -> RGBDFrame:
    """The image of the tests, enlarged, with its regions."""
    rgb = read_rgb(IMAGE_FOLDER / "rgb.jpg")
    size = (rgb.shape[1] * scale, rgb.shape[0] * scale)
    small = read_regions(IMAGE_FOLDER / "regions.json", rgb.shape[:2])
    regions = [
        Region.from_bitmap(item.id, item.label, np.kron(small.full_mask(item.id), block(scale)))
        for item in small
    ]
    truth = json.loads((IMAGE_FOLDER / "truth.json").read_text())
    pinhole = [float(number) * scale for number in truth["intrinsics"].split(",")]
    return RGBDFrame(
        cv2.resize(rgb, size),
        np.kron(read_depth(IMAGE_FOLDER / "depth.png"), np.ones((scale, scale), dtype=np.float32)),
        CameraIntrinsics(*size, *pinhole),
        RegionSet((size[1], size[0]), tuple(regions)),
    )


def block(scale: int) -> np.ndarray:
    """What one pixel of a mask becomes."""
    return np.ones((scale, scale), dtype=np.uint8)


def word_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A token for each word, digit and punctuation mark: about as many as SmolLM2's has."""
    splitter = pre_tokenizers.Sequence(
        [pre_tokenizers.Whitespace(), pre_tokenizers.Digits(individual_digits=True)]
    )
    pieces = [piece for text in texts for piece, _ in splitter.pre_tokenize_str(text)]
    words = dict.fromkeys([*CONTROL_TOKENS, "unknown", "user", "assistant", *pieces])
    unused = [f"unused{number}" for number in range(vocab_size - len(words))]
    vocabulary = {word: id for id, word in enumerate([*words, *unused])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="unknown"))
    tokenizer.pre_tokenizer = splitter
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=CONTROL_TOKENS[2],
        additional_special_tokens=list(CONTROL_TOKENS),
    )


def build(
    arguments: argparse.Namespace, texts: list[str]
) -> tuple[SmolRGPTForConditionalGeneration, SmolRGPTProcessor]:
    """Model and processor with random weights and no end token."""
    torch.manual_seed(arguments.seed)
    config = SmolRGPTConfig.preset(arguments.preset)
    model = SmolRGPTForConditionalGeneration(config)
    model.generation_config.eos_token_id = None
    tokenizer = word_tokenizer(texts, config.text_config.vocab_size - 3)
    return model, SmolRGPTProcessor(tokenizer, config)


class Bench:
    """One engine, one plain model with the same weights, and one frame.

    The plain model is as transformers leaves it; the engine changes the one that it takes over.
    """

    def __init__(self, arguments: argparse.Namespace, device: torch.device) -> None:
        self.frame = load_frame(arguments.scale)
        self.questions = [read_question(text, self.frame.regions) for text in QUESTIONS]
        self.arguments = arguments
        self.device = device
        model, self.processor = build(arguments, [question.text for question in self.questions])
        # transformers types `to` as if it were no method.
        copied: Any = deepcopy(model)
        self.plain = copied.to(device, self.engine_config(LENGTHS).torch_dtype()).eval()
        self.steps = TorchSteps(model, self.processor, self.engine_config(LENGTHS))
        self.engine = InferenceEngine(self.steps)

    def engine_config(self, lengths: dict[str, int]) -> EngineConfig:
        """Of an engine whose answers have these numbers of tokens, by style."""
        config = EngineConfig(
            device=self.device.type,
            dtype=self.arguments.dtype,
            cache_bytes=2**31,
            # New frames must not push out those that second questions are asked about.
            cache_frames=1000,
        )
        styles: dict[str, Any] = {name: AnswerStyle("", count) for name, count in lengths.items()}
        return replace(config, **styles)

    def new_frame(self) -> RGBDFrame:
        """The same image as a frame that the engine has not seen."""
        return replace(self.frame)

    def generate(self, question: SpatialQuestion, tokens: int, refinement: str) -> tuple[int, ...]:
        """New tokens of a plain generation, from images to ids."""
        self.plain.config.refinement = refinement
        masks = [self.frame.regions[id] for id in question.region_ids]
        batch = self.processor(
            self.frame.rgb, question.text, self.frame.depth, masks, self.frame.intrinsics
        )
        inputs = {
            name: value.to(self.device) if isinstance(value, torch.Tensor) else value
            for name, value in batch.items()
        }
        ids = self.plain.generate(**inputs, max_new_tokens=tokens, do_sample=False)
        return tuple(ids[0, batch["input_ids"].shape[1] :].tolist())

    def check(self) -> None:
        """End the benchmark if engine and plain generation write different tokens.

        In other types their roundings differ, so that equal tokens cannot be asked for.
        """
        if self.arguments.dtype != "float32":
            return
        answers = self.engine.ask(self.questions, "sentence", frame=self.frame)
        for answer, question in zip(answers, self.questions, strict=True):
            plain = self.generate(question, LENGTHS["sentence"], "sparse")
            if answer.token_ids != plain:
                raise SystemExit(f"{question.text}: engine {answer.token_ids}, plain {plain}")

    def cases(self) -> dict[str, Callable[[], object]]:
        """What is timed, by name."""
        turns = cycle(self.questions)
        limit = self.arguments.released_tokens
        cases: dict[str, Callable[[], object]] = {}
        cases["released"] = lambda: self.generate(next(turns), limit, "dense")
        for style in LENGTHS:
            cases |= self.cases_of_style(style)
        return cases

    def cases_of_style(self, style: str) -> dict[str, Callable[[], object]]:
        """What is timed with answers of one length; names end with the style."""
        ask, asked = self.engine.ask, self.questions
        seen = [self.new_frame() for _ in range(self.arguments.repeats + 1)]
        for frame in seen:
            ask(asked[:1], style, frame=frame)
        return {
            f"first {style}": lambda: ask(asked[:1], style, frame=self.new_frame()),
            f"second {style}": lambda: ask(asked[1:2], style, frame=seen.pop()),
            f"eight {style}": lambda: ask(asked, style, frame=self.new_frame()),
            f"plain {style}": lambda: [
                self.generate(question, LENGTHS[style], "sparse") for question in asked
            ],
        }


def questions_table(bench: Bench) -> Table:
    """First, second and eight questions, against plain generation and the released behavior."""
    arguments, asked = bench.arguments, len(QUESTIONS)
    times = median_ms(bench.cases(), arguments.repeats, bench.device)
    kinds = {
        "first": ("first question on a frame", 1),
        "second": ("second question on a frame", 1),
        "eight": (f"{asked} questions on a frame, together", asked),
    }
    rows = []
    for style, (case, (name, count)) in product(LENGTHS, kinds.items()):
        engine = times[f"{case} {style}"]
        plain, released = times[f"plain {style}"] * count / asked, times["released"] * count
        cells = (f"{engine:.0f}", f"{plain:.0f}", f"{plain / engine:.1f}x", f"{released:.0f}")
        rows.append((name, str(LENGTHS[style]), *cells, f"{released / engine:.1f}x"))
    height, width = bench.frame.rgb.shape[:2]
    return Table(
        f"Questions, {arguments.preset} in {arguments.dtype} on {bench.device.type}",
        ("what", "tokens", "engine, ms", "plain, ms", "ratio", "released, ms", "ratio to it"),
        tuple(rows),
        f"An image of {width} x {height}; questions of {_lengths(bench)} tokens behind the "
        "image, with 2 to 9 regions, a token for each word. Random weights never end an answer: "
        f"engine and plain write that many tokens each{_sameness(bench)}, as for the value only or "
        "for a sentence; released writes "
        f"{arguments.released_tokens}, as the authors' code always does, and refines densely, "
        "with this library's model in place of theirs. Plain and released call `model.generate` "
        f"once for each question, images included, and keep nothing: {asked} plain questions are "
        f"measured, one of them is the mean; one released question is measured, {asked} of them "
        "are so many times its time.",
    )


def _sameness(bench: Bench) -> str:
    if bench.arguments.dtype == INT8:
        return ", plain and released in float32"
    return ", the same ones" if bench.arguments.dtype == "float32" else ""


def _lengths(bench: Bench) -> str:
    processor = bench.processor
    lengths = [
        len(processor.tokenizer.encode(processor.prompt(
            [{"role": "user", "content": question.text}], False, len(question.region_ids)
        )))
        for question in bench.questions
    ]  # fmt: skip
    return f"{min(lengths)} to {max(lengths)}"


def decoding_table(bench: Bench) -> Table:
    """Tokens per second against the bound that the memory sets."""
    arguments = bench.arguments
    config = bench.engine_config({"short": DECODED_TOKENS})
    engine = InferenceEngine(TorchSteps(bench.steps.model, bench.processor, config))
    bandwidth = measure_bandwidth(bench)
    weights = list(bench.plain.model.language_model.parameters())
    size = 1 if arguments.dtype == INT8 else weights[0].element_size()
    read = size * sum(weight.numel() for weight in weights)
    bound = bandwidth / read
    rows = []
    for count in (1, len(QUESTIONS)):
        seconds = [
            engine.ask(bench.questions[:count], frame=bench.frame)[0].latency_s["decode"]
            for _ in range(arguments.repeats + 1)
        ]
        step = statistics.median(seconds[1:]) / (DECODED_TOKENS - 1)
        fraction = 1 / step / bound
        cells = (f"{step * 1e3:.1f}", f"{count / step:.1f}", f"{bound * count:.1f}")
        rows.append((str(count), *cells, f"{fraction:.0%}"))
    return Table(
        f"Decoding, {arguments.preset} in {arguments.dtype} on {bench.device.type}",
        ("questions together", "ms per step", "tokens/s", "bound, tokens/s", "share of the bound"),
        tuple(rows),
        f"The bound: every step reads all {read / 1e9:.2f} GB of weights of the language model, at "
        f"the {bandwidth / 1e9:.1f} GB/s at which this machine sums up a tensor of "
        f"{BANDWIDTH_BYTES / 2**30:g} GiB, and nothing else takes time.",
    )


def measure_bandwidth(bench: Bench) -> float:
    """Bytes per second at which memory is read."""
    numbers = torch.ones(BANDWIDTH_BYTES // 4, device=bench.device)
    times = median_ms({"sum": numbers.sum}, max(5, bench.arguments.repeats), bench.device)
    return BANDWIDTH_BYTES / times["sum"] * 1e3


def main() -> None:
    """Measure on the CPU, or on the device asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", choices=tuple(PRESETS), default="smolrgpt")
    parser.add_argument("--device", nargs="+", default=("cpu",), help="such as cpu cuda")
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, default=DTYPES)
    parser.add_argument("--released-tokens", type=int, default=120)
    parser.add_argument("--scale", type=int, default=4, help="enlarges the 320 x 240 image")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write-docs", action="store_true", help="update docs/performance.md")
    arguments = parser.parse_args()
    devices = [torch.device(name) for name in arguments.device]
    tables = []
    for device, dtype in product(devices, arguments.dtype):
        if dtype == INT8 and device.type != "cpu":
            continue
        bench = Bench(argparse.Namespace(**{**vars(arguments), "dtype": dtype}), device)
        bench.check()
        tables += [questions_table(bench), decoding_table(bench)]
    title = section_title("Inference engine", devices)
    publish(title, describe_machine(devices), tables, arguments.write_docs)


if __name__ == "__main__":
    main()
