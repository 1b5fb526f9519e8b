"""Serves HTTP/2: h2 keeps the protocol state; each stream writes one response.

Data above a stream's flow-control window waits in the stream, at most one event: a stream with an empty window is not
writable and gets no more tokens, while the connection's other streams continue. A response without streaming waits
there too; its memory is reserved before.

After a GOAWAY without an error, the server's or the client's, the streams that have begun are finished, then the
connection is closed. Streams above the last one of the server's GOAWAY are ignored (RFC 9113, 6.8).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Literal

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from chaoskit import clock
from chaoskit.server import requests, routes
from chaoskit.server.connection import Connection
from chaoskit.server.frame_limits import FrameMeter
from chaoskit.server.limits import SECOND, TokenBucket
from chaoskit.server.requests import Headers, Request
from chaoskit.server.streaming import ResponseDispatcher, ResponseStream
from chaoskit.server.writer import Break

_MAX_HEADER_TABLE = 4096  # bytes: bound of the HPACK encoder table, which is searched for each header
_UNFINISHED_DATA = b"\0\1\0\0\0"  # of a frame's header: 256 bytes of DATA (RFC 9113, 4.1)
_GOAWAY = b"\0\0\x08\7\0\0\0\0\0"  # its frame header (RFC 9113, 6.8); the last stream and NO_ERROR follow
_KEPT_HEADERS = frozenset({":method", ":path"}) | requests.READ_HEADERS


class H2(H2Connection):
    """An h2 connection that remembers fewer closed streams: those for which frames may still be in flight."""

    MAX_CLOSED_STREAMS = 4096

    def _receive_goaway_frame(self, frame: Any) -> tuple[list[Any], list[Event]]:
        """Without an error it ends nothing: h2 would send no more data, and refuse all further frames."""
        if frame.error_code != ErrorCodes.NO_ERROR:
            return super()._receive_goaway_frame(frame)
        event = ConnectionTerminated()
        event.error_code, event.last_stream_id = ErrorCodes.NO_ERROR, frame.last_stream_id
        return [], [event]


class Http2(Connection):
    """An HTTP/2 connection."""

    def __init__(self, dispatcher: ResponseDispatcher, connections: set[Connection]) -> None:
        super().__init__(dispatcher, connections)
        self.h2 = H2(H2Configuration(client_side=False, header_encoding="latin-1"))
        self.h2.decoder.max_header_list_size = self.limits.head_size
        self._streams: dict[int, Stream] = {}
        self._frame_meter = FrameMeter(self.limits)
        self._resets = TokenBucket(self.limits.resets)
        self._since = self.received  # when the last stream ended
        self._is_draining = False  # it is closed when its streams have ended
        self._last: int | None = None  # the stream of the GOAWAY that was sent

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the server's SETTINGS."""
        super().connection_made(transport)
        self.h2.initiate_connection()
        bounds: dict[SettingCodes | int, int] = {
            SettingCodes.MAX_CONCURRENT_STREAMS: self.limits.streams,
            SettingCodes.MAX_HEADER_LIST_SIZE: self.limits.head_size,
        }
        self.h2.update_settings(bounds)
        self.flush()

    def receive(self, data: bytes) -> None:
        """Feed h2, and handle its events."""
        if self._frame_meter.is_flood(data, self.received):
            self._end(ErrorCodes.ENHANCE_YOUR_CALM)
            return
        try:
            events = self.h2.receive_data(data)
        except ProtocolError:  # h2 has prepared a GOAWAY with the error code
            self._end(None)
            return
        goaways = [event.error_code for event in events if isinstance(event, ConnectionTerminated)]
        if any(goaways):
            self._end(ErrorCodes.NO_ERROR)
            return
        resets = [event.stream_id for event in events if isinstance(event, StreamReset)]
        if not self._resets.take(len(resets), self.received):
            self._end(ErrorCodes.ENHANCE_YOUR_CALM)
            return
        # h2 has processed all events already: it refuses to send on these streams, or to reset them.
        gone = set(resets)
        whole = {event.stream_id for event in events if isinstance(event, StreamEnded)}
        self._stop(gone, "client-left")
        for number in whole & self._streams.keys():
            self._streams[number].is_received = True
        room = set[int]()
        for event in events:
            match event:
                case WindowUpdated(stream_id=number):
                    room.add(number)
                case RemoteSettingsChanged():
                    self.h2.encoder.header_table_size = min(self.h2.encoder.header_table_size, _MAX_HEADER_TABLE)
                    room.add(0)
                case RequestReceived(stream_id=number) if number not in gone:
                    self._begin(event, number in whole)
                case _:
                    self._handle(event)
        self._resume_streams(room)
        self.flush()
        if goaways:
            self._drain()

    def check_timeouts(self, now: int) -> None:
        """Enforce the time limits of requests and responses."""
        super().check_timeouts(now)
        if self.is_closing:
            return
        for stream in list(self._streams.values()):
            stream.check_timeouts(now)
        if not self._streams and now - self._since > self.limits.idle:
            self._end(ErrorCodes.NO_ERROR)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop all responses."""
        super().connection_lost(exc)
        self._stop(self._streams, "client-left")

    def resume_writing(self) -> None:
        """Continue all streams."""
        super().resume_writing()
        self._resume_streams([0])

    def abort(self) -> None:
        """Mark all responses as failed, then abort."""
        self._stop(self._streams, "failed")
        super().abort()

    def flush(self) -> None:
        """Send what h2 has prepared."""
        data = self.h2.data_to_send()
        if data:
            self.write(data)

    def forget(self, number: int) -> None:
        """Release a stream that has ended."""
        stream = self._streams.pop(number, None)
        if stream is not None:
            self.release(stream.reserved)
            self.dispatcher.requests.release()
            self._since = clock.now()
            if self._is_draining:
                self._drain()

    def reset(self, number: int, code: ErrorCodes) -> None:
        """Send RST_STREAM; its response has failed."""
        self._stop([number], "failed")
        self.h2.reset_stream(number, code)
        self.flush()

    def go_away(self) -> None:
        """Send GOAWAY once, past h2, which would end the streams with it; the last stream is the latest so far."""
        if self._last is None:
            self._last = self.h2.highest_inbound_stream_id
            self.flush()
            self.write(_GOAWAY + self._last.to_bytes(4) + bytes(4))
            self._drain()

    def _drain(self) -> None:
        """Close the connection when its streams have ended, and all that they sent is written."""
        self._is_draining = True
        if not self._streams:
            asyncio.get_running_loop().call_soon(self._drained)

    def _drained(self) -> None:
        if not self._streams and not self.is_closing:
            if self._last is None:
                self._end(ErrorCodes.NO_ERROR)
            else:
                self.linger()

    def _is_ignored(self, number: int) -> bool:
        return self._last is not None and number > self._last

    def _handle(self, event: Event) -> None:
        match event:
            case DataReceived() if self._is_ignored(event.stream_id):
                if event.flow_controlled_length:  # it counts for the connection's window only
                    self.h2.increment_flow_control_window(event.flow_controlled_length)
            case DataReceived():
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.stream_id in self._streams:
                    self._streams[event.stream_id].receive(event.data)
            case StreamEnded():
                if event.stream_id in self._streams:
                    self._streams[event.stream_id].answer(self.received)
            case _:
                pass

    def _begin(self, event: RequestReceived, is_received: bool) -> None:
        number = event.stream_id
        if self._is_ignored(number):
            return
        if not self.dispatcher.requests.acquire():
            self.h2.reset_stream(number, ErrorCodes.REFUSED_STREAM)  # the client may try again: RFC 9113, 8.7
            return
        headers = {str(name): str(value) for name, value in event.headers if str(name) in _KEPT_HEADERS}
        self._streams[number] = Stream(self, number, headers, is_received)

    def _resume_streams(self, numbers: Iterable[int]) -> None:
        """Continue these streams, whose windows have grown; 0 is the connection, which means all streams."""
        found = sorted(numbers)
        streams = list(self._streams.values()) if 0 in found else [self._streams.get(number) for number in found]
        for stream in streams:
            if stream is not None:
                stream.resume()

    def _end(self, code: ErrorCodes | None) -> None:
        """Close the connection, with GOAWAY unless h2 has prepared one."""
        self._stop(self._streams, "client-left")
        if code is not None:
            self.h2.close_connection(code, last_stream_id=self._last)
        self.flush()
        self.linger()

    def _stop(self, numbers: Iterable[int], outcome: Literal["client-left", "failed"]) -> None:
        for number in list(numbers):
            if number in self._streams:
                self._streams[number].stop(outcome)
                self.forget(number)


class Stream:
    """One request and the writer of its response. `reserved` is its memory in bytes; `is_received`: the request has
    ended."""

    def __init__(self, connection: Http2, number: int, headers: dict[str, str], is_received: bool) -> None:
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
        self._response: ResponseStream | None = None

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
