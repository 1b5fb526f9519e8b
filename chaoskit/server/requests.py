"""Parses completion requests of four APIs, and builds their error responses.

| path                   | vendor    | number of tokens                           | streams            |
|------------------------|-----------|--------------------------------------------|--------------------|
| `/v1/chat/completions` | openai    | `max_completion_tokens` or `max_tokens`    | if `stream`        |
| `/v1/messages`         | anthropic | `max_tokens`                               | if `stream`        |
| `/api/chat`            | ollama    | `options.num_predict`                      | unless `stream` no |
| `/sse`                 | sse       | `?tokens=`                                 | always             |
| `/v1/models`           | openai    |                                            |                    |

Unused fields are not checked: clients send many.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

Vendor = Literal["openai", "anthropic", "ollama", "sse"]
Headers = tuple[tuple[str, str], ...]

JSON = "application/json"
MODEL = "chaoskit"
STREAM_HEADER = "x-chaoskit-stream"
_TOKENS = 100  # when the client does not say how many
_MAX_TOKENS = 100_000
_BYTES_PER_TOKEN = 4  # a rough estimate of a prompt's tokens
_MAX_MODEL = 256  # characters; the name is in every event of a response
_MAX_VALUES = 1_000_000  # in a body's JSON: each needs some 60 bytes of memory and 50 ns of the event loop
_METHODS: dict[str, tuple[str, ...]] = {
    "/v1/chat/completions": ("POST",),
    "/v1/messages": ("POST",),
    "/api/chat": ("POST",),
    "/sse": ("GET", "POST"),
    "/v1/models": ("GET",),
}


@dataclass(frozen=True, slots=True)
class Request:
    """A complete HTTP request. Header names are in lower case; `received` is monotonic ns."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes
    received: int


@dataclass(frozen=True, slots=True)
class Reply:
    """A response that is sent at once."""

    status: int
    headers: Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A request for `tokens` tokens. `limited`: the client gave a limit. `prompt` in tokens; `stream`: its number."""

    vendor: Vendor
    model: str
    tokens: int
    limited: bool
    streamed: bool
    prompt: int
    usage: bool = False
    stream: int | None = None


BUSY = (503, "the server is overloaded; try again", (("retry-after", "1"),))
"""Arguments of `error` after the vendor."""


def body_too_large(limit: int) -> tuple[int, str]:
    """Arguments of `error` after the vendor, for a body above `limit` bytes."""
    return 413, f"a body of more than {limit} bytes"


def parse(request: Request) -> CompletionRequest | Reply:
    """The completion request, or an immediate response: an error or the list of models."""
    try:
        url = urlsplit(request.target)
    except ValueError:
        return error("openai", 400, f"{request.target[:200]!r} is not a path")
    vendor = _vendor(url.path)
    methods = _METHODS.get(url.path)
    if methods is None:
        return error(vendor, 404, f"there is no {url.path[:200]}; known paths: {', '.join(_METHODS)}")
    if request.method not in methods:
        allowed = ", ".join(methods)
        return error(vendor, 405, f"{url.path} takes {allowed}, not {request.method}", (("allow", allowed),))
    try:
        match url.path:
            case "/v1/models":
                return _models()
            case "/v1/chat/completions":
                return _openai(request)
            case "/v1/messages":
                return _anthropic(request)
            case "/api/chat":
                return _ollama(request)
            case _:
                return _sse(request, url.query)
    except _BadRequest as wrong:
        return error(vendor, 400, str(wrong))
    except RecursionError:  # of the JSON parser, or of json.dumps for the message
        return error(vendor, 400, "the body is nested too deeply")


def error(vendor: Vendor, status: int, message: str, headers: Headers = ()) -> Reply:
    """An error response in the vendor's format."""
    body: dict[str, Any]
    match vendor:
        case "openai":
            body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}
        case "anthropic":
            kind = "not_found_error" if status == 404 else "invalid_request_error"
            body = {"type": "error", "error": {"type": kind, "message": message}}
        case "ollama" | "sse":
            body = {"error": message}
    return _json(status, body, headers)


class _BadRequest(ValueError):
    """An invalid request; the message is sent to the client."""


def _vendor(path: str) -> Vendor:
    if path.startswith("/v1/messages"):
        return "anthropic"
    if path.startswith("/api/"):
        return "ollama"
    return "sse" if path == "/sse" else "openai"


def _models() -> Reply:
    model = {"id": MODEL, "object": "model", "created": 0, "owned_by": "chaoskit"}
    return _json(200, {"object": "list", "data": [model]})


