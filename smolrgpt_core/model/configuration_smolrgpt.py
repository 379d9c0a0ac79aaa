"""Configuration of SmolRGPT: every size, range and name that model, processor and import share.

`config.json` of a checkpoint is this class, and the only place where these values are stored: the
processor reads the same file. It knows nothing of weights.
"""

import copy
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from huggingface_hub.dataclasses import strict
from transformers import CONFIG_MAPPING, AutoConfig, GenerationConfig, PreTrainedConfig

from smolrgpt_core.checkpoints import check_that_it_exists
from smolrgpt_core.kernels.form_weights import Mode
from smolrgpt_core.kernels.refinement import Refinement
from smolrgpt_core.model.encoders import encoder_of

RGB = "rgb"
DEPTH = "depth"
MODALITIES = (RGB, DEPTH)
"""What enters as an image has its own connector and refiner; the vision encoder is shared."""

Number = float | int
"""JSON, and people, write 1 for 1.0."""

RELEASED_CHAT_TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}"
    "{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""As released: no system prompt, unlike the template that comes with SmolLM2's tokenizer."""

_SIGLIP = {"model_type": "siglip_vision_model", "vision_use_head": False}
_SMOLLM2 = {
    "model_type": "llama",
    "vocab_size": 49155,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 100000.0},
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 2,
    "tie_word_embeddings": True,
}
PRESETS: dict[str, dict[str, Any]] = {
    "smolrgpt": {
        "vision_config": {**_SIGLIP, "image_size": 256, "patch_size": 16},
        "text_config": {
            **_SMOLLM2,
            "hidden_size": 960,
            "intermediate_size": 2560,
            "num_hidden_layers": 32,
            "num_attention_heads": 15,
            "num_key_value_heads": 5,
            "max_position_embeddings": 8192,
        },
    },
    "smolrgpt-nano": {
        "depth_branch": "metric",
        "metric_width": 128,
        "metric_layers": 4,
        "metric_heads": 4,
        "answer_style": "short",
        # Far regions are smaller than a cell of its grid.
        "mask_pooling": "area",
        # Narrow layers need larger weights for signals of the same size.
        "initializer_range": 0.06,
        "vision_config": {
            **_SIGLIP,
            "image_size": 128,
            "patch_size": 16,
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 4,
            "num_attention_heads": 4,
        },
        "text_config": {
            **_SMOLLM2,
            "vocab_size": 2048,
            "hidden_size": 128,
            "intermediate_size": 384,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 4096,
            "initializer_range": 0.06,
        },
    },
}

_OF_TRANSFORMERS = frozenset(
    {
        *PreTrainedConfig().to_dict(),
        *GenerationConfig().to_dict(),
        "attn_implementation",
        "auto_map",
        "experts_implementation",
        "name_or_path",
        "num_labels",
        "quantization_config",
        "torch_dtype",
    }
)
"""Keys besides the fields that transformers itself writes into a `config.json`, or passes on."""


def refuse_unknown_keys(kind: str, keys: Iterable[str]) -> None:
    """Refuse what is neither a field nor of transformers, which would keep it without any effect.

    Args:
        kind: `model_type` of the configuration.
        keys: those that are no fields.

    Raises:
        ValueError: one is unknown.
    """
    unknown = sorted(key for key in keys if key not in _OF_TRANSFORMERS and key[0] != "_")
    if unknown:
        raise ValueError(
            f"a configuration of type {kind!r} has no {', '.join(unknown)}; correct the name, or "
            "remove it from config.json"
        )


