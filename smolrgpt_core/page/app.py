"""Serves the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nicegui import app, ui

from smolrgpt_core.page.access import TOKEN_FIELD, AccessControl
from smolrgpt_core.page.visit import Shared, Visit

PRIMARY = "#2457c5"
"""White text on it has a contrast of more than 6 to 1."""

STYLE = Path(__file__).with_name("style.css")

RECONNECT_TIMEOUT_S = 15.0
"""How long the state of a visitor whose connection was lost is kept."""


@dataclass(frozen=True)
class Address:
    """Where the page is served.

    Attributes:
        host: address to bind to.
        port: to bind to.
        token: that visitors need; empty for a page on loopback.
    """

    host: str
    port: int
    token: str = ""

    @property
    def url(self) -> str:
        """What to open in a browser."""
        name = {"0.0.0.0": "localhost", "::": "localhost"}.get(self.host, self.host)
        name = f"[{name}]" if ":" in name else name
        path = f"/?{TOKEN_FIELD}={self.token}" if self.token else "/"
        return f"http://{name}:{self.port}{path}"


def serve(shared: Shared, address: Address, is_opened: bool, on_start: Callable[[], None]) -> None:
    """Serve the page until the process is stopped.

    Args:
        shared: what visitors see and ask.
        address: where it is served.
        is_opened: open it in a browser of this machine.
        on_start: called when it can be opened.
    """
    style = STYLE.read_text(encoding="utf-8")

    @ui.page("/", title="SmolRGPT")
    async def page() -> None:
        ui.add_css(style)
        ui.colors(primary=PRIMARY)
        visit = Visit(shared)
        await ui.context.client.connected()
        await visit.start()

    app.add_middleware(AccessControl, token=address.token)
    app.on_startup(on_start)
    ui.run(
        host=address.host,
        port=address.port,
        reload=False,
        show=address.url.split(str(address.port), 1)[1] if is_opened else False,
        dark=None,
        show_welcome_message=False,
        reconnect_timeout=RECONNECT_TIMEOUT_S,
    )
