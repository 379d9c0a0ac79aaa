"""What one visitor of the page sees and has asked. Does not depend on the browser.

A region that is clicked while a question is being written becomes a `<mask>` in it. The text and
the regions of its placeholders stay in sync.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from threading import Lock
from typing import Protocol

from smolrgpt_core.answer import SpatialAnswer
from smolrgpt_core.answerers.base import Answerer
from smolrgpt_core.asking import AskedQuestion, timed_answer
from smolrgpt_core.drawing import name_regions
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import MASK
from smolrgpt_core.page.suggestions import completions, remedies, suggestions

MAX_HISTORY = 50
"""Number of questions that are stored, each with its frame."""


@dataclass(frozen=True, eq=False)
class Exchange:
    """A question and its answer.

    Attributes:
        number: of the question among those of this visitor, from 1.
        asked: the question.
        answer: the answer or the refusal.
        frame: the frame it is about.
        remedies: questions to ask instead of one that was refused.
    """

    number: int
    asked: AskedQuestion
    answer: SpatialAnswer
    frame: RGBDFrame
    remedies: tuple[AskedQuestion, ...]

    @property
    def question(self) -> str:
        """The question with the names of its regions."""
        asked = name_regions(self.asked.text, self.asked.region_ids, self.frame.regions)
        return asked or self.answer.understood


class Desk(Protocol):
    """Answers questions of many visitors. Implementations are thread-safe."""

    def answer(self, frame: RGBDFrame, asked: AskedQuestion) -> tuple[RGBDFrame, SpatialAnswer]:
        """The answer or a refusal, and the frame it is about.

        Args:
            frame: the one that the visitor sees.
            asked: the question.
        """
        ...


class AnswerDesk:
    """Asks an answerer one question at a time, about the frame that is shown.

    Args:
        answerer: answers.
    """

    def __init__(self, answerer: Answerer) -> None:
        self._answerer = answerer
        self._lock = Lock()

    def answer(self, frame: RGBDFrame, asked: AskedQuestion) -> tuple[RGBDFrame, SpatialAnswer]:
        """The answer with its latency, or a refusal; waits for earlier questions."""
        with self._lock:
            return frame, timed_answer(frame, asked, self._answerer)


class VisitorState:
    """State of one visitor. Used by one thread, except `ask`.

    Args:
        desk: answers.

    Attributes:
        frame: that is shown; None before the first one.
        text: of the question that is being written.
        selected: ids of the regions in the order in which they were selected.
        history: questions and answers, the latest last.
    """

    def __init__(self, desk: Desk) -> None:
        self.frame: RGBDFrame | None = None
        self.text = ""
        self.selected: list[int] = []
        self.history: list[Exchange] = []
        self._desk = desk
        self._mask_ids: list[int] = []
        self._asked = 0
        self._is_asked = False
        self._suggested_for: tuple[RGBDFrame, tuple[int, ...]] | None = None
        self._suggestions: list[AskedQuestion] = []

    def show(self, frame: RGBDFrame) -> None:
        """Go to another frame, which clears the selection: its ids are different."""
        self.frame = frame
        self.clear()

    def follow(self, frame: RGBDFrame) -> None:
        """Go to a later frame of the same camera, in which objects keep their ids."""
        self.frame = frame
        for id in [id for id in self.selected if id not in frame.regions]:
            self._deselect(id)

    def clear(self) -> None:
        """Start a new question."""
        self.text, self.selected, self._mask_ids, self._is_asked = "", [], [], False

    def toggle(self, id: int) -> None:
        """Select or deselect a region, and add or remove its placeholder in the question.

        After a question has been asked, this starts a new one.
        """
        if self.frame is None or id not in self.frame.regions:
            return
        if self._is_asked:
            selected = self.selected
            self.clear()
            self.selected = [id] if selected == [id] else []
        if id not in self.selected:
            self.selected.append(id)
            if self.text.strip():
                self._append_mask(id)
            return
        self._deselect(id)

    def _deselect(self, id: int) -> None:
        self.selected.remove(id)
        while id in self._mask_ids:
            place = self._mask_ids.index(id)
            self.text = _without_mask(self.text, place)
            del self._mask_ids[place]

    def edit(self, text: str) -> None:
        """Update the text; a region whose placeholder was removed is deselected."""
        remaining = _remaining_masks(self.text, text)
        gone = [id for place, id in enumerate(self._mask_ids) if place not in remaining]
        self._mask_ids = [id for place, id in enumerate(self._mask_ids) if place in remaining]
        self.selected = [id for id in self.selected if id not in gone or id in self._mask_ids]
        self.text, self._is_asked = text, False

    def write(self, asked: AskedQuestion) -> None:
        """Replace the whole question, in order to ask it; the next selection starts a new one."""
        if asked not in self.suggested:
            # A question about something else: what is selected has nothing to do with it.
            self.selected = [id for id in self.selected if id in asked.region_ids]
        self._is_asked = True
        self.text = asked.text
        self._mask_ids = list(asked.region_ids)
        self.selected = list(dict.fromkeys((*self.selected, *asked.region_ids)))

    @property
    def asked(self) -> AskedQuestion:
        """The question as it is now."""
        return AskedQuestion(self.text.strip(), None, tuple(self._mask_ids))

    @property
    def offered(self) -> list[AskedQuestion]:
        """Suggested questions about the selection that contain the words typed so far."""
        offered = self.suggested
        typed = "" if self._is_asked else self.text.replace(MASK, " ")
        return [item for item in completions(offered, typed) if item.text != self.text.strip()]

    def ask(self, frame: RGBDFrame, asked: AskedQuestion) -> Exchange:
        """Ask and wait for the answer; may be called from another thread.

        Args:
            frame: that is seen.
            asked: the question.
        """
        frame, answer = self._desk.answer(frame, asked)
        found = remedies(asked, answer, frame.regions)
        self._asked += 1
        exchange = Exchange(self._asked, asked, answer, frame, tuple(found))
        self.history = [*self.history, exchange][-MAX_HISTORY:]
        return exchange

    @property
    def suggested(self) -> list[AskedQuestion]:
        """Suggested questions about the selection, whatever was typed.

        Cached, since each question is parsed to check it.
        """
        if self.frame is None:
            return []
        wanted = (self.frame, tuple(self.selected))
        if self._suggested_for != wanted:
            self._suggested_for = wanted
            self._suggestions = suggestions(self.frame.regions, self.selected)
        return self._suggestions

    def _append_mask(self, id: int) -> None:
        body = self.text.rstrip()
        ending = "?" if body.endswith("?") else ""
        self.text = f"{body.removesuffix('?').rstrip()} {MASK}{ending}"
        self._mask_ids.append(id)


def _without_mask(text: str, place: int) -> str:
    parts = text.split(MASK)
    before, after = MASK.join(parts[: place + 1]), MASK.join(parts[place + 1 :])
    return f"{before.rstrip()} {after.lstrip()}".strip() if after.strip(" ?") else before + after


def _remaining_masks(before: str, after: str) -> Sequence[int]:
    """Numbers of the placeholders of a text that are still there after a change in one place."""
    total = before.count(MASK)
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    first = before[:start].count(MASK)
    last = before[len(before) - end :].count(MASK) if end else 0
    return [*range(first), *range(total - last, total)]


def _alike(first: str, second: str) -> int:
    """Number of characters with which both begin."""
    pairs = zip(first, second, strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
