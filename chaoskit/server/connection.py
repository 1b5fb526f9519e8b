"""Implements what HTTP/1.1 and HTTP/2 connections share: input, output, limits and closing.

Rules: a client's bytes are processed in slices, and other tasks run between them. Memory that a client uses is counted,
and released when the client has gone. After an error response the connection lingers, so that the response arrives: a
socket that is closed with unread bytes sends RST, and the client may lose what it has not read yet.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from typing import Any

from chaoskit import clock
from chaoskit.records import tcp_info
from chaoskit.records.model import UnackedSample
from chaoskit.server.dispatcher import Dispatcher, Response
from chaoskit.server.limits import SECOND, Limits

_BUFFER = 64 * 1024  # bytes of write buffer above which a connection's streams are blocked
_SLICE = 16 * 1024  # bytes processed at once; some tens of ms of work for the smallest frames and chunks


class Connection(asyncio.Protocol):
    """A TCP or TLS connection. `latest_stream` is the latest numbered stream on it, `recorded_retransmits` the number
    of consecutive retransmissions that was recorded last, `received` the time of its latest bytes."""

    transport: asyncio.Transport
    socket: Any  # asyncio's wrapper of the socket

    def __init__(self, dispatcher: Dispatcher, connections: set[Connection]) -> None:
        self.dispatcher = dispatcher
        self.connections = connections
        self.latest_stream: int | None = None
        self.recorded_retransmits = 0
        self.received = clock.now()
        self._drains = True
        self._blocked_since = 0
        self._reserved = 0
        self._input = bytearray()
        self._linger_timer: asyncio.TimerHandle | None = None

    @property
    def limits(self) -> Limits:
        """The server's limits."""
        return self.dispatcher.limits

    @property
    def is_writable(self) -> bool:
        """False while more than `_BUFFER` bytes wait to be sent, or when the connection is closing."""
        return self._drains and not self.transport.is_closing()

    @property
    def is_closing(self) -> bool:
        """Whether further input is ignored."""
        return self._linger_timer is not None or self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set TCP_NODELAY and a small write buffer."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.connections.add(self)
        transport.set_write_buffer_limits(high=_BUFFER)
        self.socket = transport.get_extra_info("socket")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release what the connection used."""
        self.connections.discard(self)
        if self._linger_timer is not None:
            self._linger_timer.cancel()
        self.dispatcher.memory.release(self._reserved)
        self._reserved = 0
        if self.recorded_retransmits:
            self.record_unacked_sample(0)

    def data_received(self, data: bytes) -> None:
        """Stamp the data and process a first slice; further slices follow after other tasks have run."""
        self.received = clock.now()
        if self.is_closing:
            return
        if self._input or len(data) > _SLICE:
            if not self._input:
                self.transport.pause_reading()
                asyncio.get_running_loop().call_soon(self._receive_slice)
            self._input += data
        else:
            self.receive(data)

    def receive(self, data: bytes) -> None:
        """Process more bytes of the client."""
        raise NotImplementedError

    def check_timeouts(self, now: int) -> None:
        """End what has taken too long at `now` (monotonic ns). Called several times a second."""
        if self._blocked_since and now - self._blocked_since > self.limits.write:
            self.abort()

    def pause_writing(self) -> None:
        """The write buffer is full."""
        self._drains = False
        self._blocked_since = clock.now()

    def resume_writing(self) -> None:
        """The write buffer has drained."""
        self._drains = True
        self._blocked_since = clock.now() if self.transport.is_closing() else 0

    def write(self, data: bytes) -> None:
        """Send, unless closing; abort a client that keeps sending requests without reading responses.

        Memory that has been reserved may wait to be sent.
        """
        if self.transport.is_closing():
            return
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > self.limits.unsent + self._reserved:
            self.abort()

    def reserve(self, size: int) -> bool:
        """Reserve memory of `size` bytes until `release` or until the client has gone; False when there is none."""
        if not self.dispatcher.memory.acquire(size):
            return False
        self._reserved += size
        return True

    def release(self, size: int) -> None:
        """These are kept no more."""
        size = min(size, self._reserved)
        self._reserved -= size
        self.dispatcher.memory.release(size)

    def tcp_info(self) -> dict[str, int]:
        """TCP_INFO now; its counts run from the start of the connection. Empty once it is closed."""
        return tcp_info.sample(self.socket)

    def sent_again(self) -> tuple[int, int, int]:
        """The segments that were sent again so far, the duplicates that the client reported, and how often it seemed
        that the path had changed the order."""
        return tcp_info.sent_again(self.socket)

    def retransmissions(self) -> int:
        """Consecutive retransmissions after timeouts."""
        return tcp_info.retransmits(self.socket)

    def record_unacked_sample(self, count: int) -> None:
        """Record TCP_INFO after `count` consecutive retransmissions; 0: they have ended."""
        self.recorded_retransmits = count
        if self.dispatcher.unacked is not None and self.latest_stream is not None:
            self.dispatcher.unacked.add(UnackedSample(self.latest_stream, clock.now(), self.tcp_info()))

    def set_latest_stream(self, response: Response | None) -> None:
        """Remember the stream number of a new response."""
        if response is not None and response.stream is not None:
            self.latest_stream = response.stream

    def linger(self) -> None:
        """Send what is pending, shut down writing, then discard input until the client closes or `limits.linger` is
        over.

        asyncio's TLS cannot shut down one direction: a TLS client closes on its own, or when the time is over.
        """
        if self.is_closing:
            return
        self._linger_timer = asyncio.get_running_loop().call_later(self.limits.linger / SECOND, self._linger_expired)
        self._input.clear()
        if self.transport.can_write_eof() and not self.transport.get_write_buffer_size():
            with contextlib.suppress(OSError):  # the connection was reset
                self.socket.shutdown(socket.SHUT_WR)
        self.transport.resume_reading()

    def close(self) -> None:
        """Close when pending data has been sent, or the client has stopped reading for too long."""
        if self.transport.get_write_buffer_size():
            self._blocked_since = self._blocked_since or clock.now()
        self.transport.close()

    def abort(self) -> None:
        """Reset the connection and leave nothing in the kernel.

        Without SO_LINGER a socket with unacknowledged data keeps its network namespace alive for minutes.
        """
        if self.socket.fileno() >= 0:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _linger_expired(self) -> None:
        if self.transport.get_write_buffer_size() or not self.transport.can_write_eof():
            self.close()
        else:
            self.abort()

    def _receive_slice(self) -> None:
        if self.is_closing:
            self._input.clear()
            return
        piece = bytes(self._input[:_SLICE])
        del self._input[:_SLICE]
        self.receive(piece)
        if self._input:
            asyncio.get_running_loop().call_soon(self._receive_slice)
        else:
            self.transport.resume_reading()
