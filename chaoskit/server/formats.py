"""Answers as the vendors' clients expect them on the wire.

| vendor    | stream                                                       | each token's own stamps                  |
|-----------|--------------------------------------------------------------|------------------------------------------|
| openai    | `data: {chunk}` ... finish chunk, usage if asked, `[DONE]`   | `"chaoskit": {"seq", "due", "sent"}`     |
| anthropic | `event: message_start` ... `message_delta`, `message_stop`   | the same                                 |
| ollama    | a JSON object a line ... one with `"done": true`             | the same                                 |
| sse       | `data: token` ... `data: [DONE]`                             | a comment line: `: chaoskit seq due sent` |

Stamps are monotonic ns. Clients ignore what they do not know. What is the same in every token of an answer is
put together once, when the answer begins. Dates are constant: nothing here depends on when it runs.
"""

from __future__ import annotations

import json
from typing import Any, Protocol

from chaoskit.server.requests import JSON, CompletionRequest

_CREATED = 1_767_225_600  # 2026-01-01, in Unix seconds; and the same for Ollama:
_CREATED_AT = "2026-01-01T00:00:00Z"
_SSE = "text/event-stream; charset=utf-8"
_NDJSON = "application/x-ndjson"


class Format(Protocol):
    """One answer in a vendor's words. `text` needs no escaping in JSON (`script` sees to that)."""

    content_type: str

    def opening(self) -> bytes:
        """What is sent as soon as the request is there."""

    def token(self, text: str, seq: int, due: int, sent: int) -> bytes:
        """One event with one token and its stamps."""

    def closing(self) -> bytes:
        """What follows the last token, the protocol's own end marker included."""

    def whole(self, text: str, due: int, sent: int) -> bytes:
        """The answer to a request that wants no stream; its last token's stamps."""


def of(ask: CompletionRequest, name: int) -> Format:
    """The format of this answer; `name` becomes its id."""
    match ask.vendor:
        case "openai":
            return OpenAi(ask, f"chatcmpl-{name:016x}")
        case "anthropic":
            return Anthropic(ask, f"msg_{name:016x}")
        case "ollama":
            return Ollama(ask)
        case "sse":
            return Sse()


