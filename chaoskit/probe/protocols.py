"""Builds request bodies and interprets response events of four streaming protocols.

| protocol             | content                                | end marker of a complete response           |
|----------------------|----------------------------------------|---------------------------------------------|
| `openai-chat`        | `delta`: content, refusal, tool calls  | `[DONE]`, or a `finish_reason`              |
| `anthropic-messages` | text and input JSON deltas             | `message_stop`                              |
| `ollama`             | `message.content`, or `response`       | `"done": true`                              |
| `sse`                | every event's data                     | `[DONE]`                                    |

Rules: an unknown event counts as a keepalive; an event that is not JSON is a protocol error. The reference server sends
its stamps in a field or, for `sse`, in a comment before the event; other servers send none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from chaoskit.probe.framing import COMMENT, EventParser, MalformedError, NdjsonParser, SseParser
from chaoskit.records.model import Event, EventKind
from chaoskit.records.untrusted_files import MAX_NUMBER
from chaoskit.spec.experiment import Protocol

DEFAULT_PATHS: dict[Protocol, str] = {
    "openai-chat": "/v1/chat/completions",
    "anthropic-messages": "/v1/messages",
    "ollama": "/api/chat",
    "sse": "/sse",
}
CONTENT_TYPES: dict[Protocol, tuple[str, ...]] = {
    "openai-chat": ("text/event-stream",),
    "anthropic-messages": ("text/event-stream",),
    "ollama": ("application/x-ndjson", "application/json"),
    "sse": ("text/event-stream",),
}
_DONE = b"[DONE]"
_STAMPS = b"chaoskit "
_Object = dict[str, Any]
_ServerStamps = tuple[int | None, int | None, int | None]
_NO_STAMPS: _ServerStamps = (None, None, None)


class Usage(NamedTuple):
    """The server's own count of output tokens so far, None if it tells none; `reasoning` are among them."""

    tokens: int | None = None
    reasoning: int = 0


NO_USAGE = Usage()


class ProtocolEvent(NamedTuple):
    """An interpreted event. `completes`: the response is complete. `is_comment`: an SSE comment, a keepalive only.

    `error_message` is the server's text in an error event: unsafe to show as it is.
    """

    event: Event
    completes: bool = False
    is_comment: bool = False
    error_message: str = ""
    usage: Usage = NO_USAGE


_COMMENT = ProtocolEvent(Event("ping"), is_comment=True)
_END = ProtocolEvent(Event("done"), completes=True)


class ResponseParser:
    """Parses and interprets the events of one response."""

    def __init__(self, protocol: Protocol, max_size: int) -> None:
        """`max_size` bounds the bytes of one event and of one line."""
        self._parser: EventParser = NdjsonParser(max_size) if protocol == "ollama" else SseParser(max_size)
        self._parse_event = _PARSERS[protocol]
        self._stamps = _NO_STAMPS

    def feed(self, chunk: bytes) -> list[ProtocolEvent]:
        """The events that `chunk` completes, in order. Raises MalformedError, TooLargeError."""
        events = []
        for kind, data in self._parser.feed(chunk):
            if kind != COMMENT:
                events.append(self._parse_event(data, self._stamps))
                self._stamps = _NO_STAMPS
            elif data.startswith(_STAMPS):
                self._stamps = _comment_stamps(data)
            else:
                events.append(_COMMENT)
        return events


def request_body(protocol: Protocol, model: str, prompt: str, tokens: int) -> _Object:
    """The JSON body of a request for a stream of at most `tokens` tokens."""
    messages = [{"role": "user", "content": prompt}]
    match protocol:
        case "openai-chat" | "anthropic-messages":
            return {"model": model, "messages": messages, "max_tokens": tokens, "stream": True}
        case "ollama":
            return {"model": model, "messages": messages, "options": {"num_predict": tokens}, "stream": True}
        case "sse":
            return {"model": model, "prompt": prompt, "max_tokens": tokens, "stream": True}


def error_message(raw: bytes) -> str:
    """The server's message in the JSON body of an error response; "" if it has none in a known format."""
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    return _error_text(parsed.get("error")) if isinstance(parsed, dict) else ""


