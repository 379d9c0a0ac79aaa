"""SmolRGPT: a language model that sees an RGB-D image and features of its regions.

Vision encoder and language model are transformers' own classes, chosen by the configuration; this
module joins them. It knows nothing of text or files of images: `processing_smolrgpt` does.

After the paper (arXiv 2509.15490) and its released code; every fact is in DESIGN section 5. Shapes:
B images, P patches of width Dv, N image tokens of width D, M_i regions in image i, T tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn
from transformers import AutoModel, Cache, GenerationMixin, PreTrainedModel, initialization
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast

from smolrgpt_core import kernels
from smolrgpt_core.kernels.masks import MasksOfImage
from smolrgpt_core.model.configuration_smolrgpt import DEPTH, MODALITIES, RGB, SmolRGPTConfig
from smolrgpt_core.model.connector import Connector
from smolrgpt_core.model.refiner import FeatureRefiner, RefinerLevel


class SmolRGPTPreTrainedModel(PreTrainedModel):
    """What both models share: configuration, attention back ends, strict loading."""

    config_class = SmolRGPTConfig
    base_model_prefix = "model"
    input_modalities = ["image", "text"]  # noqa: RUF012
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _skip_keys_device_placement = "past_key_values"

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: Any, *args: Any, **kwargs: Any) -> Any:
        """Load a checkpoint, wholly or not at all, from safetensors only.

        Takes the arguments of `PreTrainedModel.from_pretrained`.

        Raises:
            ValueError: with a list, when a weight is missing, unexpected or of another shape.
        """
        if kwargs.get("ignore_mismatched_sizes") or kwargs.get("use_safetensors") is False:
            raise ValueError(
                "ignore_mismatched_sizes=True and use_safetensors=False would load a part of a "
                "checkpoint, or run code that it brings; leave them out"
            )
        with_info = kwargs.pop("output_loading_info", False)
        kwargs |= {"use_safetensors": True, "output_loading_info": True}
        # Sizes that differ are collected, so that all problems come in one list.
        model, info = super().from_pretrained(
            pretrained_model_name_or_path, *args, ignore_mismatched_sizes=True, **kwargs
        )
        problems = [
            *(f"missing: {key}" for key in sorted(info["missing_keys"])),
            *(f"unexpected: {key}" for key in sorted(info["unexpected_keys"])),
            *(
                f"{key}: checkpoint has {tuple(found)}, the configuration wants {tuple(wanted)}"
                for key, found, wanted in sorted(info["mismatched_keys"])
            ),
        ]
        if problems:
            raise ValueError(
                f"the weights of {pretrained_model_name_or_path} do not fit its configuration, "
                "nothing was loaded:\n  " + "\n  ".join(problems)
            )
        # Loading puts new parameters in place of those that were frozen.
        model.freeze_vision_encoder()
        return (model, info) if with_info else model


class SmolRGPTModel(SmolRGPTPreTrainedModel):
    """Vision encoder, connectors, refiners and language model, without a head.

    The steps are public, so that a caller can encode an image once and ask many questions:
    `encode_images`, `connect`, `refine` or `pool_regions`, `embed`.
    """

    _keys_to_ignore_on_load_unexpected = [r"lm_head\."]  # noqa: RUF012

    def __init__(self, config: SmolRGPTConfig) -> None:
        super().__init__(config)
        self.vision_model = AutoModel.from_config(config.vision_config)
        self.language_model = AutoModel.from_config(config.text_config)
        width = config.text_config.hidden_size
        self.connectors = nn.ModuleDict(
            {
                modality: Connector(
                    config.vision_config.hidden_size, width, config.pixel_shuffle_factor
                )
                for modality in MODALITIES
            }
        )
        self.refiners = nn.ModuleDict(
            {
                modality: FeatureRefiner(width, config.refiner_levels, config.refiner_norm_eps)
                for modality in MODALITIES
            }
        )
        self.post_init()
        self.freeze_vision_encoder()

    def freeze_vision_encoder(self) -> None:
        """Take the vision encoder out of training."""
        self.vision_model.requires_grad_(False)

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

    def encode_images(self, pixel_values: torch.Tensor, modality: str) -> torch.Tensor:
        """Vision features (B, P, Dv) of images (B, 3, H, W).

        RGB and depth images go through the same encoder; `modality` is the seam for a depth branch
        that does not.

        Raises:
            ValueError: for images of another size than the configuration says, or another modality.
        """
        size = self.config.image_size
        if modality not in MODALITIES or pixel_values.shape[1:] != (3, size, size):
            raise ValueError(
                f"expected images (B, 3, {size}, {size}) of a modality in {MODALITIES}, got "
                f"{tuple(pixel_values.shape)} of {modality!r}; prepare them with SmolRGPTProcessor"
            )
        features = self.vision_model(pixel_values=pixel_values.to(self.dtype)).last_hidden_state
        # Class and register tokens of other encoders come before the patches.
        return features[:, -(self.config.patch_grid**2) :]

    def connect(self, features: torch.Tensor, modality: str) -> torch.Tensor:
        """Image tokens (B, N, D) of vision features (B, P, Dv)."""
        return self.connectors[modality](features)

    def refine(self, tokens: torch.Tensor, modality: str) -> torch.Tensor:
        """Refined features (B, G * G, D) of image tokens (B, N, D), G = `config.refined_grid`."""
        return self.refiners[modality](tokens)

    def region_weights(
        self,
        region_masks: Sequence[MasksOfImage],
        image_sizes: Sequence[tuple[int, int]] | None = None,
    ) -> list[torch.Tensor]:
        """Masks laid onto the refined grid, so that both modalities and later calls share it.

        Args:
            region_masks: for each image, in any form that `smolrgpt_core.kernels` takes.
            image_sizes: (height, width) that the masks of each image must have.

        Returns:
            float32 (M_i, G, G) for each image; stands wherever masks are expected.
        """
        return kernels.mask_weights(
            region_masks,
            (self.config.refined_grid,) * 2,
            self.config.mask_pooling,
            image_sizes=image_sizes,
        )

    def pool_regions(
        self, tokens: torch.Tensor, region_masks: Sequence[MasksOfImage], modality: str
    ) -> torch.Tensor:
        """Features of the regions, image by image, from image tokens: refined, then pooled.

        Args:
            tokens: (B, N, D).
            region_masks: for each image M_i masks, in any form that `smolrgpt_core.kernels` takes.
            modality: "rgb" or "depth".

        Returns:
            (sum of M_i, D).

        Raises:
            SpatialError: BAD_INPUT when a mask cannot be read, or covers no cell of the refined
                grid while `config.empty_masks` is "error".
        """
        return kernels.refine_and_pool(
            self.refiners[modality].kernel_weights,
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
        region_counts: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """Token embeddings (B, T, D) with image tokens and region features in their places.

        Args:
            input_ids: (B, T).
            image_tokens: (B, N, D), or None for a text without image.
            region_features: (sum of M_i, D) for each modality, in the order of the placeholders.
            region_counts: M_i for each row.

        Raises:
            ValueError: when a row has not exactly one placeholder for each image token or region.
        """
        rows = input_ids.shape[0]
        embeds = self.get_input_embeddings()(input_ids)
        tokens_per_row = 0 if image_tokens is None else image_tokens.shape[1]
        embeds = _fill_placeholders(
            embeds,
            input_ids == self.config.image_token_id,
            image_tokens,
            [tokens_per_row] * rows,
            self.config.image_token,
        )
        for modality in MODALITIES:
            features = (region_features or {}).get(modality)
            embeds = _fill_placeholders(
                embeds,
                input_ids == self.config.token_id(modality),
                features,
                [0] * rows if features is None else list(region_counts or []),
                self.config.mask_rgb_token if modality == RGB else self.config.mask_depth_token,
            )
        return embeds

    def embed_inputs(
        self,
        input_ids: torch.Tensor,
        pixel_values: torch.Tensor | None = None,
        depth_values: torch.Tensor | None = None,
        region_masks: Sequence[MasksOfImage] | None = None,
    ) -> torch.Tensor:
        """Input embeddings (B, T, D) from pixels: every step from encoder to `embed`.

        Arguments as in `SmolRGPTForConditionalGeneration.forward`.
        """
        if region_masks is not None and len(region_masks) != input_ids.shape[0]:
            raise ValueError(
                f"region_masks needs one tensor (M, h, w) for each of the {input_ids.shape[0]} "
                f"rows of input_ids, got {len(region_masks)}"
            )
        weights = self.region_weights(region_masks or [])
        counts = [len(masks) for masks in weights]
        image_tokens, features = None, {}
        for modality, values in ((RGB, pixel_values), (DEPTH, depth_values)):
            # Depth speaks only through regions.
            if values is None or (modality == DEPTH and not any(counts)):
                continue
            tokens = self.connect(self.encode_images(values, modality), modality)
            if modality == RGB:
                image_tokens = tokens
            if any(counts):
                features[modality] = self.pool_regions(tokens, weights, modality)
        return self.embed(input_ids, image_tokens, features, counts)

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        depth_values: torch.Tensor | None = None,
        region_masks: Sequence[MasksOfImage] | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Hidden states (B, T, D); arguments as in `SmolRGPTForConditionalGeneration.forward`."""
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give exactly one of input_ids and inputs_embeds")
        if inputs_embeds is None:
            decoding = past_key_values is not None and past_key_values.get_seq_length() > 0
            if decoding and pixel_values is None:
                # The model may write a placeholder itself; it is then a token like any other.
                inputs_embeds = self.get_input_embeddings()(input_ids)
            else:
                inputs_embeds = self.embed_inputs(
                    input_ids, pixel_values, depth_values, region_masks
                )
        return self.language_model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            **kwargs,
        )


