"""Distillation from a teacher: its token probabilities, its hidden states, or only its texts.

Answer logits are aligned by the labels, so teacher and student only need the same tokenizer and
conversations; size, image, number of image tokens and kind of model may differ.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn
from torch.nn import functional

from smolrgpt_core.data.samples import Conversation
from smolrgpt_core.data.warehouse_format import Turn, placeholders_in
from smolrgpt_core.errors import SpatialError, bad_input
from smolrgpt_core.files import file_error
from smolrgpt_core.model.parts import Model
from smolrgpt_core.model_inputs.prompts import IGNORED_LABEL
from smolrgpt_core.training.config import DistillationConfig, StartConfig
from smolrgpt_core.training.losses import predicted
from smolrgpt_core.training.objectives import Seen
from smolrgpt_core.training.rows import Row, RowKind
from smolrgpt_core.training.start import Processor, make_start

TEACHER, TEACHER_IDS, TEACHER_LOGITS = "teacher", "teacher_ids", "teacher_logits"
"""Extras of a batch: arguments of the teacher; or int64 and float32 (N, k), its likeliest tokens
and their logits for each answer token."""

Prediction = tuple[torch.Tensor | None, torch.Tensor]
"""Tokens (N, k), None for all of the vocabulary, and their logits (N, k)."""


def load_teacher(checkpoint: str) -> tuple[Model, Processor]:
    """Load a teacher and its processor; seeds the random number generators.

    Raises:
        SpatialError: BAD_INPUT when there is no such checkpoint.
    """
    try:
        teacher, processor = make_start(StartConfig(checkpoint=checkpoint), 0, lambda: ())
    except SpatialError as error:
        raise bad_input(f"the teacher cannot be used: {error.message}") from error
    teacher.requires_grad_(False)
    teacher.eval()
    return teacher, processor


def check_tokenizers(checkpoint: str, teacher: Processor, student: Processor) -> None:
    """Refuse a teacher with another tokenizer than the student's.

    Args:
        checkpoint: of the teacher, for the message.
        teacher: its processor.
        student: processor of the student.

    Raises:
        SpatialError: BAD_INPUT that says how many differ, and what to do.
    """
    there, here = teacher.tokenizer.get_vocab(), student.tokenizer.get_vocab()
    if there != here:
        differing = sum(there.get(token) != id for token, id in here.items())
        raise bad_input(
            f"distillation.teacher {checkpoint} and the student have different tokenizers: "
            f"{len(there)} and {len(here)} tokens, of which {differing} differ; use the "
            "teacher's tokenizer for the student (start.tokenizer with a preset), or distill by "
            "text (distillation.answers)"
        )


class TeacherRows:
    """Implements `BatchExtra`: the arguments of the teacher.

    Args:
        kind: rows of the teacher.
    """

    def __init__(self, kind: RowKind) -> None:
        self._kind = kind

    def entries(self, rows: Sequence[Row], batch: Mapping[str, Any]) -> dict[str, Any]:
        """As `BatchExtra`.

        Raises:
            SpatialError: BAD_INPUT when the teacher's answer tokens differ from the student's.
        """
        inputs = dict(self._kind.batch(rows))
        inputs.pop("answer_categories")
        wanted, found = answer_tokens(batch["labels"]), answer_tokens(inputs["labels"])
        if not torch.equal(wanted[: len(found)], found):
            raise bad_input(
                f"teacher and student have different answer tokens for {rows[0].sample.id!r}; "
                "both must end an answer in the same way, or distill by text"
            )
        return {TEACHER: inputs}


class SoftTargets(Protocol):
    """Source of a teacher's logits."""

    def prediction(self, extras: Mapping[str, Any]) -> Prediction:
        """The teacher's prediction for the answer tokens of a batch."""
        ...