def _openai(data: bytes, _: _ServerStamps) -> ProtocolEvent:
    if data == _DONE:
        return _END
    payload = _object(data)
    if payload.get("error") is not None:
        return ProtocolEvent(Event("error"), error_message=_error_text(payload["error"]))
    choice = _dict(_first(payload.get("choices")))
    delta = _dict(choice.get("delta"))
    finish = choice.get("finish_reason")
    kind: EventKind = "finish" if finish else "meta"
    if delta.get("content") or delta.get("tool_calls") or delta.get("refusal") or choice.get("text"):
        kind = "content"
    elif delta.get("reasoning_content") or delta.get("reasoning"):
        kind = "reasoning"
    usage = _dict(payload.get("usage"))
    hidden = _integer(_dict(usage.get("completion_tokens_details")).get("reasoning_tokens"))
    told = Usage(_integer(usage.get("completion_tokens")), hidden or 0)
    return ProtocolEvent(Event(kind, *_stamps(payload)), completes=bool(finish), usage=told)


def _anthropic(data: bytes, _: _ServerStamps) -> ProtocolEvent:
    payload = _object(data)
    match payload.get("type"):
        case "content_block_delta":
            delta = _dict(payload.get("delta"))
            kind: EventKind = "meta"
            if delta.get("text") or delta.get("partial_json"):
                kind = "content"
            elif delta.get("thinking"):
                kind = "reasoning"
            return ProtocolEvent(Event(kind, *_stamps(payload)))
        case "message_stop":
            return _END
        case "message_delta" if _dict(payload.get("delta")).get("stop_reason"):
            told = Usage(_integer(_dict(payload.get("usage")).get("output_tokens")))
            return ProtocolEvent(Event("finish", *_stamps(payload)), usage=told)
        case "ping":
            return ProtocolEvent(Event("ping"))
        case "error":
            return ProtocolEvent(Event("error"), error_message=_error_text(payload.get("error")))
        case _:
            return ProtocolEvent(Event("meta", *_stamps(payload)))


def _ollama(data: bytes, _: _ServerStamps) -> ProtocolEvent:
    payload = _object(data)
    if payload.get("error") is not None:
        return ProtocolEvent(Event("error"), error_message=_error_text(payload["error"]))
    message = _dict(payload.get("message"))
    is_done = payload.get("done") is True
    kind: EventKind = "done" if is_done else "meta"
    if message.get("content") or message.get("tool_calls") or payload.get("response"):
        kind = "content"
    elif message.get("thinking"):
        kind = "reasoning"
    told = Usage(_integer(payload.get("eval_count")))
    return ProtocolEvent(Event(kind, *_stamps(payload)), completes=is_done, usage=told)


def _sse(data: bytes, stamps: _ServerStamps) -> ProtocolEvent:
    return _END if data == _DONE else ProtocolEvent(Event("content", *stamps))


_PARSERS: dict[Protocol, Callable[[bytes, _ServerStamps], ProtocolEvent]] = {
    "openai-chat": _openai,
    "anthropic-messages": _anthropic,
    "ollama": _ollama,
    "sse": _sse,
}
"""From an event's data, and the stamps of a comment before it, to its interpretation. Raises MalformedError."""


def _object(data: bytes) -> _Object:
    try:
        payload = json.loads(data.decode())  # decoded here, so that json does not have to detect the encoding
    except (ValueError, RecursionError):
        raise MalformedError("an event that is not JSON") from None
    if not isinstance(payload, dict):
        raise MalformedError("an event that is not a JSON object")
    return payload


def _error_text(error: object) -> str:
    """OpenAI and Anthropic send an object with a message, Ollama a string."""
    payload = error.get("message") or error.get("type") if isinstance(error, dict) else error
    return payload if isinstance(payload, str) else ""


def _stamps(payload: _Object) -> _ServerStamps:
    stamps = payload.get("chaoskit")
    if not isinstance(stamps, dict):
        return _NO_STAMPS
    return _integer(stamps.get("seq")), _integer(stamps.get("due")), _integer(stamps.get("sent"))


def _comment_stamps(comment: bytes) -> _ServerStamps:
    words = comment[len(_STAMPS) :].split()
    if len(words) != 3 or not all(word.isdigit() and len(word) < 20 for word in words):
        return _NO_STAMPS
    return _integer(int(words[0])), _integer(int(words[1])), _integer(int(words[2]))


def _integer(value: object) -> int | None:
    """The value if it is a number that a record may hold."""
    return value if type(value) is int and 0 <= value < MAX_NUMBER else None


def _dict(value: object) -> _Object:
    return value if isinstance(value, dict) else {}


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else None
