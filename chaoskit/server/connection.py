"""What connections have in common, whichever version of HTTP they speak."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import Any

from chaoskit import clock
from chaoskit.records import tcp_info
from chaoskit.records.model import Unacked
from chaoskit.server.telling import Desk, Telling

_BUFFER = 64 * 1024  # bytes that may wait in this process before a connection's streams are held back
LONGEST_BODY = 16 * 1024 * 1024


class Connection(asyncio.Protocol):
    """A TCP or TLS connection. `asked` is the latest numbered stream on it, `noted` the retransmissions in a row
    that have been written down."""

    transport: asyncio.Transport
    socket: Any  # asyncio's view of the socket underneath

    def __init__(self, desk: Desk, open_ones: set[Connection]) -> None:
        self.desk = desk
        self.open_ones = open_ones
        self.asked: int | None = None
        self.noted = 0
        self._drains = True

    @property
    def is_clear(self) -> bool:
        """False while more than `_BUFFER` bytes wait for the client, or when it has left."""
        return self._drains and not self.transport.is_closing()

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
        if self.noted:
            self.note_unacked(0)

    def pause_writing(self) -> None:
        """The client does not take what it is sent."""
        self._drains = False

    def resume_writing(self) -> None:
        """It does again."""
        self._drains = True

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
            self.desk.unacked.add(Unacked(self.asked, clock.now(), self.tcp_info()))

    def take_note(self, telling: Telling | None) -> None:
        """This is asked of us."""
        if telling is not None and telling.stream is not None:
            self.asked = telling.stream

    def cut(self) -> None:
        """Close at once and leave nothing in the kernel.

        Without the linger option a socket with unacknowledged data keeps its namespace alive for minutes.
        """
        if self.socket.fileno() >= 0:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()
