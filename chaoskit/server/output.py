"""Sends a response's events as its malformation and its content coding make them."""

from __future__ import annotations

from chaoskit.server import malformations
from chaoskit.server.coding import Coder
from chaoskit.server.malformations.malformation import LAST, Malformation
from chaoskit.server.requests import Headers
from chaoskit.server.writer import ResponseWriter

_SURPLUS = b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhi"

_LARGE = 64 * 1024  # bytes of one write, above which memory is reserved for it


class Output:
    """The body of one response. `changes`: whether it is not sent as it is."""

    def __init__(self, writer: ResponseWriter, malformation: Malformation, coder: Coder | None) -> None:
        self.changes = malformation is not malformations.NONE or coder is not None
        self._writer = writer
        self._malformation = malformation
        self._coder = coder
        self._number = 0
        self._held = bytearray()

    def open(self, headers: Headers) -> None:
        """Send the head, and what precedes the first event."""
        more = self._coder.headers if self._coder is not None else ()
        self._writer.open(200, (*self._malformation.headers(headers), *more), b"")
        if self._malformation.goes_away:
            self._writer.go_away()
        if self._malformation.prefix:
            self._write(self._code(self._malformation.prefix))

    def send(self, data: bytes) -> None:
        """Send one event, with what belongs before it."""
        self._write(self._code(self._rewritten(data, self._number)))
        self._number += 1

    def finish(self, data: bytes) -> None:
        """Send the end of a stream, and end the body as the malformation does."""
        last = self._rewritten(data, LAST)
        is_ended = self._malformation.is_ended
        self._write(self._coder.end(last) if self._coder is not None and is_ended else self._code(last))
        if self._held:
            self._writer.send(bytes(self._held))
            self._held.clear()
        self._end()

    def whole(self, headers: Headers, body: bytes) -> None:
        """Send a response without streaming; half of it where the malformation breaks it off."""
        more: Headers = ()
        if self._coder is not None:
            body, more = self._coder.code(body) + self._coder.end(b""), self._coder.headers
        headers = (*self._malformation.headers(headers), *more, ("content-length", str(len(body))))
        self._writer.open(200, headers, body if self._malformation.is_ended else body[: len(body) // 2])
        self._end()

    def raw(self, data: bytes) -> None:
        """Send these bytes instead of an HTTP response."""
        self._writer.raw(data)
        self._end()

    def _end(self) -> None:
        match self._malformation.end:
            case "finish":
                self._writer.finish(b"")
            case "surplus":
                self._writer.finish(b"")
                self._writer.raw(_SURPLUS)
            case "reset" | "close" | "chunk" | "silence" as how:
                self._writer.break_off(how)

    def _rewritten(self, data: bytes, number: int) -> bytes:
        rewrite = self._malformation.rewrite
        return data if rewrite is None or not data else rewrite(data, number)

    def _code(self, data: bytes) -> bytes:
        return data if self._coder is None or not data else self._coder.code(data)

    def _write(self, data: bytes) -> None:
        size = self._malformation.pieces
        if not size:
            if len(data) > _LARGE and not self._writer.reserve(len(data)):
                self._writer.break_off("close")
            elif data:
                self._writer.send(data)
            return
        self._held += data
        while len(self._held) >= size:
            self._writer.send(bytes(self._held[:size]))
            del self._held[:size]
