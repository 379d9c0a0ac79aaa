"""The steps of the engine in ONNX Runtime, from a folder that `smolrgpt export-onnx` wrote.

Nothing here needs PyTorch or transformers. `onnx_graphs` defines what each file computes; shapes
are named as there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.extras import require
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference.config import EngineConfig
from smolrgpt_core.inference.frame_cache import EncodedFrame
from smolrgpt_core.inference.onnx_folder import (
    CODE,
    ENCODE,
    MEASURE,
    NAME,
    READ,
    SEE,
    TOKENIZER_FILE,
    WRITE,
    ExportedModel,
    read_manifest,
    step_file,
)
from smolrgpt_core.inference.stage_clock import StageClock
from smolrgpt_core.inference.steps import Prompt
from smolrgpt_core.kernels.form_weights import Mode, empty_mask, form_weights
from smolrgpt_core.kernels.masks import MaskForm, read_batch
from smolrgpt_core.model_inputs.images import resize_bilinear, scaled
from smolrgpt_core.model_inputs.prompts import Message, Prompts, TokenRow
from smolrgpt_core.model_inputs.region_colors import region_colors
from smolrgpt_core.model_inputs.region_samples import camera_foot, region_samples, with_foot
from smolrgpt_core.regions import Region

RGB = "rgb"
FEATURES = "features"
GEOMETRY = ("codes", "rays", "points", "counts", "centers", "axes", "spread")
MEASURES, COLORS = "measures", "colors"
"""What `read` takes of a region beside its features; the last two where the model has them."""

NOTHING = -1
"""Slot of a token that is no placeholder."""

NEVER_SEEN = np.finfo(np.float32).min
"""Added to the score of a token that must not be read."""

ROOM = 32
"""Tokens that keys and values have room for, before they move to a larger place."""

Arrays = dict[str, NDArray[Any]]


class OnnxSteps:
    """Implements `Steps`.

    Args:
        folder: that `smolrgpt export-onnx` wrote.
        config: how to compute: on the CPU in float32.

    Raises:
        ImportError: when ONNX Runtime or tokenizers is not installed.
        ValueError: for another device or type.
        SpatialError: BAD_INPUT when a file of the folder cannot be used.
    """

    def __init__(self, folder: Path, config: EngineConfig) -> None:
        check_config(config)
        self.config = config
        self.model_config: ExportedModel = read_manifest(folder)
        self._tokenizer = _Tokenizer(folder / TOKENIZER_FILE, self.model_config)
        self._prompts = Prompts(self._tokenizer, self.model_config)
        more = [MEASURES] * self.model_config.region_measures
        more += [COLORS] * self.model_config.region_colors
        self._of_region = (FEATURES, *GEOMETRY, *more)
        threads = config.threads or int(self.model_config.is_small)
        self._steps = {
            step: _Step(folder / step_file(step), threads) for step in self.model_config.steps
        }

    @property
    def end_ids(self) -> Sequence[int]:
        """As `Steps`."""
        return self.model_config.end_ids

    def computing(self) -> AbstractContextManager[None]:
        """As `Steps`."""
        return nullcontext()

    def finish(self) -> None:
        """As `Steps`: the CPU is never behind."""

    def release(self) -> None:
        """As `Steps`: the CPU's memory is given back as it is freed."""

    def tokenize(self, text: str, regions: int) -> TokenRow:
        """As `Steps`."""
        conversation = [{"role": "user", "content": text}]
        return self._prompts.tokenize(conversation, True, regions, with_labels=False)

    def head_length(self, ids: Sequence[int]) -> int:
        """As `Steps`."""
        return self._prompts.head_length(ids)

    def text_of(self, token_ids: Sequence[int]) -> str:
        """As `Steps`."""
        return self._tokenizer.decode(token_ids)

    def encode(self, frame: RGBDFrame, head: Sequence[int], clock: StageClock) -> EncodedFrame:
        """As `Steps`; the head of the prompt is computed in the stage encode."""
        model = self.model_config
        with clock.stage("encode"):
            resized = resize_bilinear(frame.rgb, (model.image_size,) * 2)
            pixels = scaled(resized.transpose(2, 0, 1), model.rgb_range)[None]
            found = self._steps[ENCODE]({"pixels": pixels})
        foot = None
        if model.region_measures:
            foot = camera_foot(frame.depth, frame.intrinsics, frame.up, frame.camera_height)
        return EncodedFrame(frame, {RGB: found["cells"]}, ((found["prefix"],),), foot)

    def add_regions(self, encoded: EncodedFrame, ids: Sequence[int]) -> None:
        """As `Steps`."""
        masks = [encoded.frame.regions[id] for id in ids]
        model, frame = self.model_config, encoded.frame
        samples = region_samples(masks, frame.depth, frame.intrinsics, model.samples_per_region)
        seen = self._steps[SEE](
            {
                "samples": samples,
                "weights": self._weights(masks, encoded.frame.regions.image_size),
                "cells": encoded.image_tokens[RGB],
            }
        )
        variances, axes = np.linalg.eigh(seen["covariance"])
        seen |= {"variances": variances, "axes": axes}
        found = seen | self._steps[CODE](seen)
        if encoded.foot is not None:
            found |= self._steps[MEASURE]({"samples_and_foot": with_foot(samples, encoded.foot)})
        if model.region_colors:
            pixels = region_colors(masks, frame.rgb, model.samples_per_region)
            found |= self._steps[NAME]({"pixels_of_regions": pixels})
        for place, id in enumerate(ids):
            encoded.region_features[id] = {name: found[name][place] for name in self._of_region}

    def _weights(self, masks: Sequence[Region], image_size: tuple[int, int]) -> NDArray[np.float32]:
        """(R, G * G), weight of each cell of the refined grid under each mask."""
        model = self.model_config
        (image,) = read_batch([masks], [image_size])
        grid, mode = (model.refined_grid,) * 2, cast(Mode, model.mask_pooling)
        forms = cast(Sequence[MaskForm], image.forms)
        weights = np.concatenate([form_weights(form, grid, mode) for form in forms])
        without = np.flatnonzero(~(weights.sum(axis=(1, 2)) > 0))
        if model.empty_masks == "error" and without.size:
            raise empty_mask(int(without[0]), [image], mode)
        return weights.reshape(len(weights), -1)

    def begin(self, encoded: EncodedFrame, prompts: Sequence[Prompt], room: int) -> OnnxWriting:
        """As `Steps`."""
        lengths = np.array([len(prompt.token_ids) for prompt in prompts])
        ids = list(dict.fromkeys(id for prompt in prompts for id in prompt.region_ids))
        prefix = encoded.prefix[0][0]
        found = self._steps[READ](
            {
                "prefix": prefix,
                "lengths": lengths,
                **self._placed(prompts, {id: place for place, id in enumerate(ids)}),
                **self._regions(encoded, ids),
            }
        )
        return OnnxWriting(self._steps[WRITE], prefix, found, lengths, room)

    def _placed(self, prompts: Sequence[Prompt], place_of: dict[int, int]) -> Arrays:
        """Tokens of prompts, padded, and where their regions stand in them."""
        model = self.model_config
        ids = _padded([prompt.token_ids for prompt in prompts], 0)
        regions = _padded([[place_of[id] for id in item.region_ids] for item in prompts], 0, 1)
        counts = np.array([len(prompt.region_ids) for prompt in prompts])
        exists = np.arange(regions.shape[1]) < counts[:, None]
        is_rgb, is_depth = ids == model.mask_rgb_token_id, ids == model.mask_depth_token_id
        places = np.zeros_like(regions)
        places[exists] = np.nonzero(is_depth)[1]
        rgb_slots, depth_slots = np.full_like(ids, NOTHING), np.full_like(ids, NOTHING)
        rgb_slots[is_rgb] = regions[exists]
        depth_slots[is_depth] = np.nonzero(exists)[1]
        return {
            "ids": ids, "rgb_slots": rgb_slots, "depth_slots": depth_slots, "regions": regions,
            "places": places, "exists": exists,
        }  # fmt: skip

    def _regions(self, encoded: EncodedFrame, ids: Sequence[int]) -> Arrays:
        """What is known of regions; for none of them, of one that nothing names."""
        if not ids:
            return self._no_region
        known = [encoded.region_features[id] for id in ids]
        return {name: np.stack([of[name] for of in known]) for name in self._of_region}

    @property
    def _no_region(self) -> Arrays:
        shapes = self._steps[READ].shapes
        return {
            name: np.zeros((1, *shapes[name][1:]), bool if name == "counts" else np.float32)
            for name in self._of_region
        }


