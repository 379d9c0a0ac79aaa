"""Asks the model: encode a frame once, then ask any number of questions about it.

The engine knows frames, questions and tokens, and no meaning of an answer:
`smolrgpt_core.answerers.model` reads answers. It computes what `model.generate` computes, question
by question, without doing anything twice: both images and the head of the prompt (chat header and
image tokens) go through the model once for each frame, regions once for each frame that they are
asked about in, and questions that are asked together are decoded together.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, cast

from smolrgpt_core.errors import SpatialError, bad_question
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.inference.config import AnswerStyle, EngineConfig
from smolrgpt_core.inference.frame_cache import EncodedFrame, FrameCache
from smolrgpt_core.inference.greedy import DECODE, Decoded, decode_greedily
from smolrgpt_core.inference.loading import load_steps
from smolrgpt_core.inference.stage_clock import StageClock
from smolrgpt_core.inference.steps import Prompt, Steps
from smolrgpt_core.language import SpatialQuestion

PROMPT = "prompt"

EngineQuestion = SpatialQuestion | tuple[str, Sequence[int]] | str
"""A question, or its text with the region ids of its `<mask>`, or a text without regions."""


@dataclass(frozen=True)
class EngineAnswer:
    """What the model wrote.

    Attributes:
        text: without control tokens.
        token_ids: all new tokens, with the end token if the answer came to it.
        probabilities: of each of them, when it was chosen.
        complete: whether the answer came to its end before the limit of tokens.
        latency_s: seconds by stage of the call that answered, the same for all its questions:
            wait (for other threads), text, encode and prefix (unless the frame is kept from
            before), regions, prompt, decode.
    """

    text: str
    token_ids: tuple[int, ...]
    probabilities: tuple[float, ...]
    complete: bool
    latency_s: Mapping[str, float]

    @property
    def confidence(self) -> float:
        """Geometric mean of the tokens' probabilities, 0 to 1.

        It is not calibrated: it orders the answers of one model to one kind of question, but is not
        the fraction of them that is correct.
        """
        logarithms = [math.log(probability) for probability in self.probabilities]
        return math.exp(sum(logarithms) / len(logarithms))


class InferenceEngine:
    """Answers questions about frames; safe to use from several threads, which take turns.

    Example:
        >>> engine = InferenceEngine.from_pretrained("my-checkpoint")
        >>> engine.set_frame(frame)
        >>> engine.ask([("How far is <mask> from <mask>?", (7, 2)), ("What is <mask>?", (7,))])

    Args:
        steps: what computes, with the model.

    Raises:
        ValueError: when the chat template writes questions before the image tokens, or the
            language model does not attend to all earlier tokens.
    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self.config = steps.config
        self.head = self._tokens_of_head()
        self._cache = FrameCache(self.config.cache_bytes, self.config.cache_frames)
        self._frame: RGBDFrame | None = None
        self._lock = Lock()

    @classmethod
    def from_pretrained(
        cls, checkpoint: str | Path, config: EngineConfig | None = None
    ) -> InferenceEngine:
        """An engine with a checkpoint of this library, from a folder or a hub id.

        Raises:
            OSError: when there is no such checkpoint, or a file of it cannot be read.
            ValueError: when its weights do not fit its configuration; for a runtime that cannot
                compute it.
            ImportError: when the runtime is not installed.
            SpatialError: BAD_INPUT when a file of an exported folder cannot be used.
        """
        return cls(load_steps(checkpoint, config or EngineConfig()))

    @property
    def model_config(self) -> Any:
        """The configuration of the checkpoint: at least `answers` and `answer_style`."""
        return self.steps.model_config

    def set_frame(self, frame: RGBDFrame, deadline_s: float | None = None) -> dict[str, float]:
        """Encode a frame; questions are about it until another one is set.

        A frame is known by its identity and must not be changed afterwards. If it cannot be
        encoded, no frame is set, so that no question is answered from another image.

        Args:
            frame: with its regions.
            deadline_s: seconds from now.

        Returns:
            Seconds by stage: wait, and encode and prefix unless the frame is cached.

        Raises:
            SpatialError: BAD_INPUT or NO_VALID_DEPTH as of the processor, TIMEOUT.
        """
        clock = StageClock(self.steps.finish, deadline_s)
        with clock.turn(self._lock), self.steps.computing():
            self._frame = None
            self._encoded(frame, clock)
            self._frame = frame
        return clock.latency_s

    def prepare(self, frame: RGBDFrame) -> dict[str, float]:
        """Encode a frame ahead of its questions; which frame is set does not change.

        Args:
            frame: with its regions.

        Returns:
            Seconds by stage, as `set_frame`.

        Raises:
            SpatialError: as `set_frame`, but for TIMEOUT.
        """
        clock = StageClock(self.steps.finish)
        with clock.turn(self._lock), self.steps.computing():
            self._encoded(frame, clock)
        return clock.latency_s

    def ask(
        self,
        questions: Sequence[EngineQuestion],
        style: str = "short",
        deadline_s: float | None = None,
        *,
        frame: RGBDFrame | None = None,
    ) -> list[EngineAnswer]:
        """Answer questions about one frame, together.

        All or nothing: every text and region is checked before the model is asked.

        Args:
            questions: what to ask.
            style: "short" or "sentence", as the configuration describes them.
            deadline_s: seconds from now for all of them.
            frame: the frame to ask about instead of the one that was set; for callers in several
                threads, which would set each other's frame.

        Returns:
            An answer for each question, in order.

        Raises:
            RuntimeError: when no frame is set and none is given.
            ValueError: for an unknown style, or a deadline that is not positive.
            SpatialError: BAD_QUESTION, UNKNOWN_REGION or BAD_INPUT for a question or a region that
                cannot be asked about; TIMEOUT, naming the stage; with `frame` also as `set_frame`.
        """
        clock = StageClock(self.steps.finish, deadline_s)
        answers = self._ask(questions, style, clock, frame, all_or_nothing=True)
        return cast(list[EngineAnswer], answers)

    def ask_each(
        self,
        questions: Sequence[EngineQuestion],
        style: str = "short",
        *,
        frame: RGBDFrame | None = None,
        deadlines: Sequence[float] | None = None,
    ) -> list[EngineAnswer | SpatialError]:
        """As `ask`, but a question that cannot be asked, or is late, does not spoil the others.

        Args:
            questions: what to ask.
            style: as `ask`.
            frame: as `ask`.
            deadlines: one for each question, by `time.monotonic()`, in seconds. A late question
                ends there, and the others go on.

        Returns:
            For each question, in order, its answer, or the error of its text or its regions, or
            TIMEOUT.

        Raises:
            RuntimeError, ValueError: as `ask`.
            SpatialError: TIMEOUT when all are late, or as `set_frame`: what is not the fault of one
                question.
        """
        clock = StageClock(self.steps.finish, deadlines=deadlines)
        return self._ask(questions, style, clock, frame, all_or_nothing=False)

    def clear(self) -> None:
        """Drop all cached frames, and release their memory to the device."""
        with self._lock:
            self._frame = None
            self._cache.clear()
        self.steps.release()

    @property
    def cached_frames(self) -> int:
        """Number of cached frames."""
        return len(self._cache)

    @property
    def cached_bytes(self) -> int:
        """Memory of the cached frames, including images and masks, in bytes."""
        with self._lock:
            return self._cache.nbytes

    def _tokens_of_head(self) -> list[int]:
        """Ids of the prompt's part that no question changes: all up to the last image token."""
        ids = self.steps.tokenize("?", 0).ids
        return ids[: self.steps.head_length(ids)]

    def _ask(
        self,
        questions: Sequence[EngineQuestion],
        style: str,
        clock: StageClock,
        frame: RGBDFrame | None,
        all_or_nothing: bool,
    ) -> list[EngineAnswer | SpatialError]:
        """An answer or an error for each question; `all_or_nothing` raises the first error."""
        chosen = self.config.style(style)
        with clock.turn(self._lock), self.steps.computing():
            frame = self._frame if frame is None else frame
            if frame is None:
                raise RuntimeError("A frame must be set with .set_frame(frame) before .ask(...)")
            with clock.stage("text"):
                asked = [
                    self._prompt_or_error(question, frame, chosen, deadline)
                    for question, deadline in zip(
                        questions, clock.deadlines(len(questions)), strict=True
                    )
                ]
            if all_or_nothing:
                _raise_first_error(asked)
            decoded: list[Decoded | SpatialError] = []
            if _prompts(asked):
                encoded = self._encoded(frame, clock)
                with clock.stage("regions"):
                    asked = self._with_regions(encoded, asked)
                if all_or_nothing:
                    _raise_first_error(asked)
                decoded = self._decode(encoded, _prompts(asked), chosen.max_new_tokens, clock)
        if all_or_nothing:
            _raise_first_error(decoded)
        answers = iter([self._written(answer, clock) for answer in decoded])
        return [item if isinstance(item, SpatialError) else next(answers) for item in asked]

    def _prompt_or_error(
        self, question: EngineQuestion, frame: RGBDFrame, style: AnswerStyle, deadline: float
    ) -> Prompt | SpatialError:
        try:
            return self._prompt(question, frame, style, deadline)
        except SpatialError as error:
            return error

    def _prompt(
        self, question: EngineQuestion, frame: RGBDFrame, style: AnswerStyle, deadline: float
    ) -> Prompt:
        text, region_ids = text_and_regions(question)
        for id in region_ids:
            # Asked for its error: an unknown region.
            frame.regions[id]
        row = self.steps.tokenize(style.write(text), len(region_ids))
        ids, head = row.ids, len(self.head)
        if ids[:head] != self.head:
            raise ValueError(
                "chat_template must write the image tokens before the question; set "
                "config.chat_template to one that does"
            )
        limit = self.model_config.max_tokens
        if len(ids) + style.max_new_tokens > limit:
            raise bad_question(
                f"image, text and regions take {len(ids)} tokens, and an answer up to "
                f"{style.max_new_tokens}, but the language model takes only {limit} together; ask "
                "a shorter question, or about fewer regions",
            )
        return Prompt(ids[head:], row.question_ids[head:], region_ids, deadline)

    def _encoded(self, frame: RGBDFrame, clock: StageClock) -> EncodedFrame:
        """The cached encoding of a frame, or a new one."""
        encoded = self._cache.get(frame)
        if encoded is None:
            encoded = self.steps.encode(frame, self.head, clock)
            self._cache.put(encoded)
        return encoded

    def _decode(
        self,
        encoded: EncodedFrame,
        prompts: Sequence[Prompt],
        max_new_tokens: int,
        clock: StageClock,
    ) -> list[Decoded | SpatialError]:
        """Answers to all questions, as many at a time as go together; TIMEOUT for late ones."""
        decoded: list[Decoded | SpatialError] = []
        for first in range(0, len(prompts), self.config.max_batch):
            batch = prompts[first : first + self.config.max_batch]
            late = [clock.lateness(prompt.deadline, PROMPT) for prompt in batch]
            rest = [prompt for prompt, error in zip(batch, late, strict=True) if not error]
            answers = iter(self._decode_batch(encoded, rest, max_new_tokens, clock) if rest else [])
            decoded += [error or next(answers) for error in late]
        return decoded

    def _decode_batch(
        self,
        encoded: EncodedFrame,
        prompts: Sequence[Prompt],
        max_new_tokens: int,
        clock: StageClock,
    ) -> list[Decoded | SpatialError]:
        deadlines = [prompt.deadline for prompt in prompts]
        with clock.stage(PROMPT):
            writing = self.steps.begin(encoded, prompts, max_new_tokens)
        with clock.stage(DECODE):
            return decode_greedily(writing, self.steps.end_ids, max_new_tokens, clock, deadlines)

    def _with_regions(
        self, encoded: EncodedFrame, asked: Sequence[Prompt | SpatialError]
    ) -> list[Prompt | SpatialError]:
        """The same with the features of all regions there, or the error of a question's regions."""
        try:
            self._pool_regions(encoded, _prompts(asked))
        except SpatialError:
            # Together is faster, one by one shows whose region it is.
            return [
                item if isinstance(item, SpatialError) else self._pooled_or_error(encoded, item)
                for item in asked
            ]
        return list(asked)

    def _pooled_or_error(self, encoded: EncodedFrame, prompt: Prompt) -> Prompt | SpatialError:
        try:
            self._pool_regions(encoded, [prompt])
        except SpatialError as error:
            return error
        return prompt

    def _pool_regions(self, encoded: EncodedFrame, prompts: Sequence[Prompt]) -> None:
        """Add the features of the regions that no one has asked about yet."""
        asked = dict.fromkeys(id for prompt in prompts for id in prompt.region_ids)
        new = [id for id in asked if id not in encoded.region_features]
        if new:
            self.steps.add_regions(encoded, new)
            self._cache.trim()

    def _written(
        self, decoded: Decoded | SpatialError, clock: StageClock
    ) -> EngineAnswer | SpatialError:
        if isinstance(decoded, SpatialError):
            return decoded
        text = self.steps.text_of(decoded.token_ids)
        return EngineAnswer(
            text, decoded.token_ids, decoded.probabilities, decoded.complete, dict(clock.latency_s)
        )


def _prompts(asked: Sequence[Prompt | SpatialError]) -> list[Prompt]:
    """Those that can be asked."""
    return [item for item in asked if isinstance(item, Prompt)]


def _raise_first_error(asked: Sequence[Prompt | Decoded | SpatialError]) -> None:
    """Raise the first error, naming its question where there are several."""
    for number, item in enumerate(asked, start=1):
        if isinstance(item, SpatialError):
            if len(asked) == 1:
                raise item
            message = f"question {number} of {len(asked)}: {item.message}"
            raise SpatialError(item.status, message) from item


def text_and_regions(question: EngineQuestion) -> tuple[str, tuple[int, ...]]:
    """The words of a question, and the regions of its `<mask>`."""
    if isinstance(question, SpatialQuestion):
        return question.text, question.region_ids
    if isinstance(question, str):
        return question, ()
    text, region_ids = question
    return text, tuple(region_ids)
