"""Opens connections for httpcore: resolves names, tries addresses, sets socket options."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import httpcore

from chaoskit.clock import now
from chaoskit.probe import receive_stamps
from chaoskit.probe.dns import Resolver
from chaoskit.probe.receive_stamps import StampClock
from chaoskit.probe.socket_options import set_options
from chaoskit.probe.socket_stream import Connection, ConnectTimings
from chaoskit.probe.target import SocketOptions


@dataclass(frozen=True)
class ConnectOptions:
    """How connections are made, by all of a drive's backends.

    `addresses` replace those of the requested host. `http2_only`: HTTP/2 with prior knowledge, without negotiation.
    `headers` bounds an HTTP/2 header block, in bytes.
    """

    resolver: Resolver
    headers: int
    addresses: Sequence[str] = ()
    sockets: SocketOptions = SocketOptions()  # noqa: RUF009  frozen
    http2_only: bool = False


class Backend(httpcore.AsyncNetworkBackend):
    """Opens connections. `latest` is the newest, `timings` are those of the newest attempt so far."""

    def __init__(
        self,
        clock: StampClock,
        numbers: itertools.count[int],
        options: ConnectOptions,
    ) -> None:
        self._options = options
        self.latest: Connection | None = None
        self.timings = ConnectTimings()
        self._clock = clock
        self._numbers = numbers

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Connect to the first of the host's addresses that accepts; they are tried in order, one at a time.

        Raises httpcore.ConnectError from the last OSError. Ignores the last three arguments.
        """
        self.timings = timings = ConnectTimings()
        started = now()
        try:
            resolver = self._options.resolver
            lookups = [await resolver.addresses(name, port) for name in self._options.addresses or (host,)]
            found = [address for some, _ in lookups for address in some]
            was_needed = any(needed for _, needed in lookups)
            timings.dns = now() - started if was_needed else None
            timings.step = "TCP handshake"
            started = now()
            sock = await _connect(found, self._options.sockets)
            timings.connect = now() - started
        except OSError as error:
            raise httpcore.ConnectError from error
        self.latest = Connection(next(self._numbers), sock, self._clock, timings, self._options.headers)
        if self._options.http2_only:
            self.latest.start_http2()
        return self.latest


async def _connect(found: list[tuple[socket.AddressFamily, Any]], options: SocketOptions) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure = OSError("no address")
    for family, address in found:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            receive_stamps.enable(sock)
            set_options(sock, options)
            await loop.sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except asyncio.CancelledError:
            sock.close()
            raise
        else:
            return sock
    raise failure
