"""HTTP/1.1: h11 reads the requests and writes the heads; the chunks, thousands a second, are framed here.

One request at a time: what a client sends ahead waits, up to a limit. Keep-alive is HTTP/1.1's default.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import h11

from chaoskit import clock
from chaoskit.server import requests
from chaoskit.server.connection import Connection
from chaoskit.server.limits import SECOND
from chaoskit.server.requests import Headers, Request
from chaoskit.server.streaming import ResponseScheduler, ResponseStream

_LONGEST_AHEAD = 256 * 1024  # bytes that may arrive while an answer is under way


class Http1(Connection):
    """A connection that speaks HTTP/1.1, and the outlet of the one response that is under way."""

    def __init__(self, desk: ResponseScheduler, open_ones: set[Connection]) -> None:
        super().__init__(desk, open_ones)
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=desk.limits.head_size)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._ahead = 0
        self._since = self.received  # when the wait began: for a request, its head, its body
        self._comes = False
        self._telling: ResponseStream | None = None

    def take_in(self, data: bytes) -> None:
        """Look whether it makes a request."""
        self._h11.receive_data(data)
        if self._telling is None and self.is_clear:
            if not self._comes:
                self._comes, self._since = True, self.received
            self._read()
            return
        self._ahead += len(data)
        if self._ahead > _LONGEST_AHEAD:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was being told ends here."""
        super().connection_lost(exc)
        self._forget()
        if self._telling is not None:
            self._telling.stop("client-left")

    def look(self, now: int) -> None:
        """Waiting for a client has an end."""
        super().look(now)
        if self.is_leaving:
            return
        limits, waited = self.limits, now - self._since
        if self._telling is not None:
            if self._telling.arrears(now) > limits.arrears:
                self.cut()
        elif self._head is not None:
            if waited > limits.body + len(self._body) * SECOND // limits.body_rate:
                self._refuse(408, "the body of the request comes too slowly")
        elif self._comes:
            if waited > limits.head:
                self._refuse(408, "the head of the request comes too slowly")
        elif waited > limits.idle:
            self.close()

    def resume_writing(self) -> None:
        """Go on telling, or with the next request."""
        super().resume_writing()
        if self._telling is not None:
            self._telling.resume()
        elif not self.is_leaving:
            self._next()

    def cut(self) -> None:
        """As every connection; what was being told has failed."""
        if self._telling is not None:
            self._telling.stop("failed")
        super().cut()

    def open(self, status: int, headers: Headers, data: bytes) -> None:
        """The head and the first bytes in one segment."""
        self.write(self._bytes(_response(status, headers)) + self._bytes(h11.Data(data=data)))

    def send(self, data: bytes) -> None:
        """One chunk; an HTTP/1.0 client knows no chunks."""
        if self._h11.their_http_version == b"1.1":
            self.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self.write(data)

    def finish(self, data: bytes) -> None:
        """The end; then the next request, or none."""
        self.write(self._bytes(h11.Data(data=data)) + self._bytes(h11.EndOfMessage()))
        self._telling = None
        self._forget()
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            self._comes, self._ahead = self._ahead > 0, 0
            self.received = self._since = clock.now()
            if self.is_clear:
                asyncio.get_running_loop().call_soon(self._next)
        elif self._ahead:
            self.leave()
        else:
            self.close()

    def _bytes(self, event: h11.Event) -> bytes:
        return self._h11.send(event) or b""

    def _next(self) -> None:
        """The client has taken what it was sent; see what else it has asked."""
        self.release(self._held)
        self._read()

    def _read(self) -> None:
        """Take in what has come, until a request is whole."""
        while not self.is_leaving and self._telling is None:
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
                    self._add(event.data)
                case h11.EndOfMessage():
                    self._take()
                    return
                case _:  # more has to come
                    return

    def _begin(self, head: h11.Request) -> None:
        """A head is there; what it announces is judged before any of it comes."""
        if sum(len(name) + len(value) for name, value in head.headers) + len(head.target) > self.limits.head_size:
            self._refuse(431, f"a head of more than {self.limits.head_size} bytes")
        elif any(name == b"content-length" and int(value) > self.limits.body_size for name, value in head.headers):
            self._refuse(*requests.too_long(self.limits.body_size))
        elif not self.desk.requests.take():
            self._refuse(*requests.BUSY)
        else:
            self._head, self._since = head, self.received
            if self._h11.they_are_waiting_for_100_continue:
                self.write(self._bytes(h11.InformationalResponse(status_code=100, headers=[])))

    def _add(self, data: bytes) -> None:
        if len(self._body) + len(data) > self.limits.body_size:
            self._refuse(*requests.too_long(self.limits.body_size))
        elif not self.hold(len(data)):
            self._refuse(*requests.BUSY)
        else:
            self._body += data

    def _take(self) -> None:
        assert self._head is not None
        request = Request(
            method=self._head.method.decode("ascii"),
            target=self._head.target.decode("ascii"),
            headers={name.decode("ascii"): value.decode("latin-1") for name, value in self._head.headers},
            body=bytes(self._body),
            received=self.received,
        )
        held = len(self._body)
        self._body = bytearray()
        self._telling = self.desk.take(request, self)
        self.release(held)
        self.take_note(self._telling)

    def _forget(self) -> None:
        """This request needs no room any more."""
        self._body = bytearray()
        if self._head is not None:
            self._head = None
            self.desk.requests.give()

    def _refuse(self, status: int, message: str, headers: Headers = ()) -> None:
        """Say why, if it can still be said, and leave."""
        self._forget()
        self.release(self._held)
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            reply = requests.error("openai", status, message, (("connection", "close"), *headers))
            self.write(self._bytes(_response(reply.status, reply.headers)) + reply.body)
        self.leave()


def _response(status: int, headers: Headers) -> h11.Response:
    return h11.Response(status_code=status, headers=list(headers), reason=HTTPStatus(status).phrase)
