"""Carries many TCP connections over one byte channel, such as a guest's console.

| frame    | payload           | what it says                                                       |
|----------|-------------------|--------------------------------------------------------------------|
| `OPEN`   | number of a port  | somebody has connected to this port                                |
| `DATA`   | bytes             | of the connection                                                  |
| `END`    |                   | no more bytes come in this direction                               |
| `RESET`  |                   | the connection was reset, or could not be made                     |
| `CREDIT` | number of bytes   | so many were passed on, and as many more may be sent               |
| `READ`   | number of bytes   | so many of the channel were read, from a terminal                  |

Rules: a header is the connection's number, the kind and the length of the payload. Only one side opens connections. At
most `WINDOW` bytes of a direction are under way, so that a slow reader slows its own sender, and nobody else. To a
terminal at most half of what it buffers is under way: a console of User-Mode Linux that was throttled stays so.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

OPEN, DATA, END, RESET, CREDIT, READ = range(6)
WINDOW = 1 << 18  # bytes
_CHUNK = 1 << 14  # bytes of a frame at most
TERMINAL = 2048  # bytes; a terminal buffers 4095 (drivers/tty/n_tty.c)
_HEADER, _NUMBER = struct.Struct("!IBH"), struct.Struct("!I")
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[int], Awaitable[Ends]]


@dataclass
class _Connection:
    """One connection: what has arrived of it over the channel, and how many bytes may be sent."""

    number: int
    inbox: asyncio.Queue[tuple[int, bytes]] = field(default_factory=asyncio.Queue)
    allowed: int = WINDOW
    grown: asyncio.Event = field(default_factory=asyncio.Event)


class Channel:
    """One end of a channel. `connect` makes the connections that the other end opens; None: it opens none.

    `has_terminal`: this end is a terminal's. With `limit` the other one is, and so many bytes to it may be under way.
    """

    def __init__(
        self, ends: Ends, connect: Connect | None = None, *, has_terminal: bool = False, limit: int | None = None
    ) -> None:
        self._reader, self._writer = ends
        self._connect = connect
        self._has_terminal, self._limit = has_terminal, limit
        self._under_way, self._was_read, self._sending = 0, asyncio.Event(), asyncio.Lock()
        self._chunk = _CHUNK if limit is None else limit - _HEADER.size
        self._connections: dict[int, _Connection] = {}
        self._count = 0
        self._accepted: set[asyncio.Task[None]] = set()

    @classmethod
    async def over_terminal(cls, terminal: int, connect: Connect) -> Channel:
        """The end that is a descriptor of a raw terminal."""
        loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
        pipes = os.fdopen(terminal, "rb", buffering=0), os.fdopen(os.dup(terminal), "wb", buffering=0)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipes[0])
        transport, protocol = await loop.connect_write_pipe(
            lambda: asyncio.streams.FlowControlMixin(loop=loop), pipes[1]
        )
        return cls((reader, asyncio.StreamWriter(transport, protocol, None, loop)), connect, has_terminal=True)

    async def serve(self) -> None:
        """Pass on what arrives, until the channel ends; then all connections are reset."""
        try:
            with suppress(OSError, asyncio.IncompleteReadError):
                while True:
                    number, kind, length = _HEADER.unpack(await self._reader.readexactly(_HEADER.size))
                    payload = await self._reader.readexactly(length)
                    if self._has_terminal:
                        await self._send(0, READ, _NUMBER.pack(_HEADER.size + length))
                    self._take(number, kind, payload)
        finally:
            for connection in self._connections.values():
                connection.inbox.put_nowait((RESET, b""))
            self._writer.close()

    async def open(self, port: int, ends: Ends) -> None:
        """Carry a caller's connection to this port, to its end."""
        self._count += 1
        connection = self._begun(self._count)
        await self._send(connection.number, OPEN, _NUMBER.pack(port))
        await self._carry(connection, ends)

    def _take(self, number: int, kind: int, payload: bytes) -> None:
        if kind == OPEN:
            task = asyncio.create_task(self._accept(self._begun(number), *_NUMBER.unpack(payload)))
            self._accepted.add(task)
            task.add_done_callback(self._accepted.discard)
        elif kind == READ:
            self._under_way -= _NUMBER.unpack(payload)[0]
            self._was_read.set()
        elif (connection := self._connections.get(number)) is None:
            return  # it was reset here, and the other end did not know yet
        elif kind == CREDIT:
            connection.allowed += _NUMBER.unpack(payload)[0]
            connection.grown.set()
        else:
            connection.inbox.put_nowait((kind, payload))

    async def _accept(self, connection: _Connection, port: int) -> None:
        assert self._connect is not None, "only one side opens connections"
        try:
            ends = await self._connect(port)
        except OSError:  # as it is inside: nobody listens, or no answer comes
            del self._connections[connection.number]
            await self._send(connection.number, RESET)
            return
        await self._carry(connection, ends)

    async def _carry(self, connection: _Connection, ends: Ends) -> None:
        reader, writer = ends
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._outwards(connection, reader))
                both.create_task(self._inwards(connection, writer))
        except* OSError:
            reset(writer)
            await self._send(connection.number, RESET)
        finally:
            del self._connections[connection.number]
            writer.close()

    async def _outwards(self, connection: _Connection, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(self._chunk):
            while data:
                while not connection.allowed:
                    connection.grown.clear()
                    await connection.grown.wait()
                part, data = data[: connection.allowed], data[connection.allowed :]
                connection.allowed -= len(part)
                await self._send(connection.number, DATA, part)
        await self._send(connection.number, END)

    async def _inwards(self, connection: _Connection, writer: asyncio.StreamWriter) -> None:
        while True:
            kind, data = await connection.inbox.get()
            if kind == RESET:
                raise ConnectionResetError
            if kind == END:
                with suppress(OSError):
                    writer.write_eof()
                return
            writer.write(data)
            await writer.drain()
            await self._send(connection.number, CREDIT, _NUMBER.pack(len(data)))

    def _begun(self, number: int) -> _Connection:
        self._connections[number] = connection = _Connection(number)
        return connection

    async def _send(self, number: int, kind: int, payload: bytes = b"") -> None:
        frame = _HEADER.pack(number, kind, len(payload)) + payload
        async with self._sending:
            while self._limit is not None and self._under_way + len(frame) > self._limit:
                self._was_read.clear()
                await self._was_read.wait()
            self._under_way += len(frame)
            self._writer.write(frame)
            with suppress(OSError):  # the channel has ended, and `serve` resets all
                await self._writer.drain()


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection by a reset: socket(7), SO_LINGER with no time."""
    found = writer.get_extra_info("socket")
    with suppress(OSError):
        found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
