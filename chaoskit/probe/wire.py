"""Bytes in, whole pieces out: server-sent events and lines of JSON.

Rules: bytes stay bytes (a UTF-8 character may be split anywhere, and str.splitlines breaks at U+2028); a piece
is out with the byte that completes it; nothing longer than a mebibyte is kept.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, sections 9.2.5 and 9.2.6.
"""

from __future__ import annotations

from typing import Protocol

LONGEST = 1 << 20  # bytes of one line, and of one event's data
COMMENT = b":"
_BOM = b"\xef\xbb\xbf"

Piece = tuple[bytes, bytes]
"""An event's type ("" if it names none) and its data; or COMMENT and the comment's text."""


class MalformedError(Exception):
    """The server sent what its protocol does not allow. The message is ours and safe to show."""


class Wire(Protocol):
    """A splitter of one response's body."""

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces that `chunk` completes, in order. Raises MalformedError when one grows too long."""


class Ndjson:
    """Lines of JSON: each line that is not empty is a piece without a type."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Piece]:
        """See `Wire`."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        _bound(self._rest)
        stripped = (line.rstrip(b"\r") for line in lines)
        return [(b"", line) for line in stripped if line]


class Sse:
    """Server-sent events. Lines end with LF, CRLF or CR; an event ends with an empty line."""

    def __init__(self) -> None:
        self._rest = b""
        self._is_first_line = True
        self._had_cr = False  # the last byte was a CR: an LF that follows belongs to it
        self._type = b""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Piece]:
        """See `Wire`."""
        if self._had_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._had_cr = False
        if b"\r" in chunk:
            self._had_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        _bound(self._rest)
        if self._is_first_line and lines:
            lines[0] = lines[0].removeprefix(_BOM)
            self._is_first_line = False
        pieces: list[Piece] = []
        for line in lines:
            if line:
                self._take(line, pieces)
            else:
                self._dispatch(pieces)
        return pieces

    def _take(self, line: bytes, pieces: list[Piece]) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > LONGEST:
                raise MalformedError(f"an event of more than {LONGEST} bytes")
        elif name == b"event":
            self._type = value
        elif not name:
            pieces.append((COMMENT, value))

    def _dispatch(self, pieces: list[Piece]) -> None:
        if self._data:
            pieces.append((self._type, b"\n".join(self._data)))
            self._data = []
            self._size = 0
        self._type = b""


def _bound(rest: bytes) -> None:
    if len(rest) > LONGEST:
        raise MalformedError(f"a line of more than {LONGEST} bytes")
