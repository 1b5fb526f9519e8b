"""Serves an HTTP/2 connection: h2 keeps the protocol state, `http2_stream` writes the responses.

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
from chaoskit.server.connection import Connection
from chaoskit.server.dispatcher import Dispatcher
from chaoskit.server.frame_limits import FrameMeter
from chaoskit.server.http2_stream import Http2Stream, StreamConnection
from chaoskit.server.limits import TokenBucket

_MAX_HEADER_TABLE = 4096  # bytes: bound of the HPACK encoder table, which is searched for each header
_GOAWAY = b"\0\0\x08\7\0\0\0\0\0"  # its frame header (RFC 9113, 6.8); the last stream and NO_ERROR follow
_PSEUDO_HEADERS = frozenset({":method", ":path"})  # that are looked at


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


class Http2(StreamConnection):
    """An HTTP/2 connection."""

    def __init__(self, dispatcher: Dispatcher, connections: set[Connection]) -> None:
        super().__init__(dispatcher, connections)
        self.h2 = H2(H2Configuration(client_side=False, header_encoding="latin-1"))
        self.h2.decoder.max_header_list_size = self.limits.head_size
        self._streams: dict[int, Http2Stream] = {}
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
        kept = self.dispatcher.read_headers | _PSEUDO_HEADERS
        headers = {str(name): str(value) for name, value in event.headers if str(name) in kept}
        self._streams[number] = Http2Stream(self, number, headers, is_received)

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
