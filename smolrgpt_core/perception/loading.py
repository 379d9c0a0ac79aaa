"""Checkpoints of the perception stages, from a folder or a hub id.

Nothing is loaded wrongly in silence: a kind that a stage cannot use, missing weights (which would
be random) and pickled weights (which run code) are all refused.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from transformers import AutoConfig, AutoImageProcessor, PreTrainedConfig, PreTrainedModel

from smolrgpt_core.checkpoints import check_that_it_exists
from smolrgpt_core.torch_device import torch_device

Entry = TypeVar("Entry")

_ONLY_FOR_TRAINING = ("criterion.",)
"""Beginnings of the names of weights that inference does not use."""


def load_config(checkpoint: str | Path, what: str) -> PreTrainedConfig:
    """The configuration of a checkpoint.

    Args:
        checkpoint: folder or hub id.
        what: its role, such as "a depth model", for messages.

    Raises:
        OSError: when there is no such checkpoint, or its configuration cannot be read.
        ValueError: when this version of transformers does not know its kind.
    """
    check_that_it_exists(checkpoint)
    try:
        return AutoConfig.from_pretrained(checkpoint)
    except OSError as error:
        raise OSError(
            f"{what} must be a folder with a config.json or a hub id that can be downloaded, got "
            f"{str(checkpoint)!r}: {_first_line(error)}"
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{what} must be of a kind that transformers supports, but {str(checkpoint)!r} is not: "
            f"{_first_line(error)}"
        ) from error


def wrong_kind(
    checkpoint: str | Path, kind: str, what: str, known: Collection[str], reason: str = ""
) -> ValueError:
    """The error for a checkpoint of a kind that a stage cannot use.

    Args:
        checkpoint: folder or hub id.
        kind: its `model_type`.
        what: it should be, such as "a depth model".
        known: kinds that the stage can use.
        reason: why this kind is refused, where there is one.
    """
    because = f": {reason}" if reason else ""
    return ValueError(
        f"{what} must be a checkpoint of type {', '.join(sorted(known))}, but "
        f"{str(checkpoint)!r} is of type {kind!r}{because}"
    )


def by_kind(checkpoint: str | Path, what: str, known: Mapping[str, Entry]) -> Entry:
    """The entry of a table for the kind of a checkpoint.

    Args:
        checkpoint: folder or hub id.
        what: its role, such as "a depth model", for messages.
        known: entries by `model_type`.

    Raises:
        OSError: as `load_config`.
        ValueError: as `load_config`, or when the table has no entry for the kind.
    """
    kind = str(load_config(checkpoint, what).model_type)
    if kind not in known:
        raise wrong_kind(checkpoint, kind, what, known)
    return known[kind]


def load_model(auto_class: Any, checkpoint: str | Path, device: str, what: str) -> Any:
    """The model of a checkpoint with all its weights, in evaluation mode and 32-bit floats.

    Args:
        auto_class: of transformers, such as `AutoModelForDepthEstimation`.
        checkpoint: folder or hub id.
        device: "auto", or a device of PyTorch.
        what: its role, such as "a depth model", for messages.

    Raises:
        OSError: when there are no weights in the safetensors format.
        ValueError: for a device that is not there, or when weights are missing or do not fit.
    """
    target = torch_device(device)
    try:
        model, report = auto_class.from_pretrained(
            checkpoint, dtype=torch.float32, use_safetensors=True, output_loading_info=True
        )
    except OSError as error:
        raise OSError(
            f"the weights of {what} must be safetensors, {str(checkpoint)!r} cannot be loaded: "
            f"{_first_line(error)}"
        ) from error
    _refuse_missing_weights(report, checkpoint, model, what)
    return model.to(target).eval()


def load_image_processor(checkpoint: str | Path, **settings: Any) -> Any:
    """The image processor of a checkpoint, in the implementation that needs no torchvision.

    Args:
        checkpoint: folder or hub id.
        settings: that replace those of the checkpoint.

    Raises:
        OSError: when the checkpoint has no settings of an image processor.
    """
    return AutoImageProcessor.from_pretrained(checkpoint, backend="pil", **settings)


def _refuse_missing_weights(
    report: dict[str, Any], checkpoint: str | Path, model: PreTrainedModel, what: str
) -> None:
    missing = sorted(
        key for key in report["missing_keys"] if not key.startswith(_ONLY_FOR_TRAINING)
    )
    if missing:
        raise ValueError(
            f"{what} must come with all its weights, but {str(checkpoint)!r} lacks {len(missing)} "
            f"of {type(model).__name__}, such as {missing[0]}; was it trained for a different task?"
        )


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
