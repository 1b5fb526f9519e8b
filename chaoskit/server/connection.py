"""What connections have in common, whichever version of HTTP they speak.

Rules: a client's bytes are taken in slices, with the others' turn between them. What is held for a client is
counted, and given back when it is gone. A connection that is refused something is ended so that the refusal
arrives: a socket that is closed with bytes unread sends a reset, and the client may lose what it had not yet read.
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
from chaoskit.server.limits import SECOND, Limits
from chaoskit.server.streaming import ResponseScheduler, ResponseStream

_BUFFER = 64 * 1024  # bytes that may wait in this process before a connection's streams are held back
_SLICE = 16 * 1024  # bytes taken in at once; of the smallest frames and chunks, some tens of milliseconds of work


class Connection(asyncio.Protocol):
    """A TCP or TLS connection. `asked` is the latest numbered stream on it, `noted` the retransmissions in a row
    that have been written down, `received` when its latest bytes came."""

    transport: asyncio.Transport
    socket: Any  # asyncio's view of the socket underneath

    def __init__(self, desk: ResponseScheduler, open_ones: set[Connection]) -> None:
        self.desk = desk
        self.open_ones = open_ones
        self.asked: int | None = None
        self.noted = 0
        self.received = clock.now()
        self._drains = True
        self._stuck = 0
        self._held = 0
        self._inbox = bytearray()
        self._leaving: asyncio.TimerHandle | None = None

    @property
    def limits(self) -> Limits:
        """The server's."""
        return self.desk.limits

    @property
    def is_clear(self) -> bool:
        """False while more than `_BUFFER` bytes wait for the client, or when it has left."""
        return self._drains and not self.transport.is_closing()

    @property
    def is_leaving(self) -> bool:
        """Whether nothing that still comes is looked at."""
        return self._leaving is not None or self.transport.is_closing()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send without delay, and keep little."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.open_ones.add(self)
        transport.set_write_buffer_limits(high=_BUFFER)
        self.socket = transport.get_extra_info("socket")
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client left, or we did."""
        self.open_ones.discard(self)
        if self._leaving is not None:
            self._leaving.cancel()
        self.desk.memory.give(self._held)
        self._held = 0
        if self.noted:
            self.note_unacked(0)

    def data_received(self, data: bytes) -> None:
        """Stamp, then take in the first of it, and the rest when the others had their turn."""
        self.received = clock.now()
        if self.is_leaving:
            return
        if self._inbox or len(data) > _SLICE:
            if not self._inbox:
                self.transport.pause_reading()
                asyncio.get_running_loop().call_soon(self._take_slice)
            self._inbox += data
        else:
            self.take_in(data)

    def take_in(self, data: bytes) -> None:
        """Some more of what the client says."""
        raise NotImplementedError

    def look(self, now: int) -> None:
        """Some quarters of a second have passed: end what has taken too long at `now` (monotonic ns)."""
        if self._stuck and now - self._stuck > self.limits.write:
            self.cut()

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        self._drains = False
        self._stuck = clock.now()

    def resume_writing(self) -> None:
        """It does again."""
        self._drains = True
        self._stuck = clock.now() if self.transport.is_closing() else 0

    def write(self, data: bytes) -> None:
        """Send, as long as that can be; a client that makes us answer and does not read is cut off."""
        if self.transport.is_closing():
            return
        self.transport.write(data)
        if self.transport.get_write_buffer_size() > self.limits.unsent:
            self.cut()

    def hold(self, size: int) -> bool:
        """Whether `size` bytes more may be kept for this client; until `release`, or until it is gone."""
        if not self.desk.memory.take(size):
            return False
        self._held += size
        return True

    def release(self, size: int) -> None:
        """These are kept no more."""
        size = min(size, self._held)
        self._held -= size
        self.desk.memory.give(size)

    def tcp_info(self) -> dict[str, int]:
        """TCP_INFO now; its counts run from the start of the connection. Empty once it is closed."""
        return tcp_info.sample(self.socket)

    def retransmissions(self) -> int:
        """How often in a row the oldest unacknowledged byte has been sent again, since a timer said so."""
        return tcp_info.retransmits(self.socket)

    def note_unacked(self, count: int) -> None:
        """Write down TCP_INFO while so many retransmissions in a row were in vain; with 0, what became of it."""
        self.noted = count
        if self.desk.unacked is not None and self.asked is not None:
            self.desk.unacked.add(UnackedSample(self.asked, clock.now(), self.tcp_info()))

    def take_note(self, telling: ResponseStream | None) -> None:
        """This is asked of us."""
        if telling is not None and telling.stream is not None:
            self.asked = telling.stream

    def leave(self) -> None:
        """Send what waits and say that it is all; read and drop what comes until the client closes, or for long
        enough. TLS knows no end of one direction here: its client closes on its own, or when that time is over."""
        if self.is_leaving:
            return
        self._leaving = asyncio.get_running_loop().call_later(self.limits.linger / SECOND, self._lingered)
        self._inbox.clear()
        if self.transport.can_write_eof() and not self.transport.get_write_buffer_size():
            with contextlib.suppress(OSError):  # it has been reset
                self.socket.shutdown(socket.SHUT_WR)
        self.transport.resume_reading()

    def close(self) -> None:
        """Close when what waits has been sent, or the client has stopped reading for too long."""
        if self.transport.get_write_buffer_size():
            self._stuck = self._stuck or clock.now()
        self.transport.close()

    def cut(self) -> None:
        """Close at once and leave nothing in the kernel.

        Without the linger option a socket with unacknowledged data keeps its namespace alive for minutes.
        """
        if self.socket.fileno() >= 0:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _lingered(self) -> None:
        if self.transport.get_write_buffer_size() or not self.transport.can_write_eof():
            self.close()
        else:
            self.cut()

    def _take_slice(self) -> None:
        if self.is_leaving:
            self._inbox.clear()
            return
        piece = bytes(self._inbox[:_SLICE])
        del self._inbox[:_SLICE]
        self.take_in(piece)
        if self._inbox:
            asyncio.get_running_loop().call_soon(self._take_slice)
        else:
            self.transport.resume_reading()
