"""HTTP/2: h2 keeps the protocol's state; a stream here is the outlet of one response.

What a stream's flow-control window does not take waits in the stream, one event at the most: a stream without
room is not clear, so nothing more is told to it, while the connection's other streams go on. A whole answer waits
there too; it has been counted before it was made.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal

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
from chaoskit.server import requests
from chaoskit.server.connection import Connection
from chaoskit.server.frame_limits import FrameMeter
from chaoskit.server.limits import SECOND, Allowance
from chaoskit.server.requests import Headers, Request
from chaoskit.server.streaming import ResponseScheduler, ResponseStream

_TABLE = 4096  # bytes of headers that HPACK may remember for a client that allows more: we search it for each of ours
_USED = frozenset({":method", ":path", requests.STREAM_HEADER})


class Engine(H2Connection):
    """h2, which remembers fewer streams that are closed: those for which something may still be on its way."""

    MAX_CLOSED_STREAMS = 4096


class Http2(Connection):
    """A connection that speaks HTTP/2."""

    def __init__(self, desk: ResponseScheduler, open_ones: set[Connection]) -> None:
        super().__init__(desk, open_ones)
        self.h2 = Engine(H2Configuration(client_side=False, header_encoding="latin-1"))
        self.h2.decoder.max_header_list_size = self.limits.head_size
        self._streams: dict[int, Stream] = {}
        self._meter = FrameMeter(self.limits)
        self._resets = Allowance(self.limits.resets)
        self._since = self.received  # when the last stream ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what we allow."""
        super().connection_made(transport)
        self.h2.initiate_connection()
        bounds: dict[SettingCodes | int, int] = {
            SettingCodes.MAX_CONCURRENT_STREAMS: self.limits.streams,
            SettingCodes.MAX_HEADER_LIST_SIZE: self.limits.head_size,
        }
        self.h2.update_settings(bounds)
        self.flush()

    def take_in(self, data: bytes) -> None:
        """Do what the frames say."""
        if self._meter.is_flood(data, self.received):
            self._end(ErrorCodes.ENHANCE_YOUR_CALM)
            return
        try:
            events = self.h2.receive_data(data)
        except ProtocolError:  # h2 has prepared a GOAWAY that says which
            self._end(None)
            return
        if any(isinstance(event, ConnectionTerminated) for event in events):
            self._end(ErrorCodes.NO_ERROR)
            return
        resets = [event.stream_id for event in events if isinstance(event, StreamReset)]
        if not self._resets.take(len(resets), self.received):
            self._end(ErrorCodes.ENHANCE_YOUR_CALM)
            return
        # What h2 knows already and the events before it do not: it refuses to send on these, or to reset them.
        gone = set(resets)
        whole = {event.stream_id for event in events if isinstance(event, StreamEnded)}
        self._stop(gone, "client-left")
        for number in whole & self._streams.keys():
            self._streams[number].is_whole = True
        room = set[int]()
        for event in events:
            match event:
                case WindowUpdated(stream_id=number):
                    room.add(number)
                case RemoteSettingsChanged():
                    self.h2.encoder.header_table_size = min(self.h2.encoder.header_table_size, _TABLE)
                    room.add(0)
                case RequestReceived(stream_id=number) if number not in gone:
                    self._begin(event, number in whole)
                case _:
                    self._handle(event)
        self._go_on(room)
        self.flush()

    def look(self, now: int) -> None:
        """Waiting for a client has an end."""
        super().look(now)
        if self.is_leaving:
            return
        for stream in list(self._streams.values()):
            stream.look(now)
        if not self._streams and now - self._since > self.limits.idle:
            self._end(ErrorCodes.NO_ERROR)

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was being told ends here."""
        super().connection_lost(exc)
        self._stop(self._streams, "client-left")

    def resume_writing(self) -> None:
        """Go on with all streams."""
        super().resume_writing()
        self._go_on([0])

    def cut(self) -> None:
        """As every connection; what was being told has failed."""
        self._stop(self._streams, "failed")
        super().cut()

    def flush(self) -> None:
        """Hand on what h2 has prepared."""
        data = self.h2.data_to_send()
        if data:
            self.write(data)

    def forget(self, number: int) -> None:
        """This stream has nothing more to say."""
        stream = self._streams.pop(number, None)
        if stream is not None:
            self.release(stream.held)
            self.desk.requests.give()
            self._since = clock.now()

    def reset(self, number: int, code: ErrorCodes) -> None:
        """End this stream before its time; what was being told has failed."""
        self._stop([number], "failed")
        self.h2.reset_stream(number, code)
        self.flush()

    def _handle(self, event: Event) -> None:
        match event:
            case DataReceived():
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.stream_id in self._streams:
                    self._streams[event.stream_id].take_in(event.data)
            case StreamEnded():
                if event.stream_id in self._streams:
                    self._streams[event.stream_id].answer(self.received)
            case _:
                pass

    def _begin(self, event: RequestReceived, is_whole: bool) -> None:
        number = event.stream_id
        if not self.desk.requests.take():
            self.h2.reset_stream(number, ErrorCodes.REFUSED_STREAM)  # the client may try again: RFC 9113, 8.7
            return
        headers = {str(name): str(value) for name, value in event.headers if str(name) in _USED}
        self._streams[number] = Stream(self, number, headers, is_whole)

    def _go_on(self, numbers: Iterable[int]) -> None:
        """These have room again; 0 is the connection, and with it all of them."""
        found = sorted(numbers)
        streams = list(self._streams.values()) if 0 in found else [self._streams.get(number) for number in found]
        for stream in streams:
            if stream is not None:
                stream.resume()

    def _end(self, code: ErrorCodes | None) -> None:
        """End the connection, with a GOAWAY unless h2 has written one."""
        self._stop(self._streams, "client-left")
        if code is not None:
            self.h2.close_connection(code)
        self.flush()
        self.leave()

    def _stop(self, numbers: Iterable[int], fate: Literal["client-left", "failed"]) -> None:
        for number in list(numbers):
            if number in self._streams:
                self._streams[number].stop(fate)
                self.forget(number)


class Stream:
    """One request and the outlet of its response. `held` are the bytes that are kept for it; `is_whole`: h2 has seen
    the end of the request."""

    def __init__(self, connection: Http2, number: int, headers: dict[str, str], is_whole: bool) -> None:
        self.held = 0
        self.is_whole = is_whole
        self._connection = connection
        self._number = number
        self._headers = headers
        self._body = bytearray()
        self._waiting = bytearray()
        self._ends = False
        self._since = connection.received
        self._blocked = 0  # since when something waits for room, 0 when nothing does
        self._telling: ResponseStream | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the client gives room, and the connection takes more."""
        return self._connection.is_clear and not self._waiting and self._room() > 0

    def look(self, now: int) -> None:
        """Waiting for a client has an end."""
        limits, telling = self._connection.limits, self._telling
        if not self.is_whole and not self._ends:
            if now - self._since > limits.body + len(self._body) * SECOND // limits.body_rate:
                self._refuse(408, "the body of the request comes too slowly")
            return
        is_blocked = bool(self._waiting) or (telling is not None and telling.waits)
        self._blocked = (self._blocked or now) if is_blocked else 0
        is_stuck = is_blocked and now - self._blocked > limits.write
        if is_stuck or (telling is not None and telling.arrears(now) > limits.arrears):
            self._connection.reset(self._number, ErrorCodes.CANCEL)

    def take_in(self, data: bytes) -> None:
        """More of the request's body."""
        if self._ends:  # it has been refused
            return
        limit = self._connection.limits.body_size
        if len(self._body) + len(data) > limit:
            self._refuse(*requests.too_long(limit))
        elif not self.hold(len(data)):
            self._refuse(*requests.BUSY)
        else:
            self._body += data

    def answer(self, received: int) -> None:
        """The request is whole."""
        if self._ends:  # it has been refused
            return
        request = Request(
            method=self._headers.get(":method", ""),
            target=self._headers.get(":path", ""),
            headers=self._headers,
            body=bytes(self._body),
            received=received,
        )
        self._drop_body()
        self._telling = self._connection.desk.take(request, self)
        self._connection.take_note(self._telling)

    def resume(self) -> None:
        """There may be room again."""
        self._push()
        if self._telling is not None and self.is_clear:
            self._blocked = 0
            self._telling.resume()

    def stop(self, fate: Literal["client-left", "failed"]) -> None:
        """No more of this."""
        if self._telling is not None:
            self._telling.stop(fate)

    def open(self, status: int, headers: Headers, data: bytes) -> None:
        """The head and the first bytes."""
        self._connection.h2.send_headers(self._number, [(":status", str(status)), *headers])
        self.send(data)

    def send(self, data: bytes) -> None:
        """More of the body, as far as there is room."""
        self._waiting += data
        self._push()

    def finish(self, data: bytes) -> None:
        """The last of the body."""
        self._ends = True
        self.send(data)

    def hold(self, size: int) -> bool:
        """Count these bytes until the stream is over."""
        if not self._connection.hold(size):
            return False
        self.held += size
        return True

    def tcp_info(self) -> dict[str, int]:
        """TCP_INFO of the connection that this stream shares."""
        return self._connection.tcp_info()

    def _refuse(self, status: int, message: str, headers: Headers = ()) -> None:
        """Say why, and take no more of the body."""
        self._drop_body()
        reply = requests.error("openai", status, message, headers)
        self.open(reply.status, reply.headers, b"")
        self.finish(reply.body)

    def _drop_body(self) -> None:
        self._connection.release(self.held)
        self.held = 0
        self._body = bytearray()

    def _room(self) -> int:
        return self._connection.h2.local_flow_control_window(self._number)

    def _push(self) -> None:
        connection, engine = self._connection, self._connection.h2
        while self._waiting and connection.is_clear:
            room = min(self._room(), engine.max_outbound_frame_size)
            if room <= 0:
                break
            piece = bytes(self._waiting[:room])
            del self._waiting[:room]
            engine.send_data(self._number, piece)
            connection.flush()
        if self._ends and not self._waiting:
            engine.end_stream(self._number)
            if not self.is_whole:
                engine.reset_stream(self._number, ErrorCodes.NO_ERROR)  # send no more of it: RFC 9113, 8.1
            connection.forget(self._number)
        connection.flush()
