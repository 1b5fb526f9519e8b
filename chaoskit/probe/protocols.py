"""What is asked and what the answers mean, in four vendors' words.

| protocol             | content                                | the end, without which nothing is complete  |
|----------------------|----------------------------------------|---------------------------------------------|
| `openai-chat`        | a delta's content, refusal, tool calls | `[DONE]`, or a `finish_reason`              |
| `anthropic-messages` | text and input deltas                  | `message_stop`                              |
| `ollama`             | a message's content, or a response     | `"done": true`                              |
| `sse`                | every event's data                     | `[DONE]`                                    |

Rules: what is not understood is a sign of life, never a crash; what is no JSON is the server's mistake. The
reference server's stamps ride in a field or, for `sse`, in a comment before their event; others have none.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from chaoskit.probe.framing import COMMENT, MalformedError, Ndjson, Sse, Wire
from chaoskit.records.model import Event, EventKind
from chaoskit.records.untrusted_files import MOST
from chaoskit.spec.experiment import Protocol

PATHS: dict[Protocol, str] = {
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
_Stamps = tuple[int | None, int | None, int | None]
_NO_STAMPS: _Stamps = (None, None, None)


class ProtocolEvent(NamedTuple):
    """What a piece says. `completes`: the answer is whole. `is_comment`: no event at all, a sign of life only.

    `complaint` is what an error event says, in the server's words: unsafe to show as it is.
    """

    event: Event
    completes: bool = False
    is_comment: bool = False
    complaint: str = ""


_COMMENT = ProtocolEvent(Event("ping"), is_comment=True)
_END = ProtocolEvent(Event("done"), completes=True)


class Reader:
    """The pieces of one response, understood."""

    def __init__(self, protocol: Protocol, longest: int) -> None:
        """`longest` bounds the bytes of one event and of one line."""
        self._wire: Wire = Ndjson(longest) if protocol == "ollama" else Sse(longest)
        self._understand = _UNDERSTAND[protocol]
        self._stamps = _NO_STAMPS

    def feed(self, chunk: bytes) -> list[ProtocolEvent]:
        """What the events mean that `chunk` completes, in order. Raises MalformedError, TooLargeError."""
        meanings = []
        for kind, data in self._wire.feed(chunk):
            if kind != COMMENT:
                meanings.append(self._understand(data, self._stamps))
                self._stamps = _NO_STAMPS
            elif data.startswith(_STAMPS):
                self._stamps = _written_stamps(data)
            else:
                meanings.append(_COMMENT)
        return meanings


def body(protocol: Protocol, model: str, prompt: str, tokens: int) -> _Object:
    """The JSON body that asks for a stream of at most `tokens` tokens."""
    messages = [{"role": "user", "content": prompt}]
    match protocol:
        case "openai-chat" | "anthropic-messages":
            return {"model": model, "messages": messages, "max_tokens": tokens, "stream": True}
        case "ollama":
            return {"model": model, "messages": messages, "options": {"num_predict": tokens}, "stream": True}
        case "sse":
            return {"model": model, "prompt": prompt, "max_tokens": tokens, "stream": True}


def complaint(raw: bytes) -> str:
    """What an error response's JSON body says went wrong, in the server's words; "" if it is nothing known."""
    try:
        parsed = json.loads(raw)
    except (ValueError, RecursionError):
        return ""
    return _complaint(parsed.get("error")) if isinstance(parsed, dict) else ""


def _openai(data: bytes, _: _Stamps) -> ProtocolEvent:
    if data == _DONE:
        return _END
    said = _object(data)
    if said.get("error") is not None:
        return ProtocolEvent(Event("error"), complaint=_complaint(said["error"]))
    choice = _dict(_first(said.get("choices")))
    delta = _dict(choice.get("delta"))
    finish = choice.get("finish_reason")
    kind: EventKind = "finish" if finish else "meta"
    if delta.get("content") or delta.get("tool_calls") or delta.get("refusal") or choice.get("text"):
        kind = "content"
    elif delta.get("reasoning_content") or delta.get("reasoning"):
        kind = "reasoning"
    return ProtocolEvent(Event(kind, *_stamps(said)), completes=bool(finish))


def _anthropic(data: bytes, _: _Stamps) -> ProtocolEvent:
    said = _object(data)
    match said.get("type"):
        case "content_block_delta":
            delta = _dict(said.get("delta"))
            kind: EventKind = "meta"
            if delta.get("text") or delta.get("partial_json"):
                kind = "content"
            elif delta.get("thinking"):
                kind = "reasoning"
            return ProtocolEvent(Event(kind, *_stamps(said)))
        case "message_stop":
            return _END
        case "message_delta" if _dict(said.get("delta")).get("stop_reason"):
            return ProtocolEvent(Event("finish", *_stamps(said)))
        case "ping":
            return ProtocolEvent(Event("ping"))
        case "error":
            return ProtocolEvent(Event("error"), complaint=_complaint(said.get("error")))
        case _:
            return ProtocolEvent(Event("meta", *_stamps(said)))


def _ollama(data: bytes, _: _Stamps) -> ProtocolEvent:
    said = _object(data)
    if said.get("error") is not None:
        return ProtocolEvent(Event("error"), complaint=_complaint(said["error"]))
    message = _dict(said.get("message"))
    is_done = said.get("done") is True
    kind: EventKind = "done" if is_done else "meta"
    if message.get("content") or message.get("tool_calls") or said.get("response"):
        kind = "content"
    elif message.get("thinking"):
        kind = "reasoning"
    return ProtocolEvent(Event(kind, *_stamps(said)), completes=is_done)


def _sse(data: bytes, stamps: _Stamps) -> ProtocolEvent:
    return _END if data == _DONE else ProtocolEvent(Event("content", *stamps))


_UNDERSTAND: dict[Protocol, Callable[[bytes, _Stamps], ProtocolEvent]] = {
    "openai-chat": _openai,
    "anthropic-messages": _anthropic,
    "ollama": _ollama,
    "sse": _sse,
}
"""Of an event's data, and of the stamps that a comment before it carried, what it means. Raises MalformedError."""


def _object(data: bytes) -> _Object:
    try:
        said = json.loads(data.decode())  # told what it is, it need not guess
    except (ValueError, RecursionError):
        raise MalformedError("an event that is no JSON") from None
    if not isinstance(said, dict):
        raise MalformedError("an event that is no JSON object")
    return said


def _complaint(error: object) -> str:
    """OpenAI and Anthropic send an object with a message, Ollama a string."""
    said = error.get("message") or error.get("type") if isinstance(error, dict) else error
    return said if isinstance(said, str) else ""


def _stamps(said: _Object) -> _Stamps:
    stamps = said.get("chaoskit")
    if not isinstance(stamps, dict):
        return _NO_STAMPS
    return _integer(stamps.get("seq")), _integer(stamps.get("due")), _integer(stamps.get("sent"))


def _written_stamps(comment: bytes) -> _Stamps:
    words = comment[len(_STAMPS) :].split()
    if len(words) != 3 or not all(word.isdigit() and len(word) < 20 for word in words):
        return _NO_STAMPS
    return _integer(int(words[0])), _integer(int(words[1])), _integer(int(words[2]))


def _integer(value: object) -> int | None:
    """A number that a record may hold."""
    return value if type(value) is int and 0 <= value < MOST else None


def _dict(value: object) -> _Object:
    return value if isinstance(value, dict) else {}


def _first(value: object) -> object:
    return value[0] if isinstance(value, list) and value else None
