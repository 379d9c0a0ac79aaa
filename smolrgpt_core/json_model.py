"""A language model that replies in JSON, with its replies stored on disk where that is wanted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from smolrgpt_core.chat_server import ChatServer
from smolrgpt_core.errors import UnansweredError
from smolrgpt_core.files import read_bytes

MAX_NEW_TOKENS = 160
"""Of a reply: some fields and a quotation."""

LONGEST_ANSWER = 2000
"""Characters of an answer that a language model is shown."""


class JsonModel:
    """Replies that follow a schema, from a server; each is asked for once.

    Args:
        server: with the model.
        path: JSON Lines file for the replies, also of earlier runs; made if needed. A reply
            belongs to one request to one version of one model. None: they are forgotten with this
            object.
    """

    def __init__(self, server: ChatServer, path: Path | None = None) -> None:
        self.server = server
        self.described: Mapping[str, str] = {
            "model": server.model, "url": server.settings.url, **server.identity(),
        }  # fmt: skip
        self._about = {name: value for name, value in self.described.items() if name != "url"}
        self._path = path
        self._replies = {} if path is None else _read_replies(path)

    def reply(
        self, instructions: str, text: str, schema: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """The reply to a text; None when it is no object with the fields of the schema.

        Args:
            instructions: for the model; a server may not show it the schema, so they name the
                fields.
            text: to work on.
            schema: of the reply, an object with all fields required.

        Raises:
            SpatialError: MODEL_ERROR when the server cannot be asked any more; what it has
                replied is stored.
        """
        messages = [
            {"role": "system", "content": instructions},
            {"role": "user", "content": text[:LONGEST_ANSWER]},
        ]
        about = json.dumps([self._about, messages, schema], sort_keys=True)
        key = hashlib.sha256(about.encode()).hexdigest()
        if key not in self._replies:
            try:
                reply = self.server.complete(messages, MAX_NEW_TOKENS, schema)
            except UnansweredError as error:
                reply = f"refused: {error.message}"
            self._store(key, reply)
        return _object(self._replies[key], schema["required"])

    def _store(self, key: str, reply: str) -> None:
        self._replies[key] = reply
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab") as file:
            file.write(json.dumps({"key": key, "said": reply}).encode() + b"\n")


def _object(reply: str, fields: list[str]) -> Mapping[str, Any] | None:
    """A reply as an object; None when it is cut off, no JSON, or lacks a field."""
    try:
        found = json.loads(reply)
    except (ValueError, RecursionError):
        # The output of a model need not be JSON: unread, and counted as such.
        return None
    complete = isinstance(found, dict) and all(name in found for name in fields)
    return found if complete else None


def _read_replies(path: Path) -> dict[str, str]:
    """Replies by key; a last line that a kill cut off is skipped."""
    if not path.exists():
        return {}
    *lines, rest = read_bytes(path).split(b"\n")
    if rest:
        path.write_bytes(b"".join(line + b"\n" for line in lines))
    entries = map(json.loads, lines)
    return {entry["key"]: entry["said"] for entry in entries}