def _openai(request: Request) -> CompletionRequest:
    body = _object(request.body)
    limit = _tokens(body, "max_completion_tokens") or _tokens(body, "max_tokens")
    options = _field(body, "stream_options", dict, "an object") or {}
    return CompletionRequest(
        vendor="openai",
        model=_model(body),
        tokens=limit or _TOKENS,
        limited=limit is not None,
        streamed=bool(_field(body, "stream", bool, "a boolean")),
        prompt=_prompt(body),
        usage=bool(_field(options, "include_usage", bool, "a boolean")),
        stream=_stream(request),
    )


def _anthropic(request: Request) -> CompletionRequest:
    body = _object(request.body)
    limit = _tokens(body, "max_tokens")
    if limit is None:
        raise _BadRequest("max_tokens: field required")
    return CompletionRequest(
        vendor="anthropic",
        model=_model(body),
        tokens=limit,
        limited=True,
        streamed=bool(_field(body, "stream", bool, "a boolean")),
        prompt=_prompt(body),
        stream=_stream(request),
    )


def _ollama(request: Request) -> CompletionRequest:
    body = _object(request.body)
    options = _field(body, "options", dict, "an object") or {}
    limit = _tokens(options, "num_predict")
    streamed = _field(body, "stream", bool, "a boolean")
    return CompletionRequest(
        vendor="ollama",
        model=_model(body),
        tokens=limit or _TOKENS,
        limited=limit is not None,
        streamed=streamed is not False,
        prompt=_prompt(body),
        stream=_stream(request),
    )


def _sse(request: Request, query: str) -> CompletionRequest:
    text = parse_qs(query).get("tokens", [None])[-1]
    if text is not None and not (text.isascii() and text.isdigit()):
        raise _BadRequest(f"tokens: expected an integer, found {text[:40]!r}")
    limit = _tokens({"tokens": int(text[:9])}, "tokens") if text else None
    return CompletionRequest(
        vendor="sse",
        model=MODEL,
        tokens=limit or _TOKENS,
        limited=limit is not None,
        streamed=True,
        prompt=len(request.body) // _BYTES_PER_TOKEN,
        stream=_stream(request),
    )


def _object(raw: bytes) -> dict[str, Any]:
    if sum(raw.count(sign) for sign in (b",", b"[", b"{")) > _MAX_VALUES:
        raise _BadRequest(f"the body has more than {_MAX_VALUES} values")
    try:
        body = json.loads(raw, parse_constant=_no_number)
    except ValueError as problem:
        raise _BadRequest(f"the body is not JSON: {problem}") from None
    if not isinstance(body, dict):
        raise _BadRequest("the body is not a JSON object")
    return body


def _no_number(name: str) -> float:
    """Reject NaN and Infinity, which Python accepts and RFC 8259 does not."""
    raise ValueError(f"{name} is not a number")


def _field(body: Mapping[str, Any], name: str, kind: type, noun: str) -> Any:
    """`body[name]`, None if missing or null; a boolean is not accepted as an integer."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _BadRequest(f"{name}: expected {noun}, found {json.dumps(value)[:80]}")
    return value


def _tokens(body: Mapping[str, Any], name: str) -> int | None:
    count: int | None = _field(body, name, int, "an integer")
    if count is not None and not 1 <= count <= _MAX_TOKENS:
        raise _BadRequest(f"{name}: expected 1 to {_MAX_TOKENS}, found {count}")
    return count


def _model(body: Mapping[str, Any]) -> str:
    model: str | None = _field(body, "model", str, "a string")
    if model is None:
        raise _BadRequest("model: field required")
    if len(model) > _MAX_MODEL:
        raise _BadRequest(f"model: expected at most {_MAX_MODEL} characters, found {len(model)}")
    return model


def _prompt(body: Mapping[str, Any]) -> int:
    messages: list[Any] | None = _field(body, "messages", list, "an array")
    if messages is None:
        raise _BadRequest("messages: field required")
    size = 0
    for at, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise _BadRequest(f"messages[{at}]: expected an object with a role")
        content = message.get("content")
        size += len(content if isinstance(content, str) else json.dumps(content))
    return max(1, size // _BYTES_PER_TOKEN)


def _stream(request: Request) -> int | None:
    text = request.headers.get(STREAM_HEADER)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise _BadRequest(f"{STREAM_HEADER}: expected an integer, found {text[:40]!r}")
    return int(text)


def _json(status: int, body: dict[str, Any], headers: Headers = ()) -> Reply:
    raw = json.dumps(body).encode()
    return Reply(status, (("content-type", JSON), ("content-length", str(len(raw))), *headers), raw)
