"""Parses and interprets the events of one response.

Rules: an event that the protocol does not know is a sign of life; `[DONE]` ends every protocol. An error of any shape
is an error event: a top-level `error`, `event: error`, a field `error:`, an error's JSON instead of events. The events
are the same however the response is cut into reads: what cannot be understood ends the parsing, and takes back nothing.
The reference server sends its stamps in a field or, for `sse`, in a comment before the event; other servers send none.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from chaoskit.probe.framing import BARE, COMMENT, CUT, BodyParser, MalformedError, TooLargeError
from chaoskit.probe.protocols import PROTOCOLS
from chaoskit.probe.protocols.answer_text import answer_text
from chaoskit.probe.protocols.error_messages import failure_in, sentence_of
from chaoskit.probe.protocols.events import (
    END,
    NO_STAMPS,
    SIGN_OF_LIFE,
    Json,
    ProtocolEvent,
    ServerStamps,
    computed_tokens,
    integer,
)
from chaoskit.probe.protocols.stream_protocol import DONE_MARKER
from chaoskit.records.model import TOKENS, Event
from chaoskit.spec.workload import Protocol

_DONE = DONE_MARKER.encode()
_STAMPS = b"chaoskit "
_PINGS = (b"ping", b"heartbeat", b"keepalive", b"keep-alive")
_MOST_TEXT = 4096  # bytes of text outside of events that are kept
_EXCERPT = 100  # characters
_DECODER = json.JSONDecoder()
_BETWEEN = re.compile(r"\s*(?:data:)?\s*")  # two values
_SEVERAL = "several values in one event, as if an empty line were missing"
_MOST_VALUES = 1000  # in one event


@dataclass(frozen=True)
class EndMarkers:
    """What ends a response of plain server-sent events: an event's type or data, or the end of the body."""

    event: bytes | None = None
    data: bytes | None = None
    is_body_end: bool = False


