"""Configuration of a vision-language model with a metric point map.

`config.json` of a checkpoint is this class. It says how points become numbers, which is fixed once
a model is trained, and holds the configuration of the vision-language model itself.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

Number = float | int
"""JSON, and people, write 1 for 1.0."""

_HISPATIAL_AXIS_CHANNELS = 64
_HISPATIAL_RATIO = 10000.0
_HISPATIAL_STEPS = _HISPATIAL_AXIS_CHANNELS // 2

PRESETS: dict[str, dict[str, Any]] = {
    # As in the authors' code: the frequencies 10000 ** (-i / 32) radians per meter, i = 0 ... 31.
    "hispatial": {
        "axis_channels": _HISPATIAL_AXIS_CHANNELS,
        "shortest_m": 2 * math.pi,
        "longest_m": 2 * math.pi * _HISPATIAL_RATIO ** ((_HISPATIAL_STEPS - 1) / _HISPATIAL_STEPS),
        "missing_points": "coded",
        "limit_m": 250.0,
        "image_resampling": "opencv_bilinear",
    },
    # Every channel moves within a warehouse, and what was not measured adds nothing.
    "warehouse": {
        "axis_channels": 64,
        "shortest_m": 0.1,
        "longest_m": 64.0,
        "missing_points": "masked",
        "limit_m": 64.0,
        "image_resampling": "processor",
    },
}


@strict
class PointMapConfig(PreTrainedConfig):
    """A vision-language model of transformers, and how metric points enter it.

    After HiSpatial (arXiv 2603.25411, section 3); the defaults are those of the preset "warehouse".

    Attributes:
        vlm_config: configuration of the vision-language model, an object or a dictionary with a
            `model_type` of `FAMILIES`.
        points: what the model is given beside the image: "metric" points in meters, measured or
            estimated; "relative" depth from 0 to 255 in the place of x, y and z (the ablation of
            the paper); "none" = the image alone.
        axis_channels: sines and cosines of one coordinate, an even number.
        shortest_m, longest_m: wavelengths in meters, which grow geometrically in between.
        missing_points: "masked" = a pixel without a reading adds nothing, and a patch is the mean
            over its readings (Liu et al. 2018, partial convolution); "coded" = its coordinates are
            coded like any other, as in the authors' code.
        limit_m: "masked": a coordinate beyond this is no reading; "coded": it is clipped to this.
        image_resampling: "processor" = as the vision-language model's own processor resizes;
            "opencv_bilinear" = stretched by OpenCV, as in the authors' code.
        initializer_range: standard deviation of the new convolution's weights.

    Raises:
        ValueError: when a value cannot work; the message names the field.
    """

    model_type = "point_map_vlm"
    sub_configs = {"vlm_config": AutoConfig}  # noqa: RUF012

    vlm_config: Any = None
    points: Literal["metric", "relative", "none"] = "metric"
    axis_channels: int = 64
    shortest_m: Number = 0.1
    longest_m: Number = 64.0
    missing_points: Literal["masked", "coded"] = "masked"
    limit_m: Number = 64.0
    image_resampling: Literal["processor", "opencv_bilinear"] = "processor"
    initializer_range: Number = 0.02
    tie_word_embeddings: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        self.vlm_config = _vlm_config(self.vlm_config)
        super().__post_init__(**kwargs)
        self._check_fields()

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
    def code_channels(self) -> int:
        """Channels of a coded point: three coordinates and the validity."""
        return 3 * self.axis_channels + 1

    def get_text_config(self, *args: Any, **kwargs: Any) -> PreTrainedConfig:
        """That of the vision-language model."""
        return self.vlm_config.get_text_config(*args, **kwargs)

    def _check_fields(self) -> None:
        if self.axis_channels < 2 or self.axis_channels % 2:
            raise ValueError(
                f"axis_channels must be an even number of at least 2, got {self.axis_channels}"
            )
        if not 0 < self.shortest_m < self.longest_m:
            raise ValueError(
                "shortest_m must be positive and below longest_m, got "
                f"{self.shortest_m} and {self.longest_m}"
            )
        for name in ("limit_m", "initializer_range"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


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
