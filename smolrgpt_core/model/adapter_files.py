"""Adapters on disk: their weights alone, and a card that states what they belong to.

    FOLDER/adapter.json           method, targets, and name and fingerprint of the base
    FOLDER/adapter.safetensors    the trained weights, by their name in the model

An adapter fits only the weights that it was trained on. On others it would silently compute
something wrong, so it is loaded onto these weights alone, completely or not at all.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from smolrgpt_core.adapter_settings import AdapterSettings
from smolrgpt_core.checkpoints.files import fingerprint_of
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.files import read_json
from smolrgpt_core.model.adapters import Processor, adapter_weights, attach_adapter
from smolrgpt_core.model.parts import Model, parts_of, weights_of_part
from smolrgpt_core.settings_file import from_entries, to_entries

CARD_FILE = "adapter.json"
ADAPTER_WEIGHTS_FILE = "adapter.safetensors"
FORMAT = 1


@dataclass(frozen=True)
class AdapterCard:
    """What lies beside the weights of an adapter.

    Attributes:
        settings: which adapter, and where.
        base: hub id of the checkpoint that it was trained on, or a relative name of its folder.
        base_sha256: fingerprint of the weights of this checkpoint.
        whole_parts: parts of the model that were trained as a whole beside it, and are replaced.
        format: of card and weights.

    Raises:
        ValueError: for a format that this version does not know.
    """

    settings: AdapterSettings
    base: str
    base_sha256: str
    whole_parts: tuple[str, ...] = ()
    format: int = FORMAT

    def __post_init__(self) -> None:
        if self.format != FORMAT:
            raise ValueError(
                f"format must be {FORMAT}, got {self.format!r}: another version wrote this adapter"
            )


def card_of(
    checkpoint: str, settings: AdapterSettings, whole_parts: tuple[str, ...] = ()
) -> AdapterCard:
    """The card of a new adapter for a checkpoint.

    Args:
        checkpoint: folder or hub id.
        settings: of the adapter.
        whole_parts: parts of the model that are trained as a whole.

    Raises:
        OSError, SpatialError: as `fingerprint_of`.
    """
    return AdapterCard(settings, _name_of(checkpoint), fingerprint_of(checkpoint), whole_parts)


def save_adapter(model: Model, card: AdapterCard, folder: Path) -> None:
    """Write the trained weights and their card into a folder that exists.

    Args:
        model: with the adapter attached.
        card: of the adapter.
        folder: existing folder.
    """
    tensors = {
        name: weight.detach().cpu().contiguous()
        for name, weight in trained_weights(model, card.whole_parts).items()
    }
    save_file(tensors, folder / ADAPTER_WEIGHTS_FILE, metadata={"format": "pt"})
    (folder / CARD_FILE).write_text(json.dumps(to_entries(card), indent=2) + "\n")


def load_adapter(
    model: Model, processor: Processor, checkpoint: str | Path, folder: str | Path
) -> Processor:
    """Put a saved adapter into its base; it is neither merged nor trainable.

    Args:
        model: the base, changed in place.
        processor: of the base.
        checkpoint: where the base is from, a folder or a hub id.
        folder: of `save_adapter`.

    Returns:
        The processor of the model from now on.

    Raises:
        OSError: when a file is missing.
        ValueError: for another base, a method or a target that is not known, and weights that are
            missing, unexpected, of another shape or cannot be read.
    """
    folder = Path(folder)
    card = read_card(folder)
    _check_base(card, checkpoint, folder)
    try:
        processor = attach_adapter(model, processor, card.settings)
    except ValueError as error:
        raise ValueError(f"{folder / CARD_FILE}: {error}") from error
    _fill(model, card, folder)
    model.requires_grad_(False)
    return processor


@torch.no_grad()
def _fill(model: Model, card: AdapterCard, folder: Path) -> None:
    """Read the weights of an adapter into a model that it is attached to."""
    path = folder / ADAPTER_WEIGHTS_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} has no {ADAPTER_WEIGHTS_FILE}; an adapter is read from this file alone, "
            "never from a pickled one: copy the whole folder"
        )
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise ValueError(
            f"{path} cannot be read ({error}); the file is damaged or incomplete, so copy it again"
        ) from error
    weights = trained_weights(model, card.whole_parts)
    problems = _problems(weights, tensors)
    if problems:
        raise ValueError(
            f"{path} does not fit {CARD_FILE} beside it and the model, nothing was loaded:\n  "
            + "\n  ".join(problems)
        )
    for name, weight in weights.items():
        weight.copy_(tensors[name])


def trained_weights(model: Model, whole_parts: tuple[str, ...]) -> dict[str, nn.Parameter]:
    """All that training changes, by name: the adapter's weights, and parts trained as a whole.

    Raises:
        ValueError: for a part that the model does not have.
    """
    parts = parts_of(model)
    missing = [part for part in whole_parts if part not in parts]
    if missing:
        raise ValueError(
            f"whole_parts: the model has no {', '.join(missing)}; its parts are {', '.join(parts)}"
        )
    whole = {id(weight) for part in whole_parts for _, weight in weights_of_part(model, part)}
    adapted = adapter_weights(model)
    return {
        name: weight
        for name, weight in model.named_parameters()
        if name in adapted or id(weight) in whole
    }


def read_card(folder: str | Path) -> AdapterCard:
    """The card of an adapter.

    Raises:
        OSError: when there is none.
        ValueError: when it cannot be used; the message names file and field.
    """
    path = Path(folder) / CARD_FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{folder} is no adapter: it has no {CARD_FILE}; give the folder `adapter` of a run of "
            "`smolrgpt train` with a section `peft`"
        )
    try:
        return from_entries(AdapterCard, read_json(path))
    except SpatialError as error:
        raise ValueError(f"{path}: {error.message}") from error


def _name_of(checkpoint: str) -> str:
    """A hub id, or a folder without what is different on every machine."""
    path = Path(checkpoint).expanduser()
    if not path.is_dir() or not path.is_absolute():
        return checkpoint
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else path.name


def _check_base(card: AdapterCard, checkpoint: str | Path, folder: Path) -> None:
    try:
        found = fingerprint_of(checkpoint)
    except SpatialError as error:
        raise ValueError(error.message) from error
    if found != card.base_sha256:
        raise ValueError(
            f"{folder} is an adapter of {card.base!r} with the fingerprint {card.base_sha256}, but "
            f"the weights of {checkpoint} have {found}: it would answer wrongly; give the "
            "checkpoint that it was trained on"
        )


def _problems(
    weights: Mapping[str, nn.Parameter], tensors: Mapping[str, torch.Tensor]
) -> list[str]:
    return [
        *(f"missing: {name}" for name in sorted(weights.keys() - tensors.keys())),
        *(f"unexpected: {name}" for name in sorted(tensors.keys() - weights.keys())),
        *(
            f"{name}: the file has {tuple(tensors[name].shape)}, the model wants "
            f"{tuple(weights[name].shape)}"
            for name in sorted(weights.keys() & tensors.keys())
            if tensors[name].shape != weights[name].shape
        ),
    ]
