"""What a protocol is: where and how to ask for a stream, and what its events mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple
from urllib.parse import quote

from chaoskit.probe.protocols.events import Json, ProtocolEvent

Role = Literal["system", "user", "assistant"]
EVENT_STREAM = ("text/event-stream",)
DONE_MARKER = "[DONE]"


class Message(NamedTuple):
    """One message of a conversation."""

    role: Role
    content: str


class Question(NamedTuple):
    """What a request asks: the model, the conversation so far, and at most so many tokens."""

    model: str
    messages: tuple[Message, ...]
    max_tokens: int

    @property
    def system(self) -> str:
        """The system messages, for protocols that have a field for them."""
        return "\n\n".join(message.content for message in self.messages if message.role == "system")

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages of the user and of the model."""
        return tuple(message for message in self.messages if message.role != "system")

    @property
    def transcript(self) -> str:
        """The whole conversation as one text, for protocols that take a prompt."""
        return "\n\n".join(message.content for message in self.messages)


@dataclass(frozen=True)
class KeyHeader:
    """The header that carries the API key, and what stands before the key in it."""

    name: str = "authorization"
    prefix: str = "Bearer "


def _never(_: Json) -> bool:
    return False


@dataclass(frozen=True)
class StreamProtocol:
    """One protocol. `path` is the usual one, with `{model}` and `{tokens}` in it where they belong there.

    `body` builds a request, `interpret` says what one event's JSON means; without `interpret` every event's data is
    content, JSON or not. `end` is what its last event is called in messages. `is_whole` tells a whole answer, which a
    server sends that does not stream, from an event. `tells_finish`: an answer that ends by itself says why.
    """

    path: str
    body: Callable[[Question], Json]
    interpret: Callable[[Json], ProtocolEvent] | None
    end: str = DONE_MARKER
    is_whole: Callable[[Json], bool] = _never
    tells_finish: bool = True
    content_types: tuple[str, ...] = EVENT_STREAM
    framing: Literal["sse", "ndjson"] = "sse"
    headers: Mapping[str, str] = field(default_factory=dict)
    key: KeyHeader = KeyHeader()

    def path_for(self, question: Question) -> str:
        """The usual path, and query, of a request."""
        return self.path.format(model=quote(question.model, safe=""), tokens=question.max_tokens)
