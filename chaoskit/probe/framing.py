"""Splits a response body into server-sent events or JSON lines, incrementally.

Rules: bytes are not decoded (a UTF-8 character may be split anywhere, and str.splitlines breaks at U+2028); an event is
emitted with the byte that completes it; the events are the same however the bytes are cut into chunks; buffered data is
bounded; the cost is linear in the number of bytes.

A line that is a JSON object by itself is an event, framed or not: NDJSON is such lines only. Other lines that no server
means as a field of an event are kept together until an empty line: they are an error page, a text, or JSON in several
lines. A line that looks like an unknown field is ignored, unless it is all that came. A field line `error:`, which
llama.cpp sends, is an event of type "error".
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, sections 9.2.5 and 9.2.6.
"""

from __future__ import annotations

import re

from chaoskit.units import Size

COMMENT, BARE, CUT = b":", b"\n", b"\r"
"""Kinds of raw events that no event's type can be: a comment; text outside of events; an event whose end is missing."""
_BOM = b"\xef\xbb\xbf"
_FIELDS = (b"data:", b"event:", b"retry:", b"id:", b"error:", b":")
_OTHER_FIELD = re.compile(rb"[A-Za-z][\w.-]*:(?!//)")  # what the specification tells a client to ignore

RawEvent = tuple[bytes, bytes]
"""An event's type ("" if it names none) and its data, "" if it has none; or one of the kinds above and its text."""


class MalformedError(Exception):
    """The server sent what its protocol does not allow. The message may quote the server."""


class TooLargeError(Exception):
    """The server sent more than one stream may have. The message is safe to show."""


class _LineSplitter:
    """Splits bytes at LF into lines of at most `max_size` bytes; `is_full` when a line was longer."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self.rest = bytearray()
        self.is_full = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes, up to one that is too long."""
        may_exceed = len(self.rest) + len(chunk) > self._max_size
        first, *others = chunk.split(b"\n")
        self.rest += first
        lines = [bytes(self.rest), *others[:-1]] if others else []
        if others:
            self.rest = bytearray(others[-1])
        if may_exceed:
            return self._checked(lines)
        return lines

    def _checked(self, lines: list[bytes]) -> list[bytes]:
        for number, line in enumerate(lines):
            if len(line) > self._max_size:
                self.is_full = True
                return lines[:number]
        self.is_full = len(self.rest) > self._max_size
        return lines


class BodyParser:
    """Lines end with LF, CRLF or CR; an event ends with an empty line, a JSON object with its own.

    `failure` is set when an event is too long; nothing is parsed after that. `held` is how many bytes are buffered.
    """

    def __init__(self, max_size: int) -> None:
        self.failure: TooLargeError | None = None
        self._max_size = max_size
        self._lines = _LineSplitter(max_size)
        self._is_first_line = True
        self._had_cr = False  # the last byte was a CR: an LF that follows belongs to it
        self._type = b""
        self._data: list[bytes] = []
        self._has_fields = False  # since the last empty line
        self._bare: list[bytes] = []
        self._size = 0  # of the data or of the bare lines
        self._ignored = b""  # the first line that looks like an unknown field
        self._had_event = False

    @property
    def held(self) -> int:
        """Bytes that wait for the end of their event."""
        return len(self._lines.rest) + self._size

    def feed(self, chunk: bytes) -> list[RawEvent]:
        """The events that `chunk` completes, in order."""
        if self.failure is not None:
            return []
        if self._had_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._had_cr = False
        if b"\r" in chunk:
            self._had_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        events: list[RawEvent] = []
        for line in self._lines.feed(chunk):
            self._take(line, events)
            if self.failure is not None:
                return events
        if self._lines.is_full:
            self.failure = TooLargeError(f"a line of more than {Size(self._max_size)}")
        return events

    def close(self, is_whole: bool) -> list[RawEvent]:
        """What the end of the body completes: a last line and a last event, unless the body was cut."""
        if self.failure is not None:
            return []
        events: list[RawEvent] = []
        rest = bytes(self._lines.rest)
        self._lines.rest = bytearray()
        if is_whole:
            if rest:
                self._take(rest, events)
            self._dispatch(events)
        else:
            self._cut(rest, events)
        if self._ignored and not self._had_event:
            events.append((BARE, self._ignored))
        return events

    def _cut(self, rest: bytes, events: list[RawEvent]) -> None:
        self._flush_bare(events)
        if self._data:
            events.append((CUT, b"\n".join(self._data)))
        if rest.startswith((b"{", b"data:", b"error:")):
            events.append((CUT, rest.removeprefix(b"data:").removeprefix(b"error:")))
        elif rest and not _may_become_field(rest):
            events.append((BARE, rest))

    def _take(self, line: bytes, events: list[RawEvent]) -> None:
        if self._is_first_line:
            line = line.removeprefix(_BOM)
            self._is_first_line = False
        if not line:
            self._dispatch(events)
            return
        name, colon, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._flush_bare(events)
            self._grow(value)
            self._data.append(value)
            self._has_fields = True
        elif name == b"event":
            self._flush_bare(events)
            self._type = value
            self._has_fields = True
        elif name in (b"id", b"retry") and not self._bare:
            self._has_fields = True
        elif colon and not name:
            events.append((COMMENT, value))
        elif name.lower() == b"error" and colon:
            self._flush_bare(events)
            events.append((b"error", value))
        else:
            self._take_bare(line, events)

    def _take_bare(self, line: bytes, events: list[RawEvent]) -> None:
        if line.startswith(b"{") and line.rstrip().endswith(b"}"):
            if not self._bare or not self._bare[0].startswith((b"{", b"[")):
                self._flush_bare(events)
                events.append((BARE, line))
                return
        elif not self._bare and (_OTHER_FIELD.match(line) or line.isspace()):
            self._ignored = self._ignored or line.strip()
            return
        self._grow(line)
        self._bare.append(line)

    def _grow(self, part: bytes) -> None:
        self._size += len(part) + 1
        if self._size > self._max_size + 1:
            self.failure = TooLargeError(f"an event of more than {Size(self._max_size)}")

    def _dispatch(self, events: list[RawEvent]) -> None:
        self._flush_bare(events)
        if self._has_fields:
            self._had_event = True
            events.append((self._type, b"\n".join(self._data)))
            self._data = []
            self._size = 0
            self._has_fields = False
        self._type = b""

    def _flush_bare(self, events: list[RawEvent]) -> None:
        if self._bare:
            events.append((BARE, b"\n".join(self._bare)))
            self._bare = []
            self._size = 0


def _may_become_field(rest: bytes) -> bool:
    """Whether the beginning of a line is, or may yet become, a field."""
    return any(field.startswith(rest) or rest.startswith(field) for field in _FIELDS) or _BOM.startswith(rest)
