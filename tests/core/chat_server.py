"""A real HTTP server that speaks the OpenAI protocol, and can fail in every way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BROKEN_JSON, DROPPED, NO_COMPLETION, CUT = "broken JSON", "dropped", "no completion", "cut short"


class ChatServer(ThreadingHTTPServer):
    """What it answers may be set, and what it was asked is kept.

    Attributes:
        models: names that it lists.
        answer: text of a reply, or how it is made from the request.
        status: HTTP status of a reply.
        overloaded: requests that it is too busy for.
        fault: what goes wrong with a reply; "" for nothing.
        asked: bodies of the requests, each with its `key`.
        hold: replies wait while this is not set.
        trickle_s: seconds between the bytes of a reply, which comes as a whole at 0.
        hold_at: request, from 1, that clears `hold` and sets `reached`; 0: none.
    """

    models = ("vision",)
    answer: str | Callable[[dict[str, Any]], str] | None = " A red pallet. "
    status = 200
    overloaded = 0
    fault = ""
    trickle_s = 0.0
    hold_at = 0

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.reached = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, *_: Any) -> None:
        """A client that was killed is no news."""


class Handler(BaseHTTPRequestHandler):
    server: ChatServer

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        if self.path != "/v1/models":
            self.send_error(404)
            return
        found = [{"id": name, "object": "model"} for name in self.server.models]
        self.reply(200, json.dumps({"object": "list", "data": found}))

    def do_POST(self) -> None:
        assert self.path == "/v1/chat/completions"
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.asked.append({"key": self.headers["Authorization"], **body})
        if len(server.asked) == server.hold_at:
            server.hold.clear()
            server.reached.set()
        server.hold.wait(60)
        if len(server.asked) <= server.overloaded:
            self.reply(503, json.dumps({"error": {"message": "try again"}}))
        elif server.status != 200:
            self.reply(server.status, json.dumps({"error": {"message": "no images here"}}))
        elif server.fault == DROPPED:
            self.close_connection = True
        elif server.fault == NO_COMPLETION:
            self.reply(200, json.dumps({"hello": "there"}))
        else:
            self.complete(body)

    def complete(self, body: dict[str, Any]) -> None:
        answer = self.server.answer(body) if callable(self.server.answer) else self.server.answer
        message = {"role": "assistant", "content": answer}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        text = json.dumps({"id": "1", "object": "chat.completion", "created": 0,
                           "model": "vision", "choices": [choice]})  # fmt: skip
        if self.server.fault == BROKEN_JSON:
            text = text[: len(text) // 2]
        self.reply(200, text, cut=self.server.fault == CUT)

    def reply(self, status: int, text: str, cut: bool = False) -> None:
        data = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.server.trickle_s and self.command == "POST":
            self.trickle(data)
        else:
            self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = True

    def trickle(self, data: bytes) -> None:
        for place in range(len(data)):
            self.wfile.write(data[place : place + 1])
            self.wfile.flush()
            threading.Event().wait(self.server.trickle_s)


@contextmanager
def running() -> Iterator[ChatServer]:
    """A server on a free port."""
    one = ChatServer()
    thread = threading.Thread(target=one.serve_forever, daemon=True)
    thread.start()
    try:
        yield one
    finally:
        one.hold.set()
        one.shutdown()
        one.server_close()
        thread.join()