class SmolRGPTForConditionalGeneration(SmolRGPTPreTrainedModel, GenerationMixin):
    """SmolRGPT with a language head: answers questions about the regions of an RGB-D image."""

    _tied_weights_keys = {  # noqa: RUF012
        "lm_head.weight": "model.language_model.embed_tokens.weight"
    }

    def __init__(self, config: SmolRGPTConfig) -> None:
        super().__init__(config)
        self.model = SmolRGPTModel(config)
        self.lm_head = nn.Linear(
            config.text_config.hidden_size, config.text_config.vocab_size, bias=False
        )
        self.post_init()

    def get_output_embeddings(self) -> nn.Module:
        """The head."""
        return self.lm_head

    def freeze_vision_encoder(self) -> None:
        """Take the vision encoder out of training."""
        self.model.freeze_vision_encoder()

    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        depth_values: torch.Tensor | None = None,
        region_masks: Sequence[MasksOfImage] | None = None,
        labels: torch.Tensor | None = None,
        position_ids: torch.Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: torch.Tensor | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits of the next token at every position.

        Args:
            input_ids: (B, T), with placeholders as `SmolRGPTProcessor` writes them.
            attention_mask: (B, T), 0 for padding.
            pixel_values: (B, 3, H, W) in `config.rgb_range`; None for a text without image.
            depth_values: (B, 3, H, W) in `config.depth_range`; needed where there are regions.
            region_masks: B tensors (M_i, h, w), in the order of the placeholders: bool or integer
                masks of any size, aligned to the image, or float weights as the processor gives
                them; or any other form that `smolrgpt_core.kernels` takes.
            labels: (B, T), the id at its own position, -100 where there is no loss.
            position_ids: (B, T), by default from the cache.
            past_key_values: cache of earlier tokens.
            inputs_embeds: (B, T, D), from `SmolRGPTModel.embed`, in place of input_ids and images.
            logits_to_keep: compute only that many last positions (0 = all), or these positions.
            kwargs: such as `use_cache`, `output_attentions`; go to the language model.

        Returns:
            loss if there are labels, logits (B, T, vocabulary), past_key_values, hidden_states,
            attentions.

        Raises:
            ValueError: when numbers of placeholders, masks and images do not agree.
        """
        kwargs.pop("return_dict", None)
        outputs = self.model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            pixel_values=pixel_values,
            depth_values=depth_values,
            region_masks=region_masks,
            position_ids=position_ids,
            past_key_values=past_key_values,
            inputs_embeds=inputs_embeds,
            **kwargs,
        )
        keep = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(outputs.last_hidden_state[:, keep])
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits=logits, labels=labels, vocab_size=self.config.text_config.vocab_size
            )
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    @torch.no_grad()
    def generate(
        self,
        inputs: torch.Tensor | None = None,
        *args: Any,
        pixel_values: torch.Tensor | None = None,
        depth_values: torch.Tensor | None = None,
        region_masks: Sequence[MasksOfImage] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Generate answers; takes the arguments of `GenerationMixin.generate` and of `forward`.

        Images are encoded once here, not once per beam.

        Returns:
            The prompt's ids and the new ones (B, T + new), or what `return_dict_in_generate` asks
            for.
        """
        input_ids = kwargs.pop("input_ids", None) if inputs is None else inputs
        if input_ids is not None and kwargs.get("inputs_embeds") is None:
            kwargs["inputs_embeds"] = self.model.embed_inputs(
                input_ids, pixel_values, depth_values, region_masks
            )
            # Padding must not be guessed from the ids: its id also ends every turn.
            kwargs.setdefault("attention_mask", torch.ones_like(input_ids))
        return super().generate(input_ids, *args, **kwargs)

    def prepare_inputs_for_generation(
        self,
        input_ids: torch.Tensor,
        inputs_embeds: torch.Tensor | None = None,
        is_first_iteration: bool | None = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Inputs of one step; without a cache, the embeddings of prompt and new tokens together."""
        if inputs_embeds is not None and not kwargs.get("use_cache", True):
            new_ids = input_ids[:, inputs_embeds.shape[1] :]
            new_embeds = self.get_input_embeddings()(new_ids)
            inputs_embeds, is_first_iteration = torch.cat([inputs_embeds, new_embeds], dim=1), True
        return super().prepare_inputs_for_generation(
            input_ids,
            inputs_embeds=inputs_embeds,
            is_first_iteration=is_first_iteration,
            **kwargs,
        )


def _fill_placeholders(
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
    for row, (has, wants) in enumerate(zip(found, expected, strict=True)):
        if has != wants:
            raise ValueError(
                f"row {row} of input_ids has {has} {token}, but its images and masks give {wants} "
                "features; prepare text, images and masks together with SmolRGPTProcessor"
            )
    if values is None:
        return embeds
    return embeds.masked_scatter(places.unsqueeze(-1), values.to(embeds.dtype))
