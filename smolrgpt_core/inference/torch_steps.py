"""The steps of the engine in PyTorch: any checkpoint of this library, on any device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch.nn.functional import pad
from transformers import Cache, DynamicCache

from smolrgpt_core.answerer_settings import INT8
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference.config import EngineConfig
from smolrgpt_core.inference.frame_cache import EncodedFrame
from smolrgpt_core.inference.int8_linear import check_int8, quantize_language_model
from smolrgpt_core.inference.key_values import continued_cache, prefix_keys_values, split_cache
from smolrgpt_core.inference.packed_linear import can_pack, pack_linears
from smolrgpt_core.inference.plain_llama import (
    LanguageModel,
    PlainLlama,
    TransformersLanguageModel,
)
from smolrgpt_core.inference.stage_clock import StageClock
from smolrgpt_core.inference.steps import Prompt
from smolrgpt_core.inference.torch_threads import threads_of, torch_threads
from smolrgpt_core.model import (
    RGB,
    SmolRGPTConfig,
    SmolRGPTForConditionalGeneration,
    SmolRGPTProcessor,
)
from smolrgpt_core.model.parts import Model
from smolrgpt_core.model.question_regions import MeasuredRegions
from smolrgpt_core.model_inputs.prompts import TokenRow
from smolrgpt_core.model_inputs.region_samples import camera_foot, region_samples, with_foot
from smolrgpt_core.regions import Region
from smolrgpt_core.torch_device import finish


class TorchSteps:
    """Implements `Steps`.

    Args:
        model: is taken over: moved to the device and type of the configuration, out of training
            mode, and on the CPU changed by `EngineConfig.pack_weights`.
        processor: of the same checkpoint.
        config: how to compute.
    """

    def __init__(
        self,
        model: SmolRGPTForConditionalGeneration,
        processor: SmolRGPTProcessor,
        config: EngineConfig,
    ) -> None:
        self.config = config
        self.processor = processor
        self._device = config.torch_device()
        self.model = model.eval()
        self.model.to(self._device, config.torch_dtype())
        self._threads = threads_of(self.model, config.threads)
        if config.dtype == INT8:
            check_int8(self._device)
            quantize_language_model(self.model)
        if config.pack_weights and can_pack(self._device, config.torch_dtype()):
            pack_linears(self.model)
        self.language: LanguageModel = (
            PlainLlama(self.model)
            if PlainLlama.fits(self.model)
            else TransformersLanguageModel(self.model)
        )
        self._is_metric = model.config.depth_branch == "metric"

    @property
    def model_config(self) -> SmolRGPTConfig:
        """As `Steps`."""
        return self.model.config

    @property
    def end_ids(self) -> list[int]:
        """As `Steps`."""
        return end_ids(self.model)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """As `Steps`."""
        with torch_threads(self._threads), torch.inference_mode():
            yield

    def finish(self) -> None:
        """As `Steps`."""
        finish(self._device)

    def release(self) -> None:
        """As `Steps`."""
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def tokenize(self, text: str, regions: int) -> TokenRow:
        """As `Steps`."""
        conversation = [{"role": "user", "content": text}]
        return self.processor.tokenize(conversation, True, regions, with_labels=False)

    def head_length(self, ids: Sequence[int]) -> int:
        """As `Steps`."""
        return self.processor.head_length(ids)

    def text_of(self, token_ids: Sequence[int]) -> str:
        """As `Steps`."""
        return self.processor.tokenizer.decode(token_ids, skip_special_tokens=True).strip()

    def encode(self, frame: RGBDFrame, head: Sequence[int], clock: StageClock) -> EncodedFrame:
        """As `Steps`."""
        steps = self.model.model
        with clock.stage("encode"):
            tokens = {
                modality: steps.connect(self._encode_image(frame, modality), modality)
                for modality in self.model.config.image_modalities
            }
        with clock.stage("prefix"):
            cache = DynamicCache(config=self.model.config.text_config)
            ids = torch.tensor([list(head)], device=self._device)
            # For its keys and values: no logits of it are wanted.
            self.language.logits(steps.embed(ids, tokens[RGB]), cache, keep=ids.new_empty(0))
        foot = None
        if self.model.config.region_measures:
            foot = camera_foot(frame.depth, frame.intrinsics, frame.up, frame.camera_height)
        return EncodedFrame(frame, tokens, prefix_keys_values(cache), foot)

    def _encode_image(self, frame: RGBDFrame, modality: str) -> torch.Tensor:
        """Vision features (1, P, Dv) of one modality."""
        processor, points = self.processor, None
        prepare = processor.prepare_image if modality == RGB else processor.prepare_depth
        pixels = prepare(frame.rgb if modality == RGB else frame.depth)
        if self.model.config.point_fusion:
            points = processor.prepare_points(frame.depth, frame.intrinsics)[None].to(self._device)
        return self.model.model.encode_images(pixels[None].to(self._device), modality, points)

    def add_regions(self, encoded: EncodedFrame, ids: Sequence[int]) -> None:
        """As `Steps`."""
        regions = encoded.frame.regions
        masks = [regions[id] for id in ids]
        weights = self.processor.prepare_masks([masks], [regions.image_size])
        features = {
            modality: self.model.model.pool_regions(
                encoded.image_tokens[modality], weights, modality
            )
            for modality in self.model.config.image_modalities
        }
        if self._is_metric:
            features |= self._measured(encoded, masks).tensors()
        for place, id in enumerate(ids):
            encoded.region_features[id] = {name: rows[place] for name, rows in features.items()}

    def _measured(self, encoded: EncodedFrame, masks: Sequence[Region]) -> MeasuredRegions:
        """What the metric depth branch takes of regions."""
        frame, config = encoded.frame, self.model.config
        samples = region_samples(masks, frame.depth, frame.intrinsics, config.samples_per_region)
        if encoded.foot is not None:
            samples = with_foot(samples, encoded.foot)
        colors = None
        if config.region_colors:
            colors = self.model.model.name_colors(self.processor.prepare_colors(masks, frame.rgb))
        return self.model.model.measure_regions(torch.from_numpy(samples), colors)

    def begin(self, encoded: EncodedFrame, prompts: Sequence[Prompt], room: int) -> TorchWriting:
        """As `Steps`."""
        lengths = [len(prompt.token_ids) for prompt in prompts]
        cache = continued_cache(encoded.prefix, sum(lengths))
        head = cache.get_seq_length()
        logits = first_logits(self.language, self._embed(encoded, prompts), lengths, cache)
        rows = split_cache(cache, lengths, room)
        mask = left_padded_mask(head, lengths, self._device)
        return TorchWriting(self.language, logits, mask, rows, forbidden_ids(self.model))

    def _embed(self, encoded: EncodedFrame, prompts: Sequence[Prompt]) -> torch.Tensor:
        """Embeddings (1, T, D) of the prompts behind the head, one after the other."""
        ids = [id for prompt in prompts for id in prompt.token_ids]
        region_ids = [id for prompt in prompts for id in prompt.region_ids]
        known = [encoded.region_features[id] for id in region_ids]
        names = known[0] if known else ()
        features = {name: torch.stack([of[name] for of in known]) for name in names}
        modalities = self.model.config.image_modalities
        of_images = {name: features.pop(name) for name in modalities if name in features}
        row, count = torch.tensor([ids], device=self._device), len(region_ids)
        embeds = self.model.model.embed(row, None, of_images, [count])
        if not features:
            return embeds
        related, _ = self.model.model.relate_regions(
            embeds, row, self._question_ids(prompts), MeasuredRegions.from_tensors(features),
            [count], [torch.arange(count)],
        )  # fmt: skip
        return related

    def _question_ids(self, prompts: Sequence[Prompt]) -> torch.Tensor:
        """(1, T): which prompt each token asks for, from 1; 0 where it does not ask."""
        numbered = [
            number * asks
            for number, prompt in enumerate(prompts, start=1)
            for asks in prompt.is_question
        ]
        return torch.tensor([numbered], device=self._device)


class TorchWriting:
    """Implements `Writing`.

    Args:
        language: the language model.
        logits: (B, V) of the first token, from `first_logits`.
        attention_mask: (B, P + T), 0 for padding.
        cache: with the prompts.
        forbidden: ids of tokens that no answer holds.
    """

    def __init__(
        self,
        language: LanguageModel,
        logits: torch.Tensor,
        attention_mask: torch.Tensor,
        cache: Cache,
        forbidden: Sequence[int] = (),
    ) -> None:
        self._language = language
        self._cache = cache
        self._forbidden = list(forbidden)
        self._positions = attention_mask.sum(dim=1, keepdim=True)
        self._mask = attention_mask if bool((attention_mask == 0).any()) else None
        self._choose(logits)

    def go_on(self) -> None:
        """As `Writing`."""
        if self._mask is not None:
            self._mask = pad(self._mask, (0, 1), value=1)
        embeds = self._language.embed(self._token)
        logits = self._language.logits(embeds, self._cache, self._positions, self._mask)
        self._positions = self._positions + 1
        self._choose(logits[:, -1])

    def _choose(self, logits: torch.Tensor) -> None:
        if self._forbidden:
            logits = without_tokens(logits, self._forbidden)
        self._token = logits.argmax(dim=-1, keepdim=True)
        probabilities = logits.float().softmax(dim=-1).gather(1, self._token)
        self.tokens = self._token[:, 0].numpy(force=True)
        self.probabilities = probabilities[:, 0].numpy(force=True)


def first_logits(
    language: LanguageModel,
    embeds: torch.Tensor,
    lengths: Sequence[int],
    cache: Cache,
) -> torch.Tensor:
    """Logits (B, V) of the first token of each answer; the prompts go into the cache.

    The prompts stand one after the other in one row, so that nothing is computed for padding, and
    each attends to the prefix and to itself alone.

    Args:
        language: the language model.
        embeds: (1, T, D) of what follows the prefix, T the sum of lengths.
        lengths: tokens of each prompt.
        cache: of one row, holds the prefix of P tokens.
    """
    device, head = embeds.device, cache.get_seq_length()
    counts = torch.tensor(lengths, device=device)
    ends = counts.cumsum(dim=0)
    owner = torch.repeat_interleave(counts)
    order = torch.arange(len(owner), device=device)
    is_seen = (owner[:, None] == owner) & (order[:, None] >= order)
    mask = torch.zeros(1, 1, len(owner), head + len(owner), dtype=embeds.dtype, device=device)
    mask[0, 0, :, head:].masked_fill_(~is_seen, torch.finfo(embeds.dtype).min)
    positions = (head + order - (ends - counts)[owner])[None]
    return language.logits(embeds, cache, positions, mask, keep=ends - 1)[0]


def left_padded_mask(head: int, lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    """Attention mask (B, head + longest), 0 where a prompt is shorter than the longest.

    Args:
        head: number of tokens of the cached prefix.
        lengths: tokens of each of B prompts.
        device: for the mask.
    """
    longest = max(lengths)
    rows = [[1] * head + [0] * (longest - length) + [1] * length for length in lengths]
    return torch.tensor(rows, device=device)


def end_ids(model: Model) -> list[int]:
    """Ids that end an answer; none if the generation configuration names none."""
    ids = model.generation_config.eos_token_id
    return [] if ids is None else [ids] if isinstance(ids, int) else list(ids)


def forbidden_ids(model: Model) -> list[int]:
    """Ids that no answer holds, such as those of a trained prompt."""
    return list(model.generation_config.suppress_tokens or [])


def without_tokens(logits: torch.Tensor, ids: Sequence[int]) -> torch.Tensor:
    """Logits (..., V) by which tokens are never chosen."""
    places = torch.tensor(ids, dtype=torch.long, device=logits.device)
    return logits.index_fill(-1, places, -torch.inf)
