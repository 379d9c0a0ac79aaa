"""Who may use the page, and which files it reads.

The page is only for this machine unless it is bound to another address; then every visitor needs
the random token that the command prints. Requests that other web sites make a browser send are
refused
in either case: they come with a foreign `Origin`, or by a foreign name of this machine.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from smolrgpt_core.files import file_error

COOKIE = "smolrgpt_page"
TOKEN_FIELD = "token"
TOKEN_BYTES = 24

MAX_REQUEST_BYTES = 64 * 2**20
"""Of one request, which may be the upload of one file."""

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def is_loopback(host: str) -> bool:
    """Whether an address is reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def new_token() -> str:
    """A token that cannot be guessed, for use in an address."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def under_roots(path: Path, roots: Sequence[Path]) -> Path:
    """The real path of a file or folder, which must lie under one of the folders.

    Args:
        path: as it was asked for.
        roots: folders whose content may be read.

    Raises:
        SpatialError: BAD_INPUT when it does not, even through a link.
    """
    real = path.resolve()
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        allowed = ", ".join(map(str, roots)) or "none"
        raise file_error(path, f"only files under these folders are read: {allowed}")
    return real


class TooLargeError(Exception):
    """A request is larger than allowed."""


class AccessControl:
    """Admits only authorized requests; an ASGI application that wraps another one.

    Args:
        application: the protected one.
        token: that every request needs, as a cookie; empty for a page on loopback.
        max_bytes: of a request.
    """

    def __init__(
        self, application: Application, token: str = "", max_bytes: int = MAX_REQUEST_BYTES
    ) -> None:
        self._application = application
        self._token = token
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        headers = _headers(scope)
        if not self._is_own(headers):
            await _refuse(scope, receive, send, 403, "this request comes from another website")
        elif self._token and _token_of(scope) and self._fits(_token_of(scope)):
            await self._enter(scope, send)
        elif self._token and not self._fits(_cookie(headers)):
            reason = "open the address with the token that smolrgpt page printed"
            await _refuse(scope, receive, send, 401, reason)
        else:
            await self._pass(scope, receive, send, headers)

    def _is_own(self, headers: Mapping[str, str]) -> bool:
        """Whether the page itself, or a person, sends a request."""
        host = headers.get("host", "")
        if not self._token and not is_loopback(_name(f"//{host}")):
            return False
        origin = headers.get("origin")
        return origin is None or urlsplit(origin).netloc == host

    def _fits(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())

    async def _enter(self, scope: Scope, send: Send) -> None:
        """Keep the token as a cookie, and take it out of the address and so out of the history."""
        cookie = f"{COOKIE}={self._token}; Path=/; HttpOnly; SameSite=Strict"
        headers = [(b"location", scope["path"].encode()), (b"set-cookie", cookie.encode())]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    async def _pass(
        self, scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str]
    ) -> None:
        declared = headers.get("content-length", "0")
        if not declared.isdigit() or int(declared) > self._max_bytes:
            reason = f"a request may have at most {self._max_bytes} bytes"
            await _refuse(scope, receive, send, 413, reason)
            return
        if scope["type"] == "http":
            receive = self._limited(receive)
        try:
            await self._application(scope, receive, send)
        except TooLargeError as error:
            await _refuse(scope, receive, send, 413, str(error))

    def _limited(self, receive: Receive) -> Receive:
        """The body of a request as far as it may be long, whatever its header declares."""
        read = 0

        async def limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > self._max_bytes:
                raise TooLargeError(f"the request has more than {self._max_bytes} bytes")
            return message

        return limited


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}


def _name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


def _token_of(scope: Scope) -> str:
    """The token in the address of a page."""
    if scope["type"] != "http" or scope["method"] != "GET":
        return ""
    fields = parse_qs(scope["query_string"].decode("latin-1"))
    return fields.get(TOKEN_FIELD, [""])[0]


def _cookie(headers: Mapping[str, str]) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, reason: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": reason})
        return
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"smolrgpt: {reason}\n".encode()})
