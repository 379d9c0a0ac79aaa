"""One protocol for every model that answers benchmark questions: from a question to a text.

A model describes itself (`described`), so that figures of different revisions, servers or ways of
showing regions can be distinguished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from smolrgpt_core.errors import SpatialError, Status, UnansweredError
from smolrgpt_core.language.conventions import WAREHOUSE, Conventions
from smolrgpt_core.model_inputs.regions_in_words import BOX_COLORS, draw_boxes, named_regions
from smolrgpt_core.perception.stages import ImageTextModel
from smolrgpt_core.public_benchmarks.model_readers.asked import AnswerKind, AnswerSpec
from smolrgpt_core.public_benchmarks.questions import (
    AnswerMethod,
    BenchmarkQuestion,
    RegionForm,
    draw_marks,
    without_image,
)

RGB = "RGB"
"""Input track of a model that sees the image alone."""


@dataclass(frozen=True)
class BenchmarkAnswer:
    """The answer of a model.

    Attributes:
        text: the answer.
        confidence: probability of the answer among the candidates; None for generated text.
    """

    text: str
    confidence: float | None = None


class BenchmarkModel(Protocol):
    """Answers the questions of a benchmark."""

    @property
    def described(self) -> Mapping[str, Any]:
        """Everything that determines the answers: kind, revision, settings, input track; plain
        values.
        """
        ...

    def answer(self, question: BenchmarkQuestion) -> BenchmarkAnswer:
        """What the model answers.

        Raises:
            UnansweredError: it has no answer to this question.
            SpatialError: MODEL_ERROR when nothing can be asked any more, such as a lost server.
        """
        ...


@dataclass(frozen=True)
class ModelOptions:
    """How a model is loaded and asked.

    Attributes:
        device: "auto", or a device of PyTorch.
        region_form: for models without region tokens.
        max_new_tokens: of an answer.
        blind: ask without the image.
        depth_model: folder or hub id of a metric depth estimator; empty: the depth of the data.
        conventions: what words mean, for answerers that read them.
        answer_form: how answers are found.
        server: name of the model, key and limits of a server; its URL is the model's name.
    """

    device: str = "auto"
    region_form: RegionForm = RegionForm.MARKS
    max_new_tokens: int = 128
    blind: bool = False
    depth_model: str = ""
    conventions: Conventions = WAREHOUSE
    answer_form: AnswerMethod = AnswerMethod.WORDS
    server: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class LikelihoodModel(Protocol):
    """A model that gives the likelihoods of answers."""

    def log_likelihoods(
        self, rgb: NDArray[np.uint8] | None, prompt: str, answers: Sequence[str]
    ) -> list[float]:
        """Natural logarithms; see `perception.candidates.log_likelihoods`."""
        ...


@dataclass(frozen=True, eq=False)
class WordsModel:
    """A model that takes an image and words.

    Attributes:
        words: the model.
        options: how it is asked.
        about: what it is.
    """

    words: ImageTextModel
    options: ModelOptions
    about: Mapping[str, Any]

    @property
    def described(self) -> Mapping[str, Any]:
        """See `BenchmarkModel`."""
        form = self.options.region_form.value
        return {
            **self.about, "track": RGB, "regions": form, "blind": self.options.blind,
            "max_new_tokens": self.options.max_new_tokens,
            "answers": self.options.answer_form.value,
        }  # fmt: skip

    def answer(self, question: BenchmarkQuestion) -> BenchmarkAnswer:
        """See `BenchmarkModel`.

        Raises:
            UnansweredError, SpatialError: as of `BenchmarkModel`.
        """
        try:
            rgb, prompt = self._shown(question)
        except SpatialError as error:
            raise unanswered(question, error) from error
        try:
            asked = question.asked
            if asked and self._compares(asked) and isinstance(self.words, LikelihoodModel):
                return most_likely(self.words, rgb, prompt, asked)
            return BenchmarkAnswer(self.words.ask(rgb, prompt, self.options.max_new_tokens))
        except SpatialError as error:
            if error.status is Status.MODEL_ERROR and not isinstance(error, UnansweredError):
                raise
            raise unanswered(question, error) from error

    def _compares(self, asked: AnswerSpec) -> bool:
        """Whether the answers that a question can have are compared.

        Boxes give regions other names than those by which scorers know them.
        """
        if self.options.answer_form is AnswerMethod.WORDS:
            return False
        is_boxed = self.options.region_form is RegionForm.BOXES and not self.options.blind
        return bool(asked.options) and not (is_boxed and asked.kind is AnswerKind.REGION)

    def _shown(self, question: BenchmarkQuestion) -> tuple[NDArray[np.uint8] | None, str]:
        if self.options.blind:
            return None, without_image(question).prompt
        rgb = rgb_of(question)
        if not question.regions:
            return rgb, question.prompt
        if self.options.region_form is RegionForm.MARKS:
            return draw_marks(rgb, question.regions), question.prompt
        prompt = named_regions(question.masked, question.labels)
        boxes = [
            (float(box.x), float(box.y), float(box.x + box.width), float(box.y + box.height))
            for box in (region.box for region in question.regions)
        ]
        return draw_boxes(rgb, boxes, list(BOX_COLORS)[: len(boxes)]), prompt


def most_likely(
    words: LikelihoodModel, rgb: NDArray[np.uint8] | None, prompt: str, asked: AnswerSpec
) -> BenchmarkAnswer:
    """The most likely of a question's possible answers, with its probability among them.

    Args:
        words: the model.
        rgb: uint8 (H, W, 3); None: the prompt alone.
        prompt: the question.
        asked: what it asks for; with options.
    """
    spoken = [asked.spoken(option) for option in asked.options]
    found = words.log_likelihoods(rgb, prompt, list(chain.from_iterable(spoken)))
    rest = iter(found)
    logs = np.array([np.logaddexp.reduce([next(rest) for _ in forms]) for forms in spoken])
    probabilities = np.exp(logs - np.logaddexp.reduce(logs))
    best = int(probabilities.argmax())
    return BenchmarkAnswer(asked.options[best], float(probabilities[best]))


def rgb_of(question: BenchmarkQuestion) -> NDArray[np.uint8]:
    """The image of a question (H, W, 3).

    Raises:
        SpatialError: NO_RGB when the data has none, BAD_INPUT when it does not decode.
    """
    if question.image is None:
        raise SpatialError(Status.NO_RGB, "the data has no image for it")
    return question.image.rgb()


def unanswered(question: BenchmarkQuestion, error: SpatialError) -> UnansweredError:
    """The error for a question without an answer."""
    return UnansweredError(error.status, f"{question.id} has no answer: {error.message}")
