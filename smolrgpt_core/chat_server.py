"""Servers that speak the OpenAI chat protocol: vLLM, llama.cpp, Ollama and others, by one client.

Answers are the most likely ones: temperature 0 and a fixed seed. A server that cannot be asked any
more is an error with the reason; what one request is refused for is another.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

from smolrgpt_core.errors import SpatialError, Status, UnansweredError
from smolrgpt_core.extras import require

if TYPE_CHECKING:
    import openai

_SEED = 0
"""Of the server's sampling, which at temperature 0 only breaks ties."""

_IDENTITY_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class ServerSettings:
    """A server that speaks the OpenAI chat protocol, such as vLLM, llama.cpp or Ollama.

    Attributes:
        url: of its API, such as "http://localhost:8000/v1".
        model: name of the model there; empty: the only one that it has.
        api_key: if it wants one.
        timeout_s: for one answer, seconds: of silence, and of the whole answer.
        retries: after a lost connection or an overloaded server.

    Raises:
        ValueError: when a value is outside its range, naming the field.
    """

    url: str
    model: str = ""
    api_key: str = "none"
    timeout_s: float = 60.0
    retries: int = 2

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url must begin with http:// or https://, got {self.url!r}")
        if not self.timeout_s > 0:
            raise ValueError(f"timeout_s must be positive, got {self.timeout_s}")
        if self.retries < 0:
            raise ValueError(f"retries must not be negative, got {self.retries}")


@dataclass(frozen=True, eq=False)
class ChatServer:
    """A model behind the OpenAI chat protocol.

    Attributes:
        client: of the server.
        model: name of the model there.
        settings: of the server.
    """

    client: openai.OpenAI
    model: str
    settings: ServerSettings

    @classmethod
    def connect(cls, settings: ServerSettings) -> ChatServer:
        """The server of these settings.

        Raises:
            ImportError: the package `openai` is missing.
            SpatialError: MODEL_ERROR when it cannot be asked for its models.
            ValueError: it has several, and none is named.
        """
        package = require("openai", "server", "a server of the OpenAI protocol needs openai")
        client = package.OpenAI(
            base_url=settings.url,
            api_key=settings.api_key,
            timeout=settings.timeout_s,
            max_retries=settings.retries,
        )
        return cls(client, settings.model or _only_model(client, settings.url), settings)

    def complete(
        self,
        messages: Sequence[Mapping[str, Any]],
        max_new_tokens: int,
        schema: Mapping[str, Any] | None = None,
    ) -> str:
        """The text of the answer, without blanks at its ends; empty when there is none.

        Args:
            messages: of the chat, in the form of the protocol.
            max_new_tokens: the answer ends after this many tokens.
            schema: JSON schema that the answer is to follow; a server may ignore it.

        Raises:
            SpatialError: MODEL_ERROR when the server does not answer, or takes longer than the
                timeout; as `UnansweredError` when it refuses this request.
        """
        import openai

        request: dict[str, Any] = {
            "model": self.model, "messages": list(messages), "max_tokens": max_new_tokens,
            "temperature": 0, "seed": _SEED,
        }  # fmt: skip
        if schema is not None:
            bound = {"name": "reply", "strict": True, "schema": dict(schema)}
            request["response_format"] = {"type": "json_schema", "json_schema": bound}
        url = self.settings.url
        for attempts_left in range(self.settings.retries, -1, -1):
            try:
                return _text_of(json.loads(self._answer(request)), url).strip()
            except openai.BadRequestError as error:
                refusal = _server_error(url, error)
                raise UnansweredError(refusal.status, refusal.message) from error
            except _transport_error(self.client) as error:
                # The connection was lost within the answer; the client itself tries again only
                # before it.
                if not attempts_left:
                    raise _server_error(url, error) from error
            except (openai.OpenAIError, ValueError) as error:
                raise _server_error(url, error) from error
        raise AssertionError("the last attempt returns or raises")

    def _answer(self, request: dict[str, Any]) -> bytes:
        """The body of an answer, which may not trickle in for longer than the timeout."""
        ends = time.monotonic() + self.settings.timeout_s
        body = b""
        with self.client.chat.completions.with_streaming_response.create(**request) as answer:
            for part in answer.iter_bytes():
                body += part
                if time.monotonic() > ends:
                    raise SpatialError(
                        Status.MODEL_ERROR,
                        f"the server {self.settings.url} had not finished its answer after "
                        f"{self.settings.timeout_s:g} s; raise the timeout, or ask for less",
                    )
        return body

    def identity(self) -> dict[str, str]:
        """What the server reports of itself: version, and digest or size of the weights.

        Empty where it reports nothing: each program has other pages for it.
        """
        host = self.settings.url.rstrip("/").removesuffix("/v1")
        listed = {item.get("name"): item for item in _page(f"{host}/api/tags").get("models", [])}
        entries = _page(f"{host}/v1/models").get("data", [])
        served: dict[str, Any] = next(
            (item for item in entries if item.get("id") == self.model), {}
        )
        found = {
            "version": _page(f"{host}/api/version").get("version")
            or _page(f"{host}/version").get("version")
            or _page(f"{host}/props").get("build_info"),
            "digest": listed.get(self.model, {}).get("digest"),
            "weights": json.dumps(served["meta"], sort_keys=True) if served.get("meta") else None,
        }
        return {name: str(value) for name, value in found.items() if value}


def _page(url: str) -> dict[str, Any]:
    """A JSON object of the server; empty where there is none."""
    try:
        with urlopen(url, timeout=_IDENTITY_TIMEOUT_S) as answer:
            content = json.loads(answer.read())
    except (URLError, OSError, ValueError):
        # Another program's page: that it is missing is what is asked here.
        return {}
    return content if isinstance(content, dict) else {}


def _only_model(client: openai.OpenAI, url: str) -> str:
    """The name of the only model that a server has."""
    import openai

    try:
        names = [model.id for model in client.models.list()]
    except openai.OpenAIError as error:
        raise _server_error(url, error) from error
    if len(names) != 1:
        listed = ", ".join(names) or "none"
        raise ValueError(f"model must name one of the models of {url}, which has: {listed}")
    return names[0]


def _text_of(answer: Any, url: str) -> str:
    """The text of a completion; empty when it has none."""
    choices = answer.get("choices") if isinstance(answer, Mapping) else None
    if not isinstance(choices, list):
        raise SpatialError(
            Status.MODEL_ERROR,
            f"the server {url} must answer with a completion of the OpenAI protocol, got "
            f"{answer!r:.120}; is the URL that of its API, such as http://HOST:PORT/v1?",
        )
    message = choices[0].get("message") if choices else None
    return (message or {}).get("content") or ""


def _transport_error(client: openai.OpenAI) -> type[Exception]:
    """What the HTTP library of the client raises for a lost connection: httpx, or its successor."""
    library = import_module(type(client.base_url).__module__.partition(".")[0])
    return library.TransportError


def _server_error(url: str, error: Exception) -> SpatialError:
    reason = f"{type(error).__name__}: {error}"
    return SpatialError(
        Status.MODEL_ERROR,
        f"the server {url} did not answer; is it running and reachable? {reason}",
    )
