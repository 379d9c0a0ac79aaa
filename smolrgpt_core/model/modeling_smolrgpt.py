"""SmolRGPT: a language model that sees an RGB-D image and features of its regions.

Vision encoder and language model are transformers' own classes, chosen by the configuration; this
module joins them. It knows nothing of text or image files: `processing_smolrgpt` does.

After the paper (arXiv 2509.15490) and its released code; every fact is in docs/model.md. Shapes:
B images, P patches of width Dv, N image tokens of width D, M_i regions in image i, T tokens, a
refined grid of G x G cells.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    AutoModel,
    Cache,
    GenerationMixin,
    PreTrainedModel,
    initialization,
)
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.utils.generic import can_return_tuple

from smolrgpt_core.kernels.masks import MasksOfImage
from smolrgpt_core.kernels.refinement import refine_and_pool
from smolrgpt_core.model.bottleneck import add_bottlenecks
from smolrgpt_core.model.cache_name import CACHE, OLD_NAME
from smolrgpt_core.model.configuration_smolrgpt import DEPTH, RGB, SmolRGPTConfig
from smolrgpt_core.model.connector import Connector
from smolrgpt_core.model.encoders import encoder_of
from smolrgpt_core.model.metric_branch import MetricBranch
from smolrgpt_core.model.packing import packed_attention_mask
from smolrgpt_core.model.point_map.code import WAREHOUSE
from smolrgpt_core.model.point_map.encoder import JoinedProjection, PointEncoder
from smolrgpt_core.model.question_regions import MeasuredRegions, asked_regions
from smolrgpt_core.model.quiet_linear import QuietLinear
from smolrgpt_core.model.refiner import FeatureRefiner, RefinerLevel
from smolrgpt_core.model.region_colors import NAMES
from smolrgpt_core.model.region_inputs import RegionInputs, region_weights
from smolrgpt_core.model.region_readings import RegionAnswers
from smolrgpt_core.model.strict_loading import load_strictly
from smolrgpt_core.model_inputs.prompts import IGNORED_LABEL
from smolrgpt_core.model_inputs.region_samples import check_samples


@dataclass
class SmolRGPTModelOutput(BaseModelOutputWithPast):
    """As its base, with the losses (Q,) of what is read off the regions."""

    region_losses: torch.Tensor | None = None


@dataclass
class SmolRGPTOutput(CausalLMOutputWithPast):
    """As its base, with the losses (Q,) of what is read off the regions."""

    region_losses: torch.Tensor | None = None


class SmolRGPTPreTrainedModel(PreTrainedModel):
    """What both models share: configuration, initialization, strict loading."""

    config: SmolRGPTConfig
    config_class = SmolRGPTConfig
    base_model_prefix = "model"
    input_modalities = ("image", "text")  # type: ignore[assignment]
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_attention_backend = True
    _skip_keys_device_placement = (CACHE,)  # type: ignore[assignment]

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, RefinerLevel):
            initialization.normal_(module.weight, mean=0.0, std=self.config.initializer_range)
            initialization.zeros_(module.bias)
        if isinstance(module, JoinedProjection):
            initialization.copy_(module.weight, module.zero_started())
        if isinstance(module, QuietLinear):
            initialization.zeros_(module.weight)
            initialization.copy_(module.bias, module.first_bias())

    def freeze_vision_encoder(self) -> None:
        """Put the vision encoder into evaluation mode, in which it always is."""
        self.base_model.vision_model.requires_grad_(False)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint, completely or not at all, from safetensors only.

        Takes the arguments of `PreTrainedModel.from_pretrained`.

        Raises:
            OSError: when there is no such checkpoint.
            ValueError: with a list, when a weight is missing, unexpected or of another shape; when
                the weights cannot be read.
        """
        loaded = load_strictly(
            super().from_pretrained, pretrained_model_name_or_path, *args, **kwargs
        )
        model = loaded[0] if isinstance(loaded, tuple) else loaded
        # Loading puts new parameters in place of those that were frozen.
        model.freeze_vision_encoder()
        return loaded


