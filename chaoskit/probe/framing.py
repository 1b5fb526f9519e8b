"""Bytes in, whole pieces out: server-sent events and lines of JSON.

Rules: bytes stay bytes (a UTF-8 character may be split anywhere, and str.splitlines breaks at U+2028); a piece
is out with the byte that completes it; nothing longer than a bound is kept; the work is linear in the bytes, however
they are cut.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html, sections 9.2.5 and 9.2.6.
"""

from __future__ import annotations

from typing import Protocol

from chaoskit.units import Size

COMMENT = b":"
_BOM = b"\xef\xbb\xbf"

Piece = tuple[bytes, bytes]
"""An event's type ("" if it names none) and its data; or COMMENT and the comment's text."""


class MalformedError(Exception):
    """The server sent what its protocol does not allow. The message is ours and safe to show."""


class TooLargeError(Exception):
    """The server sent more than one stream may have. The message is ours and safe to show."""


class Wire(Protocol):
    """A splitter of one response's body."""

    def feed(self, chunk: bytes) -> list[Piece]:
        """The pieces that `chunk` completes, in order. Raises TooLargeError when one grows too long."""


class _Splitter:
    """Whole lines, without their ends. None is longer than `longest` bytes."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = bytearray()

    def feed(self, chunk: bytes) -> list[bytes]:
        """The lines that `chunk` completes. Raises TooLargeError."""
        may_be_too_long = len(self._rest) + len(chunk) > self._longest
        first, *others = chunk.split(b"\n")
        self._rest += first
        lines = [bytes(self._rest), *others[:-1]] if others else []
        if others:
            self._rest = bytearray(others[-1])
        if may_be_too_long and max(map(len, (self._rest, *lines))) > self._longest:
            raise TooLargeError(f"a line of more than {Size(self._longest)}")
        return lines


class Ndjson:
    """Lines of JSON: each line that is not empty is a piece without a type."""

    def __init__(self, longest: int) -> None:
        self._lines = _Splitter(longest)

    def feed(self, chunk: bytes) -> list[Piece]:
        """See `Wire`."""
        stripped = (line.rstrip(b"\r") for line in self._lines.feed(chunk))
        return [(b"", line) for line in stripped if line]


class Sse:
    """Server-sent events. Lines end with LF, CRLF or CR; an event ends with an empty line."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._lines = _Splitter(longest)
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
        lines = self._lines.feed(chunk)
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
            if self._size > self._longest:
                raise TooLargeError(f"an event of more than {Size(self._longest)}")
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
