"""Serves HTTP/1.1: h11 parses requests and writes response heads; chunks are framed here, for speed.

One request at a time: pipelined requests wait, up to a limit. Connections are persistent by default.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import h11

from chaoskit import clock
from chaoskit.server import requests, routes
from chaoskit.server.connection import Connection
from chaoskit.server.dispatcher import Dispatcher, Response
from chaoskit.server.limits import SECOND
from chaoskit.server.requests import Headers, Request
from chaoskit.server.writer import Break

_PHRASES = {status.value: status.phrase for status in HTTPStatus}
_MAX_PIPELINED = 256 * 1024  # bytes that may arrive during a response


class Http1(Connection):
    """An HTTP/1.1 connection, and the writer of its current response."""

    def __init__(self, dispatcher: Dispatcher, connections: set[Connection]) -> None:
        super().__init__(dispatcher, connections)
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=dispatcher.limits.head_size)
        self._head: h11.Request | None = None
        self._body = bytearray()
        self._pipelined = 0
        self._since = self.received  # start of the current wait: for a request, its head or its body
        self._has_bytes = False
        self._response_stream: Response | None = None

    def receive(self, data: bytes) -> None:
        """Feed h11, and read requests."""
        self._h11.receive_data(data)
        if self._response_stream is None and self.is_writable:
            if not self._has_bytes:
                self._has_bytes, self._since = True, self.received
            self._read()
            return
        self._pipelined += len(data)
        if self._pipelined > _MAX_PIPELINED:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the current response."""
        super().connection_lost(exc)
        self._forget()
        if self._response_stream is not None:
            self._response_stream.stop("client-left")

    def check_timeouts(self, now: int) -> None:
        """Enforce the time limits of requests and responses."""
        super().check_timeouts(now)
        if self.is_closing:
            return
        limits, waited = self.limits, now - self._since
        if self._response_stream is not None:
            if self._response_stream.lag(now) > limits.lag:
                self.abort()
        elif self._head is not None:
            if waited > limits.body + len(self._body) * SECOND // limits.body_rate:
                self._refuse(408, "the request body arrives too slowly")
        elif self._has_bytes:
            if waited > limits.head:
                self._refuse(408, "the request head arrives too slowly")
        elif waited > limits.idle:
            self.close()

    def resume_writing(self) -> None:
        """Continue the response, or read the next request."""
        super().resume_writing()
        if self._response_stream is not None:
            self._response_stream.resume()
        elif not self.is_closing:
            self._next()

    def abort(self) -> None:
        """Mark the current response as failed, then abort."""
        if self._response_stream is not None:
            self._response_stream.stop("failed")
        super().abort()

    def open(self, status: int, headers: Headers, data: bytes) -> None:
        """Send the head and the first bytes in one write."""
        self.write(self._bytes(_response(status, headers)) + self._bytes(h11.Data(data=data)))

    def send(self, data: bytes) -> None:
        """Send one chunk; an HTTP/1.0 client gets plain bytes."""
        if self._h11.their_http_version == b"1.1":
            self.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self.write(data)

    def finish(self, data: bytes) -> None:
        """End the response; then read the next request, or close."""
        self.write(self._bytes(h11.Data(data=data)) + self._bytes(h11.EndOfMessage()))
        self._response_stream = None
        self._forget()
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            self._has_bytes, self._pipelined = self._pipelined > 0, 0
            self.received = self._since = clock.now()
            if self.is_writable:
                asyncio.get_running_loop().call_soon(self._next)
        elif self._pipelined:
            self.linger()
        else:
            self.close()

    def raw(self, data: bytes) -> None:
        """Send bytes past h11."""
        self.write(data)

    def go_away(self) -> None:
        """Nothing: `connection: close` would have to be in the head."""

    def break_off(self, by: Break) -> None:
        """End the response without its end."""
        match by:
            case "silence":
                return
            case "reset":
                self.abort()
            case "chunk":
                self.write(b"400\r\ndata: {")
                self.close()
            case "close":
                self.close()

    def _bytes(self, event: h11.Event) -> bytes:
        return self._h11.send(event) or b""

    def _next(self) -> None:
        """The response has been sent; read the next request."""
        self.release(self._reserved)
        self._read()

    def _read(self) -> None:
        """Process h11 events until a request is complete."""
        while not self.is_closing and self._response_stream is None:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as problem:
                self._refuse(problem.error_status_hint, str(problem))
                return
            match event:
                case h11.Request(http_version=version) if version not in (b"1.0", b"1.1"):
                    self._refuse(505, f"HTTP/{version.decode('ascii')} is not supported; 1.1 and 2 are")
                    return
                case h11.Request():
                    self._begin(event)
                case h11.Data():
                    self._add(event.data)
                case h11.EndOfMessage():
                    self._take()
                    return
                case _:  # needs more data
                    return

    def _begin(self, head: h11.Request) -> None:
        """Check a request head before its body arrives."""
        if sum(len(name) + len(value) for name, value in head.headers) + len(head.target) > self.limits.head_size:
            self._refuse(431, f"a head of more than {self.limits.head_size} bytes")
        elif any(name == b"content-length" and int(value) > self.limits.body_size for name, value in head.headers):
            self._refuse(*requests.body_too_large(self.limits.body_size))
        elif not self.dispatcher.requests.acquire():
            self._refuse(*requests.BUSY)
        else:
            self._head, self._since = head, self.received
            if self._h11.they_are_waiting_for_100_continue:
                self.write(self._bytes(h11.InformationalResponse(status_code=100, headers=[])))

    def _add(self, data: bytes) -> None:
        if len(self._body) + len(data) > self.limits.body_size:
            self._refuse(*requests.body_too_large(self.limits.body_size))
        elif not self.reserve(len(data)):
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
        reserved = len(self._body)
        self._body = bytearray()
        self._response_stream = self.dispatcher.take(request, self)
        self.release(reserved)
        self.set_latest_stream(self._response_stream)

    def _forget(self) -> None:
        """Release the current request."""
        self._body = bytearray()
        if self._head is not None:
            self._head = None
            self.dispatcher.requests.release()

    def _refuse(self, status: int, message: str, headers: Headers = ()) -> None:
        """Send an error response if that is still possible, and linger."""
        self._forget()
        self.release(self._reserved)
        if self._h11.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            reply = routes.error(routes.DEFAULT, status, message, (("connection", "close"), *headers))
            self.write(self._bytes(_response(reply.status, reply.headers)) + reply.body)
        self.linger()


def _response(status: int, headers: Headers) -> h11.Response:
    return h11.Response(status_code=status, headers=list(headers), reason=_PHRASES.get(status, ""))
