"""The steps of the engine as modules for ONNX export: the model's own code on plain tensors.

Each step is what the engine computes between two of its decisions. Only what ONNX does not know is
left to the runtime: the eigenvectors of the regions' covariances, between `SeeRegions` and
`CodeRegions`.

R regions, Q questions of at most T tokens of width D and at most M regions, P tokens of the
prompt's head, L layers of H key/value heads of width d, a refined grid of G x G cells, C places for
keys and values.
"""

from __future__ import annotations

import torch
from torch import nn

from smolrgpt_core.inference.plain_llama import PlainLlama
from smolrgpt_core.kernels.pooling import weighted_mean
from smolrgpt_core.model import RGB, SmolRGPTForConditionalGeneration
from smolrgpt_core.model.metric_branch import QuestionRegions
from smolrgpt_core.model.region_geometry import RegionGeometry, SeenRegions
from smolrgpt_core.model.region_measures import RegionMeasures


class _Appended:
    """Keys and values (2 L, B, H, S, d) of earlier tokens, and those that come behind them."""

    def __init__(self, past: torch.Tensor | None) -> None:
        self._past = past
        self._new: list[torch.Tensor] = []

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """All keys and values of a layer, (B, G, P + T, d) each, from those of T new tokens."""
        self._new += [keys, values]
        if self._past is None:
            return keys, values
        before = self._past[2 * layer : 2 * layer + 2].expand(-1, keys.shape[0], -1, -1, -1)
        return torch.cat([before[0], keys], dim=2), torch.cat([before[1], values], dim=2)

    @property
    def new(self) -> torch.Tensor:
        """(2 L, B, H, T, d) of the tokens that came."""
        return torch.stack(self._new)


class Graph(nn.Module):
    """A step.

    Attributes:
        inputs: names of the arguments of `forward`.
        outputs: names of what it gives.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


class EncodeFrame(Graph):
    """From an image to the cached encoding of a frame.

    Args:
        model: of the depth branch "metric".
        head: tokens of the prompt's part that no question changes.
    """

    inputs = ("pixels",)
    outputs = ("cells", "prefix")
    ids: torch.Tensor

    def __init__(self, model: SmolRGPTForConditionalGeneration, head: list[int]) -> None:
        super().__init__()
        self.steps = model.model
        self.language = PlainLlama(model)
        self.register_buffer("ids", torch.tensor([head]))
        self.before_image = head.index(model.config.image_token_id)

    def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Cells (G * G, D) of the refined grid, and keys and values (2 L, 1, H, P, d) of the head.

        Args:
            pixels: (1, 3, S, S).
        """
        tokens = self.steps.connect(self.steps.encode_images(pixels, RGB), RGB)
        cache = _Appended(None)
        # The head ends with its last image token.
        before = self.language.embed(self.ids[:, : self.before_image])
        embeds = torch.cat([before, tokens], dim=1)
        positions = torch.arange(embeds.shape[1])[None]
        self.language.states(embeds, cache, positions)
        return self.steps.refine(tokens, RGB)[0], cache.new


