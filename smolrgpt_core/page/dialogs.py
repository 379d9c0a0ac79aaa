"""Dialogs of the page: opening other frames, and correcting an answer."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Awaitable, Callable
from pathlib import Path

from nicegui import events, ui

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.page.controls import link, main_button
from smolrgpt_core.page.conversation import Exchange
from smolrgpt_core.page.corrections import Corrections, expected
from smolrgpt_core.page.frames import SHOWN_ERRORS, ShownFrames
from smolrgpt_core.page.library import MAX_HALL_SEED, Library
from smolrgpt_core.page.stage_list import StageList
from smolrgpt_core.page.uploads import KINDS, MAX_UPLOAD_BYTES, MEBIBYTE, UploadedFile

PINHOLE = ("fx", "fy", "cx", "cy")

WITH_MODEL = "A photograph alone is enough: models find depth and objects."

WITHOUT_MODEL = (
    "An image with its depth and the calibration of its camera; without regions, a model finds the "
    "objects. For color alone, start the page with --depth-model."
)

Show = Callable[[ShownFrames], Awaitable[None]]


def show_error(error: Exception) -> None:
    """Show an error until the visitor closes it."""
    ui.notify(str(error), type="negative", multi_line=True, timeout=0, close_button="Close")


class OpenDialog:
    """Opens a simulated hall, a recording or uploaded files.

    Args:
        library: what may be opened.
        show: shows what was opened.
    """

    def __init__(self, library: Library, show: Show) -> None:
        self._library = library
        self._show = show
        self._files: dict[str, UploadedFile] = {}
        with ui.dialog() as self._dialog, ui.card().classes("card").style("max-width: 34rem"):
            ui.label("Open frames").classes("text-h6")
            self._add_hall()
            if library.roots:
                self._add_recordings()
            self._add_upload()
            link("Cancel", self._dialog.close)
        # Also by Escape, by a click beside it, and when the visitor is gone.
        self._dialog.on("hide", self._stages.cancel)
        ui.context.client.on_delete(self._stages.cancel)

    def open(self) -> None:
        """Show the dialog."""
        self._dialog.open()

    def _add_hall(self) -> None:
        ui.label("A simulated hall").classes("heading")
        with ui.element("div").classes("bar"):
            seed = ui.number("Seed", value=0, min=0, max=MAX_HALL_SEED, precision=0)
            main_button(
                "Open hall",
                lambda: self._open(lambda: self._library.hall(int(seed.value or 0))),
            )

    def _add_recordings(self) -> None:
        ui.label("A recording").classes("heading")
        roots = self._library.roots
        found = {str(path): _short(path, roots) for path in self._library.recordings()}
        if not found:
            ui.label("There are no recordings in the --root folders.").classes("soft")
            return
        chosen = ui.select(found, label="Recording").classes("w-full")

        async def open_recording() -> None:
            if chosen.value is None:
                ui.notify("Choose a recording first.")
                return
            await self._open(lambda: self._library.recording(Path(chosen.value)))

        main_button("Open recording", open_recording)

    def _add_upload(self) -> None:
        ui.label("Your own files").classes("heading")
        ui.label(WITH_MODEL if self._library.estimates_depth else WITHOUT_MODEL).classes("soft")
        for kind in KINDS:
            self._add_file(kind)
        with ui.element("div").classes("bar"):
            numbers = [ui.number(name).style("width: 5.5rem") for name in PINHOLE]
        self._stages = StageList()
        self._send = main_button(
            "Open files", lambda: self._open_files([item.value for item in numbers])
        )

    def _add_file(self, kind: str) -> None:
        suffixes = ", ".join(KINDS[kind])

        async def take(event: events.UploadEventArguments) -> None:
            self._files[kind] = UploadedFile(event.file.name, await event.file.read())
            chosen.text = f"{kind}: {event.file.name}"
            upload.reset()  # so that another file can take its place

        def reject() -> None:
            size = MAX_UPLOAD_BYTES // MEBIBYTE
            ui.notify(f"the {kind} file must be {suffixes}, at most {size} MiB")

        with ui.element("div").classes("bar"):
            chosen = ui.label(f"{kind} ({suffixes})").style("flex: 1; overflow-wrap: anywhere")
            upload = ui.upload(
                auto_upload=True,
                max_file_size=MAX_UPLOAD_BYTES,
                on_upload=take,
                on_rejected=reject,
            )
            upload.props(f"accept={suffixes.replace(' ', '')}").classes("hidden")
            choose = link("Choose", lambda: upload.run_method("pickFiles"))
            choose.props["aria-label"] = f"Choose the {kind} file"

    async def _open(self, make: Callable[[], ShownFrames]) -> None:
        try:
            source = await to_thread(make)
            await self._show(source)
        except SHOWN_ERRORS as error:
            show_error(error)
        else:
            self._dialog.close()

    async def _open_files(self, pinhole: list[float | None]) -> None:
        """Make a frame of the files; cancelled where the dialog is closed before."""
        self._send.disable()
        try:
            photograph = await to_thread(self._library.photograph, dict(self._files), pinhole)
            if await self._stages.follow(photograph) is None:
                return
            await self._show(photograph)
        except SHOWN_ERRORS as error:
            show_error(error)
        else:
            self._stages.clear()
            self._dialog.close()
        finally:
            self._send.enable()


def _short(path: Path, roots: tuple[Path, ...]) -> str:
    """The path within the folder that it was found under."""
    inside = [path.relative_to(root) for root in roots if path.is_relative_to(root)]
    return str(min(inside, key=lambda item: len(str(item)), default=path))


class CorrectionDialog:
    """Asks for the correct answer and stores it.

    Args:
        corrections: stores it.
    """

    def __init__(self, corrections: Corrections) -> None:
        self._corrections = corrections
        self._exchange: Exchange | None = None
        with ui.dialog() as self._dialog, ui.card().classes("card").style("max-width: 30rem"):
            ui.label("What is the correct answer?").classes("text-h6")
            self._question = ui.label().classes("question")
            self._answered = ui.label().classes("soft")
            self._right = ui.input("Correct answer").classes("w-full").mark("right")
            self._right.on("keydown.enter", self._store)
            with ui.element("div").classes("bar"):
                main_button("Store", self._store)
                link("Cancel", self._dialog.close)

    def open(self, exchange: Exchange) -> None:
        """Ask for a correction, or show why it cannot be stored."""
        try:
            wanted = expected(exchange)
        except SpatialError as error:
            show_error(error)
            return
        self._exchange = exchange
        self._question.text = exchange.question
        self._answered.text = f"Answered: {exchange.answer.text or exchange.answer.message}"
        self._right.value = ""
        self._right.props["hint"] = f"Expected: {wanted}"
        self._dialog.open()

    async def _store(self) -> None:
        if self._exchange is None:
            return
        try:
            stored = await to_thread(
                self._corrections.store, self._exchange, self._right.value or ""
            )
        except SHOWN_ERRORS as error:
            show_error(error)
            return
        self._dialog.close()
        ui.notify(f"Stored in {stored.path}: {stored.answer}", type="positive")
