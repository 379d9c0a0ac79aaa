"""Exports a checkpoint to ONNX for use without PyTorch, and verifies the export.

The folder holds the steps of `onnx_graphs`, the tokenizer, and the settings in the checkpoint,
its calibration and likeness included.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from smolrgpt_core.checkpoints.files import CALIBRATION_FILE, LIKENESS_FILE, fingerprint_of
from smolrgpt_core.errors import bad_input
from smolrgpt_core.extras import require
from smolrgpt_core.files import new_folder
from smolrgpt_core.frame import CameraIntrinsics, RGBDFrame
from smolrgpt_core.inference.config import EngineConfig
from smolrgpt_core.inference.engine import EngineQuestion, InferenceEngine
from smolrgpt_core.inference.onnx_folder import (
    CODE,
    ENCODE,
    MEASURE,
    NAME,
    READ,
    SEE,
    TOKENIZER_FILE,
    WRITE,
    ExportedModel,
    sha256,
    step_file,
    write_manifest,
)
from smolrgpt_core.inference.onnx_graphs import (
    CodeRegions,
    EncodeFrame,
    Graph,
    MeasureRegions,
    NameColors,
    ReadPrompts,
    SeeRegions,
    WriteToken,
)
from smolrgpt_core.inference.plain_llama import PlainLlama
from smolrgpt_core.inference.torch_steps import TorchSteps
from smolrgpt_core.inference.torch_threads import is_small
from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor
from smolrgpt_core.model_inputs.region_colors import IMAGE
from smolrgpt_core.model_inputs.region_samples import AROUND
from smolrgpt_core.regions import Region, RegionSet

QUESTIONS = (
    ("How far is <mask> from <mask>?", (1, 2)),
    ("What is this?", ()),
    ("How many pallets <mask> <mask> <mask> are in the buffer <mask>?", (1, 3, 4, 2)),
    ("Is <mask> on the left side or the right side of <mask>?", (4, 1)),
    ("Is <mask> on the left side or the right side of <mask>?", (1, 4)),
)
"""Asked of both runtimes, about regions 1 to 4, one by one and together."""

COPIED_FILES = (CALIBRATION_FILE, LIKENESS_FILE)
"""Files of a checkpoint that are copied into its export."""

PROBABILITY_TOLERANCE = 1e-3
"""How far the probabilities of the tokens of both runtimes may be apart."""

_EXAMPLE = {"R": 3, "Q": 2, "T": 9, "M": 2, "C": 40}
"""Sizes that the steps are traced with; each may be another one afterwards."""


@dataclass(frozen=True)
class Export:
    """What was written, and how it was verified.

    Attributes:
        bytes_of: size of each file.
        tokens: that both runtimes wrote, and that were compared.
        apart: largest difference of their probabilities.
    """

    bytes_of: Mapping[str, int]
    tokens: int
    apart: float


def export_onnx(checkpoint: Path, out: Path) -> Export:
    """Write the folder of a checkpoint, and ask both runtimes the same questions.

    Args:
        checkpoint: folder.
        out: to create.

    Raises:
        ImportError: when a package is not installed.
        OSError, ValueError: as `load_steps`.
        SpatialError: BAD_INPUT for a model that cannot be exported, when `out` exists, or when the
            runtimes do not answer the same.
    """
    for package in ("onnx", "onnxscript"):
        require(package, "onnx-export", f"the export needs {package}")
    model = SmolRGPTForConditionalGeneration.from_pretrained(checkpoint)
    processor = SmolRGPTProcessor.from_pretrained(checkpoint)
    check_model(model)
    config = EngineConfig(device="cpu", pack_weights=False)
    steps = TorchSteps(model.requires_grad_(False), processor, config)
    engine = InferenceEngine(steps)
    with new_folder(out) as folder:
        write_steps(model, engine.head, folder)
        processor.tokenizer.backend_tokenizer.save(str(folder / TOKENIZER_FILE))
        for name in COPIED_FILES:
            if (checkpoint / name).is_file():
                shutil.copyfile(checkpoint / name, folder / name)
        write_manifest(folder, described(steps, folder, fingerprint_of(checkpoint)))
        tokens, apart = compare(engine, InferenceEngine.from_pretrained(folder))
        sizes = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
    return Export(sizes, tokens, apart)


def check_model(model: SmolRGPTForConditionalGeneration) -> None:
    """Refuse a model whose steps are not those of `onnx_graphs`.

    Raises:
        SpatialError: BAD_INPUT.
    """
    config = model.config
    problem = ""
    if config.depth_branch != "metric":
        problem = f"its depth_branch is {config.depth_branch!r}, not 'metric'"
    elif config.point_fusion:
        problem = "it fuses points with the image (point_fusion)"
    elif config.prompt_tokens or config.bottlenecks:
        problem = "it has an adapter that cannot be merged (prompt_tokens, bottlenecks)"
    elif not (is_small(model) and PlainLlama.fits(model)):
        problem = "its language model is no Llama of fewer than 20 million parameters in all"
    if problem:
        raise bad_input(f"this checkpoint cannot be exported to ONNX: {problem}; use PyTorch")


def write_steps(model: SmolRGPTForConditionalGeneration, head: Sequence[int], folder: Path) -> None:
    """Write the file of each step.

    Args:
        model: without gradients.
        head: tokens of the prompt's part that no question changes.
        folder: for the files.
    """
    modules: dict[str, Graph] = {
        ENCODE: EncodeFrame(model, list(head)),
        SEE: SeeRegions(),
        CODE: CodeRegions(),
        **({MEASURE: MeasureRegions(model)} if model.config.region_measures else {}),
        **({NAME: NameColors(model)} if model.config.region_colors else {}),
        READ: ReadPrompts(model, len(head)),
        WRITE: WriteToken(model),
    }
    known: dict[str, torch.Tensor] = {}
    for step, module in modules.items():
        known |= _examples(step, model, known)
        inputs = [known[name].clone() for name in module.inputs]
        with torch.no_grad():
            known |= zip(module.outputs, module(*inputs), strict=True)
        _write_step(module, inputs, folder / step_file(step))


def _examples(
    step: str, model: SmolRGPTForConditionalGeneration, known: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Inputs of a step that no step before gives."""
    config, size = model.config, _EXAMPLE
    generator = torch.Generator().manual_seed(0)
    if step == ENCODE:
        side = config.image_size
        return {"pixels": torch.rand(1, 3, side, side, generator=generator)}
    if step == SEE:
        count = config.samples_per_region + AROUND
        return {
            "samples": torch.rand(size["R"], count, 3, generator=generator) + 0.5,
            "weights": torch.rand(size["R"], config.refined_grid**2, generator=generator),
        }
    if step == MEASURE:
        foot = torch.tensor([0.0, 1.5, 0.1]).expand(size["R"], 1, 3)
        return {"samples_and_foot": torch.cat([known["samples"], foot], dim=1)}
    if step == NAME:
        count = config.samples_per_region + AROUND + IMAGE
        return {"pixels_of_regions": torch.rand(size["R"], count, 3, generator=generator)}
    if step == CODE:
        variances, axes = torch.linalg.eigh(known["covariance"])
        return {"variances": variances, "axes": axes}
    if step == READ:
        return _example_prompts()
    shape = list(known["prefix"].shape)
    shape[1], shape[3] = size["Q"], size["C"]
    return {
        "tokens": torch.arange(size["Q"]),
        "positions": torch.arange(size["Q"]) + size["C"],
        "seen": torch.zeros(size["Q"], size["C"] + 1),
        "past": torch.zeros(shape),
    }


