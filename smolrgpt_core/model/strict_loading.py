"""Checkpoints are loaded completely or not at all, and from safetensors only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers.utils import CONFIG_NAME

from smolrgpt_core.checkpoints import check_that_it_exists
from smolrgpt_core.checkpoints.weights import in_folder, weights_files
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import read_json_object


def load_strictly(loader: Callable[..., Any], checkpoint: Any, *args: Any, **kwargs: Any) -> Any:
    """What transformers' `from_pretrained` loads, unless a weight does not fit.

    Args:
        loader: `PreTrainedModel.from_pretrained` of a class.
        checkpoint: folder or hub id.
        *args: of the loader.
        **kwargs: of the loader.

    Returns:
        The model; with `output_loading_info=True` also what transformers reports.

    Raises:
        OSError: when there is no such checkpoint.
        ValueError: with a list, when a weight is missing, unexpected or of another shape; when a
            file of the weights is missing or cannot be read.
    """
    _check_arguments(checkpoint, kwargs)
    with_info = kwargs.pop("output_loading_info", False)
    # Sizes that differ are collected like the others, so that all problems come in one list.
    kwargs |= {"use_safetensors": True, "ignore_mismatched_sizes": True}
    try:
        model, info = loader(checkpoint, *args, output_loading_info=True, **kwargs)
    except SafetensorError as error:
        raise ValueError(
            f"the weights of {checkpoint} cannot be read ({error}); the file is damaged or "
            "incomplete: copy, download or import the checkpoint again"
        ) from error
    problems = _loading_problems(info)
    if problems:
        raise ValueError(
            f"the weights of {checkpoint} do not fit its configuration, nothing was loaded:\n  "
            + "\n  ".join(problems)
        )
    return (model, info) if with_info else model


def _check_files(folder: Path) -> None:
    try:
        weights_files(in_folder(folder))
        if (folder / CONFIG_NAME).is_file():
            read_json_object(folder / CONFIG_NAME)
    except SpatialError as error:
        raise ValueError(
            f"{error.message}; copy, download or import the whole checkpoint again"
        ) from error


def _check_arguments(checkpoint: Any, kwargs: Mapping[str, Any]) -> None:
    if Path(checkpoint).is_file():
        raise ValueError(f"{checkpoint} is a file; give the folder of a checkpoint, or a hub id")
    check_that_it_exists(checkpoint)
    if Path(checkpoint).is_dir():
        _check_files(Path(checkpoint))
    if kwargs.get("ignore_mismatched_sizes") or kwargs.get("use_safetensors") is False:
        raise ValueError(
            "ignore_mismatched_sizes=True would load only part of a checkpoint, and "
            "use_safetensors=False could run code in it; omit them"
        )


def _loading_problems(info: Mapping[str, Any]) -> list[str]:
    """What transformers reports about loading, one line for each weight that does not fit."""
    return [
        *(f"missing: {key}" for key in sorted(info["missing_keys"])),
        *(f"unexpected: {key}" for key in sorted(info["unexpected_keys"])),
        *(
            f"{key}: checkpoint has {tuple(found)}, the configuration wants {tuple(wanted)}"
            for key, found, wanted in sorted(info["mismatched_keys"])
        ),
    ]
