"""Converts images, depth, masks and questions to the tensors that SmolRGPT takes.

The same preprocessing serves training and inference; every value that steers it stands in the
model's `config.json`, which is why the processor reads and writes that file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoTokenizer, BatchFeature, ProcessorMixin
from transformers.utils import CONFIG_NAME

from smolrgpt_core.errors import SpatialError, Status, bad_input, bad_question
from smolrgpt_core.frame import CameraIntrinsics
from smolrgpt_core.kernels.masks import LabelImage, MasksOfImage
from smolrgpt_core.language import MASK
from smolrgpt_core.model.configuration_smolrgpt import SmolRGPTConfig
from smolrgpt_core.model.point_map.code import WAREHOUSE
from smolrgpt_core.model.point_map.points import depth_point_map, model_points, resized_point_map
from smolrgpt_core.model.region_inputs import region_weights
from smolrgpt_core.model_inputs.images import (
    as_array,
    as_depth,
    in_meters,
    metric_view,
    resize_bilinear,
    resize_nearest,
    scaled,
)
from smolrgpt_core.model_inputs.prompts import (
    IGNORED_LABEL,
    Message,
    Prompts,
    TokenRow,
    add_prompt_tokens,
)
from smolrgpt_core.model_inputs.region_colors import IMAGE, region_colors
from smolrgpt_core.model_inputs.region_samples import AROUND, camera_foot, region_samples, with_foot

_ROLES = ("system", "user", "assistant")
_HUB_ARGUMENTS = ("cache_dir", "force_download", "local_files_only", "revision", "token")
_CHECKED_FIELDS = (
    "image_size",
    *SmolRGPTConfig.__annotations__.keys() - {"vision_config", "text_config"},
)


class SmolRGPTProcessor(ProcessorMixin):
    """Images, depth, masks and conversations to a batch of tensors.

    Example:
        >>> processor = SmolRGPTProcessor.from_pretrained("my-checkpoint")
        >>> batch = processor(rgb, "How far is <mask> from <mask>?", depth, [mask_a, mask_b])
        >>> ids = model.generate(**batch, max_new_tokens=40)
        >>> processor.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)

    Args:
        tokenizer: of the language model. Placeholders that it lacks are added to it, its padding
            goes to the left, and its chat template becomes the configuration's.
        config: the model's configuration.

    Raises:
        ValueError: when the tokenizer gives a placeholder another id than the configuration.
    """

    def __init__(self, tokenizer: Any, config: SmolRGPTConfig) -> None:
        config.check_fields()
        self.config = config
        _add_placeholders(tokenizer, config)
        add_prompt_tokens(tokenizer, config.prompt_tokens)
        tokenizer.padding_side = "left"
        tokenizer.chat_template = config.chat_template
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token
        super().__init__(tokenizer, chat_template=config.chat_template)

    @classmethod
    def from_pretrained(  # type: ignore[override]
        cls, pretrained_model_name_or_path: Any, **kwargs: Any
    ) -> SmolRGPTProcessor:
        """From a folder or hub id that holds `config.json` and the tokenizer's files.

        Raises:
            OSError: when there is no `config.json`.
            ValueError: when there is no tokenizer.
        """
        hub = {name: kwargs[name] for name in _HUB_ARGUMENTS if kwargs.get(name) is not None}
        config = SmolRGPTConfig.from_pretrained(pretrained_model_name_or_path, **hub)
        try:
            tokenizer = AutoTokenizer.from_pretrained(pretrained_model_name_or_path, **hub)
        except ValueError as error:
            raise ValueError(
                f"{pretrained_model_name_or_path} has no readable tokenizer "
                f"({str(error).splitlines()[0]}); save it next to the model with "
                "SmolRGPTProcessor.save_pretrained"
            ) from error
        return cls(tokenizer, config)

    def save_pretrained(  # type: ignore[override]
        self, save_directory: Any, **kwargs: Any
    ) -> Any:
        """Write the tokenizer and, unless the model has written it, `config.json`.

        Raises:
            ValueError: when the folder's `config.json` differs from `self.config`.
        """
        if not Path(save_directory, CONFIG_NAME).exists():
            self.config.save_pretrained(save_directory)
        saved = SmolRGPTConfig.from_pretrained(save_directory)
        differing = [
            name for name in _CHECKED_FIELDS if getattr(saved, name) != getattr(self.config, name)
        ]
        if differing:
            raise ValueError(
                f"{save_directory} has a {CONFIG_NAME} that differs from the processor's "
                f"configuration in {', '.join(differing)}; save model and processor with one "
                "configuration"
            )
        return super().save_pretrained(save_directory, **kwargs)

    def to_dict(self) -> dict[str, Any]:
        """What `processor_config.json` holds: no value that `config.json` holds."""
        values = super().to_dict()
        values.pop("config", None)
        return values

    @property
    def model_input_names(self) -> list[str]:
        """Keys of a batch."""
        return [
            "input_ids", "attention_mask", "pixel_values", "depth_values", "point_values",
            "region_masks", "region_samples", "region_colors", "question_ids",
        ]  # fmt: skip

    def __call__(
        self,
        images: Any,
        text: str | Sequence[Any],
        depth: Any = None,
        masks: Any = None,
        intrinsics: Any = None,
        *,
        return_labels: bool = False,
        padding_side: str = "left",
        return_tensors: str = "pt",
    ) -> BatchFeature:
        """A batch for `SmolRGPTForConditionalGeneration`.

        Args:
            images: the image of one conversation, or a list of one for each: uint8 (H, W, 3)
                arrays in RGB order, or PIL images. None for text alone.
            text: one conversation: a question, or a list of messages {"role", "content"} that ends
                with the user's (to be answered) or the assistant's (to train on). Or a list of B
                conversations; then the other arguments are lists of B as well. Each `<mask>`
                stands for one mask, in order over the whole conversation.
            depth: depth images aligned to `images`, needed where there are masks: uint8 (H, W) as
                the model was trained on, other integers in units of `config.depth_unit_m`, or
                floats in meters; 0, NaN and infinity = no reading.
            masks: the masks of an image, see `prepare_masks`.
            intrinsics: `CameraIntrinsics` of an image, for masks with the depth branch "metric".
            return_labels: add `labels`: the ids of the assistant's answers, -100 elsewhere.
            padding_side: "left" for generation, or "right".
            return_tensors: "pt", there is no other kind.

        Returns:
            input_ids, attention_mask (B, T) int64; pixel_values, depth_values float32 (B, 3, S, S)
            where there are images and depth; region_masks, a list of B float32 (M_i, G, G) on the
            refined grid, where there are images; labels (B, T) int64 if asked for. With the depth
            branch "metric" no depth_values, but question_ids (B, T) and region_samples, B float32
            (M_i, K, 3); with `config.region_colors` region_colors, B float32 (M_i, K, 3); with
            `config.point_fusion` point_values (B, 4, S, S).

        Raises:
            SpatialError: BAD_QUESTION for a text that cannot be asked, BAD_INPUT for an image,
                depth or mask that cannot be used, NO_DEPTH and NO_VALID_DEPTH for masks without.
            ValueError: when the lists have different lengths.
        """
        if return_tensors != "pt":
            raise ValueError(f'return_tensors must be "pt", got {return_tensors!r}')
        visuals: list[Any] = [images, depth, masks, intrinsics]
        if _is_one_conversation(text):
            text = [text]
            visuals = [None if item is None else [item] for item in visuals]
        return self._batch(text, visuals, return_labels, padding_side)

    def _batch(
        self, texts: Sequence[Any], visuals: Sequence[Any], return_labels: bool, padding_side: str
    ) -> BatchFeature:
        """The batch of several conversations; `visuals` are the arguments of `prepare_images`."""
        conversations = [_as_conversation(item) for item in texts]
        if not conversations:
            raise bad_question("there is no question; give one text for each image")
        images, depth, masks, intrinsics = visuals
        batch = self.prepare_images(images, depth, masks, intrinsics, len(conversations))
        counts = [len(item) for item in batch.get("region_masks", [()] * len(conversations))]
        rows = [
            self.tokenize(conversation, images is not None, count, return_labels)
            for conversation, count in zip(conversations, counts, strict=True)
        ]
        return BatchFeature({**self._pad(rows, padding_side, return_labels), **batch})

    def prepare_image(self, image: Any) -> torch.Tensor:
        """Pixels float32 (3, S, S) in `config.rgb_range` of one RGB image (H, W, 3)."""
        pixels = _as_rgb(image)
        resized = resize_bilinear(pixels, (self.config.image_size,) * 2)
        return torch.from_numpy(scaled(resized.transpose(2, 0, 1), self.config.rgb_range))

    def prepare_depth(self, depth: Any) -> torch.Tensor:
        """Pixels float32 (3, S, S) in `config.depth_range` of one depth image (H, W).

        Raises:
            SpatialError: BAD_INPUT for an array that is no depth image or has a wrong unit,
                NO_VALID_DEPTH for metric depth without a single reading.
        """
        levels = self._depth_levels(as_depth(depth))
        size = (self.config.image_size,) * 2
        if self.config.depth_resampling == "nearest":
            resized = resize_nearest(levels, size)
        else:
            resized = resize_bilinear(levels, size)
        levels = np.broadcast_to(resized, (3, *size))
        return torch.from_numpy(scaled(levels, self.config.depth_range))

    def prepare_masks(
        self, masks: Sequence[Any], image_sizes: Sequence[tuple[int, int]]
    ) -> list[torch.Tensor]:
        """Masks resized to the refined grid: float32 (M_i, G, G) for each image.

        Args:
            masks: for each image, in any form that `smolrgpt_core.kernels` takes, an instance
                image (H, W) of integers (ids in ascending order, 0 = background), or None.
            image_sizes: (height, width) of each image, which its masks must have.

        Raises:
            SpatialError: BAD_INPUT for a mask of another size or form, and for masks that cover no
                cell of the grid while `config.empty_masks` is "error".
        """
        return region_weights([_as_masks(item) for item in masks], self.config, image_sizes)

    def prepare_samples(
        self, masks: Any, depth: Any, intrinsics: CameraIntrinsics | None
    ) -> torch.Tensor:
        """Rays and depths float32 (M, K, 3) under the masks of one image, see `region_samples`.

        Raises:
            SpatialError: BAD_INPUT when the calibration is missing or for another size, or the
                depth is an image without a unit; NO_DEPTH when there is none.
        """
        masks = _as_masks(masks)
        if not len(masks):
            more = int(self.config.region_measures)
            return torch.zeros(0, self.config.samples_per_region + AROUND + more, 3)
        meters, camera = self.metric_view(depth, intrinsics)
        samples = region_samples(masks, meters, camera, self.config.samples_per_region)
        if self.config.region_measures:
            samples = with_foot(samples, camera_foot(meters, camera))
        return torch.from_numpy(samples)

    def prepare_colors(self, masks: Any, rgb: NDArray[np.uint8]) -> torch.Tensor:
        """Colors float32 (M, K, 3) of the pixels of one image under its masks, and around them.

        Raises:
            SpatialError: BAD_INPUT for a mask of another size, or without a pixel.
        """
        masks, count = _as_masks(masks), self.config.samples_per_region
        if not len(masks):
            return torch.zeros(0, count + AROUND + IMAGE, 3)
        return torch.from_numpy(region_colors(masks, rgb, count))

    def prepare_points(self, depth: Any, intrinsics: CameraIntrinsics | None) -> torch.Tensor:
        """The point map float32 (4, S, S) of one image for `config.point_fusion`.

        Meters, and whether there is a reading.

        Raises:
            SpatialError: as `prepare_samples`.
        """
        points = depth_point_map(*self.metric_view(depth, intrinsics))
        size = self.config.image_size
        return model_points(resized_point_map(points, size, size), WAREHOUSE)

    def metric_view(
        self, depth: Any, intrinsics: CameraIntrinsics | None
    ) -> tuple[NDArray[np.float32], CameraIntrinsics]:
        """Depth (H, W) in meters, NaN = no reading, and its calibration.

        Raises:
            SpatialError: as `prepare_samples`.
        """
        return metric_view(depth, intrinsics, self.config.depth_unit_m)

    def prompt(self, conversation: Sequence[Message], with_image: bool, regions: int) -> str:
        """The text that the model reads, placeholders written out.

        It ends with the opening of the assistant's turn unless the last message is the
        assistant's.

        Args:
            conversation: messages with `<mask>` for regions.
            with_image: whether the first user's turn opens with the image tokens.
            regions: number of masks.

        Raises:
            SpatialError: BAD_QUESTION when a message is empty, holds a special token, or the
                number of `<mask>` is not the number of regions.
        """
        return self._prompts.prompt(conversation, with_image, regions)

    def turn(self) -> tuple[str, str, str]:
        """The texts before and after a user's only message, and the one that opens the answer."""
        tokenizer = _ChatTokenizer(self.tokenizer)
        message = [{"role": "user", "content": MASK}]
        turn, opened = (tokenizer.render(message, opens_answer=opens) for opens in (False, True))
        before, _, behind = turn.partition(MASK)
        return before, behind, opened.removeprefix(turn)

    def special_tokens(self) -> set[str]:
        """Every text that becomes a token with a meaning of its own."""
        return _ChatTokenizer(self.tokenizer).special_tokens()

    @property
    def _prompts(self) -> Prompts:
        return Prompts(_ChatTokenizer(self.tokenizer), self.config)

    def _depth_levels(self, depth: NDArray) -> NDArray[np.uint8]:
        """Gray levels (H, W) of a depth image: 8-bit as it is, others from meters."""
        if depth.dtype == np.uint8:
            return depth
        meters = in_meters(depth, self.config.depth_unit_m)
        valid = np.isfinite(meters)
        if not valid.any():
            raise SpatialError(
                Status.NO_VALID_DEPTH,
                "the depth image has no reading at all (only zero, NaN or infinity); check the "
                "depth camera",
            )
        fractions = np.where(valid, meters, 0) / self.config.depth_limit_m
        return np.rint(np.minimum(fractions, 1) * 255).astype(np.uint8)

    def prepare_images(
        self, images: Any, depth: Any, masks: Any, intrinsics: Any, batch_size: int
    ) -> dict[str, Any]:
        """Pixels and masks of a batch, as `__call__` takes and returns them; nothing for text.

        Args:
            images: of the batch; None: only text.
            depth: one depth image for each image.
            masks: masks (M, H, W) for each image.
            intrinsics: calibration of each image.
            batch_size: number of texts.

        Raises:
            SpatialError: NO_RGB for depth or masks without images, NO_DEPTH for masks without
                depth; BAD_INPUT for any other input that does not fit.
        """
        if images is None:
            if depth is not None or masks is not None:
                raise SpatialError(Status.NO_RGB, "depth or masks came without images; give both")
            return {}
        colors = [_as_rgb(image) for image in _of_length("images", images, batch_size)]
        nothing = [None] * batch_size
        mask_lists = _of_length("masks", nothing if masks is None else masks, batch_size)
        depths = _of_length("depth", nothing if depth is None else depth, batch_size)
        cameras = _of_length("intrinsics", intrinsics or nothing, batch_size)
        sizes = [(rgb.shape[0], rgb.shape[1]) for rgb in colors]
        for item, size in zip(depths, sizes, strict=True):
            _check_aligned(item, size)
        batch: dict[str, Any] = {
            "pixel_values": torch.stack([self.prepare_image(rgb) for rgb in colors]),
            "region_masks": self.prepare_masks(mask_lists, sizes),
        }
        if depth is None and any(len(item) for item in batch["region_masks"]):
            raise SpatialError(Status.NO_DEPTH, "masks need a depth image beside the RGB image")
        if self.config.region_colors:
            batch["region_colors"] = list(map(self.prepare_colors, mask_lists, colors))
        return {**batch, **self._prepare_depths(depths, mask_lists, cameras)}

    def _prepare_depths(
        self,
        depths: Sequence[Any],
        masks: Sequence[Any],
        cameras: Sequence[CameraIntrinsics | None],
    ) -> dict[str, Any]:
        """What the depth branch takes."""
        if self.config.depth_branch == "image":
            if any(depth is None for depth in depths):
                return {}
            return {"depth_values": torch.stack([self.prepare_depth(depth) for depth in depths])}
        views = list(zip(depths, cameras, strict=True))
        batch: dict[str, Any] = {
            "region_samples": [
                self.prepare_samples(of_image, *view)
                for of_image, view in zip(masks, views, strict=True)
            ]
        }
        if self.config.point_fusion:
            batch["point_values"] = torch.stack([self.prepare_points(*view) for view in views])
        return batch

    def tokenize(
        self, conversation: Sequence[Message], with_image: bool, regions: int, with_labels: bool
    ) -> TokenRow:
        """Tokens of one conversation, see `Prompts.tokenize`.

        Raises:
            SpatialError: BAD_QUESTION.
        """
        return self._prompts.tokenize(conversation, with_image, regions, with_labels)

    def head_length(self, ids: Sequence[int]) -> int:
        """Number of tokens up to the last image token, which no question changes."""
        return self._prompts.head_length(ids)

    def _pad(
        self, rows: Sequence[TokenRow], side: str, with_labels: bool
    ) -> dict[str, torch.Tensor]:
        """Tensors (B, T) of rows of different lengths."""
        if side not in ("left", "right"):
            raise ValueError(f"padding_side must be left or right, got {side!r}")
        ids = [row.ids for row in rows]
        batch = {
            "input_ids": stack_rows(ids, self.tokenizer.pad_token_id, side),
            "attention_mask": stack_rows([[1] * len(row) for row in ids], 0, side),
        }
        if with_labels:
            batch["labels"] = stack_rows([row.labels for row in rows], IGNORED_LABEL, side)
        if self.config.depth_branch == "metric":
            batch["question_ids"] = stack_rows([row.question_ids for row in rows], 0, side)
        return batch


