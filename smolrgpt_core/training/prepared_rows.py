"""Prepares rows for training: augmentation, contrastive pairs, and inputs of further losses.

Sits between the stream and the row kind of a model. It runs in the workers that decode rows and
depends only on the rows, so a resumed run sees the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch

from smolrgpt_core.data.samples import Conversation
from smolrgpt_core.training.augmentation import Augmentation
from smolrgpt_core.training.contrast import AnswerPairs
from smolrgpt_core.training.losses import EXTRAS
from smolrgpt_core.training.rows import Row, RowKind


class BatchExtra(Protocol):
    """Adds entries to the extras of a batch."""

    def entries(self, rows: Sequence[Row], batch: Mapping[str, Any]) -> dict[str, Any]:
        """Entries by name.

        Args:
            rows: of the data set, in the order of the batch; pairs follow them.
            batch: arguments of the model's `forward` for them.

        Raises:
            SpatialError: BAD_INPUT; a row cannot be used.
        """
        ...


class PreparedRows:
    """Implements `RowKind`.

    Args:
        kind: of the model.
        augmentation: of each row, first.
        pairs: appended to the rows of a batch.
        extras: entries of the batch, of the changed rows.
    """

    def __init__(
        self,
        kind: RowKind,
        augmentation: Augmentation | None = None,
        pairs: AnswerPairs | None = None,
        extras: Sequence[BatchExtra] = (),
    ) -> None:
        self._kind = kind
        self._augmentation = augmentation
        self._pairs = pairs
        self._extras = extras
        self.mixes = kind.mixes

    def asked(self, conversation: Conversation) -> list[Conversation]:
        """As the kind's."""
        return self._kind.asked(conversation)

    def cut(self, conversations: Sequence[Conversation], inputs: str) -> list[list[Conversation]]:
        """As the kind's."""
        return self._kind.cut(conversations, inputs)

    def batch(self, rows: Sequence[Row]) -> dict[str, Any]:
        """As the kind's, with an entry `EXTRAS` if there is anything to add.

        Raises:
            SpatialError: BAD_INPUT; a row cannot be used.
        """
        if self._augmentation is not None:
            rows = [self._augmentation.row(row) for row in rows]
        paired: list[Row] = []
        if self._pairs is not None:
            paired = [pair for row in rows for pair in self._pairs.rows(row, self._kind)]
        batch = self._kind.batch([*rows, *paired])
        extras: dict[str, Any] = {}
        for extra in self._extras:
            extras |= extra.entries(rows, batch)
        if self._pairs is not None:
            extras |= self._pairs.entries(rows, paired, self._kind, batch)
        return {**batch, EXTRAS: extras} if extras else batch

    def places(self, rows: Sequence[Row], batch: Mapping[str, Any]) -> torch.Tensor:
        """As the kind's."""
        return self._kind.places(rows, batch)

    def tokens(self, batch: Mapping[str, Any]) -> int:
        """As the kind's."""
        return self._kind.tokens(batch)

    def answer(self, model: Any, row: Row, device: torch.device, max_new_tokens: int) -> str:
        """As the kind's."""
        return self._kind.answer(model, row, device, max_new_tokens)