class OnnxWriting:
    """Implements `Writing`.

    Args:
        write: the step that writes a token.
        prefix: (2 L, 1, H, P, d).
        found: what the step before gave: first tokens, and keys and values of the prompts.
        lengths: (Q,) of the prompts.
        room: tokens that may follow.
    """

    def __init__(
        self,
        write: _Step,
        prefix: NDArray[np.float32],
        found: Arrays,
        lengths: NDArray[np.int64],
        room: int,
    ) -> None:
        self._write = write
        self._room = min(room, ROOM)
        prompts = found["keys_values"]
        head = np.broadcast_to(prefix, (*prompts.shape[:3], *prefix.shape[3:]))
        self._past = self._with_room(np.concatenate([head, prompts], axis=3))
        self._next = head.shape[3] + prompts.shape[3]
        self._positions = head.shape[3] + lengths
        is_seen = np.arange(self._past.shape[3] + 1) < self._positions[:, None]
        is_seen[:, -1] = True
        self._seen = np.where(is_seen, np.float32(0), NEVER_SEEN)
        self._choose(found)

    def go_on(self) -> None:
        """As `Writing`."""
        if self._next == self._past.shape[3]:
            self._past = self._with_room(self._past)
            unseen = np.full((len(self._seen), self._room), NEVER_SEEN)
            self._seen = np.concatenate([self._seen[:, :-1], unseen, self._seen[:, -1:]], axis=1)
        found = self._write(
            {
                "tokens": self.tokens,
                "positions": self._positions,
                "seen": self._seen,
                "past": self._past,
            }
        )
        self._past[:, :, :, self._next] = found["keys_values"][:, :, :, 0]
        self._seen[:, self._next] = 0
        self._next += 1
        self._positions = self._positions + 1
        self._choose(found)

    def _choose(self, found: Arrays) -> None:
        self.tokens = found["chosen"]
        self.probabilities = found["probabilities"]

    def _with_room(self, states: NDArray[np.float32]) -> NDArray[np.float32]:
        empty = np.zeros((*states.shape[:3], self._room, states.shape[4]), np.float32)
        return np.concatenate([states, empty], axis=3)