def stack_rows(rows: Sequence[Sequence[Any]], filler: Any, side: str = "right") -> torch.Tensor:
    """(B, T) of rows of different lengths, filled up on one side; int64 for whole numbers.

    Args:
        rows: B rows of numbers, or of equally many numbers each.
        filler: what fills short rows.
        side: "right" or "left", where they are filled.
    """
    length = max(len(row) for row in rows)
    fillers = [[filler] * (length - len(row)) for row in rows]
    pairs = zip(fillers, rows, strict=True)
    return torch.tensor([[*f, *r] if side == "left" else [*r, *f] for f, r in pairs])


def _check_aligned(depth: Any, size: tuple[int, int]) -> None:
    """Refuse depth that is not of its image's (height, width)."""
    if depth is not None and as_depth(depth).shape != size:
        raise bad_input(
            f"depth must be aligned to its image of (height, width) {size}, got "
            f"{as_depth(depth).shape}"
        )


def _as_masks(masks: Any) -> MasksOfImage:
    """The masks of one image in a form of the kernels: instance images get their ids."""
    if masks is None:
        return []
    if isinstance(masks, (np.ndarray, torch.Tensor)) and masks.ndim == 2:
        labels = as_array(masks)
        return LabelImage(labels, [int(id) for id in np.unique(labels) if id != 0])
    return masks


