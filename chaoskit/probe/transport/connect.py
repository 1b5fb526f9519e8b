"""Makes connections: names, a race of addresses, a proxy, socket options, the TLS handshake.

Addresses are raced as RFC 8305 says: the next one is tried when the last has failed or has not accepted within 250 ms;
the first that accepts is used, the others are closed.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chaoskit.clock import now
from chaoskit.probe.framing import MalformedError, TooLargeError
from chaoskit.probe.shares import WHOLE, Share
from chaoskit.probe.target import SocketOptions
from chaoskit.probe.transport import stamps
from chaoskit.probe.transport.connection import Connection, ConnectTimings, Inbox
from chaoskit.probe.transport.dns import Addresses, Resolver
from chaoskit.probe.transport.exchange import NetworkError, Observer, ProxyError
from chaoskit.probe.transport.socket_options import choose_port, set_options
from chaoskit.probe.transport.stamps import StampClock
from chaoskit.probe.transport.tunnel import Proxy, open_tunnel
from chaoskit.records.model import TCP_HANDSHAKE

ATTEMPT_DELAY = 0.25  # s: RFC 8305, section 8
_FAILURES = (OSError, TooLargeError, MalformedError, EOFError)  # ssl.SSLError is an OSError


@dataclass(frozen=True)
class ConnectOptions:
    """How connections are made, by all streams of a drive.

    `addresses` replace those of the requested host. With `proxy` connections go there; `uds` is a Unix socket.
    The numbers of the connections are those of `share`.
    """

    resolver: Resolver
    addresses: Sequence[str] = ()
    sockets: SocketOptions = SocketOptions()  # noqa: RUF009  frozen
    tls: ssl.SSLContext | None = None
    proxy: Proxy | None = None
    uds: Path | None = None
    share: Share = WHOLE


class Connector:
    """Makes connections and numbers them."""

    def __init__(self, options: ConnectOptions, clock: StampClock, inbox: Inbox) -> None:
        self._options = options
        self._clock = clock
        self._inbox = inbox
        self._numbers = options.share.numbers()

    async def connect(self, host: str, port: int, observer: Observer, tunnel: bool) -> Connection:
        """A connection to the host, or to the proxy; with `tunnel` through the proxy. Raises NetworkError."""
        timings = ConnectTimings()
        observer.connecting(timings)
        options = self._options
        connection: Connection | None = None
        try:
            sock = await self._socket(host, port, timings)
            connection = Connection(next(self._numbers), sock, self._clock, self._inbox)
            observer.connected(connection)
            if options.proxy is not None and tunnel:
                timings.step = "tunnel through the proxy"
                await open_tunnel(connection, options.proxy, host, port)
            if options.tls is not None:
                started = now()
                timings.step = "TLS handshake"
                await connection.start_tls(options.tls, host)
                timings.tls = now() - started
        except _FAILURES as error:
            if connection is None and options.proxy is not None:
                raise ProxyError(f"{options.proxy.host}:{options.proxy.port}") from error
            if connection is not None:
                connection.close()
            raise NetworkError from error
        except asyncio.CancelledError:
            if connection is not None:
                connection.close()
            raise
        return connection

    async def _socket(self, host: str, port: int, timings: ConnectTimings) -> socket.socket:
        options = self._options
        if options.uds is not None:
            timings.step = "connection to the Unix socket"
            return await _connect_uds(options.uds)
        if options.proxy is not None:
            host, port = options.proxy.host, options.proxy.port
        started = now()
        lookups = [await options.resolver.addresses(name, port) for name in options.addresses or (host,)]
        found = [address for some, _ in lookups for address in some]
        was_needed = any(needed for _, needed in lookups)
        timings.dns = now() - started if was_needed else None
        timings.step = TCP_HANDSHAKE if options.proxy is None else f"{TCP_HANDSHAKE} with the proxy"
        started = now()
        if not options.addresses:
            found = _interleaved(found)
        sock = await _Race(found, options.sockets, timings).winner()
        timings.connect = now() - started
        return sock


class _Race:
    """Connects to the first address that accepts."""

    def __init__(self, addresses: Addresses, options: SocketOptions, timings: ConnectTimings) -> None:
        self._waiting = deque(addresses)
        self._options = options
        self._timings = timings
        self._attempts: list[tuple[str, asyncio.Task[socket.socket]]] = []
        self._changed = asyncio.Event()

    async def winner(self) -> socket.socket:
        """The connected socket. Raises the last OSError when there is none."""
        if len(self._waiting) == 1:
            return await _connect(*self._waiting[0], self._options)
        winner: socket.socket | None = None
        try:
            winner = await self._run()
        finally:
            for _, task in self._attempts:
                task.cancel()
                task.add_done_callback(lambda task: _close_loser(task, winner))
        return winner

    async def _run(self) -> socket.socket:
        failure: BaseException = OSError("no address")
        while True:
            if self._waiting:
                self._start(*self._waiting.popleft())
            elif all(task.done() for _, task in self._attempts):
                raise failure
            self._changed.clear()
            try:
                async with asyncio.timeout(ATTEMPT_DELAY if self._waiting else None):
                    await self._changed.wait()
            except TimeoutError:
                continue
            for at, (_, task) in enumerate(self._attempts):
                if not task.done():
                    continue
                if (error := task.exception()) is None:
                    late = (name for name, other in self._attempts[at + 1 :] if other.done() and other.exception())
                    self._timings.unreachable = (*(name for name, _ in self._attempts[:at]), *late)
                    return task.result()
                failure = error

    def _start(self, family: socket.AddressFamily, address: Any) -> None:
        task = asyncio.get_running_loop().create_task(_connect(family, address, self._options))
        task.add_done_callback(lambda _: self._changed.set())
        self._attempts.append((str(address[0]), task))


def _close_loser(attempt: asyncio.Task[socket.socket], winner: socket.socket | None) -> None:
    """Close the socket of an attempt that connected too late."""
    if not attempt.cancelled() and attempt.exception() is None and attempt.result() is not winner:
        attempt.result().close()


def _interleaved(addresses: Addresses) -> Addresses:
    """The families by turns, beginning with that of the first address (RFC 8305, section 4)."""
    families = list(dict.fromkeys(family for family, _ in addresses))
    columns = [[one for one in addresses if one[0] == family] for family in families]
    return [one for row in itertools.zip_longest(*columns) for one in row if one is not None]


async def _connect(family: socket.AddressFamily, address: Any, options: SocketOptions) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stamps.enable(sock)
        set_options(sock, options)
        choose_port(sock, options)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except (OSError, asyncio.CancelledError):
        sock.close()
        raise
    return sock


async def _connect_uds(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, str(path))
    except (OSError, asyncio.CancelledError):
        sock.close()
        raise
    return sock
