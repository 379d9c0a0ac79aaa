"""Serves the page."""

from __future__ import annotations

import socket
import threading
from asyncio import sleep, to_thread
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn
from fastapi import FastAPI
from nicegui import app, ui

from smolrgpt_core.garbage_collection import settle
from smolrgpt_core.language import load_languages
from smolrgpt_core.page.access import TOKEN_FIELD, AccessControl, is_loopback, new_token
from smolrgpt_core.page.visit import Shared, Visit

PRIMARY = "#2457c5"
"""White text on it has a contrast of more than 6 to 1."""

STYLE = Path(__file__).with_name("style.css")

RECONNECT_TIMEOUT_S = 15.0
"""How long the state of a visitor whose connection was lost is stored."""


POLL_S, CONNECT_S = 0.05, 1.0

STOP_S = 3.0
"""Time for connections to end with the server."""


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
        """The URL to open in a browser."""
        name = {"0.0.0.0": "localhost", "::": "localhost"}.get(self.host, self.host)
        name = f"[{name}]" if ":" in name else name
        path = f"/?{TOKEN_FIELD}={self.token}" if self.token else "/"
        return f"http://{name}:{self.port}{path}"


def address_of(host: str, port: int) -> Address:
    """The address to serve at, with a new token if other machines can reach it."""
    return Address(host, port, "" if is_loopback(host) else new_token())


def serve(shared: Shared, address: Address, is_opened: bool, on_start: Callable[[], None]) -> None:
    """Serve the page until the process is stopped.

    Args:
        shared: what visitors see and ask.
        address: where it is served.
        is_opened: open it in a browser of this machine.
        on_start: called when the page is ready.
    """
    _add_page(shared)
    app.add_middleware(AccessControl, token=address.token)

    async def announce() -> None:
        # Handlers of the start are called before the port is bound.
        while not await to_thread(_is_served, address):
            await sleep(POLL_S)
        settle()
        on_start()

    app.on_startup(announce)
    ui.run(
        host=address.host,
        port=address.port,
        reload=False,
        show=address.url.split(str(address.port), 1)[1] if is_opened else False,
        dark=None,
        show_welcome_message=False,
        reconnect_timeout=RECONNECT_TIMEOUT_S,
    )


def _is_served(address: Address) -> bool:
    parts = urlsplit(address.url)
    try:
        with socket.create_connection((parts.hostname, parts.port), CONNECT_S):
            return True
    except OSError:
        return False


def _add_page(shared: Shared) -> None:
    style = STYLE.read_text(encoding="utf-8")
    # The first question of a visitor would wait for it.
    load_languages()

    @ui.page("/", title="SmolRGPT")
    async def page() -> None:
        ui.add_css(style)
        ui.colors(primary=PRIMARY)
        visit = Visit(shared)
        await ui.context.client.connected()
        await visit.start()


class PageServer:
    """Serves the page on a separate thread.

    Args:
        shared: what visitors see and ask.
        address: where it is served.
    """

    def __init__(self, shared: Shared, address: Address) -> None:
        self.address = address
        _add_page(shared)
        application = FastAPI()
        application.add_middleware(AccessControl, token=address.token)
        ui.run_with(application, dark=None, reconnect_timeout=RECONNECT_TIMEOUT_S)
        self._server = uvicorn.Server(
            uvicorn.Config(application, address.host, address.port, log_level="warning")
        )
        self._socket: socket.socket | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start serving.

        Raises:
            OSError: the port is in use, or the address is not one of this machine.
        """
        self._socket = _bound(self.address)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="page", daemon=True
        )
        self._thread.start()
        settle()

    def stop(self) -> None:
        """Close all connections and end the thread."""
        self._server.should_exit = self._server.force_exit = True
        if self._thread:
            self._thread.join(STOP_S)
        if self._socket:
            self._socket.close()


def _bound(address: Address) -> socket.socket:
    """A socket that other processes cannot take anymore.

    Raises:
        OSError: as `PageServer.start`.
    """
    family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address.host, address.port))
    except OSError as error:
        bound.close()
        raise OSError(
            error.errno,
            f"the page cannot be served at {address.host}:{address.port}: {error.strerror}; choose "
            "another port",
        ) from error
    return bound
