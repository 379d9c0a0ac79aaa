"""A base of what is closed at the end of a `with` block, and the error of calls that this ends."""

from __future__ import annotations

from abc import ABC, abstractmethod
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self


class ClosedError(Exception):
    """What a call was waiting for has been closed, as when a node is deactivated."""


class Closing(ABC):
    """A base of classes whose instances are closed at the end of a `with` block, as files are."""

    @abstractmethod
    def close(self) -> None:
        """Free what is held; closing twice is allowed."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
