"""The folder that `smolrgpt export-onnx` writes: all that an engine without PyTorch needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from smolrgpt_core.files import file_error, read_bytes, read_json, write_file
from smolrgpt_core.model_inputs.images import PixelRange

MANIFEST_FILE = "onnx.json"
TOKENIZER_FILE = "tokenizer.json"

FORMAT = 3
"""Version of the folder; others are refused."""

ENCODE, SEE, CODE, READ, WRITE = STEPS = ("encode", "see", "code", "read", "write")
"""Steps of the engine, each a file; `onnx_graphs` defines what they compute."""

MEASURE = "measure"
"""One more step, of models with `region_measures`."""

NAME = "name"
"""One more step, of models with `region_colors`."""


@dataclass(frozen=True)
class ExportedModel:
    """What is known of an exported model; the same names as in `SmolRGPTConfig` mean the same.

    Attributes:
        turn: what the chat template writes before a question, behind it, and to open the answer.
        special_tokens: texts that a question must not contain.
        end_ids: tokens that end an answer.
        weights_sha256: fingerprint of the checkpoint that it was made from.
        files: SHA-256 of each file that it needs, by name.
        is_small: whether it is computed with one thread unless set otherwise.
    """

    image_size: int
    refined_grid: int
    samples_per_region: int
    prompt_tokens: int
    num_image_tokens: int
    image_token: str
    image_token_id: int
    mask_rgb_token: str
    mask_rgb_token_id: int
    mask_depth_token: str
    mask_depth_token_id: int
    depth_branch: str
    region_measures: bool
    region_colors: bool
    depth_unit_m: float
    rgb_range: PixelRange
    mask_pooling: str
    empty_masks: str
    answers: tuple[str, ...]
    answer_style: str
    max_tokens: float
    turn: tuple[str, str, str]
    special_tokens: tuple[str, ...]
    end_ids: tuple[int, ...]
    weights_sha256: str
    files: Mapping[str, str]
    is_small: bool

    @property
    def steps(self) -> tuple[str, ...]:
        """Those that it has a file of."""
        return (*STEPS, *[MEASURE] * self.region_measures, *[NAME] * self.region_colors)


def is_exported(checkpoint: str | Path) -> bool:
    """Whether this is a folder that `smolrgpt export-onnx` wrote."""
    return (Path(checkpoint) / MANIFEST_FILE).is_file()


def step_file(step: str) -> str:
    """Name of the file of a step."""
    return f"{step}.onnx"


def write_manifest(folder: Path, model: ExportedModel) -> None:
    """Write what is known of an exported model into its folder."""
    values = {"format": FORMAT, **asdict(model)}
    write_file(folder / MANIFEST_FILE, (json.dumps(values, indent=1) + "\n").encode())


def read_manifest(folder: Path) -> ExportedModel:
    """Read it, and check that the files of the folder are those that were exported together.

    Raises:
        SpatialError: BAD_INPUT, naming the file.
    """
    path = folder / MANIFEST_FILE
    values = read_json(path)
    found = values.pop("format", None) if isinstance(values, dict) else None
    if found != FORMAT:
        is_newer = isinstance(found, int) and found > FORMAT
        remedy = "update this package, or export" if is_newer else "export"
        raise file_error(path, f"expected format {FORMAT}, got {found}; {remedy} the model again")
    names = {field.name for field in fields(ExportedModel)}
    if values.keys() != names:
        wrong = ", ".join(sorted(values.keys() ^ names))
        raise file_error(path, f"missing or unknown: {wrong}; export the model again")
    model = ExportedModel(**{name: _tupled(value) for name, value in values.items()})
    _check_names(path, model)
    for name, digest in model.files.items():
        if sha256(folder / name) != digest:
            raise file_error(
                folder / name, f"is not the file that {MANIFEST_FILE} names; export the model again"
            )
    return model


def _check_names(path: Path, model: ExportedModel) -> None:
    """Raises BAD_INPUT where the manifest does not name the files that an engine opens."""
    names = model.files.keys() if isinstance(model.files, Mapping) else set()
    missing = {*map(step_file, model.steps), TOKENIZER_FILE} - names
    outside = {name for name in names if Path(name).name != name}
    if missing or outside:
        raise file_error(
            path,
            f"`files` must name the files of this folder, missing: {sorted(missing)}, not of this "
            f"folder: {sorted(outside)}; export the model again",
        )


def sha256(path: Path) -> str:
    """SHA-256 of a file.

    Raises:
        SpatialError: BAD_INPUT when it cannot be read.
    """
    return hashlib.sha256(read_bytes(path)).hexdigest()


def _tupled(value: Any) -> Any:
    """JSON has no tuples."""
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return tuple(value) if is_list else value
