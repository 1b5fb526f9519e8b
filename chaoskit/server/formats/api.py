"""Defines what each API's module provides: paths, the encoding of responses, the shape of errors."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from chaoskit.server.requests import Reply, Request
from chaoskit.server.schedule import Part, PlannedResponse, Tool

SSE = "text/event-stream; charset=utf-8"
CREATED = 1_767_225_600  # 2026-01-01, in Unix seconds; no output depends on the time of the run
CREATED_AT = "2026-01-01T00:00:00Z"


class Stamp(NamedTuple):
    """The stamps in an event: its first token's number, when that was due in ns, and how many tokens it has.

    `of` is in the first event of an answer that an engine computes: the tokens that the whole answer is to have. An
    event is encoded before its time of sending is known: that goes into the hole between the event's two parts.
    """

    seq: int
    due: int
    tokens: int = 1
    of: int | None = None

    def hole(self, event: str) -> tuple[bytes, bytes]:
        """A JSON object without its closing brace, with the stamps as its last field, around the time of sending."""
        count = f'"tokens":{self.tokens},' if self.tokens != 1 else ""
        of = f'"of":{self.of},' if self.of is not None else ""
        return f'{event},"chaoskit":{{"seq":{self.seq},"due":{self.due},{count}{of}"sent":'.encode(), b"}}"

    def value(self, sent: int) -> dict[str, int]:
        """All of them."""
        count = {} if self.tokens == 1 else {"tokens": self.tokens}
        return {"seq": self.seq, "due": self.due, **count, "sent": sent}


class Encoder(Protocol):
    """Encodes one response. Words need no escaping in JSON (`schedule` ensures that); a tool's arguments do."""

    content_type: str

    def opening(self) -> bytes:
        """What precedes the first token; sent together with it."""

    def begin(self, part: Part) -> bytes:
        """What precedes the first event of a part."""

    def event(self, part: Part, text: str, stamp: Stamp) -> tuple[bytes, bytes] | None:
        """One event, around the time of sending; None where the API holds back a part until it is complete."""

    def end(self, part: Part) -> bytes:
        """What follows the last event of a part."""

    def closing(self, tokens: int, finish: str) -> bytes:
        """What follows the last part after `tokens` tokens, including the end marker.

        `finish`: `stop`, `length`, `tool_calls`, which the encoder translates; any other word is sent as it is.
        """

    def whole(self, finish: str, stamps: dict[str, int]) -> bytes:
        """The body of a response without streaming, with the stamps of its last token."""


@dataclass(frozen=True, slots=True)
class CompletionRequest:
    """A request for `tokens` tokens. `limited`: the client gave a limit. `prompt` in tokens; `stream`: its number.

    `usage`: the client asks for a usage event. `tool`: the response is a call of it. `script`: what the client asks
    to deviate. `framed`: as server-sent events (of Gemini's two kinds of streams). `said`: tokens of the
    answer that the client has already, and wants to be continued. `priority`: lower is earlier.
    """

    api: Api
    model: str
    tokens: int
    limited: bool
    streamed: bool
    prompt: int
    usage: bool = False
    stream: int | None = None
    tool: Tool | None = None
    script: str | None = None
    framed: bool = True
    said: int = 0
    priority: int = 0

    @property
    def finish(self) -> str:
        """Why the response ends, in OpenAI's words."""
        if self.tool is not None:
            return "tool_calls"
        return "length" if self.limited else "stop"


Handler = Callable[[Request, str, str], CompletionRequest | Reply]
"""From a request, what `*` of its path stands for, and its query."""


@dataclass(frozen=True)
class Route:
    """A path, of which `*` is any text, its methods, and who answers. Raises BadRequestError."""

    path: str
    methods: tuple[str, ...]
    handler: Handler
    pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "pattern", re.compile(re.escape(self.path).replace(r"\*", "(.+)")))


@dataclass(frozen=True)
class Api:
    """One API: `encoder` makes the encoder of a response, `error` the JSON of an error.

    `own`: the paths of which errors have its shape, as beginnings. `error_event`: an error within a stream.
    """

    name: str
    routes: tuple[Route, ...]
    own: tuple[str, ...]
    encoder: Callable[[CompletionRequest, PlannedResponse], Encoder]
    error: Callable[[int, str], Any]
    error_event: Callable[[int, str], bytes]
    reasons: bool = True


PLACEHOLDER = "\N{OBJECT REPLACEMENT CHARACTER}"  # where the text of an event goes


def split_template(event: Any) -> tuple[str, str]:
    """The JSON of `event` before and after the placeholder, without the final brace, so that stamps can follow."""
    text = json.dumps(event, separators=(",", ":"))
    before, _, after = text.rpartition(json.dumps(PLACEHOLDER)[1:-1])
    return before, after[:-1]


def escaped(part: Part, text: str) -> str:
    """The text inside a JSON string."""
    return json.dumps(text)[1:-1] if part == "tool" else text


def dump(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()


def data_event(value: Any) -> bytes:
    """A server-sent event without a name."""
    return b"data: %b\n\n" % dump(value)


def named_event(value: dict[str, Any]) -> bytes:
    """A server-sent event that is named as its `type`."""
    return b"event: %b\ndata: %b\n\n" % (value["type"].encode(), dump(value))
