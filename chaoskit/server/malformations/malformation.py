"""Defines what a malformation may change in a response, and how the JSON in its events is changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal

from chaoskit.server.formats.api import Api, CompletionRequest
from chaoskit.server.requests import Headers, Reply
from chaoskit.server.schedule import PlannedResponse

End = Literal["finish", "reset", "close", "chunk", "silence", "surplus"]
"""Of the body: properly, by RST, by closing, by closing within a chunk, never, properly and then more bytes."""
Compression = Literal["unasked", "held", "truncated", "plain", "bomb"]
Payload = dict[str, Any]
CHUNKED = ("openai-chat", "openai-completions")
IN_JSON = (*CHUNKED, "openai-responses", "anthropic-messages", "gemini", "ollama", "ollama-generate")
IN_EVENTS = (*CHUNKED, "openai-responses", "anthropic-messages", "gemini", "sse")
LAST = -1  # the number of what closes the stream


@dataclass(frozen=True)
class Malformation:
    """One way to answer that is not the API's. What is None is as it should be.

    `apis`: those that can have it; empty for all. `reply`: a response instead of a stream. `raw`: bytes instead of an
    HTTP response. `shortened`: how many of the planned tokens the response has; it ends properly after them.
    `breaks_after`: after how many tokens the stream goes no further. `closing`: what is sent instead of the proper end,
    which it gets; nothing if the stream broke. `rewrite`: an event's bytes, by its number, or `LAST` for the end.
    `prefix`: before the first event. `pieces`: bytes of each write.
    `pause`: ns in the middle of the stream. `goes_away`: GOAWAY first.
    """

    name: str
    sentence: str
    apis: tuple[str, ...] = ()
    reply: Callable[[Api, CompletionRequest], Reply] | None = None
    raw: bytes | None = None
    whole: bool = False
    content_type: str | None = None
    prefix: bytes = b""
    finish: str | None = None
    shortened: Callable[[int], int] | None = None
    breaks_after: Callable[[int], int] | None = None
    closing: Callable[[Api, bytes], bytes] | None = None
    rewrite: Callable[[bytes, int], bytes] | None = None
    pieces: int = 0
    pause: int = 0
    compression: Compression | None = None
    goes_away: bool = False
    end: End = "finish"

    @property
    def is_ended(self) -> bool:
        """Whether the body ends properly."""
        return self.end in ("finish", "surplus")

    def planned(self, planned: PlannedResponse) -> PlannedResponse:
        """The response as it is planned with this malformation."""
        if self.shortened is not None:
            planned = planned.cut_to(self.shortened(planned.tokens))
        if self.pause:
            planned = replace(planned, pauses=(*planned.pauses, (half(planned.tokens), self.pause)))
        return planned

    def fits(self, api: Api) -> bool:
        """Whether this API can have it."""
        return not self.apis or api.name in self.apis

    def headers(self, headers: Headers) -> Headers:
        """The header fields of its stream; an empty content type stands for none."""
        if self.content_type is None:
            return headers
        kept = tuple(each for each in headers if each[0] != "content-type")
        return (("content-type", self.content_type), *kept) if self.content_type else kept


def none(_tokens: int) -> int:
    """No token."""
    return 0


def half(tokens: int) -> int:
    """The first half of the tokens."""
    return tokens // 2


def tenth(tokens: int) -> int:
    """A tenth of the tokens, at least one."""
    return max(1, tokens // 10)


def exactly(count: int) -> Callable[[int], int]:
    """This many tokens, or all if there are fewer."""
    return lambda tokens: min(count, tokens)


def changed(data: bytes, change: Callable[[Payload], Any]) -> bytes:
    """Events or lines, with every JSON object in them changed; UTF-8 stays as it is."""
    lines = data.split(b"\n")
    for at, line in enumerate(lines):
        before = b"data: " if line.startswith(b"data: ") else b""
        if line[len(before) :].startswith(b"{"):
            payload = json.loads(line[len(before) :])
            change(payload)
            lines[at] = before + json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    return b"\n".join(lines)


def change_text(payload: Payload, change: Callable[[str], str]) -> None:
    """Change the text of a token's event, wherever its API has it."""
    for place, key in _texts(payload):
        if isinstance(place.get(key), str) and place[key]:
            place[key] = change(place[key])


def _texts(payload: Payload) -> list[tuple[Payload, str]]:
    choices, candidates = payload.get("choices"), payload.get("candidates")
    if choices:
        return [(choices[0], "text"), (choices[0].get("delta", {}), "content")]
    if candidates:
        return [(part, "text") for part in candidates[0]["content"]["parts"]]
    if "message" in payload:
        return [(payload["message"], "content")]
    if isinstance(payload.get("delta"), dict):
        return [(payload["delta"], "text")]
    return [(payload, "response"), (payload, "delta")]
