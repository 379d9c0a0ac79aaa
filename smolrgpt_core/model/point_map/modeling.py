"""A vision-language model of transformers that also sees a metric point map of its image.

Any family of `families.py`: points are coded, cut into the patches of the vision encoder, and join
the image's features in the first layer of the model's own projector. After HiSpatial (arXiv
2603.25411, section 3), which is this model over PaliGemma 2.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import (
    AutoModelForImageTextToText,
    GenerationConfig,
    GenerationMixin,
    PreTrainedModel,
)

from smolrgpt_core.model.bottleneck import add_bottlenecks
from smolrgpt_core.model.point_map.configuration import PointMapConfig
from smolrgpt_core.model.point_map.encoder import JoinedProjection, PointEncoder, token_blocks
from smolrgpt_core.model.point_map.families import family_of
from smolrgpt_core.model.strict_loading import load_strictly

IGNORED_LABEL = -100
"""Label of a token that has no loss, as everywhere in transformers."""

GRIDS = "image_grid_thw"
"""Input of families whose images differ in size: frames, patch rows and patch columns, (N, 3)."""

PointMaps = torch.Tensor | Sequence[torch.Tensor]
"""(N, 4, H, W), or N of (4, H, W): x, y, z in meters and validity of each pixel of the N images."""


@dataclass(frozen=True)
class EncodedPoints:
    """Point maps behind the encoder, to be used for more than one question.

    Attributes:
        rows: (T, Dp), one for each row that the projector sees, of all images.
    """

    rows: torch.Tensor

    def repeated(self, times: int) -> EncodedPoints:
        """Of a batch with the same images so many times."""
        return EncodedPoints(self.rows.repeat(times, 1))


class PointMapForConditionalGeneration(PreTrainedModel, GenerationMixin):
    """A vision-language model and the encoder of its point maps.

    Not for calls from several threads at once.

    Args:
        config: with `points` = "none" there is no encoder, and the model is the plain one.
        vlm: the vision-language model, taken over; by default a new one.

    Raises:
        ValueError: for a family that has no entry in `FAMILIES`.
    """

    config: PointMapConfig
    config_class = PointMapConfig
    base_model_prefix = ""
    input_modalities = ("image", "text")  # type: ignore[assignment]
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: PointMapConfig, vlm: PreTrainedModel | None = None) -> None:
        super().__init__(config)
        self._family = family_of(config.vlm_config)
        self.vlm = (
            AutoModelForImageTextToText.from_config(config.vlm_config) if vlm is None else vlm
        )
        config.vlm_config = self.vlm.config
        if config.points != "none":
            self._widen_projection()
        add_bottlenecks(self, config.bottlenecks)
        self.post_init()

    def _widen_projection(self) -> None:
        """Put a layer with room for points in the place of the projector's first layer."""
        layer = self.vlm.get_submodule(self._family.projection)
        if isinstance(layer, JoinedProjection):
            raise ValueError("this vision-language model already takes points; use a plain one")
        blocks = self._family.block_size(self.config.vlm_config) ** 2
        joined = JoinedProjection(layer, layer.in_features)  # type: ignore[arg-type]
        joined._is_hf_initialized = True  # type: ignore[assignment]
        # Of the layer alone: a hook that knows this model would leave a copy of it without points.
        joined.register_forward_pre_hook(_with_points)
        self.vlm.set_submodule(self._family.projection, joined)
        self.point_encoder = PointEncoder(
            self.config.point_code,
            self._family.patch_size(self.config.vlm_config),
            joined.image_features // blocks,
        )

    @classmethod
    def from_vlm(
        cls, vlm: PreTrainedModel, preset: str = "warehouse", **overrides: Any
    ) -> PointMapForConditionalGeneration:
        """A model with points over a trained one, which answers as that one at first.

        Args:
            vlm: taken over and changed.
            preset: of `PointMapConfig.preset`.
            overrides: fields of the configuration.

        Raises:
            ValueError: for a family without an entry, an unknown preset or a wrong field.
        """
        # A new configuration resets the attention of those in it, which the model goes by.
        config = PointMapConfig.preset(preset, copy.deepcopy(vlm.config), **overrides)
        model = cls(config, vlm)
        moved: PointMapForConditionalGeneration = nn.Module.to(model, vlm.device, vlm.dtype)
        return moved

    @property
    def generation_config(self) -> GenerationConfig:
        """How answers are generated: that of the vision-language model."""
        return self.vlm.generation_config

    @generation_config.setter
    def generation_config(self, value: GenerationConfig) -> None:
        if "vlm" in self._modules:
            self.vlm.generation_config = value

    def get_input_embeddings(self) -> nn.Module:
        """Token embedding of the language model."""
        return self.vlm.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding of the language model."""
        self.vlm.set_input_embeddings(value)

    def get_output_embeddings(self) -> nn.Module | None:
        """Head of the language model."""
        return self.vlm.get_output_embeddings()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        point_values: PointMaps | EncodedPoints | None = None,
        only_answers: bool = False,
        **inputs: Any,
    ) -> Any:
        """What the vision-language model gives for its own inputs and the points of the images.

        Args:
            input_ids: (B, T).
            point_values: of the N images, in their order; None = the images alone.
            only_answers: with `labels`, logits where a label is predicted and nowhere else, row by
                row: (tokens with a label, vocabulary). There is no loss then.
            inputs: what the vision-language model takes.

        Raises:
            ValueError: when points do not fit the images, or the model takes none.
        """
        with self.joined(point_values, inputs.get(GRIDS)):
            if only_answers:
                return self._with_answer_logits(input_ids, **inputs)
            return self.vlm(input_ids=input_ids, **inputs)

    def _with_answer_logits(
        self, input_ids: torch.Tensor | None, labels: torch.Tensor, **inputs: Any
    ) -> Any:
        """Outputs with the logits of answers alone: those of all tokens would not fit in memory."""
        is_answer = labels[:, 1:] != IGNORED_LABEL
        first = int(is_answer.any(dim=0).nonzero()[0])
        outputs = self.vlm(input_ids=input_ids, logits_to_keep=labels.shape[1] - first, **inputs)
        outputs.logits = outputs.logits[:, :-1][is_answer[:, first:]]
        return outputs

    @property
    def parts(self) -> dict[str, nn.Module]:
        """Modules by the names that training has for them; the projector may lie in the encoder."""
        family = self._family
        parts = {
            "vision_encoder": self.vlm.get_submodule(family.vision_encoder),
            "projector": self.vlm.get_submodule(family.projector),
            "language_model": self.vlm.get_submodule(family.language_model),
        }
        if self.config.points != "none":
            parts["point_encoder"] = self.point_encoder
        return parts

    @torch.no_grad()
    def generate(  # type: ignore[override]
        self,
        inputs: torch.Tensor | None = None,
        point_values: PointMaps | EncodedPoints | None = None,
        **arguments: Any,
    ) -> Any:
        """As the vision-language model's, with the points of the images.

        Raises:
            ValueError: as `forward`.
        """
        with self.joined(point_values, arguments.get(GRIDS)):
            vlm: Any = self.vlm
            return vlm.generate(inputs, **arguments)

    def get_image_features(
        self,
        pixel_values: torch.Tensor,
        point_values: PointMaps | EncodedPoints | None = None,
        **inputs: Any,
    ) -> Any:
        """What the vision-language model makes of images, once for all questions about them.

        Give it to `forward` or `generate` as `mm_encoder_outputs={"image": ...}`, in the place of
        `pixel_values` and `point_values`.

        Raises:
            ValueError: as `forward`.
        """
        with self.joined(point_values, inputs.get(GRIDS)):
            vlm: Any = self.vlm
            return vlm.get_image_features(pixel_values, **inputs)

    @contextmanager
    def joined(
        self, points: PointMaps | EncodedPoints | None, grids: torch.Tensor | None = None
    ) -> Iterator[None]:
        """While this lasts, images that the model encodes have these points.

        Args:
            points: of the N images; None = none.
            grids: (N, 3), for families whose images differ in size.

        Raises:
            ValueError: when the model takes no points.
        """
        if points is not None and self.config.points == "none":
            raise ValueError(
                'this model takes no point maps (config.points is "none"); omit point_values'
            )
        if points is not None and not isinstance(points, EncodedPoints):
            points = self.encode_points(points, grids)
        layers = [layer for layer in self.vlm.modules() if isinstance(layer, JoinedProjection)]
        for layer in layers:
            layer.points = None if points is None else points.rows
        try:
            yield
        finally:
            for layer in layers:
                layer.points = None

    def encode_points(self, points: PointMaps, grids: torch.Tensor | None = None) -> EncodedPoints:
        """Point maps of N images behind the encoder, in the order of the projector's rows.

        Args:
            points: of the N images.
            grids: (N, 3), for families whose images differ in size.

        Raises:
            ValueError: when the maps are not of the size that the vision encoder sees, or the
                grids are missing.
        """
        maps = [points] if isinstance(points, torch.Tensor) else [item[None] for item in points]
        block = self._family.block_size(self.config.vlm_config)
        rows = torch.cat(
            [token_blocks(self.point_encoder(item), block).flatten(0, 1) for item in maps]
        )
        if self._family.token_order is None:
            return EncodedPoints(rows)
        if grids is None:
            raise ValueError(f"point_values of this model need {GRIDS} beside them")
        order = self._family.token_order(self.config.vlm_config, grids)
        return EncodedPoints(rows[order.to(rows.device)])

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint, completely or not at all, from safetensors only.

        Takes the arguments of `PreTrainedModel.from_pretrained`.

        Raises:
            OSError: when there is no such checkpoint.
            ValueError: when a weight is missing, unexpected or of another shape, with a list.
        """
        return load_strictly(
            super().from_pretrained, pretrained_model_name_or_path, *args, **kwargs
        )


def _with_points(layer: nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Rows (..., Di) that the projector sees, and their point features (..., Dp) if it has any."""
    (rows,) = inputs
    assert isinstance(layer, JoinedProjection)
    points = layer.points
    if points is None:
        return inputs
    if len(points) != rows[..., 0].numel():
        raise ValueError(
            f"the point maps make {len(points)} tokens and the images {rows[..., 0].numel()}: give "
            "one point map for each image, of the size that the vision encoder sees; prepare both "
            "with PointMapProcessor"
        )
    return rows, points.view(*rows.shape[:-1], -1).to(rows.dtype)