class _ChatTokenizer:
    """Implements `ChatTokenizer` with a tokenizer of transformers."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer

    def encode(self, text: str) -> list[int]:
        """As `ChatTokenizer`."""
        return self._tokenizer(text, add_special_tokens=False)["input_ids"]

    def render(self, messages: Sequence[Message], opens_answer: bool) -> str:
        """As `ChatTokenizer`."""
        return self._tokenizer.apply_chat_template(
            list(messages), tokenize=False, add_generation_prompt=opens_answer
        )

    def special_tokens(self) -> set[str]:
        """As `ChatTokenizer`."""
        added = self._tokenizer.added_tokens_decoder.values()
        return {*self._tokenizer.all_special_tokens, *(str(token) for token in added)}


def _is_one_conversation(text: Any) -> bool:
    """Whether this is a question or a list of messages, not a list of such."""
    return isinstance(text, (str, Mapping)) or any(isinstance(item, Mapping) for item in text)


def _as_conversation(text: Any) -> Sequence[Message]:
    """Messages of a question or a list of messages, with their types checked."""
    messages = [{"role": "user", "content": text}] if isinstance(text, str) else text
    if isinstance(messages, Mapping):
        messages = [messages]
    for message in messages:
        if not isinstance(message, Mapping) or not isinstance(message.get("content"), str):
            raise bad_question(
                'a message must be {"role": ..., "content": text}, got '
                f"{type(message).__name__} {message!r}"[:300]
            )
        if message.get("role") not in _ROLES:
            raise bad_question(f"role must be one of {_ROLES}, got {message.get('role')!r}")
    return messages


def _as_rgb(image: Any) -> NDArray[np.uint8]:
    """uint8 (H, W, 3) of an array, tensor or PIL image."""
    if hasattr(image, "convert"):
        image = image.convert("RGB")
    pixels = as_array(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise bad_input(
            f"an image must be uint8 (height, width, 3) in RGB order, got {pixels.dtype} "
            f"{pixels.shape}"
        )
    return pixels


def _of_length(name: str, values: Any, length: int) -> Sequence[Any]:
    if len(values) != length:
        raise ValueError(
            f"{name} must be a list with one entry for each of the {length} texts, got "
            f"{len(values)}"
        )
    return values


def _add_placeholders(tokenizer: Any, config: SmolRGPTConfig) -> None:
    """Give the tokenizer the three placeholders, and check their ids."""
    wanted = {
        config.image_token: config.image_token_id,
        config.mask_rgb_token: config.mask_rgb_token_id,
        config.mask_depth_token: config.mask_depth_token_id,
    }
    vocabulary = tokenizer.get_vocab()
    missing = [token for token in wanted if token not in vocabulary]
    if missing:
        tokenizer.add_tokens(missing, special_tokens=True)
    found = {token: tokenizer.convert_tokens_to_ids(token) for token in wanted}
    if found != wanted:
        raise ValueError(
            f"the tokenizer gives the placeholders the ids {found}, the configuration says "
            f"{wanted}; use the tokenizer that the checkpoint was trained with"
        )
