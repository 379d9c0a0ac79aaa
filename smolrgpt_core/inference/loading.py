"""Loads checkpoints of every kind; all engines have the same interface.

PyTorch and transformers are imported only for a checkpoint that they compute: they take seconds,
and a robot with an exported folder has neither.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from smolrgpt_core.answerer_settings import AUTO, ONNX, TORCH
from smolrgpt_core.checkpoints import check_that_it_exists
from smolrgpt_core.files import read_json_object
from smolrgpt_core.inference.config import EngineConfig
from smolrgpt_core.inference.onnx_folder import is_exported

if TYPE_CHECKING:
    from smolrgpt_core.inference.engine import InferenceEngine
    from smolrgpt_core.inference.point_map_engine import PointMapEngine
    from smolrgpt_core.inference.steps import Steps
    from smolrgpt_core.model.adapters import Processor
    from smolrgpt_core.model.parts import Model

Engine: TypeAlias = "InferenceEngine | PointMapEngine"


@dataclass(frozen=True)
class _Kind:
    """Classes of one kind of checkpoint."""

    model: Any
    processor: Any
    engine: Callable[[Any, Any, EngineConfig], Engine]


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
            configuration, the runtime cannot compute it, or the adapter cannot be used with it.
        ImportError: when the runtime is not installed.
        SpatialError: BAD_INPUT when a file of an exported folder, or the configuration of another
            checkpoint, cannot be used.
    """
    config = config or EngineConfig()
    check_that_it_exists(checkpoint)
    if _runtime(checkpoint, config) == ONNX:
        return _exported_engine(checkpoint, config, adapter)
    kind = _kind_of(checkpoint)
    with _without_progress_bars():
        if adapter:
            return kind.engine(*load_adapted(checkpoint, adapter), config)
        model = kind.model.from_pretrained(checkpoint, dtype=config.torch_dtype())
        return kind.engine(model, kind.processor.from_pretrained(checkpoint), config)


def _exported_engine(
    checkpoint: str | Path, config: EngineConfig, adapter: str | Path
) -> InferenceEngine:
    from smolrgpt_core.inference.engine import InferenceEngine

    if adapter:
        raise ValueError(
            f"{checkpoint} is a folder that `smolrgpt export-onnx` wrote, which takes no adapter; "
            "export the folder `model` beside the adapter instead"
        )
    return InferenceEngine.from_pretrained(checkpoint, config)


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
    import torch

    from smolrgpt_core.model.adapter_files import load_adapter
    from smolrgpt_core.model.adapters import merge_adapter

    kind = _kind_of(checkpoint)
    model = kind.model.from_pretrained(checkpoint, dtype=torch.float32)
    processor = load_adapter(model, kind.processor.from_pretrained(checkpoint), checkpoint, adapter)
    merge_adapter(model)
    return model.eval(), processor


def load_steps(checkpoint: str | Path, config: EngineConfig) -> Steps:
    """What computes a checkpoint of SmolRGPT, by `config.runtime`; raises as `load_engine`."""
    if _runtime(checkpoint, config) == ONNX:
        from smolrgpt_core.inference.onnx_steps import OnnxSteps

        return OnnxSteps(Path(checkpoint), config)
    from smolrgpt_core.inference.torch_steps import TorchSteps
    from smolrgpt_core.model import SmolRGPTForConditionalGeneration, SmolRGPTProcessor

    model = SmolRGPTForConditionalGeneration.from_pretrained(checkpoint, dtype=config.torch_dtype())
    return TorchSteps(model, SmolRGPTProcessor.from_pretrained(checkpoint), config)


def _runtime(checkpoint: str | Path, config: EngineConfig) -> str:
    """What computes a checkpoint.

    Raises:
        ValueError: when that cannot be what the configuration wants.
    """
    found = ONNX if is_exported(checkpoint) else TORCH
    if config.runtime not in (AUTO, found):
        remedy = (
            "give the checkpoint that it was made from, or set runtime to auto"
            if found == ONNX
            else "write one with `smolrgpt export-onnx`, or set runtime to auto"
        )
        kind = "a folder" if found == ONNX else "no folder"
        raise ValueError(
            f"runtime is {config.runtime!r}, but {checkpoint} is {kind} that `smolrgpt "
            f"export-onnx` wrote; {remedy}"
        )
    return found


def model_type_of(checkpoint: str | Path) -> str:
    """The `model_type` of a checkpoint; what names none is left to SmolRGPT, which reports why.

    Raises:
        OSError: when there is no such checkpoint, it has no configuration, or it is an adapter.
        SpatialError: BAD_INPUT when its configuration cannot be read.
    """
    from transformers import PreTrainedConfig
    from transformers.utils import CONFIG_NAME

    from smolrgpt_core.model import SmolRGPTConfig
    from smolrgpt_core.model.adapter_files import CARD_FILE

    check_that_it_exists(checkpoint)
    if Path(checkpoint).is_file():
        return SmolRGPTConfig.model_type
    if Path(checkpoint, CARD_FILE).is_file():
        raise OSError(
            f"{checkpoint} is an adapter, not a checkpoint: give the checkpoint that it was "
            "trained on, and this folder as the adapter"
        )
    if Path(checkpoint).is_dir():
        if not Path(checkpoint, CONFIG_NAME).is_file():
            raise OSError(f"{checkpoint} has no {CONFIG_NAME}, which says what its weights are")
        read_json_object(Path(checkpoint, CONFIG_NAME))
    values, _ = PreTrainedConfig.get_config_dict(checkpoint)
    return str(values.get("model_type", SmolRGPTConfig.model_type))


def _kind_of(checkpoint: str | Path) -> _Kind:
    from smolrgpt_core.inference.engine import InferenceEngine
    from smolrgpt_core.inference.point_map_engine import PointMapEngine
    from smolrgpt_core.inference.torch_steps import TorchSteps
    from smolrgpt_core.model import (
        SmolRGPTConfig,
        SmolRGPTForConditionalGeneration,
        SmolRGPTProcessor,
    )
    from smolrgpt_core.model.point_map import PointMapConfig, PointMapForConditionalGeneration
    from smolrgpt_core.model.point_map.processing import PointMapProcessor

    kinds = {
        SmolRGPTConfig.model_type: _Kind(
            SmolRGPTForConditionalGeneration,
            SmolRGPTProcessor,
            lambda model, processor, config: InferenceEngine(TorchSteps(model, processor, config)),
        ),
        PointMapConfig.model_type: _Kind(
            PointMapForConditionalGeneration, PointMapProcessor, PointMapEngine
        ),
    }
    name = model_type_of(checkpoint)
    if name not in kinds:
        raise ValueError(
            f"{checkpoint} is a checkpoint of type {name!r}, but must be one of "
            f"{', '.join(kinds)}; a plain vision-language model becomes one with "
            "PointMapForConditionalGeneration.from_vlm"
        )
    return kinds[name]


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    """Without the bars of transformers, which would stand among answers and logs."""
    from transformers.utils import logging as transformers_logging

    were_shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if were_shown:
            transformers_logging.enable_progress_bar()
