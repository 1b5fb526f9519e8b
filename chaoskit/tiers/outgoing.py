"""Calls other hosts by HTTP/1.1: h11 over sockets with ports in order; idle ones are kept.

The kernel's choice of ports depends on all random numbers that were drawn before; ports in order keep a run repeatable.
A connection that the other side has closed while it was idle is found out by use, and the request is sent again once on
a new one if no byte of a response has come.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle

import h11

from chaoskit.tiers.failures import CallError

_PORTS = range(20_000, 60_000)
_TRIES = 100  # ports that may be in use
_KEPT = 100  # idle connections to one address
_MOST = 64 << 20  # bytes of an answer without streaming
_READ = 256 * 1024  # bytes that may wait to be read by the gateway before the connection is not read
Address = tuple[str, int]


@dataclass(frozen=True)
class OutgoingRequest:
    """A request: the path and host that it names, its header fields, its body, its method."""

    host: str
    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"

    @property
    def head(self) -> h11.Request:
        """Its head, for h11."""
        own = [("host", self.host), ("content-type", "application/json"), ("content-length", str(len(self.body)))]
        return h11.Request(method=self.method, target=self.path, headers=[*own, *self.headers])


class Exchange:
    """A request that has been sent, and the response to it as it comes."""

    def __init__(self, connection: _Connection, is_reused: bool) -> None:
        self.status = 0
        self.fields: dict[str, str] = {}
        self.is_reused = is_reused
        self._connection = connection
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._changed = asyncio.Event()
        self._has_head = self._has_ended = False
        self._failure: CallError | None = None

    async def head(self) -> int:
        """The status, when it has come. Raises CallError."""
        while not self._has_head:
            await self._wait()
        return self.status

    async def chunk(self) -> bytes:
        """The next bytes of the body; empty at its end. Raises CallError after the last ones that came."""
        while not self._chunks:
            if self._has_ended:
                return b""
            await self._wait()
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._size = 0
        self._connection.resume()
        return data

    async def body(self) -> bytes:
        """All of it. Raises CallError."""
        parts, size = [], 0
        while part := await self.chunk():
            parts.append(part)
            size += len(part)
            if size > _MOST:
                raise CallError("too-large", f"an answer of more than {_MOST >> 20} MiB")
        return b"".join(parts)

    def close(self) -> None:
        """Give it up: its connection is closed, unless the response is complete."""
        if not self._has_ended:
            self._connection.abort()

    @property
    def is_untouched(self) -> bool:
        """Whether nothing of a response has come."""
        return not self._has_head

    def began(self, status: int, fields: dict[str, str]) -> None:
        """The head has come, with these header fields."""
        self.status, self.fields, self._has_head = status, fields, True
        self._changed.set()

    def received(self, data: bytes) -> bool:
        """More of the body has come; False when much waits to be taken."""
        self._chunks.append(data)
        self._size += len(data)
        self._changed.set()
        return self._size < _READ

    def ended(self) -> None:
        """The body is complete."""
        self._has_ended = True
        self._changed.set()

    def failed(self, error: CallError) -> None:
        """No more will come."""
        self._failure = self._failure or error
        self._changed.set()

    async def _wait(self) -> None:
        if self._failure is not None:
            raise self._failure
        self._changed.clear()
        await self._changed.wait()


class _Connection(asyncio.Protocol):
    """One connection, with at most one exchange at a time."""

    transport: asyncio.Transport

    def __init__(self, pool: Pool, address: Address) -> None:
        self.address = address
        self.is_open = True
        self._pool = pool
        self._h11 = h11.Connection(h11.CLIENT)
        self._exchange: Exchange | None = None
        self._uses = 0

    def begin(self, request: OutgoingRequest) -> Exchange:
        """Send a request."""
        self._exchange = Exchange(self, self._uses > 0)
        self._uses += 1
        parts = (self._h11.send(each) for each in (request.head, h11.Data(data=request.body), h11.EndOfMessage()))
        self.transport.write(b"".join(part for part in parts if part))
        return self._exchange

    def resume(self) -> None:
        """Read on."""
        if self.is_open:
            self.transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send small writes at once."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Pass on what has come."""
        self._h11.receive_data(data)
        self._read()

    def eof_received(self) -> bool:
        """The other side has ended: a body without a length is complete, any other is not."""
        if self._exchange is not None:
            self._h11.receive_data(b"")
            self._read()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the exchange."""
        self.is_open = False
        self._pool.forget(self)
        self._fail(CallError("reset", "the connection was reset") if exc else CallError("closed", "it was closed"))

    def abort(self) -> None:
        """Reset it, so that nothing of it stays in the kernel."""
        if not self.is_open:
            return
        self.is_open = False
        self._pool.forget(self)
        sock = self.transport.get_extra_info("socket")
        if sock.fileno() >= 0:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def _read(self) -> None:
        exchange = self._exchange
        while exchange is not None:
            try:
                event = self._h11.next_event()
            except h11.RemoteProtocolError as problem:
                is_short = self._h11.trailing_data[1]
                self._fail(CallError("closed" if is_short else "protocol", str(problem)))
                self.abort()
                return
            match event:
                case h11.Response(status_code=status, headers=fields):
                    exchange.began(status, {name.decode(): value.decode("latin-1") for name, value in fields})
                case h11.Data(data=data):
                    if not exchange.received(bytes(data)):
                        self.transport.pause_reading()
                case h11.EndOfMessage():
                    self._exchange = None
                    exchange.ended()
                    self._keep()
                    return
                case h11.NEED_DATA | h11.PAUSED:
                    return
                case h11.ConnectionClosed():
                    self._fail(CallError("closed", "it was closed"))
                    return

    def _keep(self) -> None:
        if self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE:
            self._h11.start_next_cycle()
            self.transport.resume_reading()
            self._pool.keep(self)
        else:
            self.abort()

    def _fail(self, error: CallError) -> None:
        if self._exchange is not None:
            self._exchange.failed(error)
            self._exchange = None


class Pool:
    """Opens connections, and keeps those that are idle."""

    def __init__(self) -> None:
        self._ports: Iterator[int] = cycle(_PORTS)
        self._open: dict[_Connection, None] = {}
        self._idle: dict[Address, list[_Connection]] = {}

    async def send(self, address: Address, request: OutgoingRequest) -> Exchange:
        """Send it on an idle connection, or a new one. Raises CallError, and waits as long as connect(2) does."""
        idle = self._idle.get(address)
        connection = idle.pop() if idle else await self._connect(address)
        return connection.begin(request)

    async def send_anew(self, address: Address, request: OutgoingRequest) -> Exchange:
        """Send it on a new connection."""
        return (await self._connect(address)).begin(request)

    def keep(self, connection: _Connection) -> None:
        """It is idle."""
        idle = self._idle.setdefault(connection.address, [])
        if len(idle) >= _KEPT:
            connection.abort()
        else:
            idle.append(connection)

    def forget(self, connection: _Connection) -> None:
        """It is closed."""
        self._open.pop(connection, None)
        idle = self._idle.get(connection.address, [])
        if connection in idle:
            idle.remove(connection)

    def close(self) -> None:
        """Reset all."""
        for connection in list(self._open):
            connection.abort()

    async def _connect(self, address: Address) -> _Connection:
        loop = asyncio.get_running_loop()
        sock = self._bound(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        try:
            await loop.sock_connect(sock, address)
            _, connection = await loop.create_connection(lambda: _Connection(self, address), sock=sock)
        except OSError as error:
            sock.close()
            raise CallError("connect", f"no connection: {error.strerror or error}") from error
        except BaseException:
            sock.close()
            raise
        self._open[connection] = None
        return connection

    def _bound(self, family: int) -> socket.socket:
        """A socket with the next free port."""
        for _ in range(_TRIES):
            sock = socket.socket(family, socket.SOCK_STREAM)
            sock.setblocking(False)
            try:
                sock.bind(("", next(self._ports)))
            except OSError as error:
                sock.close()
                if error.errno != errno.EADDRINUSE:
                    raise CallError("connect", f"no port: {error.strerror}") from error
            else:
                return sock
        raise CallError("connect", f"no free port in {_TRIES} tries")