class SeeRegions(Graph):
    """Regions of a frame before the directions of their spread are known."""

    inputs = ("samples", "weights", "cells")
    outputs = ("features", "rays", "points", "counts", "centers", "covariance", "valid", "around")

    def forward(
        self, samples: torch.Tensor, weights: torch.Tensor, cells: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        """RGB features (R, D), and the fields of `SeenRegions`.

        Args:
            samples: (R, K, 3) of `region_samples`.
            weights: (R, G * G) of the cells under each mask.
            cells: (G * G, D).
        """
        seen = SeenRegions.of(samples)
        return weighted_mean(cells, weights), *vars(seen).values()


class CodeRegions(Graph):
    """What the metric branch takes of a region."""

    inputs = (*SeeRegions.outputs[1:5], *SeeRegions.outputs[6:], "variances", "axes")
    outputs = ("codes", "spread")

    def forward(
        self,
        rays: torch.Tensor,
        points: torch.Tensor,
        counts: torch.Tensor,
        centers: torch.Tensor,
        valid: torch.Tensor,
        around: torch.Tensor,
        variances: torch.Tensor,
        axes: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Codes (R, REGION_CHANNELS) and spread (R, 3) of regions; see `RegionGeometry`.

        Args:
            rays: (R, K, 2).
            points: (R, K, 3), meters.
            counts: bool (R, K), whether a sample counts.
            centers: (R, 3), meters.
            valid: (R,), fraction of the samples with a reading.
            around: (R, A), depths of the surroundings, meters behind the center.
            variances: (R, 3), along each axis, square meters.
            axes: (R, 3, 3), columns.
        """
        seen = SeenRegions(rays, points, counts, centers, axes, valid, around)
        geometry = RegionGeometry.along_axes(seen, variances, axes)
        return geometry.region_codes(), geometry.spread


class MeasureRegions(Graph):
    """Where the objects of regions are, and how large.

    Args:
        model: with `region_measures`.
    """

    inputs = ("samples_and_foot",)
    outputs = ("measures",)

    def __init__(self, model: SmolRGPTForConditionalGeneration) -> None:
        super().__init__()
        self.measurer = model.model.metric_branch.measurer

    def forward(self, samples_and_foot: torch.Tensor) -> tuple[torch.Tensor]:
        """Measures (R, N), see `RegionMeasures.packed`.

        Args:
            samples_and_foot: (R, K + A + 1, 3) of `region_samples` and `with_foot`.
        """
        return (self.measurer(samples_and_foot).packed(),)


class NameColors(Graph):
    """Colors of regions.

    Args:
        model: with `region_colors`.
    """

    inputs = ("pixels_of_regions",)
    outputs = ("colors",)

    def __init__(self, model: SmolRGPTForConditionalGeneration) -> None:
        super().__init__()
        self.colors = model.model.metric_branch.colors

    def forward(self, pixels_of_regions: torch.Tensor) -> tuple[torch.Tensor]:
        """How likely each name is (R, C), see `RegionColors`.

        Args:
            pixels_of_regions: (R, K, 3) of `region_colors`.
        """
        return (self.colors(pixels_of_regions),)


class ReadPrompts(Graph):
    """Questions to the first token of each answer.

    Args:
        model: of the depth branch "metric".
        head: number of tokens before the questions.
    """

    inputs: tuple[str, ...] = (
        "prefix", "ids", "lengths", "rgb_slots", "depth_slots", "regions", "places", "exists",
        "features", "codes", "rays", "points", "counts", "centers", "axes", "spread",
    )  # fmt: skip
    outputs = ("chosen", "probabilities", "keys_values")

    def __init__(self, model: SmolRGPTForConditionalGeneration, head: int) -> None:
        super().__init__()
        self.branch = model.model.metric_branch
        self.language = PlainLlama(model)
        self.head = head
        if model.config.region_measures:
            self.inputs = (*self.inputs, *MeasureRegions.outputs)
        if model.config.region_colors:
            self.inputs = (*self.inputs, *NameColors.outputs)

    def forward(
        self, prefix: torch.Tensor, ids: torch.Tensor, lengths: torch.Tensor,
        rgb_slots: torch.Tensor, depth_slots: torch.Tensor, regions: torch.Tensor,
        places: torch.Tensor, exists: torch.Tensor, features: torch.Tensor, codes: torch.Tensor,
        rays: torch.Tensor, points: torch.Tensor, counts: torch.Tensor, centers: torch.Tensor,
        axes: torch.Tensor, spread: torch.Tensor, measures: torch.Tensor | None = None,
        colors: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
        """Chosen token (Q,), its probability (Q,), keys and values (2 L, Q, H, T, d).

        Args:
            prefix: (2 L, 1, H, P, d).
            ids: int64 (Q, T), padded behind.
            lengths: int64 (Q,).
            rgb_slots: int64 (Q, T), which of R regions an RGB placeholder is; -1 elsewhere.
            depth_slots: int64 (Q, T), which of its question's regions a depth placeholder is; -1
                elsewhere.
            regions: int64 (Q, M), which of R regions each of a question is.
            places: int64 (Q, M), the depth placeholder of each.
            exists: bool (Q, M), False for padding.
            features: (R, D).
            codes: of R regions, as are all that follow.
            rays: (R, K, 2).
            points: (R, K, 3).
            counts: bool (R, K).
            centers: (R, 3).
            axes: (R, 3, 3).
            spread: (R, 3).
            measures: (R, N); None where regions are not measured.
            colors: (R, C); None where colors are not named.
        """
        order = torch.arange(ids.shape[1])
        embeds = _filled(self.language.embed(ids), rgb_slots, features.expand(ids.shape[0], -1, -1))
        geometry = RegionGeometry(rays, points, counts, centers, axes, spread, rays, rays)
        pairs = geometry.pair_codes(regions[:, :, None], regions[:, None])
        asked = QuestionRegions(
            codes[regions], pairs, centers[regions], places, exists,
            None if measures is None else RegionMeasures.unpacked(measures).of(regions),
            None if colors is None else colors[regions],
        )  # fmt: skip
        tokens, _ = self.branch(embeds, order < lengths[:, None], asked)
        embeds = _filled(embeds, depth_slots, tokens)
        cache = _Appended(prefix)
        states = self._states(embeds, cache, order)
        last = (lengths - 1)[:, None, None].expand(-1, 1, states.shape[2])
        return *_chosen(self.language.head(states.gather(1, last)[:, 0])), cache.new

    def _states(self, embeds: torch.Tensor, cache: _Appended, order: torch.Tensor) -> torch.Tensor:
        """States (Q, T, D) of embeddings (Q, T, D), each of which attends to those before it."""
        is_seen = torch.arange(self.head + order.shape[0]) <= order[:, None] + self.head
        mask = torch.where(is_seen, 0.0, torch.finfo(embeds.dtype).min)[None, None]
        return self.language.states(embeds, cache, order[None] + self.head, mask)


class WriteToken(Graph):
    """The token behind those that were chosen."""

    inputs = ("tokens", "positions", "seen", "past")
    outputs = ReadPrompts.outputs

    def __init__(self, model: SmolRGPTForConditionalGeneration) -> None:
        super().__init__()
        self.language = PlainLlama(model)

    def forward(
        self,
        tokens: torch.Tensor,
        positions: torch.Tensor,
        seen: torch.Tensor,
        past: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Chosen token (Q,), its probability (Q,), keys and values (2 L, Q, H, 1, d) of `tokens`.

        Args:
            tokens: int64 (Q,).
            positions: int64 (Q,).
            seen: (Q, C + 1), to be added to the scores: 0, or very low for places that hold
                nothing; the last place is the token's own.
            past: (2 L, Q, H, C, d).
        """
        cache = _Appended(past)
        embeds = self.language.embed(tokens[:, None])
        states = self.language.states(embeds, cache, positions[:, None], seen[:, None, None])
        return *_chosen(self.language.head(states[:, 0])), cache.new


def _filled(embeds: torch.Tensor, slots: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Embeddings (Q, T, D) with values (Q, N, D) where `slots` (Q, T) is not -1."""
    index = slots.clamp_min(0)[..., None].expand(-1, -1, embeds.shape[-1])
    return torch.where(slots[..., None] >= 0, values.gather(1, index), embeds)


def _chosen(logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The most likely token (Q,) of logits (Q, V), and its probability (Q,)."""
    token = logits.argmax(dim=-1)
    return token, logits.softmax(dim=-1).amax(dim=-1)
