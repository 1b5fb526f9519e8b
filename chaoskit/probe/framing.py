"""Splits a response body into server-sent events or NDJSON lines, incrementally.

Rules: bytes are not decoded (a UTF-8 character may be split anywhere, and str.splitlines breaks at U+2028); an event is
emitted with the byte that completes it; buffered data is bounded; the cost is linear in the number of bytes, however
they are split into chunks.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, sections 9.2.5 and 9.2.6.
"""

from __future__ import annotations

from typing import Protocol

from chaoskit.units import Size

COMMENT = b":"
_BOM = b"\xef\xbb\xbf"

RawEvent = tuple[bytes, bytes]
"""An event's type ("" if it names none) and its data; or COMMENT and the comment's text."""


class MalformedError(Exception):
    """The server sent what its protocol does not allow. The message is safe to show."""


class TooLargeError(Exception):
    """The server sent more than one stream may have. The message is safe to show."""


class EventParser(Protocol):
    """An incremental parser of one response's body."""

    def feed(self, chunk: bytes) -> list[RawEvent]:
        """The events that `chunk` completes, in order. Raises TooLargeError when one is too long."""


class _LineSplitter:
    """Splits bytes at LF into lines of at most `max_size` bytes."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes. Raises TooLargeError."""
        may_exceed = len(self._rest) + len(chunk) > self._max_size
        first, *others = chunk.split(b"\n")
        self._rest += first
        lines = [bytes(self._rest), *others[:-1]] if others else []
        if others:
            self._rest = bytearray(others[-1])
        if may_exceed and max(map(len, (self._rest, *lines))) > self._max_size:
            raise TooLargeError(f"a line of more than {Size(self._max_size)}")
        return lines


class NdjsonParser:
    """NDJSON: each non-empty line is an event without a type."""

    def __init__(self, max_size: int) -> None:
        self._lines = _LineSplitter(max_size)

    def feed(self, chunk: bytes) -> list[RawEvent]:
        """See `EventParser`."""
        stripped = (line.rstrip(b"\r") for line in self._lines.feed(chunk))
        return [(b"", line) for line in stripped if line]


class SseParser:
    """Server-sent events. Lines end with LF, CRLF or CR; an event ends with an empty line."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._lines = _LineSplitter(max_size)
        self._is_first_line = True
        self._had_cr = False  # the last byte was a CR: an LF that follows belongs to it
        self._type = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[RawEvent]:
        """See `EventParser`."""
        if self._had_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._had_cr = False
        if b"\r" in chunk:
            self._had_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        lines = self._lines.feed(chunk)
        if self._is_first_line and lines:
            lines[0] = lines[0].removeprefix(_BOM)
            self._is_first_line = False
        events: list[RawEvent] = []
        for line in lines:
            if line:
                self._take(line, events)
            else:
                self._dispatch(events)
        return events

    def _take(self, line: bytes, events: list[RawEvent]) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > self._max_size:
                raise TooLargeError(f"an event of more than {Size(self._max_size)}")
        elif name == b"event":
            self._type = value
        elif not name:
            events.append((COMMENT, value))

    def _dispatch(self, events: list[RawEvent]) -> None:
        if self._data:
            events.append((self._type, b"\n".join(self._data)))
            self._data = []
            self._size = 0
        self._type = b""