def _example_prompts() -> dict[str, torch.Tensor]:
    questions, tokens, regions = (_EXAMPLE[name] for name in "QTM")
    slots = torch.full((questions, tokens), -1)
    slots[:, 3 : 3 + regions] = torch.arange(regions)
    named = torch.arange(regions).expand(questions, -1).clone()
    return {
        "ids": torch.arange(tokens).expand(questions, -1).clone(),
        "lengths": torch.tensor([tokens, tokens - 1]),
        "rgb_slots": slots,
        "depth_slots": slots.clone(),
        "regions": named,
        "places": named + 3,
        "exists": torch.ones(questions, regions, dtype=torch.bool),
    }


_AXES = {
    **dict.fromkeys(("samples", "weights", *SeeRegions.outputs, *CodeRegions.outputs), "R"),
    **dict.fromkeys(("variances", "axes", "samples_and_foot", "measures"), "R"),
    **dict.fromkeys(("pixels_of_regions", "colors"), "R"),
    **dict.fromkeys(("ids", "rgb_slots", "depth_slots"), "QT"),
    **dict.fromkeys(("regions", "places", "exists"), "QM"),
    **dict.fromkeys(("lengths", "tokens", "positions"), "Q"),
    "seen": "QC",
}
"""Which axes of an input have a size of their own in every call, from the first on."""

