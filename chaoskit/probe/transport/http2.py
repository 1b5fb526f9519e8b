"""Speaks HTTP/2 on one connection, with many requests at once; h2 keeps the protocol's state.

Rules: DATA of a response without a length does not pass through h2, which is slow; its flow control is done here. A
GOAWAY ends no stream that the server still answers, and the others are sent again elsewhere. As many streams are open
as the server allows at the moment, without a word of it any number (RFC 9113, 6.5.2), before its SETTINGS 100; further
requests wait their turn and their observers are told so.
"""

from __future__ import annotations

import asyncio
from collections import deque

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.probe.transport import frames
from chaoskit.probe.transport.connection import Connection
from chaoskit.probe.transport.exchange import Exchange, NetworkError, Outgoing, StaleError, UnprocessedError
from chaoskit.probe.transport.frames import Frame, FrameSplitter
from chaoskit.probe.transport.stamps import ReadStamp
from chaoskit.units import Size

_WINDOW = 1 << 24  # bytes that may be under way for a stream, and for the connection
_WINDOW_STEP = 1 << 20  # bytes of one WINDOW_UPDATE
_WINDOW_UPDATE = bytes((0, 0, 4, frames.WINDOW_UPDATE, 0))
_DISCARDED_PER_STREAM = _WINDOW + 65_535
_MAX_HEADER_LIST = 65_536  # bytes of decoded headers
_STREAMS_BEFORE_SETTINGS = 100  # as nghttp2 and Go assume
_HOP_HEADERS = (b"host", b"transfer-encoding", b"connection")


