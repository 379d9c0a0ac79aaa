"""Who gets in, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from smolrgpt_core.errors import SpatialError
from smolrgpt_core.page.access import (
    AccessControl,
    is_loopback,
    new_token,
    under_roots,
)

OWN = {"host": "127.0.0.1:8080"}


async def inner(scope: Any, receive: Any, send: Any) -> None:
    """An application that reads the whole body and greets."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


def request(
    control: AccessControl,
    headers: dict[str, str],
    kind: str = "http",
    query: str = "",
    body: tuple[bytes, ...] = (b"",),
    method: str = "GET",
) -> list[Any]:
    """What is sent in return."""
    sent: list[Any] = []
    parts = [
        {"type": "http.request", "body": part, "more_body": index + 1 < len(body)}
        for index, part in enumerate(body)
    ]

    async def receive() -> Any:
        return parts.pop(0) if kind == "http" else {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": kind,
        "method": method,
        "path": "/",
        "query_string": query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    asyncio.run(control(scope, receive, send))
    return sent


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("localhost", True),
        ("::1", True),
        ("127.8.8.8", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.4", False),
        ("localhost.evil.example", False),
        ("", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (OWN, 200),
        ({"host": "localhost:8080"}, 200),
        ({"host": "[::1]:8080"}, 200),
        ({**OWN, "origin": "http://127.0.0.1:8080"}, 200),
        ({**OWN, "origin": "http://evil.example"}, 403),
        ({**OWN, "origin": "http://127.0.0.1:9090"}, 403),
        ({**OWN, "origin": "null"}, 403),
        ({"host": "evil.example:8080"}, 403),
        ({"host": "127.0.0.1.evil.example"}, 403),
        ({"host": "[::1"}, 403),
        ({}, 403),
    ],
)
def test_on_loopback_only_the_page_itself_gets_in(headers: dict[str, str], status: int) -> None:
    assert request(AccessControl(inner), headers)[0]["status"] == status


def test_a_web_socket_of_another_site_is_closed() -> None:
    control = AccessControl(inner)
    foreign = request(control, {**OWN, "origin": "http://evil.example"}, "websocket")
    own = request(control, {**OWN, "origin": "http://127.0.0.1:8080"}, "websocket")
    assert foreign[0]["type"] == "websocket.close"
    assert own[0]["type"] == "websocket.accept"


def test_beyond_loopback_everything_needs_the_token() -> None:
    token = new_token()
    control, host = AccessControl(inner, token), {"host": "robot:8080"}
    assert request(control, host)[0]["status"] == 401
    assert request(control, host, query="token=wrong")[0]["status"] == 401
    assert request(control, host, query="token=%00%ff")[0]["status"] == 401
    assert request(control, host, "websocket")[0]["type"] == "websocket.close"
    entered = request(control, host, query=f"token={token}")[0]
    assert entered["status"] == 303
    headers = {name.decode(): value.decode() for name, value in entered["headers"]}
    assert headers["location"] == "/"
    assert "HttpOnly" in headers["set-cookie"]
    assert "SameSite=Strict" in headers["set-cookie"]
    cookie = headers["set-cookie"].split(";")[0]
    assert request(control, {**host, "cookie": cookie})[0]["status"] == 200
    foreign = {**host, "cookie": cookie, "origin": "http://evil.example"}
    assert request(control, foreign)[0]["status"] == 403


def test_tokens_differ_and_are_long() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert min(map(len, tokens)) >= 32


def test_a_request_that_declares_too_much_is_refused() -> None:
    control = AccessControl(inner, max_bytes=100)
    for declared in ("101", "-1", "many"):
        found = request(control, {**OWN, "content-length": declared}, method="POST")
        assert found[0]["status"] == 413, declared


def test_a_request_that_sends_more_than_it_declares_is_cut() -> None:
    control = AccessControl(inner, max_bytes=100)
    headers = {**OWN, "content-length": "10"}
    sent = request(control, headers, method="POST", body=(b"x" * 60, b"x" * 60))
    assert sent[0]["status"] == 413
    fitting = request(control, headers, method="POST", body=(b"x" * 60, b"x" * 40))
    assert fitting[0]["status"] == 200


def test_files_are_read_under_the_roots_only(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "bag.mcap").touch()
    (inside / "link").symlink_to(outside)
    assert under_roots(inside / "bag.mcap", [inside]) == (inside / "bag.mcap").resolve()
    for path in (
        outside / "bag.mcap",
        inside / ".." / "out" / "bag.mcap",
        inside / "link" / "bag.mcap",
        Path("/etc/passwd"),
    ):
        with pytest.raises(SpatialError, match="only files under"):
            under_roots(path, [inside])
    with pytest.raises(SpatialError, match="none"):
        under_roots(inside, [])
