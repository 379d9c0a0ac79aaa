"""Asks a point-map model, as `InferenceEngine` asks SmolRGPT.

A region of a question is named by its class and the color of a box that is drawn into the image,
so each question has an image of its own; what is computed once for a frame is its points.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import torch
from transformers import StoppingCriteria, StoppingCriteriaList

from smolrgpt_core.answerer_settings import INT8
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference.config import AnswerStyle, EngineConfig
from smolrgpt_core.inference.engine import EngineAnswer, EngineQuestion, text_and_regions
from smolrgpt_core.inference.greedy import DECODE, Decoded, cut_at_end
from smolrgpt_core.inference.int8_linear import check_int8, quantize_language_model
from smolrgpt_core.inference.stage_clock import StageClock
from smolrgpt_core.inference.torch_steps import end_ids, forbidden_ids, without_tokens
from smolrgpt_core.inference.torch_threads import threads_of, torch_threads
from smolrgpt_core.model.point_map import PointMapConfig
from smolrgpt_core.model.point_map.modeling import (
    GRIDS,
    EncodedPoints,
    PointMapForConditionalGeneration,
)
from smolrgpt_core.model.point_map.points import frame_point_map
from smolrgpt_core.model.point_map.processing import PointMapProcessor
from smolrgpt_core.model_inputs.regions_in_words import Box, named_regions
from smolrgpt_core.object_classes import label_noun
from smolrgpt_core.torch_device import finish

Prompt = tuple[str, list[Box], float]
"""A question in words, the boxes of its regions in pixels, and its deadline."""


class PointMapEngine:
    """Answers questions about frames; safe to use from several threads, which take turns.

    Args:
        model: is taken over: moved to the device and type of the configuration.
        processor: of the same checkpoint.
        config: how to compute.
    """

    def __init__(
        self,
        model: PointMapForConditionalGeneration,
        processor: PointMapProcessor,
        config: EngineConfig | None = None,
    ) -> None:
        self.config = config or EngineConfig()
        self.processor = processor
        self._device = self.config.torch_device()
        self.model = model.eval()
        torch.nn.Module.to(self.model, self._device, self.config.torch_dtype())
        self._threads = threads_of(self.model, self.config.threads)
        if self.config.dtype == INT8:
            check_int8(self._device)
            quantize_language_model(self.model)
        self._finish = partial(finish, self._device)
        self._cached: tuple[RGBDFrame, EncodedPoints | None] | None = None
        self._lock = Lock()

    @classmethod
    def from_pretrained(
        cls, checkpoint: str | Path, config: EngineConfig | None = None
    ) -> PointMapEngine:
        """An engine with a checkpoint of this library, from a folder or a hub id.

        Raises:
            OSError: when there is no such checkpoint, or a file of it cannot be read.
            ValueError: when its weights do not fit its configuration.
        """
        config = config or EngineConfig()
        model = PointMapForConditionalGeneration.from_pretrained(
            checkpoint, dtype=config.torch_dtype()
        )
        return cls(model, PointMapProcessor.from_pretrained(checkpoint), config)

    @property
    def model_config(self) -> PointMapConfig:
        """The configuration of the checkpoint: `answers`, `answer_style` and more."""
        return self.model.config

    def prepare(self, frame: RGBDFrame) -> dict[str, float]:
        """Encode the points of a frame ahead of its questions.

        Args:
            frame: with its regions.

        Returns:
            Seconds by stage: wait, and encode unless the frame is cached.

        """
        clock = StageClock(self._finish)
        with clock.turn(self._lock), torch_threads(self._threads), torch.inference_mode():
            self._points_of(frame, clock)
        return clock.latency_s

    def ask_each(
        self,
        questions: Sequence[EngineQuestion],
        style: str = "short",
        *,
        frame: RGBDFrame,
        deadlines: Sequence[float] | None = None,
    ) -> list[EngineAnswer | SpatialError]:
        """An answer or an error for each question; one that cannot be asked spoils no other.

        Args:
            questions: what to ask.
            style: "short" or "sentence", as the configuration describes them.
            frame: to ask about.
            deadlines: one for each question, by `time.monotonic()`, in seconds.

        Raises:
            ValueError: for an unknown style, or a deadline that is NaN.
            SpatialError: TIMEOUT when all are late.
        """
        clock = StageClock(self._finish, deadlines=deadlines)
        chosen = self.config.style(style)
        with clock.turn(self._lock), torch_threads(self._threads), torch.inference_mode():
            with clock.stage("text"):
                asked = [
                    self._prompt_or_error(question, frame, chosen, deadline)
                    for question, deadline in zip(
                        questions, clock.deadlines(len(questions)), strict=True
                    )
                ]
            prompts = [item for item in asked if not isinstance(item, SpatialError)]
            answers = iter(self._answers(prompts, frame, chosen.max_new_tokens, clock))
        return [item if isinstance(item, SpatialError) else next(answers) for item in asked]

    def clear(self) -> None:
        """Forget the cached frame, and release its memory on the device."""
        with self._lock:
            self._cached = None
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _prompt_or_error(
        self, question: EngineQuestion, frame: RGBDFrame, style: AnswerStyle, deadline: float
    ) -> Prompt | SpatialError:
        try:
            text, region_ids = text_and_regions(question)
            regions = [frame.regions[id] for id in region_ids]
            words = named_regions(text, [label_noun(region.label) for region in regions])
            # Refuses control tokens here, where no other question is spoiled.
            self.processor.check_text(words)
        except SpatialError as error:
            return error
        boxes = [
            (float(box.x), float(box.y), float(box.x + box.width), float(box.y + box.height))
            for box in (region.box for region in regions)
        ]
        return style.write(words), boxes, deadline

    def _points_of(self, frame: RGBDFrame, clock: StageClock) -> EncodedPoints | None:
        """Encoded points of a frame; a frame is known by its identity."""
        if self.model.config.points == "none":
            return None
        if self._cached is None or self._cached[0] is not frame:
            with clock.stage("encode"):
                pixels, sizes = self.processor.prepare_images([frame.rgb])
                points = self.processor.prepare_points([frame_point_map(frame)], sizes)
                moved = torch.stack(list(points)).to(self._device)
                self._cached = (frame, self.model.encode_points(moved, pixels.get(GRIDS)))
        return self._cached[1]

    def _answers(
        self, prompts: Sequence[Prompt], frame: RGBDFrame, max_new_tokens: int, clock: StageClock
    ) -> list[EngineAnswer | SpatialError]:
        """Answers to all prompts, as many at a time as go together."""
        answers: list[EngineAnswer | SpatialError] = []
        for first in range(0, len(prompts), self.config.max_batch):
            batch = prompts[first : first + self.config.max_batch]
            decoded = self._decoded(batch, frame, max_new_tokens, clock)
            answers += [self._written(item, clock) for item in decoded]
        return answers

    def _decoded(
        self, prompts: Sequence[Prompt], frame: RGBDFrame, max_new_tokens: int, clock: StageClock
    ) -> list[Decoded | SpatialError]:
        """What the model writes to prompts that are computed together."""
        encoded = self._points_of(frame, clock)
        with clock.stage(DECODE):
            batch = self.processor(
                [frame.rgb] * len(prompts),
                [text for text, _, _ in prompts],
                boxes=[boxes for _, boxes, _ in prompts],
            )
            inputs = {
                name: value.to(
                    self._device, self.model.dtype if value.is_floating_point() else None
                )
                for name, value in batch.items()
            }
            ends = torch.tensor(end_ids(self.model), dtype=torch.long, device=self._device)
            late = _EndLate(clock, [deadline for _, _, deadline in prompts], ends, max_new_tokens)
            written = self.model.generate(
                **inputs,
                point_values=None if encoded is None else encoded.repeated(len(prompts)),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                return_dict_in_generate=True,
                output_logits=True,
                stopping_criteria=StoppingCriteriaList([late]),
            )
        tokens = written.sequences[:, inputs["input_ids"].shape[1] :]
        logits = torch.stack(written.logits, dim=1).float()  # (B, new, V)
        logits = without_tokens(logits, forbidden_ids(self.model))
        probabilities = logits.softmax(dim=-1).gather(2, tokens[..., None])[..., 0]
        decoded = cut_at_end(tokens, probabilities, ends.tolist())
        return [late.errors.get(row, item) for row, item in enumerate(decoded)]

    def _written(
        self, decoded: Decoded | SpatialError, clock: StageClock
    ) -> EngineAnswer | SpatialError:
        if isinstance(decoded, SpatialError):
            return decoded
        return EngineAnswer(
            self.processor.decode(decoded.token_ids),
            decoded.token_ids,
            decoded.probabilities,
            decoded.complete,
            dict(clock.latency_s),
        )


class _EndLate(StoppingCriteria):
    """Ends the rows whose deadline has passed.

    Args:
        clock: knows what is late.
        deadlines: of each row.
        ends: ids of tokens that end an answer: a row that has one is not late any more.
        max_new_tokens: for the message.
    """

    def __init__(
        self,
        clock: StageClock,
        deadlines: Sequence[float],
        ends: torch.Tensor,
        max_new_tokens: int,
    ) -> None:
        self.errors: dict[int, SpatialError] = {}
        self._clock = clock
        self._deadlines = deadlines
        self._ends = ends
        self._limit = max_new_tokens
        self._tokens = 0

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Which rows (B,) end here."""
        self._tokens += 1
        progress = f"{self._tokens} of at most {self._limit} tokens"
        ended = torch.isin(input_ids[:, -self._tokens :], self._ends).any(dim=1).tolist()
        for row, deadline in enumerate(self._deadlines):
            if ended[row]:
                continue
            error = self._clock.lateness(deadline, DECODE, progress)
            if error:
                self.errors.setdefault(row, error)
        return torch.tensor(
            [row in self.errors for row in range(len(input_ids))], device=input_ids.device
        )