class Http2:
    """HTTP/2 on one connection. `is_draining`: the server has said that it takes no further request on it."""

    def __init__(self, connection: Connection, headers: Size) -> None:
        """`headers` bounds one header block."""
        self.connection = connection
        self.was_used = False
        self.is_draining = False
        self._goaway: int | None = None
        self._last: int | None = None  # GOAWAY's last stream
        self._exchanges: dict[int, Exchange] = {}
        self._bodies: dict[int, memoryview] = {}  # what is still to be sent, of open streams
        self._whole: set[int] = set()  # streams whose DATA passes through h2, because it has a length
        self._limit = _STREAMS_BEFORE_SETTINGS
        self._open = 0  # exchanges, and slots that a waiting request was given
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._latest = 0  # the newest stream
        self._unacknowledged = 0  # bytes
        self._discardable = 0  # bytes for streams that have ended
        self._splitter = FrameSplitter(headers)
        self._state = _new_state()  # its preface leaves with the first request
        connection.attach(self)

    @property
    def is_reusable(self) -> bool:
        """Whether another request can be sent, now or when its turn comes."""
        return not self.is_draining and not self.connection.has_ended

    @property
    def is_idle(self) -> bool:
        """Whether no response is awaited."""
        return not self._open

    async def send(self, exchange: Exchange, request: Outgoing) -> None:
        """Send a request when it is its turn. Raises UnprocessedError when the connection takes no more."""
        if self.was_used:
            self.connection.poll()
        await self._turn(exchange)
        if not self.is_reusable:
            self._leave()
            if self._goaway is not None:
                raise UnprocessedError("one connection after another ended by GOAWAY before it took this request")
            raise StaleError if self.connection.has_ended and self.was_used else UnprocessedError
        self.was_used = True
        try:
            number = self._state.get_next_available_stream_id()
        except h2.exceptions.NoAvailableStreamIDError:
            self.is_draining = True
            self._leave()
            raise UnprocessedError from None
        self._latest = exchange.number = number
        self._exchanges[number] = exchange
        exchange.sending()
        self._state.send_headers(number, _headers(request), end_stream=not request.body)
        self._bodies[number] = memoryview(request.body)
        self._send_body(number)
        self._flush()

    def cancel(self, exchange: Exchange) -> None:
        """Nobody reads the rest of this response."""
        number = exchange.number
        if self._exchanges.get(number) is not exchange:
            return
        self._forget(number)
        self._discardable += _DISCARDED_PER_STREAM
        if not self.connection.has_ended:
            self._state.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
            self._flush()

    def close(self) -> None:
        """Close the connection. Requests that wait for their turn are sent elsewhere."""
        self.connection.close()
        self.is_draining = True
        self._admit()

    def receive(self, data: bytes, stamp: ReadStamp) -> None:
        """See `Receiver`."""
        found, error = self._splitter.feed(data)
        try:
            self._take(found, stamp)
        except (h2.exceptions.DenialOfServiceError, h2.exceptions.FrameTooLargeError):
            error = TooLargeError(f"headers of more than {_MAX_HEADER_LIST} bytes")
        except (MalformedError, TooLargeError) as wrong:
            error = wrong
        except Exception as problem:  # noqa: BLE001  what h2 and hpack raise for invalid bytes has no common type
            error = MalformedError(f"invalid HTTP/2: {_reason(problem)}")
            error.__cause__ = problem
        if error is not None:
            self._fail(error)
        elif not self.connection.has_ended:
            self._acknowledge()
            self._flush()
            if self.connection.has_too_much_unsent:
                self._fail(TooLargeError("the server asks for answers that it does not read"))

    def connection_ended(self, error: Exception | None) -> None:
        """See `Receiver`."""
        self.is_draining = True
        for number, exchange in list(self._exchanges.items()):
            self._forget(number)
            exchange.connection_ended(error)
        self._admit()

    def _fail(self, error: Exception) -> None:
        """The connection cannot be used any more."""
        self.is_draining = True
        for number, exchange in list(self._exchanges.items()):
            self._forget(number)
            exchange.end(error)
        self.close()

    async def _turn(self, exchange: Exchange) -> None:
        """Take one of the streams that the server allows, when one is free."""
        if not self._waiting and self._open < self._limit:
            self._open += 1
            return
        exchange.observer.queued(self._limit)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        """A stream is free again."""
        self._open -= 1
        self._admit()

    def _admit(self) -> None:
        """Let those begin whose turn it is; all, when they have to go elsewhere."""
        while self._waiting and (self._open < self._limit or self.is_draining):
            turn = self._waiting.popleft()
            if not turn.done():
                self._open += 1
                turn.set_result(None)

    def _forget(self, number: int) -> None:
        del self._exchanges[number]
        self._bodies.pop(number, None)
        self._whole.discard(number)
        self._leave()

    def _take(self, found: list[Frame], stamp: ReadStamp) -> None:
        for frame in found:
            if frame.kind == frames.DATA:
                self._take_data(frame, stamp)
            elif frame.kind == frames.GOAWAY:
                self._take_goaway(frame)
            elif frame.kind not in (frames.PRIORITY,) and frame.kind <= frames.CONTINUATION:
                exchange = self._exchanges.get(frame.stream)
                if exchange is not None:
                    exchange.has_bytes = True
                self._handle(frame.raw, stamp)

    def _take_data(self, frame: Frame, stamp: ReadStamp) -> None:
        exchange = self._exchanges.get(frame.stream)
        if frame.stream in self._whole:
            self._handle(frame.raw, stamp)
            return
        self._unacknowledged += frame.length
        if exchange is None:
            self._discard(frame)
            return
        if exchange.head_stamp is None:
            raise MalformedError("invalid HTTP/2: DATA before the head of a response")
        exchange.unacknowledged += frame.length
        if frame.data:
            exchange.data(frame.data, stamp)
        if frame.flags & frames.END_STREAM:
            self._handle(bytes((0, 0, 0, frames.DATA, frames.END_STREAM)) + frame.raw[5:9], stamp)
        elif exchange.unacknowledged > _WINDOW_STEP and not exchange.is_over:
            self._update_window(frame.stream, exchange.unacknowledged)
            exchange.unacknowledged = 0

    def _discard(self, frame: Frame) -> None:
        if not 0 < frame.stream <= self._latest or not frame.stream % 2:
            raise MalformedError("invalid HTTP/2: DATA for a stream that was never opened")
        if self._last is not None and frame.stream > self._last:
            raise MalformedError("invalid HTTP/2: DATA for a stream above the last one of the server's own GOAWAY")
        self._discardable -= frame.length
        if self._discardable < 0:
            raise TooLargeError("more data for streams that have ended than was allowed")

    def _take_goaway(self, frame: Frame) -> None:
        self._last = last = int.from_bytes(frame.raw[9:13]) & 0x7FFF_FFFF
        self._goaway = int.from_bytes(frame.raw[13:17])
        self.is_draining = True
        for number, exchange in list(self._exchanges.items()):
            exchange.goaway = self._goaway
            if number > last:
                self._forget(number)
                exchange.end(UnprocessedError())
        self._admit()

    def _handle(self, raw: bytes, stamp: ReadStamp) -> None:
        """Give bytes to h2, and do what it says."""
        for event in self._state.receive_data(raw):
            match event:
                case h2.events.ResponseReceived(stream_id=int(number), headers=list(headers)):
                    self._begin(number, headers, stamp)
                case h2.events.DataReceived(stream_id=int(number), data=bytes(data), flow_controlled_length=int(size)):
                    self._state.acknowledge_received_data(size, number)
                    if (exchange := self._exchanges.get(number)) is not None:
                        exchange.data(data, stamp)
                case h2.events.StreamEnded(stream_id=int(number)):
                    self._end(number)
                case h2.events.StreamReset(stream_id=int(number), error_code=code):
                    self._reset(number, int(code or 0))
                case h2.events.RemoteSettingsChanged():
                    self._limit = self._state.remote_settings.max_concurrent_streams
                    self._admit()
                    self._send_bodies()
                case h2.events.WindowUpdated():
                    self._send_bodies()

    def _begin(self, number: int, headers: list[tuple[bytes, bytes]], stamp: ReadStamp) -> None:
        exchange = self._exchanges.get(number)
        if exchange is None:
            return
        found = dict(headers)
        if b"content-length" in found:
            self._whole.add(number)
        status = found.get(b":status", b"")
        if not status.isdigit():
            raise MalformedError("invalid HTTP/2: a response without a numeric status")
        exchange.begin(int(status), "HTTP/2", [one for one in headers if not one[0].startswith(b":")], stamp)

    def _end(self, number: int) -> None:
        exchange = self._exchanges.get(number)
        if exchange is None:
            return
        is_uploading = bool(self._bodies.get(number))
        self._forget(number)
        exchange.end()
        if is_uploading:  # the server does not want the rest
            self._state.reset_stream(number, h2.errors.ErrorCodes.CANCEL)

    def _reset(self, number: int, code: int) -> None:
        exchange = self._exchanges.get(number)
        if exchange is None:
            return
        is_refused = code == h2.errors.ErrorCodes.REFUSED_STREAM and len(self._exchanges) > self._limit
        self._forget(number)
        exchange.reset = code
        exchange.end(UnprocessedError() if is_refused else NetworkError())

    def _send_bodies(self) -> None:
        for number in list(self._bodies):
            self._send_body(number)

    def _send_body(self, number: int) -> None:
        """Send as much of a request's body as the server's windows allow."""
        body = self._bodies[number]
        while body:
            size = min(self._state.local_flow_control_window(number), self._state.max_outbound_frame_size, len(body))
            if size <= 0:
                break
            self._state.send_data(number, bytes(body[:size]), end_stream=size == len(body))
            body = body[size:]
        self._bodies[number] = body
        if not body:
            del self._bodies[number]
            self.connection.write(self._state.data_to_send(), self._exchanges[number].observer.uploaded)

    def _acknowledge(self) -> None:
        if self._unacknowledged > _WINDOW_STEP:
            self._update_window(0, self._unacknowledged)
            self._unacknowledged = 0

    def _update_window(self, stream: int, size: int) -> None:
        self.connection.write(_WINDOW_UPDATE + stream.to_bytes(4) + size.to_bytes(4))

    def _flush(self) -> None:
        if data := self._state.data_to_send():
            self.connection.write(data)


def _new_state() -> h2.connection.H2Connection:
    """A client that accepts no pushes, with its preface ready to be sent."""
    codes = h2.settings.SettingCodes
    state = h2.connection.H2Connection(h2.config.H2Configuration(validate_inbound_headers=False))
    state.local_settings = h2.settings.Settings(
        client=True,
        initial_values={
            codes.ENABLE_PUSH: 0,
            codes.INITIAL_WINDOW_SIZE: _WINDOW,
            codes.MAX_HEADER_LIST_SIZE: _MAX_HEADER_LIST,
        },
    )
    del state.local_settings[codes.ENABLE_CONNECT_PROTOCOL]
    state.initiate_connection()
    state.increment_flow_control_window(_WINDOW)
    return state


def _headers(request: Outgoing) -> list[tuple[bytes, bytes]]:
    authority = next((value for name, value in request.headers if name.lower() == b"host"), request.host)
    return [
        (b":method", request.method),
        (b":authority", authority),
        (b":scheme", request.scheme),
        (b":path", request.path),
        *((name.lower(), value) for name, value in request.headers if name.lower() not in _HOP_HEADERS),
    ]


def _reason(problem: Exception) -> str:
    """What h2 says about the bytes, without what it quotes of them."""
    return type(problem).__name__
