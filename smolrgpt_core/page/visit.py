"""The page of one visitor: an image to select regions in, a question box, and the answers."""

from __future__ import annotations

import time
from asyncio import to_thread
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from nicegui import ui

from smolrgpt_core.asking import AskedQuestion
from smolrgpt_core.frame import RGBDFrame
from smolrgpt_core.language import MAX_QUESTION_LENGTH
from smolrgpt_core.page.answer_card import CardActions, show_answer
from smolrgpt_core.page.bug_report import NAME, question_zip
from smolrgpt_core.page.controls import link, main_button
from smolrgpt_core.page.conversation import MAX_HISTORY, Desk, Exchange, VisitorState
from smolrgpt_core.page.corrections import Corrections
from smolrgpt_core.page.dialogs import CorrectionDialog, OpenDialog, show_error
from smolrgpt_core.page.feed import Feed
from smolrgpt_core.page.frames import SHOWN_ERRORS, ShownFrames
from smolrgpt_core.page.health import HealthBoard
from smolrgpt_core.page.health_card import HealthCard
from smolrgpt_core.page.heard_list import HeardList, outcome
from smolrgpt_core.page.image_view import ImageView
from smolrgpt_core.page.latency_card import LatencyCard
from smolrgpt_core.page.library import Library
from smolrgpt_core.page.photograph import Photograph
from smolrgpt_core.page.space import Space
from smolrgpt_core.page.stage_list import StageList

COLOR, DEPTH, SPACE = "Color", "Depth", "3-D"

LIVE_RATE_HZ = 2.0

ELSEWHERE = "This answer is about a different image than the one shown."

NO_OBJECTS = "No objects were found in this frame: there is nothing to select."


@dataclass(frozen=True)
class Shared:
    """What all visitors share.

    Attributes:
        start: frames that a visitor sees first.
        desk: answers.
        library: what else may be opened; None: nothing, as when a running node is asked, which only
            sees its own camera.
        corrections: stores corrections; None: they are not stored.
        feed: answers to other clients; None: there are none.
        health: states of the monitored nodes; None: there are none.
        rate: maximum frames per second of a live source.
    """

    start: ShownFrames
    desk: Desk
    library: Library | None
    corrections: Corrections | None
    feed: Feed | None = None
    health: HealthBoard | None = None
    rate: Callable[[], float] = lambda: LIVE_RATE_HZ


class Watched(Protocol):
    """A card whose content changes."""

    def update(self) -> None:
        """Show the changes."""
        ...


