"""Encodes responses in the wire formats of OpenAI, Anthropic, Ollama and plain SSE.

| vendor    | stream                                                       | each token's own stamps                  |
|-----------|--------------------------------------------------------------|------------------------------------------|
| openai    | `data: {chunk}` ... finish chunk, usage if asked, `[DONE]`   | `"chaoskit": {"seq", "due", "sent"}`     |
| anthropic | `event: message_start` ... `message_delta`, `message_stop`   | the same                                 |
| ollama    | a JSON object a line ... one with `"done": true`             | the same                                 |
| sse       | `data: token` ... `data: [DONE]`                             | a comment line: `: chaoskit seq due sent` |

Stamps are monotonic ns. Clients ignore unknown fields. The constant parts of an event are encoded once per response.
Dates are constant: no output depends on the time of the run.
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
    """The encoding of one response. `text` needs no escaping in JSON (`schedule` ensures that)."""

    content_type: str

    def opening(self) -> bytes:
        """What is sent before the first token."""

    def token(self, text: str, seq: int, due: int, sent: int) -> bytes:
        """One event with one token and its stamps."""

    def closing(self) -> bytes:
        """What follows the last token, including the protocol's end marker."""

    def whole(self, text: str, due: int, sent: int) -> bytes:
        """The body of a response without streaming, with the stamps of its last token."""


def format_of(completion: CompletionRequest, name: int) -> Format:
    """The format of this response; `name` becomes its id."""
    match completion.vendor:
        case "openai":
            return OpenAi(completion, f"chatcmpl-{name:016x}")
        case "anthropic":
            return Anthropic(completion, f"msg_{name:016x}")
        case "ollama":
            return Ollama(completion)
        case "sse":
            return Sse()


class OpenAi:
    """Chat completions. The first chunk carries the role and no text, as OpenAI's does."""

    def __init__(self, completion: CompletionRequest, name: str) -> None:
        self.content_type = _SSE if completion.streamed else JSON
        self._completion = completion
        self._common: dict[str, Any] = {"id": name, "created": _CREATED, "model": completion.model}
        self._prefix, self._suffix = _split_template(self._chunk({"content": _PLACEHOLDER}, None))

    def opening(self) -> bytes:
        """A chunk with the role alone."""
        return _data(self._chunk({"role": "assistant", "content": ""}, None))

    def token(self, text: str, seq: int, due: int, sent: int) -> bytes:
        """A chunk with a delta."""
        return f"data: {self._prefix}{text}{self._suffix}{_stamps(seq, due, sent)}\n\n".encode()

    def closing(self) -> bytes:
        """The finish chunk, the usage if requested, [DONE]."""
        end = _data(self._chunk({}, self._reason()))
        if self._completion.usage:
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
                "chaoskit": {"seq": self._completion.tokens - 1, "due": due, "sent": sent},
            }
        )

    def _chunk(self, delta: dict[str, str], reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        usage = {"usage": None} if self._completion.usage else {}
        return {**self._common, "object": "chat.completion.chunk", "choices": [choice], **usage}

    def _reason(self) -> str:
        return "length" if self._completion.limited else "stop"

    def _usage(self) -> dict[str, int]:
        prompt, tokens = self._completion.prompt, self._completion.tokens
        return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}


class Anthropic:
    """Messages: one text block."""

    def __init__(self, completion: CompletionRequest, name: str) -> None:
        self.content_type = _SSE if completion.streamed else JSON
        self._completion = completion
        self._name = name
        delta = {"type": "text_delta", "text": _PLACEHOLDER}
        self._prefix, self._suffix = _split_template({"type": "content_block_delta", "index": 0, "delta": delta})

    def opening(self) -> bytes:
        """message_start, content_block_start and a ping, as Anthropic sends."""
        block = {"type": "text", "text": ""}
        return (
            _event({"type": "message_start", "message": self._message([], None, 0)})
            + _event({"type": "content_block_start", "index": 0, "content_block": block})
            + _event({"type": "ping"})
        )

    def token(self, text: str, seq: int, due: int, sent: int) -> bytes:
        """A content_block_delta."""
        stamps = _stamps(seq, due, sent)
        return f"event: content_block_delta\ndata: {self._prefix}{text}{self._suffix}{stamps}\n\n".encode()

    def closing(self) -> bytes:
        """content_block_stop, message_delta, message_stop."""
        delta = {"stop_reason": "max_tokens", "stop_sequence": None}
        usage = {"output_tokens": self._completion.tokens}
        return (
            _event({"type": "content_block_stop", "index": 0})
            + _event({"type": "message_delta", "delta": delta, "usage": usage})
            + _event({"type": "message_stop"})
        )

    def whole(self, text: str, due: int, sent: int) -> bytes:
        """A message."""
        content = [{"type": "text", "text": text}]
        stamps = {"seq": self._completion.tokens - 1, "due": due, "sent": sent}
        return _dump({**self._message(content, "max_tokens", self._completion.tokens), "chaoskit": stamps})

    def _message(self, content: list[dict[str, str]], reason: str | None, tokens: int) -> dict[str, Any]:
        return {
            "id": self._name,
            "type": "message",
            "role": "assistant",
            "model": self._completion.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": {"input_tokens": self._completion.prompt, "output_tokens": tokens},
        }


class Ollama:
    """Chat: one JSON object per line."""

    def __init__(self, completion: CompletionRequest) -> None:
        self.content_type = f"{_NDJSON if completion.streamed else JSON}; charset=utf-8"
        self._completion = completion
        self._prefix, self._suffix = _split_template(self._part(_PLACEHOLDER, False))

    def opening(self) -> bytes:
        """Nothing."""
        return b""

    def token(self, text: str, seq: int, due: int, sent: int) -> bytes:
        """A line with a part of the message."""
        return f"{self._prefix}{text}{self._suffix}{_stamps(seq, due, sent)}\n".encode()

    def closing(self) -> bytes:
        """The line with done."""
        return _dump({**self._part("", True), **self._end()}) + b"\n"

    def whole(self, text: str, due: int, sent: int) -> bytes:
        """The message and the end in one object."""
        stamps = {"seq": self._completion.tokens - 1, "due": due, "sent": sent}
        return _dump({**self._part(text, True), **self._end(), "chaoskit": stamps})

    def _part(self, text: str, done: bool) -> dict[str, Any]:
        message = {"role": "assistant", "content": text}
        return {"model": self._completion.model, "created_at": _CREATED_AT, "message": message, "done": done}

    def _end(self) -> dict[str, Any]:
        reason = "length" if self._completion.limited else "stop"
        return {
            "done_reason": reason,
            "prompt_eval_count": self._completion.prompt,
            "eval_count": self._completion.tokens,
        }


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


_PLACEHOLDER = "\N{OBJECT REPLACEMENT CHARACTER}"  # where the token goes


def _split_template(event: dict[str, Any]) -> tuple[str, str]:
    """The JSON of `event` before and after the placeholder, without the final brace, so that stamps can follow."""
    text = json.dumps(event, separators=(",", ":"))
    before, _, after = text.rpartition(json.dumps(_PLACEHOLDER)[1:-1])
    return before, after[:-1]


def _stamps(seq: int, due: int, sent: int) -> str:
    """The stamps field and the final brace."""
    return f',"chaoskit":{{"seq":{seq},"due":{due},"sent":{sent}}}}}'


def _dump(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _data(value: dict[str, Any]) -> bytes:
    return b"data: %b\n\n" % _dump(value)


def _event(value: dict[str, Any]) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), _dump(value))