class OpenAi:
    """Chat completions. The first chunk carries the role and no text, as the original's does."""

    def __init__(self, ask: CompletionRequest, name: str) -> None:
        self.content_type = _SSE if ask.streamed else JSON
        self._ask = ask
        self._common: dict[str, Any] = {"id": name, "created": _CREATED, "model": ask.model}
        self._before, self._after = _around(self._chunk({"content": _HERE}, None))

    def opening(self) -> bytes:
        """A chunk with the role alone."""
        return _data(self._chunk({"role": "assistant", "content": ""}, None))

    def token(self, text: str, seq: int, due: int, sent: int) -> bytes:
        """A chunk with a delta."""
        return f"data: {self._before}{text}{self._after}{_stamps(seq, due, sent)}\n\n".encode()

    def closing(self) -> bytes:
        """The finish chunk, the usage if it was asked for, [DONE]."""
        end = _data(self._chunk({}, self._reason()))
        if self._ask.usage:
            end += _data({**self._chunk({}, None), "choices": [], "usage": self._usage()})
        return end + b"data: [DONE]\n\n"

    def whole(self, text: str, due: int, sent: int) -> bytes:
        """A chat completion."""
        message = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self._reason()}
        return _dump(
            {
                **self._common,
                "object": "chat.completion",
                "choices": [choice],
                "usage": self._usage(),
                "chaoskit": {"seq": self._ask.tokens - 1, "due": due, "sent": sent},
            }
        )

    def _chunk(self, delta: dict[str, str], reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        usage = {"usage": None} if self._ask.usage else {}
        return {**self._common, "object": "chat.completion.chunk", "choices": [choice], **usage}

    def _reason(self) -> str:
        return "length" if self._ask.limited else "stop"

    def _usage(self) -> dict[str, int]:
        prompt, told = self._ask.prompt, self._ask.tokens
        return {"prompt_tokens": prompt, "completion_tokens": told, "total_tokens": prompt + told}


class Anthropic:
    """Messages: one text block."""

    def __init__(self, ask: CompletionRequest, name: str) -> None:
        self.content_type = _SSE if ask.streamed else JSON
        self._ask = ask
        self._name = name
        delta = {"type": "text_delta", "text": _HERE}
        self._before, self._after = _around({"type": "content_block_delta", "index": 0, "delta": delta})

    def opening(self) -> bytes:
        """The message and its block begin; and a ping, as the original sends."""
        block = {"type": "text", "text": ""}
        return (
            _event({"type": "message_start", "message": self._message([], None, 0)})
            + _event({"type": "content_block_start", "index": 0, "content_block": block})
            + _event({"type": "ping"})
        )

    def token(self, text: str, seq: int, due: int, sent: int) -> bytes:
        """A content_block_delta."""
        stamps = _stamps(seq, due, sent)
        return f"event: content_block_delta\ndata: {self._before}{text}{self._after}{stamps}\n\n".encode()

    def closing(self) -> bytes:
        """The block, then the message ends."""
        delta = {"stop_reason": "max_tokens", "stop_sequence": None}
        usage = {"output_tokens": self._ask.tokens}
        return (
            _event({"type": "content_block_stop", "index": 0})
            + _event({"type": "message_delta", "delta": delta, "usage": usage})
            + _event({"type": "message_stop"})
        )

    def whole(self, text: str, due: int, sent: int) -> bytes:
        """A message."""
        content = [{"type": "text", "text": text}]
        stamps = {"seq": self._ask.tokens - 1, "due": due, "sent": sent}
        return _dump({**self._message(content, "max_tokens", self._ask.tokens), "chaoskit": stamps})

    def _message(self, content: list[dict[str, str]], reason: str | None, told: int) -> dict[str, Any]:
        return {
            "id": self._name,
            "type": "message",
            "role": "assistant",
            "model": self._ask.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": {"input_tokens": self._ask.prompt, "output_tokens": told},
        }


class Ollama:
    """Chat, a JSON object a line."""

    def __init__(self, ask: CompletionRequest) -> None:
        self.content_type = f"{_NDJSON if ask.streamed else JSON}; charset=utf-8"
        self._ask = ask
        self._before, self._after = _around(self._part(_HERE, False))

    def opening(self) -> bytes:
        """Nothing."""
        return b""

    def token(self, text: str, seq: int, due: int, sent: int) -> bytes:
        """A line with a part of the message."""
        return f"{self._before}{text}{self._after}{_stamps(seq, due, sent)}\n".encode()

    def closing(self) -> bytes:
        """The line that says done."""
        return _dump({**self._part("", True), **self._end()}) + b"\n"

    def whole(self, text: str, due: int, sent: int) -> bytes:
        """The message and the end in one object."""
        stamps = {"seq": self._ask.tokens - 1, "due": due, "sent": sent}
        return _dump({**self._part(text, True), **self._end(), "chaoskit": stamps})

    def _part(self, text: str, done: bool) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"model": self._ask.model, "created_at": _CREATED_AT, "message": message, "done": done}

    def _end(self) -> dict[str, Any]:
        reason = "length" if self._ask.limited else "stop"
        return {"done_reason": reason, "prompt_eval_count": self._ask.prompt, "eval_count": self._ask.tokens}


class Sse:
    """Server-sent events and nothing else. Always a stream."""

    content_type = _SSE

    def opening(self) -> bytes:
        """Nothing."""
        return b""

    def token(self, text: str, seq: int, due: int, sent: int) -> bytes:
        """An event: the stamps as a comment, the token as data."""
        return f": chaoskit {seq} {due} {sent}\ndata: {text}\n\n".encode()

    def closing(self) -> bytes:
        """[DONE], as OpenAI ends a stream."""
        return b"data: [DONE]\n\n"

    def whole(self, text: str, due: int, sent: int) -> bytes:
        """The text."""
        return text.encode()


_HERE = "\N{OBJECT REPLACEMENT CHARACTER}"  # where the token goes


def _around(event: dict[str, Any]) -> tuple[str, str]:
    """The JSON of `event` before and after the token, left open at its end for the stamps."""
    text = json.dumps(event, separators=(",", ":"))
    before, _, after = text.rpartition(json.dumps(_HERE)[1:-1])
    return before, after[:-1]


def _stamps(seq: int, due: int, sent: int) -> str:
    """The extra field, and the end of the object that `_around` left open."""
    return f',"chaoskit":{{"seq":{seq},"due":{due},"sent":{sent}}}}}'


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _data(value: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % _dump(value)


def _event(value: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), _dump(value))