class Visit:
    """Builds the page in the current container, and holds its state.

    Args:
        shared: state shared with the other visitors.
    """

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._source = shared.start
        self._conversation = VisitorState(shared.desk)
        self._wanted = 0
        self._shown: Exchange | None = None
        self._answered: Exchange | None = None
        self._offered: list[AskedQuestion] = []
        self._completions: list[str] = []
        self._correcting = None
        if shared.corrections is not None:
            self._correcting = CorrectionDialog(shared.corrections)
        self._opening = OpenDialog(shared.library, self._open) if shared.library else None
        self._add_top()
        with ui.element("main").classes("desk"):
            with ui.element("section").classes("column seen").props("aria-label=Image"):
                self._add_image()
            with ui.element("section").classes("column asked-here") as questions:
                questions.props("aria-label=Questions")
                self._add_questions()
            self._watched = _watching(shared)
        # By Tab alone there may be dozens of regions before them.
        ui.skip_link("Skip to the questions", target=questions)

    async def start(self) -> None:
        """Show the first frame."""
        self._timer = ui.timer(1.0 / self._shared.rate(), self._follow)
        try:
            await self._open(self._shared.start)
        except SHOWN_ERRORS as error:
            if self._live is None:
                show_error(error)
            else:
                self._show_reason(error)

    def _add_top(self) -> None:
        with ui.element("header").classes("top"):
            with ui.element("h1"):
                ui.label("SmolRGPT")
            self._name = ui.label().classes("source")
            if self._opening:
                link("Open ...", self._opening.open, "folder_open")
            dark = ui.dark_mode(None)
            switch = link("", lambda: _switch(dark), "contrast")
            switch.props["aria-label"] = "Dark or light"

    def _add_image(self) -> None:
        with ui.element("div").classes("card column"):
            with ui.element("div").classes("bar"):
                self._view = ui.toggle([COLOR, DEPTH, SPACE], value=COLOR).props("no-caps")
                self._view.on_value_change(self._change_view)
                self._busy = ui.spinner(size="1.5em")
                self._busy.set_visibility(False)
                self._live = ui.switch("Live", value=True) if self._source.is_live else None
            self._stages = StageList()
            self._image = ImageView(self._pick)
            self._space = Space()
            self._note = ui.label().classes("soft").props("role=status")
            self._frames = ui.element("div").classes("bar")
            self._frames.set_visibility(self._source.count > 1)
            with self._frames:
                self._number = ui.label().style("min-width: 7rem")
                self._slider = ui.slider(min=1, max=1, step=1, value=1).style("flex: 1")
                self._slider.props('aria-label="Number of the frame"')
                self._slider.on_value_change(self._slide)

    def _add_questions(self) -> None:
        with ui.element("div").classes("card column"):
            with ui.element("div").classes("bar").style("flex-wrap: nowrap"):
                self._box = ui.input(
                    "Question", placeholder="Type a question, or select regions in the image"
                ).style("flex: 1")
                self._box.props(f"outlined maxlength={MAX_QUESTION_LENGTH}").mark("question")
                self._box.on_value_change(self._edit)
                self._box.on("keydown.enter", self._ask_box)
                main_button("Ask", self._ask_box)
            self._selected = ui.label().classes("soft").props("aria-live=polite")
            self._offers = ui.element("div").classes("offers")
        self._card = ui.element("div").classes("card").props("aria-live=polite")
        with self._card:
            ui.label("Ask a question: the measurement is drawn into the image.").classes("soft")
        self._past = ui.element("div").classes("card")
        with self._past:
            ui.label("Asked before").classes("heading")
            self._past_list = ui.element("div")
        self._past.set_visibility(False)

    async def _open(self, source: ShownFrames) -> None:
        frame = await self._first_frame(source)
        if frame is None:
            return
        self._stages.clear()
        self._source = source
        self._name.text = source.name
        self._slider.props["max"] = source.count
        self._slider.value = 1
        self._frames.set_visibility(source.count > 1)
        await self._show(frame, 0)

    async def _first_frame(self, source: ShownFrames) -> RGBDFrame | None:
        """The first frame of a source; None if nobody makes it anymore."""
        if not isinstance(source, Photograph) or source.future.done():
            return await to_thread(source.frame, 0)
        self._name.text = source.name
        return await self._stages.follow(source)

    async def _follow(self) -> None:
        """Show what is new, of a camera and of what is watched."""
        self._timer.interval = 1.0 / self._shared.rate()
        for card in self._watched:
            card.update()
        if not self._is_following:
            return
        try:
            frame = await to_thread(self._source.frame, 0)
        except SHOWN_ERRORS as error:
            self._show_reason(error)
            return
        self._name.text = self._source.name
        if self._is_following and frame is not self._conversation.frame:
            await self._go_on(frame)

    def _show_reason(self, error: Exception) -> None:
        """Why there is no image of a camera, until one comes."""
        self._name.text = f"{self._source.name}: {error}"

    @property
    def _is_following(self) -> bool:
        return self._live is not None and self._live.value

    async def _go_on(self, frame: RGBDFrame) -> None:
        """Show a later frame of a camera, for the question that is being written."""
        before, self._shown = self._conversation.frame, None
        self._conversation.follow(frame)
        await self._show_image(frame)
        if before is not None and _names(before) == _names(frame):
            self._image.select(self._conversation.selected)
        else:
            self._refresh()

    async def _slide(self) -> None:
        """Go to the frame of the slider; of many that were passed, only the last is shown."""
        index = self._wanted = int(self._slider.value) - 1
        self._number.text = f"Frame {index + 1} of {self._source.count}"
        self._busy.set_visibility(True)
        try:
            frame = await to_thread(self._source.frame, index)
            if index == self._wanted and frame is not self._conversation.frame:
                await self._show(frame, index)
        except SHOWN_ERRORS as error:
            show_error(error)
        finally:
            self._busy.set_visibility(False)

    async def _show(self, frame: RGBDFrame, index: int) -> None:
        self._wanted = index
        self._number.text = f"Frame {index + 1} of {self._source.count}"
        self._conversation.show(frame)
        self._shown = None
        await self._show_image(frame)
        self._refresh()

    async def _show_image(self, frame: RGBDFrame) -> None:
        await self._image.show(frame)
        self._space.forget()
        self._compare()
        notes = [] if len(frame.regions) else [NO_OBJECTS]
        if isinstance(self._source, Photograph):
            notes.append(self._source.note)
        self._note.text = " ".join(notes)
        await self._change_view()

    async def _change_view(self) -> None:
        in_space = self._view.value == SPACE
        self._image.set_visibility(not in_space)
        self._image.show_depth(self._view.value == DEPTH)
        self._space.set_visibility(in_space)
        if in_space and self._conversation.frame is not None:
            answer = self._shown.answer if self._shown else None
            await self._space.show(self._conversation.frame, answer)

    def _pick(self, id: int) -> None:
        self._conversation.toggle(id)
        if self._shown is not None:
            self._shown = None
            self._image.draw(None)
        self._refresh()

    def _edit(self) -> None:
        text = self._box.value or ""
        if text != self._conversation.text:
            self._conversation.edit(text)
            self._refresh()

    def _refresh(self) -> None:
        """Show the state of the conversation."""
        conversation, frame = self._conversation, self._conversation.frame
        if self._box.value != conversation.text:
            self._box.value = conversation.text
        self._image.select(conversation.selected)
        names = [frame.regions[id].name for id in conversation.selected] if frame else []
        self._selected.text = f"Selected: {', '.join(names)}" if names else "Nothing is selected."
        self._complete([item.text for item in conversation.suggested])
        offered = conversation.offered
        if offered == self._offered:
            return
        self._offered = offered
        self._offers.clear()
        with self._offers:
            for item in offered:
                link(item.text, lambda item=item: self._ask(item)).classes("offer")

    def _complete(self, texts: list[str]) -> None:
        """What Tab completes; the browser takes the first that begins with what is typed.

        It changes with the selection alone: each change sends the text that the server knows, and
        would take back letters that are typed meanwhile.
        """
        if texts != self._completions:
            self._completions = texts
            self._box.set_autocomplete(texts)

    async def _ask_box(self) -> None:
        if self._conversation.text.strip():
            await self._ask(self._conversation.asked)

    async def _ask(self, asked: AskedQuestion) -> None:
        frame = self._conversation.frame
        if frame is None:
            return
        self._conversation.write(asked)
        self._refresh()
        self._busy.set_visibility(True)
        try:
            exchange = await to_thread(self._conversation.ask, frame, asked)
        finally:
            self._busy.set_visibility(False)
        self._add_past(exchange)
        if self._live:
            self._live.value = False  # until the visitor goes on
            await self._go_on(exchange.frame)
        await self._present(exchange)

    async def _present(self, exchange: Exchange) -> None:
        """Show an answer, and draw it if its frame is still there."""
        self._shown = exchange
        self._answered = exchange
        self._card.clear()
        with self._card:
            self._elsewhere = ui.label(ELSEWHERE).classes("elsewhere")
            show_answer(exchange, self._actions)
        self._compare()
        if exchange.frame is self._conversation.frame:
            self._image.draw(exchange.answer)
            if self._view.value == SPACE:
                await self._space.show(exchange.frame, exchange.answer)

    def _compare(self) -> None:
        """Say so where the answer that is read is about another image than the one that is seen."""
        if self._answered is not None:
            is_same = self._answered.frame is self._conversation.frame
            self._elsewhere.set_visibility(not is_same)

    @property
    def _actions(self) -> CardActions:
        correcting = self._correcting
        return CardActions(
            ask=self._ask,
            export=self._export,
            correct=None if correcting is None else correcting.open,
        )

    def _add_past(self, exchange: Exchange) -> None:
        """List a question that was asked above the earlier ones."""
        self._past.set_visibility(True)
        with self._past_list:
            button = link("", lambda: self._present(exchange)).classes("past")
        button.move(target_index=0)
        with button:
            ui.label(exchange.question)
            ui.label(outcome(exchange.answer)).classes("said")
        for forgotten in self._past_list.default_slot.children[MAX_HISTORY:]:
            forgotten.delete()

    async def _export(self, exchange: Exchange) -> None:
        try:
            content = await to_thread(question_zip, exchange)
        except SHOWN_ERRORS as error:
            show_error(error)
            return
        stamp = time.strftime("%Y%m%d-%H%M%S")
        ui.download(content, f"{NAME}_{stamp}.zip", "application/zip")


def _watching(shared: Shared) -> list[Watched]:
    """Cards about a running node; none where there is none."""
    if not (shared.feed and shared.health):
        return []
    with ui.element("section").classes("column watched").props("aria-label=Watching"):
        return [HeardList(shared.feed), LatencyCard(shared.feed), HealthCard(shared.health)]


def _names(frame: RGBDFrame) -> dict[int, str]:
    return {region.id: region.label for region in frame.regions}


def _switch(dark: ui.dark_mode) -> None:
    """From the setting of the system to dark, to light, and back."""
    dark.value = {None: True, True: False, False: None}[dark.value]
