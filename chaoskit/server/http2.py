"""HTTP/2: h2 keeps the protocol's state; a stream here is the outlet of one response.

What a stream's flow-control window does not take waits in the stream, one event at the most: a stream without
room is not clear, so nothing more is told to it, while the connection's other streams go on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal

from h2.config import H2Configuration
from h2.connection import H2Connection
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
from chaoskit.server import asks
from chaoskit.server.asks import Headers, Request
from chaoskit.server.connection import LONGEST_BODY, Connection
from chaoskit.server.telling import Desk, Telling

_STREAMS = 1000  # that one client may have open at a time


class Http2(Connection):
    """A connection that speaks HTTP/2."""

    def __init__(self, desk: Desk, open_ones: set[Connection]) -> None:
        super().__init__(desk, open_ones)
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="latin-1"))
        self._streams: dict[int, Stream] = {}
        self._received = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what we allow."""
        super().connection_made(transport)
        self.h2.initiate_connection()
        self.h2.update_settings({SettingCodes.MAX_CONCURRENT_STREAMS: _STREAMS})
        self.flush()

    def data_received(self, data: bytes) -> None:
        """Stamp, then do what the frames say."""
        self._received = clock.now()
        try:
            events = self.h2.receive_data(data)
        except ProtocolError:  # h2 has prepared a GOAWAY that says which
            self._end()
            return
        if any(isinstance(event, ConnectionTerminated) for event in events):
            self._end()
            return
        gone = {event.stream_id for event in events if isinstance(event, StreamReset)}
        self._stop(gone, "client-left")  # first: h2 refuses to send on them already
        for event in events:
            self._handle(event, gone)
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whatever was being told ends here."""
        super().connection_lost(exc)
        self._stop(self._streams, "client-left")

    def resume_writing(self) -> None:
        """Go on with all streams."""
        super().resume_writing()
        self._go_on(self._streams)

    def cut(self) -> None:
        """As every connection; what was being told has failed."""
        self._stop(self._streams, "failed")
        super().cut()

    def flush(self) -> None:
        """Hand on what h2 has prepared."""
        data = self.h2.data_to_send()
        if data and not self.transport.is_closing():
            self.transport.write(data)

    def forget(self, number: int) -> None:
        """This stream has nothing more to say."""
        self._streams.pop(number, None)

    def _handle(self, event: Event, gone: set[int]) -> None:
        match event:
            case RequestReceived() if event.stream_id not in gone:
                headers = {str(name): str(value) for name, value in event.headers}
                self._streams[event.stream_id] = Stream(self, event.stream_id, headers)
            case DataReceived():
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                if event.stream_id in self._streams:
                    self._streams[event.stream_id].take_in(event.data)
            case StreamEnded():
                if event.stream_id in self._streams:
                    self._streams[event.stream_id].answer(self._received)
            case WindowUpdated(stream_id=number) if number:
                self._go_on([number])
            case WindowUpdated() | RemoteSettingsChanged():
                self._go_on(self._streams)
            case _:
                pass

    def _go_on(self, numbers: Iterable[int]) -> None:
        for stream in [self._streams[number] for number in numbers if number in self._streams]:
            stream.resume()

    def _end(self) -> None:
        self._stop(self._streams, "client-left")
        self.flush()
        self.transport.close()

    def _stop(self, numbers: Iterable[int], fate: Literal["client-left", "failed"]) -> None:
        for number in list(numbers):
            if number in self._streams:
                self._streams.pop(number).stop(fate)


class Stream:
    """One request and the outlet of its response."""

    def __init__(self, connection: Http2, number: int, headers: dict[str, str]) -> None:
        self._connection = connection
        self._number = number
        self._headers = headers
        self._body = bytearray()
        self._waiting = bytearray()
        self._ends = False
        self._telling: Telling | None = None

    @property
    def is_clear(self) -> bool:
        """Whether the client gives room, and the connection takes more."""
        return self._connection.is_clear and not self._waiting and self._room() > 0

    def take_in(self, data: bytes) -> None:
        """More of the request's body."""
        self._body += data
        if len(self._body) > LONGEST_BODY:
            reply = asks.error("openai", 413, f"a body of more than {LONGEST_BODY} bytes")
            self.open(reply.status, reply.headers, reply.body)
            self.finish(b"")

    def answer(self, received: int) -> None:
        """The request is whole."""
        request = Request(
            method=self._headers.get(":method", ""),
            target=self._headers.get(":path", ""),
            headers=self._headers,
            body=bytes(self._body),
            received=received,
        )
        self._telling = self._connection.desk.take(request, self)
        self._connection.take_note(self._telling)

    def resume(self) -> None:
        """There may be room again."""
        self._push()
        if self._telling is not None and self.is_clear:
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

    def tcp_info(self) -> dict[str, int]:
        """TCP_INFO of the connection that this stream shares."""
        return self._connection.tcp_info()

    def _room(self) -> int:
        return self._connection.h2.local_flow_control_window(self._number)

    def _push(self) -> None:
        engine = self._connection.h2
        while self._waiting and (room := min(self._room(), engine.max_outbound_frame_size)) > 0:
            piece = bytes(self._waiting[:room])
            del self._waiting[:room]
            engine.send_data(self._number, piece)
        if self._ends and not self._waiting:
            engine.end_stream(self._number)
            self._connection.forget(self._number)
        self._connection.flush()
