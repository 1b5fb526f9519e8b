"""HTTP/1.1: h11 reads the requests and writes the heads; the chunks, thousands a second, are framed here.

One request at a time: what a client sends ahead waits, up to a limit. Keep-alive is HTTP/1.1's default.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import h11

from chaoskit import clock
from chaoskit.server import asks
from chaoskit.server.asks import Headers, Request
from chaoskit.server.connection import LONGEST_BODY, Connection
from chaoskit.server.telling import Desk, Telling

_LONGEST_AHEAD = 256 * 1024  # bytes that may arrive while an answer is under way


class Http1(Connection):
    """A connection that speaks HTTP/1.1, and the outlet of the one response that is under way."""

    def __init__(self, desk: Desk, open_ones: set[Connection]) -> None:
        super().__init__(desk, open_ones)
        self._h11 = h11.Connection(h11.SERVER)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._received = 0
        self._ahead = 0
        self._telling: Telling | None = None

    def data_received(self, data: bytes) -> None:
        """Stamp, then look whether it makes a request."""
        self._received = clock.now()
        self._h11.receive_data(data)
        if self._telling is None:
            self._read()
            return
        self._ahead += len(data)
        if self._ahead > _LONGEST_AHEAD:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was being told ends here."""
        super().connection_lost(exc)
        if self._telling is not None:
            self._telling.stop("client-left")

    def resume_writing(self) -> None:
        """Go on telling."""
        super().resume_writing()
        if self._telling is not None:
            self._telling.resume()

    def cut(self) -> None:
        """As every connection; what was being told has failed."""
        if self._telling is not None:
            self._telling.stop("failed")
        super().cut()

    def open(self, status: int, headers: Headers, data: bytes) -> None:
        """The head and the first bytes in one segment."""
        self.transport.write(self._bytes(_response(status, headers)) + self._bytes(h11.Data(data=data)))

    def send(self, data: bytes) -> None:
        """One chunk; an HTTP/1.0 client knows no chunks."""
        if self._h11.their_http_version == b"1.1":
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self.transport.write(data)

    def finish(self, data: bytes) -> None:
        """The end; then the next request, or none."""
        self.transport.write(self._bytes(h11.Data(data=data)) + self._bytes(h11.EndOfMessage()))
        self._telling = None
        self._head = None
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            self._ahead = 0
            self._received = clock.now()
            asyncio.get_running_loop().call_soon(self._read)
        else:
            self.transport.close()

    def _bytes(self, event: h11.Event) -> bytes:
        return self._h11.send(event) or b""

    def _read(self) -> None:
        """Take in what has come, until a request is whole."""
        while not self.transport.is_closing() and self._telling is None:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as problem:
                self._refuse(problem.error_status_hint, str(problem))
                return
            match event:
                case h11.Request(http_version=version) if version not in (b"1.0", b"1.1"):
                    self._refuse(505, f"HTTP/{version.decode('ascii')} is not spoken here; 1.1 and 2 are")
                    return
                case h11.Request():
                    self._begin(event)
                case h11.Data():
                    self._body += event.data
                    if len(self._body) > LONGEST_BODY:
                        self._refuse(413, f"a body of more than {LONGEST_BODY} bytes")
                        return
                case h11.EndOfMessage():
                    self._take()
                    return
                case _:  # more has to come
                    return

    def _begin(self, head: h11.Request) -> None:
        self._head = head
        self._body = bytearray()
        if self._h11.they_are_waiting_for_100_continue:
            self.transport.write(self._bytes(h11.InformationalResponse(status_code=100, headers=[])))

    def _take(self) -> None:
        assert self._head is not None
        request = Request(
            method=self._head.method.decode("ascii"),
            target=self._head.target.decode("ascii"),
            headers={name.decode("ascii"): value.decode("latin-1") for name, value in self._head.headers},
            body=bytes(self._body),
            received=self._received,
        )
        self._telling = self.desk.take(request, self)
        self.take_note(self._telling)

    def _refuse(self, status: int, message: str) -> None:
        """Say why, if it can still be said, and close."""
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            reply = asks.error("openai", status, message, (("connection", "close"),))
            self.transport.write(self._bytes(_response(reply.status, reply.headers)) + reply.body)
        self.transport.close()


def _response(status: int, headers: Headers) -> h11.Response:
    return h11.Response(status_code=status, headers=list(headers), reason=HTTPStatus(status).phrase)