class SmolRGPTModel(SmolRGPTPreTrainedModel):
    """Vision encoder, connectors, refiners and language model, without a head.

    The steps are public, so that a caller can encode an image once and ask many questions:
    `encode_images`, `connect`, `refine` or `pool_regions`, `embed`.
    """

    _keys_to_ignore_on_load_unexpected = (r"lm_head\.",)  # type: ignore[assignment]

    def __init__(self, config: SmolRGPTConfig) -> None:
        super().__init__(config)
        self.vision_model = AutoModel.from_config(config.vision_config)
        self.language_model = AutoModel.from_config(config.text_config)
        vision_width, width = config.vision_config.hidden_size, config.text_config.hidden_size
        self.connectors = nn.ModuleDict()
        self.refiners = nn.ModuleDict()
        for modality in config.image_modalities:
            self.connectors[modality] = Connector(
                vision_width,
                width,
                config.pixel_shuffle_factor,
                vision_width if config.point_fusion else 0,
            )
            self.refiners[modality] = FeatureRefiner(
                width, config.refiner_levels, config.refiner_norm_eps
            )
        if config.depth_branch == "metric":
            self.metric_branch = MetricBranch(
                width, config.metric_width, config.metric_layers, config.metric_heads,
                config.region_measures, config.region_rays, config.region_colors,
            )  # fmt: skip
        if config.point_fusion:
            patch_size = config.vision_config.patch_size
            self.point_encoder = PointEncoder(WAREHOUSE, patch_size, vision_width)
        add_bottlenecks(self, config.bottlenecks)
        self.post_init()
        self.freeze_vision_encoder()

    def train(self, mode: bool = True) -> SmolRGPTModel:
        """Set training mode, but not for the vision encoder, which is always frozen."""
        super().train(mode)
        self.vision_model.eval()
        return self

    def get_input_embeddings(self) -> nn.Module:
        """Token embedding of the language model."""
        return self.language_model.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the token embedding of the language model."""
        self.language_model.set_input_embeddings(value)

    def encode_images(
        self,
        pixel_values: torch.Tensor,
        modality: str,
        point_values: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Features (B, P, Dv) of the patches of images (B, 3, H, W).

        RGB and depth images go through the same encoder. With `config.point_fusion` they are
        (B, P, 2 * Dv): behind them stand those of the point maps (B, 4, H, W).

        Args:
            pixel_values: (B, 3, H, W).
            modality: one of `config.image_modalities`.
            point_values: (B, 4, H, W), with `config.point_fusion`.

        Raises:
            ValueError: for images of another size than the configuration's, or another modality;
                for points that are missing, or that the configuration does not want.
        """
        size = self.config.image_size
        if modality not in self.config.image_modalities or pixel_values.shape[1:] != (
            3,
            size,
            size,
        ):
            raise ValueError(
                f"expected images (B, 3, {size}, {size}) of a modality in "
                f"{self.config.image_modalities}, got "
                f"{tuple(pixel_values.shape)} of {modality!r}; prepare them with SmolRGPTProcessor"
            )
        if self.config.point_fusion != (point_values is not None):
            raise ValueError(
                f"config.point_fusion is {self.config.point_fusion}, but point_values are "
                f"{'missing' if point_values is None else 'given'}; prepare them with "
                "SmolRGPTProcessor"
            )
        features = self._patches(pixel_values.to(self.dtype))
        if point_values is None:
            return features
        points = self.point_encoder(point_values).flatten(1, 2).to(features.dtype)
        return torch.cat([features, points], dim=-1)

    def _patches(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features (B, P, Dv) of the patches of images, row by row."""
        states = self.vision_model(pixel_values=pixels).last_hidden_state
        config = self.config.vision_config
        before, patches = encoder_of(config).before(config), self.config.patch_grid**2
        if states.shape[1] != before + patches:
            raise ValueError(
                f"{config.model_type} gave {states.shape[1]} states, expected {before} before the "
                f"{patches} of the patches: this version of transformers computes it differently"
            )
        features = states[:, before:]
        return (
            functional.layer_norm(features, features.shape[-1:])
            if self.config.vision_norm
            else features
        )

    def connect(self, features: torch.Tensor, modality: str) -> torch.Tensor:
        """Image tokens (B, N, D) of vision features (B, P, Dv)."""
        return self.connectors[modality](features)

    def refine(self, tokens: torch.Tensor, modality: str) -> torch.Tensor:
        """All refined features (B, G * G, D) of image tokens (B, N, D)."""
        return self.refiners[modality](tokens)

    @torch.compiler.disable
    def pool_regions(
        self, tokens: torch.Tensor, region_masks: Sequence[MasksOfImage], modality: str
    ) -> torch.Tensor:
        """Features of the regions, image by image: image tokens refined, then pooled.

        Args:
            tokens: (B, N, D).
            region_masks: for each image M_i masks, in any form that `smolrgpt_core.kernels` takes,
                such as the result of `region_weights`.
            modality: "rgb" or "depth".

        Returns:
            (sum of M_i, D).

        Raises:
            SpatialError: BAD_INPUT when a mask cannot be read, or covers no cell of the refined
                grid while `config.empty_masks` is "error".
        """
        refiner = self.refiners[modality]
        return refine_and_pool(
            refiner.kernel_weights,  # type: ignore[arg-type]
            tokens,
            region_masks,
            self.config.mask_pooling,
            self.config.empty_masks,
            self.config.refinement,
        ).features

    def embed(
        self,
        input_ids: torch.Tensor,
        image_tokens: torch.Tensor | None = None,
        region_features: Mapping[str, torch.Tensor] | None = None,
        region_counts: Sequence[int] = (),
    ) -> torch.Tensor:
        """Token embeddings (B, T, D) with image tokens and region features in their places.

        Args:
            input_ids: (B, T).
            image_tokens: (B, N, D), or None for text without image.
            region_features: (sum of M_i, D) for each modality, in the order of the placeholders.
            region_counts: M_i of each row; none for text without regions.

        Raises:
            ValueError: when a row has not exactly one placeholder for each image token or region.
        """
        rows = len(input_ids)
        config = self.config
        embeds = self.get_input_embeddings()(input_ids)
        counts = [0] * rows if image_tokens is None else [image_tokens.shape[1]] * len(image_tokens)
        places = input_ids == config.image_token_id
        embeds = _fill(embeds, places, image_tokens, counts, config.image_token)
        for modality in config.image_modalities:
            features = (region_features or {}).get(modality)
            counts = [0] * rows if features is None else list(region_counts)
            token, token_id = config.region_token(modality)
            embeds = _fill(embeds, input_ids == token_id, features, counts, token)
        return embeds

    def embed_inputs(
        self,
        input_ids: torch.Tensor,
        inputs: RegionInputs,
        region_answers: RegionAnswers | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Input embeddings from pixels: every step from the encoder to `embed`.

        Args:
            input_ids: (B, T).
            inputs: images and regions of the B rows.
            region_answers: (B, T), correct answers to the question of each token.

        Returns:
            Embeddings (B, T, D); losses (Q,) of what is read off the regions, if there are answers.

        Raises:
            ValueError: when numbers of placeholders, masks and images do not agree.
            SpatialError: BAD_INPUT when a mask cannot be used.
        """
        inputs.check_rows(len(input_ids))
        weights = region_weights(inputs.region_masks or [], self.config)
        regions = [len(of_image) for of_image in inputs.region_samples or weights]
        indices = _named_regions(regions, inputs.region_indices)
        counts = [len(of_row) for of_row in indices]
        if any(regions):
            inputs.check_regions(self.config.depth_branch)
        image_tokens, features = None, {}
        for modality, values in ((RGB, inputs.pixel_values), (DEPTH, inputs.depth_values)):
            # Depth speaks through regions alone.
            if values is None or (modality == DEPTH and not any(counts)):
                continue
            encoded = self.encode_images(values, modality, inputs.point_values)
            tokens = self.connect(encoded, modality)
            image_tokens = tokens if modality == RGB else image_tokens
            if any(counts):
                pooled = self.pool_regions(tokens, weights, modality)
                features[modality] = pooled[_over_images(indices, regions).to(pooled.device)]
        if any(counts) and inputs.pixel_values is None:
            features[RGB] = self._looks_of_nothing(sum(counts))
        embeds = self.embed(input_ids, image_tokens, features, counts)
        if self.config.depth_branch == "metric" and any(counts):
            samples = inputs.region_samples or []
            check_samples(samples, regions)
            measured = self.measure_regions(torch.cat(list(samples)), self._named_colors(inputs))
            return self.relate_regions(
                embeds, input_ids, inputs.question_ids, measured, regions, indices, region_answers
            )
        return embeds, None

    def _named_colors(self, inputs: RegionInputs) -> torch.Tensor | None:
        """Colors (sum of M_i, C) of all regions, 0 without an image; None where none are named."""
        if not self.config.region_colors:
            return None
        if inputs.region_colors is not None:
            return self.name_colors(torch.cat(list(inputs.region_colors)))
        if inputs.pixel_values is not None:
            raise ValueError(
                "config.region_colors is True, but there are no region_colors; prepare them with "
                "SmolRGPTProcessor"
            )
        count = sum(len(samples) for samples in inputs.region_samples or [])
        return torch.zeros(count, NAMES, device=self.device)

    def name_colors(self, colors: torch.Tensor) -> torch.Tensor:
        """How likely each name is for the color of regions (R, C), with `config.region_colors`.

        Args:
            colors: (R, K, 3) of `region_colors`.
        """
        assert self.metric_branch.colors is not None
        with torch.autocast(self.device.type, enabled=False):
            named: torch.Tensor = self.metric_branch.colors(colors.to(self.device))
        return named

    def _looks_of_nothing(self, count: int) -> torch.Tensor:
        """RGB features (count, D) of regions without an image: what their placeholder is."""
        embedding = self.get_input_embeddings()
        own = torch.tensor([self.config.mask_rgb_token_id], device=self.device)
        return embedding(own).expand(count, -1)

    def measure_regions(
        self, samples: torch.Tensor, colors: torch.Tensor | None = None
    ) -> MeasuredRegions:
        """What the metric branch takes of regions, whatever is asked about them.

        Args:
            samples: (M, K, 3), see `region_samples`.
            colors: (M, C) of `name_colors`, with `config.region_colors`.
        """
        measure = self.metric_branch.measurer if self.config.region_measures else None
        return MeasuredRegions.of(samples.to(self.device), measure, colors)

    def relate_regions(
        self,
        embeds: torch.Tensor,
        input_ids: torch.Tensor,
        question_ids: torch.Tensor | None,
        measured: MeasuredRegions,
        region_counts: Sequence[int],
        region_indices: Sequence[torch.Tensor],
        region_answers: RegionAnswers | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Put the depth tokens of the metric branch in their places.

        Args:
            embeds: (B, T, D) from `embed`.
            input_ids: (B, T).
            question_ids: (B, T).
            measured: the regions of all rows.
            region_counts: M_i, how many of them are of each row.
            region_indices: (N_i,) for each row, which of the regions each placeholder is.
            region_answers: (B, T), correct answers to the question of each token.

        Returns:
            Embeddings (B, T, D); losses (Q,) of what is read off the regions, if there are answers.

        Raises:
            ValueError: when placeholders, questions and regions do not agree.
        """
        if question_ids is None:
            raise ValueError(
                "the metric depth branch needs question_ids; prepare text and masks together with "
                "SmolRGPTProcessor"
            )
        token, token_id = self.config.region_token(DEPTH)
        places = input_ids == token_id
        asked = asked_regions(places, question_ids, measured, region_counts, region_indices)
        words = embeds.flatten(0, 1)[asked.tokens]
        answers = None
        if region_answers is not None:
            answers = region_answers.of_tokens(asked.tokens[:, 0], asked.mentions)
        tokens, losses = self.metric_branch(words, asked.is_word, asked.regions, answers)
        counts = [len(of_row) for of_row in region_indices]
        return _fill(embeds, places, tokens[asked.regions.exists], counts, token), losses

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        cache: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        segment_ids: torch.Tensor | None = None,
        region_answers: RegionAnswers | None = None,
        **kwargs: Any,
    ) -> SmolRGPTModelOutput:
        """Hidden states (B, T, D); arguments as in `SmolRGPTForConditionalGeneration.forward`.

        Raises:
            ValueError: not exactly one of input_ids and inputs_embeds is set.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give exactly one of input_ids and inputs_embeds")
        inputs = RegionInputs.taken_from(kwargs)
        region_losses = None
        if inputs_embeds is not None:
            inputs.check_that_none_is_ignored()
        if input_ids is not None:
            continues = cache is not None and cache.get_seq_length() > 0
            if continues and inputs.pixel_values is None and inputs.region_samples is None:
                # A placeholder that the model wrote itself is a token like any other.
                inputs_embeds = self.get_input_embeddings()(input_ids)
            else:
                inputs_embeds, region_losses = self.embed_inputs(input_ids, inputs, region_answers)
        if segment_ids is not None:
            attention_mask = packed_attention_mask(segment_ids, self.dtype)
        outputs = self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            **{CACHE: cache},
            **kwargs,
        )
        return SmolRGPTModelOutput(**outputs, region_losses=region_losses)


class SmolRGPTForConditionalGeneration(SmolRGPTPreTrainedModel, GenerationMixin):
    """SmolRGPT with a language head: answers questions about the regions of an RGB-D image."""

    def __init__(self, config: SmolRGPTConfig) -> None:
        super().__init__(config)
        self.model = SmolRGPTModel(config)
        text = config.text_config
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        embedding = self.get_input_embeddings()
        (embedding_name,) = (name for name, module in self.named_modules() if module is embedding)
        self._tied_weights_keys = {"lm_head.weight": f"{embedding_name}.weight"}
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """The head."""
        return self.lm_head

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        *,
        labels: torch.Tensor | None = None,
        cache: Cache | None = None,
        position_ids: torch.Tensor | None = None,
        inputs_embeds: torch.Tensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        only_answers: bool = False,
        **kwargs: Any,
    ) -> SmolRGPTOutput:
        """Logits of the next token at every position.

        Args:
            input_ids: (B, T), with placeholders as `SmolRGPTProcessor` writes them.
            attention_mask: (B, T), 0 for padding.
            labels: (B, T), the id at its own position, -100 where there is no loss.
            cache: of earlier tokens.
            position_ids: (B, T); by default they follow the cache.
            inputs_embeds: (B, T, D), from `SmolRGPTModel.embed_inputs`, in place of input_ids,
                images and regions.
            logits_to_keep: compute only that many last positions (0 = all), or these positions.
            only_answers: compute logits where a label is predicted and nowhere else, which saves
                most of the head's work in training: (tokens with a label, vocabulary), row by row.
            kwargs: images and regions, by the names of `RegionInputs`; the answers of
                `RegionAnswers.taken_from`, for the region losses of the depth branch "metric";
                `segment_ids` of `packed_attention_mask` in place of attention_mask;
                `num_items_in_batch`, which divides the loss in place of the number of labels. All
                others, such as `use_cache`, go to the language model.

        Returns:
            loss if there are labels, of their tokens alone; logits (B, T, vocabulary), the cache by
            the name `CACHE`, hidden_states, attentions; region_losses (Q,) of the questions with
            regions if there are answers.

        Raises:
            ValueError: when numbers of placeholders, masks and images do not agree; for images or
                regions beside inputs_embeds.
            SpatialError: BAD_INPUT when a mask cannot be used.
        """
        # `generate` of an older transformers calls it so.
        kwargs["cache"] = kwargs.pop(OLD_NAME, cache)
        kwargs |= {"position_ids": position_ids, "inputs_embeds": inputs_embeds}
        return self._forward(
            input_ids, attention_mask, labels, logits_to_keep, only_answers, **kwargs
        )

    def _forward(
        self,
        input_ids: torch.Tensor | None,
        attention_mask: torch.Tensor | None,
        labels: torch.Tensor | None,
        logits_to_keep: int | torch.Tensor,
        only_answers: bool,
        **kwargs: Any,
    ) -> SmolRGPTOutput:
        items = kwargs.pop("num_items_in_batch", None)
        answers = RegionAnswers.taken_from(kwargs)
        outputs = self.model(
            input_ids, attention_mask=attention_mask, region_answers=answers, **kwargs
        )
        hidden = outputs.last_hidden_state
        loss: torch.Tensor | None
        if labels is not None and only_answers:
            logits, loss = self._answer_logits(hidden, labels, items)
        else:
            logits, loss = self._logits(hidden, labels, items, logits_to_keep)
        return SmolRGPTOutput(
            loss=loss,
            logits=logits,
            **{CACHE: outputs.get(CACHE)},
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
            region_losses=outputs.region_losses,
        )

    def _logits(
        self,
        hidden: torch.Tensor,
        labels: torch.Tensor | None,
        items: torch.Tensor | int | None,
        keep: int | torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits (B, T, V) at the positions to keep, and the loss where there are labels."""
        positions = slice(-keep, None) if isinstance(keep, int) else keep
        logits = self.lm_head(hidden[:, positions])
        if labels is None:
            return logits, None
        return logits, self.loss_function(
            logits=logits,
            labels=labels,
            vocab_size=self.config.text_config.vocab_size,
            num_items_in_batch=items,
        )

    def _answer_logits(
        self, hidden: torch.Tensor, labels: torch.Tensor, items: torch.Tensor | int | None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (N, V) that predict the N labels, and the loss."""
        targets = labels[:, 1:]
        is_answer = targets != IGNORED_LABEL
        logits = self.lm_head(hidden[:, :-1][is_answer])
        losses = nn.functional.cross_entropy(
            logits.float(), targets[is_answer], reduction="mean" if items is None else "sum"
        )
        return logits, losses if items is None else losses / items

    @torch.no_grad()
    def generate(
        self,
        inputs: torch.Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """Generate answers; takes the arguments of `GenerationMixin.generate` and of `forward`.

        Images are encoded once here, not once for each beam.

        Returns:
            The prompt's ids and the new ones (B, T + new), or what `return_dict_in_generate` asks
            for.

        Raises:
            ValueError, SpatialError: as `forward`.
        """
        regions = RegionInputs.taken_from(kwargs)
        input_ids = kwargs.pop("input_ids", None) if inputs is None else inputs
        if input_ids is not None and kwargs.get("inputs_embeds") is None:
            kwargs["inputs_embeds"] = self.model.embed_inputs(input_ids, regions)[0]
            # Padding must not be guessed from the ids: its id also ends every turn.
            if kwargs.get("attention_mask") is None:
                kwargs["attention_mask"] = torch.ones_like(input_ids)
        else:
            regions.check_that_none_is_ignored()
        return super().generate(input_ids, *args, **kwargs)  # type: ignore[misc]


def _named_regions(
    regions: Sequence[int], region_indices: Sequence[torch.Tensor] | None
) -> list[torch.Tensor]:
    """Which region of its row each placeholder is (N_i,); each once and in order by default."""
    if region_indices is None:
        return [torch.arange(count) for count in regions]
    for row, (of_row, count) in enumerate(zip(region_indices, regions, strict=True)):
        if len(of_row) and int(of_row.max()) >= count:
            raise ValueError(
                f"row {row} of region_indices names region {int(of_row.max())}, the row has "
                f"{count} regions; prepare text and masks together with SmolRGPTProcessor"
            )
    return list(region_indices)


def _over_images(indices: Sequence[torch.Tensor], regions: Sequence[int]) -> torch.Tensor:
    """Places (sum of N_i,) in the regions of all rows, one row after the other."""
    starts = [sum(regions[:row]) for row in range(len(regions))]
    return torch.cat([of_row + start for of_row, start in zip(indices, starts, strict=True)])


def _fill(
    embeds: torch.Tensor,
    places: torch.Tensor,
    values: torch.Tensor | None,
    expected: Sequence[int],
    token: str,
) -> torch.Tensor:
    """Embeddings (B, T, D) with `values` (..., D) written, in order, where `places` (B, T) is set.

    Raises:
        ValueError: when the number of places of any row is not the expected one.
    """
    found = places.sum(dim=1).tolist()
    provided = 0 if values is None else values.shape[:-1].numel()
    if found != list(expected) or sum(found) != provided:
        raise ValueError(
            f"the rows of input_ids have {found} {token}, but their images and masks give "
            f"{list(expected)} features; prepare text, images and masks together with "
            "SmolRGPTProcessor"
        )
    if values is None:
        return embeds
    return embeds.masked_scatter(places.unsqueeze(-1), values.to(embeds.dtype))