class _Step:
    """A file of ONNX Runtime, called with arrays by name; it takes those that it needs."""

    def __init__(self, path: Path, threads: int) -> None:
        runtime = require("onnxruntime", "onnx", "the runtime onnx needs onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Errors alone: at load it warns of every constant that it leaves as it is.
        options.log_severity_level = 3
        # A thread that waits for the next operator would keep a core busy.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = runtime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        self.shapes = {item.name: item.shape for item in self._session.get_inputs()}
        self._outputs = [item.name for item in self._session.get_outputs()]

    def __call__(self, arrays: Arrays) -> Arrays:
        inputs = {name: arrays[name] for name in self.shapes}
        return dict(zip(self._outputs, self._session.run(self._outputs, inputs), strict=True))


class _Tokenizer:
    """Implements `ChatTokenizer` for a single question."""

    def __init__(self, path: Path, model: ExportedModel) -> None:
        library = require("tokenizers", "onnx", "the runtime onnx needs tokenizers")
        self._tokenizer = library.Tokenizer.from_file(str(path))
        self._model = model

    def encode(self, text: str) -> list[int]:
        """As `ChatTokenizer`."""
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, token_ids: Iterable[int]) -> str:
        """Words without control tokens."""
        return self._tokenizer.decode(list(token_ids), skip_special_tokens=True).strip()

    def render(self, messages: Sequence[Message], opens_answer: bool) -> str:
        """As `ChatTokenizer`."""
        (message,) = messages
        before, behind, opening = self._model.turn
        return before + message["content"] + behind + (opening if opens_answer else "")

    def special_tokens(self) -> set[str]:
        """As `ChatTokenizer`."""
        return set(self._model.special_tokens)


def check_config(config: EngineConfig) -> None:
    """Refuse what ONNX Runtime does not do here.

    Raises:
        ValueError: naming the field.
    """
    if config.device not in ("auto", "cpu"):
        raise ValueError(f"the runtime onnx computes on the CPU, got device {config.device!r}")
    if config.dtype != "float32":
        raise ValueError(f"the runtime onnx computes in float32, got dtype {config.dtype!r}")


def _padded(rows: Sequence[Sequence[int]], filler: int, least: int = 0) -> NDArray[np.int64]:
    """(rows, longest) of rows of different lengths, filled up behind."""
    length = max(least, *(len(row) for row in rows))
    return np.array([[*row, *[filler] * (length - len(row))] for row in rows], dtype=np.int64)
