"""Connections for httpcore: names looked up, addresses tried, sockets tuned before they connect."""

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
from chaoskit.probe.socket_options import tune
from chaoskit.probe.socket_stream import Connection, Took
from chaoskit.probe.target import SocketOptions


@dataclass(frozen=True)
class Reach:
    """How connections are made, by all of a drive's backends.

    `places` are the addresses to connect to, whatever host is asked for. `http2_only`: HTTP/2 without negotiation.
    `headers` bounds a block of headers of HTTP/2, in bytes.
    """

    resolver: Resolver
    headers: int
    places: Sequence[str] = ()
    sockets: SocketOptions = SocketOptions()  # noqa: RUF009  frozen
    http2_only: bool = False


class Backend(httpcore.AsyncNetworkBackend):
    """Makes connections. `latest` is the newest, `took` what the newest attempt took so far."""

    def __init__(
        self,
        clock: StampClock,
        numbers: itertools.count[int],
        reach: Reach,
    ) -> None:
        self._reach = reach
        self.latest: Connection | None = None
        self.took = Took()
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
        """A connection to the first of the host's addresses that takes one, tried in order, one at a time.

        Raises httpcore.ConnectError from the last OSError. Makes no use of the last three arguments.
        """
        self.took = took = Took()
        began = now()
        try:
            resolver = self._reach.resolver
            looked_up = [await resolver.addresses(place, port) for place in self._reach.places or (host,)]
            found = [address for some, _ in looked_up for address in some]
            was_asked = any(asked for _, asked in looked_up)
            took.name = now() - began if was_asked else None
            took.step = "TCP handshake"
            began = now()
            sock = await _connect(found, self._reach.sockets)
            took.connect = now() - began
        except OSError as error:
            raise httpcore.ConnectError from error
        self.latest = Connection(next(self._numbers), sock, self._clock, took, self._reach.headers)
        if self._reach.http2_only:
            self.latest.speak_http2()
        return self.latest


async def _connect(found: list[tuple[socket.AddressFamily, Any]], options: SocketOptions) -> socket.socket:
    loop = asyncio.get_running_loop()
    failure = OSError("no address")
    for family, address in found:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            receive_stamps.request(sock)
            tune(sock, options)
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
