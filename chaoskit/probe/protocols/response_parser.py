"""Parses and interprets the events of one response.

Rules: an unknown event counts as a keepalive; an event that is not JSON is a protocol error. The reference server sends
its stamps in a field or, for `sse`, in a comment before the event; other servers send none.
"""

from __future__ import annotations

import json

from chaoskit.probe.framing import COMMENT, EventParser, MalformedError, NdjsonParser, SseParser
from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.answer_text import answer_text
from chaoskit.probe.protocols.error_messages import error_text
from chaoskit.probe.protocols.events import (
    COMMENT_EVENT,
    END,
    NO_STAMPS,
    Json,
    ProtocolEvent,
    ServerStamps,
    integer,
)
from chaoskit.records.model import Event
from chaoskit.spec.experiment import Protocol

_DONE = b"[DONE]"
_STAMPS = b"chaoskit "


class ResponseParser:
    """The events of one response, as they arrive."""

    def __init__(self, protocol: Protocol, max_size: int, keeps_text: bool = False) -> None:
        """`max_size` bounds the bytes of one event and of one line."""
        self._keeps_text = keeps_text
        self._protocol = PROTOCOLS[protocol]
        is_ndjson = self._protocol.framing == "ndjson"
        self._parser: EventParser = NdjsonParser(max_size) if is_ndjson else SseParser(max_size)
        self._stamps = NO_STAMPS

    def feed(self, chunk: bytes) -> list[ProtocolEvent]:
        """The events that `chunk` completes, in order. Raises MalformedError, TooLargeError."""
        events = []
        for kind, data in self._parser.feed(chunk):
            if kind != COMMENT:
                events.append(self._interpret(data))
                self._stamps = NO_STAMPS
            elif data.startswith(_STAMPS):
                self._stamps = _comment_stamps(data)
            else:
                events.append(COMMENT_EVENT)
        return events

    def _interpret(self, data: bytes) -> ProtocolEvent:
        if data == _DONE:
            return END
        if self._protocol.interpret is None:
            text = data.decode(errors="replace") if self._keeps_text else ""
            return ProtocolEvent(Event("content", *self._stamps), text=text)
        payload = _object(data)
        if payload.get("error") is not None:
            return ProtocolEvent(Event("error"), error_message=error_text(payload["error"]))
        event = self._protocol.interpret(payload)
        return event._replace(text=answer_text(payload)) if self._keeps_text else event


def _object(data: bytes) -> Json:
    try:
        payload = json.loads(data.decode())  # decoded here, so that json does not have to detect the encoding
    except (ValueError, RecursionError):
        raise MalformedError("an event that is not JSON") from None
    if not isinstance(payload, dict):
        raise MalformedError("an event that is not a JSON object")
    return payload


def _comment_stamps(comment: bytes) -> ServerStamps:
    words = comment[len(_STAMPS) :].split()
    if len(words) != 3 or not all(word.isdigit() and len(word) < 20 for word in words):
        return NO_STAMPS
    return integer(int(words[0])), integer(int(words[1])), integer(int(words[2]))