@strict
class SmolRGPTConfig(PreTrainedConfig):
    """Composition of a vision encoder, connectors, refiners and a language model.

    Sizes and facts: docs/model.md, after the paper (arXiv 2509.15490) and its released code.

    Attributes:
        vision_config: configuration of the vision encoder, an object or a dictionary with a
            `model_type` of `encoders.ENCODERS` (default: SigLIP). It needs `image_size`,
            `patch_size` and `hidden_size`.
        vision_norm: whether features of patches pass a layer norm without weights, for an encoder
            whose last states have passed none.
        text_config: the same for the language model (default: Llama).
        pixel_shuffle_factor: side of the block of patches that becomes one image token.
        refiner_levels: how often a refiner doubles the side of the grid of image tokens.
        refiner_norm_eps: epsilon of the refiner's channel LayerNorm.
        depth_branch: how depth enters: "image" = as a gray image through the vision encoder, as
            released; "metric" = as metric codes of regions and of their relations.
        samples_per_region: pixels of a region that the metric branch reads.
        metric_width, metric_layers, metric_heads: size of the metric branch.
        region_measures: with the metric branch, regions are measured on the floor, and questions
            about any measure are read off them, see `model.region_measures`.
        region_rays: with region_measures, objects without depth are placed by their viewing rays.
        region_colors: with region_measures, the colors of regions are named by their own pixels at
            the full size of the image, see `model.region_colors`.
        point_fusion: with the metric branch, a point map joins the image in the connector.
        mask_pooling: "bilinear" as released, or "area" = exact coverage, which keeps thin masks.
        empty_masks: what a mask gives that covers no cell of the refined grid: "error", or "zero"
            for a feature vector of zeros, as released.
        refinement: "sparse" refines only the cells under a mask, "dense" all; same result.
        rgb_range: (value of level 0, value of level 255) of RGB pixels; each one number, or a list
            of three, one for each channel.
        depth_range: the same for depth: (0, 1) as in training, or (-1, 1) as in the released
            submission script.
        depth_resampling: "nearest" as in training, or "bilinear" as in the submission script.
        depth_unit_m: meters per unit of 16-bit depth.
        depth_limit_m: distance in meters that metric and 16-bit depth show as level 255; what is
            farther is shown as that.
        answer_style: how the model is asked to answer by default: "sentence", as
            the released checkpoints were trained, or "short" = the value only.
        answers: categories of questions that the model was trained on; "language" where these are
            all that the language can express, "free_text" where it may be asked in words that
            nothing else understands.
        image_token, mask_rgb_token, mask_depth_token: placeholders in the token sequence.
        image_token_id, mask_rgb_token_id, mask_depth_token_id: their ids; -1 = the last three of
            the vocabulary.
        chat_template: Jinja template of the prompt.
        prompt_tokens: trained tokens that are written before those of the image.
        bottlenecks: which layers are followed by a detour, see `model.bottleneck`.
        initializer_range: standard deviation of new weights.
        tie_word_embeddings: whether head and token embedding are one matrix.

    Raises:
        ValueError: when a value cannot work, or there is no such field; the message names it.
        StrictDataclassFieldValidationError: when a value has another type than its field, or is
            none of its choices; the message names the field.
    """

    model_type = "smolrgpt"
    sub_configs = {"vision_config": AutoConfig, "text_config": AutoConfig}  # noqa: RUF012

    vision_config: Any = None
    text_config: Any = None
    vision_norm: bool = False
    pixel_shuffle_factor: int = 2
    refiner_levels: int = 3
    refiner_norm_eps: Number = 1e-6
    depth_branch: Literal["image", "metric"] = "image"
    samples_per_region: int = 64
    metric_width: int = 256
    metric_layers: int = 2
    metric_heads: int = 8
    region_measures: bool = False
    region_rays: bool = False
    region_colors: bool = False
    point_fusion: bool = False
    mask_pooling: Mode = "bilinear"
    empty_masks: Literal["error", "zero"] = "error"
    refinement: Refinement = "sparse"
    rgb_range: tuple[Any, Any] | list[Any] = (-1.0, 1.0)
    depth_range: tuple[Number, Number] | list[Number] = (0.0, 1.0)
    depth_resampling: Literal["nearest", "bilinear"] = "nearest"
    depth_unit_m: Number = 0.001
    depth_limit_m: Number = 25.5
    answer_style: Literal["sentence", "short"] = "sentence"
    answers: tuple[str, ...] | list[str] = ("distance", "count", "left_right", "mcq")
    image_token: str = "<|image|>"
    mask_rgb_token: str = "<mask_rgb>"
    mask_depth_token: str = "<mask_depth>"
    image_token_id: int = -1
    mask_rgb_token_id: int = -1
    mask_depth_token_id: int = -1
    chat_template: str = RELEASED_CHAT_TEMPLATE
    prompt_tokens: int = 0
    bottlenecks: dict[str, Any] | None = None
    initializer_range: Number = 0.02
    tie_word_embeddings: bool = True

    def __post_init__(self, **kwargs: Any) -> None:
        refuse_unknown_keys(self.model_type, kwargs)
        released = PRESETS["smolrgpt"]
        self.vision_config = _sub_config("vision_config", self.vision_config, released)
        self.text_config = _sub_config("text_config", self.text_config, released)
        for place, name in enumerate(
            ("image_token_id", "mask_rgb_token_id", "mask_depth_token_id")
        ):
            if getattr(self, name) == -1:
                setattr(self, name, self.text_config.vocab_size - 3 + place)
        # JSON has no tuples.
        self.answers = list(self.answers)
        super().__post_init__(**kwargs)
        self.check_fields()

    @classmethod
    def preset(cls, name: str, **overrides: Any) -> "SmolRGPTConfig":
        """A named size: "smolrgpt" (released, 475.7 M parameters) or "smolrgpt-nano" (small).

        Args:
            name: a key of `PRESETS`.
            overrides: any field; a dictionary for `vision_config` or `text_config` changes single
                values of the preset's.

        Raises:
            ValueError: for an unknown name.
        """
        if name not in PRESETS:
            raise ValueError(f"preset must be one of {', '.join(PRESETS)}, got {name!r}")
        values = copy.deepcopy(PRESETS[name])
        for key, value in overrides.items():
            if isinstance(values.get(key), dict) and isinstance(value, dict):
                value = {**values[key], **value}
            values[key] = value
        return cls(**values)

    @property
    def image_modalities(self) -> tuple[str, ...]:
        """What goes through the vision encoder."""
        return (RGB,) if self.depth_branch == "metric" else MODALITIES

    @property
    def image_size(self) -> int:
        """Side in pixels of the square image that the vision encoder takes."""
        return self.vision_config.image_size

    @property
    def patch_grid(self) -> int:
        """Side of the grid of vision patches."""
        return self.image_size // self.vision_config.patch_size

    @property
    def token_grid(self) -> int:
        """Side of the grid of image tokens."""
        return self.patch_grid // self.pixel_shuffle_factor

    @property
    def num_image_tokens(self) -> int:
        """Number of image tokens that open a user turn."""
        return self.token_grid**2

    @property
    def refined_grid(self) -> int:
        """Side of the grid that region features are pooled from."""
        return self.token_grid * 2**self.refiner_levels

    @property
    def max_tokens(self) -> float:
        """The most that the language model takes."""
        return getattr(self.text_config, "max_position_embeddings", math.inf)

    def region_token(self, modality: str) -> tuple[str, int]:
        """Placeholder that takes a region's feature of one modality, and its id."""
        if modality == RGB:
            return self.mask_rgb_token, self.mask_rgb_token_id
        return self.mask_depth_token, self.mask_depth_token_id

    def check_fields(self) -> None:
        """Check all values.

        Raises:
            ValueError: a value cannot work; the message names the field.
        """
        for name in ("refiner_norm_eps", "depth_unit_m", "depth_limit_m", "initializer_range"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        self.depth_range = _checked_range("depth_range", self.depth_range)
        self.rgb_range = _checked_rgb_range(self.rgb_range)
        encoder_of(self.vision_config)
        self._check_grids()
        self._check_metric_branch()
        self._check_tokens()

    def _check_grids(self) -> None:
        for name in ("pixel_shuffle_factor", "refiner_levels"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        size, patch = self.vision_config.image_size, self.vision_config.patch_size
        if not (isinstance(size, int) and isinstance(patch, int) and size % patch == 0):
            raise ValueError(
                "vision_config.image_size must be one integer, a multiple of "
                f"vision_config.patch_size, got {size} and {patch}"
            )
        if self.patch_grid % self.pixel_shuffle_factor:
            raise ValueError(
                f"pixel_shuffle_factor must divide the {self.patch_grid} patches of a row, got "
                f"{self.pixel_shuffle_factor}"
            )

    def _check_metric_branch(self) -> None:
        for name in ("samples_per_region", "metric_layers", "metric_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.metric_heads % 2 or self.metric_width % self.metric_heads:
            raise ValueError(
                "metric_heads must be an even number that divides metric_width, got "
                f"{self.metric_heads} and {self.metric_width}"
            )
        for name in ("point_fusion", "region_measures"):
            if getattr(self, name) and self.depth_branch != "metric":
                raise ValueError(f'{name} needs depth_branch = "metric"')

        for name in ("region_rays", "region_colors"):
            if getattr(self, name) and not self.region_measures:
                raise ValueError(f"{name} needs region_measures = true")

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: str | Path, *args: Any, **kwargs: Any
    ) -> "SmolRGPTConfig":
        """As its base, but where a path leads nowhere the error says so.

        Raises:
            OSError: when there is no such checkpoint.
        """
        check_that_it_exists(pretrained_model_name_or_path)
        return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)

    def _check_tokens(self) -> None:
        names = ("image_token", "mask_rgb_token", "mask_depth_token")
        tokens = [getattr(self, name) for name in names]
        ids = [getattr(self, f"{name}_id") for name in names]
        if len(set(tokens)) < 3 or not all(tokens):
            raise ValueError(f"{', '.join(names)} must be three different texts, got {tokens}")
        if len(set(ids)) < 3 or not all(0 <= id < self.text_config.vocab_size for id in ids):
            raise ValueError(
                "image_token_id, mask_rgb_token_id and mask_depth_token_id must be three different "
                f"ids below text_config.vocab_size = {self.text_config.vocab_size}, got {ids}"
            )


def _sub_config(
    name: str, value: dict | PreTrainedConfig | None, default: dict[str, Any]
) -> PreTrainedConfig:
    """The configuration object of an encoder or language model that transformers knows."""
    if isinstance(value, PreTrainedConfig):
        return value
    values = dict(default[name] if value is None else value)
    model_type = values.pop("model_type", default[name]["model_type"])
    if model_type not in CONFIG_MAPPING:
        raise ValueError(f"{name}.model_type is not one that transformers knows: {model_type!r}")
    return CONFIG_MAPPING[model_type](**values)


def _checked_range(name: str, value: Any) -> tuple[float, float]:
    if len(value) != 2 or not value[0] < value[1]:
        raise ValueError(f"{name} must be (low, high) with low < high, got {value}")
    return (float(value[0]), float(value[1]))


def _checked_rgb_range(value: Any) -> tuple[Any, Any]:
    """A pair of numbers, or of lists of three."""
    if len(value) != 2 or all(isinstance(bound, float | int) for bound in value):
        return _checked_range("rgb_range", value)
    if not all(isinstance(bound, list | tuple) and len(bound) == 3 for bound in value):
        raise ValueError(
            "rgb_range must be (low, high), of two numbers or of two lists with one for each "
            f"channel, got {value}"
        )
    channels = [_checked_range("rgb_range", pair) for pair in zip(*value, strict=True)]
    low, high = zip(*channels, strict=True)
    return list(low), list(high)
