"""The engine of a checkpoint: each kind of model has its own, and all are asked alike."""

from __future__ import annotations

from pathlib import Path

from transformers import PreTrainedConfig

from smolrgpt_core.checkpoints import check_that_it_exists
from smolrgpt_core.inference.config import EngineConfig
from smolrgpt_core.inference.engine import InferenceEngine
from smolrgpt_core.inference.point_map_engine import PointMapEngine
from smolrgpt_core.model import SmolRGPTConfig
from smolrgpt_core.model.point_map import PointMapConfig

Engine = InferenceEngine | PointMapEngine

_ENGINES: dict[str, type[InferenceEngine] | type[PointMapEngine]] = {
    SmolRGPTConfig.model_type: InferenceEngine,
    PointMapConfig.model_type: PointMapEngine,
}
"""By `model_type` of a checkpoint."""


def load_engine(checkpoint: str | Path, config: EngineConfig | None = None) -> Engine:
    """The engine of a checkpoint, from a folder or a hub id.

    Raises:
        OSError: when there is no such checkpoint, or a file of it cannot be read.
        ValueError: when it is of a kind that has no engine, or its weights do not fit its
            configuration.
    """
    kind = model_type_of(checkpoint)
    if kind not in _ENGINES:
        raise ValueError(
            f"{checkpoint} is a checkpoint of type {kind!r}, expected one of "
            f"{', '.join(_ENGINES)}; a plain vision-language model becomes one with "
            "PointMapForConditionalGeneration.from_vlm"
        )
    return _ENGINES[kind].from_pretrained(checkpoint, config)


def model_type_of(checkpoint: str | Path) -> str:
    """The `model_type` of a checkpoint; what names none is left to SmolRGPT, which says why.

    Raises:
        OSError: when there is no such checkpoint.
    """
    check_that_it_exists(checkpoint)
    if Path(checkpoint).is_file():
        return SmolRGPTConfig.model_type
    values, _ = PreTrainedConfig.get_config_dict(checkpoint)
    return str(values.get("model_type", SmolRGPTConfig.model_type))
