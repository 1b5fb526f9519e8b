"""What an event of any protocol is interpreted as, and safe access to the fields of a server's JSON."""

from __future__ import annotations

from typing import Any, NamedTuple

from chaoskit.records.model import Event
from chaoskit.records.untrusted_files import MAX_NUMBER

Json = dict[str, Any]
ServerStamps = tuple[int | None, int | None, int | None]
NO_STAMPS: ServerStamps = (None, None, None)


class Usage(NamedTuple):
    """The server's own count of output tokens so far, None if it tells none; `reasoning` are among them."""

    tokens: int | None = None
    reasoning: int = 0


NO_USAGE = Usage()


class ProtocolEvent(NamedTuple):
    """An interpreted event. `is_comment`: a sign of life only, such as an SSE comment.

    `completes`: the response is complete; `is_finish`: this choice is, unless more of it follows, and `finish` is the
    server's word for why. `error_message` is the server's text in an error event, unsafe to show as it is; None: it is
    none. `characters`: of its text. `text` is the answer's, where it is kept.
    `is_refusal`: its text is the model's refusal. `tier` is the service tier that the answer is served with.
    """

    event: Event
    completes: bool = False
    is_finish: bool = False
    is_comment: bool = False
    error_message: str | None = None
    usage: Usage = NO_USAGE
    finish: str = ""
    choice: int = 0
    characters: int = 0
    text: str = ""
    is_refusal: bool = False
    tier: str = ""


SIGN_OF_LIFE = ProtocolEvent(Event("ping"), is_comment=True)
END = ProtocolEvent(Event("done"), completes=True)


def stamps_of(payload: Json) -> ServerStamps:
    """The reference server's stamps in an event; other servers send none."""
    stamps = payload.get("chaoskit")
    if not isinstance(stamps, dict):
        return NO_STAMPS
    return integer(stamps.get("seq")), integer(stamps.get("due")), integer(stamps.get("sent"))


def computed_tokens(payload: Json) -> int | None:
    """How many tokens an engine of the reference server means to compute, where an event tells."""
    return integer(mapping(payload.get("chaoskit")).get("of"))


def integer(value: object) -> int | None:
    """The value if it is a number that a record may hold."""
    return value if type(value) is int and 0 <= value < MAX_NUMBER else None


def mapping(value: object) -> Json:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def listed(value: object) -> list[Any]:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: object) -> str:
    """The value if it is a text, else an empty one."""
    return value if isinstance(value, str) else ""
