"""Contrastive pairs: questions in the same words whose answers differ by one relation.

"Is <A> left or right of <B>?" and the same about <B> and <A>: each answer is correct for one of
them and wrong for the other. The correct answer must be likelier than the wrong one by a margin, in
both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from smolrgpt_core.answer import read_answer
from smolrgpt_core.answer.spatial_answer import Side as AnsweredSide
from smolrgpt_core.data.samples import Conversation
from smolrgpt_core.data.warehouse_format import MODEL, Turn
from smolrgpt_core.errors import SpatialError
from smolrgpt_core.language import CATEGORIES, MASK, Category
from smolrgpt_core.language.operators.predicates import LeftOf, RightOf
from smolrgpt_core.language.operators.questions import Side, Whether
from smolrgpt_core.language.operators.selections import Extreme, Listed, Region
from smolrgpt_core.language.program import Program
from smolrgpt_core.training.config import ContrastConfig
from smolrgpt_core.training.losses import PAIRS
from smolrgpt_core.training.mirrored_text import mirrored_words, read_masked
from smolrgpt_core.training.objectives import Seen
from smolrgpt_core.training.rows import Row, RowKind

_REGION_NAME = re.compile(r"(\bregion ?\[? ?)([01])\b", re.IGNORECASE)
_TRUTH_WORDS = re.compile(r"\b(?:yes|no|not|correct|true|false|indeed)\b", re.IGNORECASE)


class AnswerPairs:
    """Finds pairs of questions: at most one pair per row."""

    def rows(self, row: Row, kind: RowKind) -> list[Row]:
        """The four conversations of the first pair of a row: right, wrong, right, wrong.

        They have no targets for the metric branch, which would otherwise learn from wrong answers.
        """
        for conversation in row.conversations:
            if pair := paired(conversation):
                parts = kind.cut(pair, row.inputs)
                return [
                    replace(row, conversations=tuple(part), draws=(*row.draws, number))
                    for number, part in enumerate(parts)
                ]
        return []

    def entries(
        self, rows: Sequence[Row], paired: Sequence[Row], kind: RowKind, batch: Mapping[str, Any]
    ) -> dict[str, torch.Tensor]:
        """Which answer tokens belong to pairs, see `losses.PAIRS`; two for each four conversations.

        Args:
            rows: of the data set.
            paired: of the pairs, which follow them in the batch.
            kind: of the rows.
            batch: of all of them.
        """
        own = sum(len(row.conversations) for row in rows)
        numbers = kind.places([*rows, *paired], batch) - own
        signs = 1 - 2 * (numbers % 2)
        return {PAIRS: torch.where(numbers < 0, 0, (numbers // 2 + 1) * signs)}


class ContrastTerm:
    """Implements `Term`: the margin loss of wrong answers."""

    name = "contrast"
    head: nn.Module | None = None
    rate = 0.0

    def __init__(self, config: ContrastConfig) -> None:
        self.weight = config.weight
        self._margin = config.margin

    def watched(self) -> None:
        """No module is watched."""

    def loss(self, seen: Seen) -> torch.Tensor:
        """Sum over pairs."""
        return margin_losses(seen.token_losses, seen.extras[PAIRS], self._margin).sum()


def margin_losses(token_losses: torch.Tensor, pairs: torch.Tensor, margin: float) -> torch.Tensor:
    """Loss (P,) of each pair: how much its correct answer falls short of the margin.

    Args:
        token_losses: (N,).
        pairs: (N,), see `losses.PAIRS`.
        margin: difference of the log-likelihoods of both answers.
    """
    count = int(pairs.abs().max()) if len(pairs) else 0
    sums = token_losses.new_zeros(2 * count + 1).index_add(0, pairs + count, token_losses)
    wrong, right = sums[:count].flip(0), sums[count + 1 :]
    return functional.relu(margin - (wrong - right))


def paired(conversation: Conversation) -> list[Conversation]:
    """A conversation and its pair, each with the correct answer and then the wrong one.

    Empty where the words do not determine the answer to the other question.
    """
    if len(conversation.turns) != 2 or conversation.category not in CATEGORIES:
        return []
    question, answer = (turn.text for turn in conversation.turns)
    if question.count(MASK) != 2 or len(set(conversation.mask_indices)) != 2 or MASK in answer:
        return []
    if not _changes_by_exchange(read_masked(question)):
        return []
    other = _other_answer(answer, CATEGORIES[conversation.category])
    if not other:
        return []
    exchanged = replace(conversation, mask_indices=conversation.mask_indices[::-1])
    return [
        replace(
            item,
            turns=(item.turns[0], Turn(MODEL, text)),
            normalized_answer="",
            reasoning="",
            truth=None,
        )
        for item, texts in ((conversation, (answer, other)), (exchanged, (other, answer)))
        for text in texts
    ]


def _changes_by_exchange(program: Program | None) -> bool:
    """Whether a question about two regions has the other answer once they are exchanged.

    It is on which side of the other one of them is, or which of the two is chosen.
    """
    if program is None:
        return False
    about = sorted(part.arguments for part in program.walk() if part.operator in (Region, Listed))
    if program.operator is Extreme:
        return about == [((0, 1),)]
    if program.operator is Side:
        return program.arguments[2] == "left_right" and about == [(0,), (1,)]
    is_on_side = program.operator is Whether and program.parts[1].operator in (LeftOf, RightOf)
    return is_on_side and about == [(0,), (1,)]


def _other_answer(answer: str, category: Category) -> str:
    """The answer to the question about the exchanged regions; "" where it is not certain."""
    if _TRUTH_WORDS.search(answer):
        return ""
    if category is Category.LEFT_RIGHT:
        other = mirrored_words(answer)
    elif category is Category.MCQ:
        other = _with_exchanged_regions(answer)
    else:
        return ""
    return other if _is_opposite(answer, other, category) else ""


def _with_exchanged_regions(answer: str) -> str:
    if answer in ("0", "1"):
        return _exchanged(answer)
    return _REGION_NAME.sub(lambda name: name[1] + _exchanged(name[2]), answer)


def _exchanged(digit: str) -> str:
    return "1" if digit == "0" else "0"


def _is_opposite(answer: str, other: str, category: Category) -> bool:
    try:
        answered, changed = (read_answer(text, category) for text in (answer, other))
    except SpatialError:
        return False
    if category is Category.LEFT_RIGHT:
        return {answered.side, changed.side} == {AnsweredSide.LEFT, AnsweredSide.RIGHT}
    return {answered.region_index, changed.region_index} == {0, 1}
