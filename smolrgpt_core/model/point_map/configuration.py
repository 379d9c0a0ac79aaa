"""Configuration of a vision-language model with a metric point map.

`config.json` of a checkpoint is this class. It determines how points become numbers, which is fixed
once a model is trained, and holds the configuration of the vision-language model itself.
"""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from smolrgpt_core.model.configuration_smolrgpt import refuse_unknown_keys
from smolrgpt_core.model.point_map.code import HISPATIAL, WAREHOUSE, PointCode

Number = float | int
"""JSON, and people, write 1 for 1.0."""

PRESETS: dict[str, dict[str, Any]] = {
    "hispatial": {**asdict(HISPATIAL), "image_resampling": "opencv_bilinear"},
    "warehouse": {**asdict(WAREHOUSE), "image_resampling": "processor"},
}
"""Fields by name: "hispatial" = what the authors' checkpoints were trained with."""


@strict
class PointMapConfig(PreTrainedConfig):
    """A vision-language model of transformers, and how metric points enter it.

    After HiSpatial (arXiv 2603.25411, section 3); the defaults are those of the preset "warehouse".

    Attributes:
        vlm_config: configuration of the vision-language model, an object or a dictionary with a
            `model_type` of `FAMILIES`.
        points: the input of the model beside the image: "metric" points in meters, measured or
            estimated; "relative" depth from 0 to 255 in the place of x, y and z (the ablation of
            the paper); "none" = the image alone.
        axis_channels, shortest_m, longest_m, missing_points, limit_m: as `PointCode`.
        image_resampling: "processor" = as the vision-language model's own processor resizes;
            "opencv_bilinear" = stretched by OpenCV, as in the authors' code.
        initializer_range: standard deviation of the new convolution's weights.
        answer_style: how the model is asked to answer by default: "sentence", or
            "short" = the value only.
        answers: categories of questions that the model was trained on; "language" where these are
            all that the language can express, "free_text" where it may be asked in words that
            nothing else understands.
        prompt_tokens: trained tokens that are written before those of the image.
        bottlenecks: which layers are followed by a detour, see `model.bottleneck`.

    Raises:
        ValueError: when a value cannot work, or there is no such field; the message names it.
    """

    model_type = "point_map_vlm"
    sub_configs = {"vlm_config": AutoConfig}  # noqa: RUF012

    vlm_config: Any = None
    points: Literal["metric", "relative", "none"] = "metric"
    axis_channels: int = WAREHOUSE.axis_channels
    shortest_m: Number = WAREHOUSE.shortest_m
    longest_m: Number = WAREHOUSE.longest_m
    missing_points: str = WAREHOUSE.missing_points
    limit_m: Number = WAREHOUSE.limit_m
    image_resampling: Literal["processor", "opencv_bilinear"] = "processor"
    initializer_range: Number = 0.02
    answer_style: Literal["sentence", "short"] = "sentence"
    answers: tuple[str, ...] | list[str] = ("distance", "count", "left_right", "mcq")
    prompt_tokens: int = 0
    bottlenecks: dict[str, Any] | None = None
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        refuse_unknown_keys(self.model_type, kwargs)
        self.vlm_config = _vlm_config(self.vlm_config)
        # JSON has no tuples.
        self.answers = list(self.answers)
        super().__post_init__(**kwargs)
        if not self.initializer_range > 0:
            raise ValueError(f"initializer_range must be positive, got {self.initializer_range}")
        # Checks its own fields.
        _ = self.point_code

    @classmethod
    def preset(cls, name: str, vlm_config: Any, **overrides: Any) -> PointMapConfig:
        """The configuration of a preset.

        Args:
            name: "warehouse", or "hispatial" = what the authors' checkpoints were trained with.
            vlm_config: as the field of that name.
            overrides: other fields.

        Raises:
            ValueError: for an unknown name, or a value that cannot work.
        """
        if name not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
        return cls(vlm_config=vlm_config, **(PRESETS[name] | overrides))

    @property
    def point_code(self) -> PointCode:
        """How points are coded."""
        return PointCode(**{field.name: getattr(self, field.name) for field in fields(PointCode)})

    def get_text_config(self, *args: Any, **kwargs: Any) -> PreTrainedConfig:
        """That of the vision-language model."""
        return self.vlm_config.get_text_config(*args, **kwargs)


def _vlm_config(value: Any) -> PreTrainedConfig:
    """The configuration object of a vision-language model that transformers knows."""
    if isinstance(value, PreTrainedConfig):
        return value
    # transformers builds a configuration without arguments to learn which values are defaults.
    values = {"model_type": "paligemma"} if value is None else dict(value)
    model_type = values.pop("model_type", None)
    if model_type not in CONFIG_MAPPING:
        raise ValueError(
            f"vlm_config.model_type must be a model that transformers knows, got {model_type!r}"
        )
    return CONFIG_MAPPING[model_type](**values)