class ResponseParser:
    """The events of one response, as they arrive.

    `failure` is why the parsing has ended early. `text` is the beginning of what the server sent outside of events.
    `remarks` are what is odd about a response that can still be understood. `computed` are the tokens that an engine
    of the reference server means to compute for it, as its first event tells.
    """

    def __init__(
        self, protocol: Protocol, max_size: int, ends: EndMarkers = EndMarkers(), keeps_text: bool = False
    ) -> None:
        """`max_size` bounds the bytes of one event and of one line; `keeps_text`: events have the answer's text."""
        self._keeps_text = keeps_text
        self.failure: MalformedError | TooLargeError | None = None
        self.text = b""
        self.remarks: dict[str, None] = {}
        self.computed: int | None = None
        self._protocol = PROTOCOLS[protocol]
        self._ends = ends
        self._parser = BodyParser(max_size)
        self._stamps = NO_STAMPS
        self._has_ended = False
        self._has_tokens = False
        self._unknown = b""  # JSON outside of events that says nothing in this protocol

    @property
    def held(self) -> int:
        """Bytes that wait for the end of their event."""
        return self._parser.held

    def feed(self, chunk: bytes) -> list[ProtocolEvent]:
        """The events that `chunk` completes, in order, up to a failure."""
        return self._all(self._parser.feed(chunk))

    def close(self, is_whole: bool) -> list[ProtocolEvent]:
        """The events that the end of the body completes; `is_whole`: it is known not to have been cut."""
        events = self._all(self._parser.close(is_whole))
        if is_whole and self._ends.is_body_end and self.failure is None:
            events.append(END)
        if not (self.text or self._has_tokens or self._has_ended):
            self.text = self._unknown
        return events

    def _all(self, raw_events: list[tuple[bytes, bytes]]) -> list[ProtocolEvent]:
        events: list[ProtocolEvent] = []
        for kind, data in raw_events:
            if self.failure is not None:
                return events
            if kind == COMMENT:
                if data.startswith(_STAMPS):
                    self._stamps = self._comment_stamps(data)
                else:
                    events.append(SIGN_OF_LIFE)
                continue
            for event in self._interpret(kind, data):
                self._has_ended = self._has_ended or event.completes or event.is_finish
                self._has_tokens = self._has_tokens or event.event.kind in TOKENS
                events.append(event)
            self._stamps = NO_STAMPS
        self.failure = self.failure or self._parser.failure
        return events

    def _interpret(self, kind: bytes, data: bytes) -> Iterator[ProtocolEvent]:
        if kind == BARE:
            yield from self._bare(data)
        elif kind == CUT:
            yield from self._cut(data)
        elif kind and kind == self._ends.event:
            yield END
        elif kind == b"error":
            yield ProtocolEvent(Event("error"), error_message=sentence_of(data))
        elif not data:
            yield SIGN_OF_LIFE
        elif kind in _PINGS:
            yield ProtocolEvent(Event("ping"))
        elif data in (_DONE, self._ends.data):
            yield self._done()
        elif self._protocol.interpret is not None:
            yield from self._values(data)
        elif (failure := _failure_of(data)) is not None:
            yield ProtocolEvent(Event("error"), error_message=failure)
        else:
            said = data.removesuffix(b"\n" + _DONE)
            text = said.decode(errors="replace") if self._keeps_text else ""
            yield ProtocolEvent(Event("content", *self._stamps), characters=len(said), text=text)
            if said is not data:
                self.remarks[_SEVERAL] = None
                yield self._done()

    def _done(self) -> ProtocolEvent:
        if self._protocol.end != DONE_MARKER and not self._has_ended:
            self.remarks[f"{DONE_MARKER} instead of {self._protocol.end}"] = None
        return END

    def _values(self, data: bytes) -> Iterator[ProtocolEvent]:
        """One JSON value, or several where an empty line between events is missing."""
        try:
            payload = json.loads(data.decode())  # decoded here, so that json does not have to detect the encoding
        except UnicodeDecodeError:
            self.remarks["bytes that are not UTF-8"] = None
            yield from self._several(data.decode(errors="replace"))
            return
        except (ValueError, RecursionError):
            yield from self._several(data.decode())
            return
        yield from self._value(payload)

    def _several(self, said: str) -> Iterator[ProtocolEvent]:
        at = _after_space(said, 0)
        for count in range(_MOST_VALUES):
            if count == 1 and at < len(said):
                self.remarks[_SEVERAL] = None
            if at == len(said) or self.failure is not None:
                return
            if said.startswith(DONE_MARKER, at):
                yield self._done()
                after = at + len(DONE_MARKER)
            else:
                try:
                    payload, after = _DECODER.raw_decode(said, at)
                except (ValueError, RecursionError):
                    self.failure = MalformedError(f"an event that is not JSON: {said[at : at + _EXCERPT]}")
                    return
                yield from self._value(payload)
            at = _after_space(said, after)
        self.failure = TooLargeError(f"an event of more than {_MOST_VALUES} JSON values")

    def _value(self, payload: object, is_bare: bool = False) -> Iterator[ProtocolEvent]:
        assert self._protocol.interpret is not None
        if payload is None:
            yield SIGN_OF_LIFE
            return
        objects = payload if isinstance(payload, list) else [payload]
        for each in objects[:_MOST_VALUES]:
            if not isinstance(each, dict):
                self.failure = MalformedError(f"an event that is not a JSON object: {json.dumps(each)[:_EXCERPT]}")
                return
            if (failure := failure_in(each)) is not None:
                yield ProtocolEvent(Event("error"), error_message=failure)
                continue
            event = self._protocol.interpret(each)
            if "chaoskit" in each:
                self.computed = computed_tokens(each) or self.computed
            if self._is_whole_answer(each, event, is_bare, isinstance(payload, list)):
                what = "a JSON array" if isinstance(payload, list) else "one JSON object"
                self.failure = MalformedError(f"a whole answer as {what}, although a stream was asked for")
                return
            yield event._replace(text=answer_text(each)) if self._keeps_text else event
            yield from self._other_choices(each)
        if len(objects) > _MOST_VALUES:
            self.failure = TooLargeError(f"an event of more than {_MOST_VALUES} JSON values")

    def _other_choices(self, payload: Json) -> Iterator[ProtocolEvent]:
        """A protocol interprets the first choice of an event; few servers put several into one."""
        assert self._protocol.interpret is not None
        for name in ("choices", "candidates"):
            choices = payload.get(name)
            for choice in choices[1:_MOST_VALUES] if isinstance(choices, list) else ():
                yield self._protocol.interpret({**payload, name: [choice]})

    def _is_whole_answer(self, payload: dict[str, object], event: ProtocolEvent, is_bare: bool, is_list: bool) -> bool:
        if self._has_tokens:
            return False
        is_unframed = is_bare and self._protocol.framing != "ndjson"
        is_at_once = is_unframed and event.event.kind in TOKENS and (event.is_finish or is_list)
        return is_at_once or self._protocol.is_whole(payload)

    def _comment_stamps(self, comment: bytes) -> ServerStamps:
        """The stamps in a comment: `seq`, `due`, `sent`, then perhaps the number of tokens, and `of`."""
        words = comment[len(_STAMPS) :].split()
        if not 3 <= len(words) <= 5 or not all(word.isdigit() and len(word) < 20 for word in words):
            return NO_STAMPS
        numbers = [integer(int(word)) for word in words]
        if len(numbers) == 5:
            self.computed = numbers[4]
        return numbers[0], numbers[1], numbers[2]

    def _bare(self, data: bytes) -> Iterator[ProtocolEvent]:
        """JSON outside of an event, or a text."""
        if self._protocol.framing == "ndjson" and data.startswith(b"{"):
            yield from self._values(data)
        elif data.strip() == _DONE:
            yield self._done()
        elif self._protocol.interpret is not None and (payload := _json_of(data)) is not None:
            if self._protocol.framing == "sse":
                self.remarks["JSON without the framing of server-sent events"] = None
            for event in self._value(payload, is_bare=True):
                if event.event.kind == "meta" and self._protocol.framing == "sse":
                    self._unknown = self._unknown or data[:_MOST_TEXT]
                yield event
        elif (failure := _failure_of(data)) is not None:
            yield ProtocolEvent(Event("error"), error_message=failure)
        elif len(self.text) < _MOST_TEXT:
            self.text += (b"\n" if self.text else b"") + data[: _MOST_TEXT - len(self.text)]

    def _cut(self, data: bytes) -> Iterator[ProtocolEvent]:
        """Of an event whose end is missing only an error counts."""
        if (failure := _failure_of(data)) is not None:
            yield ProtocolEvent(Event("error"), error_message=failure)


def _after_space(said: str, at: int) -> int:
    """Where the next of several values begins."""
    space = _BETWEEN.match(said, at)
    return at if space is None else space.end()


def _json_of(data: bytes) -> object:
    """The JSON object or array that this is; None for anything else."""
    if data.lstrip()[:1] not in (b"{", b"["):
        return None
    try:
        return json.loads(data.decode())
    except (ValueError, RecursionError):
        return None


def _failure_of(data: bytes) -> str | None:
    """The sentence of an error's JSON; None for anything else."""
    payload = _json_of(data)
    one = payload[0] if isinstance(payload, list) and len(payload) == 1 else payload
    return failure_in(one) if isinstance(one, dict) else None
