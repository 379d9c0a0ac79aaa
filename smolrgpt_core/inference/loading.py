"""Checkpoints by kind: each kind has its model and its engine, and all engines are asked alike."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedConfig

from smolrgpt_core.checkpoints import check_that_it_exists
from smolrgpt_core.inference.config import EngineConfig
from smolrgpt_core.inference.engine import InferenceEngine
from smolrgpt_core.inference.point_map_engine import PointMapEngine
from smolrgpt_core.model import (
    SmolRGPTConfig,
    SmolRGPTForConditionalGeneration,
    SmolRGPTProcessor,
)
from smolrgpt_core.model.adapter_files import CARD_FILE, load_adapter
from smolrgpt_core.model.adapters import Processor, merge_adapter
from smolrgpt_core.model.parts import Model
from smolrgpt_core.model.point_map import PointMapConfig, PointMapForConditionalGeneration
from smolrgpt_core.model.point_map.processing import PointMapProcessor

Engine = InferenceEngine | PointMapEngine


@dataclass(frozen=True)
class _Kind:
    """Classes of one kind of checkpoint."""

    engine: Any
    model: Any
    processor: Any


_KINDS = {
    SmolRGPTConfig.model_type: _Kind(
        InferenceEngine, SmolRGPTForConditionalGeneration, SmolRGPTProcessor
    ),
    PointMapConfig.model_type: _Kind(
        PointMapEngine, PointMapForConditionalGeneration, PointMapProcessor
    ),
}
"""By `model_type` of a checkpoint."""


def load_engine(
    checkpoint: str | Path, config: EngineConfig | None = None, adapter: str | Path = ""
) -> Engine:
    """The engine of a checkpoint.

    Args:
        checkpoint: folder or hub id.
        config: how it computes.
        adapter: folder of an adapter of this checkpoint, which is merged into its weights; empty:
            none.

    Raises:
        OSError: when there is no such checkpoint or adapter, or a file of it cannot be read.
        ValueError: when it is of a kind that has no engine, its weights do not fit its
            configuration, or the adapter cannot be used with it.
    """
    kind = _kind_of(checkpoint)
    if adapter:
        model, processor = load_adapted(checkpoint, adapter)
        engine: Engine = kind.engine(model, processor, config)
        return engine
    plain: Engine = kind.engine.from_pretrained(checkpoint, config)
    return plain


def load_adapted(checkpoint: str | Path, adapter: str | Path) -> tuple[Model, Processor]:
    """A checkpoint with an adapter merged into its weights.

    In float32, whatever the model is to compute in: what an adapter adds is smaller than the steps
    of bfloat16.

    Args:
        checkpoint: folder or hub id.
        adapter: folder of an adapter of this checkpoint.

    Returns:
        Model, on the CPU, and processor.

    Raises:
        OSError, ValueError: as `load_engine`.
    """
    kind = _kind_of(checkpoint)
    model = kind.model.from_pretrained(checkpoint, dtype=torch.float32)
    processor = load_adapter(model, kind.processor.from_pretrained(checkpoint), checkpoint, adapter)
    merge_adapter(model)
    return model.eval(), processor


def model_type_of(checkpoint: str | Path) -> str:
    """The `model_type` of a checkpoint; what names none is left to SmolRGPT, which says why.

    Raises:
        OSError: when there is no such checkpoint, or it is an adapter.
    """
    check_that_it_exists(checkpoint)
    if Path(checkpoint).is_file():
        return SmolRGPTConfig.model_type
    if Path(checkpoint, CARD_FILE).is_file():
        raise OSError(
            f"{checkpoint} is an adapter, no checkpoint: give the checkpoint that it was trained "
            "on, and this folder as the adapter"
        )
    values, _ = PreTrainedConfig.get_config_dict(checkpoint)
    return str(values.get("model_type", SmolRGPTConfig.model_type))


def _kind_of(checkpoint: str | Path) -> _Kind:
    name = model_type_of(checkpoint)
    if name not in _KINDS:
        raise ValueError(
            f"{checkpoint} is a checkpoint of type {name!r}, expected one of "
            f"{', '.join(_KINDS)}; a plain vision-language model becomes one with "
            "PointMapForConditionalGeneration.from_vlm"
        )
    return _KINDS[name]