_PAST_AXES = (1, 3)
"""Those of `past`: questions, and places for keys and values."""


def _write_step(module: Graph, inputs: Sequence[torch.Tensor], path: Path) -> None:
    dynamic = torch.export.Dim.DYNAMIC
    shapes = [
        dict.fromkeys(_PAST_AXES if name == "past" else range(len(_AXES.get(name, ""))), dynamic)
        for name in module.inputs
    ]
    with _quiet():
        torch.onnx.export(
            module.eval(),
            tuple(inputs),
            path,
            input_names=list(module.inputs),
            output_names=list(module.outputs),
            dynamic_shapes=tuple(shapes),
            dynamo=True,
            external_data=False,
            verbose=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's messages about packages that this model does not use."""
    exporter = logging.getLogger("torch.onnx")
    level = exporter.level
    exporter.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        exporter.setLevel(level)


def described(steps: TorchSteps, folder: Path, weights_sha256: str) -> ExportedModel:
    """The manifest of an exported folder, whose other files exist already.

    Args:
        steps: of the exported model.
        folder: with the exported files.
        weights_sha256: fingerprint of the weights.
    """
    processor = steps.processor
    names = ExportedModel.__annotations__
    same = {
        name: getattr(steps.model_config, name)
        for name in names
        if hasattr(steps.model_config, name)
    }
    return ExportedModel(
        **same,
        turn=processor.turn(),
        special_tokens=tuple(sorted(processor.special_tokens())),
        end_ids=tuple(steps.end_ids),
        weights_sha256=weights_sha256,
        files={path.name: sha256(path) for path in sorted(folder.iterdir())},
        is_small=is_small(steps.model),
    )


def compare(torch_engine: InferenceEngine, onnx_engine: InferenceEngine) -> tuple[int, float]:
    """Ask both the same; how many tokens were compared, and how far probabilities are apart.

    Raises:
        SpatialError: BAD_INPUT when a token differs, or a probability by more than
            `PROBABILITY_TOLERANCE`.
    """
    frame = example_frame()
    alone: list[list[EngineQuestion]] = [[question] for question in QUESTIONS]
    asked: list[list[EngineQuestion]] = [[*QUESTIONS], *alone]
    both = [
        [answer for part in asked for answer in engine.ask(part, frame=frame)]
        for engine in (torch_engine, onnx_engine)
    ]
    tokens, apart = 0, 0.0
    for wanted, found in zip(*both, strict=True):
        if wanted.token_ids != found.token_ids:
            raise bad_input(
                f"the export is not usable: PyTorch outputs {wanted.text!r}, ONNX Runtime "
                f"{found.text!r}; use PyTorch, and report this"
            )
        tokens += len(wanted.token_ids)
        gaps = np.abs(np.subtract(wanted.probabilities, found.probabilities))
        apart = max(apart, float(gaps.max()))
    if apart > PROBABILITY_TOLERANCE:
        raise bad_input(
            f"the export is not usable: the probabilities of the runtimes differ by {apart:.2g}, "
            f"but at most {PROBABILITY_TOLERANCE} is allowed; use PyTorch, and report this"
        )
    return tokens, apart


def example_frame() -> RGBDFrame:
    """A frame of a slanted plane with four square regions, to try both runtimes with."""
    height, width = 120, 160
    rng = np.random.default_rng(0)
    rgb = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    rows = np.arange(height, dtype=np.float32)[:, None]
    depth = np.repeat(6.0 - rows / height * 3.0, width, axis=1).astype(np.float32)
    depth[rng.random(depth.shape) < 0.05] = np.nan
    regions = []
    for id in range(1, 5):
        mask = np.zeros((height, width), dtype=bool)
        mask[20 * id : 20 * id + 15, 30 * id : 30 * id + 25] = True
        regions.append(Region.from_bitmap(id, "pallet", mask))
    camera = CameraIntrinsics(width, height, 150.0, 150.0, width / 2, height / 2)
    return RGBDFrame(rgb, depth, camera, RegionSet((height, width), tuple(regions)))