class Teacher:
    """Implements `SoftTargets` with a model that runs alongside the student."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._of: Any = None
        self._predicted: tuple[torch.Tensor, torch.Tensor]

    def prediction(self, extras: Mapping[str, Any]) -> Prediction:
        """As `SoftTargets`, of the whole vocabulary."""
        return None, self._computed(extras)[0]

    def states(self, extras: Mapping[str, Any]) -> torch.Tensor:
        """The inputs (N, D) of the head."""
        return self._computed(extras)[1]

    def _computed(self, extras: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        if self._of is not extras:
            self._predicted = self._compute(extras[TEACHER])
            self._of = extras
        return self._predicted

    @torch.no_grad()
    def _compute(self, inputs: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        inputs_of_head: list[torch.Tensor] = []
        head = head_of(self.model)
        hook = head.register_forward_hook(lambda _, inputs, __: inputs_of_head.append(inputs[0]))
        try:
            logits = predicted(self.model, inputs)[0].logits.float()
        finally:
            hook.remove()
        return logits, answer_states(inputs_of_head[0], inputs["labels"])


class StoredTargets:
    """Implements `SoftTargets` with those of `StoredLogits`."""

    def prediction(self, extras: Mapping[str, Any]) -> Prediction:
        """As `SoftTargets`."""
        return extras[TEACHER_IDS].long(), extras[TEACHER_LOGITS]


class SoftTerm:
    """Implements `Term`: the divergence from the teacher."""

    name = "soft"
    head: nn.Module | None = None
    rate = 0.0

    def __init__(self, targets: SoftTargets, config: DistillationConfig) -> None:
        self._targets = targets
        self._temperature = config.temperature
        self.weight = config.soft_weight

    def watched(self) -> None:
        """No module is watched."""

    def loss(self, seen: Seen) -> torch.Tensor:
        """Weighted sum over answer tokens."""
        own = seen.weights > 0
        ids, logits = self._targets.prediction(seen.extras)
        divergence = soft_losses(seen.logits[own], logits, ids, self._temperature)
        return (divergence * seen.weights[own]).sum()


class HiddenTerm:
    """Implements `Term`: the distance of the states before the heads of student and teacher."""

    name = "hidden"

    def __init__(self, teacher: Teacher, student: Model, config: DistillationConfig) -> None:
        self._teacher = teacher
        self._student = student
        own, wanted = (head_of(model).in_features for model in (student, teacher.model))
        self._projection = nn.Linear(own, wanted, bias=False)
        self.head: nn.Module | None = self._projection
        self.weight = config.hidden_weight
        self.rate = config.rate

    def watched(self) -> tuple[nn.Module, Any]:
        """The inputs of the head."""
        return head_of(self._student), lambda inputs, _: inputs[0]

    def loss(self, seen: Seen) -> torch.Tensor:
        """Weighted sum over answer tokens."""
        own = seen.weights > 0
        states = answer_states(seen.captured[self.name], seen.batch["labels"])[own].float()
        wanted = self._teacher.states(seen.extras).float()
        distances = 1 - functional.cosine_similarity(self._projection(states), wanted, dim=-1)
        return (distances * seen.weights[own]).sum()


def teacher_answers(config: DistillationConfig) -> Callable[[Conversation], Conversation] | None:
    """A function that replaces the answer of a conversation with the teacher's; None without texts.

    Raises:
        SpatialError: BAD_INPUT that names the line of `answers` which cannot be used.
    """
    if not config.answers:
        return None
    return partial(_with_answer, answers_of(Path(config.answers)))


def _with_answer(
    answers: Mapping[tuple[str, str], str], conversation: Conversation
) -> Conversation:
    """A conversation with the teacher's answer; unchanged if the teacher has none."""
    question, *_ = turns = conversation.turns
    answer = answers.get((conversation.id, question.text))
    if answer is None or len(turns) != 2:
        return conversation
    turns_of_teacher = (question, Turn(turns[1].speaker, answer))
    mask_indices = conversation.mask_indices[: placeholders_in(turns_of_teacher)]
    return replace(conversation, turns=turns_of_teacher, mask_indices=mask_indices)


def answers_of(path: Path) -> dict[tuple[str, str], str]:
    """The answers of a file, by the id and the question of a conversation.

    The question is the text as it is trained, with `<mask>` and the instruction of its style.

    Raises:
        SpatialError: BAD_INPUT that names the line which cannot be used.
    """
    try:
        lines = path.read_text().splitlines()
    except OSError as error:
        raise file_error(path, f"cannot be opened: {error.strerror}") from error
    answers = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            answers[str(entry["id"]), str(entry["question"])] = str(entry["answer"])
        except (ValueError, KeyError, TypeError) as error:
            raise file_error(
                path,
                f'line {number}: expected {{"id", "question", "answer"}}, got {line!r:.80}',
            ) from error
    if not all(answers.values()):
        raise file_error(
            path, "has an empty answer; omit questions that the teacher does not answer"
        )
    return answers


def answer_tokens(labels: torch.Tensor) -> torch.Tensor:
    """The answer tokens (N,) in labels (B, T), row by row."""
    targets = labels[:, 1:]
    return targets[targets != IGNORED_LABEL]


def answer_states(states: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The states (N, D) that predict the answer tokens of labels (B, T).

    Args:
        states: inputs of a head: (N, D), or the last ones of each row (B, K, D).
        labels: (B, T).
    """
    if states.ndim == 2:
        return states
    is_answer = labels[:, 1:] != IGNORED_LABEL
    return states[:, :-1][is_answer[:, -(states.shape[1] - 1) :]]


def soft_losses(
    logits: torch.Tensor, wanted: torch.Tensor, ids: torch.Tensor | None, temperature: float
) -> torch.Tensor:
    """Divergence (N,) from a teacher, times the square of the temperature.

    Args:
        logits: of the student (N, V).
        wanted: of the teacher: (N, V), or (N, k) of its likeliest tokens, which then share all of
            the probability.
        ids: of these tokens (N, k).
        temperature: divides both.
    """
    own = functional.log_softmax(logits / temperature, dim=-1)
    own = own if ids is None else own.gather(1, ids)
    target = functional.log_softmax(wanted.float() / temperature, dim=-1)
    return (target.exp() * (target - own)).sum(dim=-1) * temperature**2


def head_of(model: Model) -> nn.Linear:
    """The output head of a model's language model."""
    head = model.get_output_embeddings()
    assert isinstance(head, nn.Linear)
    return head
