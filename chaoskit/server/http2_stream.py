"""Writes one response on a stream of an HTTP/2 connection, within the stream's flow-control window.

Data above the window waits in the stream, at most one event: a stream with an empty window is not writable and gets no
more tokens, while the connection's other streams continue. A response without streaming waits there too; its memory is
reserved before.
"""

from __future__ import annotations

from typing import Literal

from h2.connection import H2Connection
from h2.errors import ErrorCodes

from chaoskit.server import requests, routes
from chaoskit.server.connection import Connection
from chaoskit.server.dispatcher import Response
from chaoskit.server.limits import SECOND
from chaoskit.server.requests import Headers, Request
from chaoskit.server.writer import Break

_UNFINISHED_DATA = b"\0\1\0\0\0"  # of a frame's header: 256 bytes of DATA (RFC 9113, 4.1)


class StreamConnection(Connection):
    """What streams need of their connection."""

    h2: H2Connection

    def flush(self) -> None:
        """Send what h2 has prepared."""
        data = self.h2.data_to_send()
        if data:
            self.write(data)

    def forget(self, number: int) -> None:
        """Release a stream that has ended."""
        raise NotImplementedError

    def reset(self, number: int, code: ErrorCodes) -> None:
        """Send RST_STREAM; its response has failed."""
        raise NotImplementedError

    def go_away(self) -> None:
        """Send GOAWAY once; the streams that have begun are finished."""
        raise NotImplementedError


class Http2Stream:
    """One request and the writer of its response. `reserved` is its memory in bytes; `is_received`: the request has
    ended."""

    def __init__(self, connection: StreamConnection, number: int, headers: dict[str, str], is_received: bool) -> None:
        self.reserved = 0
        self.is_received = is_received
        self._connection = connection
        self._number = number
        self._headers = headers
        self._body = bytearray()
        self._pending = bytearray()
        self._is_last = False
        self._since = connection.received
        self._blocked_since = 0  # since when data waits for the window, 0 when none does
        self._response: Response | None = None

    @property
    def is_writable(self) -> bool:
        """Whether the stream's window and the connection accept more data."""
        return self._connection.is_writable and not self._pending and self._window() > 0

    def check_timeouts(self, now: int) -> None:
        """Enforce the time limits of requests and responses."""
        limits, response = self._connection.limits, self._response
        if not self.is_received and not self._is_last:
            if now - self._since > limits.body + len(self._body) * SECOND // limits.body_rate:
                self._refuse(408, "the request body arrives too slowly")
            return
        is_blocked = bool(self._pending) or (response is not None and response.is_blocked)
        self._blocked_since = (self._blocked_since or now) if is_blocked else 0
        is_stuck = is_blocked and now - self._blocked_since > limits.write
        if is_stuck or (response is not None and response.lag(now) > limits.lag):
            self._connection.reset(self._number, ErrorCodes.CANCEL)

    def receive(self, data: bytes) -> None:
        """Add data of the request's body."""
        if self._is_last:  # an error response has been sent
            return
        limit = self._connection.limits.body_size
        if len(self._body) + len(data) > limit:
            self._refuse(*requests.body_too_large(limit))
        elif not self.reserve(len(data)):
            self._refuse(*requests.BUSY)
        else:
            self._body += data

    def answer(self, received: int) -> None:
        """Respond to the complete request."""
        if self._is_last:  # an error response has been sent
            return
        request = Request(
            method=self._headers.get(":method", ""),
            target=self._headers.get(":path", ""),
            headers=self._headers,
            body=bytes(self._body),
            received=received,
        )
        self._release_body()
        self._response = self._connection.dispatcher.take(request, self)
        self._connection.set_latest_stream(self._response)

    def resume(self) -> None:
        """The window may have grown."""
        self._send_pending()
        if self._response is not None and self.is_writable:
            self._blocked_since = 0
            self._response.resume()

    def stop(self, outcome: Literal["client-left", "failed"]) -> None:
        """Stop the response."""
        if self._response is not None:
            self._response.stop(outcome)

    def open(self, status: int, headers: Headers, data: bytes) -> None:
        """Send the head and the first bytes."""
        self._connection.h2.send_headers(self._number, [(":status", str(status)), *headers])
        self.send(data)

    def send(self, data: bytes) -> None:
        """Send more of the body, as far as the window allows."""
        self._pending += data
        self._send_pending()

    def finish(self, data: bytes) -> None:
        """Send the last bytes of the body."""
        self._is_last = True
        self.send(data)

    def raw(self, data: bytes) -> None:
        """Send bytes past h2."""
        self._connection.flush()
        self._connection.write(data)

    def go_away(self) -> None:
        """See `ResponseWriter`."""
        self._connection.go_away()

    def break_off(self, by: Break) -> None:
        """End the response without its end; all but `reset` and `silence` end the connection."""
        match by:
            case "silence":
                return
            case "reset":
                self._connection.reset(self._number, ErrorCodes.INTERNAL_ERROR)
            case "chunk":
                self.raw(_UNFINISHED_DATA + self._number.to_bytes(4) + b"data: {")
                self._connection.close()
            case "close":
                self._connection.close()

    def reserve(self, size: int) -> bool:
        """Reserve memory until the stream has ended."""
        if not self._connection.reserve(size):
            return False
        self.reserved += size
        return True

    def tcp_info(self) -> dict[str, int]:
        """TCP_INFO of the connection that this stream shares."""
        return self._connection.tcp_info()

    def sent_again(self) -> tuple[int, int, int]:
        """What was sent again on that connection."""
        return self._connection.sent_again()

    def _refuse(self, status: int, message: str, headers: Headers = ()) -> None:
        """Send an error response, and ignore the rest of the body."""
        self._release_body()
        reply = routes.error(routes.DEFAULT, status, message, headers)
        self.open(reply.status, reply.headers, b"")
        self.finish(reply.body)

    def _release_body(self) -> None:
        self._connection.release(self.reserved)
        self.reserved = 0
        self._body = bytearray()

    def _window(self) -> int:
        return self._connection.h2.local_flow_control_window(self._number)

    def _send_pending(self) -> None:
        connection, h2 = self._connection, self._connection.h2
        while self._pending and connection.is_writable:
            room = min(self._window(), h2.max_outbound_frame_size)
            if room <= 0:
                break
            piece = bytes(self._pending[:room])
            del self._pending[:room]
            h2.send_data(self._number, piece)
            connection.flush()
        if self._is_last and not self._pending:
            h2.end_stream(self._number)
            if not self.is_received:
                h2.reset_stream(self._number, ErrorCodes.NO_ERROR)  # stops the request body: RFC 9113, 8.1
            connection.forget(self._number)
        connection.flush()
