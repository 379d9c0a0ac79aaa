"""Import of checkpoints in the layout that HiSpatial's authors released.

Their weights are a pickle. It is converted to safetensors once, by a process of its own in which
PyTorch builds nothing but tensors, and is never read again. All or nothing, as the import of
SmolRGPT's checkpoints.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import PaliGemmaConfig
from transformers.utils import cached_file

from smolrgpt_core.files import new_folder, read_json_object
from smolrgpt_core.model.official import CONFIG_FILE, WEIGHTS_FILE, ImportReport
from smolrgpt_core.model.point_map.configuration import PointMapConfig
from smolrgpt_core.model.point_map.modeling import PointMapForConditionalGeneration
from smolrgpt_core.model.point_map.processing import PointMapProcessor

ARCHITECTURE = "HiSpatialVLM"
PICKLE_FILE = "weights.pt"
PROCESSOR_FOLDER = "processor"

_IGNORED = (
    "architectures",
    "model_type",
    "transformers_version",
    "torch_dtype",
    "image_token_index",
)
_TEXT_IGNORED = ("cache_implementation", "model_type", "num_image_tokens", "torch_dtype")
_RENAMES = (
    (r"depth_encoder\.conv\.", "point_encoder.conv."),
    (r"language_model\.lm_head\.", "vlm.lm_head."),
    (r"language_model\.model\.", "vlm.model.language_model."),
    (r"vision_tower\.vision_model\.", "vlm.model.vision_tower."),
    (r"multi_modal_projector\.", "vlm.model.multi_modal_projector."),
)


def is_released(source: str | Path) -> bool:
    """Whether a folder or hub id holds a checkpoint of HiSpatial's authors."""
    if Path(source).exists():
        config = Path(source, CONFIG_FILE)
        return config.is_file() and _is_of_authors(config)
    try:
        found = cached_file(str(source), CONFIG_FILE)
    except OSError:
        # Whoever imports another layout from there says what is missing.
        return False
    return found is not None and _is_of_authors(Path(found))


def _is_of_authors(config: Path) -> bool:
    return ARCHITECTURE in (read_json_object(config).get("architectures") or ())


def import_released(
    source: str | Path, destination: str | Path, processor: str | Path | None = None
) -> ImportReport:
    """Convert a checkpoint of HiSpatial's authors to this library's layout.

    Args:
        source: folder or hub id with `config.json`, and `weights.pt` or `model.safetensors`.
        destination: folder to write; must not exist, or be empty.
        processor: folder or hub id of image processor and tokenizer; by default the source, or
            its folder "processor".

    Raises:
        OSError: when a file is missing.
        ValueError: with a list, when a key is missing, extra or of another shape; when a file
            cannot be used. Nothing is written then.
    """
    config = released_config(read_json_object(_file(source, CONFIG_FILE)))
    files = processor or _default_processor(source)
    prepared = PointMapProcessor.from_pretrained(files, config)
    state = _released_weights(source)
    with torch.device("meta"):
        model = PointMapForConditionalGeneration(config)
    _check_keys(model.state_dict(), state)
    model.load_state_dict(state, assign=True)
    model.tie_weights()
    target = Path(destination)
    with new_folder(target) as folder:
        model.save_pretrained(folder)
        prepared.save_pretrained(folder)
    return ImportReport(
        source=str(source),
        destination=target,
        stage="released",
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        sizes={name: _size(part) for name, part in _parts(model).items()},
        dtype=str(model.dtype).removeprefix("torch."),
        tokenizer=str(files),
        ignored=(),
        others=(),
    )


def released_config(values: Mapping[str, Any]) -> PointMapConfig:
    """The configuration that a released `config.json` describes: a PaliGemma with points.

    Raises:
        ValueError: when it describes something else.
    """
    if "text_config" not in values or "vision_config" not in values:
        raise ValueError(
            f"{CONFIG_FILE} is not of HiSpatial's layout: it has no text_config or vision_config"
        )
    text = {key: one for key, one in values["text_config"].items() if key not in _TEXT_IGNORED}
    base = {key: one for key, one in values.items() if key not in _IGNORED}
    vlm_config = PaliGemmaConfig(
        **base
        | {
            "text_config": text | {"model_type": values["text_config"]["model_type"]},
            "image_token_index": values["image_token_index"],
        }
    )
    return PointMapConfig.preset("hispatial", vlm_config)


def pickle_to_safetensors(source: Path, destination: Path) -> None:
    """Convert a pickled state dict in a process of its own.

    Raises:
        ValueError: when it holds anything but tensors, or cannot be read.
    """
    # A module outside this package, which would load transformers beside what is unpickled.
    module = "smolrgpt_core.checkpoints.pickled_weights"
    command = [sys.executable, "-m", module, str(source), str(destination)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ValueError(
            f"{source} cannot be read as weights alone, nothing was imported: "
            f"{done.stderr.strip().splitlines()[-1] if done.stderr.strip() else done.returncode}"
        )


def _released_weights(source: str | Path) -> dict[str, torch.Tensor]:
    """Weights under this library's names."""
    found = cached_file(str(source), WEIGHTS_FILE, _raise_exceptions_for_missing_entries=False)
    if found is not None:
        return _renamed(load_file(found))
    with tempfile.TemporaryDirectory() as work:
        converted = Path(work, WEIGHTS_FILE)
        pickle_to_safetensors(_file(source, PICKLE_FILE), converted)
        return _renamed(load_file(converted))


def _renamed(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {_own_name(name): weight for name, weight in state.items()}


def _own_name(name: str) -> str:
    for pattern, own in _RENAMES:
        renamed, number = re.subn(f"^{pattern}", own, name)
        if number:
            return renamed
    return name


def _check_keys(wanted: Mapping[str, torch.Tensor], found: Mapping[str, torch.Tensor]) -> None:
    problems = [
        *(f"missing: {key}" for key in sorted(wanted.keys() - found.keys())),
        *(f"extra: {key}" for key in sorted(found.keys() - wanted.keys())),
        *(
            f"{key}: file has {tuple(found[key].shape)}, the configuration wants "
            f"{tuple(wanted[key].shape)}"
            for key in sorted(wanted.keys() & found.keys())
            if wanted[key].shape != found[key].shape
        ),
    ]
    if problems:
        raise ValueError(
            f"the weights do not fit {CONFIG_FILE}, nothing was imported:\n  "
            + "\n  ".join(problems)
        )


def _file(source: str | Path, name: str) -> Path:
    return Path(str(cached_file(str(source), name)))


def _default_processor(source: str | Path) -> str | Path:
    beside = Path(source) / PROCESSOR_FOLDER
    return beside if beside.is_dir() else source


def _parts(model: PointMapForConditionalGeneration) -> dict[str, torch.nn.Module]:
    vlm: Any = model.vlm.model
    return {
        "vision encoder": vlm.vision_tower,
        "point encoder": model.point_encoder,
        "projector": vlm.multi_modal_projector,
        "language model": vlm.language_model,
    }


def _size(part: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in part.parameters())
